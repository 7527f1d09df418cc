//! Recordings of connections, and of sessions alone: what came in, when, and what it was answered with, to be run again.
//!
//! A [`Connection`](crate::Connection) keeps each call that changes it while
//! [recording](crate::Connection::set_recording) is on. [`Writer`] stores that in a file, [`Reader`]
//! reads it, and [`Replay`] makes the same calls again, which give the same outputs, byte for byte,
//! in any process: what happened to a player once becomes a test.
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use webtransport_session::{
//!     Config, Connection, Input, Side, Support, Transport,
//!     trace::{Reader, Replay, Writer},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Record: from the beginning, or it cannot be replayed.
//! let config = Arc::new(Config::default());
//! let mut server = Connection::server(config.clone());
//! server.set_recording(true);
//! let mut file = Vec::new();
//! let mut writer = Writer::new(&mut file, Side::Server, &config)?;
//!
//! # #[expect(clippy::disallowed_methods, reason = "this is a caller")]
//! let now = Instant::now();
//! server.start(now, Transport::new(Support::Yes));
//! server.protocol_stream().unwrap().bind(3.into());
//! let data = b"\x00\x04\x05\x33\x01\xab\x60\x37".as_slice().into();
//! server.handle(now, Input::StreamData { stream: 2.into(), data, fin: false });
//! while let Some(output) = server.poll() {
//!     println!("{output:?}");
//! }
//! // Whenever it was polled dry, so that the recording takes no more memory than that.
//! writer.write(&server.take_trace())?;
//!
//! // Replay: perhaps tomorrow, and on another machine.
//! let (script, complete) = Replay::run(Reader::new(file.as_slice())?);
//! complete?;
//! assert!(script.to_string().contains("server <- StreamData 2: 8 bytes 0004053301ab6037"));
//! # Ok(())
//! # }
//! ```
//!
//! A single step is [`Step::apply`]: the same data serve a test that makes up its own.
//!
//! # Sessions alone
//!
//! Who drives [`session::Session`](crate::session::Session) under an HTTP/3 of their own records it
//! [in the same way](crate::session::Session::set_recording). Its steps are [`SessionStep`]s, its file
//! begins with a [`SessionHeader`], and [`Writer::of_session`], [`Reader::of_session`] and
//! [`Replay::of_session`] are for those; a file of one kind is not read as the other. Without payload
//! the datagrams are zeros, and of streams there are only lengths; the body of the CONNECT stream
//! stays, with datagrams that come in capsules.
//!
//! # What is in a file
//!
//! JSON, one object a line. The first line is the [`Header`], each other one a [`Record`]; times
//! are in nanoseconds, bytes in hexadecimal. A file that was cut off is good up to its last whole
//! line.
//!
//! Payload is left out unless [`Writer::with_payload`] says otherwise: zeros of the same length
//! stand for it. **Headers of requests, close messages and other contents of request streams
//! remain:** [`Writer`] says what.
//!
//! # Memory
//!
//! A recorder grows by about 100 bytes for each step, and keeps the bytes that came in with it,
//! until [`take_trace`](crate::Connection::take_trace). A [`Writer`] without payload remembers the
//! requests that are open, and of others a bounded number. Without recording nothing is kept, and
//! nothing copied; without feature `trace` there is no recorder.

mod header;
mod layer;
mod privacy;
mod reader;
mod recorder;
mod replay;
mod session_step;
mod step;
mod writer;

pub use crate::script::Script;
pub use header::{Header, SessionHeader};
pub use layer::Calls;
pub use reader::{Problem, ReadError, Reader};
pub(crate) use recorder::{Recorder, Witness};
pub use replay::Replay;
pub use session_step::SessionStep;
pub use step::{Record, Step};
pub use writer::Writer;

/// No line is longer, its end included.
const LINE_LIMIT: usize = 16 << 20;
