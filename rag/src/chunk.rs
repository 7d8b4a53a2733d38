//! A source into chunks: pieces small enough for the model that still say what they are about.
//!
//! The cuts are text-splitter's: the largest structure that fits (Markdown sections, blocks; definitions and
//! statements of source code; paragraphs, sentences, words), neighbours merged while they fit. Sizes are in the
//! model's own tokens, so that nothing is cut off when a chunk is embedded together with its headings; without a
//! model, in characters.
//!
//! Invariants: chunks are in order, overlap only where that was asked for, start and end on characters that are not
//! white space, and together hold every such character of the source behind its front matter. A chunk with its heading
//! fits the model's window. No chunk holds two records.
//!
//! Cost: the source is tokenised once, not once per candidate cut; a chunk is tokenised once more to make sure. About a
//! second a megabyte.

use std::ops::Range;

use rayon::prelude::*;
use text_splitter::{ChunkConfig, ChunkSizer, CodeSplitter, MarkdownSplitter, TextSplitter};

use crate::markdown::{self, Heading, SEPARATOR};
use crate::{Embedder, Kind, Source};

/// A piece of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Byte offset of its first character in [`Source::text`].
    pub start: usize,
    /// Byte offset after its last character.
    pub end: usize,
    /// The headings or definitions it lies under, outermost first (`Guide > Install`), its own included if it starts
    /// with one. Empty where there are none. Outer headings are left out where all would not fit beside the chunk.
    pub heading: String,
    /// The page of its first character, from 1, where there are pages.
    pub page: Option<usize>,
    /// Which of [`Source::records`] it is of, where there are records.
    pub record: Option<usize>,
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
        /// That a chunk may repeat of the one before: half of a chunk at most.
        overlap: usize,
    },
    /// Characters, for collections without a model.
    Characters {
        /// Of one chunk.
        chars_max: usize,
        /// That a chunk may repeat of the one before: half of a chunk at most.
        overlap: usize,
    },
}

/// Tokens of a chunk unless the caller says otherwise.
pub const CHUNK_TOKENS_MAX: usize = 200;

/// Characters of a chunk unless the caller says otherwise: about as much text as [`CHUNK_TOKENS_MAX`] tokens.
pub const CHUNK_CHARS_MAX: usize = 800;

/// A token counts for at least this many bytes: a model may take kilobytes without a space for one unknown word.
const TOKEN_BYTES_MAX: usize = 16;

/// Bytes of Markdown or code, to the next heading, that are cut at a time.
const SECTION_BYTES: usize = 64 << 10;

/// The same where no heading comes: to an empty line, or to whatever ends a line or a word.
const PART_BYTES_MAX: usize = 4 * SECTION_BYTES;

/// Bytes that are tokenised at a time.
const BLOCK_BYTES: usize = 16 << 10;

/// Cuts a source. A source of white space has no chunks.
pub fn chunk(source: &Source, sizing: &Sizing<'_>) -> Vec<Chunk> {
    let place = |(range, record): (Range<usize>, Option<usize>)| {
        let heading = sizing.fit_heading(&markdown::path(&source.outline, range.start));
        let page = source.pages.partition_point(|start| *start <= range.start);
        Chunk { start: range.start, end: range.end, heading, page: (page > 0).then_some(page), record }
    };
    cuts(source, sizing).into_iter().map(place).collect()
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
        Self::of(embedder, None, 0)
    }

    /// These sizes, in tokens if there is a model, in characters if there is none; the default one where none is named.
    pub fn of(embedder: Option<&'m Embedder>, size_max: Option<usize>, overlap: usize) -> Self {
        match embedder {
            Some(embedder) => {
                Self::Tokens { embedder, tokens_max: size_max.unwrap_or(CHUNK_TOKENS_MAX), overlap }
            }
            None => Self::Characters { chars_max: size_max.unwrap_or(CHUNK_CHARS_MAX), overlap },
        }
    }

    /// Units of a chunk: never 0, never more than what leaves room for a heading.
    fn capacity(&self) -> usize {
        match self {
            Self::Tokens { embedder, tokens_max, .. } => {
                (*tokens_max).min(embedder.document_tokens_max() * 3 / 4).max(1)
            }
            Self::Characters { chars_max, .. } => (*chars_max).max(1),
        }
    }

    /// How text-splitter is told of these sizes.
    fn config<S: ChunkSizer>(&self, sizer: S) -> ChunkConfig<S> {
        let (Self::Tokens { overlap, .. } | Self::Characters { overlap, .. }) = self;
        let overlap = (*overlap).min(self.capacity() / 2);
        let config = ChunkConfig::new(self.capacity()).with_sizer(sizer).with_overlap(overlap);
        config.expect("the overlap is half of a chunk at most")
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

/// Byte ranges of the chunks, each with the record it is of.
fn cuts(source: &Source, sizing: &Sizing<'_>) -> Vec<(Range<usize>, Option<usize>)> {
    let ruler = sizing.ruler(&source.text);
    let cut = |(section, record): (Range<usize>, Option<usize>)| {
        let text = &source.text[section.clone()];
        let pieces: Vec<(usize, &str)> = match record.filter(|_| ruler.size(text) <= sizing.capacity()) {
            Some(_) => vec![(0, text)],
            None => split(source.kind, text, sizing, &ruler),
        };
        let again = move |(from, piece)| cut_again(section.start + from, piece, sizing);
        pieces.into_iter().flat_map(again).map(move |range| (range, record))
    };
    if !source.records.is_empty() {
        let records = source.records.iter().enumerate();
        return records.flat_map(|(nth, record)| cut((record.range.clone(), Some(nth)))).collect();
    }
    sections(source).into_iter().flat_map(|section| cut((section, None))).collect()
}

fn split<'t>(kind: Kind, text: &'t str, sizing: &Sizing<'_>, ruler: &Ruler<'_>) -> Vec<(usize, &'t str)> {
    let config = sizing.config(ruler);
    let grammar = match kind {
        Kind::Code(syntax) => syntax.grammar(text),
        Kind::Markdown | Kind::Html => return MarkdownSplitter::new(config).chunk_indices(text).collect(),
        _ => None,
    };
    match grammar.map(|grammar| CodeSplitter::new(grammar, sizing.config(ruler))) {
        Some(Ok(splitter)) => splitter.chunk_indices(text).collect(),
        _ => TextSplitter::new(config).chunk_indices(text).collect(),
    }
}

