//! What a reader searches: one commit, what was removed since, and the tail of documents after it, as they stood when
//! it was published.
//!
//! A document has the same score before and after its commit, up to rounding: see [`statistics`](super::statistics).
//! Plain words are searched with [pruning](super::pruned), very many of them in [windows](super::windows), everything
//! else by a [walk](super::walk), and the tail by all of its postings.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use roaring::RoaringBitmap;
use types::{KeywordQuery, Result, Slot, Version};

use super::asked::{Asked, Group, Kind, kinds};
use super::best::{Best, Scored};
use super::clock::Clock;
use super::committed::Committed;
use super::layout::{Column, Layout};
use super::marks::Marker;
use super::removed::Removed;
use super::statistics::Statistics;
use super::tail::TailBlock;
use super::windows::PRUNED_WORDS_MAX;
use super::words::Analysis;
use crate::{Alive, Gauge, Rows};

/// The keyword index as of one publication. Cheap to clone; never changes.
#[derive(Clone)]
pub struct KeywordView(pub(super) Arc<Snapshot>);

pub(super) struct Snapshot {
    pub(super) committed: Arc<Committed>,
    pub(super) tail: Vec<Arc<TailBlock>>,
    pub(super) removed: Vec<Arc<Removed>>,
    pub(super) layout: Arc<Layout>,
    pub(super) analysis: Analysis,
    statistics: OnceLock<Statistics>,
}

/// The slot of a version that the search may show.
pub(super) type Find<'a> = dyn Fn(Version) -> Option<Slot> + 'a;

impl KeywordView {
    /// The `k` best documents that have what the query asks for, are alive and, if `accept` is given, in it;
    /// sorted by (score descending, slot). `rows` are those that the slots of `alive` and `accept` mean.
    ///
    /// # Errors
    /// When the index on disk cannot be read.
    pub fn search(
        &self,
        query: &KeywordQuery,
        rows: &Rows,
        alive: &Alive,
        accept: Option<&RoaringBitmap>,
        k: usize,
    ) -> Result<Vec<Scored>> {
        self.search_within(query, (rows, alive), (accept, k), &Gauge::default())
    }

    /// As [`search`](Self::search), as long as there is time: the best of the documents that were looked at until then.
    /// Work is counted only where it was not enough.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub fn search_within(
        &self,
        query: &KeywordQuery,
        (rows, alive): (&Rows, &Alive),
        (accept, k): (Option<&RoaringBitmap>, usize),
        gauge: &Gauge<'_>,
    ) -> Result<Vec<Scored>> {
        let (snapshot, clock) = (&*self.0, Clock::new(gauge));
        let readers = snapshot.committed.searcher.segment_readers();
        let documents: u64 = readers.iter().map(|reader| u64::from(reader.max_doc())).sum();
        let asked = Asked::of(query, snapshot, &clock)?;
        if clock.is_over() {
            clock.stop(documents);
            return Ok(Vec::new());
        }
        let is_missing = |group: &Group| group.frequency == 0 && matches!(group.kind, Kind::Terms(_));
        let is_vain = asked.is_all && asked.groups.iter().any(is_missing);
        if asked.groups.is_empty() || k == 0 || is_vain {
            return Ok(Vec::new());
        }
        let shows = |slot: Slot| accept.is_none_or(|accept| accept.contains(slot.0)) && alive.contains(slot);
        let find = |version: Version| rows.slot_of(version).filter(|slot| shows(*slot));
        let mut best = Best::new(k);
        snapshot.search_tail(&asked, &find, &mut best, &clock);
        match asked.plain() {
            Some(plain) if plain.len() <= PRUNED_WORDS_MAX => {
                snapshot.search_pruned(&asked, &plain, &find, &mut best, &clock)?;
            }
            Some(plain) if !asked.is_all => {
                snapshot.search_windows(&asked, &plain, &find, &mut best, &clock)?;
            }
            _ => snapshot.search_walking(&asked, &find, &mut best, &clock)?,
        }
        clock.stop(documents);
        Ok(best.into_sorted())
    }

    /// The score that no document can exceed: everything that is asked for as often as can be in a document without
    /// length. Terms of no document count, as the rarest.
    ///
    /// # Errors
    /// When the index on disk cannot be read.
    pub fn attainable(&self, query: &KeywordQuery) -> Result<f32> {
        let gauge = Gauge::default();
        let asked = Asked::of(query, &self.0, &Clock::new(&gauge))?;
        Ok(asked.groups.iter().map(|group| group.bound).sum())
    }

    /// This view as it was before these versions came and those went: neither count in statistics that way round.
    /// What went must have gone since the commit that it shows.
    #[must_use]
    pub fn before(&self, came: Range<Version>, went: &HashSet<Version>) -> Self {
        let Snapshot { committed, tail, removed, layout, analysis, .. } = &*self.0;
        let gone = removed.iter().flat_map(|block| block.versions()).copied();
        let gone = gone.filter(|version| !went.contains(version) && *version < came.start);
        let gone: Vec<Version> = gone.chain((came.start.0..came.end.0).map(Version)).collect();
        let (committed, tail) = (Arc::clone(committed), tail.clone());
        let removed = vec![Arc::new(Removed::of(gone))];
        Self(Arc::new(Snapshot::new(committed, tail, removed, Arc::clone(layout), analysis.clone())))
    }

    /// Whether both show the same commit of the index, and differ at most in what came after it.
    pub fn is_of_same_commit(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.committed, &other.0.committed)
    }

    /// What finds the words of a query in texts.
    ///
    /// # Errors
    /// When the index on disk cannot be read.
    pub fn marker(&self, query: &KeywordQuery) -> Result<Marker> {
        let gauge = Gauge::default();
        Ok(Marker::new(kinds(query, &self.0, &Clock::new(&gauge))?, self.0.analysis.clone()))
    }
}

