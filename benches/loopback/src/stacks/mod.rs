//! One file for each, all of them over quinn.

pub mod by_hand;
pub mod h3;
pub mod ours;
pub mod raw;
pub mod web_transport_quinn;
pub mod wtransport;