/// Consecutive ranges that begin at headings and are cut one by one: the splitter looks through all elements of
/// Markdown or code that remain for every chunk, which is quadratic.
fn sections(source: &Source) -> Vec<Range<usize>> {
    // A part of a definition is none.
    let is_whole = |heading: &&Heading| heading.level == 1 || !matches!(source.kind, Kind::Code(_));
    let mut start = source.body;
    let mut sections = Vec::new();
    for heading in source.outline.iter().filter(is_whole) {
        if heading.start >= start + SECTION_BYTES {
            sections.push(start..heading.start);
            start = heading.start;
        }
    }
    sections.push(start..source.text.len());
    sections.iter().flat_map(|section| parts(source, section)).collect()
}

/// A section in parts that are cut one by one, where it is too long for that as a whole.
fn parts(source: &Source, section: &Range<usize>) -> Vec<Range<usize>> {
    let is_marked = matches!(source.kind, Kind::Markdown | Kind::Html | Kind::Code(_));
    let (mut start, mut parts) = (section.start, Vec::new());
    while is_marked && section.end - start > PART_BYTES_MAX {
        let most = source.text.floor_char_boundary(start + PART_BYTES_MAX);
        let text = &source.text[start..most];
        let place = |mark: &str| text.rfind(mark).filter(|at| *at > 0);
        let end = place("\n\n").or_else(|| place("\n")).or_else(|| place(" ")).map_or(most, |at| start + at);
        parts.push(start..end);
        start = end;
    }
    parts.push(start..section.end);
    parts
}

