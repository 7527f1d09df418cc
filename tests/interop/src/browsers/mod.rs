//! Chromium and Firefox, headless, against our server.

use crate::{options::Options, table::Section};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Chromium,
    Firefox,
}

pub(crate) fn run(kind: Kind, _options: &Options) -> anyhow::Result<Section> {
    Ok(Section::new(
        match kind {
            Kind::Chromium => "chromium",
            Kind::Firefox => "firefox",
        },
        "browser",
    ))
}
