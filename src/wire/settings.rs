//! The SETTINGS frame (RFC 9114 §7.2.4): which settings the peer sent, and whether it was allowed to.
//!
//! What a set of them means for the dialect is not known here.

use super::{buffer::Buffer, frame, varint};
use crate::{FlowControl, Side};

pub(crate) const MAX_FIELD_SECTION_SIZE: u64 = 0x6;
pub(crate) const ENABLE_CONNECT_PROTOCOL: u64 = 0x8;
pub(crate) const H3_DATAGRAM: u64 = 0x33;
/// H3_DATAGRAM as it was before RFC 9297.
pub(crate) const H3_DATAGRAM_DRAFT04: u64 = 0xff_d277;
/// SETTINGS_ENABLE_WEBTRANSPORT, drafts 02 to 06.
pub(crate) const ENABLE_WEBTRANSPORT: u64 = 0x2b60_3742;
/// SETTINGS_WEBTRANSPORT_MAX_SESSIONS, drafts 04 and 05.
pub(crate) const MAX_SESSIONS_DRAFT04: u64 = 0x2b60_3743;
/// SETTINGS_WEBTRANSPORT_MAX_SESSIONS, drafts 07 to 12.
pub(crate) const MAX_SESSIONS_DRAFT07: u64 = 0xc671_706a;
/// SETTINGS_WT_MAX_SESSIONS, drafts 13 and 14.
pub(crate) const MAX_SESSIONS_DRAFT13: u64 = 0x14e9_cd29;
/// SETTINGS_WT_ENABLED, from draft 15.
pub(crate) const WT_ENABLED: u64 = 0x2c7c_f000;
pub(crate) const INITIAL_MAX_DATA: u64 = 0x2b61;
pub(crate) const INITIAL_MAX_STREAMS_UNI: u64 = 0x2b64;
pub(crate) const INITIAL_MAX_STREAMS_BIDI: u64 = 0x2b65;

/// What a peer's SETTINGS say. 0 is the default where it means the same as absence; elsewhere `None` is absence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
pub(crate) struct Settings {
    pub(crate) max_field_section_size: Option<u64>,
    /// 0 or 1.
    pub(crate) enable_connect_protocol: u64,
    /// 0 or 1.
    pub(crate) h3_datagram: u64,
    /// 0 or 1.
    pub(crate) h3_datagram_draft04: u64,
    /// 0 or 1.
    pub(crate) enable_webtransport: u64,
    pub(crate) max_sessions_draft04: Option<u64>,
    pub(crate) max_sessions_draft07: u64,
    pub(crate) max_sessions_draft13: u64,
    /// 0 or 1 at a client; above 1 a server reads "not offered".
    pub(crate) wt_enabled: u64,
    pub(crate) initial_max_data: Option<u64>,
    pub(crate) initial_max_streams_uni: Option<u64>,
    pub(crate) initial_max_streams_bidi: Option<u64>,
}

impl Settings {
    /// The initial limits; absent is 0 (§5.5).
    pub(crate) fn flow_control(&self) -> FlowControl {
        FlowControl::new(
            self.initial_max_data.unwrap_or(0),
            self.initial_max_streams_bidi.unwrap_or(0),
            self.initial_max_streams_uni.unwrap_or(0),
        )
    }
}

/// What is wrong with a SETTINGS payload, by the connection error that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SettingsError {
    /// H3_SETTINGS_ERROR: twice the same, one that only HTTP/2 has, or a value that it cannot have.
    Settings,
    /// H3_FRAME_ERROR: it ends inside a setting.
    Frame,
    /// H3_EXCESSIVE_LOAD: more settings than we care to read.
    ExcessiveLoad,
}

