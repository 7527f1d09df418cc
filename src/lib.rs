//! WebTransport over HTTP/3 sessions as a pure state machine.
//!
//! A WebTransport session lives exactly as long as its CONNECT stream. This crate consumes what QUIC
//! tells (stream bytes and FIN, resets, STOP_SENDING, datagrams, the end of the connection, time) and
//! yields typed events. Its promise: **every session that an application was told about ends with
//! exactly one [`Event::SessionClosed`], carrying one true [`CloseReason`], and nothing of that
//! session comes after it.** The caller owns the socket and the clock.
//!
//! ```text
//!    QUIC stack (any)              Connection                        Session
//!   ┌──────────────┐  Input  ┌──────────────────────┐  body bytes ┌─────────────────┐
//!   │ stream bytes │────────▶│ demux: a slot per id │────────────▶│ state, capsules │
//!   │ resets/stops │         │ SETTINGS, GOAWAY     │  lengths    │ live streams    │
//!   │ datagrams    │────────▶│ QPACK, CONNECT       │────────────▶│ deadlines       │
//!   │ closed/timer │         │ buffered, deadlines  │◀────────────│ why it ended    │
//!   └──────▲───────┘         └──────────┬───────────┘   outputs   └─────────────────┘
//!          │  Action                    │
//!          └────────────────────────────┤  Event ──▶ application
//! ```
//!
//! - [`Connection`]: bring your own QUIC. A minimal HTTP/3 endpoint whose only business is
//!   WebTransport. Its documentation says how to drive it.
//! - [`session::Session`]: bring your own HTTP/3. One session, which `Connection` uses too.
//! - [`host`]: adapters to QUIC stacks, behind features, and a chapter on how to write one.
//!
//! # A session from its request to its end
//!
//! No QUIC here: facts go in by hand, which is also how to test what an application does about an
//! ending.
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use bytes::Bytes;
//! use webtransport_session::{
//!     CloseReason, CloseVia, Config, Connection, Event, Input, Output, Response, Support, Transport,
//! };
//!
//! # #[expect(clippy::disallowed_methods, reason = "this is a caller")]
//! let now = Instant::now();
//! let mut server = Connection::server(Arc::new(Config::default()));
//! // QUIC is connected, and stream 3 is the unidirectional one that we have just opened.
//! server.start(now, Transport::new(Support::Yes));
//! server.protocol_stream().expect("the control stream is missing").bind(3.into());
//!
//! let mut feed = |server: &mut Connection, stream: u64, data: &'static [u8], fin: bool| {
//!     let data = Bytes::from_static(data);
//!     server.handle(now, Input::StreamData { stream: stream.into(), data, fin });
//! };
//!
//! // The client's SETTINGS, and a CONNECT for https://example.org/.
//! feed(&mut server, 2, b"\x00\x04\x07\x33\x01\xab\x60\x37\x42\x01", false);
//! feed(
//!     &mut server,
//!     0,
//!     b"\x01\x2a\0\0\xcf\x27\x02:protocol\x0cwebtransport\xd7\x50\x0bexample.org\xc1",
//!     false,
//! );
//!
//! let mut reason_of_the_end = None;
//! while let Some(output) = server.poll() {
//!     match output {
//!         // For QUIC; a write is answered with what QUIC took of it.
//!         Output::Action(webtransport_session::Action::Write { stream, data, fin }) => {
//!             server.handle(now, Input::Written { stream, len: data.len(), fin });
//!         }
//!         Output::Action(action) => println!("QUIC shall {action:?}"),
//!         // For the application.
//!         Output::Event(Event::SessionRequested { session, .. }) => {
//!             server.accept(now, session, Response::default()).expect("the client is still here");
//!         }
//!         Output::Event(Event::SessionOpened { session, .. }) => {
//!             println!("{session} is here");
//!             // The player leaves, with a bare FIN.
//!             feed(&mut server, 0, b"", true);
//!         }
//!         Output::Event(Event::SessionClosed { session, reason }) => {
//!             println!("{session} is gone: {reason}");
//!             reason_of_the_end = Some(reason);
//!         }
//!         Output::Event(event) => println!("{event:?}"),
//!     }
//! }
//! assert!(matches!(
//!     reason_of_the_end,
//!     Some(CloseReason::Peer { code: 0, via: CloseVia::Fin, .. })
//! ));
//! ```
//!
//! # What is easy to get wrong
//!
//! - A [`SessionId`] is unique within one connection only; it is 0 on nearly all of them. Key by
//!   connection and session.
//! - A command acts at the next `poll`; after that QUIC must transmit.
//! - After [`Event::ConnectionClosed`] let QUIC go on transmitting until it is drained, or its
//!   CONNECTION_CLOSE is never sent.
//! - Feed all stream bytes before [`Input::ConnectionClosed`], or a close capsule is lost.
//! - [`Event::SessionOpened`] comes at a server too, after `accept`: spawn there, in one place.
//!   [`Event::SessionClosed`] may come without it.
//! - `Err(Gone)` from `accept` and `reject` is normal: the player left meanwhile.
//! - [`Deadlines::inactivity`] counts what the peer sends: a page that only listens needs a
//!   heartbeat. It is the only thing that notices a closed Firefox tab.
//! - Bytes that were not read of a paused stream are lost when its session ends.
//! - [`Event::StreamReset`] without a code just before [`Event::SessionClosed`] is the peer's
//!   clean-up.
//!
//! # Citations
//!
//! "§6" is a section of `draft-ietf-webtrans-http3-16`; RFCs are named.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod close;
mod config;
mod connection;
mod dialect;
mod error;
mod event;
pub mod exporter;
#[cfg(feature = "serde")]
mod hex;
pub mod host;
mod id;
mod message;
mod priority;
mod queue;
mod remembered;
#[cfg(any(feature = "testing", feature = "trace"))]
mod script;
pub mod session;
mod stats;
mod table;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
#[cfg(feature = "trace")]
#[cfg_attr(docsrs, doc(cfg(feature = "trace")))]
pub mod trace;
mod wire;

pub use close::{
    AbortedBy, CloseMessage, CloseReason, CloseVia, ConnectionLost, Deadline, Endpoint, Http3Error,
    Origin, Violation,
};
pub use config::{Config, Deadlines, Dialect, Dialects, FlowControl, Limits, Support, Transport};
pub use connection::{ConnectPermit, Connection, OpenPermit, ProtocolStreamPermit};
pub use error::{
    AnswerError, ConnectError, DatagramError, InvalidExport, InvalidProtocol, InvalidRequest,
    NotASessionId, OpenError, SendError, StreamClosed,
};
pub use event::{Action, Event, Input, Negotiated, Output, Requirement};
pub use id::{Dir, SessionId, Side, StreamId};
pub use message::{Protocol, Rejection, Request, Response};
pub use priority::Priority;
pub use remembered::{InvalidSettings, RememberedSettings};
pub use session::{DatagramPermit, SendCredit};
pub use stats::Stats;
