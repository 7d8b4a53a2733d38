//! Plain words over a commit: tantivy's block-max search (Ding, Suel 2011), which skips blocks of documents that cannot
//! be among the best, also under a filter: it is tested document by document where the score is high enough.
//!
//! tantivy scores by lengths that are rounded down to a byte, so what it finds a document to be worth is a bound: the
//! longer a document, the less it scores. With its length r rounded and l as it is, at least the share R(r) / R(l) of
//! the bound is left, where R is what a length adds to the denominator. So the k-th best of these least scores is a
//! threshold that no document among the best falls below, and those whose bounds exceed it are few more than k: these
//! are scored exactly, by the same formula as everywhere else, from postings that are read once more. Lengths of up to
//! 40 are not rounded: then the bound is the score.
//!
//! A block's bound is the score of that frequency and length of it that were best by the mean length s of the segment
//! when it was written; scores are made with the mean a of the view. From the one mean to the other the part of the
//! denominator that lengths decide changes at most by the factor max(a/s, s/a), so no score in a block exceeds its
//! bound divided by q = min(a/s, s/a). Likewise the bound of a whole list is that of a document of endless length,
//! which one whose length was rounded down (by an eighth at most) exceeds a little. So searching with the threshold
//! times q misses nothing.
//!
//! Cost: beside the block-max search, a look at a length for each document that it offers, and a seek in each list for
//! each of the few that are left and longer.

use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::Postings;
use tantivy::query::{Bm25StatisticsProvider, BooleanQuery, EnableScoring, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, SegmentReader, Term};
use types::{Result, Slot, Version};

use super::asked::{Asked, B, K1};
use super::best::{Best, Scored};
use super::clock::Clock;
use super::failure::failure;
use super::view::{Find, Snapshot};
use super::walk::read;

/// Against rounding.
const SLACK: f32 = 0.9999;

/// The most that a length loses when it is rounded down to a byte.
const ROUNDING: f32 = 1.0 / 8.0;

/// Fewer candidates than these are not worth a look at which of them may go.
const CANDIDATES_MIN: usize = 1024;

/// A document that may be among the best.
struct Candidate {
    /// The place of its segment.
    segment: usize,
    doc: DocId,
    slot: Slot,
    /// By its rounded length.
    score: f32,
    /// Whether its length is the rounded one.
    is_exact: bool,
}

/// Documents that may be among the best, in the order in which they stand.
struct Candidates {
    found: Vec<Candidate>,
    /// The best by what they score at least.
    least: Best,
    /// At so many, those that cannot be among the best any more are sorted out.
    full: usize,
}

/// The statistics of a view, as tantivy asks for them.
struct Known {
    tokens: u64,
    documents: u64,
    frequencies: Vec<(Term, u64)>,
}

impl Snapshot {
    /// Offers the best documents of the commit that have any of the terms, or all.
    pub(super) fn search_pruned(
        &self,
        asked: &Asked,
        terms: &[(&Arc<str>, u64)],
        find: &Find<'_>,
        best: &mut Best,
        clock: &Clock<'_>,
    ) -> Result<()> {
        let statistics = self.statistics()?;
        let frequencies = terms.iter().map(|(term, frequency)| (self.layout.term(0, term), *frequency));
        let known = Known {
            tokens: statistics.tokens(0),
            documents: statistics.documents,
            frequencies: frequencies.collect(),
        };
        let searcher = &self.committed.searcher;
        let scoring = EnableScoring::enabled_from_statistics_provider(&known, searcher);
        let weight = known.query(asked.is_all).weight(scoring).map_err(failure)?;
        let mut candidates = Candidates::beside(best);
        let segments = searcher.segment_readers().iter().zip(&self.committed.segments);
        for (at, (reader, segment)) in segments.enumerate() {
            if !clock.has_time() {
                break;
            }
            let share = self.bound_share(reader)? * SLACK;
            let threshold = |candidates: &Candidates| match candidates.least.threshold() {
                least if least > 0.0 => least / asked.boost * share,
                least => least,
            };
            let lengths = segment.lengths(0);
            let (first, mut reached) = (threshold(&candidates), 0);
            let mut offer = |doc: DocId, rounded: f32| {
                reached = doc;
                if !clock.ticks() {
                    // Which none exceeds: that is the end.
                    return f32::MAX;
                }
                let score = rounded * asked.boost;
                if score > candidates.least.threshold() * SLACK
                    && let Some(slot) = segment.versions.first(doc).and_then(|version| find(Version(version)))
                {
                    let share = share_left(asked, lengths[doc as usize]);
                    let candidate = Candidate { segment: at, doc, slot, score, is_exact: share >= 1.0 };
                    candidates.add(candidate, score * SLACK * share);
                }
                threshold(&candidates)
            };
            weight.for_each_pruning(first, reader, &mut offer).map_err(failure)?;
            clock.pass(if clock.is_over() { reached } else { reader.max_doc() });
        }
        candidates.sort_out();
        let (exact, rounded): (Vec<Candidate>, Vec<Candidate>) =
            candidates.found.into_iter().partition(|candidate| candidate.is_exact);
        for Candidate { slot, score, .. } in exact {
            best.offer(Scored { slot, score });
        }
        self.score_exactly(asked, terms, &rounded, best)
    }

