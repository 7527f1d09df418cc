//! What else a session is for: streams, datagrams, drain, several sessions, much data, protocols.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use webtransport_session::{
    Dir, Event, SessionId, Side, StreamId,
    host::quinn_proto::{Peer, PeerId},
};

use super::{Bench, Kind, Opened, PageError, Place, leaving::tell, server_ends::show};
use crate::{
    node::{self, Node},
    server,
    table::{Cell, Row, Table},
};

const IDLE: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(5);
/// Of a transfer.
const MIB: u64 = 64;

type Test = fn(&mut Bench, &Node) -> anyhow::Result<Cell>;

const TESTS: &[(&str, Test)] = &[
    (
        "bidirectional stream of the page, 100 kB echoed",
        |bench, node| truth(bench, node, "echoBidi", json!([100_000])),
    ),
    ("unidirectional streams, 100 kB echoed", |bench, node| {
        truth(bench, node, "echoUni", json!([100_000]))
    }),
    (
        "bidirectional stream of the server, 1 kB echoed by the page",
        server_bidi,
    ),
    (
        "90 bidirectional streams at once, 10 kB echoed on each",
        |bench, node| many(bench, node, 90),
    ),
    (
        "200 bidirectional streams at once, of which QUIC allows 100",
        |bench, node| many(bench, node, 200),
    ),
    ("200 datagrams of 100 bytes echoed", |bench, node| {
        count(bench, node, "echoDatagrams", json!([200, 100]), 200)
    }),
    ("page aborts a stream with code 42", |bench, node| {
        aborted(bench, node, 42)
    }),
    (
        "page aborts a stream with code 4294967295",
        |bench, node| aborted(bench, node, u32::MAX),
    ),
    ("page cancels what it reads with code 43", |bench, node| {
        cancelled(bench, node, 43)
    }),
    ("server resets a stream with code 44", |bench, node| {
        half(bench, node, "read", 44)
    }),
    (
        "server resets a stream with code 4294967295",
        |bench, node| half(bench, node, "read", u32::MAX),
    ),
    ("server stops a stream with code 45", |bench, node| {
        half(bench, node, "write", 45)
    }),
    (
        "`drain` of a session: the page's `draining`",
        |bench, node| draining(bench, node, |peer, session| peer.sessions().drain(session)),
    ),
    (
        "`go_away` of the connection: the page's `draining`",
        |bench, node| draining(bench, node, |peer, _| peer.sessions().go_away()),
    ),
    (
        "GOAWAY alone, past the crate: the page's `draining`",
        |bench, node| {
            draining(bench, node, |peer, _| {
                // Type, length, and the id of the next request.
                let control = StreamId::new(Side::Server, Dir::Uni, 0);
                let _ = peer.quic.send_stream(control.into()).write(&[0x07, 1, 4]);
            })
        },
    ),
    (
        "four sessions of one page, one of them closed",
        |bench, node| several(bench, node, json!({})),
    ),
    (
        "four sessions of one page with `allowPooling`, one of them closed",
        pooled,
    ),
    ("64 MiB to the server", |bench, node| {
        transfer(bench, node, "/sink", "upload", json!([MIB]))
    }),
    ("64 MiB to the page", |bench, node| {
        let path = format!("/source?{}", MIB << 20);
        transfer(bench, node, &path, "download", json!([]))
    }),
    (
        "protocols offered: game-1, game-2; the server chooses the last",
        protocols,
    ),
    ("origin that the server does not know", origin),
];

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<Table> {
    let mut table = Table::new("What sessions are for", &["what", "result"]);
    for &(name, test) in TESTS {
        if !bench.options.wants(name) {
            continue;
        }
        let node = server::start(&bench.identity, IDLE, node::config(None))?;
        let cell = test(bench, &node).unwrap_or_else(|error| {
            bench.end_browser();
            Cell::failure("no result", format!("{error:#}"))
        });
        table.rows.push(Row::new(name, [cell]));
    }
    Ok(table)
}

/// A function of the page that gives `true`.
fn truth(bench: &mut Bench, node: &Node, function: &str, args: Value) -> anyhow::Result<Cell> {
    let opened = bench.open(node, Place::Page, "/echo")?;
    let result = bench.session(&opened, function, args)?;
    bench.close(&opened.tab);
    Ok(if result == true {
        Cell::pass("the same came back")
    } else {
        Cell::failure("something else came back", "expected: the same bytes")
    })
}

/// A function of the page that gives how many came back.
fn count(
    bench: &mut Bench,
    node: &Node,
    function: &str,
    args: Value,
    all: u64,
) -> anyhow::Result<Cell> {
    let opened = bench.open(node, Place::Page, "/echo")?;
    let result = bench.session(&opened, function, args)?;
    bench.close(&opened.tab);
    Ok(Cell::expect(
        format!("{result} came back"),
        &format!("{all} came back"),
    ))
}

