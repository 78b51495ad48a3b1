//! One model on one core: building, running, and what the lines say.

use super::build::{self, Region, Unbuilt};
use super::core::{Board, Core};
use super::counts::{self, Kind, Line, Work};
use super::{EmulatedError, Memory, Product, Report, Step, elf, emulator};
use crate::bench::origin;
use crate::inspect::{decode_macs_per_token, encoding_name, is_looked_up};
use std::path::{Path, PathBuf};
use std::process::Command;
use whit::format::TensorEntry;
use whit::{Model, SessionOptions};

/// A model that is being counted.
pub(super) struct Counting {
    model: PathBuf,
    core: Core,
    tokens: [usize; 2],
    /// The matrices of a decoded token.
    matrices: Vec<Kind>,
    report: Report,
}

impl Counting {
    pub(super) fn new(
        path: &Path,
        core: Core,
        model: &Model<'_>,
        options: SessionOptions,
        tokens: [usize; 2],
    ) -> Result<Self, String> {
        let (file, absolute) = (model.file(), std::path::absolute(path).map_err(|error| error.to_string())?);
        let multiplied = |entry: &TensorEntry| entry.role.is_matrix() && !is_looked_up(file, entry.role);
        let matrices = file.tensors.entries().filter(multiplied).map(|entry| Kind {
            weights: encoding_name(entry.encoding),
            activation_bits: 8 * entry.activations.digits() as u8,
            rows: entry.rows,
            cols: entry.cols,
        });
        let matrices = matrices.collect();
        let report = Report {
            file: path.display().to_string(),
            file_bytes: file.bytes().len() as u64,
            fingerprint: format!("{:016x}", file.fingerprint()),
            core: core.name(),
            emulator: emulator::version(core.place()),
            target: core.place().target(),
            batch: options.batch,
            decode_macs_per_token: decode_macs_per_token(file),
            arena_bytes: model.arena_size(&options).map_err(|error| error.to_string())?,
            version: origin::VERSION.to_owned(),
            commit: origin::COMMIT.to_owned(),
            date: origin::now(),
            ..Report::default()
        };
        Ok(Self { model: absolute, core, tokens, matrices, report })
    }

    pub(super) fn on_board(
        &mut self,
        board: Board,
        checkout: &Path,
        at: &mut impl FnMut(Step),
    ) -> Result<(), EmulatedError> {
        let script = checkout.join("firmware/boards/emulated/memory").join(board.memory);
        let text = std::fs::read_to_string(&script).unwrap_or_default();
        let available = |region| build::available(&text, region);
        let (Some(flash), Some(ram)) = (available(Region::Flash), available(Region::Ram)) else {
            return Err(format!("{}: says nothing of the board's memory", script.display()).into());
        };
        let fits = |what, needed, available| {
            if needed <= available { Ok(()) } else { Err(self.too_large(board, what, needed, available)) }
        };
        fits("the file alone", self.report.file_bytes, flash)?;
        fits("the session's arena alone", self.report.arena_bytes as u64, ram)?;
        let image = build::image(checkout, board.target, &self.model, self.tokens);
        let image = image.map_err(|unbuilt| match unbuilt {
            Unbuilt::Overflow(Region::Flash, excess) => {
                self.too_large(board, "the program with the model in it", flash + excess, flash)
            }
            Unbuilt::Overflow(Region::Ram, excess) => {
                self.too_large(board, "the program's memory", ram + excess, ram)
            }
            Unbuilt::Failed(said) => said.into(),
        })?;
        let elf = std::fs::read(&image).map_err(|error| format!("{}: {error}", image.display()))?;
        let sizes = elf::sizes(&elf).ok_or_else(|| format!("{}: is no program", image.display()))?;
        let lines = self.lines(emulator::board(board, &image), at);
        let (lines, _) = lines.map_err(|said| {
            format!(
                "{said}; beside its statics the board has {} bytes for the stack",
                ram.saturating_sub(sizes.statics)
            )
        })?;
        let Some(Line::Stack(used, left)) = lines.last().cloned() else {
            return Err("the board's program ended before its end".to_owned().into());
        };
        if left == 0 {
            return Err(self.too_large(board, "its stack, with its statics,", sizes.statics + used, ram));
        }
        self.report.board = Some(board.machine);
        self.report.memory = Some(Memory::new(sizes, self.report.file_bytes, used, [flash, ram]));
        self.add(&lines[..lines.len() - 1], None)
    }

    pub(super) fn on_linux(
        &mut self,
        cpu: &'static str,
        checkout: &Path,
        at: &mut impl FnMut(Step),
    ) -> Result<(), EmulatedError> {
        let failed = |unbuilt| match unbuilt {
            Unbuilt::Failed(said) => said,
            Unbuilt::Overflow(..) => "the program that counts has no room".to_owned(),
        };
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let counter = build::counter(checkout, folder.path()).map_err(failed)?;
        let program = build::program(checkout).map_err(failed)?;
        let mut command = emulator::linux(cpu, &counter, &program);
        command.arg(&self.model).args(self.tokens.map(|tokens| tokens.to_string()));
        let (lines, said) = self.lines(command, at)?;
        self.add(&lines, Some(&counts::of_calls(&said)?))
    }

