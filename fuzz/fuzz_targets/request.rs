//! The decoder of `tests/decoders/request.rs`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decoders::request::run(bytes);
});
