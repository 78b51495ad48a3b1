//! The command `whit`. Everything it does is in the library, everything it says in `cli`.

fn main() -> std::process::ExitCode {
    whit_converter::cli::main()
}
