//! The Power Profiler Kit 2 as bytes: samples from an encoder of its own, and a kit that answers commands.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use whit_converter::energy::ppk2::calibration::Calibration;
use whit_converter::energy::ppk2::samples::{Decoder, Sample};
use whit_converter::energy::ppk2::{Mode, Ppk2, parse};
use whit_converter::energy::{Sample as Energy, Source};

/// As a kit sends it, with numbers of its own in two ranges.
const METADATA: &str = "Calibrated: 0\nR0: 1003.3506\nR1: 101.5865\nR2: 10.3027\nR3: 0.9636\nR4: 0.0564\nGS0: 0.0\n\
    GS1: 0.0\nGS2: 0.0\nGS3: 0.0\nGS4: 0.0\nGI0: 1.0\nGI1: 0.9695\nGI2: 0.9609\nGI3: 0.9518\nGI4: 0.9582\nO0: 112.989\n\
    O1: 100.5\nO2: 80.25\nO3: 70.0\nO4: 60.0\nVDD: 3300\nHW: 9173\nmode: 2\nS0: 0.000000048\nS1: 0.000000596\n\
    S2: 0.000005281\nS3: 0.000062577\nS4: 0.002940743\nI0: -0.000000104\nI1: -0.000001443\nI2: 0.000036439\n\
    I3: -0.000374119\nI4: -0.009388455\nUG0: 1.00\nUG1: 1.00\nUG2: 1.00\nUG3: 1.00\nUG4: 1.00\nIA: 56\nEND\n";

/// The columns of the text above, by hand: what the kit multiplies with, range by range.
const R: [f64; 5] = [1003.3506, 101.5865, 10.3027, 0.9636, 0.0564];
const GI: [f64; 5] = [1.0, 0.9695, 0.9609, 0.9518, 0.9582];
const O: [f64; 5] = [112.989, 100.5, 80.25, 70.0, 60.0];
const S: [f64; 5] = [48e-9, 596e-9, 5281e-9, 62_577e-9, 2_940_743e-9];
const I: [f64; 5] = [-104e-9, -1443e-9, 36_439e-9, -374_119e-9, -9_388_455e-9];
const VOLTS: f64 = 3.3;

/// The four bytes of a sample: the ADC's steps that come nearest to `amperes`.
fn encode(range: usize, amperes: f64, counter: usize, pins: u8) -> [u8; 4] {
    let volts = (amperes - S[range] * VOLTS - I[range]) / GI[range] * R[range];
    let steps = (volts / (1.8 / 163_840.0) + O[range]) / 4.0;
    assert!((0.0..16_384.0).contains(&steps), "{amperes} A does not fit range {range}");
    (steps.round() as u32 | (range as u32) << 14 | ((counter % 64) as u32) << 18 | u32::from(pins) << 24)
        .to_le_bytes()
}

/// What a step of the ADC is in A, the most that encoding can be off by.
fn step(range: usize) -> f64 {
    4.0 * 1.8 / 163_840.0 / R[range]
}

fn decoder() -> Decoder {
    Decoder::new(Calibration::parse(METADATA).unwrap(), VOLTS)
}

fn decode(bytes: &[u8]) -> Vec<Sample> {
    let mut samples = Vec::new();
    decoder().decode(bytes, |sample| samples.push(sample));
    samples
}

#[test]
fn every_range_is_converted_with_its_own_calibration() {
    for (range, amperes) in [(0, 20e-6), (1, 300e-6), (2, 4e-3), (3, 30e-3), (4, 0.4)] {
        let samples = decode(&encode(range, amperes, 0, 0b1010_0001));
        assert_eq!(samples.len(), 1);
        assert!((samples[0].amperes - amperes).abs() <= step(range), "range {range}: {samples:?}");
        assert_eq!(samples[0].pins, 0b1010_0001);
    }
}

#[test]
fn samples_may_be_split_anywhere() {
    let bytes: Vec<u8> = (0..70).flat_map(|i| encode(2, 1e-3 + i as f64 * 1e-5, i, i as u8)).collect();
    let whole = decode(&bytes);
    assert_eq!(whole.len(), 70);
    for size in [1, 2, 3, 5, 7, 64] {
        let (mut decoder, mut samples) = (decoder(), Vec::new());
        bytes.chunks(size).for_each(|bytes| decoder.decode(bytes, |sample| samples.push(sample)));
        assert_eq!(samples, whole, "in pieces of {size}");
        assert_eq!(decoder.lost(), 0);
    }
}

