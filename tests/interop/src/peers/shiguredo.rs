//! The crate `shiguredo_http3`: a machine without sockets like ours, and so joined to ours in memory,
//! without QUIC. What QUIC would carry is handed over at once, and time is told.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use shiguredo_http3::{
    ClientConnection, Error, Event as TheirEvent, Header, ServerConnection, Settings, VarInt,
    WebTransportEvent,
    webtransport::{Capsule, ConnectRequest, ConnectResponse, DraftVersion, ServerSettingsParams},
};
use webtransport_session::{
    AbortedBy, Action, CloseReason, Connection, ConnectionLost, Deadline, Dialect, Dialects, Dir,
    Endpoint, Event, FlowControl, Http3Error, Input, Output, Rejection, Request, Response,
    SessionId, Side, StreamId, Support, Transport, Violation,
};

use super::{
    Case, aborted, capsule, closed_with,
    guest::{Deed, Fin},
    local,
    ours::{Act, Told},
    peer_closed, peer_finished, rejected,
};
use crate::{
    options::Options,
    table::{Section, Table},
};

pub(crate) fn section(options: &Options) -> anyhow::Result<Section> {
    let name = "shiguredo_http3";
    let mut section = Section::new("shiguredo", name);
    section.version(name, super::version(name));
    section.notes.push(
        "Both machines in one process, without QUIC: what one gives the other takes. Told are its \
         events of sessions. Each case is played with the drafts 02, 07 and 16."
            .into(),
    );
    for (draft, dialect, words) in [
        (DraftVersion::Draft15, Dialect::Draft16, "draft 16"),
        (DraftVersion::Draft07, Dialect::Draft07, "draft 07"),
        (DraftVersion::Draft02, Dialect::Draft02, "draft 02"),
    ] {
        for (side, role) in [(Side::Client, "client"), (Side::Server, "server")] {
            let title = format!("{name} as {role}, {words}");
            let mut table = Table::new(
                &title,
                &["what happens", "our application", "the peer's"],
            );
            for mut case in cases(side, dialect) {
                if options.wants(&case.name) || options.wants(&title) {
                    case.setup.config.dialects = Dialects::only(dialect);
                    let (told, lines) = play(draft, side, &case)?;
                    table.rows.push(case.judge(&told, lines));
                }
            }
            section.tables.push(table);
        }
    }
    Ok(section)
}