fn server_bidi(bench: &mut Bench, node: &Node) -> anyhow::Result<Cell> {
    let opened = bench.open(node, Place::Page, "/quiet")?;
    let (peer, session) = (opened.peer, opened.session);
    let sent = vec![0x42; 1000];
    let bytes = sent.clone();
    let stream = node.call(move |now, turn| {
        let peer = turn.endpoint.peer(peer).context("the connection is gone")?;
        let stream = peer.open(now, session, Dir::Bi)?;
        peer.write_buf(stream, &mut bytes.as_slice())?;
        peer.sessions().finish(stream)?;
        anyhow::Ok(stream)
    })??;
    let answered = bench.session(&opened, "answerBidi", json!([]))?;
    anyhow::ensure!(answered == true, "the page did not answer");
    let mut received = Vec::new();
    node.wait("the end of the stream", PATIENCE, |seen| {
        match &seen.event {
            Event::StreamData {
                stream: of,
                data,
                fin,
                ..
            } if *of == stream => {
                received.extend_from_slice(data);
                fin.then_some(())
            }
            _ => None,
        }
    })?;
    bench.close(&opened.tab);
    Ok(if received == sent {
        Cell::pass("the same came back")
    } else {
        Cell::failure("something else came back", "expected: the same bytes")
    })
}

/// So many streams at once. QUIC allows 100 at a time, the CONNECT stream being one of them.
fn many(bench: &mut Bench, node: &Node, streams: u64) -> anyhow::Result<Cell> {
    let args = json!([streams, 10_000]);
    match count(bench, node, "echoMany", args, streams) {
        Err(error) if streams > 100 && error.is::<PageError>() => Ok(Cell::deviation(
            format!("`createBidirectionalStream` rejects: {error}"),
            "expected: with `waitUntilAvailable: true`, which is given here, a stream above the \
             server's limit waits until QUIC allows it",
        )),
        result => result,
    }
}

/// The page aborts a stream with a code: what our server is told.
fn aborted(bench: &mut Bench, node: &Node, code: u32) -> anyhow::Result<Cell> {
    let opened = bench.open(node, Place::Page, "/quiet")?;
    bench.session(&opened, "abortStream", json!([code]))?;
    let told = node.wait("StreamReset", PATIENCE, |seen| match seen.event {
        Event::StreamReset { code, .. } => Some(code),
        _ => None,
    })?;
    let own = bench.call(&opened.tab, Place::Page, "ownCode", &json!([code]))?;
    bench.close(&opened.tab);
    let measured = told.map_or("reset without a code".into(), |told| {
        format!("reset {told}")
    });
    Ok(match told {
        Some(told) if told == code => Cell::pass(measured),
        // What the page's own error says is all that can come.
        Some(told) if own == told => Cell::deviation(
            measured,
            format!(
                "codes are cut to 8 bits before they are sent, as in draft 02: in the page \
                 `new WebTransportError({{streamErrorCode: {code}}}).streamErrorCode` is {own}"
            ),
        ),
        _ => Cell::failure(measured, format!("expected: reset {code}")),
    })
}

/// The page does not want the answers on a stream any longer: what our server is told.
fn cancelled(bench: &mut Bench, node: &Node, code: u32) -> anyhow::Result<Cell> {
    let opened = bench.open(node, Place::Page, "/quiet")?;
    bench.session(&opened, "cancelStream", json!([code]))?;
    let (peer, mut stream) = (opened.peer, None);
    let mut wait = |patience| {
        node.wait("StreamStopped", patience, |seen| match seen.event {
            Event::StreamOpened { stream: opened, .. } => {
                stream = Some(opened);
                None
            }
            Event::StreamStopped { code, .. } => Some(code),
            _ => None,
        })
    };
    if let Ok(told) = wait(Duration::from_secs(1)) {
        bench.close(&opened.tab);
        let told = told.map_or("stopped without a code".into(), |told| {
            format!("stopped {told}")
        });
        return Ok(Cell::expect(told, &format!("stopped {code}")));
    }
    // Some stacks look at what they stopped only when something comes on it.
    let stream = stream.context("no stream was opened")?;
    node.call(move |_, turn| {
        let peer = turn.endpoint.peer(peer).context("the connection is gone")?;
        Ok(peer.write_buf(stream, &mut [1; 100].as_slice())?)
    })
    .and_then(|written: anyhow::Result<()>| written)?;
    let late = node.wait("StreamStopped", Duration::from_secs(2), |seen| {
        match seen.event {
            Event::StreamStopped { code, .. } => Some(code),
            _ => None,
        }
    });
    bench.close(&opened.tab);
    Ok(match late {
        Ok(told) => Cell::deviation(
            format!("stopped {told:?}, only after the server had written"),
            "expected: STOP_SENDING at once",
        ),
        Err(_) => Cell::deviation(
            "nothing comes",
            "no STOP_SENDING within 1 s of `cancel`, nor within 2 s after the server had written \
             100 bytes more",
        ),
    })
}

