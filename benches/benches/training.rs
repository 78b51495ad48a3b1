//! Training steps of two small programs: a GPT-2-like transformer and a stack of two LSTM layers, 2,048 characters each.
//! `peers/torch_training.py` runs the same in PyTorch.
//!
//! `cargo bench -p whit-benches --bench training [-- FILTER…] [--threads N] [--steps N] [--int4] [--json]`: only programs
//! that contain one of the filters (`transformer`, `lstm`); `--int4` with what the runtime rounds in the loop. CPU seconds
//! of the process for a step, median after a warm-up, and the peak of the process' memory: with one program and one
//! thread these are what is compared.
#![allow(clippy::print_stdout)]

use serde_json::json;
use whit_benches::mode::Mode;
use whit_converter::train::{
    AdamW, Batch, Cell, Config, Model, Quantization, Recurrent, Settings, Sizes, Trainer, Transformer,
};
use whit_converter::usage::{cpu_time, peak_rss_bytes};

const VOCABULARY: u32 = 65;

/// One program: its name, model, sequences and their length.
struct Program {
    name: &'static str,
    config: Config,
    sequences: usize,
    time: usize,
}

fn programs() -> [Program; 2] {
    let sizes = Sizes {
        vocabulary: VOCABULARY,
        width: 128,
        layers: 4,
        heads: 4,
        kv_heads: 4,
        hidden: 512,
        context: 128,
        tied: false,
    };
    let lstm = Recurrent {
        cell: Cell::Lstm,
        vocabulary: VOCABULARY,
        embedding: 256,
        width: 256,
        layers: 2,
        tied: false,
    };
    let transformer = Config::Transformer(Transformer::gpt2(sizes));
    [
        Program { name: "transformer", config: transformer, sequences: 16, time: 128 },
        Program { name: "lstm", config: Config::Recurrent(lstm), sequences: 32, time: 64 },
    ]
}

/// What was asked for.
struct Options {
    filters: Vec<String>,
    settings: Settings,
    steps: usize,
    json: bool,
}

impl Options {
    fn read(arguments: Vec<String>) -> Self {
        let steps = if Mode::of(&arguments) == Mode::Measure { 20 } else { 1 };
        let optimizer = AdamW { weight_decay: 0.01, ..AdamW::default() };
        let settings = Settings { optimizer, ..Settings::default() };
        let mut options = Self { filters: Vec::new(), settings, steps, json: false };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|n| n.parse().ok()).expect("a number follows");
            match argument.as_str() {
                "--threads" => options.settings.threads = number(),
                "--steps" => options.steps = number(),
                "--int4" => options.settings.quantization = Quantization::INT4,
                "--json" => options.json = true,
                other if other.starts_with("--") => {}
                _ => options.filters.push(argument),
            }
        }
        options
    }

    fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter))
    }
}

fn main() {
    let options = Options::read(std::env::args().skip(1).collect());
    for program in programs().iter().filter(|program| options.wants(program.name)) {
        measure(program, &options);
    }
}

fn measure(program: &Program, options: &Options) {
    let tokens = program.sequences * program.time;
    let mut random = whit::sampler::Random::new(1);
    let text: Vec<u32> = (0..=tokens).map(|_| random.next_u32() % VOCABULARY).collect();
    let batch = Batch { tokens: &text[..tokens], targets: &text[1..], time: program.time };
    let model = Model::new(&program.config, 1).expect("both programs are possible");
    let mut trainer = Trainer::new(model, options.settings);
    let mut state = trainer.model().state(program.sequences);
    let mut seconds: Vec<f64> = Vec::new();
    for step in 0..3 + options.steps {
        let start = cpu_time();
        trainer.step(&batch, &mut state, 1e-3).expect("the batch fits");
        let spent = cpu_time().zip(start).map_or(f64::NAN, |(end, start)| (end - start).as_secs_f64());
        seconds.extend((step >= 3).then_some(spent));
    }
    seconds.sort_by(f64::total_cmp);
    let (median, peak) = (seconds[seconds.len() / 2], peak_rss_bytes().unwrap_or(0));
    let per_second = tokens as f64 / median;
    if options.json {
        let line = json!({
            "engine": "whit", "program": program.name, "threads": options.settings.threads,
            "int4": options.settings.quantization == Quantization::INT4, "seconds": median,
            "least_seconds": seconds[0], "tokens_per_cpu_second": per_second, "peak_bytes": peak,
        });
        println!("{line}");
    } else {
        let (ms, megabytes) = (median * 1e3, peak as f64 / 1e6);
        println!(
            "{:12} {ms:6.1} CPU ms a step, {per_second:6.0} tokens/CPU s, {megabytes:.0} MB",
            program.name
        );
    }
}
