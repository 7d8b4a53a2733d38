//! Views under transfers: points hold amounts, and each commit takes from one what it gives another, so every state has
//! the same sum.
//!
//! A reading is asked in several ways, which must agree; a later reading shows no earlier commit; a writer finds its
//! own commit; and what was read as of a commit is read as of it afterwards, by whoever asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use kithdb::{
    Collection, Condition, Database, ErrorKind, FieldKind, Filter, Metric, Op, Point, PointId, Reading,
    Request, Result, Schema, Select, Seqno,
};

use super::options;
use crate::crash::Random;

const ACCOUNTS: u64 = 24;
const AMOUNT: i64 = 100;
const WRITERS: u64 = 3;
const TRANSFERS: u64 = 150;

fn account(id: u64, amount: i64) -> Point {
    Point::new(id).vector([id as f32, amount as f32]).with("n", amount)
}

/// Moves something between two accounts, if nobody else changed them since they were read; the commit.
fn transfer(accounts: &Collection, random: &mut Random) -> Result<Seqno> {
    let from = random.below(ACCOUNTS);
    let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
    let ids: Vec<PointId> = [from, to].map(PointId::Num).to_vec();
    let hits = accounts.query().filter(Condition::HasId(ids)).limit(2).run()?;
    let moved = 1 + random.below(9) as i64;
    let mut ops = Vec::new();
    for (id, change) in [(from, -moved), (to, moved)] {
        let hit = hits.iter().find(|hit| hit.id == PointId::Num(id)).expect("an account");
        let amount = hit.payload["n"].as_i64().expect("an amount");
        ops.push(Op::Require { id: hit.id, if_version: hit.version });
        ops.push(Op::Upsert(account(id, amount + change)));
    }
    accounts.apply(ops).map(|receipt| receipt.seqno)
}

fn write(accounts: &Collection, seed: u64) -> u64 {
    let (mut random, mut conflicts) = (Random(seed), 0);
    for _ in 0..TRANSFERS {
        let seqno = loop {
            match transfer(accounts, &mut random) {
                Ok(seqno) => break seqno,
                Err(error) if error.kind() == ErrorKind::Conflict => conflicts += 1,
                Err(error) => panic!("{error}"),
            }
        };
        let seen = accounts.reading().expect("a reading").seqno();
        assert!(seen >= seqno, "a writer does not find its commit {seqno} in a view of {seen}");
    }
    conflicts
}

/// Amounts by account.
type Amounts = BTreeMap<PointId, i64>;

fn amounts<'a>(points: impl IntoIterator<Item = (PointId, &'a kithdb::Payload)>) -> Amounts {
    let amount = |payload: &kithdb::Payload| payload["n"].as_i64().expect("an amount");
    points.into_iter().map(|(id, payload)| (id, amount(payload))).collect()
}

/// All of a state, read by pages, by id, and by a search; they agree.
fn read(reading: &Reading) -> Amounts {
    let (mut paged, mut from) = (Vec::new(), None);
    loop {
        let page = reading.scroll(&Filter::default(), from, 7, &Select::all()).expect("a page");
        paged.extend(page.points);
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    let paged = amounts(paged.iter().map(|point| (point.id, &point.payload)));
    let ids: Vec<PointId> = (0..ACCOUNTS).map(PointId::Num).collect();
    let (first, second) = ids.split_at(ids.len() / 2);
    let mut by_id = reading.get(first, &Select::all()).expect("points");
    by_id.extend(reading.get(second, &Select::all()).expect("points"));
    let seqno = reading.seqno();
    assert_eq!(amounts(by_id.iter().map(|point| (point.id, &point.payload))), paged, "as of {seqno}");
    let request = Request { limit: ACCOUNTS as usize, ..Request::default() };
    let (hits, _) = reading.search(request, &Select::all()).expect("hits");
    assert_eq!(amounts(hits.iter().map(|hit| (hit.id, &hit.payload))), paged, "as of {seqno}");
    let poor: Filter = format!("n < {AMOUNT}").parse().expect("a filter");
    let expected = paged.values().filter(|amount| **amount < AMOUNT).count();
    assert_eq!(reading.count(&poor).expect("a count"), expected, "as of {seqno}");
    assert_eq!(paged.values().sum::<i64>(), ACCOUNTS as i64 * AMOUNT, "as of {seqno}: {paged:?}");
    paged
}

fn read_on(accounts: &Collection, is_over: &AtomicBool) -> BTreeMap<Seqno, Amounts> {
    let (mut seen, mut last) = (BTreeMap::new(), Seqno::default());
    while !is_over.load(Ordering::Acquire) {
        let reading = accounts.reading().expect("a reading");
        let state = read(&reading);
        assert!(reading.seqno() >= last, "{} behind {last}", reading.seqno());
        last = reading.seqno();
        let before = seen.insert(last, state.clone());
        assert!(before.is_none_or(|before| before == state), "two states as of {last}");
    }
    seen
}

/// Tells the readers that it is over, also when a writer panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn a_view_shows_one_commit_then_and_later() {
    let db = Database::in_memory_with(options()).expect("a database");
    let field = "n".parse().expect("a path");
    let schema = Schema::new().vector(2, Metric::Euclid).field(field, FieldKind::Integer).history(3_600);
    let accounts = db.create_collection("accounts", schema).expect("a collection");
    accounts.upsert((0..ACCOUNTS).map(|id| account(id, AMOUNT)).collect()).expect("accounts");
    let is_over = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let readers = [(); 2].map(|()| scope.spawn(|| read_on(&accounts, &is_over)));
        let over = Over(&is_over);
        let writers: Vec<_> = (0..WRITERS)
            .map(|seed| {
                let accounts = &accounts;
                scope.spawn(move || write(accounts, seed))
            })
            .collect();
        let conflicts: u64 = writers.into_iter().map(|writer| writer.join().expect("a writer")).sum();
        drop(over);
        println!("{conflicts} conflicts");
        let mut all: BTreeMap<Seqno, Amounts> = BTreeMap::new();
        for reader in readers {
            for (seqno, state) in reader.join().expect("a reader") {
                let other = all.insert(seqno, state.clone());
                assert!(other.is_none_or(|other| other == state), "two readers see two states as of {seqno}");
            }
        }
        all
    });
    assert!(seen.len() > 10, "only {} states were seen", seen.len());
    for (seqno, state) in &seen {
        assert_eq!(read(&accounts.as_of(*seqno).expect("a past state")), *state, "as of {seqno}");
    }
    assert_eq!(db.verify().expect("a walk").faults, []);
}
