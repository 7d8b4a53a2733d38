//! The derived state of one collection in memory, as the writer holds it: its parts, and the indexes over them.
//!
//! Invariant: it is what applying the journal to the empty state gives. Every step is deterministic; an old version's
//! slot dies in the same step in which the new one is born.
//! Invariant: segments come first, then heads, in the order of versions. The last part is a head that takes rows; when
//! it is full it is frozen where it stands, and the next one begins. Whoever replaces parts gives all slots anew.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use index::fields::PartFields;
use index::sparse::PartSparse;
use index::{Alive, Body, Fields, Head, KeywordIndex, Rows, Sparse};
use query::{Observed, View};
use storage::{CatalogEntry, CollectionState, SegmentList, SegmentRecord, Store};
use types::{FieldPath, KeywordField, Payload, Point, PointId, Slot, Value, Vector, Vectors, Version};

use crate::prepared::Prepared;

/// What one operation of a commit does to derived state.
#[derive(Debug)]
pub(crate) struct Effect {
    /// The new version, if the point was put.
    pub(crate) new: Option<(Version, Arc<Point>)>,
    /// The version that is no longer current.
    pub(crate) old: Option<Version>,
}

/// The writer's half of a collection.
pub(crate) struct Derived {
    pub(crate) store: Arc<Store>,
    pub(crate) entry: Arc<CatalogEntry>,
    pub(crate) state: CollectionState,
    pub(crate) rows: Rows,
    pub(crate) alive: Alive,
    pub(crate) fields: Fields,
    pub(crate) sparse: Sparse,
    pub(crate) keyword: Option<Arc<KeywordIndex>>,
    /// What its queries have found.
    pub(crate) observed: Arc<Observed>,
    /// Of the segments, which are the first parts.
    numbers: Vec<u64>,
    /// Larger than that of every segment that was ever begun.
    next_number: u64,
    /// Rows of a full head.
    seal_rows: u32,
    /// No point has ever had this number or a larger one for an id, if that is known.
    new_from: Option<u64>,
    /// It has what may not be durable, or half of a commit: it is not to be shown. After a failure it stays so.
    pub(crate) is_ahead: bool,
}

/// A part with all that belongs to it, apart from any slots.
#[derive(Clone)]
pub(crate) struct Laid {
    pub(crate) body: Body,
    /// Of a segment.
    pub(crate) number: Option<u64>,
    /// By rows.
    pub(crate) alive: Alive,
    pub(crate) fields: PartFields,
    pub(crate) sparse: PartSparse,
}

impl Laid {
    fn head(entry: &CatalogEntry, seal_rows: u32) -> Self {
        let head = Head::new(&entry.schema, seal_rows);
        Self {
            body: Body::Head(Arc::new(head)),
            number: None,
            alive: Alive::new(),
            fields: PartFields::of_head(),
            sparse: PartSparse::of_head(),
        }
    }
}

impl Derived {
    /// The state of a collection with these segments and no further rows; `keyword` has no documents in its tail.
    pub(crate) fn new(
        store: Arc<Store>,
        entry: Arc<CatalogEntry>,
        state: CollectionState,
        seal_rows: u32,
        segments: Vec<Laid>,
        keyword: Option<Arc<KeywordIndex>>,
    ) -> Self {
        let next_number = segments.iter().filter_map(|laid| laid.number).max().map_or(0, |number| number + 1);
        let fields = Fields::over(Arc::new(entry.schema.fields.clone()), Vec::new());
        let sparse = Sparse::over(entry.schema.sparse.keys().cloned().collect(), Vec::new());
        let (rows, alive, numbers) = (Rows::over([]), Alive::new(), Vec::new());
        // Of what was there before, ids are in storage.
        let new_from = (state.next_version == Version(0)).then_some(0);
        let mut derived = Self {
            store,
            entry,
            state,
            rows,
            alive,
            fields,
            sparse,
            keyword,
            observed: Arc::default(),
            numbers,
            next_number,
            seal_rows,
            new_from,
            is_ahead: false,
        };
        derived.lay(segments);
        derived
    }

