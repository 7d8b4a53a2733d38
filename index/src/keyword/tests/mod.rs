//! The keyword index beside naive BM25, through commits, reopenings and damage.

mod analysed;
mod marking;
mod naive;
mod questions;

use std::collections::BTreeMap;

use proptest::prelude::*;
use roaring::RoaringBitmap;
use types::{ErrorKind, FieldPath, KeywordQuery, PointId, Slot};

use super::*;
use crate::{Alive, Head, Rows};

/// Rows of one head.
fn rows() -> (Arc<Head>, Rows) {
    let head = Arc::new(Head::new(&types::Schema::new(), 10_000));
    let rows = Rows::over([crate::Body::Head(Arc::clone(&head))]);
    (head, rows)
}

fn append(head: &Head, version: Version) -> Slot {
    Slot(head.append(version, PointId::Num(version.0), |_| None))
}

/// An index in a directory of its own, with the rows and the truth beside it.
struct Bench {
    dir: tempfile::TempDir,
    head: Arc<Head>,
    rows: Rows,
    alive: Alive,
    index: KeywordIndex,
    field: KeywordField,
    /// The texts at each path.
    texts: BTreeMap<Version, Vec<Vec<String>>>,
    seqno: u64,
}

/// An index over the paths `a`, `b`, and so on.
fn field_of(paths: usize, language: Language) -> KeywordField {
    let path = |number: usize| ["a", "b", "c"][number].parse::<FieldPath>().expect("a path");
    KeywordField { paths: (0..paths).map(path).collect(), language }
}

fn english() -> KeywordField {
    field_of(1, Language::English)
}

impl Bench {
    fn new() -> Self {
        Self::of(english())
    }

