//! The plain model: a map from id to point, scanned for every answer.

use std::collections::BTreeMap;

use kithdb::{
    Datatype, Filter, Metric, Point, PointId, Schema, SparseSpec, SparseVector, Value, Vector, VectorSpec,
};

use super::draft::{Draft, Weights};
use super::text;
use crate::options::rounded;

/// The name of the sparse vectors of both collections.
pub(crate) const SPARSE: &str = "s";

/// The name of the multivectors of both.
pub(crate) const MULTI: &str = "m";

/// One collection as a map.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    pub(crate) name: &'static str,
    /// Each space by name; its lane in drafts is its position.
    pub(crate) spaces: Vec<(&'static str, VectorSpec)>,
    /// As they are read.
    pub(crate) points: BTreeMap<PointId, Point>,
    /// Of each point; every version that is written gets the next number, from 1 on.
    pub(crate) versions: BTreeMap<PointId, u64>,
    pub(crate) last_version: u64,
}

impl Plain {
    pub(crate) fn new(name: &'static str, spaces: Vec<(&'static str, VectorSpec)>) -> Self {
        let (points, versions) = (BTreeMap::new(), BTreeMap::new());
        Self { name, spaces, points, versions, last_version: 0 }
    }

    pub(crate) fn schema(&self) -> Schema {
        let paths = ["text", "more.words"].map(|path| path.parse().expect("a path"));
        let schema = Schema::new().keyword(paths, kithdb::Language::None);
        let spec = if self.is_idf() { SparseSpec::idf() } else { SparseSpec::default() };
        let schema = schema.sparse_vector(SPARSE, spec);
        let schema = schema.multi_vector(MULTI, VectorSpec::new(2, self.multi_metric()));
        self.spaces.iter().fold(schema, |schema, (name, spec)| schema.named_vector(name, spec.clone()))
    }

    /// Whether sparse queries are weighted by rarity: in one of the two collections.
    fn is_idf(&self) -> bool {
        self.spaces.len() > 1
    }

    /// Weights as this collection takes them. Those that are multiplied by a logarithm have one sign, so that no sum
    /// is nearly 0.
    pub(crate) fn sparse(&self, weights: &Weights) -> SparseVector {
        let weight = |weight: i8| f32::from(if self.is_idf() { weight.abs() } else { weight });
        SparseVector::of(weights.iter().map(|(dim, of)| (*dim, weight(*of))))
    }

    /// What multivectors are compared by: another metric in each of the two collections.
    pub(crate) fn multi_metric(&self) -> Metric {
        if self.is_idf() { Metric::Euclid } else { Metric::Dot }
    }

    /// The score of every point with a multivector, best first.
    pub(crate) fn nearest_multi(&self, query: &[[i8; 2]], filter: &Filter) -> Vec<(PointId, f64)> {
        let metric = self.multi_metric();
        let near = |asked: &[f32], row: &[f32]| match metric {
            Metric::Euclid => -score(metric, asked, row).powi(2),
            _ => score(metric, asked, row),
        };
        let of = |id: PointId| {
            let rows = self.points[&id].any_named(MULTI)?.multi()?;
            let best =
                |asked: &Vec<f32>| rows.iter().map(|row| near(asked, row)).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = rows_of(query).iter().map(best).sum();
            Some((id, if metric == Metric::Euclid { (-sum).sqrt() } else { sum }))
        };
        let mut scored: Vec<(PointId, f64)> = self.matching(filter).into_iter().filter_map(of).collect();
        let sign = if metric.larger_is_better() { -1.0 } else { 1.0 };
        scored.sort_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)));
        scored
    }

    /// The score of every point that a sparse query finds, best first.
    pub(crate) fn nearest_sparse(&self, query: &SparseVector, filter: &Filter) -> Vec<(PointId, f64)> {
        let vectors = || self.points.values().filter_map(|point| point.sparse_named(SPARSE));
        let weight = |dim: u32, weight: f32| {
            let n = vectors().count() as f64;
            let df = vectors().filter(|vector| vector.indices.contains(&dim)).count() as f64;
            let rarity = if self.is_idf() { (1.0 + (n - df + 0.5) / (df + 0.5)).ln() } else { 1.0 };
            (dim, f64::from(weight) * rarity)
        };
        let query: BTreeMap<u32, f64> = query.iter().map(|(dim, of)| weight(dim, of)).collect();
        let of = |id: PointId| {
            let vector = self.points[&id].sparse_named(SPARSE)?;
            let products = vector.iter().map(|(dim, of)| f64::from(of) * query.get(&dim).unwrap_or(&0.0));
            Some((id, products.sum::<f64>())).filter(|(_, score)| *score != 0.0)
        };
        let mut scored: Vec<(PointId, f64)> = self.matching(filter).into_iter().filter_map(of).collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        scored
    }

    /// A draft with vectors for this collection.
    pub(crate) fn point(&self, draft: &Draft) -> Point {
        let mut point = Point::new(draft.id).payload(draft.payload.clone());
        for ((name, spec), lane) in self.spaces.iter().zip(draft.lanes) {
            if let Some(lane) = lane {
                point = point.named_vector(name, elements(spec, lane));
            }
        }
        if let Some(weights) = &draft.weights {
            point = point.named_vector(SPARSE, self.sparse(weights));
        }
        match draft.rows.is_empty() {
            false => point.named_vector(MULTI, Vector::Multi(rows_of(&draft.rows))),
            true => point,
        }
    }

    /// The point as it is read: its vectors scaled to length 1 under cosine, and rounded.
    pub(crate) fn kept(&self, point: &Point) -> Point {
        let mut point = point.clone();
        for (name, spec) in &self.spaces {
            let vector = point.vectors.iter_mut().find(|(other, _)| other == name);
            let Some((_, Vector::Dense(elements))) = vector else { continue };
            let norm = elements.iter().map(|e| f64::from(*e).powi(2)).sum::<f64>().sqrt();
            let scale = if spec.metric == Metric::Cosine && norm > 0.0 { norm } else { 1.0 };
            for element in elements {
                let scaled = (f64::from(*element) / scale) as f32;
                *element = if spec.datatype == Datatype::Float16 { rounded(scaled) } else { scaled };
            }
        }
        point
    }

    /// The ids that match, ascending.
    pub(crate) fn matching(&self, filter: &Filter) -> Vec<PointId> {
        let points = self.points.values().filter(|point| filter.matches_point(point));
        points.map(|point| point.id).collect()
    }

    /// The score of every point with that vector, best first.
    pub(crate) fn nearest(&self, space: usize, query: &[f32], filter: &Filter) -> Vec<(PointId, f64)> {
        let (name, VectorSpec { metric, .. }) = self.spaces[space];
        let of = |id: PointId| {
            let elements = self.points[&id].vector_named(name)?;
            Some((id, score(metric, query, elements)))
        };
        let mut scored: Vec<(PointId, f64)> = self.matching(filter).into_iter().filter_map(of).collect();
        let sign = if metric.larger_is_better() { -1.0 } else { 1.0 };
        scored.sort_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)));
        scored
    }

    /// The score of every point with a word of the query.
    pub(crate) fn keyword(&self, query: &str, filter: &Filter) -> BTreeMap<PointId, f64> {
        let words =
            |point: &Point| texts(point).iter().flat_map(|text| text::words(text)).collect::<Vec<_>>();
        let has_text = self.points.values().filter(|point| !texts(point).is_empty());
        let documents = has_text.map(|point| (point.id, words(point))).collect();
        let mut scores = text::bm25(&documents, query);
        scores.retain(|id, _| filter.matches_point(&self.points[id]));
        scores
    }
}

