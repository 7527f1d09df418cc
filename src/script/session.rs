//! The same for a session alone.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use super::{Code, Hex, Script};
#[cfg(feature = "trace")]
use super::{MISSED, fin, reset, stop_sending};
use crate::{Side, session::Event};
#[cfg(feature = "trace")]
use crate::{
    session::{Action, Input, Output},
    trace::SessionStep,
};

impl Script {
    pub(crate) fn session_event(&mut self, at: Duration, side: Side, event: &Event) {
        self.line(at, side, "**", &Told(event));
    }

    /// What a call was, its outputs aside: polls have no line but those.
    #[cfg(feature = "trace")]
    pub(crate) fn session_step(&mut self, at: Duration, side: Side, step: &SessionStep) {
        if let SessionStep::Input(input) = step {
            self.line(at, side, "<-", &In(input));
        } else if !matches!(step, SessionStep::Poll { .. }) {
            self.remark(at, side, &Command(step));
        }
    }

    #[cfg(feature = "trace")]
    pub(crate) fn session_output(&mut self, at: Duration, side: Side, output: &Output) {
        match output {
            Output::Action(action) => self.line(at, side, "->", &Out(action)),
            Output::Event(event) => self.session_event(at, side, event),
        }
    }
}

struct Told<'a>(&'a Event);
#[cfg(feature = "trace")]
struct In<'a>(&'a Input);
#[cfg(feature = "trace")]
struct Out<'a>(&'a Action);
#[cfg(feature = "trace")]
struct Command<'a>(&'a SessionStep);

impl Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Opened => write!(f, "Opened"),
            Event::Draining => write!(f, "Draining"),
            Event::Closed { reason } => write!(f, "Closed: {reason}"),
            Event::DatagramReceived { payload } => write!(f, "DatagramReceived: {}", Hex(payload)),
            Event::StreamOpened { stream } => write!(f, "StreamOpened {stream}"),
            Event::StreamReset { stream, code } => {
                write!(f, "StreamReset {stream}: {}", Code(*code))
            }
            Event::StreamStopped { stream, code } => {
                write!(f, "StreamStopped {stream}: {}", Code(*code))
            }
            Event::StreamWritable { stream } => write!(f, "StreamWritable {stream}"),
            Event::StreamsAvailable { dir } => write!(f, "StreamsAvailable {dir:?}"),
        }
    }
}

#[cfg(feature = "trace")]
impl Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Input::Body { data, fin: last } => write!(f, "Body: {}{}", Hex(data), fin(*last)),
            Input::ConnectReset { code } => write!(f, "ConnectReset: {code:#x}"),
            Input::ConnectStopped { code } => write!(f, "ConnectStopped: {code:#x}"),
            Input::StreamOpened { stream } => write!(f, "StreamOpened {stream}"),
            Input::StreamData {
                stream,
                len,
                fin: last,
            } => write!(f, "StreamData {stream}: {len} bytes{}", fin(*last)),
            Input::StreamReset { stream, code, .. } => {
                write!(f, "StreamReset {stream}: {code:#x}")
            }
            Input::StreamStopped { stream, code } => {
                write!(f, "StreamStopped {stream}: {code:#x}")
            }
            Input::StreamWritable { stream } => write!(f, "StreamWritable {stream}"),
            Input::StreamsAvailable { dir } => write!(f, "StreamsAvailable {dir:?}"),
            Input::DatagramReceived { payload } => write!(f, "DatagramReceived: {}", Hex(payload)),
            Input::GoAway { id } => write!(f, "GoAway: {id}"),
            Input::ConnectionClosed { reason } => write!(f, "ConnectionClosed: {reason}"),
            Input::Timeout => write!(f, "Timeout"),
        }
    }
}

#[cfg(feature = "trace")]
impl Display for Out<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Action::SendBody { data, fin: last } => {
                write!(f, "SendBody: {}{}", Hex(data), fin(*last))
            }
            Action::ResetConnect { code } => write!(f, "ResetConnect: {code:#x}"),
            Action::StopConnect { code } => write!(f, "StopConnect: {code:#x}"),
            Action::Finish { stream } => write!(f, "Finish {stream}"),
            Action::Reset {
                stream,
                code,
                reliable_size,
            } => reset(f, *stream, *code, *reliable_size),
            Action::StopSending { stream, code } => stop_sending(f, *stream, *code),
        }
    }
}

#[cfg(feature = "trace")]
impl Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SessionStep::Missed => write!(f, "{MISSED}"),
            SessionStep::Open => write!(f, "open"),
            SessionStep::Reject { by, rejection } => {
                write!(f, "reject: {} by {by:?}", rejection.status)
            }
            SessionStep::Fail { violation } => write!(f, "fail: {violation}"),
            SessionStep::Input(input) => In(input).fmt(f),
            SessionStep::Poll { times } => write!(f, "poll: {times} times"),
            SessionStep::OpenStream { dir, bound } => match bound {
                Some(stream) => write!(f, "open_stream {stream}"),
                None => write!(f, "open_stream: {dir:?}, but not bound"),
            },
            SessionStep::Credit { stream, spent } => match spent {
                Some(spent) => write!(f, "credit {stream}: {spent} bytes spent"),
                None => write!(f, "credit {stream}: not spent"),
            },
            SessionStep::Consumed { len } => write!(f, "consumed: {len} bytes"),
            SessionStep::Finish { stream } => write!(f, "finish {stream}"),
            SessionStep::Reset { stream, code } => write!(f, "reset {stream}: {code}"),
            SessionStep::Stop { stream, code } => write!(f, "stop {stream}: {code}"),
            SessionStep::Drain => write!(f, "drain"),
            SessionStep::Close { code, message } => write!(f, "close: {code} \"{message}\""),
            SessionStep::Pause => write!(f, "pause"),
            SessionStep::Resume => write!(f, "resume"),
        }
    }
}