impl Settings {
    /// Reads the payload of a whole SETTINGS frame that `side` has received; the first error counts.
    ///
    /// Settings that may have come before are compared with all before them, which takes no memory; `limit` keeps
    /// that short.
    pub(crate) fn parse(payload: &[u8], limit: u32, side: Side) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        let mut rest = payload;
        let mut count = 0;
        // A bit for each that came, which others may share.
        let mut came: u64 = 0;
        while !rest.is_empty() {
            if count >= limit {
                return Err(SettingsError::ExcessiveLoad);
            }
            let ((id, value), after) = entry(rest).ok_or(SettingsError::Frame)?;
            // RFC 9114 §7.2.4: "The same setting identifier MUST NOT occur more than once in the
            // SETTINGS frame."
            let bit = 1 << (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58);
            let before = usize::try_from(count).unwrap_or(usize::MAX);
            let mut earlier = entries(payload).take(before);
            if came & bit != 0 && earlier.any(|(earlier, _)| earlier == id) {
                return Err(SettingsError::Settings);
            }
            came |= bit;
            settings.set(id, value, side)?;
            count += 1;
            rest = after;
        }
        Ok(settings)
    }

    /// What pairs of identifier and value say that a peer of `side` has sent before.
    pub(crate) fn from_pairs(pairs: &[(u64, u64)], side: Side) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        for (index, &(id, value)) in pairs.iter().enumerate() {
            if pairs.iter().take(index).any(|&(earlier, _)| earlier == id) {
                return Err(SettingsError::Settings);
            }
            settings.set(id, value, side)?;
        }
        Ok(settings)
    }

    /// Everything that is not the default, as pairs of identifier and value in the order in which
    /// they are sent.
    pub(crate) fn pairs(self) -> impl Iterator<Item = (u64, u64)> + Clone {
        let flag = |value| Some(value).filter(|&value| value != 0);
        [
            (ENABLE_CONNECT_PROTOCOL, flag(self.enable_connect_protocol)),
            (H3_DATAGRAM, flag(self.h3_datagram)),
            (H3_DATAGRAM_DRAFT04, flag(self.h3_datagram_draft04)),
            (ENABLE_WEBTRANSPORT, flag(self.enable_webtransport)),
            (MAX_SESSIONS_DRAFT04, self.max_sessions_draft04),
            (MAX_SESSIONS_DRAFT07, flag(self.max_sessions_draft07)),
            (MAX_SESSIONS_DRAFT13, flag(self.max_sessions_draft13)),
            (WT_ENABLED, flag(self.wt_enabled)),
            (INITIAL_MAX_DATA, self.initial_max_data),
            (INITIAL_MAX_STREAMS_UNI, self.initial_max_streams_uni),
            (INITIAL_MAX_STREAMS_BIDI, self.initial_max_streams_bidi),
            (MAX_FIELD_SECTION_SIZE, self.max_field_section_size),
        ]
        .into_iter()
        .filter_map(|(id, value)| Some((id, value?)))
    }

    /// Whether whoever relied on `earlier` has been promised no less by these.
    pub(crate) fn keep(&self, earlier: &Self) -> bool {
        // RFC 9114 §7.2.4.2: "If a server accepts 0-RTT but then sends a SETTINGS frame that omits
        // a setting value that the client understands […] that was previously specified to have a
        // non-default value, this MUST be treated as a connection error of type H3_SETTINGS_ERROR."
        let unlimited_if_absent = |now: Option<u64>, earlier| match (now, earlier) {
            (now, Some(earlier)) => now.is_some_and(|now| now >= earlier),
            (now, None) => now.is_none(),
        };
        let or_0 = |value: Option<u64>| value.unwrap_or(0);
        unlimited_if_absent(self.max_field_section_size, earlier.max_field_section_size)
            && unlimited_if_absent(self.max_sessions_draft04, earlier.max_sessions_draft04)
            && self.enable_connect_protocol >= earlier.enable_connect_protocol
            // RFC 9297 §2.1.1 has the same for this one.
            && self.h3_datagram >= earlier.h3_datagram
            && self.h3_datagram_draft04 >= earlier.h3_datagram_draft04
            && self.enable_webtransport >= earlier.enable_webtransport
            && self.max_sessions_draft07 >= earlier.max_sessions_draft07
            && self.max_sessions_draft13 >= earlier.max_sessions_draft13
            && self.wt_enabled >= earlier.wt_enabled
            && or_0(self.initial_max_data) >= or_0(earlier.initial_max_data)
            && or_0(self.initial_max_streams_uni) >= or_0(earlier.initial_max_streams_uni)
            && or_0(self.initial_max_streams_bidi) >= or_0(earlier.initial_max_streams_bidi)
    }

    fn set(&mut self, id: u64, value: u64, side: Side) -> Result<(), SettingsError> {
        match id {
            // RFC 9114 §7.2.4.1: "These reserved settings MUST NOT be sent, and their receipt MUST be
            // treated as a connection error of type H3_SETTINGS_ERROR." 0x00 stands among them (§11.2.2).
            0x00 | 0x02..=0x05 => return Err(SettingsError::Settings),
            MAX_FIELD_SECTION_SIZE => self.max_field_section_size = Some(value),
            ENABLE_CONNECT_PROTOCOL => self.enable_connect_protocol = zero_or_one(value)?,
            // RFC 9297 §2.1.1: a value that is neither 0 nor 1 is H3_SETTINGS_ERROR.
            H3_DATAGRAM => self.h3_datagram = zero_or_one(value)?,
            H3_DATAGRAM_DRAFT04 => self.h3_datagram_draft04 = zero_or_one(value)?,
            ENABLE_WEBTRANSPORT => self.enable_webtransport = zero_or_one(value)?,
            MAX_SESSIONS_DRAFT04 => self.max_sessions_draft04 = Some(value),
            MAX_SESSIONS_DRAFT07 => self.max_sessions_draft07 = value,
            MAX_SESSIONS_DRAFT13 => self.max_sessions_draft13 = value,
            // §3.1: clients "treat values greater than "1" as a connection error of type
            // H3_SETTINGS_ERROR." The draft asks nothing of servers.
            WT_ENABLED if side == Side::Client => self.wt_enabled = zero_or_one(value)?,
            WT_ENABLED => self.wt_enabled = value,
            INITIAL_MAX_DATA => self.initial_max_data = Some(value),
            INITIAL_MAX_STREAMS_UNI => self.initial_max_streams_uni = Some(value),
            INITIAL_MAX_STREAMS_BIDI => self.initial_max_streams_bidi = Some(value),
            // RFC 9114 §7.2.4: "An implementation MUST ignore any parameter with an identifier it
            // does not understand."
            _ => {}
        }
        Ok(())
    }
}

fn zero_or_one(value: u64) -> Result<u64, SettingsError> {
    if value <= 1 {
        Ok(value)
    } else {
        Err(SettingsError::Settings)
    }
}

fn entry(payload: &[u8]) -> Option<((u64, u64), &[u8])> {
    let (id, id_len) = varint::get(payload)?;
    let rest = payload.get(id_len..)?;
    let (value, value_len) = varint::get(rest)?;
    Some(((id, value), rest.get(value_len..)?))
}

fn entries(mut payload: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    std::iter::from_fn(move || {
        let (setting, rest) = entry(payload)?;
        payload = rest;
        Some(setting)
    })
}

/// Appends the whole SETTINGS frame, with these settings in this order.
pub(crate) fn put(out: &mut Buffer, settings: impl IntoIterator<Item = (u64, u64)>) {
    let mut payload = Buffer::new();
    for (id, value) in settings {
        varint::write(&mut payload, id);
        varint::write(&mut payload, value);
    }
    frame::put(out, frame::SETTINGS, payload.as_ref());
}

#[cfg(test)]
mod tests;
