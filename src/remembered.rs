//! A server's SETTINGS, kept from one connection for the next (draft §3.2, RFC 9114 §7.2.4.2).
//!
//! Only what is kept and how it is stored. When it counts, and what a server may change, is not
//! known here.

use crate::{Side, wire::settings::Settings};

/// What a server said in its SETTINGS, to be stored beside the TLS session ticket of the same
/// connection and handed to
/// [`Connection::client_resuming`](crate::Connection::client_resuming) together with it.
///
/// Opaque. With feature `serde` it is stored as pairs of a setting's identifier and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Vec<(u64, u64)>", try_from = "Vec<(u64, u64)>")
)]
pub struct RememberedSettings(pub(crate) Settings);

impl From<RememberedSettings> for Vec<(u64, u64)> {
    fn from(remembered: RememberedSettings) -> Self {
        remembered.0.pairs().collect()
    }
}

impl TryFrom<Vec<(u64, u64)>> for RememberedSettings {
    type Error = InvalidSettings;

    fn try_from(pairs: Vec<(u64, u64)>) -> Result<Self, Self::Error> {
        match Settings::from_pairs(&pairs, Side::Client) {
            Ok(settings) => Ok(Self(settings)),
            Err(_) => Err(InvalidSettings),
        }
    }
}

/// Pairs that no server's SETTINGS can be (RFC 9114 §7.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no server's SETTINGS")]
pub struct InvalidSettings;

#[cfg(test)]
mod tests;
