//! Very many plain words over a commit: window by window of documents, and in each window word by word.
//!
//! Where the lists are very many, what they can be worth together exceeds every score: block-max search prunes nothing,
//! and sorts its lists for each document. Here each posting is read once.
//! Cost: that of all postings, a look at each list for each window, and one at each document.

use std::sync::Arc;

use tantivy::DocSet;
use tantivy::postings::Postings;
use tantivy::schema::IndexRecordOption;
use types::{Result, Version};

use super::asked::Asked;
use super::best::Best;
use super::clock::Clock;
use super::view::{Find, Snapshot};
use super::walk::read;

/// With more words than these block-max search is left.
pub(super) const PRUNED_WORDS_MAX: usize = 64;

/// Documents of a window.
const WINDOW: u32 = 4096;

impl Snapshot {
    /// Offers the best documents of the commit that have any of the terms.
    pub(super) fn search_windows(
        &self,
        asked: &Asked,
        terms: &[(&Arc<str>, u64)],
        find: &Find<'_>,
        best: &mut Best,
        clock: &Clock<'_>,
    ) -> Result<()> {
        let mut scores: Vec<Option<f32>> = vec![None; WINDOW as usize];
        let readers = self.committed.searcher.segment_readers();
        for (reader, segment) in readers.iter().zip(&self.committed.segments) {
            let mut lists = Vec::with_capacity(terms.len());
            for (group, (term, _)) in asked.groups.iter().zip(terms) {
                if !clock.ticks() {
                    return Ok(());
                }
                let postings = read(reader, &self.layout, 0, term, IndexRecordOption::WithFreqs)?;
                lists.extend(postings.map(|postings| (group, postings)));
            }
            let lengths = segment.lengths(0);
            let mut start = 0;
            while start < reader.max_doc() {
                let end = reader.max_doc().min(start.saturating_add(WINDOW));
                for (group, postings) in &mut lists {
                    if !clock.ticks() {
                        return Ok(());
                    }
                    // At their end they stand behind every document.
                    while postings.doc() < end {
                        let doc = postings.doc();
                        let (frequency, length) = (postings.term_freq() as f32, lengths[doc as usize] as f32);
                        let score = &mut scores[(doc - start) as usize];
                        *score = Some(score.unwrap_or_default() + asked.score(group, frequency, length));
                        postings.advance();
                    }
                }
                for (doc, score) in (start..end).zip(&mut scores) {
                    if let Some(score) = score.take() {
                        best.offer_found(score, || find(Version(segment.versions.first(doc)?)));
                    }
                }
                clock.pass(end - start);
                start = end;
            }
        }
        Ok(())
    }
}