fn cases(side: Side, dialect: Dialect) -> Vec<Case> {
    let long = "ü".repeat(512);
    let bye = || capsule(7, b"bye");
    let body = |name: &str, data: Vec<u8>, fin, reason| {
        Case::new(name, Act::Wait, Deed::Body(data, fin), reason)
    };
    let violates = |name: &str, data: Vec<u8>, violation: Violation| {
        body(name, data, Fin::Yes, violation.into())
    };
    let close = |code, message: &str| {
        let act = Act::Close(code, message.into());
        let name = match message.len() {
            1024 => "we close with 2^32 - 1 and a message of 1024 bytes".into(),
            _ => format!("we close with {code} and {message:?}"),
        };
        Case::new(name, act, Deed::Wait, local(code, message))
            .told(&[format!("0: closed with {code} {message:?}")])
    };
    let grease = [&[0x40, 0x5f, 3][..], b"abc", &bye()].concat();
    let forbidden = vec![0x99, 0x0b, 0x4d, 0x3e, 0];
    let mut cases = vec![
        Case::new("streams and datagrams", Act::Converse, Deed::Converse, local(0, ""))
            .notes(&["0: Bi o-bi", "0: Bi p-bi", "0: Uni p-uni", "0: datagram o-datagram", "0: datagram p-datagram"])
            .any_order()
            .told(&["0: closed with 0 \"\"", "0: datagram o-datagram", "0: datagram p-datagram", "Bi o-bi", "Bi p-bi", "Uni o-uni"]),
        body("E01 capsule (7, \"bye\") and FIN", bye(), Fin::Yes, peer_closed(7, "bye")),
        body("E01 capsule of 2^32 - 1 and 1024 bytes", capsule(u32::MAX, long.as_bytes()), Fin::Yes, peer_closed(u32::MAX, &long)),
        body("E02 capsule (7, \"bye\"), no FIN", bye(), Fin::No, peer_closed(7, "bye")),
        body("E04 bare FIN", Vec::new(), Fin::Yes, peer_finished()),
        body("E06 capsule behind an unknown one", grease, Fin::Yes, peer_closed(7, "bye")),
        Case::new("E07 RESET_STREAM(0x10c)", Act::Wait, Deed::Reset(0x10c), aborted(AbortedBy::Reset, 0x10c)),
        Case::new("E08 STOP_SENDING(0x10c)", Act::Wait, Deed::Stop(0x10c), aborted(AbortedBy::StopSending, 0x10c)),
        violates("E20 capsule too short for its code", vec![0x68, 0x43, 3, 0, 0, 0], Violation::TruncatedClose),
        violates("E21 capsule of 1025 bytes", capsule(0, &[b'x'; 1025]), Violation::MessageTooLong),
        violates("E22 capsule that is not UTF-8", capsule(0, b"\xff"), Violation::MessageNotUtf8),
        violates("E23 FIN inside a capsule", vec![0x68, 0x43, 7, 0], Violation::Truncated),
        Case::new("E40 CONNECTION_CLOSE(0x10c, \"off\")", Act::Wait, Deed::CloseConnection(0x10c, "off"), closed_with(0x10c, "off").into()),
        close(4242, "bye-bye"),
        close(0, ""),
        close(u32::MAX, &long),
        Case::new("E64 we shut down with 8 and \"later\"", Act::Shutdown(8, "later"), Deed::Wait, local(8, "later"))
            .told(&["goaway", "0: closed with 8 \"later\""]),
        Case::new("N01 we drain, then capsule (7, \"bye\")", Act::Drain, Deed::Body(bye(), Fin::Yes), peer_closed(7, "bye"))
            .told(&["0: draining"]),
        Case::new("FIN from us", Act::Fin, Deed::Wait, peer_finished()).told(&["0: closed with 0 \"\""]),
        Case::new("RESET_STREAM from us", Act::Reset(0x10c), Deed::Wait, peer_finished()).told(&["0: closed with 0 \"\""]),
        Case::new("STOP_SENDING from us", Act::Stop(0x10c), Deed::Wait, peer_finished()).told(&["0: closed with 0 \"\""]),
    ];
    if dialect == Dialect::Draft16 {
        cases.push(violates("E24 WT_MAX_STREAM_DATA", forbidden, Violation::ForbiddenCapsule));
        cases.push(
            Case::new("streams, datagrams and flow control", Act::Converse, Deed::Converse, local(0, ""))
                .with(|setup| setup.config.flow_control = Some(FlowControl::new(64, 1, 1)))
                .notes(&["0: Bi o-bi", "0: Bi p-bi", "0: Uni p-uni", "0: datagram o-datagram", "0: datagram p-datagram"])
                .any_order()
                .told(&["0: closed with 0 \"\"", "0: datagram o-datagram", "0: datagram p-datagram", "Bi o-bi", "Bi p-bi", "Uni o-uni"]),
        );
    }
    match side {
        Side::Client => cases.extend([
            Case::new("E37 we reject with 403", Act::Reject(403), Deed::Wait, rejected(Endpoint::Local, 403)).told(&["0: status 403"]),
            Case::new("E50 we do not answer", Act::Withhold, Deed::Wait, CloseReason::TimedOut(Deadline::Request)),
            Case::new("E36 RESET_STREAM(0x10c) before the answer", Act::Withhold, Deed::ResetEarly(0x10c), CloseReason::Withdrawn { code: Some(0x10c) }),
        ]),
        Side::Server => cases.extend([
            Case::new("E30 it rejects with 403", Act::Wait, Deed::Reject(403), rejected(Endpoint::Peer, 403)),
            Case::new("E50 it does not answer", Act::Wait, Deed::Withhold, CloseReason::TimedOut(Deadline::Request)),
            Case::new("E63 we close before the answer", Act::CloseEarly(5), Deed::Withhold, local(5, "")),
            Case::new("N02 GOAWAY, then capsule (7, \"bye\")", Act::Wait, Deed::GoAway, peer_closed(7, "bye")).notes(&["0: draining"]),
        ]),
    }
    cases
}

