//! Plain words over a commit: tantivy's block-max search (Ding, Suel 2011), which skips blocks of documents that cannot
//! be among the best, also under a filter: it is tested document by document where the score is high enough.
//!
//! A block's bound is the score of that frequency and length of it that were best by the mean length s of the segment
//! when it was written; scores are made with the mean a of the view. From the one mean to the other the part of the
//! denominator that lengths decide changes at most by the factor max(a/s, s/a), so no score in a block exceeds its
//! bound divided by q = min(a/s, s/a). Likewise the bound of a whole list is that of a document of endless length,
//! which one whose length was rounded down (by an eighth at most) exceeds a little. So searching with the threshold
//! times q misses nothing.

use std::sync::Arc;

use tantivy::query::{Bm25StatisticsProvider, BooleanQuery, EnableScoring, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{SegmentReader, Term};
use types::{Result, Version};

use super::asked::{Asked, B, K1};
use super::best::Best;
use super::failure::failure;
use super::view::{Find, Snapshot};

/// Against rounding.
const SLACK: f32 = 0.9999;

/// The most that a length loses when it is rounded down to a byte.
const ROUNDING: f32 = 1.0 / 8.0;

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
        for (reader, segment) in searcher.segment_readers().iter().zip(&self.committed.segments) {
            let share = self.bound_share(reader)? * SLACK;
            let threshold = |best: &Best| match best.threshold() {
                least if least > 0.0 => least / asked.boost * share,
                least => least,
            };
            let first = threshold(best);
            let mut offer = |doc: u32, score: f32| {
                best.offer_found(score * asked.boost, || find(Version(segment.versions.first(doc)?)));
                threshold(best)
            };
            weight.for_each_pruning(first, reader, &mut offer).map_err(failure)?;
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
