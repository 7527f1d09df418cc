//! What was measured, as data: kept in `results/`, a file for each section, and written out as
//! `RESULTS.md`. A run of one section renews that one alone.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::running;

/// One counterpart or one kind of test, measured in one go.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Section {
    /// The name of its file.
    pub(crate) id: String,
    pub(crate) title: String,
    /// When it was measured: year, month, day.
    pub(crate) date: String,
    /// Of everything that took part.
    pub(crate) versions: BTreeMap<String, String>,
    /// How it was measured, in a sentence or two.
    pub(crate) notes: Vec<String>,
    pub(crate) tables: Vec<Table>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// What the rows are, and then what was measured. A cell of a row for each but the first.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) cells: Vec<Cell>,
}

/// One result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) verdict: Verdict,
    /// What was measured, in few words.
    pub(crate) measured: String,
    /// For all but a pass: what was expected instead, and the evidence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As expected.
    Pass,
    /// The peer does otherwise than the draft says, and our side is true about it.
    Deviation,
    /// The peer cannot do it.
    Unsupported,
    /// It could not be run here.
    Skipped,
    /// We are wrong, or nobody knows yet.
    Failure,
    /// There is nothing to measure.
    Nothing,
}

impl Cell {
    pub(crate) fn pass(measured: impl Into<String>) -> Self {
        Self::new(Verdict::Pass, measured, "")
    }

    pub(crate) fn deviation(measured: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Verdict::Deviation, measured, why)
    }

    pub(crate) fn unsupported(why: impl Into<String>) -> Self {
        Self::new(Verdict::Unsupported, "not supported", why)
    }

    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self::new(Verdict::Skipped, "skipped", why)
    }

    pub(crate) fn failure(measured: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Verdict::Failure, measured, why)
    }

    /// A cell that stays empty.
    pub(crate) fn nothing() -> Self {
        Self::new(Verdict::Nothing, "", "")
    }

    /// The same thing measured some times: the worst of them, and how often each came.
    pub(crate) fn of_all(cells: Vec<Self>) -> Self {
        let mut times = BTreeMap::<String, usize>::new();
        for cell in &cells {
            *times.entry(cell.measured.clone()).or_default() += 1;
        }
        let Some(mut worst) = cells.into_iter().max_by_key(|cell| match cell.verdict {
            Verdict::Nothing => None,
            verdict => Some(verdict),
        }) else {
            return Self::nothing();
        };
        if times.len() > 1 {
            let all = times
                .iter()
                .map(|(what, times)| format!("{what} ({times}×)"));
            worst.measured = all.collect::<Vec<_>>().join(", ");
        }
        worst
    }

    /// A pass if what was measured is what was expected.
    pub(crate) fn expect(measured: impl Into<String>, expected: &str) -> Self {
        let measured = measured.into();
        if measured == expected {
            Self::pass(measured)
        } else {
            Self::failure(measured, format!("expected: {expected}"))
        }
    }

    fn new(verdict: Verdict, measured: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            verdict,
            measured: measured.into(),
            why: why.into(),
        }
    }
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, cells: impl IntoIterator<Item = Cell>) -> Self {
        let row = Self {
            name: name.into(),
            cells: cells.into_iter().collect(),
        };
        // Runs are long: whoever waits sees where it is.
        for cell in &row.cells {
            if cell.verdict == Verdict::Nothing {
                continue;
            }
            let why = if cell.why.is_empty() { "" } else { " · " };
            eprintln!(
                "   {:?}: {}: {}{why}{}",
                cell.verdict, row.name, cell.measured, cell.why
            );
        }
        row
    }
}

impl Table {
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.iter().map(|&column| column.into()).collect(),
            rows: Vec::new(),
        }
    }
}

impl Section {
    /// One that is measured today, with nothing in it but the version of the crate.
    pub(crate) fn new(id: &str, title: &str) -> Self {
        let ours = env!("CARGO_PKG_NAME").trim_end_matches("-interop");
        Self {
            id: id.into(),
            title: title.into(),
            date: today(),
            versions: BTreeMap::from([(ours.into(), commit())]),
            notes: Vec::new(),
            tables: Vec::new(),
        }
    }

