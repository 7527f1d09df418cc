#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| webtransport_session_fuzz::codecs::qpack(data));