    /// The parts as they are.
    pub(crate) fn laid(&self) -> Vec<Laid> {
        let numbers = self.numbers.iter().copied().map(Some).chain(std::iter::repeat(None));
        let derived = self.fields.parts().zip(self.sparse.parts());
        let parts = self.rows.parts().iter().zip(derived).zip(numbers);
        let laid = parts.map(|((part, (fields, sparse)), number)| Laid {
            body: part.body.clone(),
            number,
            alive: self.alive.part(part.slots()),
            fields: fields.clone(),
            sparse: sparse.clone(),
        });
        laid.collect()
    }

    /// Makes these the parts, and gives each its slots. A head that takes rows is added if the last part is none.
    pub(crate) fn lay(&mut self, mut laid: Vec<Laid>) {
        let is_open = |laid: &Laid| matches!(&laid.body, Body::Head(head) if !head.is_full());
        if !laid.last().is_some_and(is_open) {
            laid.push(Laid::head(&self.entry, self.seal_rows));
        }
        let vectors = &self.entry.schema.vectors;
        for laid in &laid {
            if let Body::Segment(segment) = &laid.body {
                segment.place(|name| vectors.get(name).map(|spec| spec.memory).unwrap_or_default());
            }
        }
        self.rows = Rows::over(laid.iter().map(|laid| laid.body.clone()));
        self.alive = Alive::new();
        for (part, laid) in self.rows.parts().iter().zip(&laid) {
            self.alive.place(part.base, &laid.alive);
        }
        self.numbers = laid.iter().filter_map(|laid| laid.number).collect();
        debug_assert!(
            laid[..self.numbers.len()].iter().all(|laid| laid.number.is_some()),
            "a head before a segment"
        );
        let (mut fields, mut sparse) = (Vec::new(), Vec::new());
        for (part, laid) in self.rows.parts().iter().zip(laid) {
            fields.push((part.base, laid.fields));
            sparse.push((part.base, laid.sparse));
        }
        self.fields = Fields::over(Arc::new(self.entry.schema.fields.clone()), fields);
        self.sparse = Sparse::over(self.entry.schema.sparse.keys().cloned().collect(), sparse);
    }

    /// Where these parts are now, one behind the other; nothing if one of them is gone.
    pub(crate) fn find(&self, bodies: &[&Body]) -> Option<Range<usize>> {
        let parts = self.rows.parts();
        let start =
            parts.iter().position(|part| bodies.first().is_some_and(|first| part.body.is_same(first)))?;
        let range = start..start + bodies.len();
        let found = parts.get(range.clone())?;
        found.iter().zip(bodies).all(|(part, body)| part.body.is_same(body)).then_some(range)
    }

    /// Whether there was never a point of this id, as far as that is known without a look: numbers that ascend from the
    /// first point of a collection on, as those of an import do, are not looked up.
    pub(crate) fn is_new(&self, id: PointId) -> bool {
        match (id, self.new_from) {
            (PointId::Num(number), Some(from)) => number >= from,
            _ => false,
        }
    }

    /// The number of the next segment, which no other gets.
    pub(crate) fn give_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// The numbers of the segments, which are the first parts.
    pub(crate) fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// Larger than the number of every segment that was ever begun.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// No number below this one is given from now on.
    pub(crate) fn continue_numbers(&mut self, first: u64) {
        self.next_number = self.next_number.max(first);
    }

    /// The head that takes rows.
    ///
    /// # Panics
    /// Never: [`lay`](Self::lay) ends with one.
    pub(crate) fn head(&self) -> (u32, &Arc<Head>) {
        match self.rows.parts().last() {
            Some(index::Part { base, body: Body::Head(head), .. }) => (*base, head),
            _ => unreachable!("the last part is a head, see the invariant"),
        }
    }

    /// A head without rows for another entry.
    pub(crate) fn new_head(&self, entry: &CatalogEntry) -> Laid {
        Laid::head(entry, self.seal_rows)
    }

    /// Begins a new head, so that the rows before it can become a segment.
    pub(crate) fn freeze(&mut self) {
        if self.head().1.rows() > 0 {
            let mut laid = self.laid();
            laid.push(Laid::head(&self.entry, self.seal_rows));
            self.lay(laid);
        }
    }

