//! s2n-quic's side: the handles of a connection and of its streams, by id, and calls that never wait.

use std::{
    collections::BTreeMap,
    task::{Context, Poll::Pending, Poll::Ready, Waker},
    time::Instant,
};

use bytes::Bytes;
use s2n_quic::{
    Connection as Handle, application,
    provider::datagram::default::{DatagramError, Receiver, Sender},
    stream::{self, LocalStream, PeerStream, ReceiveStream, SendStream},
};
use webtransport_session::{Connection, ConnectionLost, Dir, Input, SendError, StreamId, Support};

use crate::told::Told;

/// What other frames of a packet may take from a datagram, in bytes: 44 are headers and the tag.
const BESIDE_DATAGRAM: u64 = 100;

/// RFC 9114 §8.1.
const H3_NO_ERROR: u64 = 0x100;

#[derive(Debug)]
pub(crate) struct Quic {
    connection: Handle,
    /// Halves that the peer has not ended, and that we have not stopped.
    receiving: BTreeMap<StreamId, ReceiveStream>,
    /// Halves that we have not reset, and of which the peer has not acknowledged everything.
    sending: BTreeMap<StreamId, Sending>,
    /// The task's, as of its last poll.
    pub(crate) waker: Waker,
}

#[derive(Debug)]
struct Sending {
    stream: SendStream,
    waits: Waits,
}

/// What s2n-quic is to wake us for.
#[derive(Debug)]
enum Waits {
    Not,
    Writable,
    Acknowledged,
}

impl Quic {
    pub(crate) fn new(connection: Handle) -> Self {
        Self {
            connection,
            receiving: BTreeMap::new(),
            sending: BTreeMap::new(),
            waker: Waker::noop().clone(),
        }
    }

    // ---- facts

    /// What the event subscriber noted since the last time.
    pub(crate) fn told(&mut self) -> Vec<Input> {
        let waker = &self.waker;
        self.connection
            .query_event_context_mut(|told: &mut Told| told.take(waker))
            .unwrap_or_default()
    }

    /// Takes in new streams; why the connection is over, if it is.
    pub(crate) fn accept(&mut self) -> Option<ConnectionLost> {
        let cx = &mut Context::from_waker(&self.waker);
        loop {
            match self.connection.poll_accept(cx) {
                Pending => return None,
                Ready(Ok(Some(PeerStream::Bidirectional(stream)))) => {
                    let (receive, send) = stream.split();
                    self.receiving.insert(receive.id().into(), receive);
                    self.sending.insert(send.id().into(), Sending::new(send));
                }
                Ready(Ok(Some(PeerStream::Receive(stream)))) => {
                    self.receiving.insert(stream.id().into(), stream);
                }
                // Some ends are no errors here. Of why the event subscriber knows most.
                Ready(Ok(None) | Err(_)) => break,
            }
        }
        let closed = self
            .connection
            .query_event_context(|told: &Told| told.closed.clone());
        Some(closed.ok().flatten().unwrap_or(ConnectionLost::Unknown))
    }

    pub(crate) fn datagram(&mut self) -> Option<Bytes> {
        let cx = &mut Context::from_waker(&self.waker);
        let received = self
            .connection
            .datagram_mut(|receiver: &mut Receiver| receiver.poll_recv_datagram(cx));
        match received {
            Ok(Ready(Ok(data))) => Some(data),
            _ => None,
        }
    }

    /// Reads every stream that is wanted, and sees what has become of those that are written.
    pub(crate) fn progress(&mut self, now: Instant, sessions: &mut Connection) {
        let cx = &mut Context::from_waker(&self.waker);
        self.receiving
            .retain(|&id, stream| receive(stream, cx, now, id, sessions));
        self.sending
            .retain(|&id, sending| sending.progress(cx, now, id, sessions));
    }

    /// Reads one stream.
    pub(crate) fn read(&mut self, now: Instant, id: StreamId, sessions: &mut Connection) {
        let cx = &mut Context::from_waker(&self.waker);
        if let Some(stream) = self.receiving.get_mut(&id)
            && !receive(stream, cx, now, id, sessions)
        {
            self.receiving.remove(&id);
        }
    }

    /// Whether both ends have datagrams, and the largest that the peer takes.
    pub(crate) fn datagrams(&self) -> Support {
        let told = self
            .connection
            .query_event_context(|told: &Told| told.max_datagram);
        match told {
            Ok(Some(0)) => Support::No,
            Ok(Some(_)) => Support::Yes,
            Ok(None) | Err(_) => Support::Unknown,
        }
    }

    /// The largest datagram that is likely to fit into a packet, in bytes.
    pub(crate) fn largest_datagram(&self) -> usize {
        let told = self.connection.query_event_context(|told: &Told| {
            let room = u64::from(told.mtu).saturating_sub(BESIDE_DATAGRAM);
            room.min(told.max_datagram.unwrap_or(0))
        });
        usize::try_from(told.unwrap_or(0)).unwrap_or(0)
    }

    // ---- calls

