//! Puts the crate in front of those who did not write it, and writes down what happened.
//!
//! Each section (a browser, the peers, the loss) gives tables of what was measured; `table` keeps
//! them as data in `results/` and assembles `RESULTS.md`. Our side is `server`, and with peers `peers::ours`.

mod browsers;
mod identity;
mod loss;
mod node;
mod options;
mod peers;
mod relay;
mod running;
mod server;
mod table;

use std::process::ExitCode;

use options::{Options, Part};
use running::Run;
use table::{Section, Verdict};

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("interop: {error}");
            return ExitCode::from(2);
        }
    };
    let ended = Run::begin().and_then(|_run| run(&options));
    match ended {
        Ok(Totals { rows: 0, .. }) => {
            eprintln!("interop: nothing of that name is there to be run");
            ExitCode::from(2)
        }
        Ok(Totals { failures: 0, .. }) => ExitCode::SUCCESS,
        Ok(Totals { failures, .. }) => {
            eprintln!("interop: cells that failed: {failures}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("interop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What was run.
#[derive(Default)]
struct Totals {
    rows: usize,
    /// Cells.
    failures: usize,
}

fn run(options: &Options) -> anyhow::Result<Totals> {
    let mut totals = Totals::default();
    for &part in &options.parts {
        eprintln!("== {}", part.name());
        if part == Part::Capture {
            browsers::capture(options)?;
            totals.rows += 1;
            continue;
        }
        // A part that is many sections gives them one by one, so that each is kept as it ends.
        let mut keep = |section: Section| {
            totals.rows += section.rows();
            totals.failures += section.count(Verdict::Failure);
            print!("{}", section.to_markdown());
            if options.is_partial() {
                eprintln!(
                    "interop: {} was run in part, so that nothing is stored",
                    section.id
                );
                return Ok(());
            }
            table::store(&section)
        };
        match part {
            Part::Chromium => keep(browsers::run(browsers::Kind::Chromium, options)?)?,
            Part::Firefox => keep(browsers::run(browsers::Kind::Firefox, options)?)?,
            Part::Peers => peers::run(options, &mut keep)?,
            Part::Loss => loss::run(options, &mut keep)?,
            Part::Capture => {}
        }
    }
    Ok(totals)
}
