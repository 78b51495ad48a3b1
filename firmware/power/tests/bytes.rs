//! Every byte that the drivers send, and what they make of every byte that comes back. Numbers marked "data sheet" are
//! the worked examples there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use whit_power::{Averaging, BusRange, Error, Ina219, Ina226, Ina228, Ina260, PowerMeter, Reading, Shunt};

const ADDRESS: u8 = 0x40;

fn get(register: u8, contents: &[u8]) -> Transaction {
    Transaction::write_read(ADDRESS, vec![register], contents.to_vec())
}

fn set(register: u8, [high, low]: [u8; 2]) -> Transaction {
    Transaction::write(ADDRESS, vec![register, high, low])
}

/// 2 mΩ and 32.768 A: steps of 1 mA, as in the data sheets of INA219 and INA226.
const TWO_MILLIOHMS: Shunt = Shunt { microohms: 2_000, max_microamps: 32_768_000 };
/// 16.2 mΩ and 10 A, as in the data sheet of the INA228.
const SIXTEEN_MILLIOHMS: Shunt = Shunt { microohms: 16_200, max_microamps: 10_000_000 };
/// What common breakout boards carry: 0.1 Ω.
const BREAKOUT: Shunt = Shunt { microohms: 100_000, max_microamps: 400_000 };

/// Runs `work` on a bus that expects `transactions` and nothing else.
fn on_bus<R>(transactions: &[Transaction], work: impl FnOnce(Mock) -> R) -> R {
    let mut bus = Mock::new(transactions);
    let result = work(bus.clone());
    bus.done();
    result
}

fn ina219_setup() -> [Transaction; 2] {
    // 32 V, gain 1/2 (80 mV), both ADCs averaging 8 samples, continuous; calibration of the data sheet, 20480.
    [set(0x00, [0x2d, 0xdf]), set(0x05, [0x50, 0x00])]
}

fn ina219(bus: Mock) -> Result<Ina219<Mock>, Error<ErrorKind>> {
    Ina219::new(bus, ADDRESS, TWO_MILLIOHMS, BusRange::Of32V, 3)
}

fn ina226_setup(averaging: u8) -> [Transaction; 4] {
    [
        get(0xfe, &[0x54, 0x49]),
        get(0xff, &[0x22, 0x60]),
        set(0x00, [0x41 | averaging << 1, 0x27]),
        set(0x05, [0x0a, 0x00]), // data sheet: 2560
    ]
}

fn ina228_setup() -> [Transaction; 5] {
    [
        get(0x3e, &[0x54, 0x49]),
        get(0x3f, &[0x22, 0x81]),
        set(0x00, [0x40, 0x00]),
        set(0x01, [0xbb, 0x42]),
        set(0x02, [0x0f, 0xd2]), // data sheet: 4050
    ]
}

fn ina260_setup() -> [Transaction; 3] {
    [get(0xfe, &[0x54, 0x49]), get(0xff, &[0x22, 0x70]), set(0x00, [0x61, 0x27])]
}

#[test]
fn ina219_reads_the_data_sheets_example() {
    let reads = [
        get(0x02, &[0x5d, 0x9a]), // ready
        get(0x02, &[0x5d, 0x9a]), // 2995 steps of 4 mV
        get(0x04, &[0x27, 0x10]), // 10000 steps of 1 mA
        get(0x03, &[0x17, 0x66]), // 5990 steps of 20 mW
    ];
    let reading = on_bus(&[&ina219_setup()[..], &reads].concat(), |bus| {
        let mut meter = ina219(bus).unwrap();
        assert_eq!(meter.conversion_micros(), 8512);
        assert!(meter.ready().unwrap());
        assert_eq!(meter.energy_microjoules(), Ok(None));
        meter.read().unwrap()
    });
    let expected =
        Reading { bus_microvolts: 11_980_000, current_microamps: 10_000_000, power_microwatts: 119_800_000 };
    assert_eq!(reading, expected);
}

