//! Recall drift: every point is replaced once by another of the same set, then half of all are deleted. Recall of the
//! graph is taken after each step: at once, when the background has nothing more to do, and as one new segment.

use std::collections::HashSet;
use std::time::Duration;

use kithdb::{PointId, Result};

use super::bench::{Bench, shuffle};
use super::states::States;
use super::traffic::{write_row, writes_table};
use super::writers::UPSERT_POINTS;
use crate::clusters::Random;
use crate::figures::Timings;

/// Tables of the states and of the writes between them.
///
/// # Errors
/// What the database returns.
pub(super) fn measure(bench: &Bench<'_>, rest: Duration) -> Result<Vec<String>> {
    let mut random = Random::new(0x7475_726e);
    let mut states = States::new(bench)?;
    let mut ids: Vec<usize> = (0..bench.rows).collect();
    let mut alive: HashSet<PointId> = ids.iter().map(|id| PointId::from(*id as u64)).collect();
    states.add("loaded", &alive)?;
    states.add_optimised("loaded", &alive)?;

    let mut others = ids.clone();
    shuffle(&mut others, &mut random);
    shuffle(&mut ids, &mut random);
    let mut upserts = Timings::default();
    for batch in ids.chunks(UPSERT_POINTS) {
        let points = batch.iter().map(|id| bench.exchanged(*id as u64, others[*id])).collect();
        upserts.time(|| bench.collection.upsert(points))?;
    }
    states.add("replaced", &alive)?;
    states.add_at_rest("replaced", &alive, rest)?;
    states.add_optimised("replaced", &alive)?;

    shuffle(&mut ids, &mut random);
    let deleted = &ids[..ids.len() / 2];
    let mut deletes = Timings::default();
    for batch in deleted.chunks(UPSERT_POINTS) {
        let batch: Vec<PointId> = batch.iter().map(|id| PointId::from(*id as u64)).collect();
        for id in &batch {
            alive.remove(id);
        }
        deletes.time(|| bench.collection.delete(batch))?;
    }
    states.add("deleted", &alive)?;
    states.add_at_rest("deleted", &alive, rest)?;
    states.add_optimised("deleted", &alive)?;

    let kinds = [
        (format!("upsert of {UPSERT_POINTS} points"), bench.rows, &upserts),
        (format!("delete of {UPSERT_POINTS} points"), deleted.len(), &deletes),
    ];
    let mut table = writes_table();
    for (name, points, timings) in kinds {
        write_row(&mut table, name, points, timings, timings.sum());
    }
    Ok(vec![states.to_text(), table.to_text()])
}
