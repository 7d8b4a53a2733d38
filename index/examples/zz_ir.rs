use kithdb_index::*;
use std::{collections::HashMap, path::Path, sync::Arc, time::Instant};
use tantivy::schema::*;
use types::*;
fn size(dir: &Path) -> u64 {
    std::fs::read_dir(dir).unwrap().flatten().map(|f| f.metadata().unwrap().len()).sum()
}
fn lines(p: &str) -> Vec<serde_json::Value> {
    std::fs::read_to_string(p).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}
fn id(v: &serde_json::Value) -> String {
    v["_id"].as_str().map(str::to_owned).unwrap_or_else(|| v["_id"].to_string())
}
fn main() {
    for set in ["scifact", "nfcorpus", "cranfield", "anthropic_code", "rustsec", "clapnq"] {
        let base = format!("/work/shared/data/ir/{set}");
        if !Path::new(&base).exists() {
            continue;
        }
        let corpus = lines(&format!("{base}/corpus.jsonl"));
        let queries = lines(&format!("{base}/queries.jsonl"));
        let mut qrels: HashMap<String, HashMap<String, f64>> = HashMap::new();
        for l in std::fs::read_to_string(format!("{base}/qrels/test.tsv")).unwrap().lines().skip(1) {
            let f: Vec<&str> = l.split('\t').collect();
            qrels.entry(f[0].into()).or_default().insert(f[1].into(), f[2].trim().parse().unwrap());
        }
        let dir = tempfile::tempdir().unwrap();
        let rows = Arc::new(Rows::new());
        let mut alive = Alive::new();
        let ix = KeywordIndex::create(dir.path(), Language::English, rows.clone()).unwrap();
        let mut ids = vec![];
        let t = Instant::now();
        for (i, d) in corpus.iter().enumerate() {
            let s = rows.append(Version(i as u64 + 1), PointId::Num(i as u64));
            alive.insert(s);
            ids.push(id(d));
            ix.add(
                Version(i as u64 + 1),
                &[d["title"].as_str().unwrap_or(""), d["text"].as_str().unwrap_or("")],
            );
        }
        let added = t.elapsed().as_secs_f64();
        let eval = |view: &KeywordView| {
            let (mut nd, mut rc, mut n) = (0.0, 0.0, 0);
            let t = Instant::now();
            let mut ns = 0;
            for q in &queries {
                let Some(rel) = qrels.get(&id(q)) else { continue };
                if !rel.values().any(|x| *x > 0.0) {
                    continue;
                }
                let r = view.search(q["text"].as_str().unwrap(), &alive, None, 1000).unwrap();
                ns += 1;
                let g = |s: &Scored| rel.get(&ids[s.slot.index()]).copied().unwrap_or(0.0).max(0.0);
                let dcg: f64 =
                    r.iter().take(10).enumerate().map(|(i, s)| g(s) / ((i + 2) as f64).log2()).sum();
                let mut ideal: Vec<f64> = rel.values().copied().collect();
                ideal.sort_by(|a, b| b.total_cmp(a));
                let idcg: f64 =
                    ideal.iter().take(10).enumerate().map(|(i, g)| g / ((i + 2) as f64).log2()).sum();
                nd += dcg / idcg;
                rc += r.iter().take(100).filter(|s| g(s) > 0.0).count() as f64
                    / rel.values().filter(|x| **x > 0.0).count() as f64;
                n += 1;
            }
            (nd / n as f64, rc / n as f64, n, t.elapsed().as_secs_f64() * 1e6 / ns as f64)
        };
        let tail = eval(&ix.publish());
        let t = Instant::now();
        ix.commit(Seqno(1)).unwrap();
        let com = t.elapsed().as_secs_f64();
        let done = eval(&ix.publish());
        println!(
            "{set}: docs {} nDCG@10 tail {:.4} committed {:.4} recall@100 {:.4} n={} us/query k=1000 tail {:.0} committed {:.0}; add {:.2}s commit {:.2}s size {} KiB",
            corpus.len(),
            tail.0,
            done.0,
            done.1,
            done.2,
            tail.3,
            done.3,
            added,
            com,
            size(dir.path()) / 1024
        );
        if set == "scifact" {
            let view = ix.publish();
            let t = Instant::now();
            for q in queries.iter().take(300) {
                view.search(q["text"].as_str().unwrap(), &alive, None, 10).unwrap();
            }
            println!("  k=10 {:.0} us/query", t.elapsed().as_secs_f64() * 1e6 / 300.0);
            for opt in [IndexRecordOption::WithFreqs, IndexRecordOption::WithFreqsAndPositions] {
                let d = tempfile::tempdir().unwrap();
                let mut sb = Schema::builder();
                let f = sb.add_text_field(
                    "t",
                    TextOptions::default().set_indexing_options(
                        TextFieldIndexing::default().set_tokenizer("en_stem").set_index_option(opt),
                    ),
                );
                let i = tantivy::Index::create_in_dir(d.path(), sb.build()).unwrap();
                let mut w: tantivy::IndexWriter = i.writer_with_num_threads(1, 50 << 20).unwrap();
                let t = Instant::now();
                for x in &corpus {
                    let mut doc = tantivy::TantivyDocument::default();
                    doc.add_text(f, x["title"].as_str().unwrap_or(""));
                    doc.add_text(f, x["text"].as_str().unwrap_or(""));
                    w.add_document(doc).unwrap();
                }
                w.commit().unwrap();
                println!("  {opt:?} {} KiB {:.2}s", size(d.path()) / 1024, t.elapsed().as_secs_f64());
            }
            // commit latency and publish latency for single rows
            let t = Instant::now();
            let mut pubs = 0.0;
            for i in 0..200u64 {
                let v = Version(1_000_000 + i);
                let s = rows.append(v, PointId::Num(v.0));
                let _ = s;
                ix.add(v, &["a short text about fish"]);
                let t = Instant::now();
                let _ = ix.publish();
                pubs += t.elapsed().as_secs_f64();
            }
            println!(
                "  add+publish 1 row {:.1} us, publish {:.1} us",
                t.elapsed().as_secs_f64() * 1e6 / 200.0,
                pubs * 1e6 / 200.0
            );
            let t = Instant::now();
            ix.commit(Seqno(2)).unwrap();
            println!("  commit of 200 rows {:.0} ms", t.elapsed().as_secs_f64() * 1e3);
        }
    }
}
