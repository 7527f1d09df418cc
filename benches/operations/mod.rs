//! What is measured. An [`Operation`] is made ready once, outside of the measurement, and run for so
//! many rounds inside of it; what it used is dropped outside again.
//!
//! Nothing here knows what is counted: the harnesses beside this folder do.

use std::any::Any;

pub mod datagrams;
pub mod ends;
mod floor;
mod heads;
mod many;
pub mod memory;
mod sessions;
pub mod streams;

#[allow(unused_imports, reason = "for the peers")]
pub use heads::{HUFFMAN, PLAIN};
#[allow(unused_imports, reason = "for the peers")]
pub use sessions::CLOSE;

/// Something that is done again and again.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// What is done: the same name for all who do it.
    pub row: &'static str,
    /// Who does it.
    pub by: &'static str,
    /// How often it is done in one run.
    pub rounds: usize,
    /// Makes a run of so many rounds ready.
    pub prepare: fn(usize) -> Work,
}

/// One run. It gives back what it used, to be dropped when nobody counts.
pub type Work = Box<dyn FnOnce() -> Box<dyn Any>>;

/// This crate.
pub const OURS: &str = "ours";
/// The least that the work takes, written by hand for it alone.
pub const FLOOR: &str = "floor";

impl Operation {
    /// A run that is ready.
    pub fn ready(self) -> Work {
        (self.prepare)(self.rounds)
    }

    /// As one word, for harnesses that name what they measure.
    pub fn name(self) -> String {
        format!("{}/{}", self.row, self.by)
    }
}

/// All of this crate's, and the floors.
pub fn all() -> Vec<Operation> {
    [
        datagrams::ALL,
        streams::ALL,
        sessions::ALL,
        heads::ALL,
        many::ALL,
        floor::ALL,
    ]
    .concat()
}
