//! The decoder of `tests/decoders/snapshot.rs`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decoders::snapshot::run(bytes);
});
