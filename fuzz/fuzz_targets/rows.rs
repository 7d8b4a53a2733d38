//! The decoder of `tests/decoders/rows.rs`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decoders::rows::run(bytes);
});
