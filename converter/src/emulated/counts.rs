//! What the programs that count write: a line for each piece of work, its fields apart by tabs (`whit::cost::Work`).

/// A line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Work, by a backend.
    Counted(Work, String, Option<u64>),
    /// Bytes of stack that were used at most, and that were left.
    Stack(u64, u64),
    /// Why the program ended early.
    Error(String),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A matrix × a vector.
    Product(Kind),
    /// Tokens at once.
    Prompt(u64),
    /// Tokens one by one.
    Decode(u64),
}

/// A kind of matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Its encoding.
    pub(super) weights: String,
    /// Bits in which it takes the vector.
    pub(super) activation_bits: u8,
    pub(super) rows: u32,
    pub(super) cols: u32,
}

/// Reads a line; `None` if it is something else, a text that the model wrote for instance. On Linux the count is missing:
/// the emulator says it.
pub(super) fn read(line: &str) -> Option<Line> {
    let fields: Vec<&str> = line.split('\t').collect();
    let number = |text: &str| text.parse().ok();
    let (work, rest) = match fields[..] {
        ["stack", used, left] => return Some(Line::Stack(number(used)?, number(left)?)),
        ["error", message] => return Some(Line::Error(message.to_owned())),
        ["prompt", tokens, ref rest @ ..] => (Work::Prompt(number(tokens)?), rest),
        ["decode", tokens, ref rest @ ..] => (Work::Decode(number(tokens)?), rest),
        ["product", weights, bits, rows, cols, ref rest @ ..] => {
            let kind = Kind {
                weights: weights.to_owned(),
                activation_bits: bits.parse().ok()?,
                rows: rows.parse().ok()?,
                cols: cols.parse().ok()?,
            };
            (Work::Product(kind), rest)
        }
        _ => return None,
    };
    match *rest {
        [backend] => Some(Line::Counted(work, backend.to_owned(), None)),
        [backend, count] => Some(Line::Counted(work, backend.to_owned(), Some(number(count)?))),
        _ => None,
    }
}

/// The counts that the emulator of a Linux program wrote, three for each piece of work: before it, of the two calls around
/// nothing, and of work and calls.
///
/// # Errors
/// What it wrote if it is something else.
pub(super) fn of_calls(said: &str) -> Result<Vec<u64>, String> {
    let counts: Option<Vec<u64>> = said.lines().map(|line| line.parse().ok()).collect();
    let counts = counts.ok_or_else(|| format!("the emulator did not count:\n{said}"))?;
    Ok(counts.as_chunks().0.iter().map(|&[_, calls, all]: &[u64; 3]| all.saturating_sub(calls)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_boards_and_of_linux_are_read() {
        let product = |line: &str| match read(line) {
            Some(Line::Counted(Work::Product(kind), backend, count)) => (kind, backend, count),
            other => panic!("{line}: {other:?}"),
        };
        let kind = Kind { weights: "int4/32".to_owned(), activation_bits: 8, rows: 512, cols: 64 };
        let line = "product\tint4/32\t8\t512\t64\tdsp";
        assert_eq!(product(line), (kind.clone(), "dsp".to_owned(), None));
        assert_eq!(product(&format!("{line}\t51000")), (kind, "dsp".to_owned(), Some(51_000)));
        let decode = read("decode\t16\tdsp\t99");
        assert_eq!(decode, Some(Line::Counted(Work::Decode(16), "dsp".to_owned(), Some(99))));
        assert_eq!(read("stack\t8000\t12"), Some(Line::Stack(8000, 12)));
        assert_eq!(read("error\tno room"), Some(Line::Error("no room".to_owned())));
    }

    #[test]
    fn what_a_model_writes_is_nothing() {
        for line in ["", "ROMEO:", "stack", "stack\tx\ty", "prompt\t-1\tdsp\t5", "decode\t1\tdsp\t5\t6"] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn calls_are_taken_off_the_counts() {
        assert_eq!(of_calls("1000\n40\n540\n7\n40\n41\n"), Ok(vec![500, 1]));
        assert!(of_calls("1000\nqemu: no\n").is_err());
    }
}
