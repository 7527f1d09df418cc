//! How urgent a session is, as the client says it (draft §3.4, RFC 9218).
//!
//! Decides what a Priority field means. What follows from it for the order of sending is the
//! application's and QUIC's: nothing is scheduled here.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{
    BareItemFromInput, Parser,
    visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor},
};

use crate::message::join;

/// The field with it, in requests and responses (RFC 9218 §5).
pub(crate) const PRIORITY: HeaderName = HeaderName::from_static("priority");

/// How urgent a session's data is, beside that of others on the connection (draft §3.4).
///
/// A hint: the crate reports it, and schedules nothing by it.
///
/// ```
/// use webtransport_session::{Priority, Request};
///
/// assert_eq!(Priority::default().urgency(), 3);
/// let background = Priority::new(6).incremental(true);
/// let request = Request::new("https://example.com/mirror".parse()?).priority(background);
/// assert_eq!(request.headers["priority"], "u=6, i");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Priority {
    urgency: u8,
    incremental: bool,
}

impl Priority {
    /// The lowest urgency. Larger numbers are less urgent (RFC 9218 §4.1).
    pub const LEAST_URGENT: u8 = 7;

    /// From 0, the most urgent, to 7; more counts as 7. Not incremental.
    #[must_use]
    pub const fn new(urgency: u8) -> Self {
        let urgency = if urgency > Self::LEAST_URGENT {
            Self::LEAST_URGENT
        } else {
            urgency
        };
        Self {
            urgency,
            incremental: false,
        }
    }

    /// Whether its data is of use piece by piece, so that it may share with others of the same
    /// urgency (RFC 9218 §4.2).
    #[must_use]
    pub const fn incremental(self, incremental: bool) -> Self {
        Self {
            incremental,
            ..self
        }
    }

    /// From 0, the most urgent, to 7.
    #[must_use]
    pub const fn urgency(self) -> u8 {
        self.urgency
    }

    /// Whether its data is of use piece by piece.
    #[must_use]
    pub const fn is_incremental(self) -> bool {
        self.incremental
    }

    /// What a request's fields say.
    pub(crate) fn of_request(headers: &HeaderMap) -> Self {
        Signal::of(headers).unwrap_or_default().complete()
    }

    /// What is left of it once the response's fields had their say.
    pub(crate) fn answered(self, headers: &HeaderMap) -> Self {
        // RFC 9218 §8: "the absence of a priority parameter in an HTTP response indicates the
        // server's disinterest in changing the client-provided value."
        let answer = Signal::of(headers).unwrap_or_default();
        Self {
            urgency: answer.urgency.unwrap_or(self.urgency),
            incremental: answer.incremental.unwrap_or(self.incremental),
        }
    }

    /// What a Priority Field Value of PRIORITY_UPDATE says; `None` if it is malformed.
    ///
    /// RFC 9218 §7: "Omitting a priority parameter is a signal to use its default value."
    pub(crate) fn of_update(value: &[u8]) -> Option<Self> {
        Some(Signal::parse(value)?.complete())
    }

    pub(crate) fn to_value(self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }
}

/// Urgency 3, not incremental (RFC 9218 §4.1, §4.2).
impl Default for Priority {
    fn default() -> Self {
        Self::new(3)
    }
}

/// As in a Priority field.
impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "u={}", self.urgency)?;
        f.write_str(if self.incremental { ", i" } else { "" })
    }
}

/// The parameters that a Priority field has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Signal {
    urgency: Option<u8>,
    incremental: Option<bool>,
}

impl Signal {
    /// `None`: no field, or one that is as good as none.
    fn of(headers: &HeaderMap) -> Option<Self> {
        if !headers.contains_key(PRIORITY) {
            return None;
        }
        Self::parse(&join(headers.get_all(PRIORITY)))
    }

    /// `None`: no Dictionary, and so as good as nothing.
    fn parse(value: &[u8]) -> Option<Self> {
        let mut signal = Self::default();
        Parser::new(value)
            .parse_dictionary_with_visitor(&mut signal)
            .ok()?;
        Some(signal)
    }

    fn complete(self) -> Priority {
        let default = Priority::default();
        Priority {
            urgency: self.urgency.unwrap_or(default.urgency),
            incremental: self.incremental.unwrap_or(default.incremental),
        }
    }
}

impl<'de> DictionaryVisitor<'de> for &mut Signal {
    type Out = ();
    type Error = std::convert::Infallible;

    fn entry(&mut self, key: &'de sfv::KeyRef) -> Result<impl EntryVisitor<'de>, Self::Error> {
        let parameter = match key.as_str() {
            "u" => Parameter::Urgency(&mut self.urgency),
            "i" => Parameter::Incremental(&mut self.incremental),
            _ => Parameter::Unknown,
        };
        // RFC 9651 §4.2.2: of two members with one name the last counts, and an unreadable one is
        // still the last.
        Ok(parameter.cleared())
    }

    fn finish(self) -> Result<Self::Out, Self::Error> {
        Ok(())
    }
}

/// Where the value of a member goes.
///
/// RFC 9218 §4: "unknown priority parameters, priority parameters with out-of-range values, or
/// values of unexpected types MUST be ignored."
enum Parameter<'a> {
    Urgency(&'a mut Option<u8>),
    Incremental(&'a mut Option<bool>),
    Unknown,
}

impl Parameter<'_> {
    fn cleared(mut self) -> Self {
        match &mut self {
            Self::Urgency(urgency) => **urgency = None,
            Self::Incremental(incremental) => **incremental = None,
            Self::Unknown => {}
        }
        self
    }
}

impl<'de> EntryVisitor<'de> for Parameter<'_> {
    type Error = std::convert::Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Self::Error> {
        Ok(move |item: BareItemFromInput<'de>| {
            match (self, item) {
                (Self::Urgency(urgency), BareItemFromInput::Integer(value)) => {
                    *urgency = u8::try_from(i64::from(value))
                        .ok()
                        .filter(|&value| value <= Priority::LEAST_URGENT);
                }
                (Self::Incremental(incremental), BareItemFromInput::Boolean(value)) => {
                    *incremental = Some(value);
                }
                (Self::Urgency(_) | Self::Incremental(_) | Self::Unknown, _) => {}
            }
            Ok::<_, std::convert::Infallible>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Self::Error> {
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests;
