//! Client: what the server said on the connection before, while it still holds (RFC 9114 §7.2.4.2).
//!
//! What is kept is in [`crate::remembered`]; which sets of SETTINGS keep each other, in the wire
//! format.

use super::Connection;
use crate::{Http3Error, Transport, dialect, wire::settings::Settings};

impl Connection {
    /// When QUIC is connected: goes by what was said before, if that holds and is enough.
    ///
    /// RFC 9114 §7.2.4.2: "When a 0-RTT QUIC connection is being used, the initial value of each
    /// server setting is the value used in the previous session." So §4.6 is kept to, which has
    /// clients wait for SETTINGS. Nor is the CONNECT early data (§3.2): the handshake is over.
    pub(super) fn rely_on_remembered(&mut self, transport: &Transport) {
        self.remembered = self.remembered.filter(|_| transport.early_data_accepted);
        if let Some(theirs) = self.theirs {
            // They came first.
            if let Err(error) = self.check_remembered(&theirs) {
                self.fail(error);
            }
            return;
        }
        // Where it is not enough, what comes may be.
        let is_enough =
            |earlier: &Settings| dialect::choose(self.side, &self.ours, earlier, transport).is_ok();
        self.theirs = self.remembered.filter(is_enough);
    }

    /// Whether the server's SETTINGS keep what it said before.
    pub(super) fn check_remembered(&mut self, theirs: &Settings) -> Result<(), Http3Error> {
        // §3.2: "A client MUST close the connection with H3_SETTINGS_ERROR if the SETTINGS frame
        // received in the resumed connection reduces any flow control values from the cached
        // previous values." RFC 9114 §7.2.4.2 has the same for all others.
        match self.remembered.take() {
            Some(earlier) if !theirs.keep(&earlier) => Err(Http3Error::Settings),
            _ => Ok(()),
        }
    }
}
