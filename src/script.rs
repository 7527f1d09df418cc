//! A readable transcript: one line for each thing that went in or came out.

mod session;

use std::{
    fmt::{self, Display, Write},
    time::Duration,
};

use bytes::Bytes;

use crate::{Action, Event, Input, Protocol, Side, StreamId};
#[cfg(feature = "trace")]
use crate::{Output, trace::Step};

/// What happened, one line for each input, action, event and recorded command, with its time. Of a
/// pair's commands those are in it that are the pair's own methods.
///
/// Made to be read in a bug report and compared in a snapshot. `Display` is the whole of it:
///
/// ```text
///     0.000 ms client -> Write 2: 19 bytes 00040f33…
///     1.000 ms server <- StreamData 2: 19 bytes 00040f33…
///     3.000 ms server ** SessionClosed 0: closed by the peer with a bare FIN
/// ```
///
/// `<-` goes into an end, `->` is an action of its, `**` an event, `--` a command or a remark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    lines: Vec<String>,
}

#[cfg(feature = "trace")]
const MISSED: &str = "what came before was not recorded";
/// So many bytes are shown of each piece.
const SHOWN: usize = 24;

impl Script {
    /// The lines, without line ends.
    pub fn lines(&self) -> impl Iterator<Item = &str> + '_ {
        self.lines.iter().map(String::as_str)
    }

    pub(crate) fn input(&mut self, at: Duration, side: Side, input: &Input) {
        self.line(at, side, "<-", &In(input));
    }

    pub(crate) fn action(&mut self, at: Duration, side: Side, action: &Action) {
        self.line(at, side, "->", &Out(action));
    }

    pub(crate) fn event(&mut self, at: Duration, side: Side, event: &Event) {
        self.line(at, side, "**", &Told(event));
    }

    pub(crate) fn remark(&mut self, at: Duration, side: Side, text: &dyn Display) {
        self.line(at, side, "--", text);
    }

    /// What a call was, its outputs aside: polls have no line but those.
    #[cfg(feature = "trace")]
    pub(crate) fn step(&mut self, at: Duration, side: Side, step: &Step) {
        if let Step::Input(input) = step {
            self.input(at, side, input);
        } else if !matches!(step, Step::Poll { .. } | Step::PollAction { .. }) {
            self.remark(at, side, &Command(step));
        }
    }

    #[cfg(feature = "trace")]
    pub(crate) fn output(&mut self, at: Duration, side: Side, output: &Output) {
        match output {
            Output::Action(action) => self.action(at, side, action),
            Output::Event(event) => self.event(at, side, event),
        }
    }

    fn line(&mut self, at: Duration, side: Side, arrow: &str, what: &dyn Display) {
        let side = match side {
            Side::Client => "client",
            Side::Server => "server",
        };
        let millis = at.as_secs_f64() * 1000.0;
        let line = format!("{millis:>9.3} ms {side} {arrow} {what}");
        self.lines.push(line.replace('\n', "\\n"));
    }
}

impl Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(feature = "trace")]
struct Command<'a>(&'a Step);
struct In<'a>(&'a Input);
struct Out<'a>(&'a Action);
struct Told<'a>(&'a Event);
struct Hex<'a>(&'a Bytes);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = if self.0.len() == 1 { "byte" } else { "bytes" };
        write!(f, "{} {bytes}", self.0.len())?;
        for (at, byte) in self.0.iter().take(SHOWN).enumerate() {
            if at == 0 {
                f.write_char(' ')?;
            }
            write!(f, "{byte:02x}")?;
        }
        if self.0.len() > SHOWN {
            f.write_char('…')?;
        }
        Ok(())
    }
}

fn fin(fin: bool) -> &'static str {
    if fin { ", FIN" } else { "" }
}

/// The line of a reset that goes out, behind as much payload as is to be delivered all the same.
fn reset(
    f: &mut fmt::Formatter<'_>,
    stream: StreamId,
    code: u64,
    reliable_size: u64,
) -> fmt::Result {
    write!(f, "Reset {stream}: {code:#x}")?;
    match reliable_size {
        0 => Ok(()),
        _ => write!(f, " behind {reliable_size} bytes"),
    }
}

fn stop_sending(f: &mut fmt::Formatter<'_>, stream: StreamId, code: u64) -> fmt::Result {
    write!(f, "StopSending {stream}: {code:#x}")
}

impl Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Input::StreamData {
                stream,
                data,
                fin: last,
            } => write!(f, "StreamData {stream}: {}{}", Hex(data), fin(*last)),
            Input::StreamReset { stream, code, .. } => {
                write!(f, "StreamReset {stream}: {code:#x}")
            }
            Input::StreamStopped { stream, code } => {
                write!(f, "StreamStopped {stream}: {code:#x}")
            }
            Input::Written {
                stream,
                len,
                fin: last,
            } => write!(f, "Written {stream}: {len} bytes{}", fin(*last)),
            Input::StreamWritable { stream } => write!(f, "StreamWritable {stream}"),
            Input::StreamAcknowledged { stream } => write!(f, "StreamAcknowledged {stream}"),
            Input::StreamsAvailable { dir } => write!(f, "StreamsAvailable {dir:?}"),
            Input::DatagramReceived { data } => write!(f, "DatagramReceived: {}", Hex(data)),
            Input::ConnectionClosed { reason } => write!(f, "ConnectionClosed: {reason}"),
            Input::Timeout => write!(f, "Timeout"),
        }
    }
}