    /// Bytes of the head that takes rows, of those that wait to become segments, and of keywords that wait to be
    /// committed.
    pub(crate) fn held_bytes(&self) -> [usize; 3] {
        [self.head().1.bytes(), self.waiting_bytes(), self.text_bytes()]
    }

    /// Bytes of the keywords that no commit covers.
    pub(crate) fn text_bytes(&self) -> usize {
        self.keyword.as_ref().map_or(0, |keyword| keyword.pending_bytes())
    }

    /// Bytes of the heads that wait to become segments.
    pub(crate) fn waiting_bytes(&self) -> usize {
        let parts = self.rows.parts();
        let heads = parts[..parts.len() - 1].iter().filter_map(|part| match &part.body {
            Body::Head(head) => Some(head.bytes()),
            Body::Segment(_) => None,
        });
        heads.sum()
    }

    /// Applies the effects of one commit, in order, and takes from them the vectors that the head keeps: a row of
    /// thousands of bytes is not copied where nobody else holds the point. Its texts may be prepared.
    pub(crate) fn apply(&mut self, effects: &mut [Effect], state: CollectionState, texts: Option<Prepared>) {
        // They come before anything goes that came with them.
        let are_indexed = texts.is_some_and(|texts| self.index_prepared(effects, texts));
        // From here on fields and sparse vectors are not indexed yet.
        let mut first = 0;
        for at in 0..effects.len() {
            let Effect { new, old } = &mut effects[at];
            if let Some(old) = *old {
                self.bury(old);
            }
            let Some((version, point)) = new else { continue };
            let is_full = match Arc::get_mut(point) {
                Some(Point { id, vectors, .. }) => {
                    self.append(*version, *id, |name| take_dense(vectors, name))
                }
                None => {
                    let copy = |name: &str| point.vector_named(name).map(<[f32]>::to_vec);
                    self.append(*version, point.id, copy)
                }
            };
            if !are_indexed {
                self.index_keywords(*version, &point.payload);
            }
            if is_full {
                self.index_effects(&effects[first..=at]);
                first = at + 1;
                self.freeze();
            }
        }
        self.index_effects(&effects[first..]);
        self.state = state;
    }

    fn index_effects(&mut self, effects: &[Effect]) {
        let points = effects.iter().filter_map(|effect| effect.new.as_ref());
        let rows: Vec<_> = points.map(|(_, point)| (&point.payload, &point.vectors)).collect();
        self.index_rows(&rows);
    }

    /// Appends one version to every column but the keywords, the fields and the sparse vectors; whether the head is
    /// full now: then the latter two are to be indexed, and it is to be frozen.
    pub(crate) fn append(
        &mut self,
        version: Version,
        id: PointId,
        vector: impl FnMut(&str) -> Option<Vec<f32>>,
    ) -> bool {
        if let (PointId::Num(number), Some(from)) = (id, self.new_from) {
            // The largest of all numbers has none behind it.
            self.new_from = number.checked_add(1).map(|next| next.max(from));
        }
        let (base, head) = self.head();
        let row = head.append(version, id, vector);
        let is_full = head.is_full();
        self.alive.insert(Slot(base + row));
        is_full
    }

    /// Hands prepared texts to the keyword index; whether it takes them.
    fn index_prepared(&self, effects: &[Effect], texts: Prepared) -> bool {
        let new = effects.iter().filter_map(|effect| effect.new.as_ref());
        let versions: Vec<Version> = new.map(|(version, _)| *version).collect();
        self.keyword.as_ref().is_some_and(|keyword| texts.add_to(keyword, &versions))
    }

    /// Hands the texts of a version to the keyword index.
    pub(crate) fn index_keywords(&self, version: Version, payload: &Payload) {
        if let (Some(keyword), Some(field)) = (&self.keyword, &self.entry.schema.keyword) {
            keyword.add(version, &texts(field, payload));
        }
    }

