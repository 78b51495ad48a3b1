//! The help texts, word for word: they are the command's reference.
//!
//! After a change on purpose, `WHIT_BLESS=1 cargo test -p whit-converter --test cli` writes them anew.

use crate::command::{say, succeed};
use std::path::Path;

const COMMANDS: [&str; 11] =
    ["train", "plot", "run", "apply", "import", "inspect", "verify", "eval", "bench", "energy", "report"];

#[test]
fn help_texts_are_those_on_record() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help");
    let pages = COMMANDS.map(|command| (command, vec![command, "--help"]));
    for (name, args) in [("whit", vec!["--help"])].into_iter().chain(pages) {
        let file = folder.join(format!("{name}.txt"));
        let found = succeed(&folder, &args);
        if std::env::var_os("WHIT_BLESS").is_some() {
            std::fs::write(&file, &found).expect("written");
        }
        let expected = std::fs::read_to_string(&file).expect("a text on record");
        assert_eq!(found, expected, "{}", file.display());
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = format!("whit {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(succeed(Path::new("."), &["--version"]), version);
}

#[test]
fn an_unknown_command_s_message_leads_to_the_help_which_names_all() {
    let said = say(Path::new("."), &["sing"]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    assert!(said.stderr.contains("--help"), "{}", said.stderr);
    let help = succeed(Path::new("."), &["--help"]);
    assert!(COMMANDS.iter().all(|command| help.contains(command)), "{help}");
}
