//! What goes wrong is said on stderr, with the right exit code, and leaves nothing behind.

use crate::command::{fail, names, say, succeed, whit};
use crate::made_up::{CHECKPOINT, TOKENIZER, checkpoint, imported, weight, write, write_large};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use tempfile::tempdir;
use whit::kernels::Backend;

const IMPORT: [&str; 4] = ["import", CHECKPOINT, "--tokenizer", TOKENIZER];

fn import(more: &[&'static str]) -> Vec<&'static str> {
    [&IMPORT, more].concat()
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_right() {
    let folder = imported("f32");
    let cases: [(&[&str], &str); 10] = [
        (&["sing"], "unrecognized subcommand 'sing'"),
        (&["run", "m.whit", "--tune", "high"], "--tune"),
        (
            &["run", "m.whit", "--temperature", "-1"],
            "--temperature: expected 0 (greedy) or 0.01 to 100, found -1",
        ),
        (&["run", "m.whit", "--top-p", "2"], "--top-p: expected 0 to 1"),
        (&["run", "m.whit", "--context", "49"], "at most 48"),
        (&["run", "m.whit", "--stop", ""], "--stop: "),
        (&["run", "m.whit", "--weights", "int8"], "are for checkpoints"),
        (&["inspect", "m.whit", "--threads", "0"], "0 is not in 1..=256"),
        (&["import", CHECKPOINT, "--weights", "int8", "--group", "32"], "only int4 has groups"),
        (&["import", CHECKPOINT, "--weights", "int4", "--group", "33"], "expected 16, 32, 64, 128, or 0"),
    ];
    for (args, expected) in cases {
        let message = fail(folder.path(), 2, args);
        assert!(message.contains(expected), "{args:?}: {message}");
    }
}

#[test]
fn an_unknown_backend_is_answered_with_those_that_there_are() {
    let folder = imported("f32");
    let args = ["run", "m.whit", "-n", "1"];
    let said = whit(folder.path(), &args).env("WHIT_BACKEND", "abacus").output().unwrap();
    assert_eq!(said.status.code(), Some(2));
    let message = String::from_utf8(said.stderr).unwrap();
    assert!(message.contains("`abacus`"), "{message}");
    assert!(Backend::available().all(|backend| message.contains(backend.name())), "{message}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempdir().unwrap();
    let none = "none.whit";
    let commands: [&[&str]; 7] = [
        &["run", none],
        &["import", none],
        &["inspect", none],
        &["verify", none],
        &["eval", none, "--text", "text"],
        &["bench", none],
        &["run", "none.bin", "--tokenizer", "none"],
    ];
    for args in commands {
        let message = fail(folder.path(), 1, args);
        assert!(message.starts_with("error: none."), "{message}");
        assert!(message.contains("cannot be read"), "{message}");
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn what_is_no_model_is_refused_with_advice() {
    let folder = imported("int8");
    std::fs::write(folder.path().join("text.whit"), "Once upon a time, there was a file.").unwrap();
    std::fs::write(folder.path().join("empty.whit"), "").unwrap();
    let message = fail(folder.path(), 1, &["run", "text.whit"]);
    assert!(message.contains("`whit import` makes a .whit file"), "{message}");
    assert!(fail(folder.path(), 1, &["inspect", "empty.whit"]).contains("cut short"));
    assert!(fail(folder.path(), 1, &["verify", "."]).contains("found a directory"));
    assert!(fail(folder.path(), 1, &["import", "m.whit"]).contains("it needs no import"));
}

#[test]
fn damage_is_found() {
    let folder = imported("int8");
    let path = folder.path().join("m.whit");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(fail(folder.path(), 1, &["inspect", "m.whit"]).contains("m.whit: the file is cut short"));
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let said = say(folder.path(), &["verify", "m.whit"]);
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("FAILED  payload"), "{}", said.stdout);
    assert!(said.stderr.contains("m.whit: "), "{}", said.stderr);
}

#[test]
fn a_prompt_that_does_not_fit_is_an_error() {
    let folder = imported("f32");
    let message = fail(folder.path(), 1, &["run", "m.whit", "abcdefgh", "--context", "5"]);
    assert!(message.contains("prompt: expected at most 5 tokens, found"), "{message}");
}

#[test]
fn a_full_context_is_a_note_unless_more_was_asked_for() {
    let folder = imported("f32");
    // Nothing but the context ends this text: no token is banned, but the two that end texts are improbable.
    let said = say(folder.path(), &["run", "m.whit", "abc", "--seed", "3", "--context", "6"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("the context of 6 positions is full"), "{}", said.stderr);
    let said = say(folder.path(), &["run", "m.whit", "abc", "--seed", "3", "--context", "6", "-n", "40"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("--max-tokens 40"), "{}", said.stderr);
}

#[test]
fn a_failed_import_leaves_nothing_behind() {
    let folder = tempdir().unwrap();
    write(folder.path());
    let before = names(folder.path());
    let nan = checkpoint(|i| if i == 9000 { f32::NAN } else { weight(i) });
    std::fs::write(folder.path().join(CHECKPOINT), nan).unwrap();
    assert!(fail(folder.path(), 1, &import(&[])).contains("NaN"));
    std::fs::write(folder.path().join(CHECKPOINT), &checkpoint(weight)[..5000]).unwrap();
    assert!(fail(folder.path(), 1, &import(&[])).contains("length of the file"));
    write(folder.path());
    assert!(fail(folder.path(), 1, &["import", CHECKPOINT]).contains("give --tokenizer FILE"));
    assert!(fail(folder.path(), 1, &import(&["-o", "no/such/folder/m.whit"])).contains("no/such/folder"));
    assert_eq!(names(folder.path()), before);
}

#[test]
fn what_is_no_whit_file_is_never_replaced() {
    let folder = tempdir().unwrap();
    write(folder.path());
    for out in [CHECKPOINT, TOKENIZER] {
        let message = fail(folder.path(), 1, &import(&["-o", out]));
        assert!(message.contains("not a .whit file, so it is not replaced"), "{message}");
    }
    assert_eq!(std::fs::read(folder.path().join(CHECKPOINT)).unwrap(), checkpoint(weight));
}

#[test]
fn an_interrupted_import_leaves_nothing_behind() {
    let folder = tempdir().unwrap();
    write_large(folder.path());
    let before = names(folder.path());
    let mut child =
        whit(folder.path(), &import(&["--weights", "int4"])).stderr(Stdio::piped()).spawn().unwrap();
    // The unfinished file shows that the import is under way.
    while names(folder.path()) == before {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        std::thread::yield_now();
    }
    let id = i32::try_from(child.id()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGINT).unwrap();
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{message}");
    assert!(message.contains("interrupted"), "{message}");
    assert_eq!(names(folder.path()), before);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = imported("f32");
    for args in [&["run", "m.whit", "abc"] as &[_], &["inspect", "m.whit"]] {
        let mut command = whit(folder.path(), args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let said = child.wait_with_output().unwrap();
        assert_eq!(said.status.code(), Some(0));
        assert!(!String::from_utf8(said.stderr).unwrap().contains("error"));
    }
}

#[test]
fn a_prompt_from_stdin_must_be_text() {
    let folder = imported("f32");
    let run = |bytes: &[u8]| {
        let mut command = whit(folder.path(), &["run", "m.whit", "-", "-n", "0"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(run("a\nb".as_bytes()), (Some(0), "a\nb".to_owned()));
    assert_eq!(run(b"\xff"), (Some(1), String::new()));
}

#[test]
fn the_default_output_is_the_input_with_another_ending_in_the_current_directory() {
    let (folder, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    write(folder.path());
    let path = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
    succeed(elsewhere.path(), &["import", &path(CHECKPOINT), "--tokenizer", &path(TOKENIZER)]);
    assert_eq!(names(elsewhere.path()), ["made.up.whit"]);
    assert!(Path::new(CHECKPOINT).extension().is_some());
}
