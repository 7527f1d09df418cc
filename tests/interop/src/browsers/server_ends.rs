//! Every way in which a server ends a session: what the page's promises show.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::{Value, json};
use webtransport_session::{
    Event, SessionId, StreamId,
    host::quinn_proto::{Peer, PeerId},
};

use super::{Bench, Kind, Place, leaving::tell};
use crate::{
    node::{self, Node},
    server,
    table::{Cell, Row, Table},
};

/// QUIC's idle timeout where nothing else ends it. Browsers offer 30 s, and the shorter counts.
const IDLE: Duration = Duration::from_millis(2500);
/// Longer than anything is waited for.
const NEVER: Duration = Duration::from_secs(30);
/// How long a promise may take to settle. After that it is pending.
const PATIENCE: Duration = Duration::from_millis(5000);

/// WT_SESSION_GONE.
const GONE: u32 = 0x170d_7b68;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    CloseWithCode,
    LargestCode,
    LongMessage,
    Drained,
    Shutdown,
    Inactivity,
    Abort,
    Fin,
    Reset,
    Stop,
    ResetAndStop,
    Vanished,
    Killed,
    Forbidden,
    Redirected,
    Unanswered,
    ResetRequest,
    AbortRequest,
}

const ENDS: [End; 19] = [
    End::Close,
    End::CloseWithCode,
    End::LargestCode,
    End::LongMessage,
    End::Drained,
    End::Shutdown,
    End::Inactivity,
    End::Abort,
    End::Fin,
    End::Reset,
    End::Stop,
    End::ResetAndStop,
    End::Vanished,
    End::Killed,
    End::Forbidden,
    End::Redirected,
    End::Unanswered,
    End::ResetRequest,
    End::AbortRequest,
];

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Close => "`close(0, \"\")`",
            Self::CloseWithCode => "`close(4242, \"bye-bye\")`",
            Self::LargestCode => "`close(4294967295, …)`",
            Self::LongMessage => "`close` with 1200 bytes, cut at a character by our side",
            Self::Drained => "`drain`, then `close(1, \"drained\")`",
            Self::Shutdown => "`shutdown(3, \"restart\")` of the connection",
            Self::Inactivity => "inactivity deadline, which closes with (4002, \"silence\")",
            Self::Abort => "`abort` of the QUIC connection",
            Self::Fin => "FIN of the CONNECT stream, past the crate",
            Self::Reset => "RESET_STREAM of the CONNECT stream, past the crate",
            Self::Stop => "STOP_SENDING of the CONNECT stream, past the crate",
            Self::ResetAndStop => "RESET_STREAM and STOP_SENDING, past the crate",
            Self::Vanished => "server silent from here on",
            Self::Killed => "server's socket closed without a word",
            Self::Forbidden => "`reject` with 403",
            Self::Redirected => "`reject` with 302",
            Self::Unanswered => "no answer within the request deadline",
            Self::ResetRequest => "RESET_STREAM instead of an answer, past the crate",
            Self::AbortRequest => "`abort` of the QUIC connection instead of an answer",
        })
    }
}

/// What a promise is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shown {
    /// `ready`.
    Resolves,
    /// `closed`, with this code and message.
    Closes(u32, String),
    Rejects,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolves => f.write_str("resolved"),
            Self::Closes(code, reason) => f.write_str(&closes(u64::from(*code), reason)),
            Self::Rejects => f.write_str("rejected"),
        }
    }
}

fn closes(code: u64, reason: &str) -> String {
    if reason.len() > 40 {
        format!("resolved {code}, {} bytes", reason.len())
    } else {
        format!("resolved {code} {reason:?}")
    }
}

/// As the draft and the API say.
struct Expected {
    ready: Shown,
    closed: Shown,
    /// The reason that our side gives; `None`: whatever the browser then does is told.
    ours: Option<&'static str>,
}

