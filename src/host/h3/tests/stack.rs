//! A QUIC stack in memory under h3: the test is the peer, and looks at what was sent.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use ::h3::{
    error::Code,
    quic::{
        BidiStream, Connection, ConnectionErrorIncoming, OpenStreams, RecvStream, SendStream,
        SendStreamUnframed, StreamErrorIncoming, StreamId, WriteBuf,
    },
};
use bytes::{Buf, Bytes};

/// Both the connection and the streams; each knows its own id.
#[derive(Clone)]
pub(super) struct Fake {
    world: Arc<Mutex<World>>,
    id: u64,
}

/// The receiving half, which is noticed when it is let go of.
pub(super) struct FakeReceive(Fake);

/// Both halves.
pub(super) struct FakeBidi(Fake);

#[derive(Default)]
pub(super) struct World {
    pub(super) streams: BTreeMap<u64, Stream>,
    accept_uni: VecDeque<u64>,
    accept_bi: VecDeque<u64>,
    opened_uni: u64,
    opened_bi: u64,
    /// How many streams may be opened besides h3's.
    pub(super) spare: u64,
    pub(super) closed: Option<(u64, String)>,
    lost: Option<ConnectionErrorIncoming>,
    wakers: Vec<Waker>,
}

#[derive(Default)]
pub(super) struct Stream {
    incoming: VecDeque<Came>,
    is_reading: bool,
    /// STOP_SENDING of ours.
    pub(super) stopped: Option<u64>,
    /// It was while a read waited.
    pub(super) stopped_reading: bool,
    pub(super) let_go: bool,
    pub(super) sent: Vec<u8>,
    pub(super) finished: bool,
    pub(super) reset: Option<u64>,
    /// STOP_SENDING of the peer's.
    stop: Option<u64>,
    /// It takes no bytes.
    blocked: bool,
}

#[derive(Clone)]
pub(super) enum Came {
    Data(Bytes),
    Fin,
    Reset(u64),
}

