//! What a hostile peer tries to make large, and the limits under which it tries.
//!
//! All limits but those of the theme are tiny, so that a term of the formula that is too small has no
//! other to hide behind.

use fastrand::Rng;
use webtransport_session::{Dialect, Limits};

use crate::{random::Draw, script::Kind};

/// QUIC's limits.
#[derive(Clone, Copy, Debug)]
pub struct Quic {
    pub bidi: usize,
    pub uni: usize,
    pub read: usize,
    pub datagram: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Streams of every kind, as many as there may be.
    Slots,
    /// HEADERS in pieces.
    Heads,
    /// Requests that wait for the SETTINGS, with their bodies.
    Held,
    /// Requests that wait for the application.
    Requests,
    /// Capsules in pieces.
    Capsules,
    /// Streams and datagrams before their session.
    Early,
    /// SETTINGS in pieces.
    Control,
    /// Stream after stream, while nobody polls events.
    Payload,
    Datagrams,
    /// Answers that QUIC does not take.
    Answers,
    /// What costs the peer nothing.
    Cheap,
    /// Everything, under limits of any size.
    Mixed,
}

/// What a peer and its QUIC like to do.
pub struct Habits {
    pub dialect: Dialect,
    pub settings: Settings,
    /// The peer lets us write nothing.
    pub starves: bool,
    /// The host feeds what is not wanted.
    pub pushes: bool,
    /// The application polls events, after all.
    pub listens: bool,
    /// A session is open before it begins.
    pub is_let_in: bool,
    /// Requests come after all that names them.
    pub overtakes: bool,
    /// How often each kind of stream is opened.
    pub kinds: [u64; Kind::ALL.len()],
    /// How often each step is taken.
    pub steps: Steps,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Settings {
    Plain,
    /// As long as is taken, and its last byte never comes.
    Unfinished,
    TooMany,
    TooLong,
    Never,
}

/// In this order: open a stream, feed one, send a datagram, let the application answer, reset a
/// stream, stop one, let time pass.
pub type Steps = [u64; 7];

impl Theme {
    pub const ALL: [Self; 12] = [
        Self::Slots,
        Self::Heads,
        Self::Held,
        Self::Requests,
        Self::Capsules,
        Self::Early,
        Self::Control,
        Self::Payload,
        Self::Datagrams,
        Self::Answers,
        Self::Cheap,
        Self::Mixed,
    ];

    pub fn limits(self, random: &mut Rng) -> (Limits, Quic) {
        let mut limits = tiny();
        let mut quic = Quic {
            bidi: 3,
            uni: 1,
            read: random.among(&[64, 1500]),
            datagram: 64,
        };
        let large = random.among(&[1030, 3000, 4100]);
        match self {
            Self::Slots => {
                (quic.bidi, quic.uni) = random.among(&[(100, 1), (1, 100), (50, 50)]);
                limits.buffered_streams = random.among(&[0, 100]);
                limits.sessions = random.among(&[1, 100]);
            }
            Self::Heads => {
                (quic.bidi, limits.field_section) = (24, large);
                limits.sessions = 24;
            }
            Self::Held => {
                quic.bidi = 9;
                limits.unanswered_requests = 8;
                limits.unanswered_body = random.among(&[16, 1030]);
                limits.field_section = random.among(&[256, large]);
            }
            Self::Requests => {
                limits.field_section = random.among(&[256, 4100, 16000]);
                limits.undelivered_bytes = random.among(&[1024, 16384]);
                quic.read = random.among(&[1500, 16384]);
            }
            Self::Capsules => {
                (limits.sessions, limits.datagram_capsule) = (random.among(&[1, 8]), large);
                limits.unanswered_requests = limits.sessions;
                quic.bidi = 12;
            }
            Self::Early => {
                quic.uni = random.among(&[4, 40]);
                limits.buffered_streams = random.among(&[2, 40]);
                limits.buffered_bytes = random.among(&[100, 8000, 40_000]);
                limits.buffered_datagrams = random.among(&[4, 1030]);
                quic.datagram = random.among(&[8, 64]);
            }
            Self::Control => (limits.control_frame, limits.settings) = (large, 16),
            Self::Payload => {
                quic.uni = 6;
                limits.undelivered_bytes = random.among(&[1024, 16384]);
                quic.read = random.among(&[1500, 16384]);
            }
            Self::Datagrams => {
                limits.undelivered_datagrams = 64;
                limits.datagram_capsule = random.among(&[16, 1030]);
                quic.datagram = random.among(&[64, 1200]);
            }
            Self::Answers => {
                quic.bidi = 24;
                limits.answered_requests = random.among(&[4, 24]);
                limits.unwritten_bytes = random.among(&[130, 400]);
            }
            Self::Cheap => quic.bidi = 12,
            Self::Mixed => {
                quic = Quic {
                    bidi: random.among(&[2, 8, 24]),
                    uni: random.among(&[2, 8, 24]),
                    read: random.among(&[256, 1500, 4096]),
                    datagram: random.among(&[64, 1200]),
                };
                limits = any(random);
            }
        }
        (limits, quic)
    }

