//! What was handed over and how far each part of it has got: added, published, in a commit, on disk.
//!
//! Invariant: an operation is covered by `committed`, or stands in `sealed` or in `waiting`: in exactly one of them,
//! and in its order. The blocks of a part hold what its operations added and removed, so all of it is searchable.
//! A version that is not above all before it is passed over: so a replay of the journal adds nothing twice.

use std::sync::Arc;

use types::{Seqno, Version};

use super::committed::Committed;
use super::layout::Mark;
use super::removed::{self, Removed};
use super::tail::{self, TailBlock};
use super::words::Analysis;

/// A change of the index, in the order in which it was handed over.
pub(super) enum Operation {
    Add(Document),
    Remove(Version),
}

/// The texts of a document, one for each path.
pub(super) type Texts = Box<[Box<str>]>;

/// A document that was added.
pub(super) struct Document {
    pub(super) version: Version,
    pub(super) texts: Texts,
    /// How many terms it has, by column.
    pub(super) lengths: Box<[u32]>,
}

/// What a document takes in memory until it is committed, about, beside [`TEXT_BYTES`] for each byte of its texts.
const DOCUMENT_BYTES: usize = 512;

/// The text itself, and its terms, postings and places, of which some are copied when blocks are merged.
const TEXT_BYTES: usize = 6;

/// What a removal takes.
const REMOVAL_BYTES: usize = 64;

/// What so many documents take, whose texts have so many bytes together.
pub(super) const fn bytes_of(documents: usize, text_bytes: usize) -> usize {
    DOCUMENT_BYTES * documents + TEXT_BYTES * text_bytes
}

pub(super) struct State {
    pub(super) committed: Arc<Committed>,
    /// What `committed` covers.
    pub(super) mark: Mark,
    /// In a commit that is under way, or that failed and will be tried again.
    sealed: Part,
    /// In no commit yet.
    waiting: Part,
    /// Documents of `waiting` that are in none of its blocks yet.
    fresh: TailBlock,
    /// Removals of `waiting` that are in none of its blocks yet.
    fresh_removed: Vec<Version>,
    columns: usize,
    /// The highest version ever added.
    version_max: Option<Version>,
}

/// Operations, and the same documents for searching.
#[derive(Default)]
struct Part {
    operations: Vec<Arc<Operation>>,
    blocks: Vec<Arc<TailBlock>>,
    removed: Vec<Arc<Removed>>,
    /// In memory, about.
    bytes: usize,
}

impl State {
    pub(super) fn new(committed: Arc<Committed>, mark: Mark, columns: usize) -> Self {
        let (sealed, waiting, fresh_removed) = Default::default();
        let (fresh, version_max) = (TailBlock::new(columns), mark.version_max);
        Self { committed, mark, sealed, waiting, fresh, fresh_removed, columns, version_max }
    }

    /// Takes one text for each path.
    pub(super) fn add(&mut self, version: Version, texts: Texts, analysis: &mut Analysis) {
        if self.version_max.is_some_and(|held| version <= held) {
            return;
        }
        self.version_max = Some(version);
        self.waiting.bytes += bytes_of(1, texts.iter().map(|text| text.len()).sum());
        let lengths = self.fresh.add(version, &texts, analysis).into();
        self.waiting.operations.push(Arc::new(Operation::Add(Document { version, texts, lengths })));
    }

    /// Takes documents whose terms a block has, in their order; `false`, and none of them, if one is passed over.
    pub(super) fn add_analysed(
        &mut self,
        (versions, texts): (Vec<Version>, Vec<Texts>),
        mut block: TailBlock,
    ) -> bool {
        if versions.first().copied().is_some_and(|first| self.version_max.is_some_and(|held| first <= held)) {
            return false;
        }
        debug_assert!(versions.is_sorted_by(|a, b| a < b), "versions ascend");
        let text_bytes = texts.iter().flat_map(|texts| texts.iter()).map(|text| text.len()).sum();
        self.waiting.bytes += bytes_of(versions.len(), text_bytes);
        for (number, (version, texts)) in (0_u32..).zip(versions.iter().zip(texts)) {
            let lengths = (0..self.columns).map(|column| block.length(number, column)).collect();
            let document = Document { version: *version, texts, lengths };
            self.waiting.operations.push(Arc::new(Operation::Add(document)));
        }
        self.version_max = versions.last().copied().or(self.version_max);
        block.set_versions(versions);
        if self.fresh.documents() == 0 {
            self.fresh = block;
        } else {
            self.fresh.absorb(&block);
        }
        true
    }

    pub(super) fn remove(&mut self, version: Version) {
        self.fresh_removed.push(version);
        self.waiting.bytes += REMOVAL_BYTES;
        self.waiting.operations.push(Arc::new(Operation::Remove(version)));
    }

    /// The blocks of everything that is not committed: what was added, and what was removed.
    pub(super) fn tail(&mut self) -> (Vec<Arc<TailBlock>>, Vec<Arc<Removed>>) {
        self.freeze();
        let (sealed, waiting) = (&self.sealed, &self.waiting);
        let added = sealed.blocks.iter().chain(&waiting.blocks).cloned().collect();
        (added, sealed.removed.iter().chain(&waiting.removed).cloned().collect())
    }

    /// Begins a commit: its operations and its mark; nothing if it would change nothing.
    pub(super) fn seal(&mut self, seqno: Seqno) -> Option<(Vec<Arc<Operation>>, Mark)> {
        self.freeze();
        self.sealed.operations.append(&mut self.waiting.operations);
        self.sealed.blocks.append(&mut self.waiting.blocks);
        self.sealed.removed.append(&mut self.waiting.removed);
        self.sealed.bytes += std::mem::take(&mut self.waiting.bytes);
        let mark = Mark { seqno: seqno.max(self.mark.seqno), version_max: self.version_max };
        let changes = !self.sealed.operations.is_empty() || mark != self.mark;
        changes.then(|| (self.sealed.operations.clone(), mark))
    }

    /// Ends a commit that succeeded.
    pub(super) fn finish(&mut self, committed: Arc<Committed>, mark: Mark) {
        self.committed = committed;
        self.mark = mark;
        self.sealed = Part::default();
        // What they remember of the commit before is of no use any more.
        for removed in &mut self.waiting.removed {
            *removed = Arc::new(Removed::of(removed.versions().to_vec()));
        }
    }

    pub(super) fn operations(&self) -> Vec<Arc<Operation>> {
        self.sealed.operations.iter().chain(&self.waiting.operations).cloned().collect()
    }

    pub(super) fn pending(&self) -> usize {
        let blocks = self.sealed.blocks.iter().chain(&self.waiting.blocks);
        blocks.map(|block| block.documents()).sum::<usize>() + self.fresh.documents()
    }

    /// Bytes in memory of what is not committed, about.
    pub(super) fn bytes(&self) -> usize {
        self.sealed.bytes + self.waiting.bytes
    }

    fn freeze(&mut self) {
        if self.fresh.documents() > 0 {
            let fresh = std::mem::replace(&mut self.fresh, TailBlock::new(self.columns));
            tail::carry(&mut self.waiting.blocks, fresh);
        }
        if !self.fresh_removed.is_empty() {
            removed::carry(&mut self.waiting.removed, std::mem::take(&mut self.fresh_removed));
        }
    }
}
