//! How bytes are stored: as lowercase hexadecimal digits in a format for people, else as bytes.

use std::fmt;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// Bytes inside something that is stored.
pub(crate) struct Hex<T>(pub(crate) T);

impl<T: AsRef<[u8]>> Serialize for Hex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Hex<Bytes> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}

pub(crate) fn serialize<T, S>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: AsRef<[u8]>,
    S: Serializer,
{
    let bytes = bytes.as_ref();
    if serializer.is_human_readable() {
        serializer.serialize_str(&HEXLOWER.encode(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(Digits)
    } else {
        Bytes::deserialize(deserializer)
    }
}

struct Digits;

impl Visitor<'_> for Digits {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lowercase hexadecimal digits")
    }

    fn visit_str<E: Error>(self, digits: &str) -> Result<Bytes, E> {
        let bytes = HEXLOWER.decode(digits.as_bytes()).map_err(E::custom)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_lowercase_digits_and_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&[][..], b"\x00\xff", &all] {
            let stored = serde_json::to_string(&Hex(bytes)).unwrap();
            assert_eq!(stored.len(), 2 * bytes.len() + 2);
            assert_eq!(
                serde_json::from_str::<Hex<Bytes>>(&stored).unwrap().0,
                bytes
            );
        }
        assert_eq!(
            serde_json::to_string(&Hex(b"\x0f\xa0")).unwrap(),
            "\"0fa0\""
        );
    }

    #[test]
    fn other_texts_are_refused() {
        for stored in [
            r#""0""#, r#""0g""#, r#""0F""#, r#"" 00""#, "[0]", "null", r#""é""#,
        ] {
            assert!(
                serde_json::from_str::<Hex<Bytes>>(stored).is_err(),
                "{stored}"
            );
        }
    }
}
