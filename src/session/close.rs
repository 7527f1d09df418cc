//! Our way out: the two halves of the CONNECT stream, and what each parting does to them.
//!
//! Why a session ends is decided in `state.rs`. Here only: which half may still be finished, reset
//! or stopped, and with which action.

use bytes::Bytes;

use super::{Action, outbox::Outbox, state::Parting};
use crate::wire::error_code::WT_SESSION_GONE;

/// The CONNECT stream as this side sees it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "testing", derive(PartialEq, Eq, Hash))]
pub(super) struct ConnectStream {
    send: SendHalf,
    /// The peer may still send on its half.
    receiving: bool,
    /// Its FIN is in, behind bytes that are still being read: there is nothing left to stop.
    fin_is_in: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
enum SendHalf {
    Open,
    /// STOP_SENDING(WT_SESSION_GONE) came before there was an answer: it can only be reset.
    Stopped,
    Finished,
    Reset,
}

impl ConnectStream {
    pub(super) const fn new() -> Self {
        Self {
            send: SendHalf::Open,
            receiving: true,
            fin_is_in: false,
        }
    }

    pub(super) fn is_sending(&self) -> bool {
        matches!(self.send, SendHalf::Open | SendHalf::Stopped)
    }

    pub(super) const fn is_receiving(&self) -> bool {
        self.receiving
    }

    /// FIN or RESET_STREAM came, or nothing can come any more.
    pub(super) fn peer_is_done(&mut self) {
        self.receiving = false;
    }

    /// FIN came behind bytes that were not read yet.
    pub(super) fn note_fin(&mut self) {
        self.fin_is_in = true;
    }

    /// Neither half can do anything any more.
    pub(super) fn abandon(&mut self) {
        self.receiving = false;
        if self.is_sending() {
            self.send = SendHalf::Reset;
        }
    }

    /// `code` stands for those partings that abort, `capsule` for the one that sends it.
    pub(super) fn part(
        &mut self,
        parting: Parting,
        code: u64,
        capsule: impl FnOnce() -> Bytes,
        out: &mut Outbox,
    ) {
        match parting {
            // No STOP_SENDING here: QUIC may deliver it before the bytes in front of it, and
            // browsers then reject `closed` instead of showing the reason.
            Parting::Finish => self.finish(Bytes::new(), out),
            Parting::Capsule => self.finish(capsule(), out),
            Parting::Decline => {
                self.finish(Bytes::new(), out);
                self.stop_peer(code, out);
            }
            Parting::Abort(_) => self.abort(code, out),
            Parting::Silent => self.abandon(),
        }
    }

    /// RESET_STREAM on our half unless it has its FIN, and STOP_SENDING on the other.
    fn abort(&mut self, code: u64, out: &mut Outbox) {
        if self.is_sending() {
            self.reset(code, out);
        }
        self.stop_peer(code, out);
    }

    fn finish(&mut self, data: Bytes, out: &mut Outbox) {
        match self.send {
            SendHalf::Open => {
                self.send = SendHalf::Finished;
                out.action(Action::SendBody { data, fin: true });
            }
            SendHalf::Stopped => self.reset(WT_SESSION_GONE, out),
            SendHalf::Finished | SendHalf::Reset => {}
        }
    }

    /// The peer stopped our half before there was an answer (E29). With WT_SESSION_GONE a 2xx may
    /// still open the session, and then E12 resets.
    pub(super) fn stopped_early(&mut self, code: u64, out: &mut Outbox) {
        if code == WT_SESSION_GONE {
            self.send = SendHalf::Stopped;
        } else {
            self.reset(code, out);
        }
    }

    pub(super) fn reset(&mut self, code: u64, out: &mut Outbox) {
        self.send = SendHalf::Reset;
        out.action(Action::ResetConnect { code });
    }

    pub(super) fn stop_peer(&mut self, code: u64, out: &mut Outbox) {
        if std::mem::take(&mut self.receiving) && !self.fin_is_in {
            out.action(Action::StopConnect { code });
        }
    }

    /// §6: "If any additional stream data is received on the CONNECT stream after receiving a
    /// WT_CLOSE_SESSION capsule, the stream MUST be reset with code H3_MESSAGE_ERROR."
    pub(super) fn refuse_more(&mut self, code: u64, reset_finished: bool, out: &mut Outbox) {
        if reset_finished && self.send == SendHalf::Finished {
            self.reset(code, out);
        }
        self.stop_peer(code, out);
    }
}