// ---- the two machines

enum Theirs {
    Client(ClientConnection),
    Server(ServerConnection),
}

/// The same of both.
macro_rules! theirs {
    ($theirs:expr, $machine:ident => $do:expr) => {
        match &mut $theirs {
            Theirs::Client($machine) => $do,
            Theirs::Server($machine) => $do,
        }
    };
}

struct Pair<'a> {
    case: &'a Case,
    now: Instant,
    ours: Connection,
    theirs: Theirs,
    /// Theirs.
    side: Side,
    told: Told,
    lines: Vec<String>,
    /// Bytes that we sent, by stream.
    sent: BTreeMap<u64, u64>,
    /// What came on streams of sessions, at each end.
    received: BTreeMap<(Side, u64), Vec<u8>>,
    /// Their streams that have ended towards us.
    finished: Vec<u64>,
    /// Whether the session is open for us, and for them.
    open: (bool, bool),
    has_acted: bool,
}

const SESSION: u64 = 0;

fn play(draft: DraftVersion, side: Side, case: &Case) -> anyhow::Result<(Told, Vec<String>)> {
    let mut pair = Pair::new(draft, side, case)?;
    pair.begin(draft)?;
    pair.pump()?;
    // Longer than a request may take, and than the grace of a STOP_SENDING.
    pair.run_for(Duration::from_millis(1200))?;
    pair.ours.shutdown(pair.now, 0, "");
    pair.pump()?;
    pair.run_for(Duration::from_secs(2))?;
    Ok((pair.told, pair.lines))
}

impl<'a> Pair<'a> {
    fn new(draft: DraftVersion, side: Side, case: &'a Case) -> anyhow::Result<Self> {
        let config = Arc::new(case.setup.config.clone());
        let flow_control = case.setup.config.flow_control.is_some();
        let limit = VarInt::from_static(if flow_control { 64 } else { 0 });
        let streams = VarInt::from_static(u64::from(flow_control));
        let params = ServerSettingsParams {
            max_sessions: VarInt::from_static(1),
            initial_max_streams_uni: streams,
            initial_max_streams_bidi: streams,
            initial_max_data: limit,
        };
        let (ours, mut theirs) = match side {
            Side::Client => {
                let wt = draft.build_client_settings(&params);
                let settings = Settings::default().enable_webtransport_client(wt);
                let theirs = Theirs::Client(ClientConnection::new(settings));
                (Connection::server(config), theirs)
            }
            Side::Server => {
                let wt = draft.build_server_settings(&params);
                let settings = Settings::default().enable_webtransport_server(wt);
                let theirs = Theirs::Server(ServerConnection::new(settings));
                (Connection::client(config), theirs)
            }
        };
        theirs!(theirs, machine => machine.set_webtransport_transport_verified(true, true))
            .map_err(refused)?;
        Ok(Self {
            case,
            now: Instant::now(),
            ours,
            theirs,
            side,
            told: Told::default(),
            lines: Vec::new(),
            sent: BTreeMap::new(),
            received: BTreeMap::new(),
            finished: Vec::new(),
            open: (false, false),
            has_acted: false,
        })
    }

