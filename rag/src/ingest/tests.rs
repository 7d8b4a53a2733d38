//! Ingesting again and again, with a tiny model and without one.

use std::cell::Cell;
use std::fs;
use std::ops::ControlFlow::{Break, Continue};
use std::path::Path;
use std::time::Instant;

use kithdb::{
    AliasChange, Change, Condition, Database, ErrorKind, Filter, Payload, Point, PointId, Select, Selection,
};

use super::reembed::{Move, reembed};
use super::{IngestOptions, IngestReport, Progress, SOURCES_SUFFIX, ingest, jobs};
use crate::answer::{Library, retrieve};
use crate::embed::tiny;
use crate::engine::Cancel;
use crate::eval::{self, Question};
use crate::providers::fake;
use crate::shelf::{Chunking, Wanted};
use crate::{Embedder, Metadata, Mode, Provider, Retrieval, Shelf, search};

fn run(db: &Database, folder: &Path, embedder: Option<&Embedder>) -> IngestReport {
    ingest(db, folder, &IngestOptions::default(), embedder, &|_| Continue(())).expect("an ingestion")
}

fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, text).expect("a file");
    }
    folder
}

const GUIDE: &str =
    "# Guide\n\nFirst words.\n\n## Install\n\nRun the installer.\n\n## Use\n\nAsk a question.\n";

#[test]
fn only_what_changed_is_done_anew() {
    let (_model, embedder) = tiny::open();
    let db = Database::in_memory().expect("a database");
    let folder = folder_of(&[("ops/guide.md", GUIDE), ("notes.txt", "Some plain notes.")]);
    let first = run(&db, folder.path(), Some(&embedder));
    assert_eq!((first.added, first.changed, first.unchanged, first.removed), (2, 0, 0, 0));
    assert!(first.embedded == first.chunks && first.chunks >= 2);

    let second = run(&db, folder.path(), Some(&embedder));
    assert_eq!((second.added, second.unchanged, second.chunks, second.embedded), (0, 2, 0, 0));

    let changed = GUIDE.replace("Ask a question.", &"Ask another question, and then one more. ".repeat(9));
    fs::write(folder.path().join("ops/guide.md"), changed).expect("a file");
    let third = run(&db, folder.path(), Some(&embedder));
    assert_eq!((third.changed, third.unchanged), (1, 1));
    assert!(third.embedded < third.chunks, "chunks whose text stayed keep their vector: {third:?}");

    fs::remove_file(folder.path().join("ops/guide.md")).expect("removed");
    let fourth = run(&db, folder.path(), Some(&embedder));
    assert_eq!((fourth.removed, fourth.unchanged), (1, 1));
    let chunks = db.collection("documents").expect("the chunks");
    let gone = Filter::must(Condition::equals("path", "ops/guide.md").expect("a path"));
    assert_eq!(chunks.count(&gone).expect("a count"), 0);
    assert!(db.verify().expect("a walk").faults.is_empty());
}

#[test]
fn a_chunk_is_the_bytes_of_its_stored_source() {
    let db = Database::in_memory().expect("a database");
    let folder = folder_of(&[("ops/guide.md", GUIDE), ("a.txt", "Größe, naïve, 木漏れ日.\n\nEnd.")]);
    run(&db, folder.path(), None);
    let chunks = db.collection("documents").expect("the chunks");
    let sources = db.collection(&format!("documents{SOURCES_SUFFIX}")).expect("the sources");
    let page = chunks.scroll(&Filter::default(), None, 100, &Select::default()).expect("a page");
    assert!(!page.points.is_empty());
    for chunk in page.points {
        let text = |key: &str| chunk.payload[key].as_str().expect(key).to_owned();
        let place = |key: &str| chunk.payload[key].as_u64().expect(key) as usize;
        let id: PointId = text("source").parse().expect("an id");
        let source = sources.get(&[id], &Select::default()).expect("a read").remove(0);
        let whole = source.payload["text"].as_str().expect("text");
        assert_eq!(&whole[place("start")..place("end")], text("text"));
        assert_eq!(source.payload["hash"], chunk.payload["hash"]);
    }
}

#[test]
fn folders_do_not_disturb_each_other() {
    let db = Database::in_memory().expect("a database");
    let (one, two) = (folder_of(&[("a.md", "One.")]), folder_of(&[("a.md", "Two.")]));
    run(&db, one.path(), None);
    let report = run(&db, two.path(), None);
    assert_eq!((report.added, report.removed), (1, 0));
    assert_eq!(run(&db, one.path(), None).unchanged, 1);
}

