//! speed
#![allow(clippy::unwrap_used)]
use kithdb_rag::*;
use std::time::Instant;
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(") ").next().unwrap().split(' ').collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}
fn main() {
    let dir = std::env::var("KITHDB_MODEL").unwrap();
    let t = Instant::now();
    let e = Embedder::open(std::path::Path::new(&dir)).unwrap();
    println!("open {:?}", t.elapsed());
    let path = std::env::args().nth(1).unwrap();
    let count: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let w = walk::walk(std::path::Path::new(&path), 64 << 20).unwrap();
    let (mut texts, mut bytes) = (vec![], 0);
    let t = Instant::now();
    for f in &w.files {
        let Ok(s) = w.read(f) else { continue };
        let t1 = Instant::now();
        let chunks = chunk(&s, &Sizing::new(Some(&e)));
        if s.text.len() > 200_000 {
            println!("{f} {} bytes {} chunks {:?}", s.text.len(), chunks.len(), t1.elapsed());
        }
        bytes += s.text.len();
        texts.extend(chunks.iter().map(|c| c.text_to_embed(&s)));
    }
    println!("{} files {} bytes {} chunks in {:?}", w.files.len(), bytes, texts.len(), t.elapsed());
    let step = (texts.len() / count).max(1);
    let refs: Vec<&str> = texts.iter().step_by(step).take(count).map(String::as_str).collect();
    let t = Instant::now();
    let tokens: usize = refs.iter().map(|t| e.token_ids(t).unwrap().len()).sum();
    println!("tokenise {} tokens, 1 thread: {:?}", tokens, t.elapsed());
    for _ in 0..3 {
        let c = cpu();
        let t = Instant::now();
        e.embed_documents(&refs, &|_| {}).unwrap();
        let s = t.elapsed().as_secs_f64();
        let c = cpu() - c;
        println!(
            "{} chunks; by CPU time, a core: {:.1}/s {:.0} tokens/s; wall: {:.1}/s {:.0} tokens/s",
            refs.len(),
            refs.len() as f64 / c,
            tokens as f64 / c,
            refs.len() as f64 / s,
            tokens as f64 / s
        );
    }
    let t = Instant::now();
    for r in refs.iter().take(50) {
        e.embed_query(&r[..r.floor_char_boundary(50)]).unwrap();
    }
    println!("query {:?}", t.elapsed() / 50);
}