    pub fn habits(self, random: &mut Rng) -> Habits {
        let mut habits = Habits {
            dialect: random.among(&[Dialect::Draft02, Dialect::Draft07, Dialect::Draft16]),
            settings: Settings::Plain,
            starves: false,
            pushes: random.u64(..2) == 0,
            listens: false,
            is_let_in: false,
            overtakes: false,
            kinds: [0; Kind::ALL.len()],
            steps: [8, 40, 0, 1, 0, 0, 1],
        };
        let only = |kinds: &[Kind]| Kind::ALL.map(|kind| u64::from(kinds.contains(&kind)));
        match self {
            Self::Slots => {
                habits.dialect = Dialect::Draft02;
                habits.listens = true;
                habits.kinds = only(&[Kind::Connect, Kind::Data, Kind::Unknown]);
                habits.steps = [8, 20, 0, 8, 0, 0, 0];
            }
            Self::Heads => habits.kinds = only(&[Kind::Unfinished]),
            Self::Held => {
                habits.settings = Settings::Never;
                habits.kinds = only(&[Kind::Connect]);
                habits.steps = [8, 40, 0, 0, random.u64(..3), 0, 0];
            }
            Self::Requests => {
                habits.kinds = only(&[Kind::Connect]);
                habits.steps = [8, 40, 0, 0, 8, random.u64(..3), 1];
            }
            Self::Capsules => {
                habits.dialect = Dialect::Draft02;
                habits.kinds = only(&[Kind::Connect, Kind::LongCapsule]);
            }
            Self::Early => {
                habits.kinds = only(&[Kind::Connect, Kind::Data]);
                habits.kinds[Kind::Data as usize] = 10;
                habits.overtakes = random.u64(..2) == 0;
                habits.steps = [20, 40, 40, 0, random.u64(..2), 1, 1];
            }
            Self::Control => {
                habits.settings =
                    random.among(&[Settings::Unfinished, Settings::TooMany, Settings::TooLong]);
            }
            Self::Payload => {
                habits.kinds = only(&[Kind::Connect, Kind::Data]);
                habits.kinds[Kind::Data as usize] = 20;
                habits.is_let_in = true;
                habits.steps = [10, 40, 0, 4, 2, 2, 0];
            }
            Self::Datagrams => {
                habits.kinds = only(&[Kind::Connect]);
                habits.is_let_in = random.u64(..2) == 0;
                habits.steps = [4, 40, 40, 4, 0, 0, 0];
            }
            Self::Answers => {
                habits.starves = true;
                habits.kinds = only(&[Kind::Get, Kind::TooLarge, Kind::Connect]);
            }
            Self::Cheap => {
                habits.kinds = only(&[Kind::Idle, Kind::Get, Kind::Unknown, Kind::Connect]);
            }
            Self::Mixed => {
                for weight in &mut habits.kinds {
                    *weight = random.among(&[0, 1, 8]);
                }
                habits.kinds[Kind::Connect as usize] += 1;
                habits.kinds[Kind::Idle as usize] = 0;
                for weight in &mut habits.steps[2..6] {
                    *weight = random.among(&[0, 1, 8]);
                }
                habits.settings = random.among(&[
                    Settings::Plain,
                    Settings::Plain,
                    Settings::Plain,
                    Settings::Never,
                ]);
                habits.starves = random.u64(..4) == 0;
                habits.is_let_in = random.u64(..2) == 0;
            }
        }
        habits
    }
}

pub fn tiny() -> Limits {
    let mut limits = Limits::default();
    limits.sessions = 1;
    limits.unanswered_requests = 1;
    limits.answered_requests = 0;
    limits.unanswered_body = 16;
    limits.buffered_streams = 0;
    limits.buffered_bytes = 0;
    limits.buffered_datagrams = 0;
    limits.settings = 8;
    limits.control_frame = 128;
    // A plain CONNECT just fits.
    limits.field_section = 256;
    limits.datagram_capsule = 0;
    limits.undelivered_datagrams = 0;
    limits.undelivered_bytes = 1024;
    limits.unwritten_bytes = 128;
    limits
}

fn any(random: &mut Rng) -> Limits {
    let mut limits = tiny();
    limits.sessions = random.among(&[1, 2, 6]);
    limits.unanswered_requests = random.among(&[1, 2, 8]);
    limits.answered_requests = random.among(&[0, 4]);
    limits.unanswered_body = random.among(&[16, 1000, 4096]);
    limits.buffered_streams = random.among(&[0, 1, 8]);
    limits.buffered_bytes = random.among(&[0, 100, 4000]);
    limits.buffered_datagrams = random.among(&[0, 1, 32]);
    limits.settings = random.among(&[8, 64]);
    limits.control_frame = random.among(&[128, 1025, 4000]);
    limits.field_section = random.among(&[256, 1100, 4200]);
    limits.datagram_capsule = random.among(&[0, 600, 4100]);
    limits.undelivered_datagrams = random.among(&[0, 4, 64]);
    limits.undelivered_bytes = random.among(&[1024, 4096, 16384]);
    limits.unwritten_bytes = random.among(&[128, 1024]);
    limits
}