#[test]
fn one_file_of_a_folder_leaves_the_others_where_they_are() {
    let db = Database::in_memory().expect("a database");
    let folder = folder_of(&[("a.md", "One."), ("b.md", "Two.")]);
    run(&db, folder.path(), None);
    fs::write(folder.path().join("a.md"), "Another one.").expect("a file");
    let report = run(&db, &folder.path().join("a.md"), None);
    assert_eq!((report.changed, report.removed), (1, 0));
    assert_eq!(run(&db, folder.path(), None).unchanged, 2);
}

#[test]
fn what_can_no_longer_be_read_keeps_its_last_version_whatever_the_reason() {
    let db = Database::in_memory().expect("a database");
    let folder = folder_of(&[("grown.md", "Short words."), ("broken.md", "Plain words.")]);
    run(&db, folder.path(), None);
    fs::write(folder.path().join("grown.md"), "x".repeat(2_000)).expect("a file");
    fs::write(folder.path().join("broken.md"), b"a\0b").expect("a file");
    let options = IngestOptions { file_bytes_max: 1_000, ..IngestOptions::default() };
    let report = ingest(&db, folder.path(), &options, None, &|_| Continue(())).expect("an ingestion");
    assert_eq!((report.skipped.len(), report.removed), (2, 0));
    let chunks = db.collection("documents").expect("the chunks");
    assert_eq!(chunks.count(&Filter::default()).expect("a count"), 2);
}

#[test]
fn passages_that_are_not_found_in_time_are_none() {
    let db = Database::in_memory().expect("a database");
    let folder = folder_of(&[("guide.md", GUIDE)]);
    run(&db, folder.path(), None);
    let chunks = db.collection("documents").expect("the chunks");
    // No index knows the field: payloads are read, one after the other.
    let filter = Filter::must(Condition::equals("hash", "none").expect("a field"));
    let ask = |deadline| {
        let how = Retrieval { deadline, filter: filter.clone(), ..Retrieval::default() };
        let library = Library { db: &db, chunks: &chunks, embedder: None, engine: None, reranker: None };
        retrieve(&library, "the installer", &how, &Cancel::new()).map(|found| found.passages.len())
    };
    assert_eq!(ask(None).expect("an answer"), 0);
    assert_eq!(ask(Some(Instant::now())).expect_err("too late").kind(), ErrorKind::DeadlineExceeded);
}

#[test]
fn without_a_model_keywords_answer_and_the_mode_says_so() {
    let (_model, embedder) = tiny::open();
    let db = Database::in_memory().expect("a database");
    let folder = folder_of(&[("guide.md", GUIDE)]);
    run(&db, folder.path(), None);
    let chunks = db.collection("documents").expect("the chunks");
    let found = search(&chunks, None, "installers", Mode::Hybrid, Filter::default(), 3).expect("an answer");
    assert_eq!(found.mode, Mode::Keyword);
    assert!(found.hits[0].text("text").expect("text").contains("installer"));
    let error = search(&chunks, None, "x", Mode::Vector, Filter::default(), 3).expect_err("no model");
    assert_eq!(error.field(), Some("model"));
    let options = IngestOptions::default();
    let error = ingest(&db, folder.path(), &options, Some(&embedder), &|_| Continue(()))
        .expect_err("no vectors there");
    assert_eq!(error.field(), Some("model"));
}

#[test]
fn another_model_is_refused() {
    let (_model, embedder) = tiny::open();
    let db = Database::in_memory().expect("a database");
    let folder = folder_of(&[("guide.md", GUIDE)]);
    run(&db, folder.path(), Some(&embedder));
    let other = tiny::write();
    let tokenizer = other.path().join("tokenizer.json");
    let text = fs::read_to_string(&tokenizer).expect("a tokenizer");
    fs::write(&tokenizer, format!("{text}\n")).expect("another revision");
    let other = Embedder::open(other.path()).expect("the other model");
    let error = ingest(&db, folder.path(), &IngestOptions::default(), Some(&other), &|_| Continue(()))
        .expect_err("refused");
    assert_eq!(error.field(), Some("model"));
    let chunks = db.collection("documents").expect("the chunks");
    let error = search(&chunks, Some(&other), "x", Mode::Hybrid, Filter::default(), 3).expect_err("refused");
    assert_eq!(error.field(), Some("model"));
}

