//! One QUIC stream as h3 gives it: what is unsent, and how either half ends.
//!
//! Whose stream it is and what its bytes mean is not known here.

use std::task::{Context, Poll, Waker};

use ::h3::{
    quic::{
        BidiStream, ConnectionErrorIncoming, RecvStream, SendStreamUnframed, StreamErrorIncoming,
    },
    stream::BufRecvStream,
};
use bytes::{Buf, Bytes, BytesMut};

/// A sending half of any of h3's types.
trait SendHalf: Send {
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, StreamErrorIncoming>>;
    fn finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>>;
    fn reset(&mut self, code: u64);
}

impl<S: SendStreamUnframed<Bytes> + Send> SendHalf for S {
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        mut data: &[u8],
    ) -> Poll<Result<usize, StreamErrorIncoming>> {
        self.poll_send(cx, &mut data)
    }

    fn finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.poll_finish(cx)
    }

    fn reset(&mut self, code: u64) {
        ::h3::quic::SendStream::reset(self, code);
    }
}

/// A receiving half of any of h3's types.
trait ReceiveHalf: Send {
    fn receive(&mut self, cx: &mut Context<'_>)
    -> Poll<Result<Option<Bytes>, StreamErrorIncoming>>;
    fn stop(&mut self, code: u64);
}

impl<S: RecvStream + Send> ReceiveHalf for S {
    fn receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.poll_data(cx)
            .map_ok(|chunk| chunk.map(|mut chunk| chunk.copy_to_bytes(chunk.remaining())))
    }

    fn stop(&mut self, code: u64) {
        self.stop_sending(code);
    }
}

/// A stream's halves, as far as they are there.
pub(super) struct Pipe {
    send: Option<Box<dyn SendHalf>>,
    receive: Option<Box<dyn ReceiveHalf>>,
    /// The stack holds a read that waits.
    is_reading: bool,
    unsent: BytesMut,
    ending: Ending,
    /// STOP_SENDING came, and was told.
    is_stopped: bool,
    /// Somebody waits until it can be written.
    is_blocked: bool,
    waker: Waker,
}

/// What our half waits to do behind its unsent bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    None,
    Finish,
    Finished,
    Reset(u64),
}

/// What came next.
#[derive(Debug)]
pub(super) enum Read {
    Nothing,
    Data(Bytes),
    Fin,
    Reset(u64),
    Lost(ConnectionErrorIncoming),
}

/// What stands in the way of our half.
#[derive(Debug)]
pub(super) enum Fault {
    /// STOP_SENDING came.
    Stopped(u64),
    Lost(ConnectionErrorIncoming),
    /// It takes nothing, and nobody says why.
    Gone,
}

impl From<StreamErrorIncoming> for Fault {
    fn from(error: StreamErrorIncoming) -> Self {
        match error {
            StreamErrorIncoming::StreamTerminated { error_code } => Self::Stopped(error_code),
            StreamErrorIncoming::ConnectionErrorIncoming { connection_error } => {
                Self::Lost(connection_error)
            }
            StreamErrorIncoming::Unknown(_) => Self::Gone,
        }
    }
}

impl Pipe {
    /// A bidirectional stream, some of which may be read already.
    pub(super) fn bidirectional<S>(stream: BufRecvStream<S, Bytes>, waker: Waker) -> Self
    where
        S: BidiStream<Bytes>,
        S::SendStream: SendStreamUnframed<Bytes> + Send + 'static,
        S::RecvStream: Send + 'static,
    {
        let (send, receive) = stream.split();
        Self {
            send: Some(Box::new(send)),
            receive: Some(Box::new(receive)),
            ..Self::closed(waker)
        }
    }

    /// A stream that the peer opened, to be read only.
    pub(super) fn incoming(stream: impl RecvStream + Send + 'static, waker: Waker) -> Self {
        Self {
            receive: Some(Box::new(stream)),
            ..Self::closed(waker)
        }
    }

    /// A stream that we opened, to be written only.
    pub(super) fn outgoing(
        stream: impl SendStreamUnframed<Bytes> + Send + 'static,
        waker: Waker,
    ) -> Self {
        Self {
            send: Some(Box::new(stream)),
            ..Self::closed(waker)
        }
    }

    fn closed(waker: Waker) -> Self {
        Self {
            send: None,
            receive: None,
            is_reading: false,
            unsent: BytesMut::new(),
            ending: Ending::None,
            is_stopped: false,
            is_blocked: false,
            waker,
        }
    }

    /// Nothing can come in or go out any more.
    pub(super) fn is_over(&self) -> bool {
        self.receive.is_none() && self.is_sent()
    }

    /// Our half is over, and the stack has all of it.
    pub(super) fn is_sent(&self) -> bool {
        self.send.is_none() || self.ending == Ending::Finished
    }

    // ---- the peer's half

