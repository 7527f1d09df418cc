//! Names of application protocols, and the two structured fields that carry them (draft §3.3).
//!
//! Does not know who may choose what: only how names are read and written.

use sfv::{
    BareItemFromInput, ItemSerializer, ListSerializer, Parser, StringRef,
    visitor::{EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ListVisitor, Never},
};

use crate::InvalidProtocol;

/// The name of an application protocol, as offered in WT-Available-Protocols (draft §3.3).
///
/// Any characters from space to `~` (0x20 to 0x7e), also none: a String of RFC 9651 §3.3.3.
/// Names are compared byte by byte.
///
/// ```
/// use webtransport_session::{InvalidProtocol, Protocol};
///
/// assert_eq!(Protocol::try_from("game-2")?.as_str(), "game-2");
/// assert_eq!(Protocol::try_from("jeu-d'été"), Err(InvalidProtocol));
/// # Ok::<(), InvalidProtocol>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(Box<str>);

impl Protocol {
    /// The name, without the quotes that it has on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names in a WT-Available-Protocols field, given its lines; none if it is to be ignored.
    pub(crate) fn parse_list(lines: impl IntoIterator<Item: AsRef<[u8]>>) -> Vec<Self> {
        let value = join(lines);
        if value.is_empty() {
            return Vec::new();
        }
        // §3.3: "Any value type other than String MUST be treated as an error that causes the
        // entire field to be ignored"
        Parser::new(&value)
            .parse_list_with_visitor(Names(Vec::new()))
            .unwrap_or_default()
    }

    /// The value of a WT-Available-Protocols field; `None` where there is nothing to offer.
    pub(crate) fn encode_list(offered: &[Self]) -> Option<String> {
        if offered.is_empty() {
            return None;
        }
        let mut list = ListSerializer::new();
        for protocol in offered {
            let _ = list.bare_item(protocol.as_string()?);
        }
        list.finish()
    }

    /// The name in a WT-Protocol field, given its lines; `None` if it is to be ignored.
    pub(crate) fn parse_item(lines: impl IntoIterator<Item: AsRef<[u8]>>) -> Option<Self> {
        let value = join(lines);
        if value.is_empty() {
            return None;
        }
        let mut name = None;
        Parser::new(&value)
            .parse_item_with_visitor(|item: BareItemFromInput<'_>| {
                name = Some(Self::from_item(&item)?);
                // §3.3: "parameters MUST be ignored"
                Ok::<_, InvalidProtocol>(Ignored)
            })
            .ok()?;
        name
    }

    /// The value of a WT-Protocol field.
    pub(crate) fn encode_item(&self) -> Option<String> {
        Some(ItemSerializer::new().bare_item(self.as_string()?).finish())
    }

    fn as_string(&self) -> Option<&StringRef> {
        // Every constructor has checked it.
        StringRef::from_str(&self.0).ok()
    }

    fn from_item(item: &BareItemFromInput<'_>) -> Result<Self, InvalidProtocol> {
        let BareItemFromInput::String(name) = item else {
            return Err(InvalidProtocol);
        };
        Ok(Self(name.as_str().into()))
    }
}

impl TryFrom<&str> for Protocol {
    type Error = InvalidProtocol;

    fn try_from(name: &str) -> Result<Self, Self::Error> {
        match StringRef::from_str(name) {
            Ok(name) => Ok(Self(name.as_str().into())),
            Err(_) => Err(InvalidProtocol),
        }
    }
}

/// RFC 9651 §4.2: several lines of one field are one value, with commas between.
pub(crate) fn join(lines: impl IntoIterator<Item: AsRef<[u8]>>) -> Vec<u8> {
    let mut value = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        if index > 0 {
            value.extend_from_slice(b", ");
        }
        value.extend_from_slice(line.as_ref());
    }
    value
}

/// Gathers the members of a list, and gives up at the first that is no String.
struct Names(Vec<Protocol>);

impl<'de> ListVisitor<'de> for Names {
    type Out = Vec<Protocol>;
    type Error = InvalidProtocol;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, Self::Error> {
        Ok(Member(&mut self.0))
    }

    fn finish(self) -> Result<Self::Out, Self::Error> {
        Ok(self.0)
    }
}

struct Member<'a>(&'a mut Vec<Protocol>);

impl<'de> EntryVisitor<'de> for Member<'_> {
    type Error = InvalidProtocol;

    fn item(self) -> Result<impl ItemVisitor<'de>, Self::Error> {
        Ok(move |item: BareItemFromInput<'de>| {
            self.0.push(Protocol::from_item(&item)?);
            Ok::<_, InvalidProtocol>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Self::Error> {
        Err::<Never, _>(InvalidProtocol)
    }
}

#[cfg(test)]
mod tests;