    fn of(field: KeywordField) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (head, rows) = rows();
        let index = KeywordIndex::create(dir.path(), &field).expect("a new index");
        Self { dir, head, rows, alive: Alive::new(), index, field, texts: BTreeMap::new(), seqno: 0 }
    }

    fn add(&mut self, texts: &[&str]) -> Version {
        self.add_at(&[texts])
    }

    fn put(&mut self, text: &str) {
        self.add(&[text]);
    }

    /// Adds the texts at each path.
    fn add_at(&mut self, texts: &[&[&str]]) -> Version {
        let version = Version(u64::from(self.head.rows()) * 2 + 1);
        self.alive.insert(append(&self.head, version));
        self.index.add(version, &texts.iter().map(|texts| texts.to_vec()).collect::<Vec<_>>());
        let owned = |texts: &&[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        self.texts.insert(version, texts.iter().map(owned).collect());
        self.seqno += 1;
        version
    }

    /// Adds documents that are analysed beforehand, each of one path.
    fn add_analysed(&mut self, documents: &[Vec<String>]) {
        let given: Vec<Vec<Vec<&str>>> =
            documents.iter().map(|texts| vec![texts.iter().map(String::as_str).collect()]).collect();
        let analysed = self.index.analyse(&given);
        let mut versions = Vec::new();
        for texts in documents {
            let version = Version(u64::from(self.head.rows()) * 2 + 1);
            self.alive.insert(append(&self.head, version));
            self.texts.insert(version, vec![texts.clone()]);
            versions.push(version);
        }
        assert!(self.index.add_analysed(&versions, analysed));
        self.seqno += 1;
    }

    fn remove(&mut self, version: Version) {
        self.index.remove(version);
        self.alive.remove(self.rows.slot_of(version).expect("an added version"));
        self.seqno += 1;
    }

    fn commit(&self) {
        self.index.commit(Seqno(self.seqno)).expect("a commit");
    }

    fn reopen(self) -> Self {
        let Self { dir, head, rows, alive, index, field, texts, seqno } = self;
        drop(index);
        let index = KeywordIndex::open(dir.path(), &field).expect("an index");
        Self { dir, head, rows, alive, index, field, texts, seqno }
    }

    fn search(&self, query: impl Into<KeywordQuery>, k: usize) -> Vec<Scored> {
        self.index.publish().search(&query.into(), &self.rows, &self.alive, None, k).expect("a search")
    }

    fn search_in(&self, view: &KeywordView, alive: &Alive) -> Vec<Scored> {
        view.search(&"stones and fish".into(), &self.rows, alive, None, 50).expect("a search")
    }

    fn slots(&self, query: &str) -> Vec<u32> {
        self.search(query, 100).iter().map(|scored| scored.slot.0).collect()
    }

    /// Compares a search for everything, and for the best few, with the definition.
    fn check(&self, query: &KeywordQuery) -> std::result::Result<(), TestCaseError> {
        let naive: BTreeMap<u32, f32> =
            self.naive(query).iter().map(|scored| (scored.slot.0, scored.score)).collect();
        let found = self.search(query.clone(), 1_000);
        prop_assert!(found.is_sorted_by(|a, b| (b.score, a.slot) <= (a.score, b.slot)), "{:?}", found);
        let slots: Vec<u32> = found.iter().map(|scored| scored.slot.0).collect();
        let unique: BTreeMap<u32, f32> = found.iter().map(|scored| (scored.slot.0, scored.score)).collect();
        prop_assert_eq!(unique.len(), slots.len(), "a document twice");
        prop_assert!(unique.keys().eq(naive.keys()), "{:?} {:?}", unique, naive);
        for (slot, score) in &unique {
            prop_assert!((score - naive[slot]).abs() < 1e-4, "{} {} {}", slot, score, naive[slot]);
        }
        let best = self.search(query.clone(), 3);
        prop_assert_eq!(best.len(), found.len().min(3));
        for (best, found) in best.iter().zip(&found) {
            prop_assert!((best.score - found.score).abs() < 1e-4);
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<String>),
    AddAnalysed(Vec<Vec<String>>),
    Remove(usize),
    Commit,
    Publish,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let word = prop::sample::select(vec!["fish", "fishes", "bird", "the", "stone", "river_1", "cve", "7"]);
    let text = prop::collection::vec(word, 0..30).prop_map(|words| words.join(" "));
    prop_oneof![
        6 => prop::collection::vec(text.clone(), 0..3).prop_map(Step::Add),
        3 => prop::collection::vec(prop::collection::vec(text, 0..3), 0..5).prop_map(Step::AddAnalysed),
        2 => (0_usize..40).prop_map(Step::Remove),
        1 => Just(Step::Commit),
        1 => Just(Step::Publish),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_scores_as_the_definition_does(steps in prop::collection::vec(step(), 1..40)) {
        let mut bench = Bench::new();
        let mut earlier = None;
        for step in steps {
            match step {
                Step::Add(texts) => {
                    bench.add(&texts.iter().map(String::as_str).collect::<Vec<_>>());
                }
                Step::AddAnalysed(documents) => bench.add_analysed(&documents),
                Step::Remove(position) => {
                    let versions: Vec<Version> = bench.texts.keys().copied().collect();
                    if let Some(version) = versions.get(position) {
                        bench.remove(*version);
                    }
                }
                Step::Commit => {
                    bench.commit();
                    prop_assert_eq!((bench.index.pending(), bench.index.seqno()), (0, Seqno(bench.seqno)));
                }
                Step::Publish => {
                    let (view, alive) = (bench.index.publish(), bench.alive.clone());
                    let found = bench.search_in(&view, &alive);
                    earlier = Some((view, alive, found));
                }
                Step::Reopen => {
                    bench.commit();
                    bench = bench.reopen();
                }
            }
            bench.check(&"Fish, bird AND (the river_1".into())?;
        }
        bench.check(&"cve".into())?;
        let held: Vec<Version> = bench.texts.iter().filter(|(version, texts)| {
            let slot = bench.rows.slot_of(**version).expect("a row");
            texts.iter().any(|texts| !texts.is_empty()) && bench.alive.contains(slot)
        }).map(|(version, _)| *version).collect();
        prop_assert_eq!(bench.index.versions(), held);
        if let Some((view, alive, found)) = earlier {
            prop_assert_eq!(bench.search_in(&view, &alive), found);
        }
        bench.index.verify().expect("whole");
    }
}

#[test]
fn a_write_is_found_at_once_and_scores_alike_after_its_commit() {
    let mut bench = Bench::new();
    bench.add(&["a fish in the river", "and a bird"]);
    bench.add(&["two fishes"]);
    bench.add(&[]);
    bench.add(&["the"]);
    let before = bench.search("fish birds", 10);
    assert_eq!(before.iter().map(|scored| scored.slot.0).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(bench.index.pending(), 3);
    let view = bench.index.publish();
    bench.commit();
    for after in [
        bench.search("fish birds", 10),
        view.search(&"fish birds".into(), &bench.rows, &bench.alive, None, 10).expect("a search"),
    ] {
        assert_eq!(after.len(), 2);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.slot, after.slot);
            assert!((before.score - after.score).abs() < 1e-6, "{before:?} {after:?}");
        }
    }
    assert_eq!((bench.slots(""), bench.slots("the (AND"), bench.search("fish", 0)), (vec![], vec![], vec![]));
}

#[test]
fn dead_and_unaccepted_documents_leave_their_places_to_others() {
    let mut bench = Bench::new();
    for number in 0..3_000 {
        bench.add(&[&format!(
            "common words {} {}",
            "fish ".repeat(number % 7),
            "stone ".repeat(number % 11)
        )]);
        if number == 1_500 || number == 2_000 {
            bench.commit();
        }
    }
    let doomed: Vec<Version> = bench.texts.keys().copied().step_by(2).collect();
    doomed.into_iter().for_each(|version| bench.remove(version));
    let accept: RoaringBitmap = (0..3_000).filter(|slot| slot % 5 == 0).collect();
    let view = bench.index.publish();
    for query in ["fish", "fish stone common", "common"] {
        let mut all = bench.naive(&query.into());
        all.retain(|scored| accept.contains(scored.slot.0));
        let best =
            view.search(&query.into(), &bench.rows, &bench.alive, Some(&accept), 20).expect("a search");
        assert_eq!(best.len(), 20);
        for (best, naive) in best.iter().zip(&all) {
            assert!((best.score - naive.score).abs() < 1e-4, "{query} {best:?} {naive:?}");
        }
    }
}

#[test]
fn replayed_operations_change_nothing() {
    let mut bench = Bench::new();
    let first = bench.add(&["fish"]);
    let second = bench.add(&["fish stone"]);
    bench.index.commit(Seqno(1)).expect("a commit");
    assert_eq!((bench.index.seqno(), bench.index.version_max()), (Seqno(1), Some(second)));
    let mut bench = bench.reopen();
    assert_eq!(bench.index.seqno(), Seqno(1));
    bench.index.add(first, &[vec!["fish"]]);
    bench.index.add(second, &[vec!["fish stone"]]);
    assert_eq!(bench.index.pending(), 0);
    bench.add(&["fish bird"]);
    assert_eq!(bench.slots("fish").len(), 3);
    bench.commit();
    assert_eq!(bench.index.versions().len(), 3);
    bench.index.commit(Seqno(1)).expect("nothing to do");
    assert_eq!(bench.index.seqno(), Seqno(3));
}

#[test]
fn rows_may_come_after_the_index_is_opened() {
    let mut bench = Bench::new();
    for number in 0..10 {
        bench.add(&[&format!("fish number {number}")]);
    }
    bench.commit();
    let Bench { dir, index, .. } = bench;
    drop(index);
    let ((head, rows), mut alive) = (rows(), Alive::new());
    let index = KeywordIndex::open(dir.path(), &english()).expect("an index");
    assert_eq!(index.publish().search(&"fish".into(), &rows, &alive, None, 99).expect("a search"), []);
    // The versions of odd rows are gone for good.
    for row in (0..10_u64).step_by(2) {
        alive.insert(append(&head, Version(row * 2 + 1)));
    }
    let found = index.publish().search(&"fish".into(), &rows, &alive, None, 99).expect("a search");
    assert_eq!(found.iter().map(|scored| scored.slot.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn damage_is_noticed() {
    let open = |dir: &Path, language| KeywordIndex::open(dir, &field_of(1, language)).map(drop);
    let mut bench = Bench::new();
    let missing = open(&bench.dir.path().join("nowhere"), Language::English).expect_err("missing");
    assert_eq!(missing.kind(), ErrorKind::Corrupted);
    bench.add(&["fish and birds"]);
    bench.commit();
    let exists = KeywordIndex::create(bench.dir.path(), &english()).map(drop);
    assert_eq!(exists.expect_err("there is one").kind(), ErrorKind::AlreadyExists);
    let Bench { dir, index, .. } = bench;
    index.verify().expect("whole");
    drop(index);
    assert_eq!(open(dir.path(), Language::German).expect_err("English").kind(), ErrorKind::Corrupted);
    open(dir.path(), Language::English).expect("whole");
    let files: Vec<_> =
        std::fs::read_dir(dir.path()).expect("a directory").flatten().map(|file| file.path()).collect();
    let mut damaged = 0;
    for file in files.iter().filter(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.')
    }) {
        let whole = std::fs::read(file).expect("a file");
        let middle = whole.len() / 2;
        let mut flipped = whole.clone();
        flipped[middle] ^= 0x10;
        for bytes in [&whole[..middle], &flipped, &[]] {
            std::fs::write(file, bytes).expect("writable");
            let error = open(dir.path(), Language::English).expect_err("damaged");
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{} {error}", file.display());
            damaged += 1;
        }
        std::fs::remove_file(file).expect("removable");
        assert_eq!(open(dir.path(), Language::English).expect_err("lost").kind(), ErrorKind::Corrupted);
        std::fs::write(file, whole).expect("writable");
    }
    assert!(damaged >= 15, "{damaged}");
    open(dir.path(), Language::English).expect("whole again");
}

#[test]
fn a_failed_commit_loses_nothing() {
    let mut bench = Bench::new();
    bench.add(&["fish"]);
    // Another writer holds the directory.
    let other: IndexWriter = bench.index.index.writer_with_num_threads(1, WRITER_BYTES).expect("a writer");
    assert_eq!(bench.index.commit(Seqno(1)).expect_err("held").kind(), ErrorKind::Busy);
    assert_eq!((bench.index.pending(), bench.index.seqno()), (1, Seqno(0)));
    bench.add(&["fish bird"]);
    assert_eq!(bench.slots("fish"), [0, 1]);
    drop(other);
    bench.commit();
    assert_eq!((bench.index.pending(), bench.slots("fish")), (0, vec![0, 1]));
    assert_eq!(bench.index.versions().len(), 2);
}

/// What is handed over while a commit is written belongs to the next one, also when the first is never written.
#[test]
fn a_commit_holds_what_was_there_when_it_began() {
    let mut bench = Bench::new();
    let first = bench.add(&["fish"]);
    let Bench { index, .. } = &bench;
    let commit = index.begin(Seqno(1)).expect("something to write");
    assert!(index.try_begin(Seqno(1)).is_none(), "one at a time");
    index.remove(first);
    index.add(Version(9), &[vec!["bird"]]);
    commit.write().expect("a commit");
    assert_eq!((index.pending(), index.seqno(), index.version_max()), (1, Seqno(1), Some(first)));
    drop(index.try_begin(Seqno(3)).expect("something to write"));
    assert_eq!((index.pending(), index.seqno()), (1, Seqno(1)));
    index.commit(Seqno(3)).expect("a commit");
    assert_eq!((index.pending(), index.versions()), (0, vec![Version(9)]));
    assert!(index.begin(Seqno(3)).is_none());
}

#[test]
fn commits_run_beside_writes_and_searches() {
    let mut bench = Bench::new();
    let Bench { head, rows, index, .. } = &mut bench;
    let is_done = std::sync::atomic::AtomicBool::new(false);
    let done = || is_done.load(std::sync::atomic::Ordering::Acquire);
    let newest = Mutex::new((index.publish(), Alive::new()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut alive = Alive::new();
            for number in 0..3_000_u64 {
                let slot = append(head, Version(number));
                index.add(Version(number), &[vec![&format!("fish {number}")]]);
                alive.insert(slot);
                *newest.lock() = (index.publish(), alive.clone());
            }
            is_done.store(true, std::sync::atomic::Ordering::Release);
        });
        scope.spawn(|| {
            while !done() {
                index.commit(Seqno(u64::from(newest.lock().1.len() as u32))).expect("a commit");
            }
        });
        while !done() {
            let (view, alive) = newest.lock().clone();
            let found = view.search(&"fish".into(), rows, &alive, None, 10_000).expect("a search");
            // Each once, none missing.
            let slots: RoaringBitmap = found.iter().map(|scored| scored.slot.0).collect();
            assert_eq!((found.len(), slots.len() as usize), (alive.len(), alive.len()));
        }
    });
    index.commit(Seqno(3_000)).expect("a commit");
    assert_eq!((index.pending(), index.versions().len()), (0, 3_000));
}

#[test]
fn what_waits_for_a_commit_is_weighed() {
    let mut bench = Bench::new();
    let first = bench.add(&["fish"]);
    let one = bench.index.pending_bytes();
    bench.add(&[&"fish ".repeat(1_000)]);
    assert!(one > 0 && bench.index.pending_bytes() > one + 5_000);
    let commit = bench.index.begin(Seqno(bench.seqno)).expect("something to write");
    bench.index.remove(first);
    let both = bench.index.pending_bytes();
    assert!(both > one + 5_000, "what is not written yet is still there");
    commit.write().expect("a commit");
    assert!((1..one).contains(&bench.index.pending_bytes()));
    bench.index.commit(Seqno(bench.seqno + 1)).expect("a commit");
    assert_eq!(bench.index.pending_bytes(), 0);
}

/// Three threads and a file for each of thousands of collections would be too many.
#[test]
fn what_commits_take_is_given_back_and_taken_again() {
    let mut bench = Bench::new();
    let first = bench.add(&["fish"]);
    assert!(!bench.index.rest(Duration::ZERO).expect("there was no commit"));
    bench.commit();
    assert!(!bench.index.rest(Duration::from_secs(3_600)).expect("it was a moment ago"));
    assert!(bench.index.rest(Duration::ZERO).expect("nothing is merged"));
    assert!(bench.index.writer.lock().is_none());
    bench.remove(first);
    bench.add(&["fish bird"]);
    let commit = bench.index.begin(Seqno(bench.seqno)).expect("something to write");
    assert!(!bench.index.rest(Duration::ZERO).expect("a commit is under way"));
    commit.write().expect("a commit");
    assert_eq!((bench.slots("fish"), bench.index.versions().len()), (vec![1], 1));
    bench.index.verify().expect("whole");
}

/// Maps are few in a process, and thousands of collections have an index each.
#[test]
#[cfg(target_os = "linux")]
fn small_files_are_not_mapped() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.add(&["fish"]);
        bench.commit();
    }
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the maps of this process");
    let folder = bench.dir.path().file_name().expect("a name").to_string_lossy();
    let mapped: Vec<&str> = maps.lines().filter(|line| line.contains(&*folder)).collect();
    assert_eq!(mapped, Vec::<&str>::new());
    assert_eq!(bench.slots("fish"), [0, 1, 2]);
}
