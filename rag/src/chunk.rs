//! A source into chunks: pieces small enough for the model that still say what they are about.
//!
//! The cuts are text-splitter's: the largest structure that fits (Markdown sections, blocks; paragraphs, sentences,
//! words), neighbours merged while they fit. Sizes are in the model's own tokens, so that nothing is cut off when a
//! chunk is embedded together with its headings; without a model, in characters.
//!
//! Invariants: chunks are in order, do not overlap, start and end on characters that are not white space, and
//! together hold every such character of the source. A chunk with its heading fits the model's window.
//!
//! Cost: the source is tokenised once, not once per candidate cut; a chunk is tokenised once more to make sure. About a
//! second a megabyte. Markdown of many megabytes without a heading takes quadratic time.

use std::ops::Range;

use rayon::prelude::*;
use text_splitter::{ChunkConfig, ChunkSizer, MarkdownSplitter, TextSplitter};

use crate::markdown::{self, Heading, SEPARATOR};
use crate::{Embedder, Kind, Source};

/// A piece of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Byte offset of its first character in [`Source::text`].
    pub start: usize,
    /// Byte offset after its last character.
    pub end: usize,
    /// The Markdown headings it lies under, outermost first (`Guide > Install`), its own included if it starts with
    /// one. Empty where there are none. Outer headings are left out where all would not fit beside the chunk.
    pub heading: String,
}

/// How large chunks may be.
#[derive(Clone, Copy)]
pub enum Sizing<'m> {
    /// Tokens of a model, heading not counted; at most three quarters of the model's window are used.
    Tokens {
        /// The model.
        embedder: &'m Embedder,
        /// Of one chunk.
        tokens_max: usize,
    },
    /// Characters, for collections without a model.
    Characters {
        /// Of one chunk.
        chars_max: usize,
    },
}

/// Tokens of a chunk unless the caller says otherwise.
pub const CHUNK_TOKENS_MAX: usize = 200;

/// Characters of a chunk unless the caller says otherwise: about as much text as [`CHUNK_TOKENS_MAX`] tokens.
pub const CHUNK_CHARS_MAX: usize = 800;

/// A token counts for at least this many bytes: a model may take kilobytes without a space for one unknown word.
const TOKEN_BYTES_MAX: usize = 16;

/// Bytes of Markdown, to the next heading, that are cut at a time.
const SECTION_BYTES: usize = 64 << 10;

/// Bytes that are tokenised at a time.
const BLOCK_BYTES: usize = 16 << 10;

/// Cuts a source. A source of white space has no chunks.
pub fn chunk(source: &Source, sizing: &Sizing<'_>) -> Vec<Chunk> {
    let headings = match source.kind {
        Kind::Markdown => markdown::headings(&source.text),
        Kind::Text => Vec::new(),
    };
    let place = |range: Range<usize>| {
        let heading = sizing.fit_heading(&markdown::path(&headings, range.start + 1));
        Chunk { start: range.start, end: range.end, heading }
    };
    cuts(source, sizing, &headings).into_iter().map(place).collect()
}

impl Chunk {
    /// The chunk's text.
    pub fn text<'s>(&self, source: &'s Source) -> &'s str {
        &source.text[self.start..self.end]
    }

    /// What is embedded of it: its headings, a line break, its text.
    pub fn text_to_embed(&self, source: &Source) -> String {
        let text = self.text(source);
        if self.heading.is_empty() { text.to_owned() } else { format!("{}\n{text}", self.heading) }
    }
}

impl<'m> Sizing<'m> {
    /// The default sizes: in tokens if there is a model.
    pub fn new(embedder: Option<&'m Embedder>) -> Self {
        match embedder {
            Some(embedder) => Self::Tokens { embedder, tokens_max: CHUNK_TOKENS_MAX },
            None => Self::Characters { chars_max: CHUNK_CHARS_MAX },
        }
    }

    /// Units of a chunk: never 0, never more than what leaves room for a heading.
    fn capacity(&self) -> usize {
        match self {
            Self::Tokens { embedder, tokens_max } => {
                (*tokens_max).min(embedder.document_tokens_max() * 3 / 4).max(1)
            }
            Self::Characters { chars_max } => (*chars_max).max(1),
        }
    }

    /// The innermost headings that fit beside a full chunk, joined.
    fn fit_heading(&self, path: &[&str]) -> String {
        let Self::Tokens { embedder, .. } = self else { return path.join(SEPARATOR) };
        let room = embedder.document_tokens_max() - self.capacity().min(embedder.document_tokens_max());
        let tails = (0..path.len()).map(|from| path[from..].join(SEPARATOR));
        tails.into_iter().find(|tail| embedder.tokens(tail) <= room).unwrap_or_default()
    }

    fn ruler<'t>(&self, text: &'t str) -> Ruler<'t> {
        match self {
            Self::Tokens { embedder, .. } => Ruler::Tokens { text, spans: spans(embedder, text) },
            Self::Characters { .. } => Ruler::Characters,
        }
    }

    /// The size of a text that stands alone.
    fn measure(&self, text: &str) -> usize {
        match self {
            Self::Tokens { embedder, .. } => size(embedder.tokens(text), text),
            Self::Characters { .. } => text.chars().count(),
        }
    }
}

