//! What a connection holds: nothing of what is over, never more than the formula of
//! [`Limits`](webtransport_session::Limits), and little for a session.
//!
//! One test, because the allocator counts what every thread does.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, writes small numbers, and looks at what it expects"
)]

use webtransport_session::Limits;

mod churn;
mod floods;
mod hostile;
mod meter;
mod random;
mod script;
mod siege;
mod small;
#[path = "../endings/support.rs"]
#[allow(dead_code, reason = "only its byte strings are of use here")]
mod support;
mod theme;

/// The formula, term by term as in the documentation of [`Limits`].
fn worst_case(limits: &Limits, quic: theme::Quic) -> usize {
    let count = |limit: u32| limit as usize;
    (quic.bidi + quic.uni + count(limits.buffered_streams)) * 1024
        + quic.bidi * 2 * limits.field_section.max(1028)
        + count(limits.unanswered_requests)
            * (8 * limits.field_section + 2 * limits.unanswered_body + 2 * quic.read)
        + count(limits.sessions) * 2 * limits.datagram_capsule
        + 2 * limits.buffered_bytes
        + count(limits.buffered_datagrams) * 128
        + count(limits.buffered_streams.max(limits.sessions)) * 64
        + 2 * limits.control_frame
        + count(limits.unanswered_requests) * 128
        + 8 * limits.undelivered_bytes
        + 2 * quic.read
        + count(limits.undelivered_datagrams) * (128 + quic.datagram.max(limits.datagram_capsule))
        + 2 * limits.unwritten_bytes
}

#[test]
fn memory_is_bounded_and_given_back() {
    small::a_connection_and_its_sessions_take_little();
    churn::sessions_without_number_leave_nothing_behind();
    churn::what_a_backlog_took_is_given_back();
    floods::no_flood_makes_a_connection_hold_more_than_the_formula();
    siege::the_worst_of_each_kind_stays_below_the_formula();
    hostile::no_peer_makes_a_connection_hold_more_than_the_formula();
}
