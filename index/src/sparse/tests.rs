//! Whatever way is taken, the answer is that of adding up every shown row.

use std::path::Path;

use proptest::prelude::*;
use roaring::RoaringBitmap;
use types::{PointId, Schema, Version};

use super::*;
use crate::{Alive, Body, Head, Rows};

/// A row: its vector, whether it is alive, whether the filter accepts it.
type Row = (Option<SparseVector>, bool, bool);

fn names() -> Arc<[String]> {
    ["other".to_owned(), "s".to_owned()].into()
}

/// Few dimensions and few weights, so that rows tie; some large and some tiny, so that sums round.
fn vector() -> impl Strategy<Value = SparseVector> {
    let weight = prop_oneof![
        8 => (-3..4_i8).prop_map(f32::from),
        2 => -1.0..1.0_f32,
        1 => prop::sample::select(vec![1e12, -1e12, 1e-20, 0.1, 0.3]),
    ];
    let dim = prop_oneof![6 => 0..6_u32, 2 => 0..40_u32, 1 => Just(u32::MAX)];
    prop::collection::btree_map(dim, weight, 0..9).prop_map(SparseVector::of)
}

fn row() -> impl Strategy<Value = Row> {
    (prop::option::weighted(0.9, vector()), prop::bool::weighted(0.8), prop::bool::weighted(0.5))
}

/// Parts of a collection as heads with that many rows.
struct Collection {
    rows: Rows,
    alive: Alive,
    accept: RoaringBitmap,
    sparse: Sparse,
}

