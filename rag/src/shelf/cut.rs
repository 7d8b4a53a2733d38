//! Chunks of a size that was asked for, which may overlap.
//!
//! Invariants: a chunk is no longer than what the model sees of it, whatever was asked for: the rest of it would be
//! in no vector. An overlap begins at a word, and never reaches back beyond the chunk before it.

use crate::{Chunk, Embedder, Sizing, Source, chunk};

/// Characters that stand for a token where there is no model to count them.
const TOKEN_CHARS: usize = 4;

/// Cuts a source into chunks of at most so many tokens, each repeating so many of the one before it.
pub(super) fn cut(
    source: &Source,
    embedder: Option<&Embedder>,
    tokens_max: usize,
    overlap: usize,
) -> Vec<Chunk> {
    let seen = embedder.map_or(usize::MAX, |embedder| embedder.document_tokens_max() * 3 / 4);
    let tokens_max = tokens_max.min(seen).max(2);
    let overlap = overlap.min(tokens_max / 2);
    let sizing = match embedder {
        Some(embedder) => Sizing::Tokens { embedder, tokens_max: tokens_max - overlap },
        None => Sizing::Characters { chars_max: (tokens_max - overlap) * TOKEN_CHARS },
    };
    let size = |text: &str| match embedder {
        Some(embedder) => embedder.tokens(text),
        None => text.chars().count().div_ceil(TOKEN_CHARS),
    };
    let mut chunks = chunk(source, &sizing);
    let starts: Vec<usize> = chunks.iter().map(|chunk| chunk.start).collect();
    for (chunk, before) in chunks.iter_mut().skip(1).zip(starts) {
        chunk.start = reaching_back(&source.text, before, chunk.start, overlap, &size);
    }
    chunks
}

/// The first word behind `least` from which on the text up to `start` has at most so many tokens.
fn reaching_back(
    text: &str,
    least: usize,
    start: usize,
    tokens: usize,
    size: &dyn Fn(&str) -> usize,
) -> usize {
    let between = &text[least..start];
    let words: Vec<usize> = between
        .char_indices()
        .filter(|(at, c)| !c.is_whitespace() && between[..*at].ends_with(char::is_whitespace))
        .map(|(at, _)| least + at)
        .collect();
    let fits = words.partition_point(|word| size(&text[*word..start]) > tokens);
    words.get(fits).copied().unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use crate::Kind;

    use super::*;

    #[test]
    fn chunks_are_as_long_and_overlap_as_much_as_was_asked_for() {
        let text: String = (0..400).map(|at| format!("word{at:03} ")).collect();
        let source = Source { path: "a.txt".into(), title: "a".into(), text: text.clone(), kind: Kind::Text };
        for (tokens_max, overlap) in [(100, 40), (100, 0), (100, 50), (50, 400), (1, 0)] {
            let chunks = cut(&source, None, tokens_max, overlap);
            let least = overlap.min(tokens_max.max(2) / 2) * TOKEN_CHARS;
            assert!(chunks.len() > 4, "{tokens_max} {overlap}");
            for (before, after) in chunks.iter().zip(&chunks[1..]) {
                let shared = before.end.saturating_sub(after.start);
                assert!(before.start < after.start && after.start <= before.end + 1, "{before:?} {after:?}");
                assert!(shared <= least && shared + 9 >= least.saturating_sub(8), "{shared} of {least}");
                assert!(after.end - after.start <= tokens_max.max(2) * TOKEN_CHARS + 8);
                assert!(tokens_max < 3 || text[after.start..].starts_with("word"));
            }
        }
    }
}