/// Cuts a piece that is too large by itself: inside a word the tokens of the parts can be more than those of the whole.
fn cut_again(start: usize, piece: &str, sizing: &Sizing<'_>) -> Vec<Range<usize>> {
    if sizing.measure(piece) <= sizing.capacity() {
        return trim(start, piece).into_iter().collect();
    }
    TextSplitter::new(sizing.config(Exact(sizing)))
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
    use crate::Syntax;
    use crate::embed::tiny;
    use crate::formats::code;

    fn source(kind: Kind, text: &str) -> Source {
        let outline = match kind {
            Kind::Markdown => markdown::headings(text),
            Kind::Code(syntax) => code::outline(syntax, text),
            _ => Vec::new(),
        };
        Source { path: "a".into(), title: "A".into(), text: text.into(), kind, outline, ..Source::default() }
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
        fn chunks_hold_the_whole_text_once(pieces in prop::collection::vec(piece(), 0..60), size in 1..60_usize) {
            thread_local! {
                static EMBEDDER: Embedder = tiny::open().1;
            }
            let text = pieces.concat();
            EMBEDDER.with(|embedder| {
                for kind in [Kind::Markdown, Kind::Text, Kind::Code(Syntax::Rust)] {
                    let source = source(kind, &text);
                    assert_sound(&source, &Sizing::of(Some(embedder), Some(size), 0));
                    assert_sound(&source, &Sizing::of(None, Some(size), 0));
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
        let sizing = Sizing::of(Some(&embedder), Some(7), 0);
        let chunks: Vec<(&str, String)> =
            chunk(&source, &sizing).into_iter().map(|chunk| (chunk.text(&source), chunk.heading)).collect();
        let expected = [
            ("# fox\n\nthe fox", "fox"),
            ("## lazy dog\n\nthe dog", "fox > lazy dog"),
            ("### quick\n\nover the dog", "fox > lazy dog > quick"),
            ("# brown\n\nfox", "brown"),
        ];
        assert!(chunks.iter().map(|(text, heading)| (*text, heading.as_str())).eq(expected), "{chunks:?}");
        let narrow = Sizing::of(Some(&embedder), Some(1_000), 0);
        let long = "fox ".repeat(60);
        assert_eq!(narrow.fit_heading(&[&long, "lazy", "dog"]), "lazy > dog");
        assert_eq!(narrow.fit_heading(&["lazy", &long]), "");
    }

    #[test]
    fn long_markdown_is_cut_by_sections_without_a_seam() {
        let part = "# fox\n\nthe *quick* fox\n\n- lazy\n- dog\n\n```\n# over\n```\n\n";
        let source = source(Kind::Markdown, &part.repeat(3 * SECTION_BYTES / part.len()));
        assert_eq!(sections(&source).len(), 3);
        let sizing = Sizing::of(None, Some(part.len()), 0);
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
    fn what_has_no_heading_is_cut_part_by_part() {
        let blocks = "A line of *words*.\n\n".repeat(50_000);
        for text in [blocks.as_str(), &"word ".repeat(150_000), &"x".repeat(600_000)] {
            for kind in [Kind::Markdown, Kind::Html, Kind::Code(Syntax::Rust)] {
                let source = Source { text: text.to_owned(), kind, ..Source::default() };
                let found = sections(&source);
                assert!(
                    found.len() > 2 && found.iter().all(|part| part.len() <= PART_BYTES_MAX),
                    "{found:?}"
                );
                assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start), "{found:?}");
                assert_eq!((found[0].start, found[found.len() - 1].end), (0, text.len()));
            }
        }
        let source = source(Kind::Markdown, &blocks[..280_000]);
        assert!(sections(&source).iter().skip(1).all(|part| blocks[part.start..].starts_with("\n\n")));
        assert_sound(&source, &Sizing::of(None, Some(200), 0));
    }

    #[test]
    fn an_overlap_repeats_the_end_of_the_chunk_before() {
        let text = (0..60).map(|n| format!("Sentence number {n}.")).collect::<Vec<_>>().join(" ");
        let source = source(Kind::Text, &text);
        let apart = chunk(&source, &Sizing::of(None, Some(100), 0));
        let over = chunk(&source, &Sizing::of(None, Some(100), 30));
        assert!(apart.windows(2).all(|pair| pair[0].end < pair[1].start));
        let repeated = |pair: &[Chunk]| pair[0].end.saturating_sub(pair[1].start);
        assert!(over.windows(2).all(|pair| (1..=30).contains(&repeated(pair))), "{over:?}");
        assert!(over.len() > apart.len());
    }

    #[test]
    fn code_is_cut_at_definitions_and_records_never_share_a_chunk() {
        let functions = (0..40).map(|n| format!("fn f{n}() -> u32 {{\n    let a = {n};\n    a + 1\n}}\n"));
        let code = source(Kind::Code(Syntax::Rust), &functions.collect::<String>());
        let chunks = chunk(&code, &Sizing::of(None, Some(150), 0));
        assert!(chunks.iter().all(|chunk| chunk.text(&code).starts_with("fn f")), "{chunks:?}");
        assert_eq!(
            chunks[1].heading,
            format!("fn f{}() -> u32", code.text[..chunks[1].start].matches("fn").count())
        );
        let rows = crate::parse("a.csv", b"name,note\nA,short\nB,also short\n".to_vec()).expect("a table");
        let chunks = chunk(&rows, &Sizing::of(None, Some(40), 0));
        let parts: Vec<_> = chunks.iter().map(|chunk| (chunk.record, chunk.text(&rows))).collect();
        assert_eq!(parts, [(Some(0), "name: A\nnote: short"), (Some(1), "name: B\nnote: also short")]);
    }

    #[test]
    fn front_matter_is_cut_into_no_chunk_and_pages_are_counted_from_one() {
        let text = "---\ntitle: x\n---\n\n# A\n\ntext\n";
        let matter = crate::parse("a.md", text.into()).expect("Markdown");
        let chunks = chunk(&matter, &Sizing::new(None));
        assert_eq!((chunks.len(), chunks[0].text(&matter)), (1, "# A\n\ntext"));
        let mut paged = source(Kind::Pdf, "first page\n\nsecond page");
        paged.pages = vec![0, 12];
        let pages: Vec<_> =
            chunk(&paged, &Sizing::of(None, Some(12), 0)).iter().map(|chunk| chunk.page).collect();
        assert_eq!(pages, [Some(1), Some(2)]);
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
