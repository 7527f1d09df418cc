//! Chunking invariance: however the bytes of each stream are split, the same events come out after
//! adjacent `StreamData` of one stream are merged, and the same actions after adjacent `Write`s are.
//!
//! Whole conversations, each once as it was said and once in pieces.

use std::{sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use proptest::{collection::vec, prelude::*};
use webtransport_session::{
    Action, Config, Connection, Dialect, Dir, Event, Input, Output, Request, Response, SessionId,
    Side, Stats, StreamId, Support, Transport,
};

use crate::support::{
    CONNECT, WT_SESSION_GONE, close_capsule, close_frame, connect_request, data_frame, grease,
    headers, peer_settings, response, stream_header, tlv, varint,
};

/// What happens next.
#[derive(Clone, Debug)]
enum Turn {
    /// The peer says this on a stream, perhaps with FIN.
    Says(u64, Vec<u8>, bool),
    Resets(u64),
    Stops(u64),
    Datagram(Vec<u8>),
    /// The application does something.
    Connects,
    Accepts,
    Opens(Dir, u64),
    Closes,
}

use Turn::{Accepts, Closes, Connects, Datagram, Opens, Resets, Says, Stops};

// ---- the conversations

fn conversations(side: Side) -> Vec<(&'static str, Vec<Turn>)> {
    let endings: [(&str, Vec<Turn>); 14] = [
        (
            "capsule and FIN",
            vec![Says(CONNECT, close_frame(4242, b"bye"), true)],
        ),
        (
            "capsule over frames, behind what means nothing",
            vec![Says(CONNECT, shredded_close(), true)],
        ),
        ("bare FIN", vec![Says(CONNECT, vec![], true)]),
        (
            "more behind the capsule in its frame",
            vec![Says(
                CONNECT,
                data_frame(&[close_capsule(1, b""), vec![0x17, 0]].concat()),
                false,
            )],
        ),
        (
            "a frame behind the capsule's",
            vec![Says(
                CONNECT,
                [close_frame(1, b""), grease(b"")].concat(),
                false,
            )],
        ),
        (
            "two capsules",
            vec![Says(
                CONNECT,
                [close_frame(1, b""), close_frame(2, b"")].concat(),
                false,
            )],
        ),
        (
            "short capsule",
            vec![Says(CONNECT, data_frame(&tlv(0x2843, b"abc")), false)],
        ),
        (
            "long message",
            vec![Says(
                CONNECT,
                data_frame(&close_capsule(0, &[b'm'; 1025])),
                false,
            )],
        ),
        (
            "no UTF-8",
            vec![Says(CONNECT, close_frame(0, &[0xff]), false)],
        ),
        (
            "FIN in a capsule",
            vec![Says(CONNECT, data_frame(&[0x68, 0x43, 4, 0]), true)],
        ),
        (
            "FIN in a frame",
            vec![Says(CONNECT, vec![0x00, 4, 0], true)],
        ),
        (
            "capsule, then trailers",
            vec![Says(
                CONNECT,
                [close_frame(3, b"x"), headers(&[("a", "b")])].concat(),
                false,
            )],
        ),
        (
            "we close, and the peer crosses it",
            vec![Closes, Says(CONNECT, close_frame(9, b"crossing"), true)],
        ),
        (
            "gone, and the capsule behind it",
            vec![Stops(CONNECT), Says(CONNECT, close_frame(5, b"late"), true)],
        ),
    ];
    endings
        .into_iter()
        .map(|(name, ending)| (name, [beginning(side), ending].concat()))
        .chain(short_ones(side))
        .collect()
}

/// Control and QPACK streams, a session, and streams of every kind on it.
fn beginning(side: Side) -> Vec<Turn> {
    let (control, peer) = match side {
        Side::Client => (3, Side::Server),
        Side::Server => (2, Side::Client),
    };
    let uni = |n| u64::from(StreamId::new(peer, Dir::Uni, n));
    let bi = |n| u64::from(StreamId::new(peer, Dir::Bi, n));
    let header = |dir| stream_header(dir, CONNECT);
    let settings = [peer_settings(side, Dialect::Draft02), grease(b"grease")].concat();
    let goaway = tlv(0x07, &varint(400));
    let early = vec![
        Says(
            uni(3),
            [header(Dir::Uni), b"early".to_vec()].concat(),
            false,
        ),
        Datagram(b"\0early".to_vec()),
        Says(bi(3), [header(Dir::Bi), b"early".to_vec()].concat(), true),
    ];
    let request = match side {
        Side::Client => vec![Connects],
        Side::Server => vec![Says(
            CONNECT,
            [
                grease(b""),
                connect_request("webtransport"),
                data_frame(&tlv(0x17, b"grease")),
                data_frame(&[tlv(0x00, b"in a capsule"), tlv(0x78ae, b"")].concat()),
            ]
            .concat(),
            false,
        )],
    };
    let answer = match side {
        Side::Client => vec![Says(
            CONNECT,
            [
                response("103"),
                grease(b"between"),
                headers(&[(":status", "200"), ("server", "test")]),
                data_frame(&[tlv(0x00, b"in a capsule"), tlv(0x78ae, b"")].concat()),
            ]
            .concat(),
            false,
        )],
        Side::Server => vec![Accepts],
    };
    // QPACK streams that say what capacity 0 leaves to say.
    let qpack = vec![
        Says(uni(1), vec![0x02, 0x20, 0x20], false),
        Says(uni(2), vec![0x03, 0x41, 0x7f, 0x80, 0x01], false),
    ];
    let (our_uni, our_bi) = match side {
        Side::Client => (6, 8),
        Side::Server => (7, 5),
    };
    let data = vec![
        Opens(Dir::Uni, our_uni),
        Opens(Dir::Bi, our_bi),
        Says(our_bi, b"answer".to_vec(), true),
        Says(
            uni(4),
            [header(Dir::Uni), b"payload of some length".to_vec()].concat(),
            true,
        ),
        Says(
            bi(4),
            [header(Dir::Bi), b"question".to_vec()].concat(),
            false,
        ),
        Says(uni(3), b" and late".to_vec(), true),
        // 0x41 and the session id in longer forms than they need.
        Says(
            bi(5),
            [&[0x80, 0, 0, 0x41, 0x40, 0][..], b"long"].concat(),
            true,
        ),
        Says(uni(5), tlv(0x21, b"unknown"), true),
        Resets(bi(4)),
        Says(uni(6), header(Dir::Uni), true),
        Says(control, [goaway, grease(b"more")].concat(), false),
    ];
    [
        vec![Says(control, settings, false)],
        early,
        request,
        qpack,
        answer,
        data,
    ]
    .concat()
}

/// The capsule in frames of three bytes, with what must be skipped between them.
fn shredded_close() -> Vec<u8> {
    let body = [tlv(0x17, b"grease"), close_capsule(77, "grüße".as_bytes())].concat();
    let frames: Vec<_> = body.chunks(3).map(data_frame).collect();
    frames.join(&[grease(b"??"), data_frame(b"")].concat()[..])
}

/// What never becomes a session, or ends the connection.
fn short_ones(side: Side) -> Vec<(&'static str, Vec<Turn>)> {
    let settings = |side| {
        let control = match side {
            Side::Client => 3,
            Side::Server => 2,
        };
        Says(control, peer_settings(side, Dialect::Draft02), false)
    };
    match side {
        Side::Client => {
            let answered = |bytes: Vec<u8>, fin| {
                vec![settings(Side::Client), Connects, Says(CONNECT, bytes, fin)]
            };
            vec![
                (
                    "rejected, with a body",
                    answered([response("404"), data_frame(b"not here")].concat(), true),
                ),
                ("a malformed answer", answered(response("101"), false)),
                ("an answer that ends early", answered(response("103"), true)),
                ("DATA first", answered(data_frame(b"what"), false)),
                ("dynamic table", answered(tlv(0x01, &[0x02, 0x00]), false)),
                (
                    "a stream that is none",
                    vec![settings(side), Says(1, vec![0x40, 0x42], false)],
                ),
                (
                    "a second SETTINGS",
                    vec![settings(side), Says(3, tlv(0x04, b""), false)],
                ),
            ]
        }
        Side::Server => {
            let get = headers(&[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "example.org"),
                (":path", "/"),
            ]);
            vec![
                (
                    "before the SETTINGS",
                    vec![
                        Says(CONNECT, connect_request("webtransport"), false),
                        Says(4, connect_request("webtransport"), false),
                        settings(side),
                        Accepts,
                    ],
                ),
                (
                    "withdrawn",
                    vec![
                        settings(side),
                        Says(CONNECT, connect_request("webtransport"), true),
                    ],
                ),
                (
                    "not ours",
                    vec![
                        settings(side),
                        Says(0, [get.clone(), data_frame(b"body")].concat(), true),
                        Says(4, connect_request("websocket"), false),
                        Says(8, tlv(0x01, &[0, 0, 0xd9]), false),
                        Says(12, vec![0x01], true),
                    ],
                ),
                (
                    "HTTP/2",
                    vec![settings(side), Says(0, tlv(0x06, b"ping"), false)],
                ),
                (
                    "a push",
                    vec![settings(side), Says(6, vec![0x01, 0x00], false)],
                ),
                (
                    "no SETTINGS",
                    vec![Says(2, [vec![0x00], grease(b"")].concat(), false)],
                ),
                (
                    "0x41 in the middle",
                    vec![
                        settings(side),
                        Says(0, [get, vec![0x40, 0x41, 0x00]].concat(), false),
                    ],
                ),
                (
                    "an id that is none",
                    vec![settings(side), Says(4, stream_header(Dir::Bi, 3), true)],
                ),
            ]
        }
    }
}

