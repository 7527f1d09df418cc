//! How messages are stored: HTTP's own types as strings, numbers and lists of fields.
//!
//! Only the form. What a stored message means is checked where it is used.

use ::serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::Protocol;
use crate::hex::Hex;

/// A URI as its text.
pub(super) mod uri {
    use ::http::Uri;

    use super::{Deserialize, Deserializer, Error, Serializer};

    pub(crate) fn serialize<S: Serializer>(uri: &Uri, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(uri)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uri, D::Error> {
        let text = String::deserialize(deserializer)?;
        Uri::try_from(text).map_err(Error::custom)
    }
}

/// A field's value as its bytes.
pub(super) mod optional_value {
    use ::http::HeaderValue;

    use bytes::Bytes;

    use super::{Deserialize, Deserializer, Error, Hex, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<HeaderValue>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Hex).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<HeaderValue>, D::Error> {
        let bytes = Option::<Hex<Bytes>>::deserialize(deserializer)?;
        bytes
            .map(|Hex(bytes)| HeaderValue::from_maybe_shared(bytes))
            .transpose()
            .map_err(Error::custom)
    }
}

/// Fields as pairs of a name and the bytes of a value, in order.
pub(super) mod headers {
    use ::http::{HeaderMap, HeaderName, HeaderValue};
    use bytes::Bytes;

    use super::{Deserialize, Deserializer, Error, Hex, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        headers: &HeaderMap,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let fields = headers
            .iter()
            .map(|(name, value)| (name.as_str(), Hex(value)));
        serializer.collect_seq(fields)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<HeaderMap, D::Error> {
        let fields = Vec::<(String, Hex<Bytes>)>::deserialize(deserializer)?;
        let mut headers = HeaderMap::new();
        for (name, Hex(value)) in fields {
            let name = HeaderName::try_from(name).map_err(Error::custom)?;
            let value = HeaderValue::from_maybe_shared(value).map_err(Error::custom)?;
            headers.try_append(name, value).map_err(Error::custom)?;
        }
        Ok(headers)
    }
}

/// A status as its number.
pub(super) mod status {
    use ::http::StatusCode;

    use super::{Deserialize, Deserializer, Error, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the shape that serde asks for"
    )]
    pub(crate) fn serialize<S: Serializer>(
        status: &StatusCode,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(status.as_u16())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<StatusCode, D::Error> {
        let status = u16::deserialize(deserializer)?;
        StatusCode::from_u16(status).map_err(Error::custom)
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::try_from(name.as_str()).map_err(Error::custom)
    }
}

#[cfg(test)]
mod tests;
