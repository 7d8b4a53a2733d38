//! The decoder of `tests/decoders/columns.rs`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decoders::columns::run(bytes);
});
