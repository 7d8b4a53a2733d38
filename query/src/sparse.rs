//! Levels that ask with a sparse vector: planned by how many weights the lists hold, answered exactly by either way.
//!
//! Where a space is weighted by rarity, its statistics are those of the points that exist, over all parts: `n` with a
//! vector in the space, `df` with a weight in the dimension; a filter does not change them. A request may name other
//! points to count over, its corpus.
//! A part whose lists cannot be read is answered from storage, vector by vector, until they are made anew.

use index::sparse::{Counts, Way};
use index::{Part, Scored, Shown};
use roaring::RoaringBitmap;
use types::{Result, Slot, SparseVector};

use crate::{Ranked, View, cost};

/// What the planner knows of a sparse query in one part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SparsePart {
    /// Whether it is a sealed segment, and not a head.
    pub is_segment: bool,
    /// Rows with a vector, dead ones included.
    pub rows: usize,
    /// Rows that may be found, at most.
    pub shown: usize,
    /// Weights in the lists of the query.
    pub postings: usize,
    /// Whether the lists can be read.
    pub is_readable: bool,
}

/// How the best rows of one part are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SparsePlan {
    /// What is known of it.
    pub part: SparsePart,
    /// The way.
    pub way: Way,
    /// Its estimated cost.
    pub cost_ns: f64,
    /// The estimated cost of the other way.
    pub rejected_ns: f64,
}

/// Of each part, in order.
pub(crate) fn statistics(
    view: &View,
    using: &str,
    query: &SparseVector,
    accept: Option<&RoaringBitmap>,
) -> Vec<SparsePart> {
    let shown = Shown { alive: &view.alive, accept };
    let part = |(number, part): (usize, &Part)| {
        let sizes = view.sparse.sizes(number, using, &query.indices);
        let (rows, postings) = sizes.unwrap_or((part.body.rows() as usize, 0));
        SparsePart {
            is_segment: matches!(part.body, index::Body::Segment(_)),
            rows,
            shown: shown.count(part.slots()).min(rows),
            postings,
            is_readable: sizes.is_some(),
        }
    };
    view.rows.parts().iter().enumerate().map(part).collect()
}

/// The cheaper way through each part.
pub(crate) fn plan(parts: &[SparsePart], terms: usize, candidates: Option<usize>) -> Vec<SparsePlan> {
    let choose = |part: &SparsePart| {
        let part = SparsePart { shown: part.shown.min(candidates.unwrap_or(usize::MAX)), ..*part };
        let lists = cost::lists_ns(part.postings, part.rows);
        let rows = cost::look_ups_ns(part.shown, terms);
        match lists <= rows {
            true => SparsePlan { part, way: Way::Lists, cost_ns: lists, rejected_ns: rows },
            false => SparsePlan { part, way: Way::Rows, cost_ns: rows, rejected_ns: lists },
        }
    };
    parts.iter().map(choose).collect()
}

/// The weights of a query in its space: its own, or each times how rare its dimension is in the corpus.
pub(crate) fn weighted(
    view: &View,
    using: &str,
    query: &SparseVector,
    corpus: Option<&RoaringBitmap>,
) -> Result<SparseVector> {
    if !view.entry.schema.sparse_space(using)?.is_idf() {
        return Ok(query.clone());
    }
    let shown = Shown { alive: &view.alive, accept: corpus };
    let mut sum = Counts { vectors: 0, with: vec![0; query.len()] };
    for (number, part) in view.rows.parts().iter().enumerate() {
        let counts = match view.sparse.counts((number, part), using, &query.indices, shown) {
            Some(counts) => counts,
            None => counted(&stored(view, part, using, corpus)?, query),
        };
        sum.vectors += counts.vectors;
        sum.with.iter_mut().zip(counts.with).for_each(|(sum, with)| *sum += with);
    }
    let weight = |((dim, weight), with): ((u32, f32), &u64)| {
        let (n, df) = (sum.vectors as f64, *with as f64);
        (dim, weight * (1.0 + (n - df + 0.5) / (df + 0.5)).ln() as f32)
    };
    Ok(SparseVector::of(query.iter().zip(&sum.with).map(weight)))
}

/// The best `count` of a part that are accepted, with `query` as [`weighted`] makes it.
pub(crate) fn find(
    view: &View,
    (using, query): (&str, &SparseVector),
    (number, part): (usize, &Part),
    accept: Option<&RoaringBitmap>,
    (count, way): (usize, Way),
) -> Result<Vec<Ranked>> {
    let shown = Shown { alive: &view.alive, accept };
    match view.sparse.search((number, part), using, query, shown, (count, way)) {
        Some(best) => Ok(best.iter().map(|Scored { slot, score }| Ranked::new(*slot, *score)).collect()),
        None => {
            let rows = stored(view, part, using, accept)?;
            let scored = rows.iter().filter_map(|(slot, vector)| Some((*slot, query.dot(vector)?)));
            let scored = scored.filter(|(_, score)| *score != 0.0);
            Ok(scored.map(|(slot, score)| Ranked::new(slot, score)).collect())
        }
    }
}

/// The vectors of the rows of a part that are shown, from storage.
fn stored(
    view: &View,
    part: &Part,
    using: &str,
    accept: Option<&RoaringBitmap>,
) -> Result<Vec<(Slot, SparseVector)>> {
    let alive = view.universe().range(part.slots());
    let slots: Vec<Slot> =
        alive.filter(|slot| accept.is_none_or(|accept| accept.contains(*slot))).map(Slot).collect();
    let vectors = view.vectors(using, &slots)?;
    let of = |(slot, vector): (Slot, Option<types::Vector>)| Some((slot, vector?.sparse()?.clone()));
    Ok(slots.into_iter().zip(vectors).filter_map(of).collect())
}

fn counted(rows: &[(Slot, SparseVector)], query: &SparseVector) -> Counts {
    let with =
        |dim: &u32| rows.iter().filter(|(_, row)| row.indices.binary_search(dim).is_ok()).count() as u64;
    Counts { vectors: rows.len() as u64, with: query.indices.iter().map(with).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_are_looked_up_and_many_are_added_up() {
        let part = |shown| SparsePart {
            is_segment: true,
            rows: 100_000,
            shown,
            postings: 200_000,
            is_readable: true,
        };
        let ways = |candidates| -> Vec<Way> {
            plan(&[part(100_000), part(20)], 20, candidates).iter().map(|plan| plan.way).collect()
        };
        assert_eq!(ways(None), [Way::Lists, Way::Rows]);
        assert_eq!(ways(Some(10)), [Way::Rows, Way::Rows]);
    }
}
