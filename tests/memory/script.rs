//! What a hostile peer says on one stream, from its first byte to its last.

use fastrand::Rng;
use webtransport_session::{Dir, Limits, Side};

use crate::{
    random::Draw,
    support::{close_capsule, data_frame, grease, headers, response, stream_header, tlv, varint},
    theme::Quic,
};

/// What a script has to know of the place where it is played.
#[derive(Clone, Debug)]
pub struct Stage {
    pub limits: Limits,
    pub quic: Quic,
    /// The `:protocol` of the dialect that the peer announces.
    pub token: &'static str,
    /// What the peer likes best to fill its messages and bodies with.
    pub fields: u64,
    pub capsules: u64,
}

impl Stage {
    pub fn longest_datagram(&self) -> usize {
        self.limits.datagram_capsule.max(self.quic.datagram)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HEADERS as long as is taken, and their last byte never comes.
    Unfinished,
    /// A CONNECT of many small fields, then what its body may be.
    Connect,
    /// A CONNECT with a DATAGRAM capsule over the limit.
    LongCapsule,
    /// A request that no session comes of.
    Get,
    /// A request with more fields than are taken.
    TooLarge,
    /// Frames that mean nothing.
    Idle,
    /// A stream of a session, or of what the peer says is one.
    Data,
    /// A stream of an unknown type, or one that does not say what it is.
    Unknown,
    /// What follows the SETTINGS.
    Control,
}

/// The bytes of a stream.
pub struct Script {
    pub kind: Kind,
    pub bytes: Vec<u8>,
    /// Where the head or header ends: what follows is body or payload.
    pub head: usize,
    pub fin: bool,
    /// The session that the header names.
    pub session: Option<u64>,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Unfinished,
        Self::Connect,
        Self::LongCapsule,
        Self::Get,
        Self::TooLarge,
        Self::Idle,
        Self::Data,
        Self::Unknown,
    ];

    pub fn is_request(self) -> bool {
        !matches!(self, Self::Data | Self::Unknown | Self::Control)
    }

    pub fn dir(self, random: &mut Rng) -> Dir {
        match self {
            Self::Data => random.among(&[Dir::Bi, Dir::Uni]),
            Self::Unknown | Self::Control => Dir::Uni,
            _ => Dir::Bi,
        }
    }

    pub fn script(self, random: &mut Rng, stage: &Stage, dir: Dir, session: u64) -> Script {
        let limits = &stage.limits;
        let mut may_end = true;
        let (head, body) = match self {
            Self::Unfinished => {
                let mut head = varint(0x01);
                head.extend(long_varint(limits.field_section as u64));
                head.extend(vec![0; limits.field_section - 1]);
                may_end = false;
                (head, Vec::new())
            }
            Self::Connect => {
                let body;
                (body, may_end) = self::body(random, stage);
                (connect(random, stage, limits.field_section), body)
            }
            Self::LongCapsule => {
                let long = tlv(0x00, &vec![b'd'; limits.datagram_capsule + 1]);
                (connect(random, stage, 0), data_frame(&long))
            }
            Self::Get => (request("GET", &[]), Vec::new()),
            Self::TooLarge => {
                let value = "v".repeat(limits.field_section);
                (request("GET", &[("long", &value)]), Vec::new())
            }
            Self::Idle => {
                let idle = [grease(b""), tlv(0x00, b"")].concat();
                let (head, _) = idle.split_at(2);
                (head.to_vec(), grease(b"").repeat(2000))
            }
            Self::Data => {
                let len = random.usize(..=2 * stage.quic.read);
                (stream_header(dir, session), vec![b'p'; len])
            }
            Self::Unknown => {
                may_end = false;
                let kind = random.among(&[0x21, 0x54, 0x3fff_ffff]);
                (vec![], long_varint(kind)[..random.usize(1..=8)].to_vec())
            }
            Self::Control => (vec![], vec![]),
        };
        Script {
            kind: self,
            head: head.len(),
            bytes: [head, body].concat(),
            fin: may_end && (self == Self::Data || random.u64(..2) == 0),
            session: (self == Self::Data).then_some(session),
        }
    }
}

