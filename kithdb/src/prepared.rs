//! The texts of a write, analysed before its turn on the thread of its caller: while a write has its turn, every other
//! waits, and the words of a text take longer than all else that is done for a point.
//!
//! Invariant: what is indexed is the same as if the writer had analysed each text in its turn. It does that where it is
//! not known before which texts come (a condition may pass points over, a change reads what is there), where there is
//! no room, and where the index was made anew meanwhile.
//! Invariant: room is taken only where what waits here and what no keyword commit covers take no more, together, than
//! half of what the latter may: `Segments::waiting_bytes_max`.
//! Cost: what the tail of the keyword index would take of these texts, until the turn.

use index::{Analysed, KeywordIndex};
use types::{Op, Version};

use crate::budget::TextRoom;
use crate::derived::texts;
use crate::engine::{Engine, Shared};

/// The texts of the points that a write puts into one collection, in their order.
pub(crate) struct Prepared {
    analysed: Analysed,
    _room: TextRoom,
}

impl Prepared {
    /// Of operations of which each puts the points that it names; nothing where there are no texts, or others decide
    /// what is put.
    pub(crate) fn of(engine: &Engine, shared: &Shared, ops: &[Op]) -> Option<Self> {
        let keyword = shared.keyword.load_full()?;
        let view = shared.view.load();
        let field = view.entry.schema.keyword.as_ref()?;
        let puts_what_it_names =
            |op: &Op| matches!(op, Op::Upsert(_) | Op::Delete(_) | Op::DeleteWhere(_) | Op::Require { .. });
        if !ops.iter().all(puts_what_it_names) {
            return None;
        }
        let points = ops.iter().filter_map(|op| if let Op::Upsert(point) = op { Some(point) } else { None });
        let given: Vec<Vec<Vec<&str>>> = points.map(|point| texts(field, &point.payload)).collect();
        let text_bytes: usize = given.iter().flatten().flatten().map(|text| text.len()).sum();
        if text_bytes == 0 {
            return None;
        }
        let bytes = KeywordIndex::bytes_of(given.len(), text_bytes);
        let room = engine.heads.room_for_texts(bytes, engine.segments.waiting_bytes_max / 2)?;
        Some(Self { analysed: keyword.analyse(&given), _room: room })
    }

