//! Client: what the server said on the connection before, while it still holds (RFC 9114 §7.2.4.2).
//!
//! What is kept is in [`crate::remembered`]; which sets of SETTINGS keep each other, in the wire
//! format.

use super::Connection;
use crate::{Http3Error, Transport, wire::settings::Settings};

impl Connection {
    /// When QUIC is connected: whether what was said before binds the server.
    ///
    /// No session is asked for before the new SETTINGS all the same. §4.6: "the client MUST wait for
    /// receipt of the server's SETTINGS frame before establishing any WebTransport sessions by
    /// sending CONNECT requests".
    pub(super) fn hold_to_remembered(&mut self, transport: &Transport) {
        if !transport.early_data_accepted {
            self.remembered = None;
        }
        if let Some(theirs) = self.theirs {
            // They came first.
            if let Err(error) = self.check_remembered(&theirs) {
                self.fail(error);
            }
        }
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
