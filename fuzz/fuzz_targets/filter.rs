//! The decoder of `tests/decoders/filter.rs`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decoders::filter::run(bytes);
});
