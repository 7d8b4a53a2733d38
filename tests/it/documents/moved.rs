//! Deaths in the midst of a move to another model: the old library stays as it was, of the new one each document is
//! whole or absent, and the alias names the new one only when all of it is there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use kithdb::{Database, Filter, Point, PointId, Select, Value};
use rag::reembed::{Move, reembed};
use rag::{Embedder, IngestOptions, Progress, Provider, ingest};
use serde_json::json;

const DOCUMENTS: usize = 24;

/// Starts a server that embeds: its address. Vectors of the model `new` are longer than those of all others. It ends
/// with the process.
fn embedding() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut requests = BufReader::new(&stream);
                while answer(&mut requests, &stream).is_some() {}
            });
        }
    });
    url
}

/// Answers the next request; nothing at the end of the connection.
fn answer(requests: &mut BufReader<&TcpStream>, mut stream: &TcpStream) -> Option<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if requests.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    requests.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    let dim = if body["model"] == "new" { 6 } else { 4 };
    let vector = |text: &str| -> Vec<f64> {
        let sum: u32 = text.bytes().map(u32::from).sum();
        (1..=dim).map(|place| f64::from(1 + sum * place % 97)).collect()
    };
    let texts = body["input"].as_array()?.iter().filter_map(Value::as_str).enumerate();
    let data: Vec<Value> =
        texts.map(|(index, text)| json!({"index": index, "embedding": vector(text)})).collect();
    let body = json!({"data": data}).to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
    stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).ok()
}

fn embedder(url: &str, model: &str) -> Embedder {
    let provider = Provider { url: url.to_owned(), model: model.to_owned(), ..Provider::default() };
    Embedder::connect(&provider).expect("the server answers")
}

fn points(db: &Database, name: &str) -> BTreeMap<PointId, Point> {
    let Ok(collection) = db.collection(name) else { return BTreeMap::new() };
    let page = collection.scroll(&Filter::default(), None, 10_000, &Select::all()).expect("a page");
    page.points.into_iter().map(|point| (point.id, point)).collect()
}

/// Chunks and sources.
type Library = [BTreeMap<PointId, Point>; 2];

fn library(db: &Database, name: &str) -> Library {
    [points(db, name), points(db, &format!("{name}.sources"))]
}

/// A library of the model `old`, and the same moved without disturbance.
fn begin(folder: &Path, url: &str) -> [Library; 2] {
    let files = tempfile::tempdir().expect("a folder");
    for number in 0..DOCUMENTS {
        let text = format!("# Document {number}\n\nFirst {number}.\n\n## More\n\nSecond {number}.\n");
        std::fs::write(files.path().join(format!("{number}.md")), text).expect("a file");
    }
    let db = Database::open(folder).expect("a database");
    let options = IngestOptions { collection: "docs".into(), ..IngestOptions::default() };
    let go_on = |_: Progress| -> ControlFlow<()> { ControlFlow::Continue(()) };
    ingest(&db, files.path(), &options, Some(&embedder(url, "old")), &go_on).expect("an ingestion");
    let order = Move { from: "docs".into(), to: "still".into(), alias: None, loss_max: None };
    reembed(&db, &order, None, &embedder(url, "new"), &go_on).expect("a move");
    let both = ["docs", "still"].map(|name| library(&db, name));
    assert!(both.iter().all(|[_, sources]| sources.len() == DOCUMENTS));
    both
}

/// Runs the child; whether it came to its end.
fn child(folder: &Path, url: &str, told: &[&str]) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kithdb-ingest-child"));
    let output = command.arg(folder).args(["move", url, "moved"]).args(told).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.is_empty() || said == "done\n", "{told:?}: {said}");
    // None where it killed itself.
    assert_eq!(output.status.code().is_none(), said.is_empty(), "{told:?}: {output:?}");
    !said.is_empty()
}

/// How many documents have been moved, each of them whole.
fn check(folder: &Path, [old, new]: &[Library; 2], has_alias: bool) -> usize {
    let db = Database::open(folder).expect("it opens");
    assert!(library(&db, "docs") == *old, "the library that is moved was touched");
    let [chunks, sources] = library(&db, "moved");
    assert!(
        sources.iter().all(|(id, source)| new[1].get(id) == Some(source)),
        "a source is not as it should be"
    );
    let is_moved = |chunk: &Point| {
        let source = chunk.payload["source"].as_str().unwrap_or_default();
        sources.keys().any(|id| id.to_string() == source)
    };
    let whole: BTreeMap<PointId, Point> =
        new[0].iter().filter(|(_, chunk)| is_moved(chunk)).map(|(id, chunk)| (*id, chunk.clone())).collect();
    assert!(chunks == whole, "{} chunks of {} sources", chunks.len(), sources.len());
    assert_eq!(db.aliases().contains_key("live"), has_alias);
    assert_eq!(db.verify().expect("a walk").faults, []);
    sources.len()
}

#[test]
fn a_move_to_another_model_that_dies_goes_on_and_switches_when_it_is_whole() {
    let (folder, url) = (tempfile::tempdir().expect("a folder"), embedding());
    let libraries = begin(folder.path(), &url);
    let (mut deaths, mut moved) = (0, 0);
    loop {
        let waypoint = ["commit.staged", "commit.stored", "commit.published"][deaths % 3];
        // The first commit of each comes through, so that there is an end.
        if child(folder.path(), &url, &[&format!("at={waypoint}:2:0")]) {
            break;
        }
        deaths += 1;
        let now = check(folder.path(), &libraries, false);
        assert!(now > moved, "{waypoint}: {moved} documents, then {now}");
        moved = now;
    }
    assert!(deaths >= DOCUMENTS / 3, "only {deaths} deaths prove little");
    assert_eq!(check(folder.path(), &libraries, false), DOCUMENTS);
    assert!(!child(folder.path(), &url, &["live", "at=storage.written:1:0"]), "there is an alias to move");
    // What was written and not synced may be there: a process that dies leaves what the system was handed.
    let is_there = Database::open(folder.path()).expect("it opens").aliases().contains_key("live");
    assert_eq!(check(folder.path(), &libraries, is_there), DOCUMENTS);
    if !is_there {
        assert!(!child(folder.path(), &url, &["live", "at=alias.stored:1:0"]), "the alias moves");
    }
    assert_eq!(check(folder.path(), &libraries, true), DOCUMENTS, "the alias was stored");
    assert!(child(folder.path(), &url, &["live"]));
    assert_eq!(check(folder.path(), &libraries, true), DOCUMENTS);
}
