//! The text of a PDF, page by page, in the order in which it is drawn.
//!
//! hayro interprets the pages, which a stranger may have written: it has no unsafe code of its own and bounds nesting.
//! Here the glyphs are put together again: a step to the right is a space, one down a line, a larger one a paragraph.
//! Ligatures become their letters, a word that a line's end divided becomes one, and what is drawn twice in one place
//! (filled and stroked, or a little beside itself to look bold) is read once: readers look for words.
//!
//! Invariants: no PDF ends the process. It is read on a thread of its own with a deep stack, for so long and so many
//! glyphs at most, and only if its compressed streams stay below [`INFLATED_BYTES_MAX`] together.
//! When not to use: for pages of pictures (nothing recognises their letters; those that another program recognised and
//! put behind the picture are read), columns that are drawn line by line across, and tables, whose cells come as
//! words. A word with a hyphen of its own loses it where a line ends behind that. Streams that are encrypted, or
//! compressed by LZW, are not measured before.

use std::cell::Cell;
use std::io::Read;
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::ZlibDecoder;
use hayro_interpret::font::{Glyph, GlyphRun};
use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
    InterpreterSettings, SoftMask, interpret_page,
};
use hayro_syntax::object::DateTime;
use hayro_syntax::{LoadPdfError, Pdf};

use super::{TEXT_BYTES_MAX, cut};
use crate::metadata::time;
use crate::{Metadata, Skip, Source};

/// Pages of a document.
const PAGES_MAX: usize = 5_000;

/// Bytes of all streams of a file, decompressed.
const INFLATED_BYTES_MAX: u64 = 512 << 20;

/// Compressed streams within compressed streams that are looked into.
const LEVELS_MAX: usize = 8;

/// Interpreting a file may take so long.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Bytes of the stack: a page's forms may lie in each other, far deeper than in any honest file.
const STACK_BYTES: usize = 64 << 20;

/// Units of a glyph's own space in its font size.
const EM: f64 = 1000.0;

/// What divides a word at the end of a line.
const HYPHENS: [char; 2] = ['-', '\u{2010}'];

/// So near to where the last glyphs began, in parts of their height, the same ones are those again.
const AGAIN: f64 = 0.1;

/// Width of a glyph whose font does not say it.
const USUAL_WIDTH: f32 = 500.0;

/// The text and what the document says of itself.
pub(crate) fn read(bytes: Vec<u8>) -> Result<Source, Skip> {
    cut::check(&bytes)?;
    check_inflated(&bytes)?;
    let thread = thread::Builder::new().stack_size(STACK_BYTES).name("kithdb-pdf".to_owned());
    let thread =
        thread.spawn(move || interpret(bytes)).map_err(|error| Skip::Unreadable(error.to_string()))?;
    // The fence around all formats tells the reason.
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

fn interpret(bytes: Vec<u8>) -> Result<Source, Skip> {
    let pdf = Pdf::new(bytes).map_err(|error| match error {
        LoadPdfError::Decryption(_) => {
            Skip::Malformed("it is encrypted, and there is no password".to_owned())
        }
        LoadPdfError::Invalid => Skip::Malformed("it is no PDF, or a damaged one".to_owned()),
    })?;
    let count = pdf.pages().len();
    if count > PAGES_MAX {
        return Err(Skip::Malformed(format!("it has {count} pages, {PAGES_MAX} are allowed")));
    }
    let cache = InterpreterCache::new();
    let mut writer = Writer { began: Some(Instant::now()), ..Writer::default() };
    let mut pages = Vec::with_capacity(count);
    for page in pdf.pages().iter() {
        writer.begin_page();
        pages.push(writer.text.len());
        let frame = Rect::new(0.0, 0.0, 1.0, 1.0);
        let settings = InterpreterSettings::default();
        let mut context = Context::new(Affine::IDENTITY, frame, &cache, pdf.xref(), settings);
        interpret_page(page, &mut context, &mut writer);
    }
    if says_nothing(&writer.text) {
        return Err(Skip::NoText);
    }
    let said = pdf.metadata();
    let date = said.modification_date.as_ref().or(said.creation_date.as_ref());
    let metadata = Metadata {
        title: said.title.as_deref().and_then(words),
        author: said.author.as_deref().and_then(words),
        time: date.and_then(of_date),
        ..Metadata::default()
    };
    Ok(Source { text: writer.text, pages, metadata, ..Source::default() })
}

/// Whether a text has no letter: its pages are pictures, or its fonts don't say what their glyphs mean.
fn says_nothing(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == char::REPLACEMENT_CHARACTER)
}