/// Byte ranges of the chunks.
fn cuts(source: &Source, sizing: &Sizing<'_>, headings: &[Heading]) -> Vec<Range<usize>> {
    let ruler = sizing.ruler(&source.text);
    let cut = |section: Range<usize>| {
        let config = ChunkConfig::new(sizing.capacity()).with_sizer(&ruler);
        let text = &source.text[section.clone()];
        let pieces: Vec<(usize, &str)> = match source.kind {
            Kind::Markdown => MarkdownSplitter::new(config).chunk_indices(text).collect(),
            Kind::Text => TextSplitter::new(config).chunk_indices(text).collect(),
        };
        pieces.into_iter().flat_map(move |(from, piece)| cut_again(section.start + from, piece, sizing))
    };
    sections(&source.text, headings).into_iter().flat_map(cut).collect()
}

/// Consecutive ranges that begin at headings and are cut one by one: the splitter looks through all Markdown elements
/// that remain for every chunk, which is quadratic.
fn sections(text: &str, headings: &[Heading]) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut sections = Vec::new();
    for heading in headings {
        if heading.start >= start + SECTION_BYTES {
            sections.push(start..heading.start);
            start = heading.start;
        }
    }
    sections.push(start..text.len());
    sections
}

/// Cuts a piece that is too large by itself: inside a word the tokens of the parts can be more than those of the whole.
fn cut_again(start: usize, piece: &str, sizing: &Sizing<'_>) -> Vec<Range<usize>> {
    if sizing.measure(piece) <= sizing.capacity() {
        return trim(start, piece).into_iter().collect();
    }
    let config = ChunkConfig::new(sizing.capacity()).with_sizer(Exact(sizing));
    TextSplitter::new(config)
        .chunk_indices(piece)
        .filter_map(|(from, part)| trim(start + from, part))
        .collect()
}

/// The range without white space around it; `None` if there is nothing else.
fn trim(start: usize, piece: &str) -> Option<Range<usize>> {
    let start = start + piece.len() - piece.trim_start().len();
    let piece = piece.trim();
    (!piece.is_empty()).then(|| start..start + piece.len())
}

fn size(tokens: usize, text: &str) -> usize {
    tokens.max(text.len().div_ceil(TOKEN_BYTES_MAX))
}

/// The byte range of every token of a long text.
fn spans(embedder: &Embedder, text: &str) -> Vec<Range<usize>> {
    let spans = |block: &Range<usize>| {
        let shift = |span: Range<usize>| span.start + block.start..span.end + block.start;
        embedder.token_spans(&text[block.clone()]).into_iter().map(shift).collect::<Vec<_>>()
    };
    blocks(text).par_iter().flat_map_iter(spans).collect()
}

/// Consecutive ranges of at least [`BLOCK_BYTES`], each beginning with white space, where no token crosses.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let from = text.ceil_char_boundary(start + BLOCK_BYTES);
        let end = text[from..].find(char::is_whitespace).map_or(text.len(), |at| from + at);
        blocks.push(start..end);
        start = end;
    }
    blocks
}

/// Sizes slices of one text by their place in it, so that no candidate is tokenised.
enum Ruler<'t> {
    Tokens { text: &'t str, spans: Vec<Range<usize>> },
    Characters,
}

impl ChunkSizer for Ruler<'_> {
    fn size(&self, slice: &str) -> usize {
        match self {
            Self::Characters => slice.chars().count(),
            Self::Tokens { text, spans } => {
                // The splitter hands in slices of the text that it was given, so the distance is the offset.
                let start = slice.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
                let end = start.saturating_add(slice.len());
                let first = spans.partition_point(|span| span.end <= start);
                let last = spans.partition_point(|span| span.start < end);
                size(last.saturating_sub(first), slice)
            }
        }
    }
}

/// Sizes a text by tokenising it.
struct Exact<'s, 'm>(&'s Sizing<'m>);

