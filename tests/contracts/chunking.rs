//! Chunking invariance: however the bytes of each stream are split, the same events come out after
//! adjacent `StreamData` of one stream are merged, and the same actions after adjacent `Write`s are.
//!
//! Whole conversations, each once as it was said and once in pieces.

use bytes::{Bytes, BytesMut};
use proptest::{collection::vec, prelude::*};
use webtransport_session::{
    Action, Config, Dialect, Dir, Event, Input, Output, SessionId, Side, Stats, StreamId, Support,
    Transport, trace::Step,
};

use crate::support::{
    CONNECT, Rig, WT_SESSION_GONE, close_capsule, close_frame, connect_request, data_frame, grease,
    headers, peer_settings, request, response, stream_header, tlv, varint,
};

// ---- what happens next

/// The peer says this on a stream, perhaps with FIN.
fn says(stream: impl Into<StreamId>, data: Vec<u8>, fin: bool) -> Step {
    let (stream, data) = (stream.into(), data.into());
    Step::Input(Input::StreamData { stream, data, fin })
}

fn connects() -> Step {
    let (request, bound) = (Box::new(request()), Some(CONNECT.into()));
    Step::Connect { request, bound }
}

fn accepts() -> Step {
    let (session, response) = (session(), Box::default());
    Step::Accept { session, response }
}

fn opens(stream: StreamId) -> Step {
    Step::Open {
        session: session(),
        dir: stream.dir(),
        bound: Some(stream),
    }
}

fn session() -> SessionId {
    SessionId::try_from(StreamId::from(CONNECT)).unwrap()
}

// ---- the conversations

fn conversations(side: Side) -> Vec<(&'static str, Vec<Step>)> {
    let closes = Step::Close {
        session: session(),
        code: 1,
        message: "ours".into(),
    };
    let stops = Step::Input(Input::StreamStopped {
        stream: CONNECT.into(),
        code: WT_SESSION_GONE,
    });
    let endings: [(&str, Vec<Step>); 14] = [
        (
            "capsule and FIN",
            vec![says(CONNECT, close_frame(4242, b"bye"), true)],
        ),
        (
            "capsule over frames, behind what means nothing",
            vec![says(CONNECT, shredded_close(), true)],
        ),
        ("bare FIN", vec![says(CONNECT, vec![], true)]),
        (
            "more behind the capsule in its frame",
            vec![says(
                CONNECT,
                data_frame(&[close_capsule(1, b""), vec![0x17, 0]].concat()),
                false,
            )],
        ),
        (
            "a frame behind the capsule's",
            vec![says(
                CONNECT,
                [close_frame(1, b""), grease(b"")].concat(),
                false,
            )],
        ),
        (
            "two capsules",
            vec![says(
                CONNECT,
                [close_frame(1, b""), close_frame(2, b"")].concat(),
                false,
            )],
        ),
        (
            "short capsule",
            vec![says(CONNECT, data_frame(&tlv(0x2843, b"abc")), false)],
        ),
        (
            "long message",
            vec![says(
                CONNECT,
                data_frame(&close_capsule(0, &[b'm'; 1025])),
                false,
            )],
        ),
        (
            "no UTF-8",
            vec![says(CONNECT, close_frame(0, &[0xff]), false)],
        ),
        (
            "FIN in a capsule",
            vec![says(CONNECT, data_frame(&[0x68, 0x43, 4, 0]), true)],
        ),
        (
            "FIN in a frame",
            vec![says(CONNECT, vec![0x00, 4, 0], true)],
        ),
        (
            "capsule, then trailers",
            vec![says(
                CONNECT,
                [close_frame(3, b"x"), headers(&[("a", "b")])].concat(),
                false,
            )],
        ),
        (
            "we close, and the peer crosses it",
            vec![closes, says(CONNECT, close_frame(9, b"crossing"), true)],
        ),
        (
            "gone, and the capsule behind it",
            vec![stops, says(CONNECT, close_frame(5, b"late"), true)],
        ),
    ];
    endings
        .into_iter()
        .map(|(name, ending)| (name, [beginning(side), ending].concat()))
        .chain(short_ones(side))
        .collect()
}