#[test]
fn ina219_takes_the_smallest_gain_and_an_even_calibration() {
    // 40 mV: gain 1; 12 bits unaveraged; 16 V. 0.04096 / (0.4 A / 2^15 × 0.1 Ω) = 33554.432.
    let setup = [set(0x00, [0x04, 0x47]), set(0x05, [0x83, 0x12])];
    on_bus(&setup, |bus| Ina219::new(bus, ADDRESS, BREAKOUT, BusRange::Of16V, 0).unwrap().release());
    // 320 mV: gain 1/8; more than 128 samples there are not. 4194.3 is rounded, and its lowest bit is always 0.
    let setup = [set(0x00, [0x3f, 0xff]), set(0x05, [0x10, 0x62])];
    let most = Shunt { max_microamps: 3_200_000, ..BREAKOUT };
    on_bus(&setup, |bus| Ina219::new(bus, ADDRESS, most, BusRange::Of32V, 200).unwrap().release());
}

#[test]
fn current_is_computed_from_the_calibration_that_the_register_holds() {
    // 16000 steps with a calibration of 33554, not 33554.432: 0.04096 / (33554 × 0.1 Ω) = 12.2072… µA each.
    let reads = [get(0x02, &[0x00, 0x08]), get(0x04, &[0x3e, 0x80]), get(0x03, &[0x00, 0x01])];
    let setup = [set(0x00, [0x04, 0x47]), set(0x05, [0x83, 0x12])];
    let reading = on_bus(&[&setup[..], &reads].concat(), |bus| {
        Ina219::new(bus, ADDRESS, BREAKOUT, BusRange::Of16V, 0).unwrap().read().unwrap()
    });
    assert_eq!(reading.current_microamps, 195_315);
    assert_eq!(reading.power_microwatts, 244);
}

#[test]
fn ina226_reads_the_data_sheets_example() {
    let reads = [
        get(0x06, &[0x00, 0x00]), // no conversion yet
        get(0x06, &[0x00, 0x08]),
        get(0x06, &[0x00, 0x00]),
        get(0x02, &[0x25, 0x70]), // 9584 steps of 1.25 mV
        get(0x04, &[0x27, 0x10]), // 10000 steps of 1 mA
        get(0x03, &[0x12, 0xb8]), // 4792 steps of 25 mW
    ];
    let reading = on_bus(&[&ina226_setup(4)[..], &reads].concat(), |bus| {
        let mut meter = Ina226::new(bus, ADDRESS, TWO_MILLIOHMS, Averaging::Of128).unwrap();
        assert_eq!(meter.conversion_micros(), 281_600);
        assert!(!meter.ready().unwrap());
        assert!(meter.ready().unwrap());
        meter.read().unwrap()
    });
    let expected =
        Reading { bus_microvolts: 11_980_000, current_microamps: 10_000_000, power_microwatts: 119_800_000 };
    assert_eq!(reading, expected);
}

#[test]
fn current_that_flows_back_is_negative_and_so_is_its_power() {
    let reads = [
        get(0x06, &[0x00, 0x08]),
        get(0x02, &[0x0f, 0xa0]),
        get(0x04, &[0xff, 0x9c]), // -100 steps
        get(0x03, &[0x00, 0x14]), // 20 steps, without a sign
    ];
    let reading = on_bus(&[&ina226_setup(0)[..], &reads].concat(), |bus| {
        Ina226::new(bus, ADDRESS, TWO_MILLIOHMS, Averaging::Of1).unwrap().read().unwrap()
    });
    let expected =
        Reading { bus_microvolts: 5_000_000, current_microamps: -100_000, power_microwatts: -500_000 };
    assert_eq!(reading, expected);
}

