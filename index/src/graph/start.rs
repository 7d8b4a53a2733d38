//! Building on a graph that is there already: the largest of those that are merged, or one whose dead rows go.
//!
//! Rows that stay keep their links. One that was linked to a row that goes is linked on to what that row was linked to,
//! as far as it is near and in another direction, so that no hole is left where many rows go. Then the other rows join
//! as in any build.
//!
//! Cost: the rows that stay cost nothing but the copy of their links, and a choice of links where some are lost.
//! Source: the deletion of FreshDiskANN (Singh et al. 2021).

use super::build::{Builder, measure, write};
use super::prune::Pruner;
use super::{Bits, LINK_NONE};
use crate::kernels::{Kernel, Task, run};

/// A graph to build on.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// Its links, so many for each of its rows.
    pub links: &'a [u32],
    /// How many.
    pub degree: usize,
    /// What each of its rows becomes, ascending; [`LINK_NONE`] for one that goes.
    pub becomes: Vec<u32>,
}

impl Start<'_> {
    /// The rows that it becomes, of so many.
    pub(super) fn known(&self, rows: u32) -> Bits {
        Bits::of(rows, self.becomes.iter().copied().filter(|row| *row < rows))
    }

    fn links_of(&self, row: u32) -> &[u32] {
        let at = row as usize * self.degree;
        let links = self.links.get(at..at + self.degree).unwrap_or_default();
        &links[..links.iter().position(|link| *link == LINK_NONE).unwrap_or(links.len())]
    }

    fn becomes(&self, row: u32) -> Option<u32> {
        self.becomes.get(row as usize).copied().filter(|row| *row != LINK_NONE)
    }

    /// Writes the links of the rows that stay, on all threads. `links` has `room` for each row.
    pub(super) fn carry(&self, builder: &Builder<'_>, links: &mut [u32]) {
        let stays = (0_u32..).zip(&self.becomes).filter(|(_, new)| **new != LINK_NONE);
        let stays: Vec<(u32, u32)> = stays.map(|(old, new)| (old, *new)).collect();
        let part = stays.len().div_ceil(builder.options.threads.max(1)).max(1);
        let (mut rest, mut first) = (links, 0);
        std::thread::scope(|scope| {
            for rows in stays.chunks(part) {
                let end = rows[rows.len() - 1].1 as usize + 1;
                let (own, others) = std::mem::take(&mut rest).split_at_mut((end - first) * builder.room);
                let task = Carry { start: self, builder, links: own, first, rows };
                scope.spawn(move || run(builder.isa, task));
                (rest, first) = (others, end);
            }
        });
    }
}

/// Carries the links of some rows.
struct Carry<'c, 'a> {
    start: &'c Start<'c>,
    builder: &'c Builder<'a>,
    /// Of rows from `first` on.
    links: &'c mut [u32],
    first: usize,
    /// What they were and what they become.
    rows: &'c [(u32, u32)],
}

impl Task for Carry<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) {
        let (room, degree) = (self.builder.room, self.builder.options.degree);
        let (mut pruner, mut pairs) = (Pruner::new(), self.builder.pairs());
        let (mut kept, mut near, mut chosen) = (Vec::new(), Vec::new(), Vec::new());
        for &(old, new) in self.rows {
            let is_whole = self.start.led_on(old, new, &mut kept);
            let links = &mut self.links[(new as usize - self.first) * room..][..room];
            if is_whole && kept.len() <= room {
                write(links, &kept);
                continue;
            }
            measure(kernel, &mut pairs, new, kept.iter(), &mut near);
            pruner.choose(kernel, &mut pairs, &mut near, degree, &mut chosen);
            write(links, &chosen);
        }
    }
}

impl Start<'_> {
    /// The links of a row that stays, as they become; for each that goes, what it was linked to. Whether none goes.
    fn led_on(&self, old: u32, new: u32, kept: &mut Vec<u32>) -> bool {
        kept.clear();
        let mut is_whole = true;
        for link in self.links_of(old) {
            if let Some(link) = self.becomes(*link) {
                kept.push(link);
                continue;
            }
            is_whole = false;
            kept.extend(self.links_of(*link).iter().filter_map(|further| self.becomes(*further)));
        }
        if !is_whole {
            kept.sort_unstable();
            kept.dedup();
            kept.retain(|link| *link != new);
        }
        is_whole
    }
}
