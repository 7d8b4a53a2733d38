//! Documents that are analysed before they are added: where several threads write, each makes the terms of its own
//! texts, and the one writer only links them.
//!
//! Invariant: the index is the same as if each document had been [added](KeywordIndex::add) by itself.
//! Cost: that of the tail, on the thread that analyses. What is added then is a pointer a document, and where others
//! were added since the last view was made, a look-up for each different term.

use std::sync::Arc;

use types::Version;

use super::layout::Layout;
use super::state::{self, Texts};
use super::tail::TailBlock;
use super::{KeywordIndex, joined};

/// Documents whose versions are not known yet.
pub struct Analysed {
    /// Of the index that analysed them.
    layout: Arc<Layout>,
    block: TailBlock,
    /// Those that have texts: their places among all that were given, and their texts.
    documents: Vec<(usize, Texts)>,
    /// How many were given.
    given: usize,
}

impl KeywordIndex {
    /// Bytes in memory that so many documents take until they are committed, about, whose texts have so many bytes
    /// together.
    pub const fn bytes_of(documents: usize, text_bytes: usize) -> usize {
        state::bytes_of(documents, text_bytes)
    }

    /// Analyses documents, each given as for [`add`](Self::add). Changes nothing, and waits for nobody.
    pub fn analyse(&self, documents: &[Vec<Vec<&str>>]) -> Analysed {
        let (layout, mut analysis) = (Arc::clone(&self.layout), self.analysis.clone());
        let (mut block, mut analysed) = (TailBlock::new(layout.texts.len()), Vec::new());
        for (place, texts) in documents.iter().enumerate() {
            if texts.iter().any(|texts| !texts.is_empty()) {
                debug_assert_eq!(texts.len(), layout.paths.len());
                let texts: Texts = texts.iter().map(|texts| joined(texts).into()).collect();
                // It gets another one when it is added.
                block.add(Version(place as u64), &texts, &mut analysis);
                analysed.push((place, texts));
            }
        }
        Analysed { layout, block, documents: analysed, given: documents.len() }
    }

    /// Adds documents that were analysed, under these versions, one for each that was given; those without texts are
    /// left out. `false`, and nothing is added, where another index has analysed them, where there are not so many, or
    /// one is held already: then [`add`](Self::add) each. Only the writer calls this.
    pub fn add_analysed(&self, versions: &[Version], analysed: Analysed) -> bool {
        let Analysed { layout, block, documents, given } = analysed;
        if !Arc::ptr_eq(&layout, &self.layout) || given != versions.len() {
            return false;
        }
        let with_texts = documents.into_iter().map(|(place, texts)| (versions[place], texts)).unzip();
        self.state.lock().add_analysed(with_texts, block)
    }
}