impl Script {
    /// Nothing, ever.
    pub fn empty() -> Self {
        Self {
            kind: Kind::Unknown,
            bytes: Vec::new(),
            head: 0,
            fin: false,
            session: None,
        }
    }
}

/// What a hostile server answers a CONNECT with.
pub fn answer(random: &mut Rng, stage: &Stage) -> Script {
    let limits = &stage.limits;
    let interim = response("103").repeat(random.among(&[0, 0, 3]));
    let (kind, head) = match random.u64(..8) {
        0 => (Kind::Unfinished, {
            let mut head = varint(0x01);
            head.extend(long_varint(limits.field_section as u64));
            head.extend(vec![0; limits.field_section - 1]);
            head
        }),
        1 => {
            let value = "v".repeat(limits.field_section);
            (
                Kind::TooLarge,
                headers(&[(":status", "200"), ("long", &value)]),
            )
        }
        2 => (
            Kind::Connect,
            message(random, stage, limits.field_section, &[(":status", "404")]),
        ),
        3 => (Kind::LongCapsule, response("200")),
        4 => (Kind::Idle, response("200")),
        _ => (
            Kind::Connect,
            message(random, stage, limits.field_section, &[(":status", "200")]),
        ),
    };
    let mut may_end = kind != Kind::Unfinished;
    let body = match kind {
        Kind::LongCapsule => data_frame(&tlv(0x00, &vec![b'd'; limits.datagram_capsule + 1])),
        Kind::Idle => grease(b"").repeat(2000),
        Kind::Connect => {
            let body;
            (body, may_end) = self::body(random, stage);
            body
        }
        _ => Vec::new(),
    };
    let head = [interim, head].concat();
    Script {
        kind,
        head: head.len(),
        bytes: [head, body].concat(),
        fin: may_end && random.u64(..2) == 0,
        session: None,
    }
}

/// What follows on a CONNECT stream whose head is out of the way.
pub fn body_only(random: &mut Rng, stage: &Stage) -> Script {
    let (bytes, may_end) = body(random, stage);
    Script {
        kind: Kind::Connect,
        head: 0,
        bytes,
        fin: may_end && random.u64(..4) == 0,
        session: None,
    }
}

/// What comes on the control stream behind the SETTINGS: GREASE of any length, and priorities of
/// what there is and what there is not at a server.
pub fn control(random: &mut Rng, stage: &Stage, side: Side) -> Script {
    let mut bytes = grease(b"").repeat(random.usize(..=40));
    if side == Side::Server {
        for _ in 0..random.usize(..=200) {
            let mut update = varint(4 * random.usize(..=40) as u64);
            update.extend(format!("u={}", random.u64(..9)).bytes());
            bytes.extend(tlv(0xf0700, &update));
        }
        let mut unfinished = varint(0xf0700);
        unfinished.extend(long_varint(1 << 40));
        unfinished.extend(vec![
            0;
            random.among(&[0, 1, 2 * stage.limits.control_frame])
        ]);
        if random.u64(..2) == 0 {
            bytes.extend(unfinished);
        }
    }
    bytes.extend(varint(0x40));
    bytes.extend(long_varint((1 << 62) - 1));
    bytes.extend(vec![0; 40 * stage.quic.read]);
    Script {
        kind: Kind::Control,
        head: 0,
        bytes,
        fin: false,
        session: None,
    }
}

/// A SETTINGS frame with a payload of this length, which is of no other use.
pub fn settings_of_len(len: usize) -> Vec<u8> {
    tlv(0x04, &vec![0x3f; len])
}

