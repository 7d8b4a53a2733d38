//! What a filter matches, found on one view and carried to a later one of the same collection: a writer need not look
//! at everything while others wait.
//!
//! Invariant: a version never changes, and each is larger than those before it. Of the versions of a view a later one
//! shows some, and beside them only larger ones. So what matched and is still there matches, and of all else the larger
//! ones alone are looked at. What a filter means is in the schema: under another one nothing is carried.
//! Cost: 8 bytes for each point that matches; on the later view a look-up of each, and the payloads of what came in
//! between.

use std::sync::Arc;
use std::time::Instant;

use storage::CatalogEntry;
use types::{Filter, Result, Slot, Version};

use crate::View;
use crate::execute::watch::Watch;
use crate::matching::Matching;
use crate::pace::Pace;

/// The points of a view that a filter matched.
pub struct Matched {
    entry: Arc<CatalogEntry>,
    versions: Vec<Version>,
    /// The largest version of the view.
    newest: Option<Version>,
}

/// Whether indexes alone say what a filter matches; until a deadline, if there is one.
///
/// # Errors
/// `DeadlineExceeded`; `Corrupted` or `Io`.
pub fn is_decided_by_indexes(view: &View, filter: &Filter, deadline: Option<Instant>) -> Result<bool> {
    let watch = Watch::until(deadline);
    let is_exact = Matching::new(view, filter, &watch)?.is_exact();
    watch.verdict()?;
    Ok(is_exact)
}

/// What a filter matches, unless these are more than so many points; until a deadline, if there is one.
///
/// # Errors
/// `DeadlineExceeded`; `Corrupted` or `Io`.
pub fn matched(
    view: &View,
    filter: &Filter,
    most: usize,
    deadline: Option<Instant>,
) -> Result<Option<Matched>> {
    let watch = Watch::until(deadline);
    let slots = Matching::new(view, filter, &watch)?.all()?;
    watch.verdict()?;
    if slots.len() > most as u64 {
        return Ok(None);
    }
    let version = |slot: u32| view.rows.version(Slot(slot));
    let versions = slots.iter().filter_map(version).collect();
    // Versions ascend with their slots.
    let newest = view.universe().max().and_then(version);
    Ok(Some(Matched { entry: Arc::clone(&view.entry), versions, newest }))
}

impl Matched {
    /// How many points matched.
    pub fn points(&self) -> usize {
        self.versions.len()
    }

    /// The slots of a later view that the same filter matches, in no order; `end` is above every version there. Nothing
    /// where the schema is another one: then all has to be looked at. Until a deadline, if there is one.
    ///
    /// # Errors
    /// `DeadlineExceeded`; `Corrupted` or `Io`.
    pub fn at(
        &self,
        view: &View,
        filter: &Filter,
        end: Version,
        deadline: Option<Instant>,
    ) -> Result<Option<Vec<Slot>>> {
        // The same one, and not one alike: a vector may have gone and come back.
        if !Arc::ptr_eq(&self.entry, &view.entry) {
            return Ok(None);
        }
        let watch = Watch::until(deadline);
        let filter = crate::analysed(filter.normalised(), &view.entry.schema);
        let mut slots: Vec<Slot> =
            self.versions.iter().filter_map(|version| view.visible(*version)).collect();
        let first = self.newest.map_or(0, |newest| newest.0 + 1);
        let came: Vec<Slot> = (first..end.0).filter_map(|version| view.visible(Version(version))).collect();
        let (pace, mut rest) = (Pace::default(), &came[..]);
        while let Some(block) = pace.block(&mut rest)
            && watch.has_time()
        {
            let holds = view.verify(&filter, block, &pace)?;
            slots.extend(block.iter().zip(holds).filter_map(|(slot, holds)| holds.then_some(*slot)));
        }
        watch.verdict()?;
        Ok(Some(slots))
    }
}
