//! The text that goes with a close: valid UTF-8 and never too long, whoever wrote it.

use std::{fmt, ops::Deref};

use bytes::Bytes;

#[cfg(feature = "serde")]
use super::Violation;

/// The message of a close: UTF-8, at most 1024 bytes (draft §6).
///
/// Text of our own that is longer is cut at a character. [`as_str`](Self::as_str) is the text as
/// it is; `Display` escapes it, so that a log line stays one line.
///
/// ```
/// use webtransport_session::CloseMessage;
///
/// let message = CloseMessage::from("bye\n");
/// assert_eq!(message.as_str(), "bye\n");
/// assert_eq!(message.to_string(), r"bye\n");
/// assert_eq!(CloseMessage::from("x".repeat(2000)).len(), CloseMessage::MAX_LEN);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CloseMessage(Bytes);

impl CloseMessage {
    /// The most bytes a message has on the wire.
    pub const MAX_LEN: usize = 1024;

    /// The text.
    pub fn as_str(&self) -> &str {
        // Every constructor has checked it.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Its length in bytes, without the check that the text takes.
    pub(crate) const fn size(&self) -> usize {
        self.0.len()
    }
}

/// The longest front of `text` that fits.
fn cut(text: &str) -> &str {
    // §6: "Senders that truncate an application-supplied message MUST do so at a UTF-8
    // character boundary."
    let mut len = text.len().min(CloseMessage::MAX_LEN);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    text.get(..len).unwrap_or_default()
}

impl From<&str> for CloseMessage {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(cut(text).as_bytes()))
    }
}

impl From<String> for CloseMessage {
    fn from(text: String) -> Self {
        if text.len() <= Self::MAX_LEN {
            Self(Bytes::from(text))
        } else {
            // A copy, so that the part that is cut off is not kept alive.
            Self::from(text.as_str())
        }
    }
}

impl Deref for CloseMessage {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for CloseMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().escape_debug().fmt(f)
    }
}

#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl serde::Serialize for CloseMessage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Refuses a text that is too long: it is not one that was ever sent or received.
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl<'de> serde::Deserialize<'de> for CloseMessage {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > Self::MAX_LEN {
            return Err(serde::de::Error::custom(Violation::MessageTooLong));
        }
        Ok(Self::from(text))
    }
}

#[cfg(test)]
mod tests;
