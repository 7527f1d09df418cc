//! What each host's program carries for the suite: arguments, orders on standard input, and the
//! application that obeys them and says on standard output what happens.
//!
//! A host's program is a client with one connection, or a server with any number. It
//! 1. reads its [`Options`];
//! 2. prints the address that it listens on ([`listening`]; a client does not);
//! 3. takes [`Order`]s from a thread of [`orders`], wakes its loop for each, and hands each to the
//!    [`Application`] of its connection with [`Application::obey`];
//! 4. hands each event of a connection to [`Application::event`];
//! 5. leaves when its standard input ends.
//!
//! What the application needs of QUIC is the trait [`Host`].

mod application;
mod host;
mod options;
mod orders;
mod pattern;
pub mod report;
mod tls;

pub use application::Application;
pub use host::{Host, Sessions};
pub use options::{BadArguments, Options};
pub use orders::{Order, Raw, Verb, orders};
pub use report::{Limit, limits, listening};
