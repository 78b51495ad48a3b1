//! Whether cargo wants a measurement: `cargo bench` passes `--bench`; `cargo test --benches` does not, and only asks
//! whether the program still runs.

/// What a benchmark is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything that was asked for.
    Measure,
    /// The smallest part, once: a test.
    Try,
}

impl Mode {
    /// As the arguments of the program say.
    pub fn of(arguments: &[String]) -> Self {
        let has = |flag| arguments.iter().any(|argument| argument == flag);
        if has("--bench") && !has("--test") { Self::Measure } else { Self::Try }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cargo_bench_measures() {
        let of = |arguments: &[&str]| Mode::of(&arguments.iter().map(|&a| a.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["int8", "--bench"]), Mode::Measure);
        assert_eq!(of(&[]), Mode::Try);
        assert_eq!(of(&["--bench", "--test"]), Mode::Try);
        assert_eq!(of(&["--test-threads=1", "--nocapture"]), Mode::Try);
    }
}
