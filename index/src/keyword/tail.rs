//! Documents that no commit covers yet, in memory: immutable inverted blocks, merged like a binary counter, so
//! that publishing one more document is cheap and a query visits O(log n) blocks.

use std::collections::HashMap;
use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::tokenizer::{TextAnalyzer, TokenStream};
use types::Version;

/// Documents and their terms. Never changes once it is shared.
#[derive(Default)]
pub(super) struct TailBlock {
    documents: u64,
    tokens: u64,
    postings: HashMap<Arc<str>, Vec<Posting>>,
}

/// How often a term occurs in a document.
#[derive(Clone, Copy)]
pub(super) struct Posting {
    pub(super) version: Version,
    pub(super) count: u32,
    /// The document's length, rounded as tantivy rounds it.
    pub(super) fieldnorm_id: u8,
}

impl TailBlock {
    /// Adds a document; its texts count as one.
    pub(super) fn add(&mut self, version: Version, texts: &[&str], analyzer: &mut TextAnalyzer) {
        let (mut counts, mut tokens) = (HashMap::<Arc<str>, u32>::new(), 0_u32);
        for text in texts {
            analyzer.token_stream(text).process(&mut |token| {
                tokens += 1;
                match counts.get_mut(token.text.as_str()) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(token.text.as_str().into(), 1)),
                }
            });
        }
        let fieldnorm_id = FieldNormReader::fieldnorm_to_id(tokens);
        for (term, count) in counts {
            self.postings.entry(term).or_default().push(Posting { version, count, fieldnorm_id });
        }
        self.documents += 1;
        self.tokens += u64::from(tokens);
    }

    fn merge(&self, next: &Self) -> Self {
        let mut postings = self.postings.clone();
        for (term, more) in &next.postings {
            postings.entry(Arc::clone(term)).or_default().extend_from_slice(more);
        }
        Self { documents: self.documents + next.documents, tokens: self.tokens + next.tokens, postings }
    }

    pub(super) fn documents(&self) -> u64 {
        self.documents
    }

    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    pub(super) fn postings(&self, term: &str) -> &[Posting] {
        self.postings.get(term).map_or(&[], Vec::as_slice)
    }
}

/// Appends a block, merging it with those before it that are no larger.
pub(super) fn carry(blocks: &mut Vec<Arc<TailBlock>>, mut block: TailBlock) {
    while let Some(last) = blocks.last()
        && last.documents <= block.documents
    {
        block = last.merge(&block);
        blocks.pop();
    }
    blocks.push(Arc::new(block));
}
