//! Hits, and which parts of their points come with them.

use query::{OrderValue, Ranked, View};
use types::{
    Error, FieldPath, Limits, Payload, Point, PointId, Result, Slot, Value, Vector, Vectors, payload,
};

use crate::changes::shown;
use crate::highlight::{Fragments, Highlight};

/// Points whose payloads are read at once: what is not selected of them is held no longer.
pub(crate) const BLOCK_POINTS: usize = 64;

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

/// What one answer may bring. It is counted while it is read, so that what is too much is never there.
pub(crate) struct Allowance {
    bytes: usize,
    bytes_max: usize,
    /// Of the request: what asks for so many points.
    field: &'static str,
}

impl Allowance {
    pub(crate) fn of(limits: &Limits, field: &'static str) -> Self {
        Self { bytes: 0, bytes_max: limits.answer_bytes_max, field }
    }

    /// # Errors
    /// `LimitExceeded` when it is too much.
    fn take(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.bytes_max {
            let what = "what payloads and vectors take (`answer_bytes_max`; ask for fewer points, or for parts \
                        of them), in bytes,";
            return Err(Error::limit(self.field, what, self.bytes, self.bytes_max));
        }
        Ok(())
    }
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

    /// The selected parts of points, in the order of the slots.
    pub(crate) fn points(
        &self,
        view: &View,
        slots: &[Slot],
        allowance: &mut Allowance,
    ) -> Result<Vec<Point>> {
        let names: Vec<&String> = match &self.vectors {
            VectorSelect::None => Vec::new(),
            VectorSelect::All => view.entry.schema.names().collect(),
            VectorSelect::Named(names) => names.iter().collect(),
        };
        for name in names.iter().copied() {
            view.entry.schema.check_name(name).map_err(|error| error.with_field("with_vector"))?;
        }
        let mut points = Vec::with_capacity(slots.len());
        for slots in slots.chunks(BLOCK_POINTS) {
            let mut block: Vec<Point> = slots.iter().map(|slot| Point::new(view.id(*slot))).collect();
            if self.payload != PayloadSelect::None {
                for (point, payload) in block.iter_mut().zip(view.payloads(slots)?) {
                    point.payload = self.payload.cut(payload);
                    allowance.take(payload::weight(&point.payload))?;
                }
            }
            for name in names.iter().copied() {
                for (point, vector) in block.iter_mut().zip(view.stored_vectors(name, slots)?) {
                    allowance.take(vector.as_ref().map_or(0, weight))?;
                    point.vectors.extend(vector.map(|vector| (name.clone(), vector)));
                }
            }
            points.append(&mut block);
        }
        Ok(points)
    }
}

/// Bytes of a vector.
fn weight(vector: &Vector) -> usize {
    let elements = match vector {
        Vector::Dense(elements) => elements.len(),
        Vector::Sparse(sparse) => sparse.indices.len() + sparse.values.len(),
        Vector::Multi(rows) => rows.iter().map(Vec::len).sum(),
    };
    elements * size_of::<f32>()
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
