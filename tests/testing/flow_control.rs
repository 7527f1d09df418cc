//! Flow control between two connections: it never stalls, and every byte of credit is accounted for.

use std::collections::BTreeMap;

use webtransport_session::{
    CloseReason, Config, Dialect, Dialects, Dir, Event, FlowControl, Input, OpenError, SendError,
    SessionId, Side, StreamId, Violation,
    testing::{Link, Pair},
};

const WINDOW: u64 = 64 * 1024;
const STREAMS_AT_A_TIME: u64 = 4;

fn pair(dialect: Dialect, link: Link) -> (Pair, SessionId) {
    let config = || {
        let mut config = Config::default();
        config.dialects = Dialects::only(dialect);
        let streams = STREAMS_AT_A_TIME;
        config.flow_control = Some(FlowControl::new(WINDOW, streams, streams));
        config
    };
    let mut pair = Pair::with(config(), config(), link);
    let session = pair.open_session();
    (pair, session)
}

/// One side sends so much, over so many streams.
struct Sender {
    side: Side,
    streams: u64,
    /// How much each stream is still to carry.
    open: BTreeMap<StreamId, u64>,
    left: u64,
    sent: u64,
    received: u64,
    finished: u64,
}

impl Sender {
    fn new(side: Side, bytes: u64, streams: u64) -> Self {
        Self {
            side,
            streams,
            open: BTreeMap::new(),
            left: bytes,
            sent: 0,
            received: 0,
            finished: 0,
        }
    }

    /// Does all that can be done now. False when that is nothing.
    fn work(&mut self, pair: &mut Pair, session: SessionId) -> bool {
        let mut moved = false;
        while self.streams > 0 {
            let dir = if self.streams % 2 == 0 {
                Dir::Uni
            } else {
                Dir::Bi
            };
            match pair.open_stream(self.side, session, dir) {
                Ok(stream) => {
                    let share = self.left / self.streams;
                    self.left -= share;
                    self.streams -= 1;
                    self.open.insert(stream, share);
                    moved = true;
                }
                Err(error) => {
                    assert_eq!(error, OpenError::Blocked);
                    break;
                }
            }
        }
        let payload = vec![b'.'; 16 * 1024];
        for (stream, left) in std::mem::take(&mut self.open) {
            let mut left = left;
            while left > 0 {
                let len = payload.len().min(usize::try_from(left).unwrap());
                match pair.write(self.side, stream, &payload[..len]) {
                    Ok(written) => {
                        left -= u64::try_from(written).unwrap();
                        self.sent += u64::try_from(written).unwrap();
                        moved = true;
                    }
                    Err(error) => {
                        assert_eq!(error, SendError::Blocked);
                        break;
                    }
                }
            }
            if left > 0 {
                self.open.insert(stream, left);
            } else {
                pair.end(self.side).machine.finish(stream).unwrap();
                moved = true;
            }
        }
        moved
    }

    /// What the other side was told.
    fn take(&mut self, pair: &mut Pair) {
        let receiver = self.side.other();
        for event in pair.end(receiver).take_events() {
            match event {
                Event::StreamData {
                    stream, data, fin, ..
                } if stream.initiator() == self.side => {
                    self.received += u64::try_from(data.len()).unwrap();
                    if fin {
                        self.finished += 1;
                        if stream.dir() == Dir::Bi {
                            pair.end(receiver).machine.finish(stream).unwrap();
                        }
                    }
                }
                Event::SessionClosed { reason, .. } => panic!("{reason}"),
                _ => {}
            }
        }
        pair.end(self.side).take_events();
    }
}

/// Moves all of it. Gives the two ends as they are afterwards.
fn transfer(dialect: Dialect, link: Link, bytes: u64, streams: u64) -> (Pair, SessionId) {
    let (mut pair, session) = pair(dialect, link);
    let mut sender = Sender::new(Side::Client, bytes, streams);
    while sender.finished < streams {
        let moved = sender.work(&mut pair, session);
        let before = pair.elapsed();
        pair.run();
        sender.take(&mut pair);
        assert!(
            moved || pair.elapsed() > before,
            "stalled at {} of {bytes}",
            sender.received
        );
        pair.clear_script();
    }
    assert_eq!((sender.sent, sender.received), (bytes, bytes));
    pair.run();
    (pair, session)
}

/// What the sender may send is what the receiver takes, to the byte: the window, less what was not
/// worth a capsule yet. `excess`: so many bytes more.
fn assert_credit(pair: &mut Pair, session: SessionId, excess: u64) {
    let stream = pair.open_stream(Side::Client, session, Dir::Uni).unwrap();
    pair.run();
    let credit = pair.client.machine.credit(stream).unwrap().len();
    let credit = u64::try_from(credit).unwrap();
    assert!(credit > WINDOW / 2 && credit <= WINDOW, "{credit}");
    let header = 3;
    let reset = Input::StreamReset {
        stream,
        code: 0x10c,
        final_size: Some(header + credit + excess),
    };
    pair.send_as(Side::Client, reset);
    pair.run();
    let too_much = CloseReason::Violation(Violation::TooMuchData);
    let told = pair.server.take_events();
    let closed = told.into_iter().find_map(|event| match event {
        Event::SessionClosed { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(closed, (excess > 0).then_some(too_much));
}

#[test]
fn a_gibibyte_over_a_thousand_streams_never_stalls() {
    let (mut pair, session) = transfer(Dialect::Draft16, Link::perfect(), 1 << 30, 1000);
    assert_credit(&mut pair, session, 1);
}

#[test]
fn reordering_streams_and_capsules_stalls_nothing() {
    for seed in 0..40 {
        for dialect in [Dialect::Draft14, Dialect::Draft16] {
            let link = Link::seeded(seed);
            let (mut pair, session) = transfer(dialect, link, 4 << 20, 50);
            assert_credit(&mut pair, session, seed % 2);
        }
    }
}