#[test]
fn ina228_reads_the_data_sheets_example() {
    let reads = [
        get(0x0b, &[0x00, 0x03]), // a conversion, and memory in order
        get(0x0b, &[0x00, 0x01]),
        get(0x05, &[0x3c, 0x00, 0x00]), // 245760 steps of 195.3125 µV
        get(0x07, &[0x4c, 0xcc, 0xc0]), // 314572 steps
        get(0x08, &[0x48, 0x00, 0x00]), // 4718592 steps
        get(0x09, &[0x00, 0x3f, 0x48, 0x00, 0x00]), // an hour
    ];
    on_bus(&[&ina228_setup()[..], &reads].concat(), |bus| {
        let mut meter = Ina228::new(bus, ADDRESS, SIXTEEN_MILLIOHMS, Averaging::Of16).unwrap();
        assert_eq!(meter.conversion_micros(), 33_664);
        assert!(meter.ready().unwrap());
        let reading = meter.read().unwrap();
        let expected = Reading {
            bus_microvolts: 48_000_000,
            current_microamps: 5_999_984,
            power_microwatts: 288_000_000,
        };
        assert_eq!(reading, expected);
        assert_eq!(meter.energy_microjoules(), Ok(Some(1_036_800_000_000)));
    });
}

#[test]
fn ina228_takes_the_narrow_range_where_it_can_and_clears_its_accumulator() {
    let setup = [
        get(0x3e, &[0x54, 0x49]),
        get(0x3f, &[0x22, 0x81]),
        set(0x00, [0x40, 0x10]),
        set(0x01, [0xbb, 0x40]),
        set(0x02, [0x0f, 0xa0]), // 40 mV of 40.96
        set(0x00, [0x40, 0x10]),
        get(0x0b, &[0x00, 0x03]),
        get(0x05, &[0xff, 0xff, 0xf0]), // -1
        get(0x07, &[0x80, 0x00, 0x00]), // -2^19
        get(0x08, &[0xff, 0xff, 0xff]),
        get(0x09, &[0xff; 5]),
    ];
    on_bus(&setup, |bus| {
        let mut meter = Ina228::new(bus, ADDRESS, BREAKOUT, Averaging::Of1).unwrap();
        meter.clear().unwrap();
        let expected = Reading {
            bus_microvolts: -195,
            current_microamps: -400_000,
            // 2^24 - 1 steps of 3.2 × 0.4 A / 2^19.
            power_microwatts: -40_959_997,
        };
        assert_eq!(meter.read(), Ok(expected));
        // 2^40 - 1 steps of 51.2 × 0.4 A / 2^19.
        assert_eq!(meter.energy_microjoules(), Ok(Some(42_949_672_959_960)));
    });
}

#[test]
fn ina260_has_fixed_steps() {
    let reads = [
        get(0x06, &[0x00, 0x08]),
        get(0x02, &[0x0f, 0xa0]),
        get(0x01, &[0x80, 0x00]),
        get(0x03, &[0x52, 0x08]),
    ];
    let reading = on_bus(&[&ina260_setup()[..], &reads].concat(), |bus| {
        let mut meter = Ina260::new(bus, ADDRESS, Averaging::Of1).unwrap();
        assert_eq!(meter.conversion_micros(), 2200);
        meter.read().unwrap()
    });
    let expected =
        Reading { bus_microvolts: 5_000_000, current_microamps: -40_960_000, power_microwatts: -210_000_000 };
    assert_eq!(reading, expected);
}

#[test]
fn the_averaging_field_has_the_data_sheets_values() {
    assert_eq!(Averaging::ALL.map(Averaging::count), [1, 4, 16, 64, 128, 256, 512, 1024]);
    for (averaging, field) in Averaging::ALL.into_iter().zip(0u8..) {
        on_bus(&ina226_setup(field), |bus| {
            Ina226::new(bus, ADDRESS, TWO_MILLIOHMS, averaging).unwrap().release()
        });
    }
}

#[test]
fn another_chip_is_refused_before_anything_is_written() {
    let wrong = |register, expected, found| Error::WrongId { register, expected, found };
    let maker = [get(0xfe, &[0x49, 0x54])];
    let found = on_bus(&maker, |bus| Ina260::new(bus, ADDRESS, Averaging::Of1).unwrap_err());
    assert_eq!(found, wrong(0xfe, 0x5449, 0x4954));
    let ina260 = [get(0xfe, &[0x54, 0x49]), get(0xff, &[0x22, 0x70])];
    let found = on_bus(&ina260, |bus| Ina226::new(bus, ADDRESS, TWO_MILLIOHMS, Averaging::Of1).unwrap_err());
    assert_eq!(found, wrong(0xff, 0x2260, 0x2270));
    let ina238 = [get(0x3e, &[0x54, 0x49]), get(0x3f, &[0x23, 0x81])];
    let found =
        on_bus(&ina238, |bus| Ina228::new(bus, ADDRESS, SIXTEEN_MILLIOHMS, Averaging::Of1).unwrap_err());
    assert_eq!(found, wrong(0x3f, 0x2281, 0x2381));
    assert!(found.to_string().contains("0x2381"), "{found}");
}