/// Frames and capsules of every kind behind the head of a CONNECT or its answer.
///
/// With whether a FIN may follow: in an unfinished frame it is the end of the connection.
fn body(random: &mut Rng, stage: &Stage) -> (Vec<u8>, bool) {
    let (limit, read) = (stage.limits.datagram_capsule, stage.quic.read);
    let mut capsules = Vec::new();
    for _ in 0..random.among(&[1, 6, 100]) {
        let other = random.u64(..16);
        capsules.extend(match if other < 8 { other } else { stage.capsules } {
            // Held in pieces until its last byte, which may never come.
            0 => tlv(0x00, &vec![b'd'; limit]),
            1 => tlv(0x00, &vec![b'd'; limit / 2 + 1]),
            // Many in what is read at once, and one in all that is read at once.
            2 => tlv(0x00, b"d").repeat(random.usize(1..=read)),
            3 => [tlv(0x17, &vec![0; read - 10]), tlv(0x00, b"d")].concat(),
            4 => tlv(0x17, &vec![0; read]),
            5 => tlv(0x78ae, b""),
            6 => vec![0x17, 0x00],
            _ => continue,
        });
    }
    match random.u64(..8) {
        0 => capsules.extend(close_capsule(1, &[b'm'; 1000])),
        1 => capsules.extend([tlv(0x17, &vec![0; read]), close_capsule(1, b"m")].concat()),
        2 => {
            // A capsule of enormous length that begins and goes on.
            capsules.extend(varint(0x17));
            capsules.extend(long_varint((1 << 62) - 1));
            capsules.extend(vec![0; 3 * read]);
        }
        _ => {}
    }
    match random.u64(..3) {
        // One DATA frame that never ends.
        0 => (
            [varint(0x00), long_varint((1 << 62) - 1), capsules].concat(),
            false,
        ),
        1 => (capsules.chunks(50).flat_map(data_frame).collect(), true),
        _ => (
            [grease(&vec![0; read]), data_frame(&capsules)].concat(),
            true,
        ),
    }
}

fn connect(random: &mut Rng, stage: &Stage, room: usize) -> Vec<u8> {
    message(random, stage, room, &fields_of_connect(stage))
}

pub fn plain_connect(stage: &Stage) -> Vec<u8> {
    headers(&fields_of_connect(stage))
}

fn fields_of_connect(stage: &Stage) -> [(&str, &str); 5] {
    [
        (":method", "CONNECT"),
        (":protocol", stage.token),
        (":scheme", "https"),
        (":authority", "example.org"),
        (":path", "/game"),
    ]
}

fn request(method: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut fields = vec![
        (":method", method),
        (":scheme", "https"),
        (":authority", "example.org"),
        (":path", "/"),
    ];
    fields.extend(more);
    headers(&fields)
}

/// A message that weighs as much as `room` allows, in what costs most memory.
fn message(random: &mut Rng, stage: &Stage, room: usize, pseudo: &[(&str, &str)]) -> Vec<u8> {
    let weigh = |(name, value): &(&str, &str)| 32 + name.len() + value.len();
    let left = room.saturating_sub(pseudo.iter().map(weigh).sum());
    let mut fields: Vec<(String, String)> = pseudo
        .iter()
        .map(|&(name, value)| (name.into(), value.into()))
        .collect();
    let other = random.u64(..30);
    match if other < 10 { other } else { stage.fields } {
        // Nothing.
        0 => {}
        // As many different names as fit.
        1 => {
            for n in 0..left / 35 {
                let letters = [n / 26 / 26, n / 26, n].map(|n| (b'a' + (n % 26) as u8) as char);
                fields.push((letters.iter().collect(), String::new()));
            }
        }
        // The same name again and again.
        2 => fields.extend(vec![("x".into(), String::new()); left / 33]),
        // As many protocols as fit.
        3 if left > 64 => {
            let offered = vec!["\"a\""; (left - 64) / 4].join(",");
            fields.push(("wt-available-protocols".into(), offered));
        }
        // One field as long as it can be, which may be a part of the URI.
        n => {
            let names = [":authority", ":path", "origin", "x"];
            let name = names[n as usize % names.len()];
            let long = "x".repeat(left.saturating_sub(40));
            match fields.iter_mut().find(|(other, _)| other == name) {
                Some((_, value)) if name == ":path" => *value = format!("/?{long}"),
                Some((_, value)) => *value = long,
                None => fields.push((name.into(), long)),
            }
        }
    }
    let all: Vec<_> = fields
        .iter()
        .map(|(name, value)| (&name[..], &value[..]))
        .collect();
    headers(&all)
}

/// The longest encoding.
pub fn long_varint(value: u64) -> Vec<u8> {
    (value | 0xc000_0000_0000_0000).to_be_bytes().to_vec()
}
