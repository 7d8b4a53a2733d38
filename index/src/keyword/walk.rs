//! Any question over a commit, document by document: fields with weights, phrases, words that stand for several terms.
//!
//! Groups that are in sum too rare in worth to lift a document above the threshold lead to none (MaxScore; Turtle,
//! Flood 1995): they are only looked up for documents that the others have. Blocks are not skipped by their maxima.

use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED};
use types::{Result, Version};

use super::asked::{Asked, Group, Kind};
use super::best::Best;
use super::clock::Clock;
use super::failure::{failure, unread};
use super::layout::{Column, Layout};
use super::phrase::Phrase;
use super::view::{Find, Snapshot};

/// Against rounding.
const SLACK: f32 = 1.0001;

/// A group in one segment.
struct Walker<'a> {
    group: &'a Group,
    cursors: Vec<Cursor<'a>>,
}

/// A term or a phrase in one column.
struct Cursor<'a> {
    source: Source<'a>,
    weight: f32,
}

enum Source<'a> {
    Term(Box<SegmentPostings>),
    Phrase(PhraseDocs<'a>),
}

/// The documents that have a phrase.
struct PhraseDocs<'a> {
    phrase: &'a Phrase,
    postings: Vec<SegmentPostings>,
    positions: Vec<Vec<u32>>,
    doc: DocId,
    count: u32,
    clock: &'a Clock<'a>,
}

impl Snapshot {
    /// Offers the best documents of the commit.
    pub(super) fn search_walking(
        &self,
        asked: &Asked,
        find: &Find<'_>,
        best: &mut Best,
        clock: &Clock<'_>,
    ) -> Result<()> {
        let readers = self.committed.searcher.segment_readers();
        for (reader, segment) in readers.iter().zip(&self.committed.segments) {
            let mut walkers = Vec::with_capacity(asked.groups.len());
            for group in &asked.groups {
                if !clock.ticks() {
                    return Ok(());
                }
                walkers.push(Walker::new(group, asked, (reader, &*self.layout), clock)?);
            }
            // The most worth first.
            walkers.sort_by(|a, b| b.group.bound.total_cmp(&a.group.bound));
            let lengths = asked.columns.iter().map(|(column, weight)| (segment.lengths(*column), *weight));
            let mut walk = Walk { asked, walkers, lengths: lengths.collect(), clock };
            let mut offer = |doc: DocId, score: f32| {
                best.offer_found(score, || find(Version(segment.versions.first(doc)?)));
                best.threshold()
            };
            let end = if asked.is_all { walk.all(&mut offer) } else { walk.any(&mut offer) };
            // Phrases that were not looked for to the end have no documents.
            if end < TERMINATED || !clock.is_over() {
                clock.pass(end.min(reader.max_doc()));
            }
        }
        Ok(())
    }
}

/// A walk over one segment.
struct Walk<'a> {
    asked: &'a Asked,
    walkers: Vec<Walker<'a>>,
    /// Of all documents, by column.
    lengths: Vec<(&'a [u32], f32)>,
    clock: &'a Clock<'a>,
}

/// Takes a document and its score, gives the score that the next must exceed.
type Offer<'a> = dyn FnMut(DocId, f32) -> f32 + 'a;

impl Walk<'_> {
    /// Documents with any group. The document before which it ended.
    fn any(&mut self, offer: &mut Offer<'_>) -> DocId {
        // What the groups from each one on can be worth together.
        let mut worth: Vec<f32> = self.walkers.iter().map(|walker| walker.group.bound * SLACK).collect();
        (0..worth.len().saturating_sub(1)).rev().for_each(|at| worth[at] += worth[at + 1]);
        let (mut threshold, mut leading) = (f32::MIN, worth.len());
        loop {
            while leading > 0 && worth[leading - 1] <= threshold {
                leading -= 1;
            }
            let doc = self.walkers[..leading].iter().map(Walker::doc).min().unwrap_or(TERMINATED);
            if doc == TERMINATED {
                return TERMINATED;
            }
            for walker in &mut self.walkers {
                walker.seek(doc);
            }
            // Phrases that were not looked for to the end are missing in the score.
            if !self.clock.ticks() {
                return doc;
            }
            threshold = offer(doc, self.score(doc));
            for walker in &mut self.walkers[..leading] {
                walker.seek(doc + 1);
            }
        }
    }

    /// Documents with all groups. The document before which it ended.
    fn all(&mut self, offer: &mut Offer<'_>) -> DocId {
        let worth = self.walkers.iter().map(|walker| walker.group.bound).sum::<f32>() * SLACK;
        let (mut threshold, mut doc) = (f32::MIN, 0);
        while worth > threshold {
            let mut next = doc;
            for walker in &mut self.walkers {
                walker.seek(next);
                next = next.max(walker.doc());
            }
            if next == TERMINATED {
                return TERMINATED;
            }
            if !self.clock.ticks() {
                return doc;
            }
            if self.walkers.iter().all(|walker| walker.doc() == next) {
                threshold = offer(next, self.score(next));
                next += 1;
            }
            doc = next;
        }
        TERMINATED
    }

    fn score(&mut self, doc: DocId) -> f32 {
        let length = self.lengths.iter().map(|(lengths, weight)| weight * lengths[doc as usize] as f32).sum();
        let mut score = 0.0;
        for walker in &mut self.walkers {
            let frequency = walker.frequency(doc);
            if frequency > 0.0 {
                score += self.asked.score(walker.group, frequency, length);
            }
        }
        score
    }
}

