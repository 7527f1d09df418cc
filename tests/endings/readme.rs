//! The README's table and these tests name the same endings.

use std::{collections::BTreeSet, fs, path::Path};

/// `E01`, `N17` and their like in a text; also the ends of `N07 to N12`.
fn ids(text: &str) -> BTreeSet<String> {
    let words: Vec<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let is_id = |word: &str| {
        word.len() == 3
            && word.starts_with(['E', 'N'])
            && word[1..].bytes().all(|digit| digit.is_ascii_digit())
    };
    let mut found = BTreeSet::new();
    for (at, word) in words.iter().enumerate() {
        if !is_id(word) {
            continue;
        }
        found.insert((*word).to_owned());
        if words.get(at + 1) == Some(&"to") && words.get(at + 2).is_some_and(|word| is_id(word)) {
            let number = |word: &str| word[1..].parse::<u32>().unwrap();
            for n in number(word)..number(words[at + 2]) {
                found.insert(format!("{}{n:02}", &word[..1]));
            }
        }
    }
    found
}

/// The ids in the names of the tests beside this file.
fn tested() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/endings");
    let mut found = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        let names = source.split("#[test]").skip(1);
        for name in names.filter_map(|test| test.trim_start().strip_prefix("fn ")) {
            found.extend(ids(&name[..3.min(name.len())].to_uppercase()));
        }
    }
    found
}

#[test]
fn every_ending_in_the_readme_has_a_test_and_every_test_is_in_the_readme() {
    let readme = include_str!("../../README.md");
    assert_eq!(ids(readme), tested());
}