#[cfg(feature = "trace")]
impl Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Step::Missed => write!(f, "{MISSED}"),
            Step::ProtocolStream { bound } => write!(f, "protocol stream {bound}"),
            Step::Start { transport, .. } => {
                write!(f, "start: datagrams {:?}", transport.datagrams)
            }
            Step::Input(input) => In(input).fmt(f),
            Step::Poll { times } => write!(f, "poll: {times} times"),
            Step::PollAction { times } => write!(f, "poll_action: {times} times"),
            Step::Connect { request, bound } => match bound {
                Some(stream) => write!(f, "connect {stream}: {}", request.uri),
                None => write!(f, "connect: {}, but not bound", request.uri),
            },
            Step::Open {
                session,
                dir,
                bound,
            } => match bound {
                Some(stream) => write!(f, "open {session}/{stream}"),
                None => write!(f, "open {session}: {dir:?}, but not bound"),
            },
            Step::Credit { stream, spent } => match spent {
                Some(spent) => write!(f, "credit {stream}: {spent} bytes spent"),
                None => write!(f, "credit {stream}: not spent"),
            },
            Step::Accept { session, response } => {
                write!(f, "accept {session}{}", Chosen(response.protocol.as_ref()))
            }
            Step::Reject { session, rejection } => {
                write!(f, "reject {session}: {}", rejection.status)
            }
            Step::Drain { session } => write!(f, "drain {session}"),
            Step::Close {
                session,
                code,
                message,
            } => write!(f, "close {session}: {code} \"{message}\""),
            Step::GoAway => write!(f, "go_away"),
            Step::Shutdown { code, message } => write!(f, "shutdown: {code} \"{message}\""),
            Step::Finish { stream } => write!(f, "finish {stream}"),
            Step::Reset { stream, code } => write!(f, "reset {stream}: {code}"),
            Step::Stop { stream, code } => write!(f, "stop {stream}: {code}"),
            Step::Pause { stream } => write!(f, "pause {stream}"),
            Step::Resume { stream } => write!(f, "resume {stream}"),
        }
    }
}

impl Display for Out<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Action::Write {
                stream,
                data,
                fin: last,
            } => write!(f, "Write {stream}: {}{}", Hex(data), fin(*last)),
            Action::Read { stream } => write!(f, "Read {stream}"),
            Action::Reset {
                stream,
                code,
                reliable_size,
            } => reset(f, *stream, *code, *reliable_size),
            Action::StopSending { stream, code } => stop_sending(f, *stream, *code),
            Action::CloseConnection { code, reason } => {
                write!(f, "CloseConnection: {code:#x} {reason:?}")
            }
        }
    }
}

impl Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Ready(negotiated) => match negotiated.dialect {
                Some(dialect) => write!(f, "Ready: {dialect:?}"),
                None => write!(f, "Ready: the request will tell"),
            },
            Event::Unsupported(missing) => write!(f, "Unsupported: {missing:?}"),
            Event::SessionRequested { session, request } => {
                write!(f, "SessionRequested {session}: {}", request.uri)
            }
            Event::SessionOpened { session, response } => {
                let chosen = Chosen(response.protocol.as_ref());
                write!(f, "SessionOpened {session}{chosen}")
            }
            Event::SessionDraining { session } => write!(f, "SessionDraining {session}"),
            Event::PriorityChanged { session, priority } => {
                write!(f, "PriorityChanged {session}: {priority}")
            }
            Event::SessionClosed { session, reason } => {
                write!(f, "SessionClosed {session}: {reason}")
            }
            Event::DatagramReceived { session, payload } => {
                write!(f, "DatagramReceived {session}: {}", Hex(payload))
            }
            Event::StreamOpened { session, stream } => {
                write!(f, "StreamOpened {session}/{stream}")
            }
            Event::StreamData {
                session,
                stream,
                data,
                fin: last,
            } => write!(
                f,
                "StreamData {session}/{stream}: {}{}",
                Hex(data),
                fin(*last)
            ),
            Event::StreamReset {
                session,
                stream,
                code,
            } => write!(f, "StreamReset {session}/{stream}: {}", Code(*code)),
            Event::StreamStopped {
                session,
                stream,
                code,
            } => write!(f, "StreamStopped {session}/{stream}: {}", Code(*code)),
            Event::StreamWritable { session, stream } => {
                write!(f, "StreamWritable {session}/{stream}")
            }
            Event::StreamsAvailable { dir } => write!(f, "StreamsAvailable {dir:?}"),
            Event::ConnectionClosed { reason } => write!(f, "ConnectionClosed: {reason}"),
        }
    }
}

struct Code(Option<u32>);
struct Chosen<'a>(Option<&'a Protocol>);

impl Display for Chosen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(protocol) => write!(f, ": {:?}", protocol.as_str()),
            None => Ok(()),
        }
    }
}

impl Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(code) => write!(f, "{code}"),
            None => write!(f, "no application code"),
        }
    }
}
