//! `RESULTS.md`, and the counts: what a reader sees of the mapping.

use std::fmt::Write;

use crate::{
    Draft, Sentence,
    mapping::{Entry, How, MAPPING, PENDING},
};

const LEVELS: [&str; 4] = ["MUST", "MUST NOT", "SHOULD", "SHOULD NOT"];
/// Characters of a sentence that are quoted, about.
const QUOTE: usize = 150;
/// How many of them stand before the keyword.
const BEFORE: usize = 70;
const KEYWORDS: [&str; 5] = ["MUST", "SHALL", "SHOULD", "REQUIRED", "RECOMMENDED"];

fn entry_of(sentence: &Sentence) -> Option<&'static Entry> {
    MAPPING.iter().find(|entry| entry.id == sentence.id)
}

pub fn counts(draft: &Draft) -> String {
    let mut rows = vec![["", "shown", "other party", "declined", "pending"].map(str::to_owned)];
    let mut sums = [0; 4];
    for level in LEVELS {
        let mut row = [0; 4];
        for sentence in draft.sentences.iter().filter(|s| s.level == level) {
            let column = match entry_of(sentence).map(|entry| entry.how) {
                Some(How::Shown(_)) => 0,
                Some(How::Binds(..)) => 1,
                Some(How::Declined(_)) => 2,
                None => 3,
            };
            row[column] += 1;
            sums[column] += 1;
        }
        rows.push(cells(level, row));
    }
    rows.push(cells("all", sums));
    let mut table = String::new();
    for (n, [level, shown, other, declined, pending]) in rows.iter().enumerate() {
        writeln!(
            table,
            "| {level:10} | {shown:>5} | {other:>11} | {declined:>8} | {pending:>7} |"
        )
        .unwrap();
        if n == 0 {
            table.push_str("|------------|------:|------------:|---------:|--------:|\n");
        }
    }
    table
}

fn cells(level: &str, row: [usize; 4]) -> [String; 5] {
    let [shown, other, declined, pending] = row.map(|n| n.to_string());
    [level.to_owned(), shown, other, declined, pending]
}

pub fn write(draft: &Draft) -> String {
    let mut out = format!(
        "# What the draft demands, and what shows it\n\n\
        Each sentence of `{}` with MUST, SHOULD or their like; MAY demands nothing.\n\
        Written by `UPDATE=1 cargo test --test spec` from `mapping.rs` and `sentences.json`, which\n\
        `extract.py` took from the source of the draft (SHA-256 `{}`).\n\n\
        The first word of a test's name is where it is: `endings::not_an_end::…` runs with\n\
        `cargo test --test endings not_an_end::…`, `src::…` with `cargo test --lib …`.\n\n{}",
        draft.name,
        draft.sha256,
        counts(draft)
    );
    let mut section = "";
    for sentence in &draft.sentences {
        if sentence.section != section {
            section = &sentence.section;
            let title = &draft.sections[section];
            write!(
                out,
                "\n## {section} {title}\n\n| id | level | the draft | how |\n|---|---|---|---|\n"
            )
            .unwrap();
        }
        let Sentence { id, level, .. } = sentence;
        let (quote, how) = (quote(&sentence.text), how(sentence));
        writeln!(out, "| {id} | {level} | {quote} | {how} |").unwrap();
    }
    out
}

fn how(sentence: &Sentence) -> String {
    let names = |tests: &[&str]| {
        let names: Vec<_> = tests.iter().map(|test| format!("`{test}`")).collect();
        names.join("<br>")
    };
    let Some(entry) = entry_of(sentence) else {
        let pending = PENDING.iter().find(|pending| pending.id == sentence.id);
        let expected = pending.map_or_else(String::new, |pending| names(pending.expected));
        return format!("**Pending**; expected: {expected}");
    };
    let (reason, tests) = match entry.how {
        How::Shown(tests) => (entry.note.unwrap_or_default().to_owned(), tests),
        How::Binds(party, reason, tests) => (format!("**{}**: {reason}", party.name()), tests),
        How::Declined(reason) => (format!("**Declined**: {reason}"), &[][..]),
    };
    let parts = [reason, names(tests)];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("<br>")
}

/// The words round the keyword.
fn quote(text: &str) -> String {
    let text = text.replace('`', "").replace('|', "\\|");
    let keyword = KEYWORDS.iter().filter_map(|word| text.find(word)).min();
    let first = match keyword {
        Some(at) if at > BEFORE && text.len() > QUOTE => at - BEFORE,
        Some(_) | None => 0,
    };
    let mut quoted = String::new();
    let mut at = 0;
    let mut is_cut = false;
    for word in text.split_inclusive(' ') {
        is_cut = quoted.len() > QUOTE;
        if is_cut {
            break;
        }
        if at >= first {
            quoted.push_str(word);
        }
        at += word.len();
    }
    let front = if first > 0 { "… " } else { "" };
    let back = if is_cut { " …" } else { "" };
    format!("{front}{}{back}", quoted.trim_end())
}