    pub(crate) fn version(&mut self, what: &str, version: impl Into<String>) {
        self.versions.insert(what.into(), version.into());
    }

    pub(crate) fn rows(&self) -> usize {
        self.tables.iter().map(|table| table.rows.len()).sum()
    }

    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        let rows = self.tables.iter().flat_map(|table| &table.rows);
        rows.flat_map(|row| &row.cells)
            .filter(|cell| cell.verdict == verdict)
            .count()
    }

    pub(crate) fn to_markdown(&self) -> String {
        let mut out = format!("## {}\n\n", self.title);
        let versions = self
            .versions
            .iter()
            .map(|(what, version)| format!("{what} {version}"));
        let versions = versions.collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "{}: {versions}.", self.date);
        for note in &self.notes {
            let _ = writeln!(out, "{note}");
        }
        for table in &self.tables {
            table.write(&mut out);
        }
        out.push('\n');
        out
    }
}

impl Table {
    fn write(&self, out: &mut String) {
        let _ = writeln!(out, "\n### {}\n", self.title);
        let _ = writeln!(out, "| {} |", self.columns.join(" | "));
        let _ = writeln!(out, "|{}", "---|".repeat(self.columns.len()));
        let mut notes: Vec<&str> = Vec::new();
        for row in &self.rows {
            let _ = write!(out, "| {} |", escape(&row.name));
            for cell in &row.cells {
                let measured = escape(&cell.measured);
                let mark = match cell.verdict {
                    Verdict::Pass => "",
                    Verdict::Deviation => "**deviation**: ",
                    Verdict::Unsupported | Verdict::Skipped | Verdict::Nothing => "",
                    Verdict::Failure => "**FAILURE**: ",
                };
                let _ = write!(out, " {mark}{measured}");
                if !cell.why.is_empty() {
                    let known = notes.iter().position(|&note| note == cell.why);
                    let number = known.unwrap_or_else(|| {
                        notes.push(&cell.why);
                        notes.len() - 1
                    });
                    let _ = write!(out, " [{}]", number + 1);
                }
                out.push_str(" |");
            }
            out.push('\n');
        }
        for (index, note) in notes.iter().enumerate() {
            let _ = writeln!(out, "\n[{}] {note}", index + 1);
        }
    }
}

