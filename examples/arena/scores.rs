//! What became of each way of leaving, and how that is shown.
//!
//! Knows what players did and what the server noticed, and which of it belongs together: by the
//! name of the way that each player puts into its path.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::{Duration, Instant},
};

use serde::Serialize;
use webtransport_session::{CloseReason, SessionId};

use crate::{
    server::{Fact, Report},
    ways::Way,
};

pub(crate) struct Scores {
    opening: Instant,
    /// Whose session is whose.
    ways: BTreeMap<(u64, SessionId), Way>,
    acts: BTreeMap<Way, Instant>,
    ends: BTreeMap<Way, End>,
    /// Ends of sessions that had ended before, or that nobody asked for.
    surplus: usize,
}

/// How a player left, as the server saw it.
struct End {
    reason: CloseReason,
    after: Duration,
}

/// One line for scripts.
#[derive(Serialize)]
struct Line {
    way: &'static str,
    ending: &'static str,
    reason: Option<String>,
    expected: bool,
    ms: Option<f64>,
}

impl Scores {
    pub(crate) fn new(opening: Instant) -> Self {
        Self {
            opening,
            ways: BTreeMap::new(),
            acts: BTreeMap::new(),
            ends: BTreeMap::new(),
            surplus: 0,
        }
    }

    /// A player is about to leave.
    pub(crate) fn acted(&mut self, way: Way, at: Instant) {
        self.acts.insert(way, at);
    }

    /// Whether every way has come to an end.
    pub(crate) fn is_complete(&self) -> bool {
        self.ends.len() == Way::ALL.len()
    }

    /// Whether every way ended once, and with the reason that it must.
    pub(crate) fn is_as_expected(&self) -> bool {
        self.surplus == 0 && Way::ALL.into_iter().all(|way| self.has_ended_well(way))
    }

    fn has_ended_well(&self, way: Way) -> bool {
        self.ends
            .get(&way)
            .is_some_and(|end| end.reason == way.expected())
    }

    /// The server noticed something. Gives the way that has ended with it.
    pub(crate) fn noticed(&mut self, report: &Report) -> Option<Way> {
        match &report.fact {
            Fact::Requested { session, request } => {
                let name = request.uri.query().and_then(|q| q.strip_prefix("way="));
                let way = Way::ALL.into_iter().find(|way| Some(way.name()) == name);
                if let Some(way) = way {
                    self.ways.insert((report.conn, *session), way);
                }
                None
            }
            Fact::Closed {
                session, reason, ..
            } => {
                let Some(way) = self.ways.remove(&(report.conn, *session)) else {
                    self.surplus += 1;
                    return None;
                };
                // An end that nobody caused took no time, and is not the expected one.
                let act = self.acts.get(&way).copied().unwrap_or(report.at);
                let end = End {
                    reason: reason.clone(),
                    after: report.at.saturating_duration_since(act),
                };
                self.ends.insert(way, end);
                Some(way)
            }
            Fact::Opened { .. } | Fact::ConnectionClosed { .. } => None,
        }
    }

    /// One line about something that just happened, for people.
    pub(crate) fn write_news(&self, out: &mut impl Write, report: &Report) -> io::Result<()> {
        let at = report.at.saturating_duration_since(self.opening);
        let at = at.as_secs_f64();
        match &report.fact {
            Fact::Opened { session, player } => {
                let way = self.ways.get(&(report.conn, *session));
                let way = way.map_or("who knows how", |way| way.name());
                writeln!(
                    out,
                    "{at:7.3} s  + player {player:2} joins, to leave by {way}"
                )
            }
            Fact::Closed {
                reason,
                departure: Some(departure),
                ..
            } => {
                let player = departure.player;
                writeln!(out, "{at:7.3} s  - player {player:2} left: {reason}")
            }
            Fact::Closed {
                reason,
                departure: None,
                ..
            } => writeln!(out, "{at:7.3} s  - somebody never joined: {reason}"),
            Fact::Requested { .. } | Fact::ConnectionClosed { .. } => Ok(()),
        }
    }

    /// All ways as a table, for people.
    pub(crate) fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        let (way, ms) = ("way of leaving", "ms");
        writeln!(
            out,
            "\n{way:27}  id   {ms:>9}  as expected  the server's reason"
        )?;
        for row in Way::ALL.map(|way| self.line(way)) {
            let ms = row.ms.map_or_else(|| "-".into(), |ms| format!("{ms:.2}"));
            let expected = if row.expected { "yes" } else { "NO" };
            let reason = row.reason.as_deref().unwrap_or("no end was seen");
            writeln!(
                out,
                "{:27}  {}  {ms:>9}  {expected:11}  {reason}",
                row.way, row.ending
            )?;
        }
        for way in Way::ALL
            .into_iter()
            .filter(|way| !self.has_ended_well(*way))
        {
            writeln!(out, "{} should have been: {:?}", way.name(), way.expected())?;
        }
        if self.surplus > 0 {
            writeln!(out, "{} ends too many", self.surplus)?;
        }
        Ok(())
    }

    /// One way as a JSON object, for scripts.
    pub(crate) fn write_json(&self, out: &mut impl Write, way: Way) -> io::Result<()> {
        let line = serde_json::to_string(&self.line(way))?;
        writeln!(out, "{line}")
    }

    /// The ways that have not ended.
    pub(crate) fn missing(&self) -> impl Iterator<Item = Way> {
        Way::ALL
            .into_iter()
            .filter(|way| !self.ends.contains_key(way))
    }

    fn line(&self, way: Way) -> Line {
        let end = self.ends.get(&way);
        Line {
            way: way.name(),
            ending: way.ending(),
            reason: end.map(|end| end.reason.to_string()),
            expected: self.has_ended_well(way),
            ms: end.map(|end| (end.after.as_secs_f64() * 1e6).round() / 1e3),
        }
    }
}