/// Control and QPACK streams, a session, and streams of every kind on it.
fn beginning(side: Side) -> Vec<Step> {
    let peer = side.other();
    let uni = |n| StreamId::new(peer, Dir::Uni, n);
    let bi = |n| StreamId::new(peer, Dir::Bi, n);
    let header = |dir| stream_header(dir, CONNECT);
    let settings = [peer_settings(side, Dialect::Draft02), grease(b"grease")].concat();
    let goaway = tlv(0x07, &varint(400));
    let early = vec![
        says(
            uni(3),
            [header(Dir::Uni), b"early".to_vec()].concat(),
            false,
        ),
        Step::Input(Input::DatagramReceived {
            data: Bytes::from_static(b"\0early"),
        }),
        says(bi(3), [header(Dir::Bi), b"early".to_vec()].concat(), true),
    ];
    let request = match side {
        Side::Client => vec![connects()],
        Side::Server => vec![says(
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
        Side::Client => vec![says(
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
        Side::Server => vec![accepts()],
    };
    // QPACK streams that say what capacity 0 leaves to say.
    let qpack = vec![
        says(uni(1), vec![0x02, 0x20, 0x20], false),
        says(uni(2), vec![0x03, 0x41, 0x7f, 0x80, 0x01], false),
    ];
    let our_uni = StreamId::new(side, Dir::Uni, 1);
    let our_bi = match side {
        Side::Client => StreamId::from(8),
        Side::Server => StreamId::from(5),
    };
    let data = vec![
        opens(our_uni),
        opens(our_bi),
        says(our_bi, b"answer".to_vec(), true),
        says(
            uni(4),
            [header(Dir::Uni), b"payload of some length".to_vec()].concat(),
            true,
        ),
        says(
            bi(4),
            [header(Dir::Bi), b"question".to_vec()].concat(),
            false,
        ),
        says(uni(3), b" and late".to_vec(), true),
        // 0x41 and the session id in longer forms than they need.
        says(
            bi(5),
            [&[0x80, 0, 0, 0x41, 0x40, 0][..], b"long"].concat(),
            true,
        ),
        says(uni(5), tlv(0x21, b"unknown"), true),
        Step::Input(Input::StreamReset {
            stream: bi(4),
            code: 0x10c,
            final_size: None,
        }),
        says(uni(6), header(Dir::Uni), true),
        says(uni(0), [goaway, grease(b"more")].concat(), false),
    ];
    [
        vec![says(uni(0), settings, false)],
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
fn short_ones(side: Side) -> Vec<(&'static str, Vec<Step>)> {
    let settings = || {
        let control = StreamId::new(side.other(), Dir::Uni, 0);
        says(control, peer_settings(side, Dialect::Draft02), false)
    };
    match side {
        Side::Client => {
            let answered =
                |bytes: Vec<u8>, fin| vec![settings(), connects(), says(CONNECT, bytes, fin)];
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
                    vec![settings(), says(1, vec![0x40, 0x42], false)],
                ),
                (
                    "a second SETTINGS",
                    vec![settings(), says(3, tlv(0x04, b""), false)],
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
                        says(CONNECT, connect_request("webtransport"), false),
                        says(4, connect_request("webtransport"), false),
                        settings(),
                        accepts(),
                    ],
                ),
                (
                    "withdrawn",
                    vec![
                        settings(),
                        says(CONNECT, connect_request("webtransport"), true),
                    ],
                ),
                (
                    "not ours",
                    vec![
                        settings(),
                        says(0, [get.clone(), data_frame(b"body")].concat(), true),
                        says(4, connect_request("websocket"), false),
                        says(8, tlv(0x01, &[0, 0, 0xd9]), false),
                        says(12, vec![0x01], true),
                    ],
                ),
                (
                    "HTTP/2",
                    vec![settings(), says(0, tlv(0x06, b"ping"), false)],
                ),
                ("a push", vec![settings(), says(6, vec![0x01, 0x00], false)]),
                (
                    "no SETTINGS",
                    vec![says(2, [vec![0x00], grease(b"")].concat(), false)],
                ),
                (
                    "0x41 in the middle",
                    vec![
                        settings(),
                        says(0, [get, vec![0x40, 0x41, 0x00]].concat(), false),
                    ],
                ),
                (
                    "an id that is none",
                    vec![settings(), says(4, stream_header(Dir::Bi, 3), true)],
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
    steps: &[Step],
    mut cuts: impl FnMut(&[u8], bool) -> Vec<(Bytes, bool)>,
) -> Told {
    let mut rig = Rig::before_start(side, Config::default(), Dialect::Draft02);
    let mut told = Told::default();
    rig.start(Transport::new(Support::Yes));
    told.listen(&mut rig);
    for step in steps {
        if let &Step::Input(Input::StreamData {
            stream,
            ref data,
            fin,
        }) = step
        {
            for (data, fin) in cuts(data, fin) {
                rig.handle(Input::StreamData { stream, data, fin });
                told.listen(&mut rig);
            }
            continue;
        }
        step.clone().apply(rig.now, &mut rig.connection);
        let heard = told.listen(&mut rig);
        let is_command = !matches!(step, Step::Input(_));
        assert!(heard > 0 || !is_command, "{step:?} did nothing");
    }
    told.forget_what_is_void(steps);
    told.stats = rig.connection.stats();
    told
}

impl Told {
    /// Two things are as good as never said, and whether they are depends on what comes in one chunk:
    /// our FIN on a stream that we then reset, and STOP_SENDING on a stream that the peer finishes
    /// anyway.
    fn forget_what_is_void(&mut self, steps: &[Step]) {
        let finished = |step: &Step| match *step {
            Step::Input(Input::StreamData {
                stream, fin: true, ..
            }) => Some(stream),
            _ => None,
        };
        let finished: Vec<_> = steps.iter().filter_map(finished).collect();
        let resets: Vec<_> = self
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::Reset { stream, .. } => Some(*stream),
                _ => None,
            })
            .collect();
        self.actions.retain(|action| match action {
            Action::Write { stream, data, fin } => {
                !(data.is_empty() && *fin && resets.contains(stream))
            }
            Action::StopSending { stream, .. } => !finished.contains(stream),
            _ => true,
        });
    }

    /// Takes in what there is to poll, and gives how much that was.
    fn listen(&mut self, rig: &mut Rig) -> usize {
        let outputs = rig.outputs();
        let heard = outputs.len();
        for output in outputs {
            match output {
                Output::Event(event) => match (self.events.last_mut(), event) {
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
                    (_, event) => self.events.push(event),
                },
                Output::Action(action) => match (self.actions.last_mut(), action) {
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
                    (_, action) => self.actions.push(action),
                },
            }
        }
        heard
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
        for (name, steps) in conversations(side) {
            let as_said = tell(side, &steps, whole);
            assert_eq!(tell(side, &steps, bytewise), as_said, "{side:?}: {name}");
        }
    }
}

#[test]
fn one_cut_anywhere_is_the_same() {
    for side in [Side::Client, Side::Server] {
        for (name, steps) in conversations(side) {
            let as_said = tell(side, &steps, whole);
            let longest = steps.iter().map(|step| match step {
                Step::Input(Input::StreamData { data, .. }) => data.len(),
                _ => 0,
            });
            for at in 0..longest.max().unwrap_or(0).min(200) {
                let cut = |data: &[u8], fin| {
                    let (front, back) = data.split_at(at.min(data.len()));
                    [whole(front, false), whole(back, fin)].concat()
                };
                let cut = tell(side, &steps, cut);
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
        let (name, steps) = which.get(&conversations);
        let mut next = cuts.iter().cycle();
        let cut = tell(side, steps, |data, fin| match next.next() {
            Some(cuts) => cuts.pieces(data, fin),
            None => whole(data, fin),
        });
        prop_assert_eq!(cut, tell(side, steps, whole), "{}", name);
    }
}