#[test]
fn when_the_time_is_up_the_rest_is_left_for_the_next_run() {
    let db = Database::in_memory().expect("a database");
    let folder = folder_of(&[("a.md", "One."), ("b.md", "Two.")]);
    let options = IngestOptions { time_max: Some(std::time::Duration::ZERO), ..IngestOptions::default() };
    let report = ingest(&db, folder.path(), &options, None, &|_| Continue(())).expect("an ingestion");
    assert_eq!((report.added, report.left), (0, 2));
    assert_eq!(run(&db, folder.path(), None).added, 2);
}

#[test]
fn a_collection_that_was_dropped_is_ingested_anew() {
    let db = Database::in_memory().expect("a database");
    let folder = folder_of(&[("guide.md", GUIDE)]);
    run(&db, folder.path(), None);
    db.drop_collection("documents").expect("dropped");
    let report = run(&db, folder.path(), None);
    assert_eq!((report.added, report.unchanged), (1, 0), "its sources alone are no library");
}

#[test]
fn jobs_of_a_collection_that_was_dropped_do_not_come_back() {
    let db = Database::in_memory().expect("a database");
    let upload = jobs::Upload { path: "a.md".into(), bytes: b"One.".to_vec(), ..jobs::Upload::default() };
    jobs::submit(&db, "documents", &jobs::Order::default(), vec![upload], None).expect("a job");
    assert_eq!(jobs::unfinished(&db).expect("jobs").len(), 1);
    db.drop_collection("documents").expect("dropped");
    let folder = folder_of(&[("guide.md", GUIDE)]);
    run(&db, folder.path(), None);
    assert!(jobs::unfinished(&db).expect("jobs").is_empty());
}

#[test]
fn a_job_lists_some_of_what_it_passed_over_and_counts_all() {
    let db = Database::in_memory().expect("a database");
    let upload = |nth: usize| jobs::Upload {
        path: format!("{nth}.txt"),
        bytes: if nth == 0 { b"Some words.".to_vec() } else { b"a\0b".to_vec() },
        ..jobs::Upload::default()
    };
    let count = 2 * jobs::LISTED_MAX + 1;
    let order = jobs::Order { is_mirror: true, ..jobs::Order::default() };
    let uploads = (0..count).map(upload).collect();
    let id = jobs::submit(&db, "documents", &order, uploads, None).expect("a job").id;
    let job = jobs::run(&db, id, None, &|| false).expect("a run");
    assert_eq!((job.added, job.skipped.len(), job.skipped_total), (1, jobs::LISTED_MAX, count - 1));
    let kept = jobs::get(&db, id).expect("it is kept");
    assert_eq!((kept.skipped, kept.skipped_total), (job.skipped, job.skipped_total));
    let left = db.collection("documents.jobs").expect("jobs").count(&Filter::default());
    assert_eq!(left.expect("a count"), 1, "neither a document nor the list of the mirror");
}

#[test]
fn metadata_and_sizes_make_a_document_another_one() {
    let db = Database::in_memory().expect("a database");
    let folder = folder_of(&[("guide.md", GUIDE)]);
    run(&db, folder.path(), None);
    let metadata = Metadata { labels: vec!["staff".into()], ..Metadata::default() };
    let labelled = IngestOptions { metadata, ..IngestOptions::default() };
    let small = IngestOptions { chunk_size_max: Some(30), chunk_overlap: 10, ..labelled.clone() };
    for options in [labelled, small] {
        let again = || ingest(&db, folder.path(), &options, None, &|_| Continue(())).expect("an ingestion");
        assert_eq!((again().changed, again().unchanged), (1, 1));
    }
    let chunks = db.collection("documents").expect("the chunks");
    let staff = Filter::must(Condition::equals("labels", "staff").expect("a label"));
    assert_eq!(chunks.count(&staff).expect("a count"), chunks.count(&Filter::default()).expect("a count"));
    let wrong = IngestOptions { chunk_size_max: Some(1), ..IngestOptions::default() };
    let error = ingest(&db, folder.path(), &wrong, None, &|_| Continue(())).expect_err("too small");
    assert_eq!(error.field(), Some("chunk_size"));
    let wrong = IngestOptions { folder_field: "source".into(), ..IngestOptions::default() };
    let error = ingest(&db, folder.path(), &wrong, None, &|_| Continue(())).expect_err("it is taken");
    assert_eq!(error.field(), Some("folder_field"));
}

