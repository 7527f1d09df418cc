//! What becomes of each sentence of the draft. Ids are those of `sentences.json`: section, and a
//! running number in it. `RESULTS.md` has the sentences beside this.

/// One sentence.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub id: &'static str,
    pub how: How,
    /// What a reader should know besides.
    pub note: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
pub enum How {
    /// These tests show it.
    Shown(&'static [&'static str]),
    /// It binds somebody else, for this reason; these tests show what is our share.
    Binds(Party, &'static str, &'static [&'static str]),
    /// It is not done, for this reason.
    #[allow(dead_code, reason = "nothing is declined")]
    Declined(&'static str),
}

impl How {
    pub fn tests(self) -> &'static [&'static str] {
        match self {
            Self::Shown(tests) | Self::Binds(_, _, tests) => tests,
            Self::Declined(_) => &[],
        }
    }
}

/// Who is not this crate.
#[derive(Clone, Copy, Debug)]
pub enum Party {
    /// Whoever uses the crate. The draft's "WebTransport server" is one (§1.1: "a WebTransport
    /// server is an application that accepts WebTransport sessions").
    Application,
    Browser,
    /// A proxy: the crate is one end of a connection and forwards nothing.
    Intermediary,
    /// Who sends the bytes that the crate and the application hand over.
    Quic,
}

impl Party {
    pub fn name(self) -> &'static str {
        match self {
            Self::Application => "The application",
            Self::Browser => "A browser",
            Self::Intermediary => "An intermediary",
            Self::Quic => "The QUIC stack",
        }
    }
}

/// A sentence that no test shows yet.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    pub id: &'static str,
    /// The tests that are to show it.
    pub expected: &'static [&'static str],
}

const fn shown(id: &'static str, tests: &'static [&'static str]) -> Entry {
    Entry {
        id,
        how: How::Shown(tests),
        note: None,
    }
}

const fn binds(
    id: &'static str,
    party: Party,
    reason: &'static str,
    tests: &'static [&'static str],
) -> Entry {
    Entry {
        id,
        how: How::Binds(party, reason, tests),
        note: None,
    }
}