    /// `None`: the peer allows no more now. Then [`Input::StreamsAvailable`] follows.
    pub(crate) fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let cx = &mut Context::from_waker(&self.waker);
        let kind = match dir {
            Dir::Bi => stream::Type::Bidirectional,
            Dir::Uni => stream::Type::Unidirectional,
        };
        let Ready(Ok(stream)) = self.connection.poll_open_stream(kind, cx) else {
            return None;
        };
        let id = stream.id().into();
        let send = match stream {
            LocalStream::Bidirectional(stream) => {
                let (receive, send) = stream.split();
                self.receiving.insert(id, receive);
                send
            }
            LocalStream::Send(send) => send,
        };
        self.sending.insert(id, Sending::new(send));
        Some(id)
    }

    /// All of it or nothing: how many bytes were taken, and whether the FIN was.
    pub(crate) fn write(&mut self, id: StreamId, mut data: Bytes, fin: bool) -> (usize, bool) {
        let cx = &mut Context::from_waker(&self.waker);
        let Some(sending) = self.sending.get_mut(&id) else {
            return (0, false);
        };
        let len = data.len();
        if len > 0 {
            match sending.stream.poll_send(&mut data, cx) {
                Ready(Ok(())) => {}
                Ready(Err(_over)) => return (0, false),
                Pending => {
                    sending.waits = Waits::Writable;
                    return (0, false);
                }
            }
        }
        if !fin {
            return (len, false);
        }
        sending.waits = Waits::Acknowledged;
        (len, !matches!(sending.stream.poll_close(cx), Ready(Err(_))))
    }

    /// Some bytes of the front.
    pub(crate) fn write_some(&mut self, id: StreamId, data: &[u8]) -> Result<usize, SendError> {
        let cx = &mut Context::from_waker(&self.waker);
        let Some(sending) = self.sending.get_mut(&id) else {
            return Err(SendError::StreamClosed);
        };
        match sending.stream.poll_send_ready(cx) {
            Ready(Ok(room)) => {
                let (data, _) = data.split_at(room.min(data.len()));
                let taken = sending.stream.send_data(Bytes::copy_from_slice(data));
                taken.map_err(|_| SendError::StreamClosed)?;
                Ok(data.len())
            }
            // With which code, the event subscriber says.
            Ready(Err(stream::Error::StreamReset { .. })) => Err(SendError::Stopped(None)),
            Ready(Err(_)) => Err(SendError::StreamClosed),
            Pending => {
                sending.waits = Waits::Writable;
                Err(SendError::Blocked)
            }
        }
    }

    pub(crate) fn reset(&mut self, id: StreamId, code: u64) {
        if let Some(mut sending) = self.sending.remove(&id) {
            let _over = sending.stream.reset(error(code));
        }
    }

    pub(crate) fn stop(&mut self, id: StreamId, code: u64) {
        if let Some(mut stream) = self.receiving.remove(&id) {
            let _over = stream.stop_sending(error(code));
        }
    }

    pub(crate) fn send_datagram(&mut self, data: Bytes) -> Result<(), DatagramError> {
        self.connection
            .datagram_mut(|sender: &mut Sender| sender.send_datagram(data))
            // Without a sender there is no connection any more: nobody waits for a datagram.
            .unwrap_or(Ok(()))
    }

    pub(crate) fn close(&mut self, code: u64) {
        self.connection.close(error(code));
    }
}

/// s2n-quic ends with FIN what is dropped: the sessions would seem to have ended in order.
impl Drop for Quic {
    fn drop(&mut self) {
        self.close(H3_NO_ERROR);
    }
}

impl Sending {
    fn new(stream: SendStream) -> Self {
        let waits = Waits::Not;
        Self { stream, waits }
    }

    /// Whether there is anything more to be known of this half.
    fn progress(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        id: StreamId,
        sessions: &mut Connection,
    ) -> bool {
        match self.waits {
            Waits::Not => {}
            Waits::Writable => {
                if let Ready(result) = self.stream.poll_send_ready(cx) {
                    self.waits = Waits::Not;
                    if result.is_ok() {
                        sessions.handle(now, Input::StreamWritable { stream: id });
                    }
                }
            }
            Waits::Acknowledged => {
                if let Ready(result) = self.stream.poll_close(cx) {
                    if result.is_ok() {
                        sessions.handle(now, Input::StreamAcknowledged { stream: id });
                    }
                    return false;
                }
            }
        }
        true
    }
}

/// Reads a stream while it is wanted. Whether there may be more of it.
fn receive(
    stream: &mut ReceiveStream,
    cx: &mut Context<'_>,
    now: Instant,
    id: StreamId,
    sessions: &mut Connection,
) -> bool {
    while sessions.wants(id) {
        let (data, fin) = match stream.poll_receive(cx) {
            Pending => return true,
            Ready(Ok(Some(data))) => (data, false),
            Ready(Ok(None)) => (Bytes::new(), true),
            // Reset, with which code and size the event subscriber says; or the connection is lost.
            Ready(Err(_)) => return false,
        };
        let stream = id;
        sessions.handle(now, Input::StreamData { stream, data, fin });
        if fin {
            return false;
        }
    }
    true
}

fn error(code: u64) -> application::Error {
    application::Error::new(code).unwrap_or(application::Error::UNKNOWN)
}