/// Refuses a file whose compressed streams are a trap: small as they come, and without end.
fn check_inflated(bytes: &[u8]) -> Result<(), Skip> {
    let left = Cell::new(INFLATED_BYTES_MAX);
    let mark: &[u8] = b"stream";
    for at in memchr::memmem::find_iter(bytes, mark) {
        let data = &bytes[at + mark.len()..];
        let data = data.strip_prefix(b"\r").unwrap_or(data);
        drain(&mut data.strip_prefix(b"\n").unwrap_or(data), &left, 0);
    }
    if left.get() > 0 {
        return Ok(());
    }
    let most = INFLATED_BYTES_MAX >> 20;
    Err(Skip::Malformed(format!("its streams have more than {most} MiB when decompressed")))
}

/// Reads a compressed stream to its end, and what it holds, if that is compressed in turn.
fn drain(from: &mut dyn Read, left: &Cell<u64>, level: usize) {
    let mut head = [0; 2];
    let is_compressed = from.read_exact(&mut head).is_ok()
        && head[0] & 0x0f == 8
        && (u32::from(head[0]) * 256 + u32::from(head[1])).is_multiple_of(31);
    if is_compressed && level < LEVELS_MAX {
        let inner = ZlibDecoder::new(head.chain(from));
        drain(&mut Measured { from: inner, left }, left, level + 1);
    } else if level > 0 {
        // What is damaged ends where it is: it is no trap.
        let _ = std::io::copy(from, &mut std::io::sink());
    }
}

/// Takes what is read from what is left, and ends where nothing is.
struct Measured<'a, R> {
    from: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Measured<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(bytes)?;
        self.left.set(self.left.get().saturating_sub(count as u64));
        if self.left.get() == 0 { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(count) }
    }
}

/// Puts glyphs together.
#[derive(Default)]
struct Writer {
    text: String,
    /// Where the last glyph ended, and its height.
    last: Option<(Point, f64)>,
    /// Where the last glyphs that were drawn together began, and what they say.
    run: Option<(Point, String)>,
    began: Option<Instant>,
}

impl Writer {
    fn begin_page(&mut self) {
        if !self.text.is_empty() {
            let end = self.text.trim_end().len();
            self.text.truncate(end);
            self.text.push_str("\n\n");
        }
        self.last = None;
        self.run = None;
    }

    /// Ends what takes too long or says too much, past the interpreter, which has no way to be stopped.
    fn check(&self) {
        if self.text.len() > TEXT_BYTES_MAX {
            resume_unwind(Box::new(format!("its text has more than {TEXT_BYTES_MAX} bytes")));
        }
        if self.began.is_some_and(|began| began.elapsed() > TIME_MAX) {
            resume_unwind(Box::new(format!("reading it took more than {} s", TIME_MAX.as_secs())));
        }
    }

