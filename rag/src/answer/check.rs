//! An answer on its way out, sentence by sentence: held against the passages, cited, or marked.
//!
//! Invariants: a sentence goes out when it is whole and was looked at. A citation names a passage that has the
//! words of its sentence, and whose source is still stored with the hash that the passage was read from; numbers
//! that name no such passage are taken out. A sentence that says something and finds no such passage is marked. Nothing
//! goes out that a chat would load by itself ([`inert`]). Code between fences goes out as it stands: what nothing
//! supports of it is told, not marked.
//!
//! What is looked at are words and numbers, not their meaning: invented facts, names and figures are found; a `not`
//! that was lost, or two facts that were mixed, are not.

use std::collections::HashSet;
use std::ops::Range;

use kithdb::PointId;

use super::passage::Passage;
use super::shown::{Fences, inert};
use super::words::{sentence_end, sentences, words};

/// A place in an answer, and the place in a document that it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    /// Which passage, from 0.
    pub passage: usize,
    /// The marker, in characters of the answer.
    pub at: Range<usize>,
    /// The sentence that rests on it, in characters of the answer.
    pub claim: Range<usize>,
    /// The document.
    pub source: PointId,
    /// The hash of its text.
    pub hash: String,
    /// The bytes of its text that say so.
    pub span: Range<usize>,
}

/// Where support for a sentence was found.
struct Support {
    passage: usize,
    share: f32,
    span: Range<usize>,
}

/// Checks what a model writes.
pub(crate) struct Checker<'a> {
    documents: &'a [Passage],
    /// The sentences of each, and their words.
    known: Vec<Vec<(Range<usize>, HashSet<String>)>>,
    /// Whether a source is still stored with this hash.
    is_stored: &'a dyn Fn(PointId, &str) -> bool,
    marks: bool,
    waiting: String,
    /// What went out: whether its end is in code.
    fences: Fences,
    chars: usize,
    /// What was cited.
    pub(crate) citations: Vec<Citation>,
    /// The sentences that nothing supports, in characters of the answer.
    pub(crate) unsupported: Vec<Range<usize>>,
}

/// The share of a sentence's words that a few sentences of a document must have.
const SUPPORT_SHARE_MIN: f32 = 0.5;

/// So many sentences of a document are taken together.
const WINDOW: usize = 3;

/// A sentence with fewer words that matter claims nothing.
const CLAIM_WORDS_MIN: usize = 2;

/// Put behind a sentence that nothing supports.
pub const UNSUPPORTED: &str = "[unsupported]";

/// How models say that they have no answer: in English, and in the languages of which every sentence has words enough
/// to be a claim.
const NO_ANSWER: [&str; 20] = [
    "don't know",
    "do not know",
    "cannot answer",
    "can't answer",
    "no information",
    "not mentioned",
    "do not say",
    "does not say",
    "not provided",
    "不知道",
    "无法回答",
    "無法回答",
    "没有提到",
    "沒有提到",
    "没有提及",
    "沒有提及",
    "わかりません",
    "分かりません",
    "記載されていません",
    "ไม่ทราบ",
];

/// How they go on to answer all the same.
const ALL_THE_SAME: [&str; 8] =
    [" but ", " however", " although ", " though ", "但", "しかし", "ですが", "แต่"];

impl<'a> Checker<'a> {
    pub(crate) fn new(
        documents: &'a [Passage],
        is_stored: &'a dyn Fn(PointId, &str) -> bool,
        marks: bool,
    ) -> Self {
        let of = |document: &Passage| {
            let all = sentences(&document.text).into_iter();
            all.map(|range| (range.clone(), words(&document.text[range]))).collect()
        };
        Self {
            known: documents.iter().map(of).collect(),
            documents,
            is_stored,
            marks,
            waiting: String::new(),
            fences: Fences::default(),
            chars: 0,
            citations: Vec::new(),
            unsupported: Vec::new(),
        }
    }

    /// Takes a piece of the answer; what may go out now.
    pub(crate) fn take(&mut self, piece: &str) -> String {
        self.waiting.push_str(piece);
        let mut out = String::new();
        while let Some(end) = sentence_end(&self.waiting) {
            if !self.waiting[..end].ends_with('\n') && may_become_marker(&self.waiting[end..]) {
                break;
            }
            let sentence: String = self.waiting.drain(..end).collect();
            out.push_str(&self.checked(&sentence));
        }
        out
    }