#[allow(dead_code, reason = "there is nothing pending")]
const fn pending(id: &'static str, expected: &'static [&'static str]) -> Pending {
    Pending { id, expected }
}

impl Entry {
    const fn note(self, note: &'static str) -> Self {
        Self {
            note: Some(note),
            ..self
        }
    }
}

/// To be empty before a release.
pub const PENDING: &[Pending] = &[];

const FORWARDS: &str = "The crate is an end of a connection and forwards nothing. A proxy made \
    with it holds two sessions, each with limits of its own.";

pub const MAPPING: &[Entry] = &[
    // ---- 2 Overview
    shown(
        "2.1.2-1",
        &[
            "dialects::a_client_asks_with_the_token_and_the_headers_of_the_dialect",
            "dialects::the_newest_that_both_announce_is_spoken",
        ],
    )
    .note("The capsule-based protocol is not spoken at all."),
    // ---- 3 Session Establishment
    shown(
        "3.1-1",
        &[
            "endings::http3_errors::e46_setting_that_may_not_be",
            "src::wire::settings::tests::e46_wt_enabled_above_1_is_an_error_at_a_client_only",
        ],
    ),
    shown(
        "3.1-2",
        &["endings::not_an_end::n14_client_is_told_what_is_missing_and_cannot_connect"],
    ),
    shown(
        "3.1-3",
        &[
            "dialects::a_client_announces_what_reaches_every_server",
            "dialects::each_dialect_alone_is_announced_alone",
        ],
    ),
    shown(
        "3.1-4",
        &[
            "endings::not_an_end::n14_server_says_once_what_is_missing_and_aborts_each_request",
            "endings::not_an_end::n14_server_aborts_what_it_held",
            "dialects::a_server_needs_the_first_thing_that_is_missing",
            "dialects::datagrams_of_the_older_draft_will_do_in_older_dialects",
            "dialects::what_a_request_needs_of_a_client_that_announces_nothing_is_asked_when_it_comes",
        ],
    )
    .note(
        "None is established before the SETTINGS are in. Of a transport parameter that the host \
        cannot see, nothing is said: only a known lack counts.",
    ),
    shown(
        "3.1-5",
        &[
            "endings::not_an_end::n14_client_is_told_what_is_missing_and_cannot_connect",
            "dialects::a_client_needs_the_first_thing_that_is_missing",
            "dialects::datagrams_of_the_older_draft_will_do_in_older_dialects",
        ],
    ),
    shown(
        "3.1-6",
        &[
            "endings::not_an_end::n13_requests_before_the_settings_are_held_and_announced_in_the_order_of_ids",
            "endings::not_an_end::n06_the_same_before_the_settings",
        ],
    ),
    shown(
        "3.2-1",
        &["dialects::a_client_asks_with_the_token_and_the_headers_of_the_dialect"],
    )
    .note("Older drafts have `webtransport`."),
    shown(
        "3.2-2",
        &[
            "dialects::a_client_asks_with_the_token_and_the_headers_of_the_dialect",
            "src::message::tests::a_request_needs_https_and_an_authority",
            "endings::never_opened::e38_a_request_that_is_not_ours_is_answered_with_a_status",
        ],
    ),
    shown(
        "3.2-3",
        &[
            "dialects::a_client_asks_with_the_token_and_the_headers_of_the_dialect",
            "src::message::tests::a_request_needs_https_and_an_authority",
            "src::message::tests::a_target_is_path_and_query_behind_a_slash",
            "endings::never_opened::e38_a_malformed_connect_is_never_announced",
        ],
    ),
    binds(
        "3.2-4",
        Party::Browser,
        "A client made with the crate says the origin that its application gives.",
        &["dialects::a_client_says_its_origin_where_it_has_one"],
    ),
    binds(
        "3.2-5",
        Party::Application,
        "It alone knows which resources it has; `reject` sends the status that it gives.",
        &["endings::never_opened::e37_headers_go_out_with_the_rejection"],
    ),
    binds(
        "3.2-6",
        Party::Application,
        "It alone knows whom it trusts; each request has the origin, and two are malformed.",
        &[
            "dialects::a_server_answers_with_the_headers_of_the_dialect",
            "endings::never_opened::e38_a_malformed_connect_is_never_announced",
        ],
    ),
    binds(
        "3.2-7",
        Party::Application,
        "It verifies, and so it answers: `reject` with 403.",
        &["dialects::an_answer_that_is_no_2xx_has_no_header_of_the_dialect"],
    ),
    shown(
        "3.2-8",
        &["endings::never_opened::e31_a_redirection_is_a_rejection_and_not_followed"],
    ),
    binds(
        "3.2-9",
        Party::Application,
        "The limits are those of its `Config`, and it decides with its QUIC stack whether 0-RTT is \
        accepted: while tickets are out it does not lower them, or refuses early data.",
        &[],
    ),
    shown(
        "3.2-10",
        &[
            "negotiation::resuming::a_server_that_takes_something_back_is_left",
        ],
    ),
    shown(
        "3.2-11",
        &[
            "endings::not_an_end::n06_body_before_the_answer_is_read_after_it",
            "endings::not_an_end::n06_body_is_dropped_with_a_rejection",
            "endings::never_opened::e36_a_fin_before_the_answer_withdraws_the_request",
            "endings::never_opened::e39_a_close_before_the_answer_counts_after_it",
        ],
    ),
    shown(
        "3.3-1",
        &[
            "dialects::a_server_can_only_choose_what_was_offered",
            "dialects::a_server_answers_with_the_headers_of_the_dialect",
        ],
    ),
    shown(
        "3.3-2",
        &[
            "src::message::protocol::tests::an_offer_with_anything_but_strings_is_ignored_as_a_whole",
            "src::message::protocol::tests::a_choice_is_one_string",
            "dialects::a_server_can_only_choose_what_was_offered",
            "dialects::what_the_server_chose_counts_as_the_dialect_has_it",
        ],
    ),
    shown(
        "3.3-3",
        &[
            "src::message::protocol::tests::parameters_of_an_offer_are_ignored",
            "src::message::protocol::tests::a_choice_is_one_string",
            "dialects::what_the_server_chose_counts_as_the_dialect_has_it",
        ],
    ),
    shown(
        "3.3-4",
        &[
            "endings::violations::e27_no_choice_is_an_error_where_one_is_required",
            "dialects::what_the_server_chose_counts_as_the_dialect_has_it",
        ],
    ),
    shown(
        "3.3-5",
        &[
            "dialects::a_server_can_only_choose_what_was_offered",
            "dialects::a_server_answers_with_the_headers_of_the_dialect",
        ],
    ),
    shown(
        "3.3-6",
        &[
            "endings::violations::e27_a_choice_that_was_not_offered_is_an_error_in_drafts_15_and_later",
            "endings::violations::e27_a_choice_is_ignored_where_none_was_offered",
        ],
    )
    .note("A client that sent no list has none that the value could be missing from."),
    binds(
        "3.4-1",
        Party::Quic,
        "Who sends the bytes schedules them; the crate holds no payload, and of each stream only \
        the few bytes that are its own.",
        &[],
    ),
    binds(
        "3.4-2",
        Party::Application,
        "Such a mechanism is part of the protocol that it speaks in its sessions.",
        &[],
    ),
    // ---- 4 WebTransport Features
    shown(
        "4-1",
        &["src::id::tests::a_session_is_named_by_client_initiated_bidirectional_streams_only"],
    ),
    shown(
        "4-2",
        &[
            "endings::http3_errors::e46_session_id_that_no_request_can_have",
            "endings::http3_errors::e46_datagram_without_a_session_id",
        ],
    )
    .note(
        "A datagram has a quarter of the id, which cannot name another kind of stream; one above \
        2^60-1 is H3_DATAGRAM_ERROR (RFC 9297 §2.1).",
    ),
    shown(
        "4.2-1",
        &[
            "src::wire::stream_header::tests::a_unidirectional_stream_begins_with_its_type",
            "contracts::writes::credit_is_blocked_until_the_header_is_written_and_is_told_of",
        ],
    ),
    shown(
        "4.2-2",
        &[
            "src::wire::stream_header::tests::a_unidirectional_stream_begins_with_its_type",
            "contracts::writes::credit_is_blocked_until_the_header_is_written_and_is_told_of",
            "quinn_proto::blocked::a_stream_header_that_is_taken_in_pieces_goes_before_the_payload",
            "quinn_proto::payload::a_mebibyte_comes_back_on_a_unidirectional_stream_of_its_own",
        ],
    ),
    shown(
        "4.3-1",
        &[
            "src::wire::stream_header::tests::a_bidirectional_stream_begins_with_its_signal",
            "endings::we_end_it::e60_close_is_capsule_and_fin_and_streams_gone_and_no_stop_sending",
            "quinn_proto::payload::a_mebibyte_comes_back_on_a_bidirectional_stream",
        ],
    )
    .note("Every stream that the tests of the endings open is checked byte by byte, in both roles."),
    shown(
        "4.3-2",
        &[
            "src::wire::stream_header::tests::a_bidirectional_stream_begins_with_its_signal",
            "contracts::writes::credit_is_blocked_until_the_header_is_written_and_is_told_of",
            "quinn_proto::payload::a_mebibyte_comes_back_on_a_bidirectional_stream",
        ],
    ),
    shown(
        "4.3-3",
        &[
            "endings::not_an_end::n11_what_overtakes_the_answer_follows_the_opening",
            "contracts::chunking::byte_by_byte_is_the_same",
            "quinn_proto::payload::a_mebibyte_comes_back_on_a_bidirectional_stream",
        ],
    ),
    shown(
        "4.3-4",
        &["contracts::writes::a_stream_header_goes_to_no_stream_that_is_something_else"],
    ),
    shown(
        "4.3-5",
        &[
            "endings::http3_errors::e46_wt_stream_signal_that_is_not_the_first_of_its_senders_stream",
        ],
    ),
    binds(
        "4.4-1",
        Party::Application,
        "`reset` and `stop` take a code: there is no call without one.",
        &[
            "endings::not_an_end::n04_reset_and_stop_of_ours_carry_the_code_and_where_quic_can_promise_it_the_header",
        ],
    ),
    shown(
        "4.4-2",
        &[
            "src::wire::error_code::tests::the_range_begins_and_ends_where_the_draft_says",
            "src::wire::error_code::tests::reserved_codes_inside_the_range_are_skipped",
            "src::wire::error_code::tests::any_application_code_comes_back",
            "endings::not_an_end::n04_reset_and_stop_of_ours_carry_the_code_and_where_quic_can_promise_it_the_header",
        ],
    ),
    shown(
        "4.4-3",
        &[
            "endings::not_an_end::n04_reset_and_stop_of_ours_carry_the_code_and_where_quic_can_promise_it_the_header",
            "endings::not_an_end::n04_stop_is_answered_with_the_header_where_quic_can_promise_it",
            "endings::peer_ends::e01_a_reset_with_reset_stream_at_still_delivers_the_header_of_a_stream_of_ours",
            "endings::we_end_it::e60_resets_carry_the_header_where_quic_can_promise_it",
            "contracts::writes::a_reset_waits_for_the_header_and_no_longer",
        ],
    )
    .note(
        "Where the QUIC stack has RESET_STREAM_AT; quinn-proto, quiche and s2n-quic have not, and \
        reset plainly once the header is written. A header that QUIC had not taken when the session \
        ended goes with its stream.",
    ),
    shown(
        "4.4-4",
        &[
            "endings::not_an_end::n04_reset_of_a_data_stream_is_an_event_of_that_stream_only",
            "endings::not_an_end::n04_stop_of_a_data_stream_is_answered_and_is_an_event_of_that_stream_only",
            "quinn_proto::quinn::a_reset_gives_its_code_and_not_what_was_unread",
        ],
    ),
    binds("4.4-5", Party::Intermediary, FORWARDS, &[]),
    shown(
        "4.4-6",
        &[
            "endings::not_an_end::n04_reset_of_a_data_stream_is_an_event_of_that_stream_only",
            "src::wire::error_code::tests::outside_the_range_there_is_no_application_code",
        ],
    ),
    shown(
        "4.6-1",
        &["endings::not_an_end::n14_client_is_told_what_is_missing_and_cannot_connect"],
    ),
    shown(
        "4.6-2",
        &[
            "endings::not_an_end::n08_stream_for_a_request_on_its_way_is_parked",
            "endings::not_an_end::n11_what_overtakes_the_answer_follows_the_opening",
            "quinn_proto::quinn::a_datagram_that_overtakes_its_connect_waits_for_the_session",
        ],
    ),
    shown(
        "4.6-3",
        &[
            "endings::not_an_end::n08_parked_stream_over_the_limit_is_refused_newest_first",
            "endings::not_an_end::n08_parked_bytes_over_the_limit_cost_the_stream",
            "endings::not_an_end::n05_datagrams_over_a_limit_are_dropped_newest_first_and_counted",
            "memory::memory_is_bounded_and_given_back",
        ],
    ),
    shown(
        "4.6-4",
        &["endings::not_an_end::n08_parked_stream_over_the_limit_is_refused_newest_first"],
    ),
    shown(
        "4.6-5",
        &["endings::not_an_end::n05_datagrams_over_a_limit_are_dropped_newest_first_and_counted"],
    ),
    shown(
        "4.7-1",
        &["endings::not_an_end::n02_client_asks_for_no_session_behind_a_goaway"],
    )
    .note("Opening another connection is the application's: `ConnectError::GoingAway` says so."),
    shown(
        "4.8-1",
        &[
            "src::exporter::tests::the_context_is_laid_out_as_the_draft_draws_it",
            "quinn_proto::exporter::it_is_the_exporter_of_tls_with_the_label_and_the_context_of_the_draft",
        ],
    ),
    // ---- 5 Flow Control
    shown(
        "5.1-1",
        &[
            "dialects::a_server_takes_as_many_sessions_as_the_dialect_lets_it_announce",
            "dialects::a_client_asks_for_no_more_sessions_than_the_server_takes",
            "endings::flow_control::with_flow_control_there_may_be_several_sessions",
        ],
    )
    .note("Without it no two share a connection, but in drafts 02 and 07, which have none."),
    shown(
        "5.1-2",
        &["dialects::a_client_asks_for_no_more_sessions_than_the_server_takes"],
    ),
    shown(
        "5.1-3",
        &[
            "endings::never_opened::e38_a_second_session_is_refused_where_one_is_allowed",
            "dialects::a_server_takes_as_many_sessions_as_the_dialect_lets_it_announce",
        ],
    ),
    shown(
        "5.1-4",
        &[
            "endings::not_an_end::n15_flow_control_capsules_mean_nothing_while_it_is_off",
            "endings::flow_control::n15_flow_control_that_one_side_alone_declares_is_off",
        ],
    ),
    shown(
        "5.2-1",
        &[
            "endings::never_opened::e38_sessions_over_the_limit_are_refused",
            "endings::never_opened::e38_unanswered_requests_over_the_limit_are_refused",
            "endings::http3_errors::e46_flood_of_refused_requests",
            "endings::http3_errors::e46_flood_of_requests_taken_back",
        ],
    )
    .note("How many a second it wants is the application's to say: it has each request, and 429."),
    shown(
        "5.2-2",
        &["endings::never_opened::e38_a_second_session_is_refused_where_one_is_allowed"],
    ),
    shown(
        "5.4-1",
        &[
            "endings::violations::e24_flow_control_of_a_stream_is_an_error_in_drafts_13_and_later",
            "dialects::capsules_for_the_flow_control_of_streams_are_forbidden_where_the_dialect_knows_them",
        ],
    ),
    shown(
        "5.6-1",
        &[
            "endings::flow_control::what_the_application_reads_is_given_back_by_halves",
            "testing::flow_control::a_gibibyte_over_a_thousand_streams_never_stalls",
        ],
    ),
    shown(
        "5.6-2",
        &[
            "endings::flow_control::what_the_application_reads_is_given_back_by_halves",
            "endings::flow_control::a_stream_is_given_back_when_both_its_halves_are_over_however_they_ended",
        ],
    ),
    binds("5.6.1-1", Party::Intermediary, FORWARDS, &[]),
    shown(
        "5.6.2-1",
        &[
            "endings::flow_control::e25_a_stream_limit_above_2_to_the_60_ends_the_session",
        ],
    ),
    shown(
        "5.6.2-2",
        &[
            "endings::flow_control::streams_stop_at_the_peers_limit_and_go_on_when_it_rises",
        ],
    ),
    shown(
        "5.6.2-3",
        &[
            "endings::flow_control::e25_a_stream_beyond_the_limit_ends_the_session",
        ],
    ),
    shown(
        "5.6.2-4",
        &[
            "endings::flow_control::e25_a_limit_that_does_not_rise_ends_the_session",
        ],
    ),
    binds("5.6.2-5", Party::Intermediary, FORWARDS, &[]),
    shown(
        "5.6.3-1",
        &[
            "endings::flow_control::streams_stop_at_the_peers_limit_and_go_on_when_it_rises",
        ],
    ),
    shown(
        "5.6.3-2",
        &[
            "endings::flow_control::e25_a_stream_limit_above_2_to_the_60_ends_the_session",
        ],
    ),
    binds("5.6.3-3", Party::Intermediary, FORWARDS, &[]),
    shown(
        "5.6.4-1",
        &[
            "endings::flow_control::writes_stop_at_the_peers_limit_and_go_on_when_it_rises",
            "testing::flow_control::a_gibibyte_over_a_thousand_streams_never_stalls",
        ],
    ),
    shown(
        "5.6.4-2",
        &[
            "endings::flow_control::e25_data_beyond_the_limit_ends_the_session_wherever_it_is_cut",
            "endings::flow_control::e25_the_final_size_of_a_reset_stream_counts",
        ],
    ),
    shown(
        "5.6.4-3",
        &[
            "endings::flow_control::e25_a_limit_that_does_not_rise_ends_the_session",
        ],
    ),
    binds("5.6.4-4", Party::Intermediary, FORWARDS, &[]),
    shown(
        "5.6.5-1",
        &[
            "endings::flow_control::writes_stop_at_the_peers_limit_and_go_on_when_it_rises",
        ],
    ),
    binds("5.6.5-2", Party::Intermediary, FORWARDS, &[]),
    // ---- 6 Session Termination
    shown(
        "6-1",
        &[
            "endings::peer_ends::e01_capsule_and_fin_end_every_stream",
            "endings::peer_ends::e04_a_bare_fin_is_a_close_with_code_0_and_no_message",
            "endings::peer_ends::e07_reset_on_connect_gives_its_code",
            "endings::peer_ends::e08_stop_sending_on_connect_gives_its_code_and_gets_it_back",
            "endings::we_end_it::e60_close_is_capsule_and_fin_and_streams_gone_and_no_stop_sending",
            "endings::we_end_it::e60_everything_is_refused_afterwards",
            "endings::not_an_end::n07_stream_for_a_session_that_is_over_is_refused_and_counted",
        ],
    )
    .note("A half whose FIN QUIC has taken is over, and left alone."),
    shown(
        "6-2",
        &[
            "src::wire::capsule::tests::close_is_written_byte_for_byte",
            "endings::we_end_it::e60_close_is_capsule_and_fin_and_streams_gone_and_no_stop_sending",
        ],
    ),
    shown(
        "6-3",
        &[
            "endings::we_end_it::e65_message_over_1024_bytes_is_cut_at_a_character",
            "endings::we_end_it::e65_message_of_shutdown_and_inactivity_is_cut_too",
        ],
    ),
    shown(
        "6-4",
        &[
            "endings::we_end_it::e65_message_over_1024_bytes_is_cut_at_a_character",
            "src::close::message::tests::any_text_makes_a_message_that_is_its_front",
        ],
    ),
    shown(
        "6-5",
        &[
            "endings::violations::e21_a_message_that_is_too_long_is_an_error_at_the_length_already",
            "endings::violations::e21_a_message_that_is_too_long_is_an_error_with_all_its_bytes_too",
            "endings::violations::e22_a_message_that_is_not_utf_8_is_an_error",
        ],
    ),
    shown(
        "6-6",
        &[
            "endings::we_end_it::e60_close_is_capsule_and_fin_and_streams_gone_and_no_stop_sending",
            "endings::we_end_it::e60_close_goes_behind_capsules_that_are_queued",
            "endings::deadlines::e51_silence_of_the_peer_is_a_clean_close_with_a_reason_of_its_own",
        ],
    ),
    shown(
        "6-7",
        &[
            "endings::peer_ends::e01_capsule_and_fin_give_code_and_message",
            "endings::peer_ends::e02_the_capsule_alone_ends_it_and_a_later_fin_says_nothing_new",
        ],
    ),
    shown(
        "6-8",
        &[
            "endings::peer_ends::e11_any_byte_after_the_close_resets_the_stream",
            "endings::peer_ends::e11_more_with_the_close_in_one_piece_resets_the_stream",
            "endings::peer_ends::e11_our_own_close_goes_out_before_the_stream_is_stopped",
        ],
    )
    .note("Where we closed first, STOP_SENDING alone: a reset would throw our own capsule away."),
    shown(
        "6-9",
        &[
            "endings::peer_ends::e04_a_bare_fin_is_a_close_with_code_0_and_no_message",
            "src::close::tests::e03_e04_a_bare_fin_is_the_same_as_an_empty_capsule_to_an_application",
        ],
    ),
    shown(
        "6-10",
        &[
            "endings::we_end_it::e64_shutdown_closes_every_session_and_waits_for_the_peer",
            "endings::we_end_it::e64_shutdown_waits_no_longer_than_the_linger",
            "quinn_proto::losses::a_shutdown_delivers_code_and_message_of_every_session_before_the_connection_closes",
        ],
    ),
    // ---- 7 Considerations for Future Versions
    shown(
        "7.1-1",
        &[
            "dialects::a_server_announces_what_reaches_every_peer",
            "dialects::a_client_announces_what_reaches_every_server",
            "dialects::each_dialect_alone_is_announced_alone",
        ],
    ),
    shown(
        "7.1-2",
        &[
            "endings::not_an_end::n13_requests_before_the_settings_are_held_and_announced_in_the_order_of_ids",
            "endings::not_an_end::n06_the_same_before_the_settings",
        ],
    ),
    // ---- 8 Security Considerations
    shown(
        "8-1",
        &[
            "dialects::a_server_takes_as_many_sessions_as_the_dialect_lets_it_announce",
            "dialects::a_client_asks_for_no_more_sessions_than_the_server_takes",
            "endings::flow_control::with_flow_control_there_may_be_several_sessions",
        ],
    )
    .note("Without it no two share a connection, but in drafts 02 and 07, which have none."),
    binds(
        "8-2",
        Party::Quic,
        "Sessions share its congestion control and its stream limits, and it picks what is sent \
        next. The crate holds no payload that could wait in front of another session's.",
        &[],
    ),
    shown(
        "8-3",
        &["dialects::a_client_asks_for_no_more_sessions_than_the_server_takes"],
    )
    .note("`Limits::sessions`, 16 by default, whatever the server takes."),
    shown(
        "8-4",
        &[
            "memory::memory_is_bounded_and_given_back",
            "endings::http3_errors::e46_flood_of_streams_that_mean_nothing",
            "endings::http3_errors::e46_flood_of_streams_whose_session_is_not_there",
            "endings::not_an_end::n05_datagrams_that_the_application_does_not_poll_are_dropped_newest_first_and_counted",
        ],
    ),
];
