//! A distance matrix: of points chosen at random, each with its nearest among them.
//!
//! Cost: as many distances as pairs of points that were chosen.

use std::time::Instant;

use types::{Error, Filter, Limits, PointId, Result, Slot};

use crate::View;
use crate::execute::watch::Watch;
use crate::kinds::sample;
use crate::matching::Matching;

/// Which points are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixRequest {
    /// Which points may be chosen.
    pub filter: Filter,
    /// The vector space.
    pub using: String,
    /// Points that are chosen, at most.
    pub sample: usize,
    /// Neighbours of each, at most.
    pub limit: usize,
    /// Equal seeds choose alike; a different choice each time where it is absent.
    pub seed: Option<u64>,
}

/// Points, and the nearest of each among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// The points that were chosen, by id.
    pub ids: Vec<PointId>,
    /// For each the places of its nearest in `ids`, and their scores, best first.
    pub nearest: Vec<Vec<(usize, f32)>>,
}

/// So many are compared with each other at most.
const SAMPLE_MAX: usize = 10_000;

impl MatrixRequest {
    /// Checks it against the limits.
    ///
    /// # Errors
    /// `InvalidArgument`, `LimitExceeded`, naming the field.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        self.filter.check(limits)?;
        // No point has more neighbours than there are others.
        let pairs = self.sample.saturating_mul(self.limit.min(self.sample));
        match (self.sample, self.limit) {
            (0 | 1, _) => Err(Error::invalid("sample", "is below 2; a distance is between two points")),
            (_, 0) => Err(Error::invalid("limit", "is 0; ask for at least 1 neighbour")),
            (sample, _) if sample > SAMPLE_MAX => {
                Err(Error::limit("sample", "the number of points", sample, SAMPLE_MAX))
            }
            _ if pairs > limits.hits_max => {
                Err(Error::limit("limit", "sample * limit", pairs, limits.hits_max))
            }
            _ => Ok(()),
        }
    }
}

/// Chooses points and compares them; until a deadline, if there is one.
///
/// # Errors
/// `InvalidArgument` for a vector space that does not exist; `DeadlineExceeded`; `Corrupted` or `Io`.
pub fn matrix(view: &View, request: &MatrixRequest, deadline: Option<Instant>) -> Result<Matrix> {
    let watch = Watch::until(deadline);
    let metric = view.entry.schema.space(&request.using)?.metric;
    let mut points = chosen((view, &watch), request)?;
    points.sort_unstable_by_key(|(id, _)| *id);
    // A point alone has no distance to another.
    if points.len() < 2 {
        points.clear();
    }
    let nearest = |(at, (_, vector)): (usize, &(PointId, Vec<f32>))| {
        let distance = |(other, (_, to)): (usize, &(PointId, Vec<f32>))| {
            (other, index::kernels::distance(metric, vector, to))
        };
        let others = points.iter().enumerate().filter(|(other, _)| *other != at);
        let mut near: Vec<(usize, f32)> = others.map(distance).collect();
        near.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        near.truncate(request.limit);
        // What is collected from it keeps its room.
        near.shrink_to_fit();
        near.into_iter().map(|(other, distance)| (other, metric.score(distance))).collect()
    };
    let nearest = points.iter().enumerate().take_while(|_| watch.has_time()).map(nearest).collect();
    watch.verdict()?;
    Ok(Matrix { ids: points.into_iter().map(|(id, _)| id).collect(), nearest })
}

/// Points that match and have the vector, at random.
fn chosen((view, watch): (&View, &Watch), request: &MatrixRequest) -> Result<Vec<(PointId, Vec<f32>)>> {
    let all = Matching::new(view, &request.filter, watch)?.all()?;
    let mut points = Vec::with_capacity(request.sample.min(all.len() as usize));
    for slot in sample::shuffled(all.iter().map(Slot), request.seed, usize::MAX) {
        if points.len() == request.sample || !watch.has_time() {
            break;
        }
        if let Some(vector) = view.rows.vector(slot, &request.using)? {
            points.push((view.id(slot), vector));
        }
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use types::ErrorKind;

    use super::*;

    #[test]
    fn as_many_pairs_are_asked_for_as_hits() {
        let check = |sample: usize, limit: usize| {
            let using = String::new();
            let request = MatrixRequest { filter: Filter::default(), using, sample, limit, seed: None };
            request.check(&Limits::default())
        };
        for (sample, limit) in [(2, usize::MAX), (1_000, usize::MAX), (10_000, 100)] {
            check(sample, limit).expect("a million pairs");
        }
        for (sample, limit, field) in [
            (1, 1, "sample"),
            (9, 0, "limit"),
            (10_001, 1, "sample"),
            (10_000, 101, "limit"),
            (1_001, 1_001, "limit"),
        ] {
            assert_eq!(check(sample, limit).expect_err(field).field(), Some(field), "{sample} {limit}");
        }
        let kind = check(10_000, 10_000).expect_err("a hundred million pairs").kind();
        assert_eq!(kind, ErrorKind::LimitExceeded);
    }
}