    /// The lines that the program writes, and what the emulator says.
    fn lines(&self, command: Command, at: &mut impl FnMut(Step)) -> Result<(Vec<Line>, String), String> {
        let mut kinds = self.matrices.clone();
        kinds.sort_by_key(|kind| (kind.weights.clone(), kind.activation_bits, kind.rows, kind.cols));
        kinds.dedup();
        let all = kinds.len() + 2;
        let mut lines = vec![];
        at(Step::Counting(0, all));
        let said = emulator::run(command, |line| {
            lines.extend(counts::read(line));
            at(Step::Counting(lines.len().min(all), all));
        });
        match (lines.last(), said) {
            (Some(Line::Error(message)), _) => Err(format!("{}: {message}", self.core.name())),
            (_, said) => Ok((lines, said?)),
        }
    }

    /// What the lines say, with the counts that are not in them.
    fn add(&mut self, lines: &[Line], counts: Option<&[u64]>) -> Result<(), EmulatedError> {
        if counts.is_some_and(|counts| counts.len() != lines.len()) {
            return Err("the emulator did not count every piece of work".to_owned().into());
        }
        for (i, line) in lines.iter().enumerate() {
            let Line::Counted(work, backend, own) = line else { continue };
            let Some(count) = own.or_else(|| counts.map(|counts| counts[i])) else {
                return Err(format!("{}: a count is missing", self.core.name()).into());
            };
            match work {
                Work::Product(kind) => self.add_product(kind, backend, count),
                &Work::Prompt(tokens) => {
                    self.report.prompt_tokens = tokens;
                    self.report.prompt_instructions_per_token = count as f64 / tokens as f64;
                }
                &Work::Decode(tokens) => {
                    self.report.decode_tokens = tokens;
                    self.report.decode_instructions_per_token = count as f64 / tokens as f64;
                    self.report.backend.clone_from(backend);
                }
            }
        }
        if self.report.decode_tokens > 0 { Ok(()) } else { Err("no token was counted".to_owned().into()) }
    }

    fn add_product(&mut self, kind: &Kind, backend: &str, instructions: u64) {
        let is_float = matches!(&*kind.weights, "f32" | "f16");
        let digits = u64::from(kind.activation_bits / 8);
        let macs = u64::from(kind.rows) * u64::from(kind.cols) * digits;
        self.report.products.push(Product {
            backend: backend.to_owned(),
            weights: kind.weights.clone(),
            activation_bits: (!is_float).then_some(kind.activation_bits),
            rows: kind.rows,
            cols: kind.cols,
            matrices: self.matrices.iter().filter(|matrix| *matrix == kind).count() as u64,
            macs,
            instructions,
            instructions_per_mac: instructions as f64 / macs as f64,
        });
    }

    /// What was counted.
    pub(super) fn report(mut self) -> Report {
        self.report.add_product_share();
        self.report
    }

    fn too_large(&self, board: Board, what: &'static str, needed: u64, available: u64) -> EmulatedError {
        EmulatedError::TooLarge {
            file: self.report.file.clone(),
            machine: board.machine,
            core: self.core.name(),
            what,
            needed,
            available,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::built_in;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

    /// The built-in model, of which nothing is counted yet.
    fn counting(core: Core, options: impl Fn(SessionOptions) -> SessionOptions) -> Counting {
        let model = Model::parse(built_in::MODEL).expect("the built-in model");
        let options = options(model.options(4));
        Counting::new(Path::new("model.whit"), core, &model, options, [4, 4]).expect("it can be made")
    }

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| counts::read(text).expect("a line")).collect()
    }

    const LINES: [&str; 4] = [
        "product\tint4/32\t8\t512\t128\tneon",
        "product\tint8\t8\t65\t128\tneon",
        "prompt\t4\tneon",
        "decode\t4\tneon",
    ];

    #[test]
    fn lines_and_counts_become_figures() {
        let mut counting = counting(Core::CortexA53, |options| options);
        counting.add(&lines(&LINES), Some(&[20_000, 3_000, 300_000, 400_000])).expect("all is there");
        let report = counting.report();
        assert_eq!(report.decode_instructions_per_token, 100_000.0);
        assert_eq!((report.prompt_instructions_per_token, report.prompt_tokens), (75_000.0, 4));
        let matrices: u64 = report.products.iter().map(|product| product.matrices * product.macs).sum();
        assert_eq!(matrices, report.decode_macs_per_token);
        // Input and state of both layers, and the head.
        assert_eq!(report.product_share, (4.0 * 20_000.0 + 3_000.0) / 100_000.0);
    }

    #[test]
    fn counts_that_are_missing_are_an_error() {
        let mut counting = counting(Core::CortexA53, |options| options);
        assert!(counting.add(&lines(&LINES), Some(&[1, 2, 3])).is_err());
        assert!(counting.add(&lines(&LINES), None).is_err());
        assert!(counting.add(&[], Some(&[])).is_err());
    }

    #[test]
    fn a_model_that_cannot_fit_is_refused_before_anything_is_built() {
        let super::super::core::Place::Board(microbit) = Core::CortexM0.place() else {
            panic!("it is a board")
        };
        // A history that no micro:bit has room for.
        let mut large = counting(Core::CortexM0, |options| SessionOptions { context: 5000, ..options });
        let error = large.on_board(microbit, Path::new(ROOT), &mut |_| ()).expect_err("it is too large");
        let EmulatedError::TooLarge { needed, available, .. } = error else { panic!("{error}") };
        assert_eq!(available, 16 * 1024);
        assert!(needed > 20_000, "{needed}");
        let mut large = counting(Core::CortexM0, |options| options);
        large.report.file_bytes = 1 << 20;
        let error = large.on_board(microbit, Path::new(ROOT), &mut |_| ()).expect_err("it is too large");
        let said = error.to_string();
        assert!(said.contains("1048576") && said.contains("262144") && said.contains("microbit"), "{said}");
    }
}
