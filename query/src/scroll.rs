//! Paging through points in the order of their ids.
//!
//! Cost: when much matches, a walk over the stored ids from where the last page ended; when little does, the matching
//! slots are taken from the field indexes and sorted. So are they all when a commit came between: storage holds the
//! newest ids only, and a walk over it would miss points that were deleted after the view.

use std::ops::ControlFlow;
use std::time::Instant;

use types::{Filter, PointId, Result, Slot};

use crate::View;
use crate::execute::watch::Watch;
use crate::matching::Matching;

/// One page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The slots, ascending by id.
    pub slots: Vec<Slot>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<PointId>,
}

/// Below this share of matching points a page is sorted out of the matches instead of walked.
const WALK_SHARE_MIN: f64 = 0.02;

/// So many matches are sorted at least.
const BLOCK_MIN: usize = 1024;

/// The page of at most `limit` points that match, from id `from` on; until a deadline, if there is one.
///
/// # Errors
/// `DeadlineExceeded`; `Corrupted` or `Io`.
pub fn scroll(
    view: &View,
    filter: &Filter,
    (from, limit): (Option<PointId>, usize),
    deadline: Option<Instant>,
) -> Result<Page> {
    let watch = Watch::until(deadline);
    let matching = Matching::new(view, filter, &watch)?;
    let share = matching.estimate().1 as f64 / view.points().max(1) as f64;
    let walked =
        if share < WALK_SHARE_MIN { None } else { walked((view, &watch), &matching, from, limit + 1)? };
    let mut slots = match walked {
        Some(slots) => slots,
        None => sorted((view, &watch), &matching, from, limit + 1)?,
    };
    watch.verdict()?;
    let next = (slots.len() > limit).then(|| slots.pop()).flatten().map(|slot| view.id(slot));
    Ok(Page { slots, next })
}

/// How many points match; until a deadline, if there is one.
///
/// # Errors
/// As for [`scroll`].
pub fn count(view: &View, filter: &Filter, deadline: Option<Instant>) -> Result<usize> {
    let watch = Watch::until(deadline);
    let matching = Matching::new(view, filter, &watch)?;
    let (lower, upper) = matching.estimate();
    let count = if lower == upper { lower } else { matching.all()?.len() as usize };
    watch.verdict()?;
    Ok(count)
}

fn sorted(
    (view, watch): (&View, &Watch),
    matching: &Matching<'_>,
    from: Option<PointId>,
    count: usize,
) -> Result<Vec<Slot>> {
    let slots = matching.accept().unwrap_or_else(|| view.universe());
    let mut found: Vec<(PointId, Slot)> = slots
        .iter()
        .map(|slot| (view.id(Slot(slot)), Slot(slot)))
        .filter(|(id, _)| from.is_none_or(|from| *id >= from))
        .collect();
    // Only as much is sorted as the page needs, and more where payloads refuse some.
    let (mut page, mut block) = (Vec::new(), count.max(BLOCK_MIN));
    while page.len() < count && !found.is_empty() && watch.has_time() {
        let rest = if block < found.len() {
            found.select_nth_unstable(block);
            found.split_off(block)
        } else {
            Vec::new()
        };
        found.sort_unstable();
        let slots = found.into_iter().map(|(_, slot)| slot).collect();
        page.extend(matching.first(slots, |slot| *slot, count - page.len())?);
        (found, block) = (rest, block.saturating_mul(4));
    }
    Ok(page)
}

/// Nothing if storage is ahead of the view.
fn walked(
    (view, watch): (&View, &Watch),
    matching: &Matching<'_>,
    from: Option<PointId>,
    count: usize,
) -> Result<Option<Vec<Slot>>> {
    let (mut found, mut block, mut is_behind) = (Vec::new(), Vec::new(), false);
    view.store.for_each_id(view.entry.id, from, &mut |_, version| {
        let Some(slot) = view.visible(version) else {
            is_behind = true;
            return Ok(ControlFlow::Break(()));
        };
        if matching.accept().is_none_or(|accept| accept.contains(slot.0)) {
            block.push(slot);
        }
        if block.len() >= count.clamp(64, 1024) {
            let more = matching.first(std::mem::take(&mut block), |slot| *slot, count - found.len())?;
            found.extend(more);
        }
        let is_done = found.len() >= count || block.is_empty() && !watch.has_time();
        Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    if is_behind || !view.is_current() {
        return Ok(None);
    }
    let more = matching.first(block, |slot| *slot, count - found.len())?;
    found.extend(more);
    Ok(Some(found))
}
