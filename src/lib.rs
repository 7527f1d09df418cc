//! Sans-IO WebTransport over HTTP/3 sessions.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod close;
mod config;
mod connection;
mod error;
mod event;
pub mod host;
mod id;
mod message;
pub mod session;
mod stats;
mod wire;

pub use close::{
    AbortedBy, CloseMessage, CloseReason, CloseVia, ConnectionLost, Deadline, Endpoint, Http3Error,
    Origin, Violation,
};
pub use config::{Config, Deadlines, Dialect, Dialects, Limits, Support, Transport};
pub use connection::{ConnectPermit, Connection, OpenPermit};
pub use error::{
    AnswerError, ConnectError, DatagramError, InvalidProtocol, InvalidRequest, NotASessionId,
    OpenError, SendError, StreamClosed,
};
pub use event::{Action, Event, Input, Negotiated, Output, Requirement};
pub use id::{Dir, SessionId, Side, StreamId};
pub use message::{Protocol, Rejection, Request, Response};
pub use session::{DatagramPermit, SendCredit};
pub use stats::Stats;
