#![no_main]

#[path = "../../tests/all/fuzz/bodies.rs"]
#[allow(dead_code, reason = "each target has one body")]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::timeline(bytes));