    /// The control streams, and a client's request.
    fn begin(&mut self, draft: DraftVersion) -> anyhow::Result<()> {
        let mut transport = Transport::new(Support::Yes);
        transport.reset_stream_at = Support::Yes;
        transport.peer_reset_stream_at = Support::Yes;
        transport.final_size = true;
        let control = StreamId::new(self.side.other(), Dir::Uni, 0);
        self.ours.start(self.now, control, transport);
        let uni = |index| u64::from(StreamId::new(self.side, Dir::Uni, index));
        let (control, encoder, decoder) = (uni(0), uni(1), uni(2));
        let init = theirs!(self.theirs, machine => machine.init_h3_streams(control, encoder, decoder))
            .map_err(refused)?;
        for (stream, data) in [
            (control, init.control_data),
            (encoder, init.encoder_data),
            (decoder, init.decoder_data),
        ] {
            self.to_us(stream, data, false);
        }
        self.pump()?;
        if let Theirs::Client(client) = &mut self.theirs {
            let mut request = ConnectRequest::new("https", "localhost", "/peers");
            request = request.draft_version(draft);
            let mut headers = request.to_headers().map_err(|error| anyhow::anyhow!("{error:?}"))?;
            if matches!(draft, DraftVersion::Draft02) {
                let name = b"sec-webtransport-http3-draft02";
                headers.push(Header::new(name, b"1").map_err(|error| anyhow::anyhow!("{error:?}"))?);
            }
            client.send_request(&headers, false).map_err(refused)?;
            self.pump()?;
            if let Deed::ResetEarly(code) = self.case.deed {
                let (stream, final_size) = (StreamId::from(SESSION), None);
                let input = Input::StreamReset { stream, code, final_size };
                self.ours.handle(self.now, input);
            }
        }
        Ok(())
    }

