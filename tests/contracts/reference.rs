//! The real machine, held against a model that is simple enough to be believed (`model.rs`): after
//! every turn the application was told exactly what the model says.

use std::time::Duration;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use webtransport_session::{
    Config, ConnectionLost, Deadlines, Dialect, Dir, Event, Input, Rejection, Response, SessionId,
    Side, StreamId,
};

use crate::{
    model::{GONE, Life, Model, SESSIONS, Stream, Told, Turn},
    support::{Rig, close_frame, connect_request, stream_header, varint},
};

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Turn;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Turn> {
        let n = 0..SESSIONS;
        let code = prop_oneof![Just(GONE), Just(0x10c), Just(7)];
        let s = 0..model.opened.max(1);
        prop_oneof![
            6 => n.clone().prop_map(|n| Turn::Requests { n }),
            6 => n.clone().prop_map(|n| Turn::Accept { n }),
            1 => n.clone().prop_map(|n| Turn::Reject { n }),
            2 => (n.clone(), 0..5u32).prop_map(|(n, code)| Turn::Close { n, code }),
            2 => (n.clone(), 0..5u32).prop_map(|(n, code)| Turn::PeerCloses { n, code }),
            1 => n.clone().prop_map(|n| Turn::PeerFinishes { n }),
            1 => (n.clone(), code.clone()).prop_map(|(n, code)| Turn::PeerResets { n, code }),
            3 => (n.clone(), code).prop_map(|(n, code)| Turn::PeerStops { n, code }),
            6 => n.clone().prop_map(|n| Turn::PeerOpens { n }),
            8 => (s.clone(), any::<u8>(), any::<bool>())
                .prop_map(|(s, byte, fin)| Turn::PeerSends { s, byte, fin }),
            2 => s.prop_map(|s| Turn::PeerResetsStream { s }),
            4 => (n, any::<u8>()).prop_map(|(n, byte)| Turn::Datagram { n, byte }),
            2 => Just(Turn::Wait),
            1 => Just(Turn::Lost),
        ]
        .boxed()
    }

    fn apply(mut model: Self, turn: &Turn) -> Self {
        model.turn(turn);
        model
    }

    /// What QUIC and the caller's own contract leave to happen.
    fn preconditions(model: &Self, turn: &Turn) -> bool {
        match *turn {
            Turn::Requests { n } => model.sessions[n].life == Life::New,
            Turn::Accept { n } | Turn::Reject { n } => model.sessions[n].life == Life::Requested,
            Turn::PeerCloses { n, .. } | Turn::PeerFinishes { n } | Turn::PeerResets { n, .. } => {
                model.sessions[n].life != Life::New && !model.sessions[n].said_all
            }
            Turn::Close { n, .. } | Turn::PeerStops { n, .. } => {
                model.sessions[n].life != Life::New
            }
            // A stream whose session is not open may be reset too, which is told later.
            Turn::PeerResetsStream { s } => {
                let stream = model.streams.get(&s);
                let is_open = |stream: &Stream| model.sessions[stream.n].life == Life::Open;
                s < model.opened && stream.is_none_or(is_open)
            }
            Turn::PeerSends { s, .. } => s < model.opened,
            Turn::PeerOpens { .. } => model.opened < 20,
            Turn::Datagram { .. } | Turn::Wait | Turn::Lost => true,
        }
    }
}

/// With the number of streams that the peer opened.
struct Real(Rig, u64);

fn connect(n: usize) -> StreamId {
    StreamId::new(Side::Client, Dir::Bi, u64::try_from(n).unwrap())
}

fn session(n: usize) -> SessionId {
    SessionId::try_from(connect(n)).unwrap()
}

fn number(session: SessionId) -> usize {
    usize::try_from(session.connect_stream().index()).unwrap()
}