#[test]
fn jobs_that_wait_have_an_end() {
    let db = Database::in_memory().expect("a database");
    let submit = || {
        let upload = jobs::Upload { path: "a.md".into(), bytes: b"# A".to_vec(), ..jobs::Upload::default() };
        jobs::submit(&db, "documents", &jobs::Order::default(), vec![upload], None)
    };
    submit().expect("the first");
    let waiting = db.collection("documents.jobs").expect("it is there");
    let job = |id: u64| kithdb::Point::new(id).with("kind", "job").with("state", "running");
    waiting.upsert((0..998).map(job).collect()).expect("jobs");
    submit().expect("the last");
    let error = submit().expect_err("there is no room");
    assert_eq!((error.kind(), error.field()), (kithdb::ErrorKind::Busy, Some("documents")), "{error}");
    waiting.delete((0..9).map(kithdb::PointId::Num).collect()).expect("some have ended");
    submit().expect("there is room again");
}

#[test]
fn a_job_stopped_after_each_group_ends_as_one_that_was_not() {
    let (_model, embedder) = tiny::open();
    let upload = |nth: usize| jobs::Upload {
        path: format!("{nth}.md"),
        bytes: format!("# Fox {nth}\n\n{}", "the quick brown fox jumps over the lazy dog. ".repeat(nth % 30))
            .into(),
        ..jobs::Upload::default()
    };
    let made = |stops: bool| {
        let db = Database::in_memory().expect("a database");
        let order = jobs::Order::default();
        let uploads = (0..200).map(upload).collect();
        let id = jobs::submit(&db, "documents", &order, uploads, Some(&embedder)).expect("a job").id;
        let mut runs = 0;
        loop {
            let groups = std::cell::Cell::new(0);
            let is_stopped = || stops && groups.replace(groups.get() + 1) > 0;
            runs += 1;
            let job = jobs::run(&db, id, Some(&embedder), &is_stopped).expect("a run");
            if job.state == jobs::State::Done {
                let points = |name: &str| {
                    let collection = db.collection(name).expect(name);
                    let page =
                        collection.scroll(&Filter::default(), None, 10_000, &Select::all()).expect("all");
                    page.points.into_iter().map(|point| (point.id, format!("{point:?}"))).collect::<Vec<_>>()
                };
                let counts = (job.added, job.chunks, job.embedded, job.duplicates.len());
                return (runs, points("documents"), points("documents.sources"), counts);
            }
        }
    };
    let (one, chunks, sources, counts) = made(false);
    let (many, again_chunks, again_sources, again_counts) = made(true);
    assert!(one == 1 && many > 3, "{many} runs");
    assert_eq!((chunks, sources, counts), (again_chunks, again_sources, again_counts));
}

#[test]
fn a_library_moves_to_another_model_behind_a_gate() {
    let (_model, old) = tiny::open();
    let (url, _) = fake::start(Vec::new());
    let provider =
        Provider { url, model: "other".into(), pause_max: std::time::Duration::ZERO, ..Provider::default() };
    let new = Embedder::connect(&provider).expect("a provider");
    let db = Database::in_memory().expect("a database");
    let folder =
        folder_of(&[("guide.md", GUIDE), ("fox.txt", "The quick brown fox jumps over the lazy dog.")]);
    run(&db, folder.path(), Some(&old));
    let questions = r#"{"question": "quick brown fox", "expected": [{"path": "fox.txt"}]}"#;
    eval::store(&db, "documents", &Question::read_lines(questions).expect("questions")).expect("stored");
    let order = |alias: Option<&str>, loss_max| Move {
        from: "documents".into(),
        to: "moved".into(),
        alias: alias.map(str::to_owned),
        loss_max,
    };
    let moved = |order: &Move, stop: usize| {
        let progress = |told: Progress| if told.documents == stop { Break(()) } else { Continue(()) };
        reembed(&db, order, Some(&old), &new, &progress).expect("a move")
    };
    let open = reembed(&db, &order(None, Some(f64::NAN)), Some(&old), &new, &|_| Continue(()));
    assert_eq!(open.expect_err("no gate").field(), Some("gate"));
    let broken_off = moved(&order(Some("live"), None), 1);
    assert_eq!((broken_off.documents, broken_off.is_switched), (1, false));
    let refused = moved(&order(Some("live"), Some(-2.0)), 0);
    assert_eq!(
        (refused.documents, refused.unchanged, refused.is_switched),
        (1, 1, false),
        "worse by less than a gain"
    );
    assert!(refused.gate.is_some() && db.collection("live").is_err());
    fs::remove_file(folder.path().join("guide.md")).expect("removed");
    fs::write(folder.path().join("fox.txt"), "The quick brown fox sleeps.").expect("a file");
    run(&db, folder.path(), Some(&old));
    let passed = moved(&order(Some("live"), Some(1.0)), 0);
    assert_eq!((passed.documents, passed.removed, passed.is_switched), (1, 1, true));
    let live = db.collection("live").expect("the alias");
    let found =
        search(&live, Some(&new), "sleeping fox", Mode::Hybrid, Filter::default(), 3).expect("an answer");
    assert_eq!(found.hits[0].text("text"), Some("The quick brown fox sleeps."));
    assert!(
        search(&live, Some(&old), "fox", Mode::Vector, Filter::default(), 3).is_err(),
        "of another model"
    );
    let options = IngestOptions { collection: "moved".into(), ..IngestOptions::default() };
    let report = ingest(&db, folder.path(), &options, Some(&new), &|_| Continue(())).expect("an ingestion");
    assert_eq!(
        (report.unchanged, report.changed),
        (1, 0),
        "a later ingestion by the new model finds nothing to do"
    );
}

