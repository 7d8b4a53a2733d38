//! SIGKILL in the midst of an ingestion, again and again: what is visible is whole at every moment, and in the end it
//! is what an undisturbed run makes.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kithdb::{Collection, Condition, Database, Filter, Payload, PointId, Select};
use rag::jobs::{self, Order, State, Upload};

const DOCUMENTS: usize = 400;

fn uploads() -> Vec<Upload> {
    let text = |nth: usize| {
        let section = |part: usize| {
            let words: Vec<String> =
                (0..90).map(|n| format!("w{}", (nth * 31 + part * 7 + n * n) % 997)).collect();
            format!("## Part {part}\n\n{}\n\n", words.join(" "))
        };
        format!("# Document {nth}\n\n{}", (0..4).map(section).collect::<String>())
    };
    let upload = |nth: usize| Upload {
        path: format!("folder{}/{nth}.md", nth % 7),
        bytes: text(nth).into_bytes(),
        ..Upload::default()
    };
    (0..DOCUMENTS).map(upload).collect()
}

fn submit(db: &Database) -> PointId {
    // What a mirror removes at the end is removed after kills as well.
    let first =
        vec![Upload { path: "gone.md".into(), bytes: b"# Gone\n\nold".to_vec(), ..Upload::default() }];
    let order = Order { is_mirror: true, ..Order::default() };
    let job = jobs::submit(db, "docs", &order, first, None).expect("a job");
    jobs::run(db, job.id, None, &|| false).expect("a run");
    jobs::submit(db, "docs", &order, uploads(), None).expect("a job").id
}

fn all(collection: &Collection, filter: &Filter) -> BTreeMap<PointId, Payload> {
    let (mut found, mut from) = (BTreeMap::new(), None);
    loop {
        let page = collection.scroll(filter, from, 1_000, &Select::default()).expect("a page");
        found.extend(page.points.into_iter().map(|point| (point.id, point.payload)));
        match page.next {
            Some(next) => from = Some(next),
            None => return found,
        }
    }
}

type Library = (BTreeMap<PointId, Payload>, BTreeMap<PointId, Payload>);

fn library(db: &Database) -> Library {
    let of = |name: &str| all(&db.collection(name).expect(name), &Filter::default());
    (of("docs"), of("docs.sources"))
}

/// Every source has all its chunks, every chunk its source, and every document is kept as bytes or ingested.
fn assert_whole(db: &Database, id: PointId) {
    let (chunks, sources) = library(db);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for chunk in chunks.values() {
        *counts.entry(chunk["source"].as_str().expect("a source").to_owned()).or_default() += 1;
    }
    for (id, source) in &sources {
        assert_eq!(counts.remove(&id.to_string()), source["chunks"].as_u64(), "{}", source["path"]);
    }
    assert!(counts.is_empty(), "chunks without a source");
    let job = jobs::get(db, id).expect("the job");
    let waits = Filter::must(Condition::equals("kind", "document").expect("a filter"));
    let waiting = all(&db.collection("docs.jobs").expect("the jobs"), &waits).len();
    assert_eq!(job.documents + waiting, DOCUMENTS, "documents are lost, or are there twice");
    let ours = sources.values().filter(|source| source["path"] != "gone.md").count();
    assert_eq!(ours, job.documents);
}

/// Runs the child and kills it after some steps and a moment; whether it came to its end before.
fn child(folder: &Path, steps: usize, pause: Duration) -> bool {
    let mut process = Command::new(env!("CARGO_BIN_EXE_kithdb-ingest-child"))
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child is built beside this test");
    let out = BufReader::new(process.stdout.take().expect("standard output is piped"));
    let mut seen = 0;
    let mut is_done = false;
    for line in out.lines().map_while(Result::ok) {
        assert!(!line.starts_with("error"), "{line}");
        is_done = line == "done";
        seen += usize::from(line == "step");
        if seen == steps {
            std::thread::sleep(pause);
            break;
        }
    }
    // Dead already, if it was done.
    let _ = process.kill();
    process.wait().expect("a dead child");
    is_done
}

#[test]
fn an_ingestion_that_is_killed_goes_on_and_ends_as_if_undisturbed() {
    let undisturbed = Database::in_memory().expect("a database");
    let id = submit(&undisturbed);
    let job = jobs::run(&undisturbed, id, None, &|| false).expect("a run");
    assert_eq!((job.state, job.added, job.removed), (State::Done, DOCUMENTS, 1));

    let folder = tempfile::tempdir().expect("a folder");
    let id = submit(&Database::open(folder.path()).expect("a database"));
    let mut kills = 0;
    while !child(folder.path(), 1 + kills % 3, Duration::from_micros(7_919 * kills as u64 % 30_000)) {
        kills += 1;
        assert!(kills < 200, "it comes to no end");
        assert_whole(&Database::open(folder.path()).expect("opens again"), id);
    }
    let db = Database::open(folder.path()).expect("opens again");
    let job = jobs::get(&db, id).expect("the job");
    assert_eq!((job.state, job.documents, job.added, job.removed), (State::Done, DOCUMENTS, DOCUMENTS, 1));
    assert!(kills >= 4, "only {kills} kills prove little");
    let (chunks, sources) = library(&db);
    let (expected_chunks, expected_sources) = library(&undisturbed);
    assert!(chunks == expected_chunks && sources == expected_sources, "not what an undisturbed run makes");
    assert!(db.verify().expect("a walk").faults.is_empty());
}