impl End {
    fn path(self) -> &'static str {
        match self {
            Self::Forbidden => "/status?403",
            Self::Redirected => "/status?302",
            Self::Unanswered | Self::ResetRequest | Self::AbortRequest => "/wait",
            _ => "/quiet",
        }
    }

    /// Whether the session opens before.
    fn opens(self) -> bool {
        self.path() == "/quiet"
    }

    fn expected(self) -> Expected {
        let (closed, ours) = match self {
            Self::Close => (Shown::Closes(0, String::new()), Some("local-close 0 \"\"")),
            Self::CloseWithCode => (
                Shown::Closes(4242, "bye-bye".into()),
                Some("local-close 4242 \"bye-bye\""),
            ),
            Self::LargestCode => (
                Shown::Closes(u32::MAX, "largest".into()),
                Some("local-close 4294967295 \"largest\""),
            ),
            Self::LongMessage => (
                Shown::Closes(7, "€".repeat(341)),
                Some("local-close 7, 1023 bytes"),
            ),
            Self::Drained => (
                Shown::Closes(1, "drained".into()),
                Some("local-close 1 \"drained\""),
            ),
            Self::Shutdown => (
                Shown::Closes(3, "restart".into()),
                Some("local-close 3 \"restart\""),
            ),
            Self::Inactivity => (Shown::Closes(4002, "silence".into()), Some("inactivity")),
            Self::Abort | Self::AbortRequest => (Shown::Rejects, Some("local-connection-close")),
            // §6: "semantically equivalent to terminating it with a WT_CLOSE_SESSION capsule that
            // has an error code of 0 and an empty error string"
            Self::Fin => (Shown::Closes(0, String::new()), None),
            Self::Reset | Self::Stop | Self::ResetAndStop | Self::ResetRequest => {
                (Shown::Rejects, None)
            }
            Self::Vanished => (Shown::Rejects, Some("idle-timeout")),
            Self::Killed => (Shown::Rejects, None),
            Self::Forbidden => (Shown::Rejects, Some("rejected-by-us 403")),
            Self::Redirected => (Shown::Rejects, Some("rejected-by-us 302")),
            Self::Unanswered => (Shown::Rejects, Some("request-timeout")),
        };
        let ready = if self.opens() {
            Shown::Resolves
        } else {
            Shown::Rejects
        };
        Expected {
            ready,
            closed,
            ours,
        }
    }

    /// Whether the harness stops the CONNECT stream behind the crate's back.
    fn stops(self) -> bool {
        matches!(self, Self::Stop | Self::ResetAndStop | Self::ResetRequest)
    }

    fn act(self, node: &Node, peer: PeerId, session: SessionId) -> anyhow::Result<()> {
        // What is done through the crate's own API.
        node.call(move |now, turn| {
            // It may have left already, after an answer that the server gives by itself.
            let Some(peer) = turn.endpoint.peer(peer) else {
                return;
            };
            let stream = session.connect_stream();
            match self {
                Self::Close => peer.sessions().close(now, session, 0, ""),
                Self::CloseWithCode => peer.sessions().close(now, session, 4242, "bye-bye"),
                Self::LargestCode => peer.sessions().close(now, session, u32::MAX, "largest"),
                Self::LongMessage => peer.sessions().close(now, session, 7, "€".repeat(400)),
                Self::Drained => {
                    peer.sessions().drain(session);
                    peer.sessions().close(now, session, 1, "drained");
                }
                Self::Shutdown => peer.sessions().shutdown(now, 3, "restart"),
                Self::Abort | Self::AbortRequest => peer.abort(now, 0x100, b"abort"),
                Self::Fin => {
                    let _ = peer.quic.send_stream(stream.into()).finish();
                }
                Self::Reset => reset(peer, stream, GONE),
                Self::Stop => stop(peer, stream, GONE),
                Self::ResetAndStop => {
                    reset(peer, stream, GONE);
                    stop(peer, stream, GONE);
                }
                // H3_REQUEST_REJECTED.
                Self::ResetRequest => {
                    reset(peer, stream, 0x10b);
                    stop(peer, stream, 0x10b);
                }
                Self::Vanished => turn.is_mute = true,
                // Answered by the server itself, or not at all, or by the end of it.
                Self::Inactivity
                | Self::Killed
                | Self::Forbidden
                | Self::Redirected
                | Self::Unanswered => {}
            }
        })
    }
}

fn reset(peer: &mut Peer, stream: StreamId, code: u32) {
    let _ = peer.quic.send_stream(stream.into()).reset(code.into());
}

