//! The application on each connection: it obeys, and tells what happens.

use std::{
    collections::{BTreeMap, VecDeque},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use webtransport_session::{
    Action, ConnectError, ConnectionLost, Event, OpenError, Rejection, Request, Response,
    SendError, SessionId, StreamId,
};

use crate::{
    Host, Raw, Verb, pattern,
    report::{Report, What, print},
};

/// How much is offered to a stream at a time.
const CHUNK: u64 = 16 * 1024;

/// The same for every host and both roles.
///
/// A server answers a request by its path: `/reject` with 403, `/redirect` with 302 elsewhere,
/// `/wait` not at all; every other is accepted.
#[derive(Debug)]
pub struct Application {
    peer: usize,
    /// Orders to connect and to open that were refused for now.
    waiting: VecDeque<Verb>,
    /// What is still to be sent, by stream.
    sending: BTreeMap<StreamId, Sending>,
    /// How many bytes came, by stream, and whether they were the right ones.
    received: BTreeMap<StreamId, (u64, bool)>,
}

#[derive(Debug)]
struct Sending {
    offset: u64,
    end: u64,
    fin: bool,
}

impl Application {
    /// For the connection of this number.
    #[must_use]
    pub fn new(peer: usize) -> Self {
        Self {
            peer,
            waiting: VecDeque::new(),
            sending: BTreeMap::new(),
            received: BTreeMap::new(),
        }
    }

    /// Carries out an order. The host's loop goes on after it: there is something to perform.
    pub fn obey(&mut self, host: &mut impl Host, now: Instant, verb: Verb) {
        let order = format!("{verb:?}");
        if let Err(error) = self.carry_out(host, now, verb) {
            self.tell(What::Failed { order, error });
        }
    }

    fn carry_out(&mut self, host: &mut impl Host, now: Instant, verb: Verb) -> Result<(), String> {
        match verb {
            Verb::Connect { path } => {
                let uri = format!("https://localhost{path}").parse();
                let request = Request::new(uri.map_err(words)?);
                match host.connect(now, &request) {
                    Ok(session) => self.tell(What::Connecting { session }),
                    Err(ConnectError::Blocked) => self.waiting.push_back(Verb::Connect { path }),
                    Err(error) => return Err(error.to_string()),
                }
            }
            Verb::Accept { session } => host
                .sessions()
                .accept(now, session, Response::default())
                .map_err(words)?,
            Verb::Close {
                session,
                code,
                message,
            } => host.sessions().close(now, session, code, message.into()),
            Verb::Drain { session } => host.sessions().drain(session),
            Verb::GoAway => host.sessions().go_away(),
            Verb::Shutdown { code, message } => {
                host.sessions().shutdown(now, code, message.into());
            }
            Verb::Open { session, dir } => match host.open(now, session, dir) {
                Ok(stream) => self.tell(What::Open {
                    session,
                    stream,
                    dir,
                }),
                Err(OpenError::Blocked) => self.waiting.push_back(Verb::Open { session, dir }),
                Err(error) => return Err(error.to_string()),
            },
            Verb::Send { stream, len, fin } => {
                let sending = self.sending.entry(stream).or_insert(Sending {
                    offset: 0,
                    end: 0,
                    fin,
                });
                sending.end += len;
                sending.fin = fin;
                self.send(host, now, stream)?;
            }
            Verb::Reset { stream, code } => {
                self.sending.remove(&stream);
                host.sessions().reset(stream, code).map_err(words)?;
            }
            Verb::Stop { stream, code } => host.sessions().stop(stream, code).map_err(words)?,
            Verb::Pause { stream } => host.sessions().pause(stream),
            Verb::Resume { stream } => host.sessions().resume(stream),
            Verb::Datagram { session, text } => host.send_datagram(session, text.as_bytes())?,
            Verb::LargestDatagram { session } => {
                let len = host.max_datagram_size(session).ok_or("no datagrams")?;
                let mut payload = vec![0; len];
                pattern::fill(&mut payload, 0);
                host.send_datagram(session, &payload)?;
                self.tell(What::SentDatagram { session, len });
            }
            Verb::Abort { code, reason } => host.abort(now, code, reason.as_bytes()),
            Verb::BeBusy { milliseconds } => thread::sleep(Duration::from_millis(milliseconds)),
            Verb::Raw(raw) => host.raw(now, action(raw)),
        }
        Ok(())
    }

    /// Sends what goes; the rest at `StreamWritable`.
    fn send(&mut self, host: &mut impl Host, now: Instant, stream: StreamId) -> Result<(), String> {
        let Some(sending) = self.sending.get_mut(&stream) else {
            return Ok(());
        };
        while sending.offset < sending.end {
            let len = usize::try_from(CHUNK.min(sending.end - sending.offset)).map_err(words)?;
            let mut chunk = vec![0; len];
            pattern::fill(&mut chunk, sending.offset);
            match host.write(now, stream, &chunk) {
                Ok(written) => sending.offset += written as u64,
                Err(SendError::Blocked) => return Ok(()),
                Err(error) => {
                    self.sending.remove(&stream);
                    return Err(error.to_string());
                }
            }
        }
        if sending.fin {
            self.sending.remove(&stream);
            host.sessions().finish(stream).map_err(words)?;
        }
        self.tell(What::Sent { stream });
        Ok(())
    }

    /// Takes in an event, and tells it.
    pub fn event(&mut self, host: &mut impl Host, now: Instant, event: Event) {
        let what = match event {
            Event::Ready(negotiated) => What::Ready {
                dialect: format!("{:?}", negotiated.dialect),
                flow_control: negotiated.flow_control,
            },
            Event::Unsupported(missing) => What::Unsupported(format!("{missing:?}")),
            Event::SessionRequested { session, request } => {
                self.requested(host, now, session, request.path());
                return;
            }
            Event::SessionOpened { session, .. } => What::Opened { session },
            Event::SessionDraining { session } => What::Draining { session },
            Event::SessionClosed { session, reason } => What::Closed {
                session,
                label: reason.label().into(),
                reason: format!("{reason:?}"),
            },
            Event::DatagramReceived { session, payload } => What::Datagram {
                session,
                len: payload.len(),
                text: payload.escape_ascii().take(32).map(char::from).collect(),
            },
            Event::StreamOpened { session, stream } => What::StreamOpened { session, stream },
            Event::StreamData {
                session,
                stream,
                data,
                fin,
            } => {
                let (len, intact) = self.received.entry(stream).or_insert((0, true));
                *intact &= pattern::matches(&data, *len);
                *len += data.len() as u64;
                if !fin {
                    return;
                }
                let (len, intact) = (*len, *intact);
                self.received.remove(&stream);
                What::StreamEnded {
                    session,
                    stream,
                    len,
                    intact,
                }
            }
            Event::StreamReset {
                session,
                stream,
                code,
            } => What::StreamReset {
                session,
                stream,
                code,
            },
            Event::StreamStopped {
                session,
                stream,
                code,
            } => {
                self.sending.remove(&stream);
                What::StreamStopped {
                    session,
                    stream,
                    code,
                }
            }
            Event::StreamWritable { stream, .. } => {
                if let Err(error) = self.send(host, now, stream) {
                    let order = format!("send more on {stream}");
                    self.tell(What::Failed { order, error });
                }
                return;
            }
            Event::StreamsAvailable { .. } => {
                for verb in std::mem::take(&mut self.waiting) {
                    self.obey(host, now, verb);
                }
                return;
            }
            Event::ConnectionClosed { reason } => return self.connection_closed(&reason),
            _ => return,
        };
        self.tell(what);
    }

    /// Tells of a connection's end. For a connection that never came to be: elsewhere it is an event.
    pub fn connection_closed(&self, reason: &ConnectionLost) {
        self.tell(What::ConnectionClosed {
            label: reason.label().into(),
            reason: format!("{reason:?}"),
        });
    }

    fn requested(&mut self, host: &mut impl Host, now: Instant, session: SessionId, path: &str) {
        self.tell(What::Requested {
            session,
            path: path.into(),
        });
        let answer = match path {
            "/wait" => return,
            "/reject" => Err(http::StatusCode::FORBIDDEN.into()),
            "/redirect" => {
                let mut rejection = Rejection::from(http::StatusCode::FOUND);
                let elsewhere = http::HeaderValue::from_static("https://localhost/");
                rejection.headers.insert(http::header::LOCATION, elsewhere);
                Err(rejection)
            }
            _ => Ok(Response::default()),
        };
        let sessions = host.sessions();
        // The client may have left meanwhile: then `SessionClosed` says so.
        let _gone = match answer {
            Ok(response) => sessions.accept(now, session, response),
            Err(rejection) => sessions.reject(now, session, rejection),
        };
    }

    fn tell(&self, what: What) {
        let peer = self.peer;
        print(&Report::Happened { peer, what });
    }
}

fn words(error: impl ToString) -> String {
    error.to_string()
}

fn action(raw: Raw) -> Action {
    match raw {
        Raw::Write { stream, data, fin } => Action::Write {
            stream,
            data: Bytes::from(data),
            fin,
        },
        Raw::Reset { stream, code } => Action::Reset {
            stream,
            code,
            reliable_size: 0,
        },
        Raw::Stop { stream, code } => Action::StopSending { stream, code },
    }
}
