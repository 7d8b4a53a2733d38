//! The decoder of `tests/decoders/segment.rs`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decoders::segment::run(bytes);
});
