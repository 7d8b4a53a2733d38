//! The command line as a process: what it ends with, what it says where, and what it leaves behind.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kithdb::{Database, Durability, Metric, Options, Point, Schema, Value};
use serde_json::json;

use crate::http::Running;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kithdb-served-child"));
    command.args(arguments).env_remove("KITHDB_API_KEY").env_remove("KITHDB_DATA").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the child is built beside this test")
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A database with so many points, which lies in a folder.
fn filled(folder: &Path, points: u64) -> Database {
    let options = Options { durability: Durability::None, ..Options::default() };
    let db = Database::open_with(folder, options).expect("a database");
    let schema = Schema::new().vector(2, Metric::Euclid);
    let collection = db.create_collection("c", schema).expect("a collection");
    let point = |id: u64| Point::new(id).vector([id as f32, 1.0]).with("text", "x".repeat(100));
    for ids in (0..points).collect::<Vec<_>>().chunks(5_000) {
        collection.upsert(ids.iter().copied().map(point).collect()).expect("points");
    }
    db
}

#[test]
fn it_ends_with_the_code_that_is_documented() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (data, none, wrong) = (place("data"), place("none"), place("wrong.toml"));
    drop(filled(Path::new(&data), 3));
    std::fs::write(&wrong, "hitz_max = 1\n").expect("written");
    let cases: [(&[&str], i32, &str); 14] = [
        (&["--version"], 0, ""),
        (&["doctor", "--data", &data], 0, ""),
        (&["doctor", "--data", &none], 1, "there is no database"),
        (&["export", "nothing", "-", "--format", "jsonl", "--data", &data], 1, "There are: `c`"),
        (&["export", "c", "-", "--format", "jsonl", "--data", &data, "--where", "n ="], 2, "error: "),
        (&["search", "x", "--url", "http://127.0.0.1:9", "--where", "n ="], 2, "where: at character 4"),
        (&["search", " ", "--data", &data], 2, "question: is empty"),
        (&["eval", "--clear", "-c", "c", "--no-model", "--data", &data], 0, ""),
        (&["serve", "--keys", "{", "--data", &none], 2, "keys"),
        (&["serve", "--memory-limit", "512", "--data", &none], 2, "it is in bytes"),
        (&[], 2, "Usage"),
        (&["serve", "--hitz-max", "1"], 2, "--hitz-max"),
        (&["serve", "--config", &wrong], 2, "hitz_max: is not known"),
        (&["snapshot", "restore", "x", "-c", "c", "--data", &wrong], 1, "wrong.toml"),
    ];
    for (arguments, code, is_told) in cases {
        let done = run(arguments);
        let (out, err) = (said(&done.stdout), said(&done.stderr));
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {out} {err}");
        assert!(err.contains(is_told), "{arguments:?}: {err}");
        assert_eq!(out.is_empty(), code != 0, "{arguments:?}: {out}");
    }
    assert!(!Path::new(&none).exists(), "nothing is made where nothing was");
}

#[test]
fn a_database_that_is_open_elsewhere_is_told_with_the_process_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, out) = (folder.path().join("data"), folder.path().join("x.jsonl"));
    let _db = filled(&data, 3);
    let (data, out) = (data.display().to_string(), out.display().to_string());
    let process = format!("is open in process {}", std::process::id());
    let cases: [(&[&str], bool); 4] = [
        (&["export", "c", &out, "--data", &data], true),
        (&["snapshot", "list", "--data", &data], true),
        (&["doctor", "--data", &data], false),
        (&["bench", "-c", "c", "--data", &data], false),
    ];
    for (arguments, has_url) in cases {
        let done = run(arguments);
        let err = said(&done.stderr);
        assert_eq!((done.status.code(), done.stdout.len()), (Some(1), 0), "{arguments:?}: {err}");
        assert!(err.contains(&process) && err.contains("stop it first"), "{arguments:?}: {err}");
        assert_eq!(err.contains("--url"), has_url, "{arguments:?}: {err}");
    }
    assert!(!Path::new(&out).exists() && !Path::new(&format!("{out}.part")).exists());
}