fn stop(peer: &mut Peer, stream: StreamId, code: u32) {
    let _ = peer.quic.recv_stream(stream.into()).stop(code.into());
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<Table> {
    let mut table = Table::new(
        &format!(
            "Ways in which the server ends a session (a promise that has not settled after {} s \
             is pending; each {} times, or until {0} s are over)",
            PATIENCE.as_secs(),
            bench.options.runs
        ),
        &["the server", "`ready`", "`closed`", "our reason"],
    );
    for end in ENDS {
        let name = end.to_string();
        if bench.options.wants(&name) {
            let cells = measure(bench, end);
            table.rows.push(Row::new(name, cells));
        }
    }
    Ok(table)
}

/// As often as is asked for, but not for ever: some wait for a promise that never settles.
fn measure(bench: &mut Bench, end: End) -> Vec<Cell> {
    let (mut columns, began) = (vec![Vec::new(); 3], Instant::now());
    for _ in 0..bench.options.runs {
        match once(bench, end) {
            Ok(cells) => columns
                .iter_mut()
                .zip(cells)
                .for_each(|(column, cell)| column.push(cell)),
            Err(error) => {
                bench.end_browser();
                return vec![Cell::failure("no result", format!("{error:#}"))];
            }
        }
        if began.elapsed() > PATIENCE {
            break;
        }
    }
    columns.into_iter().map(Cell::of_all).collect()
}

fn once(bench: &mut Bench, end: End) -> anyhow::Result<[Cell; 3]> {
    let deadline = (end == End::Inactivity).then_some(Duration::from_millis(500));
    let mut config = node::config(deadline);
    config.deadlines.inactivity_close = (4002, "silence".into());
    if end == End::Unanswered {
        config.deadlines.request = Some(Duration::from_millis(500));
    }
    let silent = matches!(end, End::Vanished | End::Killed);
    let idle = if silent { IDLE } else { NEVER };
    let node = server::start(&bench.identity, idle, config)?;
    node.record()?;
    let tab = bench.page()?;
    let url = format!("https://{}{}", node.address, end.path());
    let patience = if end.opens() { 8000 } else { 100 };
    let args = json!(["s", url, bench.identity.hash(), {}, patience]);
    let state = bench.call(&tab, Place::Page, "openSession", &args)?;
    let requested = node.wait("SessionRequested", PATIENCE, |seen| match seen.event {
        Event::SessionRequested { session, .. } => Some((seen.peer, session)),
        _ => None,
    });
    let (peer, session) = requested
        .with_context(|| format!("the page has {state}, the server {:?}", node.recorded()))?;
    thread::sleep(Duration::from_millis(100));
    let mut node = Some(node);
    if let Some(node) = &node {
        end.act(node, peer, session)?;
    }
    if end == End::Killed {
        node = None;
    }
    let args = json!(["s", PATIENCE.as_millis() as u64]);
    let state = bench.call(&tab, Place::Page, "settled", &args)?;
    let ours = node.map(|node| {
        let closed = node.wait(
            "SessionClosed",
            Duration::from_millis(if silent { 2000 } else { 300 }),
            |seen| match &seen.event {
                Event::SessionClosed {
                    session: of,
                    reason,
                } if *of == session => Some(tell(reason)),
                _ => None,
            },
        );
        closed.unwrap_or_else(|_| "still open".into())
    });
    bench.close(&tab);
    let expected = end.expected();
    let ours = match (ours, expected.ours) {
        (None, _) => Cell::nothing(),
        // What the browser answers to that, QUIC keeps from the crate.
        (Some(ours), None) if ours == "still open" && end.stops() => Cell::nothing(),
        (Some(ours), Some(expected)) => Cell::expect(ours, expected),
        (Some(ours), None) => Cell::pass(ours),
    };
    Ok([
        judge(bench.kind, end, &state["ready"], &expected.ready),
        judge(bench.kind, end, &state["closed"], &expected.closed),
        ours,
    ])
}

/// What a promise shows against what it is to show.
fn judge(kind: Kind, end: End, state: &Value, expected: &Shown) -> Cell {
    let measured = show(state);
    let is_right = match expected {
        Shown::Rejects => state["state"] == "rejected",
        Shown::Resolves => measured == "resolved",
        Shown::Closes(code, reason) => {
            state["closeCode"] == *code && state["reason"] == reason.as_str()
        }
    };
    if is_right {
        return Cell::pass(measured);
    }
    match deviation(kind, end, &measured) {
        Some(why) => Cell::deviation(measured, why),
        None => Cell::failure(measured, format!("expected: {expected}")),
    }
}

/// What a browser is known to do otherwise.
fn deviation(kind: Kind, end: End, measured: &str) -> Option<&'static str> {
    match (kind, end, measured) {
        (Kind::Chromium, End::Reset | End::Stop, "pending") => Some(
            "half of an abort is no end to Chromium: the page believes that the session lives. The \
             crate always sends both halves",
        ),
        _ => None,
    }
}

pub(crate) fn show(state: &Value) -> String {
    match state["state"].as_str() {
        Some("resolved") => match (state["closeCode"].as_u64(), state["reason"].as_str()) {
            (Some(code), Some(reason)) => closes(code, reason),
            _ => "resolved".into(),
        },
        Some("rejected") => {
            let error = &state["error"];
            let message = error["message"].as_str().unwrap_or_default();
            let source = error["source"]
                .as_str()
                .map(|source| format!(" ({source})"));
            format!("rejected: {message}{}", source.unwrap_or_default())
        }
        Some(other) => other.into(),
        None => "unknown".into(),
    }
}