    fn glyph(&mut self, text: &str, start: Point, end: Point, height: f64) {
        if let Some((before, size)) = self.last {
            let size = size.max(height);
            let (right, down) = (start.x - before.x, before.y - start.y);
            let gap = match (down.abs() / size, right / size) {
                (down, _) if down > 1.8 => "\n\n",
                (down, right) if down > 0.5 || right < -2.0 => "\n",
                (_, right) if right > 0.15 => " ",
                _ => "",
            };
            let is_spaced = self.text.ends_with(char::is_whitespace) || text.starts_with(char::is_whitespace);
            let is_joined = gap == "\n" && self.rejoin(text);
            if !is_joined && !gap.is_empty() && (gap != " " || !is_spaced) {
                let trimmed = self.text.trim_end_matches(' ').len();
                self.text.truncate(if gap == " " { self.text.len() } else { trimmed });
                self.text.push_str(gap);
            }
        }
        self.text.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
        self.last = Some((end, height));
    }

    /// Takes away the hyphen that divided a word at the end of the line, if the next glyph goes on with it.
    fn rejoin(&mut self, next: &str) -> bool {
        let Some(word) = self.text.trim_end_matches(' ').strip_suffix(HYPHENS) else { return false };
        let is_divided = word.ends_with(char::is_lowercase) && next.starts_with(char::is_lowercase);
        if is_divided {
            let end = word.len();
            self.text.truncate(end);
        }
        is_divided
    }

    /// Whether the same glyphs were drawn in the same place a moment ago.
    fn is_again(&self, text: &str, start: Point, height: f64) -> bool {
        let before = self.run.as_ref().filter(|(_, before)| before == text);
        before.is_some_and(|(place, _)| (*place - start).hypot() <= height * AGAIN)
    }
}

/// A glyph with its place on the page.
struct Placed {
    text: String,
    start: Point,
    end: Point,
    height: f64,
}

/// The letters of a glyph.
fn letters(glyph: &Glyph<'_>) -> String {
    let text = match glyph.as_unicode() {
        Some(BfString::Char(c)) => c.to_string(),
        Some(BfString::String(text)) => text,
        None => return char::REPLACEMENT_CHARACTER.to_string(),
    };
    text.chars().fold(String::with_capacity(text.len()), |mut text, c| {
        match c {
            '\u{FB00}' => text.push_str("ff"),
            '\u{FB01}' => text.push_str("fi"),
            '\u{FB02}' => text.push_str("fl"),
            '\u{FB03}' => text.push_str("ffi"),
            '\u{FB04}' => text.push_str("ffl"),
            '\u{FB05}' | '\u{FB06}' => text.push_str("st"),
            // What is drawn is seen: a hyphen that may be left out was not.
            '\u{AD}' => text.push('-'),
            c => text.push(c),
        }
        text
    })
}

impl Device<'_> for Writer {
    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'_>, _: &DrawMode) {
        self.check();
    }

    fn push_clip_path(&mut self, _: &ClipPath) {
        self.check();
    }

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'_>>, _: BlendMode) {
        self.check();
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, '_>, props: DrawProps<'_>, _: &DrawMode) {
        self.check();
        let placed = run.glyphs().iter().map(|glyph| {
            let place = props.transform * glyph.transform();
            let width = match &**glyph {
                Glyph::Outline(outline) => outline.advance_width(),
                Glyph::Type3(_) => None,
            };
            let width = f64::from(width.unwrap_or(USUAL_WIDTH));
            let (start, end) = (place * Point::ZERO, place * Point::new(width, 0.0));
            let height = (place * Point::new(0.0, EM) - start).hypot();
            Placed { text: letters(glyph), start, end, height }
        });
        let placed: Vec<Placed> = placed.collect();
        let Some(first) = placed.first() else { return };
        let text: String = placed.iter().map(|glyph| glyph.text.as_str()).collect();
        if !self.is_again(&text, first.start, first.height) {
            placed.iter().for_each(|glyph| self.glyph(&glyph.text, glyph.start, glyph.end, glyph.height));
        }
        self.run = Some((first.start, text));
    }

    fn draw_image(&mut self, _: Image<'_, '_>, _: ImageDrawProps<'_>) {
        self.check();
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}

