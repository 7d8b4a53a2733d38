//! Facets: how many of the points that match hold each value of a field.
//!
//! A point counts once for each different value that it holds: strings, integers, booleans. Every count is exact.
//! Cost: where the field has an index, a look at each of its values; else, and for points that hold values that the
//! index does not know, their payloads are read.

use std::collections::BTreeMap;
use std::time::Instant;

use types::{FieldPath, Filter, Result, Scalar, Slot};

use crate::View;
use crate::execute::watch::Watch;
use crate::groups::scalars;
use crate::matching::Matching;
use crate::pace::Pace;

/// The `limit` values that most points hold, and how many do; of equal counts the smaller value first. Until a
/// deadline, if there is one.
///
/// # Errors
/// `DeadlineExceeded`; `Corrupted` or `Io`.
pub fn facets(
    view: &View,
    filter: &Filter,
    (path, limit): (&FieldPath, usize),
    deadline: Option<Instant>,
) -> Result<Vec<(Scalar, usize)>> {
    let watch = Watch::until(deadline);
    let matching = Matching::new(view, filter, &watch)?.all()?;
    let known = view.fields.counts(path, &matching);
    let (mut counts, rest) = known.map_or((BTreeMap::new(), matching), |known| (known.counts, known.rest));
    let rest: Vec<Slot> = rest.iter().map(Slot).collect();
    let (pace, mut rest) = (Pace::default(), &rest[..]);
    while let Some(block) = pace.block(&mut rest)
        && watch.has_time()
    {
        let payloads = view.payloads(block)?;
        pace.took(&payloads);
        for payload in &payloads {
            let mut values = scalars(path, payload);
            values.sort_unstable();
            values.dedup();
            values.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
        }
    }
    watch.verdict()?;
    let mut counts: Vec<(Scalar, usize)> = counts.into_iter().collect();
    counts.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
    counts.truncate(limit);
    Ok(counts)
}
