//! The first line of a file: what it is, and the connection that was recorded.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Config, Side};

/// The one version there is.
pub(super) const VERSION: u64 = 1;
/// How the first line of a file begins.
pub(super) const MAGIC: &[u8] = br#"{"webtransport-session-trace":"#;

/// The connection that was recorded, before anything happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Which end was recorded.
    pub side: Side,
    /// Its settings.
    pub config: Config,
}

impl Header {
    /// For a recording that was never in a file.
    #[must_use]
    pub const fn new(side: Side, config: Config) -> Self {
        Self { side, config }
    }
}

/// The line as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    #[serde(rename = "webtransport-session-trace")]
    version: u64,
    side: Name,
    config: Cow<'a, Config>,
}

/// As much of it as all versions have.
#[derive(Deserialize)]
pub(super) struct AnyLine {
    #[serde(rename = "webtransport-session-trace")]
    pub(super) version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Client,
    Server,
}

impl<'a> Line<'a> {
    pub(super) fn new(side: Side, config: &'a Config) -> Self {
        Self {
            version: VERSION,
            side: match side {
                Side::Client => Name::Client,
                Side::Server => Name::Server,
            },
            config: Cow::Borrowed(config),
        }
    }
}

impl From<Line<'_>> for Header {
    fn from(line: Line<'_>) -> Self {
        let side = match line.side {
            Name::Client => Side::Client,
            Name::Server => Side::Server,
        };
        Self::new(side, line.config.into_owned())
    }
}