impl Real {
    fn make(&mut self, turn: Turn) {
        let rig = &mut self.0;
        match turn {
            Turn::Requests { n } => rig.feed(connect(n), &connect_request("webtransport")),
            // The client may have lost its connection meanwhile.
            Turn::Accept { n } => {
                _ = rig
                    .connection
                    .accept(rig.now, session(n), Response::default());
            }
            Turn::Reject { n } => {
                let rejection = Rejection::from(http::StatusCode::FORBIDDEN);
                _ = rig.connection.reject(rig.now, session(n), rejection);
            }
            Turn::Close { n, code } => rig.connection.close(rig.now, session(n), code, ""),
            Turn::PeerCloses { n, code } => rig.feed(connect(n), &close_frame(code, b"")),
            Turn::PeerFinishes { n } => rig.feed_fin(connect(n), b""),
            Turn::PeerResets { n, code } => rig.peer_resets(connect(n), code),
            Turn::PeerStops { n, code } => rig.peer_stops(connect(n), code),
            Turn::PeerOpens { n } => {
                let header = stream_header(Dir::Uni, connect(n).into());
                let stream = rig.peer_uni(self.1);
                self.1 += 1;
                rig.feed(stream, &header);
            }
            Turn::PeerSends { s, byte, fin } => {
                rig.feed_maybe_fin(rig.peer_uni(s), &[byte], fin);
            }
            Turn::PeerResetsStream { s } => rig.peer_resets(rig.peer_uni(s), 9),
            Turn::Datagram { n, byte } => {
                let data = [varint(u64::try_from(n).unwrap()), vec![byte]].concat();
                rig.handle(Input::DatagramReceived { data: data.into() });
            }
            Turn::Wait => rig.wait(Duration::from_secs(2)),
            Turn::Lost => rig.connection_lost(ConnectionLost::IdleTimeout),
        }
    }

    fn told(&mut self) -> Vec<Told> {
        let stream_of = |stream: StreamId| stream.index() - 1;
        let told = |event| match event {
            Event::SessionRequested { session, .. } => Told::Requested { n: number(session) },
            Event::SessionOpened { session, .. } => Told::Opened { n: number(session) },
            Event::SessionClosed { session, reason } => Told::Closed {
                n: number(session),
                reason,
            },
            Event::StreamOpened { session, stream } => Told::StreamOpened {
                n: number(session),
                s: stream_of(stream),
            },
            Event::StreamData {
                session,
                stream,
                data,
                fin,
            } => {
                let (n, s, data) = (number(session), stream_of(stream), data.to_vec());
                Told::Data { n, s, data, fin }
            }
            Event::StreamReset {
                session, stream, ..
            } => Told::StreamReset {
                n: number(session),
                s: stream_of(stream),
            },
            Event::DatagramReceived { session, payload } => Told::Datagram {
                n: number(session),
                byte: payload[0],
            },
            Event::ConnectionClosed { .. } => Told::ConnectionClosed,
            event => panic!("{event:?}"),
        };
        self.0.events().into_iter().map(told).collect()
    }
}

impl StateMachineTest for Real {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        let mut config = Config::default();
        let mut deadlines = Deadlines::default();
        // Of all deadlines the model knows the grace only.
        deadlines.request = None;
        deadlines.idle_connection = None;
        deadlines.buffered = Duration::from_secs(1_000_000);
        config.deadlines = deadlines;
        Self(Rig::with(Side::Server, config, Dialect::Draft02), 0)
    }

    fn apply(mut real: Self, model: &Model, turn: Turn) -> Self {
        real.make(turn.clone());
        assert_eq!(real.told(), model.told, "{turn:?}");
        let live = model.sessions.iter().enumerate();
        let live = live.filter(|(_, session)| !matches!(session.life, Life::New | Life::Over));
        let live: Vec<_> = live.map(|(n, _)| session(n)).collect();
        assert_eq!(real.0.connection.sessions().collect::<Vec<_>>(), live);
        real
    }

    /// What is over stays over, and was told of.
    fn teardown(mut real: Self, mut model: Model) {
        model.turn(&Turn::Lost);
        real.make(Turn::Lost);
        assert_eq!(real.told(), model.told);
        assert!(real.0.connection.is_closed());
        for n in 0..SESSIONS {
            let code = GONE;
            real.make(Turn::PeerStops { n, code });
            real.make(Turn::PeerFinishes { n });
            real.make(Turn::Close { n, code: 1 });
        }
        real.make(Turn::Wait);
        assert_eq!(real.told(), []);
        assert_eq!(real.0.connection.poll_timeout(), None);
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_application_is_told_what_the_model_says(sequential 1..60 => Real);
}