impl<'a> Walker<'a> {
    fn new(
        group: &'a Group,
        asked: &Asked,
        (reader, layout): (&SegmentReader, &Layout),
        clock: &'a Clock<'a>,
    ) -> Result<Self> {
        let mut cursors = Vec::new();
        for (column, weight) in &asked.columns {
            let read = |term: &str, record| read(reader, layout, *column, term, record);
            match &group.kind {
                Kind::Terms(terms) => {
                    for (term, of_term) in terms {
                        let postings = read(term, IndexRecordOption::WithFreqs)?;
                        let source = |postings| Source::Term(Box::new(postings));
                        let cursor = |postings| Cursor { source: source(postings), weight: weight * of_term };
                        cursors.extend(postings.map(cursor));
                    }
                }
                Kind::Phrase(phrase) => {
                    let positions = IndexRecordOption::WithFreqsAndPositions;
                    let postings = phrase.terms.iter().map(|term| read(term, positions));
                    let postings: Option<Vec<SegmentPostings>> = postings.collect::<Result<_>>()?;
                    let source = |postings| Source::Phrase(PhraseDocs::new(phrase, postings, clock));
                    cursors.extend(
                        postings.map(|postings| Cursor { source: source(postings), weight: *weight }),
                    );
                }
            }
        }
        Ok(Self { group, cursors })
    }

    fn doc(&self) -> DocId {
        self.cursors.iter().map(Cursor::doc).min().unwrap_or(TERMINATED)
    }

    /// Goes on to the first document from `target` on that has it.
    fn seek(&mut self, target: DocId) {
        self.cursors.iter_mut().filter(|cursor| cursor.doc() < target).for_each(|cursor| cursor.seek(target));
    }

    /// How often it stands in the document, weighted.
    fn frequency(&self, doc: DocId) -> f32 {
        let here = self.cursors.iter().filter(|cursor| cursor.doc() == doc);
        here.map(|cursor| cursor.weight * cursor.count() as f32).sum()
    }
}

/// The postings of a term; none where no document has it.
pub(super) fn read(
    reader: &SegmentReader,
    layout: &Layout,
    column: Column,
    term: &str,
    record: IndexRecordOption,
) -> Result<Option<SegmentPostings>> {
    let terms = reader.inverted_index(layout.texts[column]).map_err(failure)?;
    terms.read_postings(&layout.term(column, term), record).map_err(unread)
}

impl Cursor<'_> {
    fn doc(&self) -> DocId {
        match &self.source {
            Source::Term(postings) => postings.doc(),
            Source::Phrase(docs) => docs.doc,
        }
    }

    fn seek(&mut self, target: DocId) {
        match &mut self.source {
            Source::Term(postings) => drop(postings.seek(target)),
            Source::Phrase(docs) => docs.seek(target),
        }
    }

    fn count(&self) -> u32 {
        match &self.source {
            Source::Term(postings) => postings.term_freq(),
            Source::Phrase(docs) => docs.count,
        }
    }
}

impl<'a> PhraseDocs<'a> {
    fn new(phrase: &'a Phrase, postings: Vec<SegmentPostings>, clock: &'a Clock<'a>) -> Self {
        let positions = vec![Vec::new(); postings.len()];
        let mut docs = Self { phrase, postings, positions, doc: 0, count: 0, clock };
        docs.seek(0);
        docs
    }

    fn seek(&mut self, target: DocId) {
        let mut doc = target;
        loop {
            let mut next = doc;
            for postings in &mut self.postings {
                if postings.doc() < next {
                    postings.seek(next);
                }
                next = next.max(postings.doc());
            }
            if next == TERMINATED || !self.clock.ticks() {
                (self.doc, self.count) = (TERMINATED, 0);
                return;
            }
            if self.postings.iter().all(|postings| postings.doc() == next) {
                for (postings, positions) in self.postings.iter_mut().zip(&mut self.positions) {
                    postings.positions(positions);
                }
                self.count = self.phrase.count(&self.positions);
                if self.count > 0 {
                    self.doc = next;
                    return;
                }
                next += 1;
            }
            doc = next;
        }
    }
}
