//! The model in the program: text without a file or an argument.

use crate::command::{fail, json, succeed};

#[test]
fn without_an_argument_the_program_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = succeed(folder.path(), &[]);
    assert!(text.trim().len() > 100, "{text}");
    assert_eq!(succeed(folder.path(), &["run"]), text);
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
}

#[test]
fn a_lone_text_is_continued_and_a_missing_file_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = json(folder.path(), &["run", "KING RICHARD:", "-n", "40", "--json"]);
    assert_eq!((&report["file"], &report["prompt"]), (&"built-in model".into(), &"KING RICHARD:".into()));
    assert_eq!(report["generated_tokens"], 40);
    for missing in ["nothing.whit", "no/such/file"] {
        let said = fail(folder.path(), 1, &["run", missing]);
        assert!(said.starts_with(&format!("error: {missing}: cannot be read")), "{said}");
    }
    // A character that the model does not know is said, not left out.
    let said = fail(folder.path(), 1, &["run", "Łódź"]);
    assert!(said.contains("no token for the text at byte 0"), "{said}");
}