// ---- how they are told

/// How a run of bytes is cut, and whether the FIN comes alone.
#[derive(Clone, Debug)]
struct Cuts {
    at: Vec<prop::sample::Index>,
    /// A chunk without bytes between any two.
    gaps: bool,
    fin_alone: bool,
}

impl Cuts {
    fn pieces(&self, data: &[u8], fin: bool) -> Vec<(Bytes, bool)> {
        let mut ends: Vec<_> = self.at.iter().map(|at| at.index(data.len() + 1)).collect();
        ends.extend([0, data.len()]);
        ends.sort_unstable();
        ends.dedup();
        let mut pieces: Vec<_> = ends
            .windows(2)
            .map(|ends| (Bytes::copy_from_slice(&data[ends[0]..ends[1]]), false))
            .collect();
        if self.gaps {
            pieces = pieces
                .into_iter()
                .flat_map(|piece| [(Bytes::new(), false), piece])
                .collect();
        }
        match pieces.last_mut() {
            Some(last) if fin && !self.fin_alone => last.1 = true,
            _ if fin => pieces.push((Bytes::new(), true)),
            _ => {}
        }
        pieces
    }
}

/// Events and actions, merged, and what was counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    events: Vec<Event>,
    actions: Vec<Action>,
    stats: Stats,
}

