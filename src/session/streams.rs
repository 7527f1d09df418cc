//! The live data streams of one session: which halves are open, and who waits for what.
//!
//! A stream is here from the moment it is known to belong to the session until both of its halves
//! are over. Bytes, headers and credit of QUIC are not known here.

use super::{Action, Event, flow::Flow, outbox::Outbox};
use crate::{
    Dir, SendError, Side, StreamClosed, StreamId,
    table::Table,
    wire::error_code::{self, WT_SESSION_GONE},
};

#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Streams {
    live: Table<StreamId, Stream>,
    /// What they count against: a stream that goes gives back what it used. `None`: there is no flow
    /// control.
    pub(super) flow: Option<Box<Flow>>,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "testing", derive(PartialEq, Eq, Hash))]
struct Stream {
    send: SendHalf,
    receive: ReceiveHalf,
    /// The application has heard of it.
    told: bool,
    /// A write was refused: `StreamWritable` is owed.
    refused: bool,
    /// The peer opened it.
    theirs: bool,
    /// Payload bytes that came.
    received: u64,
    /// Bytes that a reset must still deliver: the header of a stream that we opened, where QUIC can
    /// promise so.
    header_len: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
enum SendHalf {
    Open,
    /// The peer asked to stop, and got its reset.
    Stopped {
        code: u64,
    },
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
enum ReceiveHalf {
    Open,
    Reset { code: u64 },
    Over,
}

impl Stream {
    /// Whether nothing more can happen to it that the application does not know.
    fn is_over(&self) -> bool {
        self.told && self.send != SendHalf::Open && self.receive != ReceiveHalf::Open
    }
}

impl Streams {
    pub(super) fn new(flow: Option<Box<Flow>>) -> Self {
        let live = Table::default();
        Self { live, flow }
    }

    /// The peer opened `stream`. False when it was known already.
    pub(super) fn insert_theirs(&mut self, stream: StreamId, told: bool) -> bool {
        let send = match stream.dir() {
            Dir::Bi => SendHalf::Open,
            Dir::Uni => SendHalf::Over,
        };
        self.live.add(
            stream,
            Stream {
                send,
                receive: ReceiveHalf::Open,
                told,
                refused: false,
                theirs: true,
                received: 0,
                header_len: 0,
            },
        )
    }

    /// We opened `stream`. False when it was known already.
    pub(super) fn insert_ours(&mut self, stream: StreamId, header_len: u8) -> bool {
        let receive = match stream.dir() {
            Dir::Bi => ReceiveHalf::Open,
            Dir::Uni => ReceiveHalf::Over,
        };
        self.live.add(
            stream,
            Stream {
                send: SendHalf::Open,
                receive,
                told: true,
                refused: false,
                theirs: false,
                received: 0,
                header_len,
            },
        )
    }

    /// Whether the peer's half of a stream is open. `None`: it is not here.
    #[inline]
    pub(super) fn receives(&self, id: StreamId) -> Option<bool> {
        let stream = self.live.get(id)?;
        Some(stream.receive == ReceiveHalf::Open)
    }

    /// Tells the application of the streams that waited for the session, and what became of them.
    pub(super) fn announce(&mut self, out: &mut Outbox) {
        for id in self.live.ids() {
            let Some(stream) = self.live.get_mut(id) else {
                continue;
            };
            if std::mem::replace(&mut stream.told, true) {
                continue;
            }
            out.event(Event::StreamOpened { stream: id });
            if let ReceiveHalf::Reset { code } = stream.receive {
                out.event(reset_event(id, code));
            }
            if let SendHalf::Stopped { code } = stream.send {
                out.event(stopped_event(id, code));
            }
            self.drop_if_over(id);
        }
    }