/// Keeps a section, and assembles `RESULTS.md` anew from all that are kept.
pub(crate) fn store(section: &Section) -> anyhow::Result<()> {
    // What a signal ended is no result, and none is written in part.
    let _whole = running::uninterrupted();
    let dir = package().join("results");
    fs::create_dir_all(&dir)?;
    let file = dir.join(format!("{}.json", section.id));
    let mut json = serde_json::to_string_pretty(section)?;
    json.push('\n');
    fs::write(&file, json).with_context(|| file.display().to_string())?;

    let mut files = fs::read_dir(&dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    let mut sections = Vec::new();
    for file in files {
        let json = fs::read_to_string(&file)?;
        let section: Section =
            serde_json::from_str(&json).with_context(|| file.display().to_string())?;
        sections.push(section);
    }
    fs::write(package().join("RESULTS.md"), assemble(&sections))?;
    Ok(())
}

const HEAD: &str = "\
# What happened in front of others

Written by `cargo run --release` in this directory, from `results/`; do not edit. Every cell was
measured on the date of its section, with the commit that its first line names (a plus: and changes
that were not committed); an empty one has nothing to measure. A **deviation** is the peer's, and its
evidence is in the note; what was *skipped* could not be run there.

How to read it: E01 and the like are the ids of the crate's README. A number and a colon in front, as
in `0: peer-close`, is the session, by the id of its CONNECT stream. `o-` and `p-` begin the text of
what our side and the peer's side sent first. \"Past the crate\" is done to QUIC by the test, behind
the crate's back: the crate would not do it so. Codes of streams are the application's (draft §4.4); `None`
is a code outside their range.

";

fn assemble(sections: &[Section]) -> String {
    let mut out = String::from(HEAD);
    out.push_str("| | date | pass | deviation of the peer | not supported by the peer | skipped | failure |\n");
    out.push_str("|---|---|---|---|---|---|---|\n");
    for section in sections {
        let _ = write!(out, "| {} | {} |", section.title, section.date);
        for verdict in [
            Verdict::Pass,
            Verdict::Deviation,
            Verdict::Unsupported,
            Verdict::Skipped,
            Verdict::Failure,
        ] {
            let _ = write!(out, " {} |", section.count(verdict));
        }
        out.push('\n');
    }
    out.push('\n');
    for section in sections {
        out.push_str(&section.to_markdown());
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// The directory of this package.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where what is installed for a run is kept.
pub(crate) fn installed() -> PathBuf {
    package().join("target").join("installed")
}

/// The version of the crate: its commit where there is one, with a `+` if files differ from it.
fn commit() -> String {
    let git = |args: &[&str]| {
        let output = std::process::Command::new("git")
            .arg("-C")
            .arg(package())
            .args(args)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // Of the library alone: the results themselves are in the tree too.
    let library = [
        "status",
        "--porcelain",
        "--",
        "../../src",
        "../../Cargo.toml",
    ];
    match (git(&["rev-parse", "--short", "HEAD"]), git(&library)) {
        (Some(commit), Some(changes)) if changes.is_empty() => commit,
        (Some(commit), _) => commit + "+",
        (None, _) => "of unknown commit".into(),
    }
}

/// Year, month and day by UTC.
pub(crate) fn today() -> String {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    date(since.as_secs() / (24 * 60 * 60))
}

/// The date of a day that is so many after the first of 1970.
fn date(mut day: u64) -> String {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let days = if is_leap(year) { 366 } else { 365 };
        if day < days {
            break;
        }
        day -= days;
        year += 1;
    }
    let mut month = 1;
    for days in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        let days = if month == 2 && is_leap(year) {
            29
        } else {
            days
        };
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", day + 1)
}

/// For a cell of a table.
fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(59), "1970-03-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_780), "2026-11-23");
        assert_eq!(date(20_818), "2026-12-31");
    }

    #[test]
    fn of_many_measurements_the_worst_counts_and_all_are_told() {
        let all = vec![
            Cell::pass("a"),
            Cell::failure("b", "expected: a"),
            Cell::pass("a"),
        ];
        let cell = Cell::of_all(all);
        assert_eq!(cell.verdict, Verdict::Failure);
        assert_eq!(cell.measured, "a (2×), b (1×)");
        assert_eq!(Cell::of_all(vec![Cell::pass("a"); 3]).measured, "a");
        assert_eq!(Cell::of_all(Vec::new()).verdict, Verdict::Nothing);
    }

    #[test]
    fn a_section_says_what_it_measured_and_why_it_is_no_pass() {
        let mut section = Section::new("x", "A peer");
        let mut table = Table::new("Endings", &["ending", "reason"]);
        table.rows.push(Row::new("a", [Cell::pass("peer|close")]));
        table
            .rows
            .push(Row::new("b", [Cell::deviation("silence", "says nothing")]));
        table.rows.push(Row::new("c", [Cell::expect("1", "2")]));
        section.tables.push(table);
        assert_eq!(section.count(Verdict::Failure), 1);
        let text = section.to_markdown();
        assert!(text.contains("| a | peer\\|close |"), "{text}");
        assert!(
            text.contains("| b | **deviation**: silence [1] |"),
            "{text}"
        );
        assert!(text.contains("| c | **FAILURE**: 1 [2] |"), "{text}");
        assert!(text.contains("[2] expected: 2"), "{text}");
        assert!(assemble(&[section]).contains("| 1 | 1 | 0 | 0 | 1 |"));
    }
}