/// A string of the dictionary: UTF-16 with its mark, UTF-8 with its mark, or Latin letters.
fn words(bytes: &[u8]) -> Option<String> {
    let text = match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding.decode(bytes).0.into_owned(),
        None => encoding_rs::WINDOWS_1252.decode(bytes).0.into_owned(),
    };
    let text = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let text = text.collect::<Vec<_>>().join(" ");
    let text: String = text.chars().take(crate::metadata::WORDS_CHARS_MAX).collect();
    (!text.is_empty()).then_some(text)
}

fn of_date(date: &DateTime) -> Option<String> {
    let DateTime { year, month, day, hour, minute, second, utc_offset_hour, utc_offset_minute } = date;
    let zone = format!("{utc_offset_hour:+03}:{utc_offset_minute:02}");
    time(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::formats::fenced;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        zlib_of(bytes, 1)
    }

    /// These bytes again and again, compressed.
    fn zlib_of(bytes: &[u8], times: usize) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        (0..times).for_each(|_| encoder.write_all(bytes).expect("compressed"));
        encoder.finish().expect("compressed")
    }

    /// A PDF with a page for each of these lines of text, its streams compressed.
    pub(crate) fn pages(texts: &[&str]) -> Vec<u8> {
        let contents = texts.iter().map(|text| {
            let lines = text.split('\n').enumerate().map(|(nth, line)| {
                let words =
                    line.split(' ').map(|word| format!("({word})")).collect::<Vec<_>>().join(" -400 ");
                format!("1 0 0 1 50 {} Tm [{words}] TJ ", 700 - 14 * nth)
            });
            zlib(format!("BT /F1 12 Tf {} ET", lines.collect::<String>()).as_bytes())
        });
        of_streams(contents.collect())
    }

    /// A PDF with a page for each of these streams.
    fn of_streams(streams: Vec<Vec<u8>>) -> Vec<u8> {
        let kids: String = (0..streams.len()).map(|nth| format!("{} 0 R ", 10 + 2 * nth)).collect();
        let mut objects: Vec<(usize, Vec<u8>)> = vec![
            (1, b"<</Type/Catalog/Pages 2 0 R>>".to_vec()),
            (2, format!("<</Type/Pages/Count {}/Kids[{kids}]>>", streams.len()).into_bytes()),
            (3, b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_vec()),
            (4, b"<</Title(A guide)/Author(\xfe\xff\0B\0.)/CreationDate(D:20240131120000+01'00')>>".to_vec()),
        ];
        for (nth, stream) in streams.into_iter().enumerate() {
            let page = format!(
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>>>/Contents {} 0 R>>",
                11 + 2 * nth
            );
            objects.push((10 + 2 * nth, page.into_bytes()));
            let mut object = format!("<</Length {}/Filter/FlateDecode>>stream\n", stream.len()).into_bytes();
            object.extend(stream);
            object.extend(b"\nendstream");
            objects.push((11 + 2 * nth, object));
        }
        let mut file = b"%PDF-1.7\n".to_vec();
        let mut places = Vec::new();
        for (number, object) in objects {
            places.push((number, file.len()));
            file.extend(format!("{number} 0 obj\n").into_bytes());
            file.extend(object);
            file.extend(b"\nendobj\n");
        }
        let begin = file.len();
        file.extend(b"xref\n0 1\n0000000000 65535 f \n");
        for (number, at) in &places {
            file.extend(format!("{number} 1\n{at:010} 00000 n \n").into_bytes());
        }
        let size = places.iter().map(|(number, _)| number + 1).max().unwrap_or(1);
        let trailer = format!("trailer\n<</Size {size}/Root 1 0 R/Info 4 0 R>>\nstartxref\n{begin}\n%%EOF\n");
        file.extend(trailer.into_bytes());
        file
    }

    #[test]
    fn pages_lines_and_words_come_back() {
        let source = read(pages(&["First line\nsecond line", "Another page"])).expect("a PDF");
        assert_eq!(source.text, "First line\nsecond line\n\nAnother page");
        assert_eq!(source.pages, [0, source.text.find("Another").expect("there")]);
        assert_eq!(source.metadata.title.as_deref(), Some("A guide"));
        assert_eq!(source.metadata.author.as_deref(), Some("B."));
        assert_eq!(source.metadata.time.as_deref(), Some("2024-01-31T11:00:00Z"));
    }

    #[test]
    fn what_is_no_text_or_no_pdf_has_its_reason() {
        assert_eq!(read(of_streams(vec![zlib(b"0 0 10 10 re f")])), Err(Skip::NoText));
        assert!(matches!(read(b"%PDF-1.7 nothing".to_vec()), Err(Skip::Malformed(_))));
        // Its first page was read as if it were all.
        let file = pages(&["First line", "Another page"]);
        let half = file[..file.len() * 2 / 3].to_vec();
        assert!(matches!(read(half), Err(Skip::Malformed(why)) if why.contains("breaks off")));
        assert!(says_nothing(" \u{FFFD}\n\u{FFFD}") && !says_nothing("\u{FFFD}a"));
    }

    #[test]
    fn a_pdf_that_a_password_locks_says_so() {
        let file = pages(&["First line"]);
        let trailer = memchr::memmem::rfind(&file, b"/Info").expect("a trailer");
        let (secret, (before, behind)) = ("x".repeat(32), file.split_at(trailer));
        let lock = format!("/Encrypt<</Filter/Standard/V 1/R 2/P -44/O({secret})/U({secret})>>/ID[(a)(a)]");
        let locked = [before, lock.as_bytes(), behind].concat();
        assert!(matches!(read(locked), Err(Skip::Malformed(why)) if why.contains("encrypted")));
    }

    #[test]
    fn words_are_what_readers_look_for_however_they_are_drawn() {
        let text = |drawn: &str| {
            let stream = zlib(format!("BT /F1 12 Tf {drawn} ET").as_bytes());
            read(of_streams(vec![stream])).expect("a PDF").text
        };
        let ligatures = "1 0 0 1 50 700 Tm (The \\256eld of infor-) Tj \
                         1 0 0 1 50 686 Tm (mation, the Anglo-) Tj \
                         1 0 0 1 50 672 Tm (Saxon \\257oor) Tj";
        assert_eq!(text(ligatures), "The field of information, the Anglo-\nSaxon floor");
        // Filled and stroked; twice, to look bold; behind a picture; stroked alone.
        let twice = "2 Tr 1 0 0 1 50 700 Tm (Bold) Tj \
                     0 Tr 1 0 0 1 90 700 Tm (twice) Tj 1 0 0 1 90.3 700 Tm (twice) Tj \
                     3 Tr 1 0 0 1 50 686 Tm (unseen) Tj 1 Tr 1 0 0 1 50 672 Tm (outlined) Tj";
        assert_eq!(text(twice), "Bold twice\nunseen\noutlined");
        let again = "1 0 0 1 50 700 Tm (no) Tj 1 0 0 1 90 700 Tm (no) Tj";
        assert_eq!(text(again), "no no", "in another place it is said again");
    }

    #[test]
    fn what_decompresses_without_end_is_refused_before_it_is_read() {
        let inner = zlib_of(&[b' '; 1 << 20], 600);
        assert!(inner.len() < 8 << 20);
        for file in [of_streams(vec![zlib(&inner)]), of_streams(vec![inner])] {
            assert!(matches!(read(file), Err(Skip::Malformed(why)) if why.contains("512 MiB")));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn a_damaged_pdf_gives_text_or_a_reason(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut file = pages(&["First line\nsecond", "page"]);
            for (at, byte) in &damage {
                let at = at.index(file.len());
                file[at] = *byte;
            }
            let shorter = file[..cut.index(file.len())].to_vec();
            let _ = fenced(|| read(file));
            let _ = fenced(|| read(shorter));
        }
    }
}
