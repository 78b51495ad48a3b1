//! What is found on recorded device trees, and what it reads there.

use crate::tree::Recorded;
use whit_converter::energy::{EnergyError, Sample, Source, find};

const LAPTOP: &str = include_str!("trees/laptop.txt");
const JETSON: &str = include_str!("trees/jetson.txt");
const IIO: &str = include_str!("trees/iio.txt");

fn open(recorded: &Recorded, name: &str) -> Box<dyn Source> {
    find::open(&recorded.tree(), name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn refuse(recorded: &Recorded, name: &str) -> EnergyError {
    find::open(&recorded.tree(), name).err().unwrap_or_else(|| panic!("{name} was opened"))
}

fn watts(source: &mut dyn Source) -> f64 {
    match source.read().unwrap() {
        Sample::Watts(watts) => watts,
        Sample::Joules(joules) => panic!("{joules} J"),
    }
}

fn joules(source: &mut dyn Source) -> f64 {
    match source.read().unwrap() {
        Sample::Joules(joules) => joules,
        Sample::Watts(watts) => panic!("{watts} W"),
    }
}

/// The names of what was found, those that may be chosen without being named marked.
fn found(recorded: &Recorded) -> Vec<String> {
    let places = find::look(&recorded.tree());
    let found = places.into_iter().flat_map(|place| place.found);
    found.map(|found| format!("{}{}", if found.automatic { "*" } else { "" }, found.name)).collect()
}

#[test]
fn packages_and_memory_are_summed_and_counted_once() {
    let laptop = Recorded::of(LAPTOP);
    let mut source = open(&laptop, "powercap");
    assert_eq!(source.name(), "powercap:package-0+package-0-dram");
    assert_eq!(joules(&mut *source), 0.0);
    laptop.set("/sys/class/powercap/intel-rapl:0/energy_uj", "262143100000");
    laptop.set("/sys/class/powercap/intel-rapl:0/intel-rapl:0:1/energy_uj", "1500000");
    assert_eq!(joules(&mut *source), 0.6);
}

#[test]
fn a_counter_that_starts_again_goes_on() {
    let laptop = Recorded::of(LAPTOP);
    let mut source = open(&laptop, "powercap:package-0");
    laptop.set("/sys/class/powercap/intel-rapl:0/energy_uj", "171150");
    assert_eq!(joules(&mut *source), 0.5);
    laptop.set("/sys/class/powercap/intel-rapl:0/energy_uj", "671150");
    assert_eq!(joules(&mut *source), 1.0);
}

#[test]
fn every_die_of_a_package_counts() {
    let server =
        LAPTOP.replace("package-0", "package-0-die-1").replace("name: psys", "name: package-0-die-0");
    let source = open(&Recorded::of(&server), "powercap");
    assert_eq!(source.name(), "powercap:package-0-die-1+package-0-die-1-dram+package-0-die-0");
}

#[test]
fn a_counter_is_found_by_its_name() {
    let laptop = Recorded::of(LAPTOP);
    let mut source = open(&laptop, "powercap:psys");
    laptop.set("/sys/class/powercap/intel-rapl:1/energy_uj", "9000001");
    assert_eq!(joules(&mut *source), 1e-6);
    let message = refuse(&laptop, "powercap:package-1").to_string();
    assert!(message.ends_with("there is: package-0, package-0-core, package-0-dram, psys"), "{message}");
}

#[test]
fn what_measures_something_else_is_used_only_when_it_is_named() {
    let laptop = Recorded::of(LAPTOP);
    let expected = [
        "hwmon:BAT0/power1",
        "*powercap",
        "powercap:package-0",
        "powercap:package-0-core",
        "powercap:package-0-dram",
        "powercap:psys",
    ];
    assert_eq!(found(&laptop), expected);
    assert_eq!(open(&laptop, "auto").name(), "powercap:package-0+package-0-dram");
    assert_eq!(watts(&mut *open(&laptop, "hwmon:BAT0")), 7.31);
    assert_eq!(open(&laptop, "hwmon:hwmon10/power1").name(), "hwmon:hwmon10/power1");
}

#[test]
fn a_jetsons_rails_have_the_boards_names_and_the_whole_module_is_chosen() {
    let jetson = Recorded::of(JETSON);
    assert_eq!(
        found(&jetson),
        ["*hwmon:ina3221/VDD_IN", "hwmon:ina3221/VDD_CPU_GPU_CV", "hwmon:ina3221/VDD_SOC"]
    );
    let mut source = open(&jetson, "auto");
    assert_eq!(source.name(), "hwmon:ina3221/VDD_IN");
    assert!((watts(&mut *source) - 4.968 * 1.12).abs() < 1e-12);
    let mut parts = open(&jetson, "hwmon:ina3221/VDD_CPU_GPU_CV+VDD_SOC");
    assert!((watts(&mut *parts) - (4.96 * 0.25 + 4.952 * 0.3)).abs() < 1e-12);
    let message = refuse(&jetson, "hwmon:ina3221/VDD_GPU").to_string();
    assert!(message.contains("no rail `VDD_GPU`; there is: VDD_IN, VDD_CPU_GPU_CV, VDD_SOC"), "{message}");
}

#[test]
fn several_rails_without_a_whole_must_be_named() {
    let board = Recorded::of(&JETSON.replace("VDD_IN", "VDD_GPU_SOC"));
    let error = refuse(&board, "hwmon:ina3221");
    assert!(matches!(error, EnergyError::Usage(_)));
    assert!(error.to_string().contains("as `hwmon:ina3221/VDD_GPU_SOC+VDD_CPU_GPU_CV`"), "{error}");
    assert!(matches!(refuse(&board, "auto"), EnergyError::Absent(_)));
}

#[test]
fn two_chips_of_one_name_are_told_apart() {
    let board = Recorded::of(&format!(
        "{JETSON}\n{}",
        JETSON.replace("hwmon1/", "hwmon2/").replace("VDD_IN", "VDDQ")
    ));
    assert!(found(&board).contains(&"hwmon:hwmon2/VDD_SOC".to_owned()));
    let mut both = open(&board, "hwmon:ina3221/VDD_IN+VDDQ");
    assert!((watts(&mut *both) - 2.0 * 4.968 * 1.12).abs() < 1e-12);
}

#[test]
fn energy_is_preferred_to_power_and_power_to_voltage_and_current() {
    let chip = "/sys/class/hwmon/hwmon3";
    let board =
        Recorded::of(&format!("{chip}/name: ina228\n{chip}/in1_input: 5000\n{chip}/curr1_input: 200\n"));
    assert_eq!(watts(&mut *open(&board, "auto")), 1.0);
    board.set(&format!("{chip}/power1_input"), "1100000");
    assert_eq!(watts(&mut *open(&board, "auto")), 1.1);
    board.set(&format!("{chip}/energy1_input"), "7000000");
    let mut source = open(&board, "auto");
    board.set(&format!("{chip}/energy1_input"), "7250000");
    assert_eq!(joules(&mut *source), 0.25);
}

#[test]
fn iio_values_are_scaled_and_the_bus_is_told_from_the_shunt() {
    let board = Recorded::of(IIO);
    assert_eq!(found(&board), ["*iio:iio:device1"]);
    let mut source = open(&board, "iio:ina226");
    assert_eq!(watts(&mut *source), 1.5625);
    board.remove("/sys/bus/iio/devices/iio:device1/in_power2_raw");
    assert_eq!(watts(&mut *open(&board, "auto")), 1.5625);
    // A scale for all channels of a kind.
    board.remove("/sys/bus/iio/devices/iio:device1/in_current3_scale");
    board.set("/sys/bus/iio/devices/iio:device1/in_current_scale", "0.2");
    assert_eq!(watts(&mut *open(&board, "iio:iio:device1")), 3.125);
}

#[test]
fn channels_of_any_other_adc_are_no_power() {
    let board = Recorded::of(&IIO.replace("name: ina226", "name: axp20x-adc"));
    assert_eq!(found(&board), ["iio:iio:device1"], "its own power, when it is named");
    board.remove("/sys/bus/iio/devices/iio:device1/in_power2_raw");
    assert!(found(&board).is_empty());
}

#[test]
fn a_sensor_that_tells_nonsense_is_an_error_that_names_its_file() {
    let board = Recorded::of(IIO);
    board.set("/sys/bus/iio/devices/iio:device1/in_power2_raw", "fault");
    let message = refuse(&board, "iio:ina226").to_string();
    assert!(message.contains("in_power2_raw: expected a number, found `fault`"), "{message}");
    // It is listed with its problem, and something else is chosen.
    let message = refuse(&board, "auto").to_string();
    assert!(message.contains("in_power2_raw: expected a number"), "{message}");
}

#[test]
fn without_a_source_every_place_is_named_with_what_to_attach() {
    let error = refuse(&Recorded::of(""), "auto");
    assert!(matches!(error, EnergyError::Absent(_)));
    let message = error.to_string();
    for expected in [
        "/sys/class/hwmon: nothing there",
        "/sys/bus/iio/devices: nothing there",
        "/sys/class/powercap: nothing there",
        "vcgencmd pmic_read_adc: nothing there",
        "/dev/i2c-*: used only when it is named",
        "/dev/ttyACM*: used only when it is named",
        "--energy=ina226:/dev/i2c-1@0x40,shunt=0.1",
        "--energy=ppk2:/dev/ttyACM0,ampere=3.3",
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn names_that_mean_nothing_are_refused() {
    let laptop = Recorded::of(LAPTOP);
    for name in
        ["wattmeter", "hwmon", "iio:", "", ":", "ina226:", "ppk2:/dev/ttyACM0", "ppk2:/dev/x,source=9"]
    {
        assert!(matches!(refuse(&laptop, name), EnergyError::Usage(_)), "{name}");
    }
    for name in ["hwmon:ina3221", "iio:ina226", "ina226:/dev/no-i2c-bus@0x40"] {
        assert!(matches!(refuse(&laptop, name), EnergyError::Absent(_)), "{name}");
    }
}
