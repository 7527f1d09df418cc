//! The two machines in one process, without QUIC: what QUIC would carry is handed over at once, and time
//! is told. What their machine says is in `theirs`.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use shiguredo_http3::{
    ClientConnection, Error, Header, ServerConnection, Settings, VarInt,
    webtransport::{ConnectRequest, DraftVersion, ServerSettingsParams},
};
use webtransport_session::{
    Action, Connection, Dir, Event, Input, Output, Rejection, Request, Response, SessionId, Side,
    StreamId, Support, Transport,
};

use super::{
    super::{
        Case, closed_with,
        guest::{Deed, Fin},
        ours::{Act, Told},
    },
    CONVERSED,
};

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

// Behind the macro, which it uses.
mod theirs;

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

pub(super) fn play(
    draft: DraftVersion,
    side: Side,
    case: &Case,
) -> anyhow::Result<(Told, Vec<String>)> {
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
        self.ours.start(self.now, transport);
        if let Some(permit) = self.ours.protocol_stream() {
            permit.bind(StreamId::new(self.side.other(), Dir::Uni, 0));
        }
        let uni = |index| u64::from(StreamId::new(self.side, Dir::Uni, index));
        let (control, encoder, decoder) = (uni(0), uni(1), uni(2));
        let init =
            theirs!(self.theirs, machine => machine.init_h3_streams(control, encoder, decoder))
                .map_err(refused)?;
        for (stream, data) in [
            (control, init.control_data),
            (encoder, init.encoder_data),
            (decoder, init.decoder_data),
        ] {
            self.give_us(stream, data, false);
        }
        self.pump()?;
        if let Theirs::Client(client) = &mut self.theirs {
            let mut request = ConnectRequest::new("https", "localhost", "/peers");
            request = request.draft_version(draft);
            let mut headers = request
                .to_headers()
                .map_err(|error| anyhow::anyhow!("{error:?}"))?;
            if matches!(draft, DraftVersion::Draft02) {
                let name = b"sec-webtransport-http3-draft02";
                headers
                    .push(Header::new(name, b"1").map_err(|error| anyhow::anyhow!("{error:?}"))?);
            }
            client.send_request(&headers, false).map_err(refused)?;
            self.pump()?;
            if let Deed::ResetEarly(code) = self.case.deed {
                let (stream, final_size) = (StreamId::from(SESSION), None);
                let input = Input::StreamReset {
                    stream,
                    code,
                    final_size,
                };
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
            let streams =
                theirs!(self.theirs, machine => Vec::from_iter(machine.writable_streams()));
            for stream in streams {
                while let Some((data, fin)) =
                    theirs!(self.theirs, machine => machine.take_stream_data(stream))
                {
                    is_idle = false;
                    self.give_us(stream, data, fin);
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

    fn give_us(&mut self, stream: u64, data: Vec<u8>, fin: bool) {
        if fin {
            self.finished.push(stream);
        }
        let stream = StreamId::from(stream);
        let data = Bytes::from(data);
        self.ours
            .handle(self.now, Input::StreamData { stream, data, fin });
    }

    fn give_them(&mut self, stream: StreamId, data: &[u8], fin: bool) {
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
                self.lines
                    .push(format!("{stream}: refused with {:#x}", error as u64));
                let (code, final_size) = (error as u64, None);
                let reset = Input::StreamReset {
                    stream,
                    code,
                    final_size,
                };
                self.ours.handle(self.now, reset);
                self.ours
                    .handle(self.now, Input::StreamStopped { stream, code });
            }
            Err(Error::ConnectionError(error)) => {
                self.lines
                    .push(format!("connection refused with {:#x}", error as u64));
                self.lose(error as u64, "");
            }
            Err(error) => self.lines.push(format!("{stream}: {error:?}")),
        }
    }

    fn lose(&mut self, code: u64, reason: &'static str) {
        let reason = closed_with(code, reason);
        self.ours
            .handle(self.now, Input::ConnectionClosed { reason });
    }

    // ---- ours

    fn perform(&mut self, action: Action) {
        match action {
            Action::Write { stream, data, fin } => {
                let len = data.len();
                self.ours
                    .handle(self.now, Input::Written { stream, len, fin });
                self.give_them(stream, &data, fin);
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
            Event::Unsupported(missing) => {
                self.told.notes.push(format!("unsupported: {missing:?}"))
            }
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
                    self.datagram_for_them(session, &payload);
                }
                self.came_back(session);
            }
            Event::StreamData {
                session,
                stream,
                data,
                fin,
            } => {
                let received = self
                    .received
                    .entry((self.side.other(), stream.into()))
                    .or_default();
                received.extend_from_slice(&data);
                if fin {
                    let all = received.clone();
                    let (dir, text) = (stream.dir(), all.escape_ascii());
                    self.told.notes.push(format!("{session}: {dir:?} {text}"));
                    if stream.initiator() == self.side && dir == Dir::Bi {
                        self.write(stream, &all);
                    }
                    self.came_back(session);
                }
            }
            Event::ConnectionClosed { reason } => self.told.connection = Some(reason),
            _ => {}
        }
    }

    /// Closes when all of a conversation is there.
    fn came_back(&mut self, session: SessionId) {
        if self.told.notes.len() == CONVERSED.len() {
            self.ours.close(self.now, session, 0, "");
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
        self.give_them(stream, data, false);
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

    fn datagram_for_them(&mut self, session: SessionId, payload: &[u8]) {
        let Ok(datagram) = self
            .ours
            .datagram(session)
            .map(|permit| permit.encode(payload))
        else {
            return;
        };
        let fed = theirs!(self.theirs, machine => machine.feed_datagram(&datagram));
        self.heed(session.connect_stream(), fed);
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
            Act::Fin => self.give_them(stream, b"", true),
            Act::Reset(code) => self.perform(Action::Reset {
                stream,
                code,
                reliable_size: 0,
            }),
            Act::Stop(code) => self.perform(Action::StopSending { stream, code }),
            Act::Converse => {
                self.open(Dir::Bi, b"o-bi");
                self.open(Dir::Uni, b"o-uni");
                self.datagram_for_them(session, b"o-datagram");
            }
            _ => {}
        }
        match self.case.deed.clone() {
            Deed::Body(data, fin) => self.send_body(&data, fin == Fin::Yes),
            Deed::Reset(code) => {
                let final_size = None;
                self.ours.handle(
                    now,
                    Input::StreamReset {
                        stream,
                        code,
                        final_size,
                    },
                );
            }
            Deed::Stop(code) => self.ours.handle(now, Input::StreamStopped { stream, code }),
            Deed::CloseConnection(code, reason) => self.lose(code, reason),
            Deed::Converse => {
                self.their_stream(Dir::Bi, &[0x40, 0x41, 0], b"p-bi");
                self.their_stream(Dir::Uni, &[0x40, 0x54, 0], b"p-uni");
                self.datagram_for_us(b"p-datagram");
            }
            Deed::GoAway(body) => {
                let sent =
                    theirs!(self.theirs, machine => machine.send_goaway(VarInt::from_static(4)));
                if let Err(error) = sent {
                    self.lines.push(format!("no GOAWAY: {error:?}"));
                }
                self.send_body(&body, true);
            }
            _ => {}
        }
    }
}

fn refused(error: Error) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}
