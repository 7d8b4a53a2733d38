//! What a reader searches: one commit and the tail of documents after it, as they stood when it was published.
//!
//! Scores are BM25 (Robertson et al. 1994; k1 1.2, b 0.75) with the statistics of commit and tail together, so a
//! document has the same score before and after its commit, up to rounding. As in other engines, removed documents
//! count in the statistics until their segment is merged.
//!
//! The query is a bag of words, each counted once; there is no query syntax. Blocks of documents that cannot reach the
//! k best are skipped, also under a filter: it is tested document by document where the score is high enough
//! (Ding, Suel 2011). Their bounds stem from the segment's own average length; where that differs much from the
//! collection's, a document near the k-th score may be missed.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use roaring::RoaringBitmap;
use tantivy::query::{Bm25StatisticsProvider, Bm25Weight, BooleanQuery, EnableScoring, Query, TermQuery};
use tantivy::schema::Field;
use tantivy::tokenizer::{TextAnalyzer, TokenStream};
use tantivy::{Searcher, Term};
use types::{Result, Slot, Version};

use super::committed::Committed;
use super::failure::failure;
use super::layout::{Layout, RECORD};
use super::tail::TailBlock;
use crate::{Alive, Rows};

/// `k` comes from the user; room for more than this is made only when it is needed.
const ROOM_MAX: usize = 1024;

/// The k1 of tantivy's BM25.
const BM25_K1: f32 = 1.2;

/// The keyword index as of one publication. Cheap to clone; never changes.
#[derive(Clone)]
pub struct KeywordView(pub(super) Arc<Snapshot>);

/// A slot and its score: BM25, or the dot product of sparse vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Where the document's point stands.
    pub slot: Slot,
    /// Larger is better, never 0.
    pub score: f32,
}

pub(super) struct Snapshot {
    pub(super) committed: Arc<Committed>,
    pub(super) tail: Vec<Arc<TailBlock>>,
    pub(super) layout: Layout,
    pub(super) analyzer: TextAnalyzer,
}

impl KeywordView {
    /// The `k` best documents that contain any word of the query, are alive and, if `accept` is given, in it;
    /// sorted by (score descending, slot). `rows` are those that the slots of `alive` and `accept` mean.
    ///
    /// # Errors
    /// When the index on disk cannot be read.
    pub fn search(
        &self,
        query: &str,
        rows: &Rows,
        alive: &Alive,
        accept: Option<&RoaringBitmap>,
        k: usize,
    ) -> Result<Vec<Scored>> {
        let terms = self.terms(query);
        if terms.is_empty() || k == 0 {
            return Ok(Vec::new());
        }
        let shows = |slot: Slot| accept.is_none_or(|accept| accept.contains(slot.0)) && alive.contains(slot);
        let find = |version: Version| rows.slot_of(version).filter(|slot| shows(*slot));
        let mut best = Best::new(k);
        self.0.search_tail(&terms, &find, &mut best)?;
        self.0.search_committed(&terms, &find, &mut best)?;
        Ok(best.into_sorted())
    }

    /// The BM25 score that no document can exceed: every term as often as can be in a document without length. Terms of
    /// no document count, as the rarest.
    ///
    /// # Errors
    /// When the index on disk cannot be read.
    pub fn attainable(&self, query: &str) -> Result<f32> {
        let snapshot = &*self.0;
        let documents = snapshot.total_num_docs().map_err(failure)? as f32;
        let mut sum = 0.0;
        for term in self.terms(query) {
            let holding = snapshot.doc_freq(&snapshot.layout.term(&term)).map_err(failure)? as f32;
            sum += (1.0 + (documents - holding + 0.5) / (holding + 0.5)).ln();
        }
        Ok(sum * (1.0 + BM25_K1))
    }

    /// Whether both show the same commit of the index, and differ at most in what came after it.
    pub fn is_of_same_commit(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.committed, &other.0.committed)
    }

    /// The terms that a query is searched by, in the order of their first occurrence.
    pub fn terms(&self, query: &str) -> Vec<String> {
        let (mut terms, mut seen) = (Vec::new(), HashSet::new());
        self.0.analyzer.clone().token_stream(query).process(&mut |token| {
            if seen.insert(token.text.clone()) {
                terms.push(token.text.clone());
            }
        });
        terms
    }
}