/// A library with a document, the two models, and the order to move it.
fn to_be_moved() -> (tempfile::TempDir, tempfile::TempDir, Database, [Embedder; 2], Move) {
    let (model, old) = tiny::open();
    let (url, _) = fake::start(Vec::new());
    let new = Embedder::connect(&Provider { url, model: "other".into(), ..Provider::default() });
    let db = Database::in_memory().expect("a database");
    let folder = folder_of(&[("guide.md", GUIDE)]);
    run(&db, folder.path(), Some(&old));
    let (from, to) = ("documents".to_owned(), "moved".to_owned());
    let order = Move { from, to, alias: Some("live".into()), loss_max: None };
    (model, folder, db, [old, new.expect("a provider")], order)
}

/// What was written between the last pass and the switch was in the old library alone, and gone for who asks by the
/// alias.
#[test]
fn what_is_written_between_the_last_pass_and_the_switch_is_moved_too() {
    let (_model, folder, db, [old, new], order) = to_be_moved();
    let told = Cell::new(0);
    let progress = |_: Progress| {
        told.set(told.get() + 1);
        // The second pass has seen all there is.
        if told.get() == 2 {
            fs::write(folder.path().join("fox.txt"), "The quick brown fox sleeps.").expect("a file");
            run(&db, folder.path(), Some(&old));
        }
        Continue(())
    };
    let report = reembed(&db, &order, Some(&old), &new, &progress).expect("a move");
    assert_eq!((report.documents, report.is_switched), (2, true));
    let live = db.collection("live").expect("the alias");
    let found = search(&live, Some(&new), "sleeping fox", Mode::Keyword, Filter::default(), 3).expect("hits");
    assert_eq!(found.hits[0].text("path"), Some("fox.txt"));
    let count = |name: &str| {
        db.collection(name).and_then(|collection| collection.count(&Filter::default())).expect("a count")
    };
    assert_eq!((count("live"), count("moved.sources")), (count("documents"), count("documents.sources")));
}

#[test]
fn a_library_that_is_written_to_all_the_time_keeps_its_alias() {
    let (_model, folder, db, [old, new], order) = to_be_moved();
    let told = Cell::new(0);
    let progress = |_: Progress| {
        told.set(told.get() + 1);
        fs::write(folder.path().join("guide.md"), format!("# {}\n\nWords.\n", told.get())).expect("a file");
        run(&db, folder.path(), Some(&old));
        Continue(())
    };
    let error = reembed(&db, &order, Some(&old), &new, &progress).expect_err("it is never quiet");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(db.collection("live").is_err(), "the alias was left where it was");
    let report = reembed(&db, &order, Some(&old), &new, &|_| Continue(())).expect("a move");
    assert!(report.is_switched);
}