/// Rows as a multivector has them.
pub(crate) fn rows_of(rows: &[[i8; 2]]) -> Vec<Vec<f32>> {
    rows.iter().map(|row| row.map(f32::from).to_vec()).collect()
}

/// The elements that a space takes from a lane: sizes, where they must be whole; from a few lanes one that is no
/// number.
fn elements(spec: &VectorSpec, lane: [i8; 4]) -> Vec<f32> {
    let is_whole = spec.datatype == Datatype::Uint8;
    let element = |e: &i8| f32::from(if is_whole { e.abs() } else { *e });
    let mut elements: Vec<f32> = lane[..spec.dim].iter().map(element).collect();
    if is_whole && lane[..2] == [-2, -2] {
        elements[0] = f32::NAN;
    }
    elements
}

/// Where in a vector it is refused, if it is.
pub(crate) fn fault_of(elements: &[f32]) -> Option<String> {
    elements.iter().position(|e| e.is_nan()).map(|position| format!("[{position}]"))
}

/// The texts of a point, as the schema above names them.
pub(crate) fn texts(point: &Point) -> Vec<&str> {
    let words = point.payload.get("more").and_then(|more| more.get("words"));
    let mut texts: Vec<&str> = Vec::new();
    for value in point.payload.get("text").into_iter().chain(words) {
        match value {
            Value::String(text) => texts.push(text),
            Value::Array(items) => texts.extend(items.iter().filter_map(Value::as_str)),
            _ => {}
        }
    }
    texts
}

/// Of a stored vector, which under cosine has length 1 up to its rounding.
fn score(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    match metric {
        Metric::Cosine if dot(a, a) == 0.0 => 0.0,
        Metric::Cosine => dot(a, b) / dot(a, a).sqrt(),
        Metric::Dot => dot(a, b),
        Metric::Euclid => pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt(),
        Metric::Manhattan => pairs().map(|(a, b)| (a - b).abs()).sum(),
    }
}