impl ChunkSizer for Exact<'_, '_> {
    fn size(&self, text: &str) -> usize {
        self.0.measure(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::embed::tiny;

    fn source(kind: Kind, text: &str) -> Source {
        Source { path: "a".into(), title: "A".into(), text: text.into(), kind }
    }

    /// In order, apart, trimmed, complete, and within the window.
    fn assert_sound(source: &Source, sizing: &Sizing<'_>) {
        let mut before = 0;
        for chunk in chunk(source, sizing) {
            assert!(chunk.start >= before && chunk.end > chunk.start, "{chunk:?} after {before}");
            assert!(source.text[before..chunk.start].trim().is_empty(), "text lost before {chunk:?}");
            let text = chunk.text(source);
            assert_eq!(text.trim(), text, "{chunk:?}");
            assert!(sizing.measure(text) <= sizing.capacity(), "{chunk:?} is too large");
            if let Sizing::Tokens { embedder, .. } = sizing {
                assert!(embedder.tokens(&chunk.text_to_embed(source)) <= embedder.document_tokens_max());
            }
            before = chunk.end;
        }
        assert!(source.text[before..].trim().is_empty(), "text lost after {before}");
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[a-z]{1,9}",
            1 => "[a-z0-9]{80,130}",
            2 => Just(" ".to_owned()),
            2 => Just("\n\n".to_owned()),
            1 => "\\n#{1,6} [a-zA-Z *`]{0,40}\\n",
            1 => "\\n(-|[0-9]\\.|>|    |\t) [a-z .]{0,60}\\n",
            1 => "\\n```[a-z]{0,3}\\n[a-z# \\n]{0,80}\\n```\\n",
            1 => "\\n\\|[a-z|]{0,20}\\|\\n\\|-\\|-\\|\\n\\|[a-z|]{0,20}\\|\\n",
            1 => "\\PC{0,12}",
            1 => any::<char>().prop_map(String::from),
            1 => Just("\r\n---\r\n".to_owned()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn chunks_hold_the_whole_text_once(pieces in prop::collection::vec(piece(), 0..60), tokens_max in 1..60_usize) {
            thread_local! {
                static EMBEDDER: Embedder = tiny::open().1;
            }
            let text = pieces.concat();
            EMBEDDER.with(|embedder| {
                for kind in [Kind::Markdown, Kind::Text] {
                    let source = source(kind, &text);
                    assert_sound(&source, &Sizing::Tokens { embedder, tokens_max });
                    assert_sound(&source, &Sizing::Characters { chars_max: tokens_max });
                }
            });
        }
    }

    #[test]
    fn headings_are_those_above_and_outer_ones_give_way() {
        let (_folder, embedder) = tiny::open();
        let text =
            "# fox\n\nthe fox\n\n## lazy dog\n\nthe dog\n\n### quick\n\nover the dog\n\n# brown\n\nfox";
        let source = source(Kind::Markdown, text);
        let sizing = Sizing::Tokens { embedder: &embedder, tokens_max: 7 };
        let chunks: Vec<(&str, String)> =
            chunk(&source, &sizing).into_iter().map(|chunk| (chunk.text(&source), chunk.heading)).collect();
        let expected = [
            ("# fox\n\nthe fox", "fox"),
            ("## lazy dog\n\nthe dog", "fox > lazy dog"),
            ("### quick\n\nover the dog", "fox > lazy dog > quick"),
            ("# brown\n\nfox", "brown"),
        ];
        assert!(chunks.iter().map(|(text, heading)| (*text, heading.as_str())).eq(expected), "{chunks:?}");
        let narrow = Sizing::Tokens { embedder: &embedder, tokens_max: 1_000 };
        let long = "fox ".repeat(60);
        assert_eq!(narrow.fit_heading(&[&long, "lazy", "dog"]), "lazy > dog");
        assert_eq!(narrow.fit_heading(&["lazy", &long]), "");
    }

    #[test]
    fn long_markdown_is_cut_by_sections_without_a_seam() {
        let part = "# fox\n\nthe *quick* fox\n\n- lazy\n- dog\n\n```\n# over\n```\n\n";
        let source = source(Kind::Markdown, &part.repeat(3 * SECTION_BYTES / part.len()));
        assert_eq!(sections(&source.text, &markdown::headings(&source.text)).len(), 3);
        let sizing = Sizing::Characters { chars_max: part.len() };
        assert_sound(&source, &sizing);
        assert!(chunk(&source, &sizing).iter().all(|chunk| chunk.text(&source) == part.trim()));
    }

    #[test]
    fn a_word_that_the_model_cannot_read_is_cut_all_the_same() {
        let (_folder, embedder) = tiny::open();
        let source = source(Kind::Text, &"x".repeat(50_000));
        let sizing = Sizing::new(Some(&embedder));
        assert_sound(&source, &sizing);
        assert!(chunk(&source, &sizing).len() >= 50_000 / (sizing.capacity() * TOKEN_BYTES_MAX));
        assert!(chunk(&self::source(Kind::Text, " \n\t "), &sizing).is_empty());
    }

    #[test]
    fn the_ruler_counts_what_the_tokenizer_counts() {
        let (_folder, embedder) = tiny::open();
        let text = "the quick brown fox, (jumps) over caf\u{E9} \u{4F60}\u{597D}. ".repeat(2_000);
        assert!(blocks(&text).len() > 3);
        let ruler = Sizing::new(Some(&embedder)).ruler(&text);
        for (from, to) in [(0, 10), (4, 40), (0, 20_000), (16_000, 17_000), (0, text.len())] {
            let (from, to) = (text.floor_char_boundary(from), text.floor_char_boundary(to));
            let from = text[from..].find(' ').map_or(from, |at| from + at);
            let to = text[to..].find(' ').map_or(to, |at| to + at);
            let slice = &text[from..to];
            assert_eq!(ruler.size(slice), size(embedder.tokens(slice), slice), "{from}..{to}");
        }
    }
}
