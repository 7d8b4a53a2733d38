//! Facets: how many of the points that match hold each value of a field.
//!
//! A point counts once for each different value that it holds: strings, integers, booleans. Every count is exact. Where
//! the field has an index of UUIDs, the spellings of one are one value: its text with hyphens, in small letters.
//! Cost: where the field has an index, a look at each of its values; else, and for points that hold values that the
//! index does not know, their payloads are read. Every different value is held until all are counted, up to a bound.

use std::collections::BTreeMap;
use std::time::Instant;

use index::fields::Counts;
use types::{Error, FieldKind, FieldPath, Filter, Result, Scalar, Slot, uuids};

use crate::View;
use crate::execute::watch::Watch;
use crate::groups::scalars;
use crate::matching::Matching;
use crate::pace::Pace;

/// The `limit` values that most points hold, and how many do; of equal counts the smaller value first. Until a
/// deadline, if there is one. All different values together take `bytes_max` of memory at most, about.
///
/// # Errors
/// `DeadlineExceeded`; `LimitExceeded` on `key` when there are too many different values; `Corrupted` or `Io`.
pub fn facets(
    view: &View,
    filter: &Filter,
    (path, limit): (&FieldPath, usize),
    bytes_max: usize,
    deadline: Option<Instant>,
) -> Result<Vec<(Scalar, usize)>> {
    let watch = Watch::until(deadline);
    let matching = Matching::new(view, filter, &watch)?.all()?;
    let known = view.fields.counts(path, &matching, bytes_max);
    let mut found = known.unwrap_or_else(|| Counts { rest: matching, ..Counts::default() });
    let rest: Vec<Slot> = found.rest.iter().map(Slot).collect();
    let (pace, mut rest) = (Pace::default(), &rest[..]);
    check_bytes(found.bytes, bytes_max)?;
    while let Some(block) = pace.block(&mut rest)
        && watch.has_time()
    {
        let payloads = view.payloads(block)?;
        pace.took(&payloads);
        for payload in &payloads {
            let mut values = scalars(path, payload);
            values.sort_unstable();
            values.dedup();
            values.into_iter().for_each(|value| found.add(value, 1));
        }
        check_bytes(found.bytes, bytes_max)?;
    }
    watch.verdict()?;
    let has_uuids = view.entry.schema.fields.get(path) == Some(&FieldKind::Uuid);
    let counts = found.counts.into_iter();
    let mut counts: Vec<(Scalar, usize)> = if has_uuids { joined(counts) } else { counts.collect() };
    counts.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
    counts.truncate(limit);
    Ok(counts)
}

/// Counts of values, of which the spellings of a UUID are one.
fn joined(counts: impl Iterator<Item = (Scalar, usize)>) -> Vec<(Scalar, usize)> {
    let mut joined: BTreeMap<Scalar, usize> = BTreeMap::new();
    for (value, count) in counts {
        let value = match value {
            Scalar::Str(text) => Scalar::Str(uuids::canonical(&text).unwrap_or(text)),
            other => other,
        };
        *joined.entry(value).or_default() += count;
    }
    joined.into_iter().collect()
}

fn check_bytes(bytes: usize, bytes_max: usize) -> Result<()> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let what = "the size in bytes (answer_bytes_max) of the different values, which a filter can make fewer,";
    Err(Error::limit("key", what, bytes, bytes_max))
}