    /// Lets our timers run out.
    fn run_for(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = self.now + time;
        while let Some(due) = self.ours.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.ours.handle(self.now, Input::Timeout);
            self.pump()?;
        }
        self.now = end;
        Ok(())
    }

    /// Carries all that there is, until there is no more.
    fn pump(&mut self) -> anyhow::Result<()> {
        for _ in 0..1000 {
            let mut is_idle = true;
            while let Some(output) = self.ours.poll() {
                is_idle = false;
                match output {
                    Output::Action(action) => self.perform(action),
                    Output::Event(event) => self.event(event),
                }
            }
            let streams = theirs!(self.theirs, machine => Vec::from_iter(machine.writable_streams()));
            for stream in streams {
                while let Some((data, fin)) =
                    theirs!(self.theirs, machine => machine.take_stream_data(stream))
                {
                    is_idle = false;
                    self.to_us(stream, data, fin);
                    if fin {
                        break;
                    }
                }
            }
            let events = theirs!(self.theirs, machine => machine.drain_events());
            for event in events.map_err(refused)? {
                is_idle = false;
                self.their_event(event);
            }
            if is_idle && !self.has_acted && self.open == (true, true) {
                self.has_acted = true;
                is_idle = false;
                self.act();
            }
            if is_idle {
                return Ok(());
            }
        }
        anyhow::bail!("the two machines never come to rest")
    }

    fn to_us(&mut self, stream: u64, data: Vec<u8>, fin: bool) {
        if fin {
            self.finished.push(stream);
        }
        let stream = StreamId::from(stream);
        let data = Bytes::from(data);
        self.ours.handle(self.now, Input::StreamData { stream, data, fin });
    }

    fn to_them(&mut self, stream: StreamId, data: &[u8], fin: bool) {
        let id = u64::from(stream);
        *self.sent.entry(id).or_default() += data.len() as u64;
        let fed = theirs!(self.theirs, machine => machine.feed_stream(id, data, fin));
        self.heed(stream, fed);
    }

    /// What they refuse, QUIC is told.
    fn heed(&mut self, stream: StreamId, result: Result<(), Error>) {
        match result {
            Ok(()) => {}
            Err(Error::StreamError(error)) => {
                self.lines.push(format!("{stream}: refused with {:#x}", error as u64));
                let (code, final_size) = (error as u64, None);
                let reset = Input::StreamReset { stream, code, final_size };
                self.ours.handle(self.now, reset);
                self.ours.handle(self.now, Input::StreamStopped { stream, code });
            }
            Err(Error::ConnectionError(error)) => {
                self.lines.push(format!("connection refused with {:#x}", error as u64));
                self.lose(error as u64, "");
            }
            Err(error) => self.lines.push(format!("{stream}: {error:?}")),
        }
    }

    fn lose(&mut self, code: u64, reason: &'static str) {
        let reason = closed_with(code, reason);
        self.ours.handle(self.now, Input::ConnectionClosed { reason });
    }

    // ---- ours

    fn perform(&mut self, action: Action) {
        match action {
            Action::Write { stream, data, fin } => {
                let len = data.len();
                self.ours.handle(self.now, Input::Written { stream, len, fin });
                self.to_them(stream, &data, fin);
            }
            Action::Reset { stream, code, .. } => {
                let id = u64::from(stream);
                let size = self.sent.get(&id).copied().unwrap_or_default();
                let result = theirs!(self.theirs, machine => machine.stream_reset(id, code, size));
                self.heed(stream, result);
            }
            Action::StopSending { stream, code } => {
                let id = u64::from(stream);
                let result = theirs!(self.theirs, machine => machine.stop_sending(id, code));
                self.heed(stream, result);
            }
            Action::Read { .. } | Action::CloseConnection { .. } => {}
        }
    }

    fn event(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Ready(_) if self.side == Side::Server => self.connect(),
            Event::Unsupported(missing) => self.told.notes.push(format!("unsupported: {missing:?}")),
            Event::SessionRequested { session, .. } => {
                let _left = match self.case.setup.act {
                    Act::Withhold => Ok(()),
                    Act::Reject(status) => {
                        let status = http::StatusCode::from_u16(status).unwrap_or_default();
                        self.ours.reject(now, session, Rejection::from(status))
                    }
                    _ => self.ours.accept(now, session, Response::default()),
                };
            }
            Event::SessionOpened { .. } => self.open.0 = true,
            Event::SessionDraining { session } => {
                self.told.notes.push(format!("{session}: draining"));
            }
            Event::SessionClosed { session, reason } => {
                let session = u64::from(session.connect_stream());
                self.told.reasons.push((session, reason));
            }
            Event::DatagramReceived { session, payload } => {
                let text = payload.escape_ascii();
                self.told.notes.push(format!("{session}: datagram {text}"));
                if payload.starts_with(b"p-") {
                    self.datagram_to_them(session, &payload);
                }
            }
            Event::StreamData { session, stream, data, fin } => {
                let received = self.received.entry((self.side.other(), stream.into())).or_default();
                received.extend_from_slice(&data);
                if fin {
                    let all = received.clone();
                    let (dir, text) = (stream.dir(), all.escape_ascii());
                    self.told.notes.push(format!("{session}: {dir:?} {text}"));
                    if stream.initiator() == self.side && dir == Dir::Bi {
                        self.write(stream, &all);
                    }
                    let back = self.told.notes.iter().filter(|note| !note.contains("draining"));
                    if back.count() == 5 {
                        self.ours.close(now, session, 0, "");
                    }
                }
            }
            Event::ConnectionClosed { reason } => self.told.connection = Some(reason),
            _ => {}
        }
    }

    fn connect(&mut self) {
        let Ok(uri) = "https://localhost/peers".parse() else {
            return;
        };
        let request = Request::new(uri);
        let bound = self.ours.connect(self.now, &request);
        match bound.map(|permit| permit.bind(StreamId::from(SESSION))) {
            Ok(session) => {
                if let Act::CloseEarly(code) = self.case.setup.act {
                    self.ours.close(self.now, session, code, "");
                }
            }
            Err(error) => self.told.notes.push(format!("connect: {error}")),
        }
    }

    fn session() -> Option<SessionId> {
        SessionId::try_from(StreamId::from(SESSION)).ok()
    }

    /// A stream of ours, with FIN.
    fn write(&mut self, stream: StreamId, data: &[u8]) {
        // Its header goes first.
        while let Some(action) = self.ours.poll_action() {
            self.perform(action);
        }
        match self.ours.credit(stream) {
            Ok(credit) => credit.spend(data.len()),
            Err(error) => {
                self.told.notes.push(format!("{stream}: {error}"));
                return;
            }
        }
        self.to_them(stream, data, false);
        let _gone = self.ours.finish(stream);
    }

    fn open(&mut self, dir: Dir, data: &[u8]) {
        let Some(session) = Self::session() else {
            return;
        };
        // The first that is not a CONNECT stream or the control stream.
        let stream = StreamId::new(self.side.other(), dir, 1);
        match self.ours.open(session, dir) {
            Ok(permit) => permit.bind(stream),
            Err(error) => return self.told.notes.push(format!("open: {error}")),
        }
        self.write(stream, data);
    }

    fn datagram_to_them(&mut self, session: SessionId, payload: &[u8]) {
        let Ok(datagram) = self.ours.datagram(session).map(|permit| permit.encode(payload)) else {
            return;
        };
        let fed = theirs!(self.theirs, machine => machine.feed_datagram(&datagram));
        self.heed(session.connect_stream(), fed);
    }

    // ---- theirs

    fn their_event(&mut self, event: TheirEvent) {
        match event {
            TheirEvent::Header { stream_id, name, value } if name == b":status" => {
                let status = String::from_utf8_lossy(&value).into_owned();
                if status != "200" {
                    self.lines.push(format!("{stream_id}: status {status}"));
                }
            }
            TheirEvent::HeadersEnd { stream_id } => self.answer(stream_id),
            TheirEvent::GoawayReceived { .. } => self.lines.push("goaway".into()),
            TheirEvent::WebTransport(event) => self.their_session_event(event),
            _ => {}
        }
    }

    fn answer(&mut self, stream: u64) {
        let Theirs::Server(server) = &mut self.theirs else {
            return;
        };
        let status = match self.case.deed {
            Deed::Reject(status) => status,
            Deed::Withhold => return,
            _ => 200,
        };
        let Ok(headers) = ConnectResponse::new(status).to_headers() else {
            return;
        };
        let is_last = status != 200;
        if let Err(error) = server.send_response(stream, &headers, is_last) {
            self.lines.push(format!("no answer: {error:?}"));
        }
    }

    fn their_session_event(&mut self, event: WebTransportEvent) {
        match event {
            WebTransportEvent::SessionEstablished { .. } => self.open.1 = true,
            WebTransportEvent::SessionDraining { session_id } => {
                self.lines.push(format!("{session_id}: draining"));
            }
            WebTransportEvent::SessionClosed {
                session_id,
                close_error_code,
                close_message,
                ..
            } => {
                // What it ended itself it need not be told.
                if !self.finished.contains(&session_id) {
                    let told = format!("{session_id}: closed with {close_error_code} {close_message:?}");
                    self.lines.push(told);
                    // The FIN that answers.
                    self.to_us(session_id, Vec::new(), true);
                }
            }
            WebTransportEvent::Datagram { session_id, payload } => {
                let text = payload.escape_ascii();
                self.lines.push(format!("{session_id}: datagram {text}"));
                if payload.starts_with(b"o-") {
                    self.datagram_to_us(&payload);
                }
            }
            WebTransportEvent::BidiStreamData { stream_id, data }
            | WebTransportEvent::UniStreamData { stream_id, data } => {
                let received = self.received.entry((self.side, stream_id)).or_default();
                received.extend_from_slice(&data);
                let capsules = theirs!(self.theirs, machine => {
                    machine.wt_data_consumed(SESSION, data.len() as u64);
                    machine.take_wt_pending_capsules(SESSION)
                });
                self.send_capsules(&capsules);
            }
            WebTransportEvent::BidiStreamEnd { stream_id }
            | WebTransportEvent::UniStreamEnd { stream_id } => self.their_stream_ended(stream_id),
            _ => {}
        }
    }

    fn send_capsules(&mut self, capsules: &[Capsule]) {
        for capsule in capsules {
            let mut bytes = Vec::new();
            capsule.encode(&mut bytes);
            self.send_body(&bytes, false);
        }
    }

    fn send_body(&mut self, data: &[u8], fin: bool) {
        let sent = theirs!(self.theirs, machine => machine.send_body(SESSION, data, fin));
        if let Err(error) = sent {
            self.lines.push(format!("no body: {error:?}"));
        }
    }

    fn their_stream_ended(&mut self, id: u64) {
        let stream = StreamId::from(id);
        let all = self.received.remove(&(self.side, id)).unwrap_or_default();
        let (dir, text) = (stream.dir(), all.escape_ascii());
        self.lines.push(format!("{dir:?} {text}"));
        if stream.initiator() != self.side && dir == Dir::Bi {
            self.to_us(id, all, true);
        }
    }

    fn datagram_to_us(&mut self, payload: &[u8]) {
        let sent = theirs!(self.theirs, machine => machine.send_datagram(SESSION, payload));
        match sent {
            Ok(data) => {
                let data = Bytes::from(data);
                self.ours.handle(self.now, Input::DatagramReceived { data });
            }
            Err(error) => self.lines.push(format!("no datagram: {error:?}")),
        }
    }

    /// A stream of theirs, with its header and FIN.
    fn their_stream(&mut self, dir: Dir, header: &[u8], data: &[u8]) {
        // Behind the CONNECT, and behind the three of HTTP/3.
        let index = if dir == Dir::Bi { 1 } else { 3 };
        let stream = u64::from(StreamId::new(self.side, dir, index));
        let known = theirs!(self.theirs, machine => machine.register_local_wt_stream(SESSION, stream));
        if let Err(error) = known {
            self.lines.push(format!("no stream: {error:?}"));
        }
        self.to_us(stream, [header, data].concat(), true);
    }

    // ---- what is tried

    fn act(&mut self) {
        let (now, stream) = (self.now, StreamId::from(SESSION));
        let Some(session) = Self::session() else {
            return;
        };
        match self.case.setup.act.clone() {
            Act::Close(code, message) => self.ours.close(now, session, code, message),
            Act::Shutdown(code, message) => self.ours.shutdown(now, code, message),
            Act::Drain => {
                self.ours.drain(session);
                while let Some(action) = self.ours.poll_action() {
                    self.perform(action);
                }
            }
            Act::Fin => self.to_them(stream, b"", true),
            Act::Reset(code) => self.perform(Action::Reset { stream, code, reliable_size: 0 }),
            Act::Stop(code) => self.perform(Action::StopSending { stream, code }),
            Act::Converse => {
                self.open(Dir::Bi, b"o-bi");
                self.open(Dir::Uni, b"o-uni");
                self.datagram_to_them(session, b"o-datagram");
            }
            _ => {}
        }
        match self.case.deed.clone() {
            Deed::Body(data, fin) => self.send_body(&data, fin == Fin::Yes),
            Deed::Reset(code) => {
                let final_size = None;
                self.ours.handle(now, Input::StreamReset { stream, code, final_size });
            }
            Deed::Stop(code) => self.ours.handle(now, Input::StreamStopped { stream, code }),
            Deed::CloseConnection(code, reason) => self.lose(code, reason),
            Deed::Converse => {
                self.their_stream(Dir::Bi, &[0x40, 0x41, 0], b"p-bi");
                self.their_stream(Dir::Uni, &[0x40, 0x54, 0], b"p-uni");
                self.datagram_to_us(b"p-datagram");
            }
            Deed::GoAway => {
                let sent = theirs!(self.theirs, machine => machine.send_goaway(VarInt::from_static(4)));
                if let Err(error) = sent {
                    self.lines.push(format!("no GOAWAY: {error:?}"));
                }
                self.send_body(&capsule(7, b"bye"), true);
            }
            _ => {}
        }
    }
}

fn refused(error: Error) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}