    /// The next chunk. After anything but data there is nothing more.
    pub(super) fn read(&mut self) -> Read {
        let Some(receive) = &mut self.receive else {
            return Read::Nothing;
        };
        let read = receive.receive(&mut Context::from_waker(&self.waker));
        self.is_reading = read.is_pending();
        let over = match read {
            Poll::Pending => return Read::Nothing,
            Poll::Ready(Ok(Some(data))) => return Read::Data(data),
            Poll::Ready(Ok(None)) => Read::Fin,
            Poll::Ready(Err(error)) => match Fault::from(error) {
                Fault::Stopped(code) => Read::Reset(code),
                Fault::Lost(error) => Read::Lost(error),
                // We had stopped it.
                Fault::Gone => Read::Nothing,
            },
        };
        self.receive = None;
        over
    }

    /// STOP_SENDING. While a read waits, `may_stop_reading` says whether the stack can be asked for
    /// it; else the half is let go of, and the stack stops it with a code of its own.
    pub(super) fn stop(&mut self, code: u64, may_stop_reading: bool) {
        if let Some(mut receive) = self.receive.take() {
            if may_stop_reading || !self.is_reading {
                receive.stop(code);
            }
        }
    }

    // ---- our half

    /// Queues protocol bytes.
    pub(super) fn queue(&mut self, data: &[u8]) {
        if self.send.is_some() {
            self.unsent.extend_from_slice(data);
        }
    }

    /// Finishes our half behind what is unsent.
    pub(super) fn finish(&mut self) {
        if self.ending == Ending::None {
            self.ending = Ending::Finish;
        }
    }

    /// Resets our half at once, and drops what is unsent.
    pub(super) fn reset(&mut self, code: u64) {
        self.unsent.clear();
        if let Some(mut send) = self.send.take() {
            send.reset(code);
        }
    }

    /// Resets our half behind what is unsent, so that the peer can tell whose stream it was.
    pub(super) fn reset_behind_header(&mut self, code: u64) {
        if self.unsent.is_empty() {
            self.reset(code);
        } else {
            self.ending = Ending::Reset(code);
        }
    }

    /// Sends what can be sent of the unsent bytes, and what is to come behind them.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        let Some(send) = self.send.as_mut().filter(|_| !self.is_stopped) else {
            return Ok(());
        };
        let mut cx = Context::from_waker(&self.waker);
        while !self.unsent.is_empty() {
            match send.send(&mut cx, &self.unsent) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(len)) => self.unsent.advance(len.min(self.unsent.len())),
                Poll::Ready(Err(error)) => return Err(self.fault(error)),
            }
        }
        match self.ending {
            Ending::None | Ending::Finished => Ok(()),
            Ending::Reset(code) => {
                self.reset(code);
                Ok(())
            }
            Ending::Finish => {
                // A stream that was stopped cannot be finished, and the stack would not say why.
                if let Poll::Ready(Err(error)) = send.send(&mut cx, &[]) {
                    return Err(self.fault(error));
                }
                match send.finish(&mut cx) {
                    Poll::Pending => Ok(()),
                    Poll::Ready(Ok(())) => {
                        self.ending = Ending::Finished;
                        Ok(())
                    }
                    Poll::Ready(Err(error)) => Err(self.fault(error)),
                }
            }
        }
    }

    /// Writes payload; gives how many bytes were taken. `None`: blocked, to be woken.
    pub(super) fn write(&mut self, data: &[u8]) -> Result<Option<usize>, Fault> {
        self.flush()?;
        let Some(send) = self.send.as_mut().filter(|_| !self.is_stopped) else {
            return Err(Fault::Gone);
        };
        self.is_blocked = !self.unsent.is_empty();
        if self.is_blocked {
            return Ok(None);
        }
        match send.send(&mut Context::from_waker(&self.waker), data) {
            Poll::Pending => {
                self.is_blocked = true;
                Ok(None)
            }
            Poll::Ready(Ok(len)) => Ok(Some(len)),
            Poll::Ready(Err(error)) => Err(self.fault(error)),
        }
    }

    /// Whether a write that was refused may be tried again. Asked once for each refusal.
    pub(super) fn is_writable_again(&mut self) -> Result<bool, Fault> {
        if !self.is_blocked {
            return Ok(false);
        }
        // Nothing is taken of nothing, but a blocked stream refuses that too.
        Ok(self.write(&[])?.is_some())
    }

    /// Whether STOP_SENDING has come: stacks under h3 tell it to those alone who write.
    pub(super) fn probe(&mut self) -> Result<(), Fault> {
        let is_idle = self.unsent.is_empty() && self.ending == Ending::None && !self.is_stopped;
        let Some(send) = self.send.as_mut().filter(|_| is_idle) else {
            return Ok(());
        };
        match send.send(&mut Context::from_waker(&self.waker), &[]) {
            Poll::Pending | Poll::Ready(Ok(_)) => Ok(()),
            Poll::Ready(Err(error)) => Err(self.fault(error)),
        }
    }

    /// Our half takes nothing any more, but for a reset. Told once.
    fn fault(&mut self, error: StreamErrorIncoming) -> Fault {
        self.unsent.clear();
        let fault = Fault::from(error);
        match fault {
            Fault::Stopped(_) => self.is_stopped = true,
            Fault::Lost(_) | Fault::Gone => self.send = None,
        }
        fault
    }
}