/// Rows in parts that end at these places; appended so many at once.
fn collection(rows: &[Row], cuts: &[usize], at_once: usize) -> Collection {
    let mut bodies = Vec::new();
    let (mut parts, mut version) = (Vec::new(), 0);
    let mut bounds: Vec<usize> =
        cuts.iter().map(|cut| cut % (rows.len() + 1)).chain([0, rows.len()]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    for bound in bounds.windows(2) {
        let head = Head::new(&Schema::new(), 1 << 16);
        let mut part = PartSparse::of_head();
        for (number, chunk) in rows[bound[0]..bound[1]].chunks(at_once).enumerate() {
            let vectors: Vec<Vectors> = chunk.iter().map(vectors_of).collect();
            part.append(&names(), (number * at_once) as u32, &vectors.iter().collect::<Vec<_>>());
            for _ in chunk {
                head.append(Version(version), PointId::Num(version), |_| None);
                version += 1;
            }
        }
        bodies.push(Body::Head(Arc::new(head)));
        parts.push(part);
    }
    let placed = Rows::over(bodies);
    let (mut alive, mut accept) = (Alive::new(), RoaringBitmap::new());
    for (number, (_, is_alive, is_accepted)) in (0_u64..).zip(rows) {
        let slot = placed.slot_of(Version(number)).expect("it was appended");
        if *is_alive {
            alive.insert(slot);
        }
        if *is_accepted && *is_alive {
            accept.insert(slot.0);
        }
    }
    let bases = placed.parts().iter().map(|part| part.base);
    let sparse = Sparse::over(names(), bases.zip(parts).collect());
    Collection { rows: placed, alive, accept, sparse }
}

fn vectors_of((vector, ..): &Row) -> Vectors {
    vector.iter().map(|vector| ("s".to_owned(), vector.clone().into())).collect()
}

/// The best of the shown rows, by adding up each.
fn plain(
    of: &Collection,
    rows: &[Row],
    query: &SparseVector,
    is_filtered: bool,
    k: usize,
) -> Vec<(u32, f32)> {
    let mut all: Vec<(u32, f32)> = Vec::new();
    for (number, (vector, is_alive, is_accepted)) in (0_u64..).zip(rows) {
        let slot = of.rows.slot_of(Version(number)).expect("it was appended");
        let score = vector.as_ref().and_then(|vector| query.dot(vector)).unwrap_or(0.0);
        if *is_alive && (*is_accepted || !is_filtered) && score != 0.0 {
            all.push((slot.0, score));
        }
    }
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

fn found(
    of: &Collection,
    query: &SparseVector,
    is_filtered: bool,
    (k, way): (usize, Way),
) -> Vec<(u32, f32)> {
    let accept = is_filtered.then_some(&of.accept);
    let shown = Shown { alive: &of.alive, accept };
    let mut all = Vec::new();
    for part in of.rows.parts().iter().enumerate() {
        let found = of.sparse.search(part, "s", query, shown, (k, way)).expect("it can be read");
        assert!(found.is_sorted_by(|a, b| (b.score, a.slot) <= (a.score, b.slot)), "{found:?}");
        all.extend(found.iter().map(|scored| (scored.slot.0, scored.score)));
    }
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

/// The same with every part in a file.
fn stored(of: &Collection, folder: &Path) -> Collection {
    let mut parts = Vec::new();
    for (number, (part, sparse)) in of.rows.parts().iter().zip(of.sparse.parts()).enumerate() {
        let mark = Mark { rows: part.body.rows(), checksum: 7 };
        let path = folder.join(format!("{number}.spv"));
        let source = Source { sparse, moves: None };
        assert!(store(&path, &names(), mark, &[source], &()).expect("written"));
        let stored = Stored::open(&path, &names(), mark).expect("it opens");
        stored.verify().expect("whole");
        parts.push((part.base, PartSparse::Stored(Arc::new(stored))));
    }
    let Collection { rows, alive, accept, .. } = of;
    let sparse = Sparse::over(names(), parts);
    Collection { rows: rows.clone(), alive: alive.clone(), accept: accept.clone(), sparse }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_way_finds_what_adding_up_every_row_finds(
        rows in prop::collection::vec(row(), 0..300),
        cuts in prop::collection::vec(any::<usize>(), 0..3),
        at_once in 1..40_usize,
        queries in prop::collection::vec((vector(), 0..30_usize), 1..5),
    ) {
        let growing = collection(&rows, &cuts, at_once);
        let folder = tempfile::tempdir().expect("a folder");
        let mapped = stored(&growing, folder.path());
        for (query, k) in &queries {
            for (is_filtered, way) in [(false, Way::Lists), (true, Way::Lists), (true, Way::Rows), (false, Way::Rows)] {
                let expected = plain(&growing, &rows, query, is_filtered, *k);
                prop_assert_eq!(&found(&growing, query, is_filtered, (*k, way)), &expected, "{:?}", way);
                prop_assert_eq!(&found(&mapped, query, is_filtered, (*k, way)), &expected, "{:?} of a file", way);
            }
        }
    }

    #[test]
    fn counts_are_of_rows_that_exist(
        rows in prop::collection::vec(row(), 0..80),
        cuts in prop::collection::vec(any::<usize>(), 0..2),
        query in vector(),
    ) {
        let growing = collection(&rows, &cuts, 7);
        let folder = tempfile::tempdir().expect("a folder");
        let mapped = stored(&growing, folder.path());
        let exist = || rows.iter().filter(|row| row.1).filter_map(|row| row.0.as_ref());
        let with = |dim: &u32| exist().filter(|vector| vector.indices.contains(dim)).count() as u64;
        let expected: Vec<u64> = query.indices.iter().map(with).collect();
        for of in [&growing, &mapped] {
            let (mut vectors, mut with) = (0, vec![0; query.len()]);
            for (number, part) in of.rows.parts().iter().enumerate() {
                let shown = Shown { alive: &of.alive, accept: None };
                let counts = of.sparse.counts((number, part), "s", &query.indices, shown).expect("readable");
                vectors += counts.vectors;
                with.iter_mut().zip(counts.with).for_each(|(sum, with)| *sum += with);
            }
            prop_assert_eq!((vectors, &with), (exist().count() as u64, &expected));
        }
    }

    #[test]
    fn a_file_joined_of_parts_without_the_dead_is_that_of_the_rest(
        rows in prop::collection::vec(row(), 0..80),
        cuts in prop::collection::vec(any::<usize>(), 0..3),
    ) {
        let parts = collection(&rows, &cuts, 9);
        let rest: Vec<Row> = rows.iter().filter(|row| row.1).cloned().collect();
        let mut next = 0;
        let moves: Vec<Vec<u32>> = parts.rows.parts().iter().map(|part| {
            let row = |row: u32| {
                let is_alive = parts.alive.contains(Slot(part.base + row));
                next += u32::from(is_alive);
                if is_alive { next - 1 } else { NO_ROW }
            };
            (0..part.body.rows()).map(row).collect()
        }).collect();
        let sources = parts.sparse.parts().zip(&moves).map(|(sparse, moves)| Source { sparse, moves: Some(moves) });
        let sources: Vec<Source<'_>> = sources.collect();
        let joined = join(&sources, 1, rest.len() as u32).expect("readable");
        let vectors: Vec<Option<&SparseVector>> = rest.iter().map(|row| row.0.as_ref()).collect();
        let built = Lists::build(0, &vectors);
        prop_assert_eq!(Lists { range: 0..0, ..joined }, Lists { range: 0..0, ..built });
    }
}

/// Lists over many windows: one dimension in nearly every row, one in few.
#[test]
fn what_is_left_out_could_not_have_won() {
    let weight = |row: u32, salt: u32| ((row.wrapping_mul(2_654_435_761) ^ salt) >> 16) as f32 / 65_536.0;
    let of = |row: u32| {
        let pairs =
            [(1, 0.01 + weight(row, 1) * 0.1), (2, weight(row, 2)), (3, weight(row, 3) * 9.0), (4, -1.0)];
        let is_there = |(dim, _): &(u32, f32)| match dim {
            1 => true,
            2 => row.is_multiple_of(3),
            3 => row.is_multiple_of(97),
            _ => row.is_multiple_of(11),
        };
        (
            Some(SparseVector::of(pairs.into_iter().filter(is_there))),
            !row.is_multiple_of(5),
            row.is_multiple_of(2),
        )
    };
    let rows: Vec<Row> = (0..30_000).map(of).collect();
    let growing = collection(&rows, &[17_000], 1_000);
    for (k, query) in [
        (10, vec![(1, 1.0), (2, 1.0), (3, 1.0)]),
        (100, vec![(1, 2.0), (4, 1.0)]),
        (5, vec![(1, -1.0), (4, 3.0)]),
    ] {
        let query = SparseVector::of(query);
        for is_filtered in [false, true] {
            let expected = plain(&growing, &rows, &query, is_filtered, k);
            assert_eq!(expected.len(), k);
            assert_eq!(found(&growing, &query, is_filtered, (k, Way::Lists)), expected);
        }
    }
}

#[test]
fn a_flipped_bit_is_found_before_it_answers() {
    let rows: Vec<Row> =
        (0..300).map(|row| (Some(SparseVector::of([(row % 7, 1.0), (9, 2.0)])), true, true)).collect();
    let growing = collection(&rows, &[], 50);
    let folder = tempfile::tempdir().expect("a folder");
    drop(stored(&growing, folder.path()));
    let path = folder.path().join("0.spv");
    let bytes = std::fs::read(&path).expect("a file");
    let mark = Mark { rows: 300, checksum: 7 };
    let mut damaged = 0;
    for place in (0..bytes.len()).step_by(97) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 8;
        std::fs::write(&path, &flipped).expect("written");
        let Ok(stored) = Stored::open(&path, &names(), mark) else { continue };
        let is_whole = stored.verify().is_ok();
        let answers = stored.lists(0).is_some() && stored.lists(1).is_some();
        // Between sections nothing is read.
        assert!(!is_whole && (answers == stored.is_sound()), "byte {place}");
        damaged += usize::from(!answers);
    }
    assert!(damaged > 20, "{damaged}");
    std::fs::write(&path, &bytes).expect("written");
    for other in [Mark { rows: 299, ..mark }, Mark { checksum: 8, ..mark }] {
        assert!(Stored::open(&path, &names(), other).is_err());
    }
    assert!(Stored::open(&path, &["s".to_owned()], mark).is_err());
}
