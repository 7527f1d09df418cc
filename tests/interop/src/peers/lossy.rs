//! The endings of two peers that are played over bad links too.

use std::time::Duration;

use serde_json::json;
use webtransport_session::{AbortedBy, CloseReason, ConnectionLost, Side};

use super::{
    Act, Case, Told, aborted, aioquic, capsule, closed_with,
    guest::{Deed, Guest, Invitation},
    local, peer_closed, peer_finished, play, web_transport_quinn,
};
use crate::{
    identity::Identity,
    loss::{Outcome, never_connected},
    options::Options,
    relay::Conditions,
};

/// An ending of a peer over a link that may lose any packet.
pub(crate) struct Lossy {
    pub(crate) peer: &'static str,
    side: Side,
    case: Case,
    /// What the loss of the only packet that says it makes of it.
    instead: Vec<CloseReason>,
    start: Box<dyn Fn(Invitation) -> anyhow::Result<Guest> + Send + Sync>,
}

impl Lossy {
    pub(crate) fn name(&self) -> String {
        let role = match self.side {
            Side::Client => "client",
            Side::Server => "server",
        };
        format!("{} as {role}: {}", self.peer, self.case.name)
    }

    /// Plays it once. The error says what is not true.
    pub(crate) fn play(&self, conditions: Conditions, seed: u64) -> anyhow::Result<Outcome> {
        let identity = Identity::fresh()?;
        let (told, _) = play(
            &identity,
            self.side,
            &self.case,
            &*self.start,
            conditions,
            seed,
        )?;
        self.judge(&told)
    }

    fn judge(&self, told: &Told) -> anyhow::Result<Outcome> {
        anyhow::ensure!(told.connection.is_some(), "the connection hung: {told:?}");
        if let Some(never) = never_connected(told) {
            return Ok(never);
        }
        let label = |reason: &CloseReason| reason.label().into();
        match &*told.reasons {
            [(0, reason)] if told.reasons == self.case.reasons => Ok(Outcome::Said(label(reason))),
            [(0, reason)] if self.instead.contains(reason) => Ok(Outcome::Lost(label(reason))),
            _ => anyhow::bail!("{told:?}"),
        }
    }
}

/// All of them; and why those with aioquic are missing, where it cannot be had.
pub(crate) fn lossy(options: &Options) -> (Vec<Lossy>, Option<String>) {
    let mut all = Vec::new();
    let idle = || CloseReason::from(ConnectionLost::IdleTimeout);
    let reset = || CloseReason::from(ConnectionLost::StatelessReset);
    for side in [Side::Client, Side::Server] {
        let mut add = |case, instead| {
            let start = |invitation| Guest::start(invitation, web_transport_quinn::play);
            all.push(Lossy {
                peer: "web-transport-quinn",
                side,
                case: patient(case),
                instead,
                start: Box::new(start),
            });
        };
        // It closes the connection 100 ms after the capsule, whether that arrived or not.
        let closed = |code: u32| {
            let code = u64::from(code);
            CloseReason::from(closed_with(0x52e4_a40f_a8db + code, ""))
        };
        add(
            Case::new(
                "it closes with 7 and \"bye\"",
                Act::Wait,
                Deed::Close(7, "bye"),
                peer_closed(7, "bye"),
            ),
            vec![closed(7), idle(), reset()],
        );
        add(
            Case::new(
                "we close with 4242 and \"bye-bye\"",
                Act::Close(4242, "bye-bye".into()),
                Deed::Wait,
                local(4242, "bye-bye"),
            ),
            vec![],
        );
        add(
            Case::new("the network goes", Act::Vanish, Deed::Wait, idle())
                .with(|setup| setup.idle = Duration::from_secs(2)),
            vec![],
        );
    }
    let python = match aioquic::install(options) {
        Ok(python) => python,
        Err(error) => {
            eprintln!("!! SKIPPED: aioquic: {error:#}");
            return (all, Some(format!("aioquic cannot be had: {error:#}")));
        }
    };
    for side in [Side::Client, Side::Server] {
        let mut add = |name: &str, act, plan, reason, instead| {
            let python = python.clone();
            all.push(Lossy {
                peer: "aioquic",
                side,
                case: patient(Case::new(name, act, Deed::Script(plan), reason)),
                instead,
                start: Box::new(move |invitation| aioquic::start(&python, invitation)),
            });
        };
        let body = |data: &[u8]| json!({"deed": "body", "data": aioquic::hex(data), "fin": true});
        let coded = |deed: &str| json!({"deed": deed, "code": 0x10c, "reason": "off"});
        add(
            "capsule (7, \"bye\") and FIN",
            Act::Wait,
            body(&capsule(7, b"bye")),
            peer_closed(7, "bye"),
            vec![],
        );
        add("bare FIN", Act::Wait, body(b""), peer_finished(), vec![]);
        add(
            "RESET_STREAM(0x10c)",
            Act::Wait,
            coded("reset"),
            aborted(AbortedBy::Reset, 0x10c),
            vec![],
        );
        add(
            "STOP_SENDING(0x10c)",
            Act::Wait,
            coded("stop"),
            aborted(AbortedBy::StopSending, 0x10c),
            vec![],
        );
        add(
            "CONNECTION_CLOSE(0x10c, \"off\")",
            Act::Wait,
            coded("close-connection"),
            closed_with(0x10c, "off").into(),
            vec![idle(), reset()],
        );
        add(
            "we close with 4242 and \"bye-bye\"",
            Act::Close(4242, "bye-bye".into()),
            json!({"deed": "wait"}),
            local(4242, "bye-bye"),
            vec![],
        );
    }
    (all, None)
}

/// With time for what is lost to be sent again.
fn patient(case: Case) -> Case {
    case.with(|setup| {
        setup.patience = Duration::from_secs(40);
        setup.idle = setup.idle.max(Duration::from_secs(2));
        setup.config.deadlines.request = Some(Duration::from_secs(20));
        setup.config.deadlines.linger = Duration::from_secs(3);
        setup.config.deadlines.idle_connection = Some(Duration::from_secs(20));
    })
}
