//! Every requirement of the draft, and what becomes of it: shown by tests, somebody else's, or
//! declined with a reason. `sentences.json` is what the draft says (`extract.py` wrote it),
//! `mapping.rs` what we say to it, `RESULTS.md` both side by side.
//!
//! `UPDATE=1 cargo test --test spec` writes `RESULTS.md` anew.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod mapping;
mod names;
mod results;
mod security;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{self, Write},
    path::PathBuf,
};

use mapping::{How, MAPPING, PENDING};
use serde_json::Value;

/// One sentence of the draft that demands something.
#[derive(Debug)]
struct Sentence {
    id: String,
    section: String,
    level: String,
    text: String,
}

/// `sentences.json`.
#[derive(Debug)]
struct Draft {
    name: String,
    sha256: String,
    /// Titles, by number.
    sections: BTreeMap<String, String>,
    /// In the order of the draft.
    sentences: Vec<Sentence>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Draft {
    fn read() -> Self {
        let json: Value = serde_json::from_str(include_str!("sentences.json")).unwrap();
        let sections = json["sections"].as_object().unwrap();
        let sentences = json["sentences"].as_array().unwrap();
        Self {
            name: text(&json["draft"]),
            sha256: text(&json["sha256"]),
            sections: sections
                .iter()
                .map(|(number, title)| (number.clone(), text(title)))
                .collect(),
            sentences: sentences
                .iter()
                .map(|sentence| Sentence {
                    id: text(&sentence["id"]),
                    section: text(&sentence["section"]),
                    level: text(&sentence["level"]),
                    text: text(&sentence["text"]),
                })
                .collect(),
        }
    }
}

/// Past the capture of the test harness: what is counted is to be seen when all is well, too.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

#[test]
fn every_sentence_has_one_entry_and_every_entry_its_sentence() {
    let draft = Draft::read();
    let mapped = MAPPING.iter().map(|entry| entry.id);
    let pending = PENDING.iter().map(|entry| entry.id);
    let mut entries = BTreeSet::new();
    let twice: Vec<_> = mapped
        .chain(pending)
        .filter(|&id| !entries.insert(id))
        .collect();
    let sentences: BTreeSet<_> = draft.sentences.iter().map(|s| s.id.as_str()).collect();
    let without_entry: Vec<_> = sentences.difference(&entries).collect();
    let without_sentence: Vec<_> = entries.difference(&sentences).collect();
    assert!(
        twice.is_empty() && without_entry.is_empty() && without_sentence.is_empty(),
        "more than one entry: {twice:?}\nno entry: {without_entry:?}\n\
        no such sentence: {without_sentence:?}"
    );
}

#[test]
fn every_test_that_is_named_exists() {
    let tests = names::all();
    assert!(tests.len() > 500, "only {} tests were found", tests.len());
    let mut missing = Vec::new();
    for entry in MAPPING {
        for &test in entry.how.tests() {
            if !tests.contains(test) {
                missing.push(format!("{}: {test}", entry.id));
            }
        }
    }
    assert!(missing.is_empty(), "no such test:\n{}", missing.join("\n"));
}

#[test]
fn every_entry_names_tests_or_gives_a_reason() {
    for entry in MAPPING {
        match entry.how {
            How::Shown(tests) => assert!(!tests.is_empty(), "{}", entry.id),
            How::Binds(_, reason, _) | How::Declined(reason) => {
                assert!(
                    reason.ends_with('.'),
                    "{}: a reason is a sentence",
                    entry.id
                );
            }
        }
    }
}

#[test]
fn no_must_is_declined() {
    let draft = Draft::read();
    for sentence in &draft.sentences {
        let entry = MAPPING.iter().find(|entry| entry.id == sentence.id);
        let is_declined = entry.is_some_and(|entry| matches!(entry.how, How::Declined(_)));
        assert!(
            !is_declined || sentence.level.starts_with("SHOULD"),
            "{}: {}",
            sentence.id,
            sentence.text
        );
    }
}

#[test]
fn the_results_are_what_the_mapping_gives() {
    let draft = Draft::read();
    let results = results::write(&draft);
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/spec/RESULTS.md"]
        .iter()
        .collect();
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &results).unwrap();
    }
    say(&format!("\n{}", results::counts(&draft)));
    let tests = names::all();
    for pending in PENDING {
        let is_there = pending.expected.iter().all(|&test| tests.contains(test));
        let state = if is_there { "is there" } else { "expected" };
        let names = pending.expected.join(", ");
        say(&format!("PENDING {}: {state}: {names}", pending.id));
    }
    let is_current = fs::read_to_string(&path).is_ok_and(|written| written == results);
    assert!(
        is_current,
        "tests/spec/RESULTS.md is not what the mapping gives: `UPDATE=1 cargo test --test spec` \
        writes it"
    );
}