#[test]
fn later_revisions_of_a_die_are_taken() {
    let mut setup = ina260_setup();
    setup[1] = get(0xff, &[0x22, 0x7f]);
    on_bus(&setup, |bus| Ina260::new(bus, ADDRESS, Averaging::Of1).unwrap().release());
}

#[test]
fn shunts_that_do_not_suit_are_refused_without_touching_the_bus() {
    let bad = [
        Shunt { microohms: 0, max_microamps: 1_000_000 },
        Shunt { microohms: 100_000, max_microamps: 0 },
        Shunt { microohms: 1, max_microamps: 1 },
        Shunt { microohms: 100_000, max_microamps: 3_300_000 },
        Shunt { microohms: u32::MAX, max_microamps: u32::MAX },
    ];
    for shunt in bad {
        let refused = on_bus(&[], |bus| {
            let one = Ina219::new(bus.clone(), ADDRESS, shunt, BusRange::Of32V, 0).unwrap_err();
            let two = Ina226::new(bus.clone(), ADDRESS, shunt, Averaging::Of1).unwrap_err();
            let three = Ina228::new(bus, ADDRESS, shunt, Averaging::Of1).unwrap_err();
            [one, two, three]
        });
        assert_eq!(refused, [Error::Calibration; 3], "{shunt:?}");
    }
}

#[test]
fn overflow_in_the_chip_is_an_error_and_not_a_reading() {
    let reads = [get(0x02, &[0x5d, 0x99])];
    let found = on_bus(&[&ina219_setup()[..], &reads].concat(), |bus| ina219(bus).unwrap().read());
    assert_eq!(found, Err(Error::Overflow));
    let reads = [get(0x06, &[0x00, 0x0c])];
    let found = on_bus(&[&ina226_setup(0)[..], &reads].concat(), |bus| {
        Ina226::new(bus, ADDRESS, TWO_MILLIOHMS, Averaging::Of1).unwrap().read()
    });
    assert_eq!(found, Err(Error::Overflow));
    let found = on_bus(&[&ina260_setup()[..], &reads].concat(), |bus| {
        Ina260::new(bus, ADDRESS, Averaging::Of1).unwrap().ready()
    });
    assert_eq!(found, Err(Error::Overflow));
    let reads = [get(0x0b, &[0x02, 0x03])];
    let found = on_bus(&[&ina228_setup()[..], &reads].concat(), |bus| {
        Ina228::new(bus, ADDRESS, SIXTEEN_MILLIOHMS, Averaging::Of16).unwrap().read()
    });
    assert_eq!(found, Err(Error::Overflow));
}

#[test]
fn whatever_transfer_fails_its_error_comes_back() {
    let nobody = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
    let reads = [
        get(0x06, &[0x00, 0x08]),
        get(0x06, &[0x00, 0x08]),
        get(0x02, &[0, 0]),
        get(0x04, &[0, 0]),
        get(0x03, &[0, 0]),
    ];
    let all = [&ina226_setup(0)[..], &reads].concat();
    for failing in 0..all.len() {
        let mut transactions = all[..=failing].to_vec();
        transactions[failing] = transactions[failing].clone().with_error(nobody);
        let found = on_bus(&transactions, |bus| {
            let mut meter = Ina226::new(bus, ADDRESS, TWO_MILLIOHMS, Averaging::Of1)?;
            meter.ready()?;
            meter.read()
        });
        assert_eq!(found, Err(Error::Bus(nobody)), "transfer {failing}");
    }
}
