//! From a request as it was asked to one that can be planned: the stored vectors of points stand in their place, and
//! what is made of other kinds is.
//!
//! - A point that is asked with is no hit of its level, nor of those below it.
//! - Recommending by the mean is nearness to `2 * mean(positive) - mean(negative)`.
//! - Diversity is a level of its own over a leg of nearness, so it is planned as one.
//!
//! Invariant: what comes out asks with vectors only.

use std::collections::BTreeMap;

use types::{
    Condition, Error, ErrorKind, Filter, PointId, Result, Schema, Slot, SparseVector, Vector, VectorSpec,
};

use super::{Examples, Input, Query, Recommend, Request};
use crate::View;

impl Request {
    /// The request with everything looked up in a view.
    ///
    /// # Errors
    /// `NotFound` for a point that does not exist, `InvalidArgument` for one without the vector, naming the field;
    /// `Corrupted` or `Io`.
    pub(crate) fn resolved(mut self, view: &View) -> Result<Self> {
        let asked = self.look_up(view)?;
        if !asked.is_empty() {
            self.leave_out(&asked);
        }
        for (position, leg) in self.prefetch.iter_mut().enumerate() {
            let place = format!("prefetch[{position}]");
            *leg = std::mem::take(leg).resolved(view).map_err(|error| match error.kind() {
                ErrorKind::InvalidArgument => error.within(&place),
                _ => error,
            })?;
        }
        match std::mem::take(&mut self.query) {
            Query::Recommend { examples, strategy: Recommend::AverageVector, using } => {
                self.query = Query::Nearest { vector: mean(&examples, &view.entry.schema, &using)?, using };
                Ok(self)
            }
            query @ Query::Diverse { .. } => Ok(self.diversified(query)),
            query => Ok(Self { query, ..self }),
        }
    }

    /// Puts the stored vectors of points in their place; returns the points.
    fn look_up(&mut self, view: &View) -> Result<Vec<PointId>> {
        let Some(using) = self.query.space().map(str::to_owned) else { return Ok(Vec::new()) };
        let mut asked = Vec::new();
        for (place, input) in self.query.inputs() {
            if let Input::Point(id) = *input {
                *input = Input::Vector(stored(view, id, &using, &place)?);
                asked.push(id);
            }
        }
        Ok(asked)
    }

    /// Of this level and those below it, so that their limits are of points that can be hits.
    fn leave_out(&mut self, asked: &[PointId]) {
        self.filter.must_not.push(Condition::HasId(asked.to_vec()));
        self.prefetch.iter_mut().for_each(|leg| leg.leave_out(asked));
    }

    /// A level that chooses different ones, over a leg that finds near ones.
    fn diversified(self, query: Query) -> Self {
        let Query::Diverse { vector, using, candidates, .. } = &query else { return Self { query, ..self } };
        let wanted = self.limit.saturating_add(self.offset);
        let leg = Self {
            prefetch: self.prefetch,
            query: Query::Nearest { vector: vector.clone(), using: using.clone() },
            filter: self.filter,
            limit: candidates.unwrap_or(wanted).max(1),
            offset: 0,
            score_threshold: self.score_threshold,
            params: self.params,
            corpus: self.corpus,
        };
        let Self { limit, offset, params, .. } = self;
        Self {
            prefetch: vec![leg],
            query,
            filter: Filter::default(),
            limit,
            offset,
            score_threshold: None,
            params,
            corpus: None,
        }
    }
}

fn stored(view: &View, id: PointId, using: &str, place: &str) -> Result<Vector> {
    let slot: Option<Slot> = view.slots(&[id])?.pop().flatten();
    let slot = slot.ok_or_else(|| {
        let message = format!("Not found: No point with id {id} found");
        Error::new(ErrorKind::NotFound, message).with_field(place)
    })?;
    view.vectors(using, &[slot])?.pop().flatten().ok_or_else(|| {
        Error::invalid(place, format!("point {id} has no vector `{using}` that could be searched with"))
    })
}

/// The vector that is like the positive examples and unlike the negative ones: of multivectors all rows of the one, and
/// those of the other turned round.
fn mean(examples: &Examples, schema: &Schema, using: &str) -> Result<Input> {
    if let Some(spec) = schema.vectors.get(using) {
        return dense_mean(examples, spec);
    }
    if schema.sparse.contains_key(using) {
        return Ok(sparse_mean(examples).into());
    }
    let rows = |inputs: &[Input]| -> Vec<Vec<f32>> {
        inputs.iter().filter_map(Input::multi).flat_map(|rows| rows.iter().cloned()).collect()
    };
    let mut all = rows(&examples.positive);
    let away = rows(&examples.negative).into_iter();
    all.extend(away.map(|row| row.into_iter().map(|element| -element).collect()));
    Ok(Vector::Multi(all).into())
}

fn sparse_mean(examples: &Examples) -> SparseVector {
    let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
    let sides = [(&examples.positive, 2.0), (&examples.negative, -1.0)];
    let sides = if examples.negative.is_empty() { [(&examples.positive, 1.0), sides[1]] } else { sides };
    for (inputs, times) in sides {
        let share = times / inputs.len().max(1) as f32;
        for (dimension, weight) in inputs.iter().filter_map(Input::sparse).flat_map(SparseVector::iter) {
            *weights.entry(dimension).or_default() += share * weight;
        }
    }
    SparseVector::of(weights)
}

fn dense_mean(examples: &Examples, spec: &VectorSpec) -> Result<Input> {
    let average = |inputs: &[Input]| {
        let mut sum = vec![0.0_f32; spec.dim];
        for input in inputs {
            sum.iter_mut().zip(input.elements()).for_each(|(sum, element)| *sum += element);
        }
        sum.iter_mut().for_each(|sum| *sum /= inputs.len() as f32);
        sum
    };
    let mut vector = average(&examples.positive);
    if !examples.negative.is_empty() {
        let away = average(&examples.negative);
        vector.iter_mut().zip(away).for_each(|(element, away)| *element += *element - away);
    }
    types::vector::check(&mut vector, spec.dim, spec.metric)
        .map_err(|error| Error::invalid("query.recommend", format!("its mean {}", error.message())))?;
    Ok(vector.into())
}