#[test]
fn lost_samples_are_counted_and_time_goes_on() {
    // 60, 61, then 66 (which is 2): 62 to 65 are lost.
    let bytes = [encode(1, 1e-4, 60, 0), encode(1, 1e-4, 61, 0), encode(1, 2e-4, 66, 1)].concat();
    let (mut decoder, mut pins) = (decoder(), Vec::new());
    decoder.decode(&bytes, |sample| pins.push(sample.pins));
    assert_eq!(pins, [0, 0, 1, 1, 1, 1, 1]);
    assert_eq!(decoder.lost(), 4);
}

#[test]
fn three_samples_after_a_change_of_ranges_are_running_means() {
    let mut bytes: Vec<u8> = (0..50).flat_map(|i| encode(1, 4e-4, i, 0)).collect();
    bytes.extend((50..60).flat_map(|i| encode(2, 6e-3, i, 0)));
    let found: Vec<f64> = decode(&bytes)[48..].iter().map(|sample| sample.amperes).collect();
    // 0.18 of the new, again and again.
    let mean = |n: i32| 6e-3 - (6e-3 - 4e-4) * 0.82f64.powi(n);
    let expected = [4e-4, 4e-4, mean(1), mean(2), mean(3), 6e-3, 6e-3];
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 2.0 * step(2), "{found} is not {expected}");
    }
}

#[test]
fn the_coarsest_range_settles_more_slowly() {
    let mut bytes: Vec<u8> = (0..50).flat_map(|i| encode(3, 20e-3, i, 0)).collect();
    bytes.extend((50..56).flat_map(|i| encode(4, 0.5, i, 0)));
    let found: Vec<f64> = decode(&bytes)[49..].iter().map(|sample| sample.amperes).collect();
    // Two samples are not believed at all; the third counts 0.06.
    let expected = [20e-3, 20e-3, 20e-3, 20e-3 + 0.06 * 0.48, 0.5, 0.5];
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 2.0 * step(4), "{found} is not {expected}");
    }
}

/// A kit on the other end of a line: it answers, and sends samples while it is told to.
#[derive(Clone, Default)]
struct Kit {
    commands: Arc<Mutex<Vec<u8>>>,
    answers: VecDeque<u8>,
    running: bool,
    sent: usize,
    /// Samples after which it falls silent.
    most: usize,
    mute: bool,
}