    /// Counts payload of a stream, the last with `fin`: whether the stream is over then. `None`: it
    /// does not receive any more, or is unknown.
    #[inline]
    pub(super) fn receive(&mut self, id: StreamId, len: u64, fin: bool) -> Option<bool> {
        let stream = self.live.get_mut(id)?;
        if stream.receive != ReceiveHalf::Open {
            return None;
        }
        stream.received = stream.received.saturating_add(len);
        if fin {
            stream.receive = ReceiveHalf::Over;
            if stream.is_over() {
                self.remove(id);
                return Some(true);
            }
        }
        Some(false)
    }

    /// How much payload came on a stream that still receives.
    pub(super) fn payload_of(&self, id: StreamId) -> Option<u64> {
        let stream = self.live.get(id)?;
        (stream.receive == ReceiveHalf::Open).then_some(stream.received)
    }

    /// The streams that wait for the session's credit, which there is again.
    pub(super) fn unblock(&mut self, out: &mut Outbox) {
        for stream in self.live.ids() {
            if let Some(state) = self.live.get_mut(stream) {
                if state.send == SendHalf::Open && std::mem::take(&mut state.refused) {
                    out.event(Event::StreamWritable { stream });
                }
            }
        }
    }

    pub(super) fn reset_by_peer(&mut self, id: StreamId, code: u64, out: &mut Outbox) {
        if let Some(stream) = self.live.get(id).copied() {
            self.release_untold(stream);
        }
        if self.end_receive(id, ReceiveHalf::Reset { code }) == Some(true) {
            out.event(reset_event(id, code));
        }
    }

    pub(super) fn stopped_by_peer(&mut self, id: StreamId, code: u64, out: &mut Outbox) {
        let Some(stream) = self.live.get_mut(id) else {
            return;
        };
        if stream.send != SendHalf::Open {
            return;
        }
        stream.send = SendHalf::Stopped { code };
        // RFC 9000 §3.5: "An endpoint SHOULD copy the error code from the STOP_SENDING frame to
        // the RESET_STREAM frame it sends".
        out.action(Action::Reset {
            stream: id,
            code,
            reliable_size: stream.header_len.into(),
        });
        if stream.told {
            out.event(stopped_event(id, code));
        }
        self.drop_if_over(id);
    }

    /// A write may be tried again: true when one was refused.
    pub(super) fn writable(&mut self, id: StreamId) -> bool {
        self.live
            .get_mut(id)
            .is_some_and(|stream| std::mem::take(&mut stream.refused))
    }

    pub(super) fn refuse(&mut self, id: StreamId) {
        if let Some(stream) = self.live.get_mut(id) {
            stream.refused = true;
        }
    }

    pub(super) fn sending(&self, id: StreamId) -> Result<(), SendError> {
        match self.live.get(id) {
            Some(stream) if stream.told => match stream.send {
                SendHalf::Open => Ok(()),
                SendHalf::Stopped { code } => {
                    Err(SendError::Stopped(error_code::to_application(code)))
                }
                SendHalf::Over => Err(SendError::StreamClosed),
            },
            Some(_) | None => Err(SendError::StreamClosed),
        }
    }

    pub(super) fn finish(&mut self, id: StreamId, out: &mut Outbox) -> Result<(), StreamClosed> {
        self.end_send(id)?;
        out.action(Action::Finish { stream: id });
        Ok(())
    }

    pub(super) fn reset(
        &mut self,
        id: StreamId,
        code: u32,
        out: &mut Outbox,
    ) -> Result<(), StreamClosed> {
        let header_len = self.end_send(id)?;
        out.action(Action::Reset {
            stream: id,
            code: error_code::from_application(code),
            reliable_size: header_len.into(),
        });
        Ok(())
    }

    pub(super) fn stop(
        &mut self,
        id: StreamId,
        code: u32,
        out: &mut Outbox,
    ) -> Result<(), StreamClosed> {
        let known = self.live.get(id).is_some_and(|stream| stream.told);
        if !known || self.end_receive(id, ReceiveHalf::Over).is_none() {
            return Err(StreamClosed);
        }
        out.action(Action::StopSending {
            stream: id,
            code: error_code::from_application(code),
        });
        Ok(())
    }