    /// The answer is over; what is left of it.
    pub(crate) fn end(&mut self) -> String {
        let rest = std::mem::take(&mut self.waiting);
        let mut out = String::new();
        let mut from = 0;
        while let Some(end) = sentence_end(&rest[from..]) {
            out.push_str(&self.checked(&rest[from..from + end]));
            from += end;
        }
        out.push_str(&self.checked(&rest[from..]));
        out
    }

    fn checked(&mut self, sentence: &str) -> String {
        let is_code = self.fences.are_around(sentence);
        let (text, named) = match is_code {
            true => (sentence.to_owned(), Vec::new()),
            false => {
                let (text, named) = without_markers(sentence);
                (inert(&text), named)
            }
        };
        let claim = words(&text);
        let body = text.trim_end();
        let start = self.chars + body.chars().count() - body.trim_start().chars().count();
        let mut out = body.to_owned();
        let claims_nothing = claim.len() < CLAIM_WORDS_MIN || is_no_answer(body);
        if !claims_nothing {
            let range = start..self.chars + body.chars().count();
            let found = self.support(&claim, &named);
            for support in found.iter().filter(|_| !is_code) {
                self.cite(&mut out, support, range.clone());
            }
            if found.is_empty() {
                self.unsupported.push(range);
                if self.marks && !is_code {
                    out.push(' ');
                    out.push_str(UNSUPPORTED);
                }
            }
        }
        out.push_str(&text[body.len()..]);
        self.fences.pass(&out);
        self.chars += out.chars().count();
        out
    }

    fn cite(&mut self, out: &mut String, support: &Support, claim: Range<usize>) {
        out.push(' ');
        let at = self.chars + out.chars().count();
        let marker = format!("[{}]", support.passage + 1);
        out.push_str(&marker);
        let document = &self.documents[support.passage];
        self.citations.push(Citation {
            passage: support.passage,
            at: at..at + marker.chars().count(),
            claim,
            source: document.source,
            hash: document.hash.clone(),
            span: support.span.clone(),
        });
    }

    /// The passages that have the words: those that the model named, or else the best.
    fn support(&self, claim: &HashSet<String>, named: &[usize]) -> Vec<Support> {
        let of = |passage: usize| self.support_by(claim, passage);
        let is_stored = |support: &Support| {
            let document = &self.documents[support.passage];
            (self.is_stored)(document.source, &document.hash)
        };
        let mut found: Vec<Support> = named.iter().filter_map(|number| of(number.checked_sub(1)?)).collect();
        found.retain(|support| is_stored(support));
        if found.is_empty() {
            let mut others: Vec<Support> = (0..self.documents.len()).filter_map(of).collect();
            others.sort_by(|a, b| b.share.total_cmp(&a.share));
            // To look at what is stored is to read it whole: the best first.
            found.extend(others.into_iter().find(is_stored));
        }
        found
    }

    /// The few sentences of a passage that have most of the words, if they have enough.
    fn support_by(&self, claim: &HashSet<String>, passage: usize) -> Option<Support> {
        let known = self.known.get(passage)?;
        let has_all_numbers = |own: &HashSet<&String>| {
            let is_number = |word: &&String| word.bytes().any(|byte| byte.is_ascii_digit());
            claim.iter().filter(is_number).all(|number| own.contains(number))
        };
        let mut best: Option<Support> = None;
        for size in 1..=WINDOW.min(known.len()) {
            for window in known.windows(size) {
                let own: HashSet<&String> = window.iter().flat_map(|(_, words)| words).collect();
                let share =
                    claim.iter().filter(|word| own.contains(word)).count() as f32 / claim.len() as f32;
                // A longer stretch must have clearly more of the words.
                let least = best.as_ref().map_or(SUPPORT_SHARE_MIN, |best| best.share + 0.1);
                if share >= least && has_all_numbers(&own) {
                    let offset = self.documents[passage].span.start;
                    let span = offset + window[0].0.start..offset + window[size - 1].0.end;
                    best = Some(Support { passage, share, span });
                }
            }
        }
        best
    }
}