#[test]
fn a_port_that_another_has_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    let data = folder.path().join("data").display().to_string();
    let done = run(&["serve", "--no-model", "--listen", &address, "--data", &data]);
    let err = said(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{err}");
    assert!(err.contains(&address) && err.contains("another server may have it"), "{err}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    // More than a pipe and the buffers before it hold.
    drop(filled(folder.path(), 30_000));
    let data = folder.path().display().to_string();
    let mut child = command(&["export", "c", "-", "--format", "jsonl", "--data", &data])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the child is built beside this test");
    let mut first = [0; 16];
    child.stdout.take().expect("it is piped").read_exact(&mut first).expect("a first line");
    let done = child.wait_with_output().expect("it ends");
    assert_eq!((done.status.code(), said(&done.stderr)), (Some(0), String::new()));
}

#[test]
fn an_export_that_is_interrupted_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    drop(filled(&data, 30_000));
    let (out, part) = (folder.path().join("x.jsonl"), folder.path().join("x.jsonl.part"));
    // A pipe in place of the file: the export goes on only as it is read.
    let made = Command::new("mkfifo").arg(&part).status();
    assert!(made.is_ok_and(|status| status.success()), "no pipe");
    let (data, file) = (data.display().to_string(), out.display().to_string());
    let mut child = command(&["export", "c", &file, "--data", &data])
        .spawn()
        .expect("the child is built beside this test");
    let mut pipe = File::open(&part).expect("it writes");
    pipe.read_exact(&mut [0; 16]).expect("a first line");
    let told = Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
    assert!(told.is_ok_and(|status| status.success()), "it was running");
    std::thread::sleep(Duration::from_millis(200));
    pipe.read_to_end(&mut Vec::new()).expect("it ends");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(!out.exists() && !part.exists());
}

#[test]
fn what_narrows_a_question_down_goes_to_a_server_too() {
    let server = Running::over(Database::in_memory().expect("a database"));
    let text = "# Vault\n\nThe code of the vault is 7391.\n";
    let body = json!({"documents": [{"path": "vault.md", "text": text}], "metadata": {"labels": ["staff"]}});
    let upload = "/api/v1/collections/documents/documents?wait=true";
    assert_eq!(server.ask("POST", upload, Some(&body)).status, 200);
    let url = server.url();
    let ask = |more: &[&str]| {
        let first = ["ask", "What is the code of the vault?", "--url", url.as_str(), "--json"];
        let arguments = [&first[..], more].concat();
        let done = run(&arguments);
        assert_eq!(done.status.code(), Some(0), "{}", said(&done.stderr));
        serde_json::from_slice::<Value>(&done.stdout).expect("JSON")
    };
    let outcome = |more: &[&str]| ask(more)["rag"]["outcome"].clone();
    assert_eq!(outcome(&["--label", "visitors"]), "nothing_found");
    assert_eq!(outcome(&["--label", "staff"]), "extractive");
    assert_eq!(outcome(&["--filter", "path=other.md"]), "nothing_found");
    assert_eq!(outcome(&["--where", "path = 'vault.md'"]), "extractive");
    let mut child = command(&["search", "-", "--url", url.as_str(), "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child is built beside this test");
    child.stdin.take().expect("it is piped").write_all(b"vault code\n").expect("it is read");
    let done = child.wait_with_output().expect("it ends");
    let found: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(
        (&found["question"], &found["hits"][0]["payload"]["path"]),
        (&json!("vault code"), &json!("vault.md"))
    );
    let told = ask(&[]);
    assert!(told["answer"].as_str().is_some_and(|answer| answer.contains("7391")), "{told}");
    assert_eq!(told["rag"]["citations"][0]["path"], "vault.md", "{told}");
}