    /// Indexes the fields and the sparse vectors of the last rows of the head.
    pub(crate) fn index_rows(&mut self, rows: &[(&Payload, &Vectors)]) {
        let first = self.head().1.rows() - rows.len() as u32;
        let (payloads, vectors): (Vec<&Payload>, Vec<&Vectors>) = rows.iter().copied().unzip();
        self.fields.append(first, &payloads);
        self.sparse.append(first, &vectors);
    }

    /// Makes a version invisible, wherever it stands.
    pub(crate) fn bury(&mut self, old: Version) {
        if let Some(slot) = self.rows.slot_of(old) {
            self.alive.remove(slot);
        }
        if let Some(keyword) = &self.keyword {
            keyword.remove(old);
        }
    }

    /// The segments, and what is dead in them now.
    pub(crate) fn list(&self) -> SegmentList {
        let segments = self.numbers.iter().zip(self.rows.parts()).filter_map(|(number, part)| {
            let Body::Segment(segment) = &part.body else { return None };
            let (first, last) = segment.versions();
            Some(SegmentRecord {
                number: *number,
                rows: segment.rows(),
                first,
                last,
                checksum: segment.checksum(),
                dead: self.alive.part(part.slots()).dead_bytes(segment.rows()),
            })
        });
        SegmentList { seqno: self.state.seqno, segments: segments.collect() }
    }

    /// The state as readers see it.
    pub(crate) fn view(&self) -> View {
        View {
            seqno: self.state.seqno,
            entry: Arc::clone(&self.entry),
            store: Arc::clone(&self.store),
            rows: self.rows.clone(),
            alive: self.alive.clone(),
            fields: self.fields.clone(),
            sparse: self.sparse.clone(),
            keyword: self.keyword.as_ref().map(|keyword| keyword.publish()),
            observed: Arc::clone(&self.observed),
            universe: OnceLock::new(),
        }
    }
}

/// Takes the elements of a dense vector, if it is there.
pub(crate) fn take_dense(vectors: &mut Vectors, name: &str) -> Option<Vec<f32>> {
    match vectors.iter_mut().find(|(other, _)| other == name)? {
        (_, Vector::Dense(elements)) => Some(std::mem::take(elements)),
        (_, Vector::Sparse(_) | Vector::Multi(_)) => None,
    }
}

/// The texts of a payload that belong to the keyword index, those of each path.
pub(crate) fn texts<'a>(field: &KeywordField, payload: &'a Payload) -> Vec<Vec<&'a str>> {
    let of_path = |path: &FieldPath| {
        let mut texts = Vec::new();
        for value in path.values(payload) {
            match value {
                Value::String(text) => texts.push(text.as_str()),
                Value::Array(items) => texts.extend(items.iter().filter_map(Value::as_str)),
                _ => {}
            }
        }
        texts
    };
    field.paths.iter().map(of_path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Collection, Database};
    use types::Schema;

    fn are_new(collection: &Collection, ids: [u64; 3]) -> [bool; 3] {
        let derived = collection.shared.derived.lock();
        ids.map(|id| derived.is_new(PointId::from(id)))
    }

    /// What counts as new is not looked up: a point that is there would be put beside itself.
    #[test]
    fn only_numbers_that_no_point_ever_had_are_new() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Database::open(folder.path()).expect("a database");
        let db = open();
        let notes = db.create_collection("notes", Schema::new()).expect("a collection");
        let write = |id: u64| notes.upsert(vec![Point::new(id)]).expect("a point");
        assert_eq!(are_new(&notes, [0, 5, u64::MAX]), [true; 3]);
        write(5);
        notes.delete(vec![PointId::from(5)]).expect("a delete");
        assert_eq!(are_new(&notes, [0, 5, 6]), [false, false, true]);
        assert!(!notes.shared.derived.lock().is_new(PointId::from_name("5")));
        for id in [5, 3, 5, u64::MAX] {
            write(id);
        }
        assert_eq!(are_new(&notes, [5, 6, u64::MAX]), [false; 3]);
        assert_eq!(notes.status().points, 3);
        drop((notes, db));
        let db = open();
        let notes = db.collection("notes").expect("the collection");
        assert_eq!(are_new(&notes, [0, 6, u64::MAX]), [false; 3]);
        assert_eq!(db.verify().expect("a walk").faults, []);
    }
}
