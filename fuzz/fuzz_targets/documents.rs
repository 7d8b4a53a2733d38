//! The decoder of `tests/decoders/documents.rs`, under libFuzzer.
#![no_main]

use std::panic;
use std::sync::Once;

/// Parsers of others may panic behind a fence, where libFuzzer's hook would end the process; a panic that gets past the
/// fence ends it all the same.
static UNHOOKED: Once = Once::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    UNHOOKED.call_once(|| drop(panic::take_hook()));
    decoders::documents::run(bytes);
});