/// The server ends a half of a stream with a code: what the page is told.
fn half(bench: &mut Bench, node: &Node, which: &str, code: u32) -> anyhow::Result<Cell> {
    let opened = bench.open(node, Place::Page, "/quiet")?;
    bench.session(&opened, "watchStream", json!([]))?;
    let stream = node.wait("StreamData", PATIENCE, |seen| match seen.event {
        Event::StreamData { stream, .. } => Some(stream),
        _ => None,
    })?;
    let (peer, is_reset) = (opened.peer, which == "read");
    node.call(move |_, turn| end_half(turn.endpoint.peer(peer), stream, is_reset, code))??;
    let halves = bench.session(&opened, "halves", json!([3000]))?;
    bench.close(&opened.tab);
    let half = &halves[which];
    let error = &half["error"];
    Ok(
        match (half["state"].as_str(), error["streamErrorCode"].as_u64()) {
            (Some("rejected"), Some(told)) => Cell::expect(
                format!("rejected with code {told}"),
                &format!("rejected with code {code}"),
            ),
            (Some("rejected"), None) => Cell::deviation(
                "rejected without a code",
                format!(
                    "expected: a WebTransportError with `streamErrorCode`; here is {}: {}",
                    error["name"], error["message"]
                ),
            ),
            _ => Cell::failure(half["state"].to_string(), "expected: rejected"),
        },
    )
}

fn end_half(
    peer: Option<&mut Peer>,
    stream: StreamId,
    is_reset: bool,
    code: u32,
) -> anyhow::Result<()> {
    let connection = peer.context("the connection is gone")?.sessions();
    if is_reset {
        connection.reset(stream, code)?;
    } else {
        connection.stop(stream, code)?;
    }
    Ok(())
}

fn draining(
    bench: &mut Bench,
    node: &Node,
    act: impl FnOnce(&mut Peer, SessionId) + Send + 'static,
) -> anyhow::Result<Cell> {
    let opened = bench.open(node, Place::Page, "/echo")?;
    let (peer, session) = (opened.peer, opened.session);
    let before = node.facts(peer, session)?;
    let network = bench.browser()?.network_process();
    node.call(move |_, turn| {
        let peer = turn.endpoint.peer(peer).context("the connection is gone")?;
        act(peer, session);
        anyhow::Ok(())
    })??;
    let state = bench.session(&opened, "drained", json!([1000]))?;
    // Everything works on, whether the page was told or not.
    let works = bench.session(&opened, "echoBidi", json!([1000]));
    let closed = node.wait(
        "SessionClosed",
        Duration::from_millis(100),
        |seen| match &seen.event {
            Event::SessionClosed { reason, .. } => Some(tell(reason)),
            _ => None,
        },
    );
    let after = bench.session(&opened, "sessionState", json!([]));
    bench.close(&opened.tab);
    if !matches!(&works, Ok(works) if *works == true) {
        let facts = node.facts(peer, session)? - before;
        let ours =
            closed.unwrap_or_else(|_| format!("none yet, {facts} frames in 5 s that could tell"));
        let error = after
            .map(|after| show(&after["closed"]))
            .unwrap_or_default();
        let crash = if network != bench.browser()?.network_process() {
            "The browser's network service ended and was started anew, with all its connections lost"
        } else {
            "The browser's network service lives"
        };
        return Ok(Cell::deviation(
            format!("the session ends: `closed` {error}; our reason: {ours}"),
            format!(
                "expected: everything works on (§4.7, RFC 9114 §5.2), for the CONNECT stream is \
                 below the id in the GOAWAY. {crash}. That is why the crate sends clients of draft \
                 02 no GOAWAY"
            ),
        ));
    }
    Ok(match state["draining"]["state"].as_str() {
        Some("resolved") => Cell::pass("resolved, and the session works on"),
        Some("missing") => Cell::unsupported("the browser has no `draining`; the session works on"),
        Some("pending") => Cell::deviation(
            "pending, and the session works on",
            "expected: resolved. The page has the promise and is not told, though the server sent \
             what asks for it (§4.7)",
        ),
        _ => Cell::failure(state.to_string(), "expected: resolved"),
    })
}