impl Write for Kit {
    fn write(&mut self, command: &[u8]) -> io::Result<usize> {
        self.commands.lock().unwrap().extend_from_slice(command);
        match command {
            [0x19] if !self.mute => self.answers.extend(METADATA.bytes()),
            [0x06] => self.running = true,
            [0x07] => self.running = false,
            _ => {}
        }
        Ok(command.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Kit {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.running && self.answers.is_empty() {
            let until = (self.sent + 250).min(self.most);
            // D0 is high for 40 of every 100 samples, in which 10 mA flow instead of 1.
            for i in self.sent..until {
                let high = i % 100 >= 30 && i % 100 < 70;
                self.answers.extend(encode(3, if high { 10e-3 } else { 1e-3 }, i, u8::from(high)));
            }
            self.sent = until;
        }
        // Never what was asked for: serial lines give what has come.
        let length = buffer.len().min(self.answers.len()).min(333);
        self.answers.drain(..length).zip(buffer).for_each(|(byte, place)| *place = byte);
        Ok(length)
    }
}

#[test]
fn a_kit_is_stopped_asked_set_and_started_in_this_order() {
    let kit = Kit { most: 1000, ..Kit::default() };
    let commands = kit.commands.clone();
    drop(Ppk2::start("/dev/ttyACM0", kit.clone(), Mode::Source(VOLTS)).unwrap());
    // 3300 mV are 0x0ce4.
    let expected = [0x07, 0x19, 0x11, 2, 0x0d, 0x0c, 0xe4, 0x0c, 1, 0x06, 0x07];
    assert_eq!(*commands.lock().unwrap(), expected);
    commands.lock().unwrap().clear();
    drop(Ppk2::start("/dev/ttyACM0", kit, Mode::Ampere(VOLTS)).unwrap());
    assert_eq!(commands.lock().unwrap()[2..4], [0x11, 1]);
}

#[test]
fn a_recording_has_the_kits_time_and_pins() {
    let kit = Kit { most: 10_000, ..Kit::default() };
    let recording = Ppk2::start("x", kit, Mode::Source(VOLTS)).unwrap().record(0.02).unwrap();
    assert_eq!(recording.samples.len(), 2001);
    assert!((recording.seconds() - 0.02).abs() < 1e-12);
    assert_eq!((recording.lost, recording.pins.len()), (0, 8));
    let high = recording.samples.iter().filter(|sample| sample.pins == 1);
    let watts: Vec<f32> = high.map(|sample| sample.watts).collect();
    assert_eq!(watts.len(), 800);
    assert!(watts.iter().all(|watts| (watts - 0.033).abs() < 2e-4), "{watts:?}");
}

#[test]
fn a_running_kit_counts_energy() {
    let kit = Kit { most: 1000, ..Kit::default() };
    let mut source = Ppk2::start("x", kit, Mode::Ampere(VOLTS)).unwrap();
    let mut last = 0.0;
    // 1000 samples of 4 bytes, at most 333 bytes at a time.
    for _ in 0..20 {
        let Energy::Joules(joules) = source.read().unwrap() else { panic!("power") };
        assert!(joules >= last);
        last = joules;
    }
    let expected = VOLTS * 1e-5 * (400.0 * 10e-3 + 600.0 * 1e-3);
    assert!((last / expected - 1.0).abs() < 0.01, "{last} is not {expected}");
}

#[test]
fn what_is_no_kit_is_given_up() {
    let mute = Kit { mute: true, ..Kit::default() };
    let error = Ppk2::start("/dev/ttyS0", mute, Mode::Source(VOLTS)).err().unwrap();
    assert!(error.to_string().contains("nothing there answers"), "{error}");
    let kit = Kit { most: 100, ..Kit::default() };
    let error = Ppk2::start("x", kit, Mode::Source(VOLTS)).unwrap().record(1.0).unwrap_err();
    assert!(error.to_string().contains("stopped sending"), "{error}");
}

#[test]
fn the_mode_and_the_voltage_must_be_said() {
    assert_eq!(parse("/dev/ttyACM0,source=3.3").unwrap(), ("/dev/ttyACM0".to_owned(), Mode::Source(3.3)));
    assert_eq!(parse("COM3,ampere=1.8").unwrap().1.volts(), 1.8);
    for line in [
        "/dev/ttyACM0",
        "/dev/ttyACM0,source",
        "/dev/ttyACM0,source=x",
        "x,source=5.1",
        "x,meter=3",
        "x,source=NaN",
    ] {
        assert!(parse(line).unwrap_err().to_string().contains("source=3.3"), "{line}");
    }
}

/// Of all that terminals translate, echo or act upon, a serial line of bytes does nothing.
#[cfg(target_os = "linux")]
#[test]
fn a_serial_line_gives_bytes_as_they_are() {
    use std::fs::{File, read_link};
    use std::os::fd::AsRawFd;
    use whit_converter::energy::ppk2::serial::open;

    let pty = nix::pty::openpty(None, None).unwrap();
    let path = read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).unwrap();
    let (mut kit, mut line) = (File::from(pty.master), open(&path).unwrap());
    let bytes = [0x03, b'\r', b'\n', 0x04, 0x11, 0x13, 0x1a, 0x7f, 0xff, 0x00];
    kit.write_all(&bytes).unwrap();
    let mut found = [0; 10];
    line.read_exact(&mut found).unwrap();
    assert_eq!(found, bytes);
    assert_eq!(line.read(&mut found).unwrap(), 0, "it waits, but not for ever");
    line.write_all(&[0x0d, 0x0c, 0xe4]).unwrap();
    kit.read_exact(&mut found[..3]).unwrap();
    assert_eq!(found[..3], [0x0d, 0x0c, 0xe4], "and echoes nothing");
    assert!(open("/dev/no-such-line".as_ref()).is_err());
    assert!(open("/dev/null".as_ref()).is_err(), "no line");
}
