//! A client and a server joined in memory, to test what an application does about the end of a
//! session: no socket, no sleep, and a clock that jumps.
//!
//! [`Pair`] joins the two; [`Link`] is what lies between them, perfect or as bad as a seed says;
//! [`Script`] is a transcript of what happened, to be read and to be compared.
//!
//! ```
//! use std::time::Duration;
//! use webtransport_session::{
//!     CloseReason, Config, ConnectionLost, Event, Side,
//!     testing::{Link, Pair},
//! };
//!
//! // A network that splits, delays, drops and reorders; and then it is gone.
//! let mut pair = Pair::with(Config::default(), Config::default(), Link::seeded(7));
//! let session = pair.open_session();
//! pair.send_datagram(Side::Client, session, b"x=1")?;
//! pair.run();
//! pair.link.cut();
//! pair.wait(Duration::from_secs(60));
//!
//! let told = pair.server.take_events();
//! let lost = CloseReason::ConnectionLost(ConnectionLost::IdleTimeout);
//! assert!(told.contains(&Event::SessionClosed { session, reason: lost }), "{}", pair.script());
//! # Ok::<(), webtransport_session::DatagramError>(())
//! ```
//!
#![doc = include_str!("chapter.md")]

#[doc(hidden)]
pub mod codec;
mod end;
mod ending;
mod http3;
mod inject;
mod link;
mod machine;
mod pair;
mod quic;

pub use crate::script::Script;
pub use end::End;
pub use ending::{Ending, Stage};
pub use link::Link;
pub use machine::Machine;
pub use pair::Pair;
