//! The first line of a file: what it is, and what was recorded.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{SessionStep, Step, layer::Layer};
use crate::{Config, SessionId, Side, session::Terms};

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

/// The session that was recorded, before anything happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionHeader {
    /// Which end was recorded.
    pub side: Side,
    /// Its id.
    pub id: SessionId,
    /// What both sides' SETTINGS agreed on.
    pub terms: Terms,
    /// Its settings.
    pub config: Config,
}

impl SessionHeader {
    /// What [`Session::new`](crate::session::Session::new) was given.
    #[must_use]
    pub const fn new(side: Side, id: SessionId, terms: Terms, config: Config) -> Self {
        Self {
            side,
            id,
            terms,
            config,
        }
    }
}

/// The line as it is stored, of a connection: its files do not name the layer.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    #[serde(rename = "webtransport-session-trace")]
    version: u64,
    side: Name,
    config: Cow<'a, Config>,
}

/// The same of a session.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionLine<'a> {
    #[serde(rename = "webtransport-session-trace")]
    version: u64,
    layer: u64,
    side: Name,
    id: SessionId,
    terms: Cow<'a, Terms>,
    config: Cow<'a, Config>,
}

/// As much of it as all versions have.
#[derive(Deserialize)]
pub(super) struct AnyLine {
    #[serde(rename = "webtransport-session-trace")]
    pub(super) version: u64,
}

/// As much of it as both layers have.
#[derive(Deserialize)]
pub(super) struct AnyLayer {
    #[serde(default = "connection")]
    pub(super) layer: u64,
}

fn connection() -> u64 {
    <Step as Layer>::NUMBER
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
            side: side.into(),
            config: Cow::Borrowed(config),
        }
    }
}

impl<'a> SessionLine<'a> {
    pub(super) fn new(header: &'a SessionHeader) -> Self {
        Self {
            version: VERSION,
            layer: SessionStep::NUMBER,
            side: header.side.into(),
            id: header.id,
            terms: Cow::Borrowed(&header.terms),
            config: Cow::Borrowed(&header.config),
        }
    }
}

impl From<Side> for Name {
    fn from(side: Side) -> Self {
        match side {
            Side::Client => Self::Client,
            Side::Server => Self::Server,
        }
    }
}

impl From<Name> for Side {
    fn from(name: Name) -> Self {
        match name {
            Name::Client => Self::Client,
            Name::Server => Self::Server,
        }
    }
}

impl From<Line<'_>> for Header {
    fn from(line: Line<'_>) -> Self {
        Self::new(line.side.into(), line.config.into_owned())
    }
}

impl From<SessionLine<'_>> for SessionHeader {
    fn from(line: SessionLine<'_>) -> Self {
        let (terms, config) = (line.terms.into_owned(), line.config.into_owned());
        Self::new(line.side.into(), line.id, terms, config)
    }
}
