//! The reader: asks all the time, and says so if it is ever shown a point that no step wrote.

use std::time::Duration;

use kithdb::{Database, Point, PointId, Result, Select};

use crate::say;
use crate::script::{COLLECTIONS, Random, point};

/// Between two questions, so that writers have the cores.
const PAUSE: Duration = Duration::from_millis(2);

/// More than there are ids.
const IDS_MAX: u64 = 200;

/// Reads without end.
pub(crate) fn read(db: &Database, seed: u64) -> Result<()> {
    read_times(db, seed, usize::MAX)
}

/// Asks so many questions.
pub(crate) fn read_times(db: &Database, seed: u64, times: usize) -> Result<()> {
    let mut random = Random(seed);
    for _ in 0..times {
        let (id, side) = (random.below(IDS_MAX), random.below(2) as usize);
        let collection = db.collection(COLLECTIONS[side])?;
        let found = collection.get(&[PointId::Num(id)], &Select::all())?;
        let near =
            collection.query().nearest(vec![id as f32; 5]).filter_text("group >= 0")?.limit(3).run()?;
        let near: Vec<PointId> = near.into_iter().map(|hit| hit.id).collect();
        let near = collection.get(&near, &Select::all())?;
        for shown in found.iter().chain(&near).filter(|shown| !is_whole(shown)) {
            say(&format!("fault {shown:?}"));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn is_whole(shown: &Point) -> bool {
    let number = shown.payload.get("number").and_then(kithdb::Value::as_u64);
    matches!((shown.id, number), (PointId::Num(id), Some(number)) if *shown == point(id, number))
}
