//! Recorded trees: a Raspberry Pi 5, a virtual Xeon, and a system that tells nothing.

use super::*;
use tempfile::TempDir;

/// A folder with these files.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, contents) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder above")).expect("created");
        std::fs::write(path, contents).expect("written");
    }
    folder
}

fn pi_5() -> TempDir {
    let core = "BogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid \
                asimdrdm lrcpc dcpop asimddp\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x4\n\
                CPU part\t: 0xd0b\nCPU revision\t: 1\n\n";
    let cpuinfo: String = (0..4).map(|cpu| format!("processor\t: {cpu}\n{core}")).collect();
    let cpuinfo = cpuinfo + "Revision\t: d04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n";
    tree(&[
        ("proc/cpuinfo", &cpuinfo),
        ("proc/meminfo", "MemTotal:        8245248 kB\nMemFree:         6891008 kB\n"),
        ("proc/loadavg", "0.08 0.03 0.01 1/203 1312\n"),
        ("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0"),
        ("proc/sys/kernel/osrelease", "6.6.31+rpt-rpi-2712\n"),
        ("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n"),
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n"),
        ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "ondemand\n"),
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2400000\n"),
        ("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "1500000\n"),
        ("sys/devices/system/cpu/cpufreq/boost", "0\n"),
        ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
        ("sys/class/thermal/thermal_zone0/temp", "48850\n"),
        ("sys/class/hwmon/hwmon0/name", "cpu_thermal\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "49400\n"),
        ("sys/class/hwmon/hwmon1/name", "rp1_adc\n"),
        ("sys/class/hwmon/hwmon1/temp1_input", "57000\n"),
    ])
}

#[test]
fn a_raspberry_pi_5_is_known_by_name() {
    let folder = pi_5();
    let machine = Machine::read(&Root::at(folder.path()));
    assert_eq!(machine.board.as_deref(), Some("Raspberry Pi 5 Model B Rev 1.0"));
    assert_eq!(machine.cpu.as_deref(), Some("Cortex-A76"));
    assert_eq!((machine.cpus, machine.cores), (Some(4), None));
    assert_eq!(machine.memory_bytes, Some(8_245_248 * 1024));
    assert_eq!(machine.features, ["asimd", "asimddp"]);
    assert_eq!(machine.os, "Debian GNU/Linux 12 (bookworm)");
    assert_eq!(
        machine.line(),
        "Raspberry Pi 5 Model B Rev 1.0, Cortex-A76, 4 cores, 8.4 GB memory, Debian GNU/Linux 12 (bookworm), \
         kernel 6.6.31+rpt-rpi-2712"
    );
}

#[test]
fn clock_and_heat_of_a_raspberry_pi_5_come_from_sysfs() {
    let folder = pi_5();
    let conditions = Conditions::read(&Root::at(folder.path()));
    assert_eq!(conditions.governor.as_deref(), Some("ondemand"));
    assert_eq!(conditions.mhz, Some(1950.0));
    // The sensor of another chip is hotter, and does not count.
    assert_eq!(conditions.celsius, Some(49.4));
    assert_eq!(conditions.load, Some(0.08));
    assert_eq!(conditions.throttling, None);
}

#[cfg(unix)]
#[test]
fn the_firmware_of_a_raspberry_pi_is_asked_where_its_program_is() {
    use std::os::unix::fs::PermissionsExt;
    let folder =
        tree(&[("usr/bin/vcgencmd", "#!/bin/sh\n[ \"$1\" = get_throttled ] && echo throttled=0x50004\n")]);
    let program = folder.path().join("usr/bin/vcgencmd");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("made executable");
    let throttling = Conditions::read(&Root::at(folder.path())).throttling;
    assert_eq!(throttling, Some(Throttling(0x50004)));
}

#[test]
fn a_virtual_xeon_has_features_and_caches_but_neither_governor_nor_sensors() {
    let core = |cpu: u32, core: u32| {
        format!(
            "processor\t: {cpu}\nmodel name\t: Intel(R) Xeon(R) Processor\ncpu MHz\t\t: 2700.000\nphysical id\t: 0\n\
             core id\t\t: {core}\nflags\t\t: fpu avx avx2 f16c fma avx512f avx512_vnni avx_vnni amx_tile amx_int8\n\n"
        )
    };
    let cpuinfo = [core(0, 0), core(1, 0), core(2, 1), core(3, 1)].concat();
    let cache = "sys/devices/system/cpu/cpu0/cache";
    let files = [("index0", "Data", "48K"), ("index1", "Instruction", "32K"), ("index2", "Unified", "2048K")];
    let mut caches = vec![];
    for (index, kind, size) in files {
        caches.push((format!("{cache}/{index}/type"), kind));
        caches.push((format!("{cache}/{index}/size"), size));
    }
    let mut files: Vec<(&str, &str)> = caches.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    files.extend([("proc/cpuinfo", cpuinfo.as_str()), ("proc/loadavg", "5.55 4.10 3.00 3/400 9\n")]);
    let folder = tree(&files);
    let root = Root::at(folder.path());
    let machine = Machine::read(&root);
    assert_eq!((machine.cpus, machine.cores), (Some(4), Some(2)));
    assert_eq!(machine.caches, [48 << 10, 2 << 20]);
    let features = ["avx2", "f16c", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_tile", "amx_int8"];
    assert_eq!(machine.features, features);
    let line = machine.line();
    assert!(line.starts_with("Intel(R) Xeon(R) Processor, 2 cores, 4 threads, "), "{line}");
    let conditions = Conditions::read(&root);
    let expected = Conditions { mhz: Some(2700.0), load: Some(5.55), ..Conditions::default() };
    assert_eq!(conditions, expected);
}

#[test]
fn a_system_that_tells_nothing_is_no_failure() {
    let folder = tree(&[]);
    let root = Root::at(folder.path());
    let machine = Machine::read(&root);
    assert_eq!((&machine.cpu, machine.cpus, machine.memory_bytes), (&None, None, None));
    assert_eq!(machine.os, std::env::consts::OS);
    assert!(machine.line().starts_with("CPU not told"), "{}", machine.line());
    assert_eq!(Conditions::read(&root), Conditions::default());
}

#[test]
fn files_with_nonsense_tell_nothing() {
    let folder = tree(&[
        ("proc/cpuinfo", "no colon\n: \nCPU part : zz\ncpu MHz : fast\n"),
        ("proc/loadavg", "busy\n"),
        ("proc/meminfo", "MemTotal: 99999999999999999999 kB\n"),
        ("sys/devices/system/cpu/cpu0/cache/index0/type", "Data"),
        ("sys/devices/system/cpu/cpu0/cache/index0/size", "9Q"),
        ("sys/class/thermal/thermal_zone0/type", "cpu"),
        ("sys/class/thermal/thermal_zone0/temp", ""),
    ]);
    let root = Root::at(folder.path());
    let machine = Machine::read(&root);
    assert_eq!((machine.cpu, machine.memory_bytes, machine.caches), (None, None, vec![]));
    assert_eq!(Conditions::read(&root), Conditions::default());
}