fn tell(
    side: Side,
    turns: &[Turn],
    mut cuts: impl FnMut(&[u8], bool) -> Vec<(Bytes, bool)>,
) -> Told {
    let config = Arc::new(Config::default());
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    let now = Instant::now();
    let mut connection = match side {
        Side::Client => Connection::client(config),
        Side::Server => Connection::server(config),
    };
    let mut told = Told::default();
    let control = StreamId::new(side, Dir::Uni, 0);
    connection.start(now, control, Transport::new(Support::Yes));
    listen(&mut connection, now, &mut told);
    let session = SessionId::try_from(StreamId::from(CONNECT)).unwrap();
    for turn in turns {
        match turn {
            &Says(stream, ref data, fin) => {
                for (data, fin) in cuts(data, fin) {
                    let stream = stream.into();
                    connection.handle(now, Input::StreamData { stream, data, fin });
                    listen(&mut connection, now, &mut told);
                }
            }
            &Resets(stream) => connection.handle(
                now,
                Input::StreamReset {
                    stream: stream.into(),
                    code: 0x10c,
                    final_size: None,
                },
            ),
            &Stops(stream) => connection.handle(
                now,
                Input::StreamStopped {
                    stream: stream.into(),
                    code: WT_SESSION_GONE,
                },
            ),
            Datagram(data) => {
                let data = data.clone().into();
                connection.handle(now, Input::DatagramReceived { data });
            }
            Connects => {
                let request = Request::new("https://example.org/game".parse().unwrap());
                let permit = connection.connect(now, &request).unwrap();
                assert_eq!(permit.bind(CONNECT.into()), session);
            }
            Accepts => connection
                .accept(now, session, Response::default())
                .unwrap(),
            &Opens(dir, stream) => connection.open(session, dir).unwrap().bind(stream.into()),
            Closes => connection.close(now, session, 1, "ours"),
        }
        listen(&mut connection, now, &mut told);
    }
    forget_what_is_void(&mut told.actions, turns);
    told.stats = connection.stats();
    told
}

