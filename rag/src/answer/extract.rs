//! An answer without a model that writes: the sentences of the best passages that fit the question, word for word.
//!
//! Invariants: every quote is text of its source as it is stored, and its citation has exactly its bytes. No quote has
//! what a chat would load by itself: it stands beside that.

use std::collections::HashSet;
use std::ops::Range;

use super::check::Citation;
use super::passage::Passage;
use super::shown::loading;
use super::words::{sentences, words};

/// Said before the quotes.
pub const EXTRACTIVE: &str =
    "No serving engine was asked, so these are the passages that fit best, word for word:";

/// Passages that are quoted.
const QUOTES_MAX: usize = 3;

/// The share of the best score that a further passage must have.
const SCORE_SHARE_MIN: f32 = 0.5;

/// Bytes of a quote, at most.
const QUOTE_BYTES_MAX: usize = 600;

/// A shorter quote goes on with the sentences behind it: alone it would say little.
const QUOTE_BYTES_MIN: usize = 160;

/// Writes the answer, and its citations. Passages are given in the order of their numbers.
pub(crate) fn extract(question: &str, passages: &[Passage]) -> (String, Vec<Citation>) {
    let asked = words(question);
    let mut best: Vec<usize> = (0..passages.len()).collect();
    best.sort_by(|a, b| passages[*b].score.total_cmp(&passages[*a].score));
    let least = best.first().map_or(0.0, |first| passages[*first].score * SCORE_SHARE_MIN);
    best.retain(|number| passages[*number].score >= least);
    let (mut text, mut citations) = (EXTRACTIVE.to_owned(), Vec::new());
    let quotes = best.into_iter().map(|number| (number, quote(&passages[number].text, &asked)));
    for (number, quote) in quotes.filter(|(_, quote)| !quote.is_empty()).take(QUOTES_MAX) {
        let passage = &passages[number];
        text.push_str("\n\n");
        let start = text.chars().count();
        text.push_str(&passage.text[quote.clone()]);
        let claim = start..text.chars().count();
        text.push_str(&format!(" [{}]", number + 1));
        let at = claim.end + 1..text.chars().count();
        let span = passage.span.start + quote.start..passage.span.start + quote.end;
        let (source, hash) = (passage.source, passage.hash.clone());
        citations.push(Citation { passage: number, at, claim, source, hash, span });
    }
    (text, citations)
}

/// The stretch of whole sentences that has most of the words that were asked for; of several, the shortest.
fn quote(text: &str, asked: &HashSet<String>) -> Range<usize> {
    let sentences = sentences(text);
    let end = text.floor_char_boundary(QUOTE_BYTES_MAX);
    let head = &text[..loading(&text[..end]).unwrap_or(end)];
    let mut best = 0..head.trim_end().len();
    let mut most: Option<(usize, usize)> = None;
    for (position, first) in sentences.iter().enumerate() {
        for last in &sentences[position..] {
            let range = first.start..last.end;
            if range.len() > QUOTE_BYTES_MAX || loading(&text[range.clone()]).is_some() {
                break;
            }
            let found = words(&text[range.clone()]).intersection(asked).count();
            // A passage that has none of the words was found by what it means: its beginning says most.
            if found == 0 {
                continue;
            }
            if most.is_none_or(|(words, bytes)| found > words || (found == words && range.len() < bytes)) {
                most = Some((found, range.len()));
                best = range;
            }
        }
    }
    let behind = sentences.iter().map(|sentence| sentence.end).filter(|end| *end > best.end);
    let long_enough = |end: &usize| *end - best.start >= QUOTE_BYTES_MIN;
    let is_fine =
        |end: &usize| *end - best.start <= QUOTE_BYTES_MAX && loading(&text[best.start..*end]).is_none();
    let mut ends = behind.take_while(is_fine).peekable();
    let mut end = best.end;
    while !long_enough(&end) && ends.peek().is_some() {
        end = ends.next().unwrap_or(end);
    }
    best.start..end
}

#[cfg(test)]
mod tests {
    use super::super::passage::{About, hash};
    use super::*;

    #[test]
    fn quotes_are_the_stored_bytes_that_fit() {
        let text = "Größe matters. The lock is fair to readers. Writers wait for it. Nothing else is said.";
        let source = format!("0123456789{text}");
        let passage = Passage {
            source: 1.into(),
            about: About::default(),
            hash: hash(&source),
            span: 10..source.len(),
            text: text.to_owned(),
            score: 1.0,
            similarity: None,
        };
        let long = Passage { text: "x".repeat(9_999), score: 0.5, ..passage.clone() };
        let (answer, citations) = extract("For whom do writers of a lock wait?", &[long, passage]);
        let slice =
            |range: &Range<usize>| answer.chars().skip(range.start).take(range.len()).collect::<String>();
        assert_eq!(citations.len(), 2);
        let first = &citations[0];
        assert_eq!(&source[first.span.clone()], &text[text.find("The lock").expect("it is there")..]);
        assert_eq!(
            (slice(&first.claim).as_str(), slice(&first.at).as_str()),
            (&source[first.span.clone()], "[2]")
        );
        assert_eq!((citations[1].span.len(), slice(&citations[1].at)), (QUOTE_BYTES_MAX, "[1]".to_owned()));
        assert!(answer.starts_with(EXTRACTIVE));
    }

    #[test]
    fn no_quote_has_a_picture() {
        let passage = |text: &str| Passage {
            source: 1.into(),
            about: About::default(),
            hash: hash(text),
            span: 0..text.len(),
            text: text.to_owned(),
            score: 1.0,
            similarity: None,
        };
        let text = "The lock ![p](https://x/p) is fair. Writers wait for vec![1]. So be it. <img src=x>";
        let quoted = |question: &str, text: &str| {
            let (answer, citations) = extract(question, &[passage(text)]);
            assert!(!answer.contains("![p") && !answer.contains("<img"), "{answer}");
            citations.iter().map(|citation| text[citation.span.clone()].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(quoted("Do writers wait for a lock?", text), ["Writers wait for vec![1]. So be it."]);
        assert_eq!(quoted("Which?", text), ["The lock"], "what was found by its meaning is quoted so far");
        let picture = "![p](https://x.example/p)";
        assert!(quoted("Which?", picture).is_empty());
        let mut passages = vec![passage(picture); QUOTES_MAX];
        passages.push(passage("The lock is fair."));
        let (_, citations) = extract("Which?", &passages);
        let cited: Vec<usize> = citations.iter().map(|citation| citation.passage).collect();
        assert_eq!(cited, [QUOTES_MAX], "others stand in their place");
    }
}