    /// Offers candidates with the scores that they have by their lengths as they are.
    fn score_exactly(
        &self,
        asked: &Asked,
        terms: &[(&Arc<str>, u64)],
        candidates: &[Candidate],
        best: &mut Best,
    ) -> Result<()> {
        for candidates in candidates.chunk_by(|a, b| a.segment == b.segment) {
            let at = candidates[0].segment;
            let reader = &self.committed.searcher.segment_readers()[at];
            let lengths = self.committed.segments[at].lengths(0);
            let mut lists = Vec::with_capacity(terms.len());
            for (group, (term, _)) in asked.groups.iter().zip(terms) {
                let postings = read(reader, &self.layout, 0, term, IndexRecordOption::WithFreqs)?;
                lists.extend(postings.map(|postings| (group, postings)));
            }
            for candidate in candidates {
                let length = lengths[candidate.doc as usize] as f32;
                let mut score = 0.0;
                for (group, postings) in &mut lists {
                    if postings.doc() < candidate.doc {
                        postings.seek(candidate.doc);
                    }
                    if postings.doc() == candidate.doc {
                        score += asked.score(group, postings.term_freq() as f32, length);
                    }
                }
                best.offer(Scored { slot: candidate.slot, score });
            }
        }
        Ok(())
    }

    /// The least that a bound of a segment's is, as a share of the scores that it bounds.
    fn bound_share(&self, reader: &SegmentReader) -> Result<f32> {
        let mean = self.statistics()?.mean(0);
        let terms = reader.inverted_index(self.layout.texts[0]).map_err(failure)?;
        let written = terms.total_num_tokens() as f32 / reader.max_doc() as f32;
        let by_length = K1 * B / mean;
        let rounded = (1.0 + by_length * (1.0 - ROUNDING)) / (1.0 + by_length);
        Ok((written / mean).min(mean / written).min(rounded))
    }
}

impl Candidates {
    /// None yet, beside those that are the best so far.
    fn beside(best: &Best) -> Self {
        Self { found: Vec::new(), least: best.clone(), full: CANDIDATES_MIN }
    }

    /// Adds one that scores at least so much.
    fn add(&mut self, candidate: Candidate, least: f32) {
        self.least.offer(Scored { slot: candidate.slot, score: least });
        self.found.push(candidate);
        if self.found.len() >= self.full {
            self.sort_out();
            self.full = CANDIDATES_MIN.max(2 * self.found.len());
        }
    }

    fn sort_out(&mut self) {
        let threshold = self.least.threshold() * SLACK;
        self.found.retain(|candidate| candidate.score > threshold);
    }
}

/// What is left, at least, of a score by a rounded length when the length is what it is.
fn share_left(asked: &Asked, length: u32) -> f32 {
    let rounded = FieldNormReader::id_to_fieldnorm(FieldNormReader::fieldnorm_to_id(length));
    asked.rest(rounded as f32) / asked.rest(length as f32)
}

impl Known {
    fn query(&self, is_all: bool) -> Box<dyn Query> {
        let word = |(term, _): &(Term, u64)| -> Box<dyn Query> {
            Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs))
        };
        let mut words: Vec<Box<dyn Query>> = self.frequencies.iter().map(word).collect();
        match words.pop() {
            Some(only) if words.is_empty() => only,
            last => {
                let words = words.into_iter().chain(last).collect();
                Box::new(if is_all { BooleanQuery::intersection(words) } else { BooleanQuery::union(words) })
            }
        }
    }
}

impl Bm25StatisticsProvider for Known {
    fn total_num_tokens(&self, _field: Field) -> tantivy::Result<u64> {
        Ok(self.tokens)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.documents)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let known = self.frequencies.iter().find(|(other, _)| other == term);
        Ok(known.map_or(0, |(_, frequency)| *frequency))
    }
}