/// The slot of a version that the search may show.
type Find<'a> = dyn Fn(Version) -> Option<Slot> + 'a;

impl Snapshot {
    fn search_tail(&self, terms: &[String], find: &Find<'_>, best: &mut Best) -> Result<()> {
        let mut scores = HashMap::<Version, f32>::new();
        for term in terms.iter().filter(|term| self.tail_frequency(term) > 0) {
            let weight = Bm25Weight::for_terms(self, &[self.layout.term(term)]).map_err(failure)?;
            for posting in self.tail.iter().flat_map(|block| block.postings(term)) {
                let score = weight.score(posting.fieldnorm_id, posting.count);
                *scores.entry(posting.version).or_default() += score;
            }
        }
        for (version, score) in scores {
            best.offer_found(score, || find(version));
        }
        Ok(())
    }

    fn search_committed(&self, terms: &[String], find: &Find<'_>, best: &mut Best) -> Result<()> {
        let searcher = &self.committed.searcher;
        let weight = self
            .query(terms)
            .weight(EnableScoring::enabled_from_statistics_provider(self, searcher))
            .map_err(failure)?;
        for (reader, versions) in searcher.segment_readers().iter().zip(&self.committed.versions) {
            let threshold = best.threshold();
            let mut offer = |doc: u32, score: f32| {
                best.offer_found(score, || find(Version(versions.first(doc)?)));
                best.threshold()
            };
            weight.for_each_pruning(threshold, reader, &mut offer).map_err(failure)?;
        }
        Ok(())
    }

    fn query(&self, terms: &[String]) -> Box<dyn Query> {
        let mut words: Vec<Box<dyn Query>> = Vec::with_capacity(terms.len());
        for term in terms {
            words.push(Box::new(TermQuery::new(self.layout.term(term), RECORD)));
        }
        match words.pop() {
            Some(word) if words.is_empty() => word,
            last => Box::new(BooleanQuery::union(words.into_iter().chain(last).collect())),
        }
    }

    fn tail_frequency(&self, term: &str) -> u64 {
        self.tail.iter().map(|block| block.postings(term).len() as u64).sum()
    }
}

/// Commit and tail together. Neither side subtracts what was removed, so no term is in more documents than exist.
impl Bm25StatisticsProvider for Snapshot {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        let tail: u64 = self.tail.iter().map(|block| block.tokens()).sum();
        Ok(tail + self.committed.searcher.total_num_tokens(field)?)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        let tail: u64 = self.tail.iter().map(|block| block.documents()).sum();
        Ok(tail + self.committed.searcher.total_num_docs()?)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let text = term.value();
        let tail = text.as_str().map_or(0, |text| self.tail_frequency(text));
        Ok(tail + Searcher::doc_freq(&self.committed.searcher, term)?)
    }
}

/// The k best so far: a bounded heap with the worst on top.
struct Best {
    k: usize,
    heap: BinaryHeap<Reverse<Ranked>>,
}

struct Ranked(Scored);

impl Best {
    fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k.min(ROOM_MAX)) }
    }

    fn offer(&mut self, scored: Scored) {
        let offered = Reverse(Ranked(scored));
        if self.heap.len() < self.k {
            self.heap.push(offered);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && offered < *worst
        {
            *worst = offered;
        }
    }

    /// Offers what is found, if its score may be among the best: most documents are never looked up.
    fn offer_found(&mut self, score: f32, find: impl FnOnce() -> Option<Slot>) {
        if score > self.threshold()
            && let Some(slot) = find()
        {
            self.offer(Scored { slot, score });
        }
    }

    /// Scores up to this one need not be offered. Just below the worst kept, whose equals may have a smaller slot.
    fn threshold(&self) -> f32 {
        match self.heap.peek() {
            Some(Reverse(Ranked(worst))) if self.heap.len() >= self.k => worst.score.next_down(),
            _ => f32::MIN,
        }
    }

    fn into_sorted(self) -> Vec<Scored> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked.0).collect()
    }
}

/// The better is the greater.
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.score.total_cmp(&other.0.score).then(other.0.slot.cmp(&self.0.slot))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
