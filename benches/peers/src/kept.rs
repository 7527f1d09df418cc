//! What was measured, kept in `benches/figures`: a run renews the parts that it is asked for, and says
//! of the others which run they are of.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    machine,
    measure::{Figures, Key, Result},
};

/// What can be measured by itself.
pub const PARTS: &[&str] = &["instructions", "allocations", "scaling", "time", "loopback"];

/// Which parts are measured in this run.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    asked: Vec<String>,
    date: String,
    build: String,
    machine: String,
}

/// A part.
#[derive(Debug)]
pub struct Kept<T> {
    pub figures: T,
    /// For readers; nothing of what this run measured.
    pub note: Option<String>,
}

impl Run {
    /// Without an argument all parts; `report` alone is none.
    pub fn new(benches: &Path, arguments: Vec<String>) -> Result<Self> {
        let is_part = |word: &String| PARTS.contains(&word.as_str()) || word == "report";
        if let Some(word) = arguments.iter().find(|word| !is_part(word)) {
            return Err(format!("{word} is none of report, {}", PARTS.join(", ")).into());
        }
        let asked = match arguments.is_empty() {
            true => PARTS.iter().map(|&part| part.to_owned()).collect(),
            false => arguments,
        };
        Ok(Self {
            folder: benches.join("figures"),
            asked,
            date: machine::date(),
            build: machine::build(),
            machine: machine::machine(),
        })
    }

    /// Measures it if it is asked for; else as it was found last.
    pub fn part(&self, name: &str, measure: impl FnOnce() -> Result<Value>) -> Result<Kept<Value>> {
        let file = self.folder.join(name).with_extension("json");
        if self.asked.iter().any(|asked| asked == name) {
            let figures = measure()?;
            let kept = json!({
                "date": self.date,
                "build": self.build,
                "machine": self.machine,
                "figures": figures,
            });
            fs::create_dir_all(&self.folder)?;
            fs::write(&file, format!("{kept:#}\n"))?;
            let note = None;
            return Ok(Kept { figures, note });
        }
        let Ok(kept) = fs::read_to_string(&file) else {
            return Ok(Kept {
                figures: Value::Null,
                note: Some("Not measured yet.".into()),
            });
        };
        let mut kept: Value = serde_json::from_str(&kept)?;
        let text = |key: &str| kept[key].as_str().unwrap_or("?").to_owned();
        let mut note = format!(
            "Not measured in this run, but on {}, of the build {}",
            text("date"),
            text("build")
        );
        if text("machine") != self.machine {
            note = format!("{note}, with {}", text("machine"));
        }
        Ok(Kept {
            figures: kept["figures"].take(),
            note: Some(format!("{note}.")),
        })
    }

    /// Where, when and of what this run is.
    pub fn say(&self) -> String {
        let Self {
            date,
            build,
            machine,
            ..
        } = self;
        format!("This run was on {date}, of the build {build}: {machine}.")
    }
}

impl<T> Kept<T> {
    pub fn map<U>(self, read: impl FnOnce(T) -> U) -> Kept<U> {
        Kept {
            figures: read(self.figures),
            note: self.note,
        }
    }

    /// The note as a paragraph of its own.
    pub fn paragraph(&self) -> String {
        let note = self.note.as_ref();
        note.map_or_else(String::new, |note| format!("**{note}**\n\n"))
    }
}

/// By row, then by who does it.
pub fn write<T: Into<Value>>(figures: BTreeMap<Key, T>) -> Value {
    let mut rows = Value::Null;
    for ((row, by), figure) in figures {
        rows[row][by] = figure.into();
    }
    rows
}

/// Those of the rows that there are today.
pub fn read<T>(
    kept: &Value,
    rows: impl Iterator<Item = Key>,
    figure: impl Fn(&Value) -> Option<T>,
) -> BTreeMap<Key, T> {
    rows.filter_map(|(row, by)| Some(((row, by), figure(&kept[row][by])?)))
        .collect()
}

/// As [`read`], of single numbers.
pub fn numbers(kept: &Value, rows: impl Iterator<Item = Key>) -> Figures {
    read(kept, rows, Value::as_f64)
}
