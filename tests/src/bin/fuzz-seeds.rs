//! `fuzz-seeds FOLDER`: writes the seeds of every fuzz target to FOLDER/TARGET.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: fuzz-seeds FOLDER");
        return ExitCode::from(2);
    };
    for (target, seeds) in whit_tests::seeds::seeds() {
        let folder = Path::new(&folder).join(target);
        let write = |(i, seed): (usize, &Vec<u8>)| std::fs::write(folder.join(format!("seed-{i}")), seed);
        let written =
            std::fs::create_dir_all(&folder).and_then(|()| seeds.iter().enumerate().try_for_each(write));
        if let Err(error) = written {
            eprintln!("fuzz-seeds: {}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