/// Whether what stands behind a sentence may still turn out to be its citation.
fn may_become_marker(rest: &str) -> bool {
    let rest = rest.trim_start_matches(' ');
    let inner = rest.strip_prefix('[').unwrap_or(rest);
    (rest.is_empty() || rest.starts_with('['))
        && inner.chars().all(|c| c.is_ascii_digit() || c == ',' || c == ' ')
}

fn is_no_answer(sentence: &str) -> bool {
    let sentence = sentence.to_lowercase().replace('’', "'");
    let has_one_of = |all: &[&str]| all.iter().any(|words| sentence.contains(words));
    has_one_of(&NO_ANSWER) && !has_one_of(&ALL_THE_SAME)
}

/// A sentence without its markers, and the numbers in them.
fn without_markers(sentence: &str) -> (String, Vec<usize>) {
    let (mut text, mut named, mut rest) = (String::with_capacity(sentence.len()), Vec::new(), sentence);
    while let Some(at) = rest.find('[') {
        let inner = rest[at + 1..].split_once(']');
        let numbers = inner.and_then(|(inner, after)| {
            let numbers: Option<Vec<usize>> = inner.split(',').map(|part| part.trim().parse().ok()).collect();
            Some((numbers?, after))
        });
        match numbers {
            Some((numbers, after)) => {
                text.push_str(rest[..at].trim_end_matches(' '));
                named
                    .extend(numbers.into_iter().filter(|number| !named.contains(number)).collect::<Vec<_>>());
                rest = after;
            }
            None => {
                text.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
    }
    text.push_str(rest);
    (text, named)
}

#[cfg(test)]
mod tests {
    use super::super::passage::{About, hash};
    use super::*;

    fn document(id: u64, text: &str) -> Passage {
        let (about, span) = (About::default(), 100..100 + text.len());
        Passage {
            source: id.into(),
            about,
            hash: hash(text),
            span,
            text: text.into(),
            score: 1.0,
            similarity: None,
        }
    }

    fn documents() -> [Passage; 3] {
        [
            document(
                1,
                "The tower stands in Paris. It was built in 1889 by Eiffel's company. It is 330 metres high.",
            ),
            document(2, "The bridge of San Francisco was opened in 1937. Its colour is orange."),
            document(3, "蓝色水泵每分钟输送十五升水。它的滤芯每三百小时更换一次。"),
        ]
    }

    fn check(answer: &str, step: usize) -> (String, Vec<(usize, String)>, Vec<String>) {
        let documents = documents();
        let is_stored = |_: PointId, _: &str| true;
        let mut checker = Checker::new(&documents, &is_stored, true);
        let chars: Vec<char> = answer.chars().collect();
        let mut out: String =
            chars.chunks(step).map(|piece| checker.take(&piece.iter().collect::<String>())).collect();
        out.push_str(&checker.end());
        let slice =
            |range: &Range<usize>| out.chars().skip(range.start).take(range.len()).collect::<String>();
        for citation in &checker.citations {
            assert_eq!(slice(&citation.at), format!("[{}]", citation.passage + 1), "{out}");
        }
        let quote = |citation: &Citation| {
            let document = &documents[citation.passage];
            let span = citation.span.start - 100..citation.span.end - 100;
            (citation.passage + 1, document.text[span].to_owned())
        };
        let cited = checker.citations.iter().map(quote).collect();
        let unsupported = checker.unsupported.iter().map(slice).collect();
        (out.clone(), cited, unsupported)
    }

    #[test]
    fn claims_are_cited_or_marked_however_they_arrive() {
        let answer = "The tower stands in Paris [1]. It was built in 1889 [2].\nIt was built in 1989 [1]. \
                      The moon is made of cheese [7]! The bridge's colour is orange. I don't know more. Yes.";
        for step in [1, 2, 3, 7, 1_000] {
            let (out, cited, unsupported) = check(answer, step);
            assert_eq!(
                out,
                "The tower stands in Paris. [1] It was built in 1889. [1]\nIt was built in 1989. [unsupported] \
                 The moon is made of cheese! [unsupported] The bridge's colour is orange. [2] I don't know more. Yes.",
                "by {step}"
            );
            let quotes: Vec<(usize, &str)> =
                cited.iter().map(|(number, quote)| (*number, quote.as_str())).collect();
            assert_eq!(
                quotes,
                [
                    (1, "The tower stands in Paris."),
                    (1, "It was built in 1889 by Eiffel's company."),
                    (2, "The bridge of San Francisco was opened in 1937. Its colour is orange."),
                ]
            );
            assert_eq!(unsupported, ["It was built in 1989.", "The moon is made of cheese!"]);
        }
    }

    /// All of a sentence was one word: none was cited, and none was marked.
    #[test]
    fn claims_without_spaces_are_cited_or_marked_too() {
        let answer = "蓝色水泵每分钟输送十五升水。[1]滤芯要每三百小时更换一次。它由拿破仑于1832年建造。是的。我不知道。";
        for step in [1, 2, 5, 1_000] {
            let (out, cited, unsupported) = check(answer, step);
            let expected = "蓝色水泵每分钟输送十五升水。 [3]滤芯要每三百小时更换一次。 [3]\
                            它由拿破仑于1832年建造。 [unsupported]是的。我不知道。";
            assert_eq!(out, expected, "by {step}");
            let quotes: Vec<&str> = cited.iter().map(|(_, quote)| quote.as_str()).collect();
            assert_eq!(quotes, ["蓝色水泵每分钟输送十五升水。", "它的滤芯每三百小时更换一次。"]);
            assert_eq!(unsupported, ["它由拿破仑于1832年建造。"]);
        }
    }

    #[test]
    fn who_knows_no_answer_and_gives_one_is_held_to_it() {
        let answer = "They do not say who made it, but it was painted by Monet. \
                      It is not mentioned, but the tower stands in Paris. They do not say more.";
        let (out, cited, unsupported) = check(answer, 3);
        assert_eq!(unsupported, ["They do not say who made it, but it was painted by Monet."], "{out}");
        assert_eq!(cited, [(1, "The tower stands in Paris.".to_owned())], "{out}");
    }

    #[test]
    fn a_source_that_changed_meanwhile_supports_nothing() {
        let documents = documents();
        let is_stored = |id: PointId, _: &str| id != 1.into();
        let mut checker = Checker::new(&documents, &is_stored, false);
        let out = checker.take("The tower stands in Paris [1]. ") + &checker.end();
        assert_eq!(
            (out.as_str(), checker.citations.len(), checker.unsupported.len()),
            ("The tower stands in Paris. ", 0, 1)
        );
    }

    #[test]
    fn a_picture_that_would_send_something_away_is_text_however_it_arrives() {
        let answer = "The tower stands in Paris ![a. b](https://x.example/?q=the+vault) [1]. \
                      <img src='https://x.example'/> No.";
        for step in [1, 2, 5, 1_000] {
            let (out, cited, _) = check(answer, step);
            assert!(out.contains("!\\[a.") && out.contains("< img src"), "by {step}: {out}");
            assert!(!out.contains("![") && !out.contains("<img"), "by {step}: {out}");
            assert!(cited.iter().all(|(number, _)| *number == 1), "by {step}: {out}");
        }
    }

    /// It lost its indices, and got marks that no compiler takes.
    #[test]
    fn code_between_fences_goes_out_as_it_stands() {
        let lines = ["let tower = paris[1]; // <a b>", "let v = vec![1, 2]; let cheese = moon."];
        let code = format!("```rust\n{}\n```\n", lines.join("\n"));
        let answer = format!("The tower stands in Paris [1].\n\n{code}\nIt was ![x](u) built in 1889.");
        let expected =
            format!("The tower stands in Paris. [1]\n\n{code}\nIt was !\\[x](u) built in 1889. [1]");
        for step in [1, 3, 1_000] {
            let (out, cited, unsupported) = check(&answer, step);
            assert_eq!(out, expected, "by {step}");
            assert_eq!(unsupported, lines, "by {step}");
            assert_eq!(cited.len(), 2, "by {step}: {cited:?}");
        }
    }

    #[test]
    fn brackets_that_are_no_markers_stay() {
        let (out, cited, _) = check("The tower [sic] stands in Paris at a[i] [1, 2].", 5);
        assert_eq!(out, "The tower [sic] stands in Paris at a[i]. [1]");
        assert_eq!(cited.len(), 1);
    }
}
