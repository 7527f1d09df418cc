//! `SECURITY.md` names a test for each promise: they exist.

use crate::names;

const SECURITY: &str = include_str!("../../SECURITY.md");

/// The promises, each with the tests that it names.
fn promises() -> Vec<(&'static str, Vec<&'static str>)> {
    let (_, behind) = SECURITY
        .split_once("## What the crate promises")
        .expect("the promises");
    let (promises, _) = behind.split_once("\n## ").expect("what comes behind them");
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in promises.lines() {
        let test = line.strip_prefix("- `").and_then(|l| l.strip_suffix('`'));
        match (test, found.last_mut()) {
            (Some(test), Some((_, tests))) => tests.push(test),
            _ if line.starts_with("**") => found.push((line, Vec::new())),
            _ => {}
        }
    }
    found
}

#[test]
fn each_promise_of_the_security_page_names_tests_that_exist() {
    let (promises, tests) = (promises(), names::all());
    assert!(promises.len() >= 8, "only {} promises", promises.len());
    for (promise, named) in &promises {
        assert!(!named.is_empty(), "nothing shows: {promise}");
        for test in named {
            assert!(tests.contains(*test), "no such test: {test}\n{promise}");
        }
    }
}