impl Fake {
    pub(super) fn new() -> Self {
        let world = World {
            spare: u64::MAX,
            ..World::default()
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            id: 0,
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(&self, id: u64) -> Self {
        Self {
            world: self.world.clone(),
            id,
        }
    }

    /// The peer sends on a stream of its own, or on one of ours.
    pub(super) fn comes(&self, id: u64, came: Came) {
        let mut world = self.world();
        if !world.streams.contains_key(&id) {
            match id & 3 {
                0 => world.accept_bi.push_back(id),
                _ => world.accept_uni.push_back(id),
            }
        }
        let stream = world.streams.entry(id).or_default();
        stream.incoming.push_back(came);
        world.wake();
    }

    pub(super) fn data(&self, id: u64, bytes: &[u8]) {
        self.comes(id, Came::Data(Bytes::copy_from_slice(bytes)));
    }

    pub(super) fn stop(&self, id: u64, code: u64) {
        let mut world = self.world();
        world.streams.entry(id).or_default().stop = Some(code);
    }

    pub(super) fn set_blocked(&self, id: u64, blocked: bool) {
        let mut world = self.world();
        world.streams.entry(id).or_default().blocked = blocked;
        world.wake();
    }

    pub(super) fn lose(&self, error: ConnectionErrorIncoming) {
        let mut world = self.world();
        world.lost = Some(error);
        world.wake();
    }

    pub(super) fn sent(&self, id: u64) -> Vec<u8> {
        self.world().streams[&id].sent.clone()
    }
}

impl Fake {
    fn poll_receive(&self, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let mut world = self.world();
        let stream = world.streams.entry(self.id).or_default();
        let came = stream.incoming.front().cloned();
        stream.is_reading = came.is_none();
        match came {
            Some(Came::Data(data)) => {
                stream.incoming.pop_front();
                Poll::Ready(Ok(Some(data)))
            }
            Some(Came::Fin) => Poll::Ready(Ok(None)),
            Some(Came::Reset(error_code)) => {
                Poll::Ready(Err(StreamErrorIncoming::StreamTerminated { error_code }))
            }
            None => world.pending(cx).map_err(of_stream),
        }
    }

    /// Whether it may be asked so depends on the stack: the test looks at `stopped_reading`.
    fn stop_receiving(&self, code: u64) {
        let mut world = self.world();
        let stream = world.streams.entry(self.id).or_default();
        stream.stopped.get_or_insert(code);
        stream.stopped_reading |= stream.is_reading;
    }
}

impl World {
    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }

    /// Nothing for now, unless it is all over.
    fn pending<T>(&mut self, cx: &Context<'_>) -> Poll<Result<T, ConnectionErrorIncoming>> {
        match &self.lost {
            Some(error) => Poll::Ready(Err(error.clone())),
            None => {
                self.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn of_stream(connection_error: ConnectionErrorIncoming) -> StreamErrorIncoming {
    StreamErrorIncoming::ConnectionErrorIncoming { connection_error }
}

impl Connection<Bytes> for Fake {
    type RecvStream = FakeReceive;
    type OpenStreams = Self;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<FakeReceive, ConnectionErrorIncoming>> {
        let next = self.world().accept_uni.pop_front();
        match next {
            Some(id) => Poll::Ready(Ok(FakeReceive(self.stream(id)))),
            None => self.world().pending(cx),
        }
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<FakeBidi, ConnectionErrorIncoming>> {
        let next = self.world().accept_bi.pop_front();
        match next {
            Some(id) => Poll::Ready(Ok(FakeBidi(self.stream(id)))),
            None => self.world().pending(cx),
        }
    }

    fn opener(&self) -> Self {
        self.clone()
    }
}

impl OpenStreams<Bytes> for Fake {
    type BidiStream = FakeBidi;
    type SendStream = Self;

    fn poll_open_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<FakeBidi, StreamErrorIncoming>> {
        let mut world = self.world();
        if world.spare == 0 {
            return world.pending(cx).map_err(of_stream);
        }
        world.spare -= 1;
        world.opened_bi += 1;
        let id = world.opened_bi * 4 - 3;
        world.streams.entry(id).or_default();
        drop(world);
        Poll::Ready(Ok(FakeBidi(self.stream(id))))
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self, StreamErrorIncoming>> {
        let mut world = self.world();
        // h3 opens three.
        if world.spare == 0 && world.opened_uni >= 3 {
            return world.pending(cx).map_err(of_stream);
        }
        world.spare -= u64::from(world.opened_uni >= 3);
        world.opened_uni += 1;
        let id = world.opened_uni * 4 - 1;
        world.streams.entry(id).or_default();
        drop(world);
        Poll::Ready(Ok(self.stream(id)))
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        let mut world = self.world();
        let reason = String::from_utf8_lossy(reason).into_owned();
        world.closed.get_or_insert((code.value(), reason));
    }
}

impl SendStream<Bytes> for Fake {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        let mut data: WriteBuf<Bytes> = data.into();
        let bytes = data.copy_to_bytes(data.remaining());
        let mut world = self.world();
        let stream = world.streams.entry(self.id).or_default();
        stream.sent.extend_from_slice(&bytes);
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        let mut world = self.world();
        world.streams.entry(self.id).or_default().finished = true;
        Poll::Ready(Ok(()))
    }

    fn reset(&mut self, code: u64) {
        let mut world = self.world();
        let stream = world.streams.entry(self.id).or_default();
        stream.reset.get_or_insert(code);
    }

    fn send_id(&self) -> StreamId {
        StreamId::try_from(self.id).unwrap()
    }
}

impl SendStreamUnframed<Bytes> for Fake {
    fn poll_send<D: Buf>(
        &mut self,
        cx: &mut Context<'_>,
        data: &mut D,
    ) -> Poll<Result<usize, StreamErrorIncoming>> {
        let mut world = self.world();
        if let Some(error) = &world.lost {
            return Poll::Ready(Err(of_stream(error.clone())));
        }
        let stream = world.streams.entry(self.id).or_default();
        if let Some(error_code) = stream.stop {
            return Poll::Ready(Err(StreamErrorIncoming::StreamTerminated { error_code }));
        }
        if stream.blocked {
            return world.pending(cx).map_err(of_stream);
        }
        let bytes = data.copy_to_bytes(data.remaining());
        stream.sent.extend_from_slice(&bytes);
        Poll::Ready(Ok(bytes.len()))
    }
}

impl RecvStream for FakeReceive {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.0.poll_receive(cx)
    }

    fn stop_sending(&mut self, code: u64) {
        self.0.stop_receiving(code);
    }

    fn recv_id(&self) -> StreamId {
        self.0.send_id()
    }
}

impl Drop for FakeReceive {
    fn drop(&mut self) {
        if let Some(stream) = self.0.world().streams.get_mut(&self.0.id) {
            stream.let_go = true;
        }
    }
}

impl BidiStream<Bytes> for FakeBidi {
    type SendStream = Fake;
    type RecvStream = FakeReceive;

    fn split(self) -> (Fake, FakeReceive) {
        (self.0.clone(), FakeReceive(self.0))
    }
}

impl RecvStream for FakeBidi {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.0.poll_receive(cx)
    }

    fn stop_sending(&mut self, code: u64) {
        self.0.stop_receiving(code);
    }

    fn recv_id(&self) -> StreamId {
        self.0.send_id()
    }
}

impl SendStream<Bytes> for FakeBidi {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.0.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.0.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.0.poll_finish(cx)
    }

    fn reset(&mut self, code: u64) {
        self.0.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.0.send_id()
    }
}
