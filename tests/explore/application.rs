//! The application at one end: what it was told of each session, and whether that may be so.

use std::{collections::BTreeMap, time::Duration};

use webtransport_session::{
    AbortedBy, CloseReason, CloseVia, ConnectionLost, Deadline, Endpoint, Event, SessionId, Side,
};

/// A session, as the application knows it; and what really happened, which it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Told {
    pub opened: bool,
    draining: bool,
    pub closed: Option<CloseReason>,
    pub facts: Facts,
}

/// What there is to explain a reason with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    pub fin: bool,
    pub reset: Option<u64>,
    pub stop: Option<u64>,
    /// Our application closed it.
    pub closed: Option<u32>,
    pub accepted: bool,
    pub rejected: bool,
    /// How long the request has waited for its answer.
    pub waited: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Application {
    pub sessions: BTreeMap<SessionId, Told>,
    /// What came of CONNECT streams that the application has not heard of.
    pub unheard: BTreeMap<SessionId, Facts>,
    pub ready: bool,
    /// Why QUIC was closed here.
    pub lost: Option<ConnectionLost>,
    pub over: Option<ConnectionLost>,
    /// GOAWAY was sent to us.
    pub told_to_go: bool,
    /// We closed the connection ourselves.
    pub shut_down: Option<u32>,
}

pub fn wrong<T>(what: impl Into<String>) -> Result<T, String> {
    Err(what.into())
}

impl Application {
    pub fn facts(&mut self, session: SessionId) -> &mut Facts {
        match self.sessions.get_mut(&session) {
            Some(told) => &mut told.facts,
            None => self.unheard.entry(session).or_default(),
        }
    }

    pub fn announce(&mut self, session: SessionId) -> Result<(), String> {
        let facts = self.unheard.remove(&session).unwrap_or_default();
        let told = Told {
            facts,
            ..Told::default()
        };
        if self.sessions.insert(session, told).is_some() {
            return wrong(format!("{session} is announced twice"));
        }
        Ok(())
    }

    /// The streams of data are looked at elsewhere.
    pub fn hear(&mut self, side: Side, event: &Event, peer: &Self) -> Result<(), String> {
        if self.over.is_some() {
            return wrong(format!("{event:?} after the last event"));
        }
        if let Event::SessionRequested { session, .. } = event {
            return self.announce(*session);
        }
        if let Some(id) = event.session() {
            let Some(told) = self.sessions.get_mut(&id) else {
                return wrong(format!("{event:?} of no session"));
            };
            if told.closed.is_some() {
                return wrong(format!("{event:?} after the end"));
            }
            match event {
                Event::SessionOpened { .. } if !std::mem::replace(&mut told.opened, true) => {}
                Event::SessionDraining { .. }
                    if told.opened && !std::mem::replace(&mut told.draining, true) => {}
                Event::SessionClosed { reason, .. } => {
                    told.closed = Some(reason.clone());
                    return self.explain(side, id, reason, peer);
                }
                Event::SessionOpened { .. } | Event::SessionDraining { .. } => {
                    return wrong(format!("{event:?} again, or too early"));
                }
                _ if told.opened => {}
                _ => return wrong(format!("{event:?} before it opened")),
            }
        }
        match event {
            Event::Ready(_) => self.ready = true,
            Event::Unsupported(_) => return wrong("the peer is like us"),
            Event::ConnectionClosed { reason } => {
                if self.sessions.values().any(|told| told.closed.is_none()) {
                    return wrong("a session outlives its connection");
                }
                if self.lost.as_ref() != Some(reason) {
                    return wrong(format!("{reason:?}, but it was {:?}", self.lost));
                }
                self.over = Some(reason.clone());
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether what happened can be called so.
    fn explain(
        &self,
        side: Side,
        id: SessionId,
        reason: &CloseReason,
        peer: &Self,
    ) -> Result<(), String> {
        let told = &self.sessions[&id];
        let facts = &told.facts;
        let theirs = peer.sessions.get(&id).map(|told| &told.facts);
        let is_so = match reason {
            CloseReason::Peer {
                code,
                via: CloseVia::Capsule,
                message,
            } => {
                told.opened
                    && message.is_empty()
                    && theirs.is_some_and(|facts| facts.closed == Some(*code))
            }
            // Between two of us nobody just finishes.
            CloseReason::Peer {
                via: CloseVia::Fin, ..
            }
            | CloseReason::Violation(_) => false,
            CloseReason::Local { code, .. } => facts.closed == Some(*code),
            CloseReason::Aborted {
                by: AbortedBy::Reset,
                code,
            } => facts.reset == Some(*code),
            CloseReason::Aborted {
                by: AbortedBy::StopSending,
                code,
            } => facts.stop == Some(*code),
            CloseReason::Aborted {
                by: AbortedBy::GoAway,
                ..
            } => side == Side::Client && self.told_to_go && !told.opened,
            CloseReason::Rejected {
                by: Endpoint::Peer, ..
            } => !told.opened && theirs.is_some_and(|facts| facts.rejected),
            CloseReason::Rejected {
                by: Endpoint::Local,
                ..
            } => facts.rejected && !told.opened,
            CloseReason::Withdrawn { code: Some(code) } => {
                side == Side::Server
                    && !told.opened
                    && [facts.reset, facts.stop].contains(&Some(*code))
            }
            CloseReason::Withdrawn { code: None } => side == Side::Server && facts.fin,
            CloseReason::TimedOut(Deadline::Request) => {
                !told.opened && facts.waited >= Duration::from_secs(10)
            }
            CloseReason::TimedOut(Deadline::Inactivity) => false,
            CloseReason::ConnectionLost(lost) => self.lost.as_ref() == Some(lost),
        };
        if is_so {
            return Ok(());
        }
        wrong(format!(
            "{side:?}: {id} ended by {reason:?}, where {facts:?}"
        ))
    }
}

/// What each side was told of one session, when nothing is on its way any more. `prompt`: everything
/// arrived before any deadline.
pub fn agree(ours: &Told, theirs: Option<&Told>, prompt: bool) -> Result<(), String> {
    let theirs_closed = theirs.and_then(|told| told.closed.as_ref());
    let Some(reason) = &ours.closed else {
        if theirs_closed.is_some() || theirs.is_some_and(|told| told.opened != ours.opened) {
            return wrong(format!("one side has {ours:?}, the other {theirs:?}"));
        }
        return Ok(());
    };
    let fits = match reason {
        CloseReason::Peer { code, .. } => {
            matches!(theirs_closed, Some(CloseReason::Local { code: theirs, .. }) if theirs == code)
        }
        CloseReason::Rejected {
            by: Endpoint::Peer, ..
        } => {
            matches!(
                theirs_closed,
                Some(CloseReason::Rejected {
                    by: Endpoint::Local,
                    ..
                })
            )
        }
        CloseReason::Withdrawn { .. } | CloseReason::Aborted { .. } => {
            use CloseReason::{Aborted, Local, TimedOut};
            let is_close = matches!(theirs_closed, Some(Local { .. }));
            if prompt && is_close && ours.opened && theirs.is_some_and(|told| told.opened) {
                return wrong(format!(
                    "here {reason:?}, where the other side closed in order"
                ));
            }
            theirs.is_none()
                || matches!(
                    theirs_closed,
                    Some(
                        Local { .. }
                            | TimedOut(_)
                            | Aborted {
                                by: AbortedBy::GoAway,
                                ..
                            }
                    )
                )
        }
        _ => theirs.is_none() || theirs_closed.is_some(),
    };
    if fits {
        return Ok(());
    }
    wrong(format!("here {reason:?}, there {theirs_closed:?}"))
}
