//! Every ending of the README's table that gives a reason, played through `Ending::all()`.

use std::collections::BTreeSet;

use webtransport_session::{
    CloseReason, Event, SessionId, Side,
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
            let connection = &pair.end(side).connection;
            assert_eq!(connection.sessions().next(), None, "{ending}");
        }
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