    /// Adds them under the versions that the points have got; `false`, and nothing is added, where this index has not
    /// analysed them.
    pub(crate) fn add_to(self, keyword: &KeywordIndex, versions: &[Version]) -> bool {
        keyword.add_analysed(versions, self.analysed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use types::{Change, Condition, Filter, Language, Metric, Point, PointId, Schema, Selection, UpsertMode};

    use super::*;
    use crate::{Collection, Database, Options, Segments};

    fn schema() -> Schema {
        let paths = ["text", "title"].map(|path| path.parse().expect("a path"));
        Schema::new().vector(1, Metric::Euclid).keyword(paths, Language::English)
    }

    fn point(id: u64, text: &str) -> Op {
        Op::Upsert(Point::new(id).vector([id as f32]).with("text", text))
    }

    fn prepared(notes: &Collection, ops: &[Op]) -> Option<Prepared> {
        Prepared::of(&notes.engine, &notes.shared, ops)
    }

    fn found(notes: &Collection, words: &str) -> Vec<PointId> {
        let hits = notes.query().keyword(words).limit(100).run().expect("hits");
        let mut ids: Vec<PointId> = hits.iter().map(|hit| hit.id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn only_what_is_sure_to_come_is_prepared() {
        let db = Database::in_memory().expect("a database");
        let notes = db.create_collection("notes", schema()).expect("a collection");
        let silent = db.create_collection("silent", Schema::new()).expect("a collection");
        let gone = Op::DeleteWhere(Filter::default());
        let texts = || vec![gone.clone(), point(1, "red"), Op::Delete(vec![2.into()]), point(1, "blue")];
        assert!(prepared(&notes, &texts()).is_some() && prepared(&silent, &texts()).is_none());
        assert!(prepared(&notes, &[Op::Upsert(Point::new(1).with("n", 1))]).is_none());
        let change = Op::Change(Selection::Ids(vec![1.into()]), Change::ClearPayload);
        let points = vec![Point::new(3).with("text", "green")];
        let (mode, update_filter) = (UpsertMode::InsertOnly, Filter::default());
        for other in [change, Op::UpsertWhere { points, mode, update_filter }] {
            assert!(prepared(&notes, &[texts(), vec![other]].concat()).is_none());
        }
        let segments = Segments { waiting_bytes_max: 4_000, ..Segments::default() };
        let small = Database::in_memory_with(Options { segments, ..Options::default() }).expect("a database");
        let notes = small.create_collection("notes", schema()).expect("a collection");
        let first = prepared(&notes, &texts()).expect("there is room");
        assert!(prepared(&notes, &texts()).is_none(), "there is none beside the first");
        drop(first);
        assert!(prepared(&notes, &texts()).is_some(), "it was given back");
    }

    /// In one commit a point comes twice, one goes, and one has no text; heads of ten rows become full on the way.
    #[test]
    fn what_was_prepared_is_found_goes_and_stays_over_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || {
            let segments = Segments { seal_rows: 10, ..Segments::default() };
            let options = Options { segments, ..Options::default() };
            Database::open_with(folder.path(), options).expect("a database")
        };
        let db = open();
        let notes = db.create_collection("notes", schema()).expect("a collection");
        notes.apply((0..35).map(|id| point(id, "a river")).collect()).expect("points");
        let ops = vec![
            point(1, "a red fox"),
            Op::Upsert(Point::new(2).vector([2.0])),
            point(1, "two blue foxes"),
            Op::Delete(vec![3.into()]),
            Op::DeleteWhere(Filter::must(Condition::HasId(vec![4.into()]))),
            point(40, "fox and river"),
        ];
        notes.apply(ops).expect("a commit");
        let check = |notes: &Collection| {
            assert_eq!(found(notes, "fox"), [1, 40].map(PointId::Num));
            assert_eq!((found(notes, "red"), found(notes, "blue")), (vec![], vec![PointId::Num(1)]));
            assert_eq!(found(notes, "rivers").len(), 35 - 4 + 1);
        };
        check(&notes);
        assert_eq!(db.verify().expect("a walk").faults, []);
        drop((notes, db));
        let db = open();
        check(&db.collection("notes").expect("it"));
        assert_eq!(db.verify().expect("a walk").faults, []);
    }

    /// The index that analysed them is no longer in use when their turn comes.
    #[test]
    fn what_was_prepared_for_an_index_that_is_gone_is_indexed_all_the_same() {
        let db = Database::in_memory().expect("a database");
        let notes = db.create_collection("notes", schema()).expect("a collection");
        let ops = vec![point(1, "a red fox"), point(2, "a fox")];
        let early = prepared(&notes, &ops);
        db.rebuild().expect("made anew");
        let (targets, texts) = (vec![(Arc::clone(&notes.shared), ops)], vec![early]);
        let durability = notes.engine.durability;
        let span = tracing::Span::none();
        notes.workers.write_prepared(targets, texts, durability, None, span).expect("a commit");
        assert_eq!(found(&notes, "foxes"), [1, 2].map(PointId::Num));
        assert_eq!(db.verify().expect("a walk").faults, []);
        let heads = &notes.engine.heads;
        assert!(heads.room_for_texts(0, heads.texts()).is_some(), "room is given back");
    }

    #[test]
    fn writes_of_many_callers_are_linked_in_their_order() {
        let db = Database::in_memory().expect("a database");
        let notes = db.create_collection("notes", schema()).expect("a collection");
        std::thread::scope(|scope| {
            for caller in 0..4_u64 {
                let notes = &notes;
                scope.spawn(move || {
                    for round in 0..50_u64 {
                        let text = format!("fox of{caller} round{round}");
                        let ops = vec![point(caller, &text), point(10 + caller * 100 + round, &text)];
                        notes.apply(ops).expect("a commit");
                    }
                });
            }
        });
        for caller in 0..4_u64 {
            assert_eq!(found(&notes, &format!("of{caller}")).len(), 51);
        }
        assert_eq!(found(&notes, "round49").len(), 8);
        assert_eq!(found(&notes, "round7").len(), 4);
        assert_eq!(db.verify().expect("a walk").faults, []);
    }
}