/// A later run took what was ingested into the new library for what had gone from the old one, and removed it.
#[test]
fn what_was_written_into_the_new_library_itself_is_left_alone() {
    let (_model, folder, db, [old, new], order) = to_be_moved();
    reembed(&db, &order, Some(&old), &new, &|_| Continue(())).expect("a move");
    fs::write(folder.path().join("guide.md"), "# Guide\n\nOther words.\n").expect("a file");
    fs::write(folder.path().join("fox.txt"), "The quick brown fox sleeps.").expect("a file");
    let options = IngestOptions { collection: "live".into(), ..IngestOptions::default() };
    ingest(&db, folder.path(), &options, Some(&new), &|_| Continue(())).expect("an ingestion");
    let report = reembed(&db, &order, Some(&old), &new, &|_| Continue(())).expect("a move");
    assert_eq!((report.own, report.documents, report.removed), (2, 0, 0));
    let moved = db.collection("moved.sources").expect("the sources");
    let texts = moved.scroll(&Filter::default(), None, 10, &Select::default()).expect("the sources").points;
    let has = |words: &str| {
        texts.iter().any(|point| point.payload["text"].as_str().is_some_and(|text| text.contains(words)))
    };
    assert!(has("Other words.") && has("fox sleeps") && !has("Run the installer."), "{texts:?}");
}

/// Labels that chunks were given after their document was copied were missing in the new library: who may not see them
/// would have.
#[test]
fn chunks_that_are_changed_by_themselves_are_changed_in_the_copy_too() {
    let (_model, _folder, db, [old, new], order) = to_be_moved();
    let order = Move { alias: None, ..order };
    let moved = || reembed(&db, &order, Some(&old), &new, &|_| Continue(())).expect("a move");
    assert_eq!((moved().documents, moved().retouched), (1, 0));
    let (from, to) = (db.collection("documents"), db.collection("moved"));
    let (from, to) = (from.expect("the chunks"), to.expect("the copy"));
    let change = |filter: Filter, key: &str, value: &str| {
        let payload = Payload::from_iter([(key.to_owned(), value.into())]);
        let change = Change::SetPayload { payload, path: None };
        from.change(Selection::Where(filter), change).expect("changed");
    };
    let all = || to.scroll(&Filter::default(), None, 10, &Select::all()).expect("chunks").points;
    let before = all();
    change(Filter::default(), "labels", "staff");
    let report = moved();
    assert_eq!((report.documents, report.unchanged, report.retouched), (0, 1, before.len()));
    let labelled = all();
    assert!(labelled.iter().all(|chunk| chunk.payload["labels"] == "staff"), "{labelled:?}");
    let vectors = |points: &[Point]| points.iter().map(|point| point.vectors.clone()).collect::<Vec<_>>();
    assert_eq!(vectors(&before), vectors(&labelled), "nothing was embedded anew");
    change(Filter::must(Condition::HasId(vec![before[0].id])), "text", "Entirely other words.");
    assert_eq!(moved().retouched, 1);
    let after = all();
    assert_eq!(after[0].payload["text"], "Entirely other words.");
    assert_ne!(after[0].vectors, labelled[0].vectors, "its vector is of its text");
    assert_eq!((moved().retouched, vectors(&after[1..])), (0, vectors(&labelled[1..])));
    // Asked by an alias it has labels of its own.
    let alias = AliasChange::Set { alias: "live".into(), collection: "moved".into() };
    db.change_aliases(vec![alias]).expect("an alias");
    change(Filter::default(), "labels", "everybody");
    assert_eq!(moved().retouched, 0);
}

#[test]
fn files_of_a_store_are_moved_once_and_again_when_they_change() {
    let (_model, old) = tiny::open();
    let (url, _) = fake::start(Vec::new());
    let new = Embedder::connect(&Provider { url, model: "other".into(), ..Provider::default() });
    let new = new.expect("a provider");
    let db = Database::in_memory().expect("a database");
    let shelf = Shelf { db: &db, embedder: Some(&old) };
    shelf.create_store("files", Wanted::default(), 1).expect("a store");
    shelf.upload("file-1", "a.txt", "user_data", b"The quick brown fox.", 1).expect("a file");
    shelf.add("files", "file-1", &Payload::new(), Chunking::Auto, 1).expect("it is put there");
    let order = Move { from: "files".into(), to: "moved".into(), alias: None, loss_max: None };
    let moved = || {
        let report = reembed(&db, &order, Some(&old), &new, &|_| Continue(())).expect("a move");
        (report.documents, report.unchanged)
    };
    assert_eq!((moved(), moved()), ((1, 0), (0, 1)));
    let attributes = Payload::from_iter([("kind".to_owned(), "fox".into())]);
    shelf.set_attributes("files", "file-1", &attributes).expect("changed");
    assert_eq!(moved(), (1, 0));
}
