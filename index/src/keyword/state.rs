//! What was handed over and how far each part of it has got: added, published, in a commit, on disk.

use std::sync::Arc;

use tantivy::tokenizer::TextAnalyzer;
use types::{Seqno, Version};

use super::committed::Committed;
use super::layout::Mark;
use super::tail::{TailBlock, carry};

/// A change of the index, in the order in which it was handed over.
pub(super) enum Operation {
    Add(Version, Box<[Box<str>]>),
    Remove(Version),
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
    /// The highest version ever added.
    version_max: Option<Version>,
}

/// Operations, and the same documents for searching.
#[derive(Default)]
struct Part {
    operations: Vec<Arc<Operation>>,
    blocks: Vec<Arc<TailBlock>>,
}

impl State {
    pub(super) fn new(committed: Arc<Committed>, mark: Mark) -> Self {
        let (sealed, waiting, fresh) = Default::default();
        Self { committed, mark, sealed, waiting, fresh, version_max: mark.version_max }
    }

    pub(super) fn add(&mut self, version: Version, texts: &[&str], analyzer: &mut TextAnalyzer) {
        if self.version_max.is_some_and(|held| version <= held) {
            return;
        }
        self.version_max = Some(version);
        self.fresh.add(version, texts, analyzer);
        let texts = texts.iter().map(|text| Box::from(*text)).collect();
        self.waiting.operations.push(Arc::new(Operation::Add(version, texts)));
    }

    pub(super) fn remove(&mut self, version: Version) {
        self.waiting.operations.push(Arc::new(Operation::Remove(version)));
    }

    /// The blocks of everything that is not committed.
    pub(super) fn tail(&mut self) -> Vec<Arc<TailBlock>> {
        self.freeze();
        self.sealed.blocks.iter().chain(&self.waiting.blocks).cloned().collect()
    }

    /// Begins a commit: its operations and its mark; nothing if it would change nothing.
    pub(super) fn seal(&mut self, seqno: Seqno) -> Option<(Vec<Arc<Operation>>, Mark)> {
        self.freeze();
        self.sealed.operations.append(&mut self.waiting.operations);
        self.sealed.blocks.append(&mut self.waiting.blocks);
        let mark = Mark { seqno: seqno.max(self.mark.seqno), version_max: self.version_max };
        let changes = !self.sealed.operations.is_empty() || mark != self.mark;
        changes.then(|| (self.sealed.operations.clone(), mark))
    }

    /// Ends a commit that succeeded.
    pub(super) fn finish(&mut self, committed: Arc<Committed>, mark: Mark) {
        self.committed = committed;
        self.mark = mark;
        self.sealed = Part::default();
    }

    pub(super) fn operations(&self) -> Vec<Arc<Operation>> {
        self.sealed.operations.iter().chain(&self.waiting.operations).cloned().collect()
    }

    pub(super) fn pending(&self) -> usize {
        let blocks = self.sealed.blocks.iter().chain(&self.waiting.blocks);
        (blocks.map(|block| block.documents()).sum::<u64>() + self.fresh.documents()) as usize
    }

    fn freeze(&mut self) {
        if self.fresh.documents() > 0 {
            carry(&mut self.waiting.blocks, std::mem::take(&mut self.fresh));
        }
    }
}