/// Sessions that share a connection: whether that can be had with a certificate by its hash.
fn pooled(bench: &mut Bench, node: &Node) -> anyhow::Result<Cell> {
    match several(bench, node, json!({ "allowPooling": true })) {
        Err(error) if error.is::<PageError>() => Ok(Cell::unsupported(format!(
            "not together with `serverCertificateHashes`: {error}"
        ))),
        result => result,
    }
}

fn several(bench: &mut Bench, node: &Node, options: Value) -> anyhow::Result<Cell> {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let tab = bench.page()?;
    let mut opened: Vec<(PeerId, SessionId)> = Vec::new();
    for name in NAMES {
        let url = format!("https://{}/echo", node.address);
        let args = json!([name, url, bench.identity.hash(), options]);
        let state = bench.call(&tab, Place::Page, "openSession", &args)?;
        anyhow::ensure!(
            state["ready"]["state"] == "resolved",
            "{name} did not open: {state}"
        );
        opened.push(
            node.wait("SessionOpened", PATIENCE, |seen| match seen.event {
                Event::SessionOpened { session, .. } => Some((seen.peer, session)),
                _ => None,
            })?,
        );
    }
    bench.call(&tab, Place::Page, "closeSession", &json!(["b", 2, "b"]))?;
    let closed = node.wait("SessionClosed", PATIENCE, |seen| match &seen.event {
        Event::SessionClosed { session, reason } => {
            Some(((seen.peer, *session), reason.to_string()))
        }
        _ => None,
    })?;
    anyhow::ensure!(
        opened.get(1) == Some(&closed.0) && closed.1 == "closed by the peer with code 2: \"b\"",
        "another session was closed: {closed:?} of {opened:?}"
    );
    for name in ["a", "c", "d"] {
        let works = bench.call(&tab, Place::Page, "echoBidi", &json!([name, 1000]))?;
        anyhow::ensure!(works == true, "{name} does not work on");
    }
    bench.close(&tab);
    let mut peers: Vec<_> = opened.iter().map(|&(peer, _)| peer).collect();
    peers.dedup();
    let connections = peers.len();
    Ok(Cell::pass(format!(
        "the others work on; {connections} connections"
    )))
}

fn transfer(
    bench: &mut Bench,
    node: &Node,
    path: &str,
    function: &str,
    args: Value,
) -> anyhow::Result<Cell> {
    let opened: Opened = bench.open(node, Place::Page, path)?;
    let began = Instant::now();
    let len = bench.session(&opened, function, args)?;
    let took = began.elapsed();
    bench.close(&opened.tab);
    Ok(if len == MIB << 20 {
        Cell::pass(format!("all, in {:.1} s", took.as_secs_f64()))
    } else {
        Cell::failure(
            format!("{len} bytes"),
            format!("expected: {} bytes", MIB << 20),
        )
    })
}

fn protocols(bench: &mut Bench, node: &Node) -> anyhow::Result<Cell> {
    let options = json!({ "protocols": ["game-1", "game-2"] });
    node.forget();
    let (tab, state) = bench.request(node, Place::Page, "/echo", options)?;
    bench.close(&tab);
    let request = node.wait("SessionRequested", PATIENCE, |seen| match &seen.event {
        Event::SessionRequested { request, .. } => Some(request.clone()),
        _ => None,
    })?;
    let offered: Vec<_> = request
        .protocols
        .iter()
        .map(|offered| offered.as_str())
        .collect();
    let chosen = &state["protocol"];
    let measured = format!("offered {offered:?}, page shows {chosen}");
    Ok(if offered == ["game-1", "game-2"] && *chosen == "game-2" {
        Cell::pass(measured)
    } else if bench.kind == Kind::Firefox && offered.is_empty() && chosen.is_null() {
        Cell::unsupported("no offer comes, and the page has no `protocol`: from Firefox 155 on")
    } else {
        Cell::failure(measured, format!("{:?}", request.headers))
    })
}

fn origin(bench: &mut Bench, node: &Node) -> anyhow::Result<Cell> {
    node.forget();
    let (tab, state) = bench.request(node, Place::Page, "/origin", json!({}))?;
    bench.close(&tab);
    let request = node.wait("SessionRequested", PATIENCE, |seen| match &seen.event {
        Event::SessionRequested { request, .. } => Some(request.clone()),
        _ => None,
    })?;
    let origin = request
        .origin
        .as_ref()
        .map(|origin| String::from_utf8_lossy(origin.as_bytes()));
    let right = format!("http://{}", bench.web);
    let ready = state["ready"]["state"].as_str().unwrap_or_default();
    Ok(
        if origin.as_deref() == Some(&right) && ready == "rejected" {
            Cell::pass("told rightly, and `ready` rejects")
        } else {
            Cell::failure(
                format!("origin {origin:?}, ready {ready}"),
                format!("expected: {right}"),
            )
        },
    )
}