/// Two things are as good as never said, and whether they are depends on what comes in one chunk: our
/// FIN on a stream that we then reset, and STOP_SENDING on a stream that the peer finishes anyway.
fn forget_what_is_void(actions: &mut Vec<Action>, turns: &[Turn]) {
    let is_finished = |id: StreamId| {
        let finishes = |turn: &Turn| matches!(turn, &Says(stream, _, true) if id == stream.into());
        turns.iter().any(finishes)
    };
    let resets: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Reset { stream, .. } => Some(*stream),
            _ => None,
        })
        .collect();
    actions.retain(|action| match action {
        Action::Write { stream, data, fin } => {
            !(data.is_empty() && *fin && resets.contains(stream))
        }
        Action::StopSending { stream, .. } => !is_finished(*stream),
        _ => true,
    });
}

fn listen(connection: &mut Connection, now: Instant, told: &mut Told) {
    let Told {
        events, actions, ..
    } = told;
    while let Some(output) = connection.poll() {
        match output {
            Output::Event(event) => match (events.last_mut(), event) {
                (
                    Some(Event::StreamData {
                        stream: last,
                        data: front,
                        fin: last_fin,
                        ..
                    }),
                    Event::StreamData {
                        stream, data, fin, ..
                    },
                ) if *last == stream && !*last_fin => {
                    *front = join(front, &data);
                    *last_fin = fin;
                }
                (_, event) => events.push(event),
            },
            Output::Action(action) => {
                if let Action::Write {
                    stream,
                    ref data,
                    fin,
                } = action
                {
                    let len = data.len();
                    connection.handle(now, Input::Written { stream, len, fin });
                }
                match (actions.last_mut(), action) {
                    (
                        Some(Action::Write {
                            stream: last,
                            data: front,
                            fin: last_fin,
                        }),
                        Action::Write { stream, data, fin },
                    ) if *last == stream && !*last_fin => {
                        *front = join(front, &data);
                        *last_fin = fin;
                    }
                    (_, action) => actions.push(action),
                }
            }
        }
    }
}

fn join(front: &Bytes, back: &Bytes) -> Bytes {
    let mut joined = BytesMut::from(&front[..]);
    joined.extend_from_slice(back);
    joined.freeze()
}

fn whole(data: &[u8], fin: bool) -> Vec<(Bytes, bool)> {
    vec![(Bytes::copy_from_slice(data), fin)]
}

fn bytewise(data: &[u8], fin: bool) -> Vec<(Bytes, bool)> {
    let mut pieces: Vec<_> = data
        .iter()
        .map(|&byte| (Bytes::copy_from_slice(&[byte]), false))
        .collect();
    if fin {
        pieces.push((Bytes::new(), true));
    }
    pieces
}

#[test]
fn byte_by_byte_is_the_same() {
    for side in [Side::Client, Side::Server] {
        for (name, turns) in conversations(side) {
            let as_said = tell(side, &turns, whole);
            assert_eq!(tell(side, &turns, bytewise), as_said, "{side:?}: {name}");
        }
    }
}

#[test]
fn one_cut_anywhere_is_the_same() {
    for side in [Side::Client, Side::Server] {
        for (name, turns) in conversations(side) {
            let as_said = tell(side, &turns, whole);
            let longest = turns.iter().map(|turn| match turn {
                Says(_, data, _) => data.len(),
                _ => 0,
            });
            for at in 0..longest.max().unwrap_or(0).min(200) {
                let cut = |data: &[u8], fin| {
                    let (front, back) = data.split_at(at.min(data.len()));
                    [whole(front, false), whole(back, fin)].concat()
                };
                let cut = tell(side, &turns, cut);
                assert_eq!(cut, as_said, "{side:?}: {name}, at {at}");
            }
        }
    }
}

fn cuts() -> impl Strategy<Value = Cuts> {
    (
        vec(any::<prop::sample::Index>(), 0..8),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(at, gaps, fin_alone)| Cuts {
            at,
            gaps,
            fin_alone,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_are_the_same(
        side in prop_oneof![Just(Side::Client), Just(Side::Server)],
        which in any::<prop::sample::Index>(),
        cuts in vec(cuts(), 1..12),
    ) {
        let conversations = conversations(side);
        let (name, turns) = which.get(&conversations);
        let mut next = cuts.iter().cycle();
        let cut = tell(side, turns, |data, fin| match next.next() {
            Some(cuts) => cuts.pieces(data, fin),
            None => whole(data, fin),
        });
        prop_assert_eq!(cut, tell(side, turns, whole), "{}", name);
    }
}