    /// Ends every half that is still alive, in the order of ids. Gives the number of streams that
    /// the application was not told of.
    pub(super) fn abandon(&mut self, out: &mut Outbox) -> u64 {
        // §6: "the endpoint MUST reset the send side and abort reading on the receive side of all
        // unidirectional and bidirectional streams associated with the session […] using the
        // WT_SESSION_GONE error code"
        let mut untold = 0;
        for id in self.live.ids() {
            let Some(stream) = self.live.remove(id) else {
                continue;
            };
            untold += u64::from(!stream.told);
            if stream.send == SendHalf::Open {
                out.action(Action::Reset {
                    stream: id,
                    code: WT_SESSION_GONE,
                    reliable_size: stream.header_len.into(),
                });
            }
            if stream.receive == ReceiveHalf::Open {
                out.action(Action::StopSending {
                    stream: id,
                    code: WT_SESSION_GONE,
                });
            }
        }
        untold
    }

    /// Forgets them all: the connection is gone, and nothing is given back.
    pub(super) fn clear(&mut self) {
        self.live.clear();
    }

    /// Whether our half was still open.
    pub(super) fn forget(&mut self, id: StreamId) -> bool {
        let Some(stream) = self.remove(id) else {
            return false;
        };
        self.release_untold(stream);
        stream.send == SendHalf::Open
    }

    /// What waited for the session is dropped: the application will never read it.
    fn release_untold(&mut self, stream: Stream) {
        if let Some(flow) = self.flow.as_mut().filter(|_| !stream.told) {
            flow.received.data.give(stream.received);
        }
    }

    /// `None` when that half was over; else whether the application knows the stream.
    fn end_receive(&mut self, id: StreamId, half: ReceiveHalf) -> Option<bool> {
        let stream = self.live.get_mut(id)?;
        if stream.receive != ReceiveHalf::Open {
            return None;
        }
        stream.receive = half;
        let told = stream.told;
        self.drop_if_over(id);
        Some(told)
    }

    /// Gives the length of the header that a reset must still deliver.
    fn end_send(&mut self, id: StreamId) -> Result<u8, StreamClosed> {
        match self.live.get_mut(id) {
            Some(stream) if stream.told && stream.send == SendHalf::Open => {
                stream.send = SendHalf::Over;
                let header_len = stream.header_len;
                self.drop_if_over(id);
                Ok(header_len)
            }
            Some(_) | None => Err(StreamClosed),
        }
    }

    fn drop_if_over(&mut self, id: StreamId) {
        if self.live.get(id).is_some_and(Stream::is_over) {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.live.remove(id)?;
        if let Some(flow) = self.flow.as_mut().filter(|_| stream.theirs) {
            flow.received.streams(id.dir()).give(1);
        }
        Some(stream)
    }
}

/// Puts our own resets of a peer's stream that has no session (any more) into words.
pub(super) fn refuse_theirs(stream: StreamId, out: &mut Outbox) {
    if stream.dir() == Dir::Bi {
        out.action(Action::Reset {
            stream,
            code: WT_SESSION_GONE,
            reliable_size: 0,
        });
    }
    out.action(Action::StopSending {
        stream,
        code: WT_SESSION_GONE,
    });
}

/// Whether the peer of `side` could have opened `stream`.
pub(super) fn is_theirs(side: Side, stream: StreamId) -> bool {
    stream.initiator() != side
}

fn reset_event(stream: StreamId, code: u64) -> Event {
    Event::StreamReset {
        stream,
        code: error_code::to_application(code),
    }
}

fn stopped_event(stream: StreamId, code: u64) -> Event {
    Event::StreamStopped {
        stream,
        code: error_code::to_application(code),
    }
}