impl Snapshot {
    pub(super) fn new(
        committed: Arc<Committed>,
        tail: Vec<Arc<TailBlock>>,
        removed: Vec<Arc<Removed>>,
        layout: Arc<Layout>,
        analysis: Analysis,
    ) -> Self {
        Self { committed, tail, removed, layout, analysis, statistics: OnceLock::new() }
    }

    /// Counted when they are first asked for.
    pub(super) fn statistics(&self) -> Result<&Statistics> {
        match self.statistics.get() {
            Some(statistics) => Ok(statistics),
            None => {
                let counted = Statistics::of(self)?;
                Ok(self.statistics.get_or_init(|| counted))
            }
        }
    }

    fn search_tail(&self, asked: &Asked, find: &Find<'_>, best: &mut Best, clock: &Clock<'_>) {
        for block in &self.tail {
            let mut scores = HashMap::<u32, (f32, usize)>::new();
            for group in &asked.groups {
                if !clock.ticks() {
                    return;
                }
                for (document, frequency) in block.frequencies(&group.kind, &asked.columns) {
                    let score = asked.score(group, frequency, block.weighed_length(document, &asked.columns));
                    let entry = scores.entry(document).or_default();
                    *entry = (entry.0 + score, entry.1 + 1);
                }
            }
            for (document, (score, groups)) in scores {
                if !asked.is_all || groups == asked.groups.len() {
                    best.offer_found(score, || find(block.version(document)));
                }
            }
        }
    }
}

impl TailBlock {
    /// How often something stands in each document that has it, weighted.
    fn frequencies(&self, kind: &Kind, columns: &[(Column, f32)]) -> HashMap<u32, f32> {
        let mut frequencies = HashMap::<u32, f32>::new();
        for (column, weight) in columns {
            match kind {
                Kind::Terms(terms) => {
                    for (term, of_term) in terms {
                        for posting in self.postings(*column, term) {
                            let frequency = frequencies.entry(posting.document).or_default();
                            *frequency += weight * of_term * posting.count as f32;
                        }
                    }
                }
                Kind::Phrase(phrase) => {
                    let first = phrase.terms.first().map_or(&[][..], |term| self.postings(*column, term));
                    for document in first.iter().map(|posting| posting.document) {
                        let positions = |term: &Arc<str>| {
                            let postings = self.postings(*column, term);
                            let at = postings.binary_search_by_key(&document, |other| other.document).ok()?;
                            Some(self.positions(&postings[at]).to_vec())
                        };
                        let positions: Option<Vec<Vec<u32>>> = phrase.terms.iter().map(positions).collect();
                        let count = positions.map_or(0, |positions| phrase.count(&positions));
                        if count > 0 {
                            *frequencies.entry(document).or_default() += weight * count as f32;
                        }
                    }
                }
            }
        }
        frequencies
    }

    /// The length of a document, weighted.
    fn weighed_length(&self, document: u32, columns: &[(Column, f32)]) -> f32 {
        let length = |(column, weight): &(Column, f32)| weight * self.length(document, *column) as f32;
        columns.iter().map(length).sum()
    }
}
