//! Chromium and Firefox, headless, against our server.
//!
//! The browser is driven by its own remote protocol, which stands for the user; pages run
//! `page.js`. What our server saw and what the page saw are both told.

mod bench;
mod capture;
mod chromium;
mod features;
mod firefox;
mod leaving;
mod process;
mod remote;
mod server_ends;
mod web;

pub(crate) use capture::run as capture;

pub(crate) use bench::{Bench, Opened, PageError, Place};

use anyhow::Context as _;
use rustix::process::Pid;
use serde_json::Value;

use crate::{
    options::Options,
    table::{Cell, Row, Section, Table},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Chromium,
    Firefox,
}

/// A tab, by the names that the remote protocol has for it.
pub(crate) struct Tab {
    id: String,
    session: String,
}

/// What a user can do to a browser. Nothing but `open` and `evaluate` waits for it to be done.
pub(crate) trait Browser {
    fn version(&mut self) -> anyhow::Result<String>;
    fn open(&mut self, url: &str) -> anyhow::Result<Tab>;
    /// Runs an expression in the tab and gives what its promise resolves to.
    fn evaluate(&mut self, tab: &Tab, expression: &str) -> anyhow::Result<Value>;
    fn navigate(&mut self, tab: &Tab, url: &str) -> anyhow::Result<()>;
    fn reload(&mut self, tab: &Tab) -> anyhow::Result<()>;
    fn close(&mut self, tab: &Tab) -> anyhow::Result<()>;
    /// SIGKILL to the processes that hold pages.
    fn kill_renderers(&mut self) -> anyhow::Result<()>;
    /// As from its menu.
    fn quit(&mut self) -> anyhow::Result<()>;
    /// SIGTERM.
    fn terminate(&mut self) -> anyhow::Result<()>;
    /// SIGKILL to its main process.
    fn kill(&mut self) -> anyhow::Result<()>;
    /// The process that does its network, where it has one.
    fn network_process(&self) -> Option<Pid>;
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chromium => "Chromium",
            Self::Firefox => "Firefox",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }

    fn find(self) -> Option<std::path::PathBuf> {
        match self {
            Self::Chromium => chromium::find(),
            Self::Firefox => firefox::find(),
        }
    }

    /// The program, installed if it is missing and may be.
    pub(crate) fn program(self, options: &Options) -> anyhow::Result<std::path::PathBuf> {
        if let Some(program) = self.find() {
            return Ok(program);
        }
        let package = match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox-esr",
        };
        anyhow::ensure!(
            !options.keep,
            "{package} is not installed, and --keep was given"
        );
        process::install(package)?;
        self.find()
            .with_context(|| format!("{package} is not in the path"))
    }
}

pub(crate) fn run(kind: Kind, options: &Options) -> anyhow::Result<Section> {
    let mut section = Section::new(kind.id(), kind.name());
    let program = match kind.program(options) {
        Ok(program) => program,
        Err(error) => {
            eprintln!("interop: !! SKIPPED: all of {}: {error:#}", kind.name());
            let mut table = Table::new("Everything", &["what", "result"]);
            table
                .rows
                .push(Row::new("all", [Cell::skipped(format!("{error:#}"))]));
            section.tables.push(table);
            return Ok(section);
        }
    };
    let mut bench = Bench::new(kind, program, options)?;
    section.version(kind.name(), bench.browser()?.version()?);
    section.notes.push(format!(
        "Headless, on loopback, with `serverCertificateHashes`; driven by {}. Delays in ms as \
         median [least–most] of {} runs, from just before the command went to the browser.",
        match kind {
            Kind::Chromium => "CDP",
            Kind::Firefox => "WebDriver BiDi",
        },
        options.runs
    ));
    section.tables.push(leaving::run(&mut bench)?);
    section.tables.push(server_ends::run(&mut bench)?);
    section.tables.push(features::run(&mut bench)?);
    Ok(section)
}
