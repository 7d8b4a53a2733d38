//! Hits, and which parts of their points come with them.

use std::collections::HashSet;

use query::{OrderValue, Ranked, View};
use types::{FieldPath, Payload, Point, PointId, Result, Slot, Value, Vectors};

use crate::changes::shown;
use crate::highlight::{Fragments, Highlight};

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

    /// The selected parts of points, in the order of the slots.
    pub(crate) fn points(&self, view: &View, slots: &[Slot]) -> Result<Vec<Point>> {
        let mut points: Vec<Point> = slots.iter().map(|slot| Point::new(view.id(*slot))).collect();
        if self.payload != PayloadSelect::None {
            let payloads = view.payloads(slots)?;
            points
                .iter_mut()
                .zip(payloads)
                .for_each(|(point, payload)| point.payload = self.payload.cut(payload));
        }
        let names: Vec<&String> = match &self.vectors {
            VectorSelect::None => Vec::new(),
            VectorSelect::All => view.entry.schema.names().collect(),
            // Each once: who names one a thousand times would get a thousand of it.
            VectorSelect::Named(names) => {
                let mut seen = HashSet::new();
                names.iter().filter(|name| seen.insert(name.as_str())).collect()
            }
        };
        for name in names {
            view.entry.schema.check_name(name).map_err(|error| error.with_field("with_vector"))?;
            for (point, vector) in points.iter_mut().zip(view.stored_vectors(name, slots)?) {
                point.vectors.extend(vector.map(|vector| (name.clone(), vector)));
            }
        }
        Ok(points)
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
