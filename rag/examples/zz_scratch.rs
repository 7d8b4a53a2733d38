//! scratch
#![allow(clippy::unwrap_used)]
use kithdb_rag::*;
use std::time::Instant;
fn main() {
    let e = Embedder::open(std::path::Path::new(&std::env::var("KITHDB_MODEL").unwrap())).unwrap();
    let w = walk::walk(std::path::Path::new(&std::env::args().nth(1).unwrap()), 64 << 20).unwrap();
    let (mut n, mut bytes) = (0, 0);
    let t = Instant::now();
    for f in &w.files {
        let Ok(s) = w.read(f) else { continue };
        bytes += s.text.len();
        n += chunk(&s, &Sizing::new(Some(&e))).len();
    }
    println!("{bytes} bytes {n} chunks {:?}", t.elapsed());
}
