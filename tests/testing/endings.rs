//! Every ending of the README's table that gives a reason, played through `Ending::all()`.

use std::collections::BTreeSet;

use webtransport_session::{
    CloseReason, Config, Dir, Event, SessionId, Side, session,
    testing::{Ending, Link, Pair},
};

/// The one end of this session that this side was told of. Nothing of the session comes after it.
pub(crate) fn reason(pair: &Pair, side: Side, session: SessionId) -> CloseReason {
    let end = match side {
        Side::Client => &pair.client,
        Side::Server => &pair.server,
    };
    let mut of_session = end
        .events()
        .filter(|event| event.session() == Some(session))
        .skip_while(|event| !matches!(event, Event::SessionClosed { .. }));
    let Some(Event::SessionClosed { reason, .. }) = of_session.next() else {
        panic!("it did not end for the {side:?}:\n{}", pair.script());
    };
    let after = of_session.next();
    assert_eq!(after, None, "behind the end:\n{}", pair.script());
    reason.clone()
}

#[test]
fn every_ending_gives_exactly_the_reason_that_it_states() {
    for ending in Ending::all() {
        for &side in ending.sides() {
            let mut pair = ending.pair(side, Link::perfect());
            let session = pair.play(side, &ending);
            let told = reason(&pair, side, session);
            let script = pair.script();
            assert_eq!(told, ending.reason(), "{ending} at the {side:?}:\n{script}");
            assert_eq!(told.label(), ending.reason().label());
            let connection = &pair.end(side).machine;
            assert_eq!(connection.sessions().next(), None, "{ending}");
        }
    }
}

#[test]
fn a_session_alone_gives_the_same_reasons() {
    for ending in Ending::all() {
        for (&side, seed) in ending.sides().iter().zip(0..) {
            for link in [Link::perfect(), Link::seeded(seed)] {
                let mut pair = ending.session_pair(side, link);
                pair.play(side, &ending);
                let events = pair.end(side).take_events();
                let (last, before) = events.split_last().unwrap();
                let reason = ending.reason();
                let script = pair.script();
                let closed = session::Event::Closed { reason };
                assert_eq!(*last, closed, "{ending} at the {side:?}:\n{script}");
                let is_end =
                    |event: &session::Event| matches!(event, session::Event::Closed { .. });
                assert!(!before.iter().any(is_end), "{script}");
            }
        }
    }
}

#[test]
fn sessions_alone_have_streams_and_datagrams() {
    for seed in 0..200 {
        let mut link = Link::seeded(seed);
        link.datagrams_lost = 0;
        link.datagrams_doubled = 0;
        let mut pair = Pair::sessions(Config::default(), Config::default(), link);
        let session = pair.open_session();
        let stream = pair.open_stream(Side::Client, session, Dir::Bi).unwrap();
        assert_eq!(pair.write(Side::Client, stream, b"some payload"), Ok(12));
        pair.send_datagram(Side::Client, session, b"here").unwrap();
        pair.client.machine.finish(stream).unwrap();
        pair.run();
        let mut told = pair.server.take_events();
        told.sort_by_key(|event| matches!(event, session::Event::StreamOpened { .. }));
        let payload = "here".into();
        let expected = [
            session::Event::DatagramReceived { payload },
            session::Event::StreamOpened { stream },
        ];
        assert_eq!(told, expected, "seed {seed}:\n{}", pair.script());
        pair.server.machine.reset(stream, 5).unwrap();
        pair.run();
        let code = Some(5);
        let reset = session::Event::StreamReset { stream, code };
        assert_eq!(pair.client.take_events(), [reset]);
    }
}

/// Rows of the README's table that give no reason: it was given already, there is no session yet, or
/// it is no end.
const WITHOUT_REASON: [&str; 7] = ["E13", "E14", "E32", "E38", "E44", "E52", "E53"];

#[test]
fn every_ending_of_the_readme_that_has_a_reason_is_among_them() {
    let endings = Ending::all();
    let mut documented = BTreeSet::from(WITHOUT_REASON);
    let readme = include_str!("../../README.md");
    for row in readme.lines().filter(|line| line.starts_with("| E")) {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (id, label) = (cells.next().unwrap(), cells.nth(1).unwrap());
        documented.insert(id);
        // A cell without a label, as "the first of them", or with another way out, promises less.
        if !label.contains('`') || label.starts_with("what the answer says") {
            continue;
        }
        for ending in endings.iter().filter(|ending| ending.id() == id) {
            let given = ending.reason().label();
            let is_promised = label.contains(&format!("`{given}`"));
            assert!(
                is_promised,
                "{ending} gives {given}, the README says {label}"
            );
        }
    }
    let played = endings.iter().map(Ending::id).chain(WITHOUT_REASON);
    assert_eq!(documented, played.collect());
}

#[test]
fn endings_have_different_names() {
    let names: BTreeSet<_> = Ending::all().iter().map(Ending::name).collect();
    assert_eq!(names.len(), Ending::all().len());
}
