//! Hits, and which parts of their points come with them.
//!
//! Cost: what is read is held, up to `answer_bytes_max` and one block of points beyond it.

use std::collections::HashSet;

use query::{OrderValue, Ranked, View};
use types::{
    Error, FieldPath, Limits, Payload, Point, PointId, Result, Slot, Value, Vector, Vectors, payload,
};

use crate::changes::shown;
use crate::highlight::{Fragments, Highlight};

/// Points that are read at once: before anything is known of their size, and at most.
pub(crate) const BLOCK_MIN: usize = 64;
const BLOCK_MAX: usize = 4096;

/// Bytes that are read at once, if points are like those before them.
const BLOCK_BYTES: usize = 32 << 20;

/// A point that answers a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The point.
    pub id: PointId,
    /// How well it answers, as the metric or the fusion scores it.
    pub score: f32,
    /// The version of the point that was found, from 1 on: what [`Op::Require`](types::Op::Require) takes.
    pub version: u64,
    /// The value that it was ordered by, if it was.
    pub order: Option<OrderValue>,
    /// The selected part of its payload.
    pub payload: Payload,
    /// The selected vectors.
    pub vectors: Vectors,
    /// What was found in its texts, if it was asked for.
    pub highlights: Fragments,
}

impl Hit {
    pub(crate) fn new(view: &View, ranked: Ranked, point: Point) -> Self {
        let version = shown(view.rows.version(ranked.slot));
        let Point { id, payload, vectors } = point;
        let highlights = Fragments::new();
        Self { id, score: ranked.score, version, order: ranked.order, payload, vectors, highlights }
    }

    /// A top-level string of the payload.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.payload.get(key).and_then(Value::as_str)
    }
}

/// Which parts of points are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select {
    /// Which payload.
    pub payload: PayloadSelect,
    /// Which vectors.
    pub vectors: VectorSelect,
    /// What was found in texts, of hits alone: the query must ask for words.
    pub highlight: Option<Highlight>,
}

/// Which payload of points is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum PayloadSelect {
    /// None; costs nothing.
    None,
    /// All of it.
    #[default]
    All,
    /// What these paths reach, at the place where it stands.
    Only(Vec<FieldPath>),
    /// All but what these paths reach.
    Except(Vec<FieldPath>),
}

/// Which vectors of points are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VectorSelect {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// These.
    Named(Vec<String>),
}

impl Select {
    /// Everything: payload and vectors.
    pub fn all() -> Self {
        Self { payload: PayloadSelect::All, vectors: VectorSelect::All, highlight: None }
    }

    /// Ids only.
    pub fn none() -> Self {
        Self { payload: PayloadSelect::None, vectors: VectorSelect::None, highlight: None }
    }

    /// The selected parts of points, in the order of the slots, as long as there is room for them. One that is all of
    /// an answer has it whatever it takes: what could be written can be read.
    pub(crate) fn points(&self, view: &View, slots: &[Slot], room: &mut Room) -> Result<Vec<Point>> {
        let names = self.names(view)?;
        let mut points = Vec::with_capacity(slots.len());
        let (mut rest, mut block) = (slots, BLOCK_MIN);
        while !rest.is_empty() {
            let (next, behind) = rest.split_at(block.min(rest.len()));
            let read = self.read(view, next, &names)?;
            let bytes: usize = read.iter().map(weight).sum();
            room.take(bytes, slots.len() == 1)?;
            points.extend(read);
            (rest, block) = (behind, (BLOCK_BYTES / (bytes / next.len()).max(1)).clamp(1, BLOCK_MAX));
        }
        Ok(points)
    }

    /// The vectors that are selected.
    fn names<'a>(&'a self, view: &'a View) -> Result<Vec<&'a String>> {
        let names: Vec<&String> = match &self.vectors {
            VectorSelect::None => Vec::new(),
            VectorSelect::All => view.entry.schema.names().collect(),
            // Each once: who names one a thousand times would get a thousand of it.
            VectorSelect::Named(names) => {
                let mut seen = HashSet::new();
                names.iter().filter(|name| seen.insert(name.as_str())).collect()
            }
        };
        for name in &names {
            view.entry.schema.check_name(name).map_err(|error| error.with_field("with_vector"))?;
        }
        Ok(names)
    }

