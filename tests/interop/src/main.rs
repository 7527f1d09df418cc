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
use table::Section;

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
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            eprintln!("interop: cells that failed: {failures}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("interop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Gives the number of cells that are failures of ours.
fn run(options: &Options) -> anyhow::Result<usize> {
    let mut failures = 0;
    for &part in &options.parts {
        eprintln!("== {}", part.name());
        if part == Part::Capture {
            browsers::capture(options)?;
            continue;
        }
        // A part that is many sections gives them one by one, so that each is kept as it ends.
        let mut keep = |section: Section| {
            failures += section.failures();
            print!("{}", section.to_markdown());
            if !options.filters.is_empty() {
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
    Ok(failures)
}
