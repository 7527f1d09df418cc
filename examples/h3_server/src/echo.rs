//! What the server does with a session: everything comes back.

use std::{collections::BTreeMap, time::Instant};

use bytes::{Buf, BytesMut};
use h3_quinn::quinn;
use webtransport_session::{Dir, Event, SendError, SessionId, StreamId};

use crate::{END, GOODBYE, KICK, Sessions};

/// Bytes of a message. A longer one is not wanted.
const LARGEST_MESSAGE: usize = 64 * 1024;

#[derive(Default)]
pub(crate) struct Echo {
    /// Where each session was asked for.
    paths: BTreeMap<SessionId, String>,
    /// What was not sent back yet, and whether it is the last.
    unsent: BTreeMap<StreamId, (BytesMut, bool)>,
    /// What came on streams that cannot be answered on, until it is complete.
    messages: BTreeMap<StreamId, (SessionId, BytesMut)>,
    /// Messages that wait for a stream.
    waiting: Vec<(SessionId, BytesMut)>,
}

impl Echo {
    pub(crate) fn begin(&mut self, session: SessionId, path: &str) {
        self.paths.insert(session, path.to_owned());
    }

    pub(crate) fn event(&mut self, host: &mut Sessions, quic: &quinn::Connection, event: Event) {
        match event {
            Event::DatagramReceived { session, payload } => {
                if let Ok(datagram) = host.datagram(session, &payload) {
                    let _too_large = quic.send_datagram(datagram);
                }
                self.said_something(host, session);
            }
            Event::StreamData {
                session,
                stream,
                data,
                fin,
            } if stream.dir() == Dir::Uni => {
                let (_, message) = self
                    .messages
                    .entry(stream)
                    .or_insert((session, BytesMut::new()));
                message.extend_from_slice(&data);
                if message.len() > LARGEST_MESSAGE {
                    self.messages.remove(&stream);
                    let _over = host.stop(stream, 0);
                } else if let Some((_, message)) = fin.then(|| self.messages.remove(&stream)).flatten()
                {
                    self.waiting.push((session, message));
                    self.said_something(host, session);
                }
            }
            Event::StreamData {
                session,
                stream,
                data,
                fin,
            } => {
                let (bytes, ends) = self.unsent.entry(stream).or_default();
                bytes.extend_from_slice(&data);
                *ends = fin;
                self.said_something(host, session);
            }
            Event::StreamReset { stream, code, .. } => {
                self.messages.remove(&stream);
                let _over = host.reset(stream, code.unwrap_or(0));
            }
            Event::StreamStopped { stream, code, .. } => {
                let _over = host.stop(stream, code.unwrap_or(0));
            }
            Event::SessionClosed { session, .. } => {
                self.paths.remove(&session);
                self.waiting.retain(|&(of, _)| of != session);
                self.messages.retain(|_, &mut (of, _)| of != session);
            }
            _ => {}
        }
        self.waiting.retain(|(session, message)| {
            match host.open(*session, Dir::Uni) {
                Ok(stream) => {
                    self.unsent.insert(stream, (message.clone(), true));
                    false
                }
                // As many streams as QUIC allows are open: `StreamsAvailable` follows.
                Err(error) => error == webtransport_session::OpenError::Blocked,
            }
        });
        // Whatever happened: what was blocked may go now, or never. Until then no more is read.
        self.unsent.retain(|&stream, (bytes, ends)| {
            while bytes.has_remaining() {
                match host.write(stream, bytes) {
                    Ok(written) => bytes.advance(written),
                    Err(SendError::Blocked) => {
                        host.pause(stream);
                        return true;
                    }
                    Err(SendError::Stopped(_) | SendError::StreamClosed) => {
                        let _over = host.stop(stream, 0);
                        return false;
                    }
                }
            }
            host.resume(stream);
            if *ends {
                let _over = host.finish(stream);
            }
            false
        });
    }

    fn said_something(&self, host: &mut Sessions, session: SessionId) {
        let (code, message) = GOODBYE;
        match self.paths.get(&session).map(String::as_str) {
            Some(KICK) => host.close(Instant::now(), session, code, message),
            Some(END) => host.shutdown(Instant::now(), code, message),
            _ => {}
        }
    }
}
