//! The command line: arguments in, text or JSON out. Data goes to stdout; progress, notes and errors to stderr.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no source of energy, 4 a program is not
//! installed that the work needs. A reader that closes the pipe early is no failure.

mod apply;
mod bench;
mod compute;
mod conversion;
mod energy;
mod energy_args;
mod eval;
mod failure;
mod import;
mod inspect;
mod integer;
mod interrupt;
mod model_file;
mod output;
mod plot;
mod progress;
mod report;
mod run;
mod table;
mod train;
mod verify;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Small language models from one file, with the same bits on every core.
#[derive(Debug, Parser)]
#[command(name = "whit", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Without a command, the built-in model writes. Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, \
                  3 no source of energy, 4 a program that is needed is not installed."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Apply(apply::Args),
    Import(import::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Eval(eval::Args),
    Bench(bench::Args),
    Energy(energy::Args),
    Report(report::Args),
    Train(Box<train::Args>),
    Plot(plot::Args),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too. Nobody is left to tell if stdout or stderr is closed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    // Nothing asked for: the model in the program writes.
    let command = cli.command.or_else(|| Cli::parse_from(["whit", "run"]).command);
    let Some(command) = command else { unreachable!("`run` is a command") };
    let result = match command {
        Command::Run(args) => run::run(args),
        Command::Apply(args) => apply::run(args),
        Command::Import(args) => import::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Energy(args) => energy::run(args),
        Command::Report(args) => report::run(args),
        Command::Train(args) => train::run(*args),
        Command::Plot(args) => plot::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
