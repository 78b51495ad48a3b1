//! `tiny-model FILE`: writes the model that the tests include, from its stated seed; the same bytes every time.

fn main() -> std::process::ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: tiny-model FILE");
        return std::process::ExitCode::from(2);
    };
    let bytes = whit_tests::whole::tiny();
    match std::fs::write(&path, &bytes[..]) {
        Ok(()) => {
            println!("{}: {} bytes, seed {}", path.display(), bytes.len(), whit_tests::whole::TINY_SEED);
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tiny-model: cannot write {}: {error}", path.display());
            std::process::ExitCode::FAILURE
        }
    }
}