    fn read(&self, view: &View, slots: &[Slot], names: &[&String]) -> Result<Vec<Point>> {
        let mut points: Vec<Point> = slots.iter().map(|slot| Point::new(view.id(*slot))).collect();
        if self.payload != PayloadSelect::None {
            let payloads = view.payloads(slots)?;
            points
                .iter_mut()
                .zip(payloads)
                .for_each(|(point, payload)| point.payload = self.payload.cut(payload));
        }
        for name in names {
            for (point, vector) in points.iter_mut().zip(view.stored_vectors(name, slots)?) {
                point.vectors.extend(vector.map(|vector| ((*name).clone(), vector)));
            }
        }
        Ok(points)
    }
}

/// Room for what one answer shows of its points, in all its hits and groups.
pub(crate) struct Room {
    field: &'static str,
    most: usize,
    taken: usize,
}

impl Room {
    /// All of it. The field is the one that asks for so many points.
    pub(crate) fn new(limits: &Limits, field: &'static str) -> Self {
        Self { field, most: limits.answer_bytes_max, taken: 0 }
    }

    /// What other answers leave of it, which took so many bytes.
    pub(crate) fn beside(mut self, bytes: usize) -> Self {
        self.taken = bytes;
        self
    }

    /// Bytes that were taken of it.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    fn take(&mut self, bytes: usize, is_one: bool) -> Result<()> {
        let is_alone = is_one && self.taken == 0;
        self.taken = self.taken.saturating_add(bytes);
        if is_alone || self.taken <= self.most {
            return Ok(());
        }
        let what = "the size in bytes (answer_bytes_max) of the payloads and vectors asked for";
        Err(Error::limit(self.field, what, self.taken, self.most))
    }
}

/// Bytes of memory that payload and vectors of a point take, about.
fn weight(point: &Point) -> usize {
    let vectors: usize =
        point.vectors.iter().map(|(name, vector)| name.len() + weight_of_vector(vector)).sum();
    vectors + payload::weight(&point.payload)
}

fn weight_of_vector(vector: &Vector) -> usize {
    match vector {
        Vector::Dense(elements) => size_of_val(elements.as_slice()),
        Vector::Sparse(vector) => {
            size_of_val(vector.indices.as_slice()) + size_of_val(vector.values.as_slice())
        }
        Vector::Multi(rows) => {
            rows.iter().map(|row| size_of::<Vec<f32>>() + size_of_val(row.as_slice())).sum()
        }
    }
}

impl PayloadSelect {
    fn cut(&self, mut payload: Payload) -> Payload {
        match self {
            Self::None => Payload::new(),
            Self::All => payload,
            Self::Only(paths) => types::path::only(&payload, paths),
            Self::Except(paths) => {
                paths.iter().for_each(|path| path.remove(&mut payload));
                payload
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, Options, Request};
    use types::{ErrorKind, Filter, Metric, Schema};

    #[test]
    fn an_answer_brings_no_more_than_it_may() {
        let limits = Limits { answer_bytes_max: 100_000, ..Limits::default() };
        let db = Database::in_memory_with(Options { limits, ..Options::default() }).expect("a database");
        let notes = db.create_collection("notes", Schema::new().vector(100, Metric::Euclid)).expect("made");
        let text = "x".repeat(1_000);
        let point = |id: u64| Point::new(id).vector(vec![id as f32; 100]).with("text", text.as_str());
        notes.upsert((0..300).map(point).collect()).expect("points");
        let reading = notes.reading().expect("a reading");
        let request = |limit| Request { limit, ..notes.query().nearest(vec![0.0; 100]).request() };
        let ids: Vec<PointId> = (0..150).map(PointId::Num).collect();
        let (payload, vectors) = (Select::default(), Select { vectors: VectorSelect::All, ..Select::none() });
        for (field, refused) in [
            ("limit", reading.search(request(150), &payload).map(drop)),
            ("limit", reading.search(request(300), &vectors).map(drop)),
            ("limit", reading.scroll(&Filter::default(), None, 150, &payload).map(drop)),
            ("ids", reading.get(&ids, &payload).map(drop)),
        ] {
            let error = refused.expect_err("too much");
            assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some(field)), "{error}");
            assert!(error.to_string().contains("answer_bytes_max"), "{error}");
        }
        assert_eq!(reading.search(request(80), &payload).expect("few enough").0.len(), 80);
        assert_eq!(reading.search(request(150), &vectors).expect("small enough").0.len(), 150);
        let only = PayloadSelect::Only(vec!["other".parse().expect("a path")]);
        let only = Select { payload: only, ..Select::none() };
        assert_eq!(reading.search(request(300), &only).expect("parts").0.len(), 300);
    }
}
