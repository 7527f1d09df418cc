#![no_main]
use libfuzzer_sys::fuzz_target;
use webtransport_session::Side;
use webtransport_session_fuzz::connection::{Play, run};

fuzz_target!(|play: Play| run(Side::Server, play));
