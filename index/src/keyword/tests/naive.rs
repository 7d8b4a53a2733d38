//! What a question means, from its definition: BM25F over all documents that are alive.

use std::ops::Range;

use tantivy::tokenizer::TokenStream;
use types::{Operator, Slot};

use super::*;

/// A document: for each path its values, as terms with their places.
struct Document {
    slot: Slot,
    paths: Vec<Vec<Vec<(String, usize)>>>,
}

/// A group: words with weights, or a phrase with places.
enum Wanted {
    Words(Vec<(String, f64)>),
    Phrase(Vec<(String, usize)>),
}

impl Bench {
    fn analysed(&self, text: &str) -> Vec<(String, usize)> {
        let mut words = Vec::new();
        let mut analyzer = words::analyzer(self.field.language);
        let mut stream = analyzer.token_stream(text);
        while let Some(token) = stream.next() {
            words.push((token.text.clone(), token.position));
        }
        words
    }

    /// The terms of a question with the positions that each takes. Where parts suffice, a word that is made of them is
    /// none.
    fn asked(&self, text: &str, parts_suffice: bool) -> Vec<(String, Range<usize>)> {
        let mut all = Vec::new();
        let mut analyzer = words::analyzer(self.field.language);
        let mut stream = analyzer.token_stream(text);
        while let Some(token) = stream.next() {
            all.push((token.text.clone(), token.position..token.position + token.position_length));
        }
        let has_part =
            |whole: &Range<usize>| all.iter().any(|(_, part)| part.len() == 1 && whole.contains(&part.start));
        let is_needed = |of: &Range<usize>| !parts_suffice || of.len() == 1 || !has_part(of);
        all.iter().filter(|(_, of)| is_needed(of)).cloned().collect()
    }

    /// The documents that the view shows and that have texts.
    fn documents(&self) -> Vec<Document> {
        let mut documents = Vec::new();
        for (version, texts) in &self.texts {
            let slot = self.rows.slot_of(*version).expect("a row");
            if self.alive.contains(slot) && texts.iter().any(|texts| !texts.is_empty()) {
                let of_path =
                    |texts: &Vec<String>| texts.iter().map(|text| self.analysed(text)).collect::<Vec<_>>();
                documents.push(Document { slot, paths: texts.iter().map(of_path).collect() });
            }
        }
        documents
    }

    fn wanted(&self, query: &KeywordQuery, documents: &[Document]) -> Vec<Wanted> {
        let (text, phrases) = query.parts();
        let words = self.asked(&text, query.operator == Operator::All);
        let end = words.iter().map(|(_, positions)| positions.end).max();
        let mut wanted: Vec<Vec<(String, f64)>> = Vec::new();
        let is_beginning = |positions: &Range<usize>| query.is_prefix && Some(positions.end) == end;
        let is_begun = |word: &String| words.iter().any(|(other, of)| other == word && is_beginning(of));
        for (word, positions) in &words {
            if is_begun(word) && !is_beginning(positions) {
                continue;
            }
            let mut group = vec![(word.clone(), 1.0)];
            let others = documents.iter().flat_map(|document| document.paths.iter().flatten().flatten());
            for (other, _) in others {
                let begins = is_beginning(positions) && other.starts_with(word.as_str());
                let changes = query.fuzzy.map_or(9, |fuzzy| match changes(word, other) {
                    _ if other.chars().zip(word.chars()).take(fuzzy.prefix_chars).any(|(a, b)| a != b) => 9,
                    changes if changes > usize::from(fuzzy.distance) => 9,
                    1 if word.len() > 2 => 1,
                    2 if word.len() > 5 => 2,
                    _ => 9,
                });
                let weight = 1.0 - changes as f64 / word.len() as f64;
                let weight = if begins { 1.0 } else { weight };
                if (begins || changes < 9) && !group.iter().any(|(known, _)| known == other) {
                    group.push((other.clone(), weight));
                }
            }
            group[1..].sort_by(|a, b| a.0.cmp(&b.0));
            if !wanted.contains(&group) {
                wanted.push(group);
            }
        }
        let mut wanted: Vec<Wanted> = wanted.into_iter().map(Wanted::Words).collect();
        for phrase in phrases {
            let phrase: Vec<(String, usize)> =
                self.asked(phrase, true).into_iter().map(|(term, of)| (term, of.start)).collect();
            let is_known = |word: &str| {
                wanted.iter().any(
                    |wanted| matches!(wanted, Wanted::Words(group) if group.len() == 1 && group[0].0 == word),
                )
            };
            match phrase.len() {
                0 => {}
                1 if is_known(&phrase[0].0) => {}
                1 => wanted.push(Wanted::Words(vec![(phrase[0].0.clone(), 1.0)])),
                _ => wanted.push(Wanted::Phrase(phrase)),
            }
        }
        wanted
    }

    /// What each path weighs.
    fn weights(&self, query: &KeywordQuery) -> Vec<f64> {
        if query.fields.is_empty() {
            return vec![1.0; self.field.paths.len()];
        }
        let of = |path: &FieldPath| query.fields.iter().find(|(own, _)| own == path);
        let weight = |path| of(path).map_or(0.0, |(_, weight)| f64::from(*weight));
        self.field.paths.iter().map(weight).collect()
    }

    /// BM25 from its definition, over what the view shows.
    pub(super) fn naive(&self, query: &KeywordQuery) -> Vec<Scored> {
        let documents = self.documents();
        let weights = self.weights(query);
        let terms = |path: &Vec<Vec<(String, usize)>>| path.iter().map(Vec::len).sum::<usize>();
        let length = |document: &Document| {
            document.paths.iter().zip(&weights).map(|(path, weight)| terms(path) as f64 * weight).sum::<f64>()
        };
        let count = documents.len() as f64;
        let mean = documents.iter().map(length).sum::<f64>() / count;
        let has = |document: &Document, words: &[(String, f64)]| {
            let mut own = document.paths.iter().flatten().flatten();
            own.any(|(own, _)| words.iter().any(|(word, _)| own == word))
        };
        let idf = |words: &[(String, f64)]| {
            let n = documents.iter().filter(|document| has(document, words)).count() as f64;
            (1.0 + (count - n + 0.5) / (n + 0.5)).ln()
        };
        let slop = query.phrase_slop.unwrap_or(0) as usize;
        let rarity = |wanted: &Wanted| -> f64 {
            match wanted {
                Wanted::Words(words) => idf(words),
                Wanted::Phrase(phrase) => phrase.iter().map(|(word, _)| idf(&[(word.clone(), 1.0)])).sum(),
            }
        };
        let wanted = self.wanted(query, &documents);
        let rarities: Vec<f64> = wanted.iter().map(rarity).collect();
        let mut scored = Vec::new();
        for document in &documents {
            let (mut score, mut found) = (0.0, 0);
            for (wanted, rarity) in wanted.iter().zip(&rarities) {
                let frequency = match wanted {
                    Wanted::Words(words) => frequency_of_words(document, &weights, words),
                    Wanted::Phrase(phrase) => frequency_of_phrase(document, &weights, phrase, slop),
                };
                found += usize::from(frequency > 0.0);
                let rest = 1.2 * (0.25 + 0.75 * length(document) / mean);
                score += f64::from(query.boost) * rarity * 2.2 * frequency / (frequency + rest);
            }
            if found > 0 && (query.operator == Operator::Any || found == wanted.len()) {
                scored.push(Scored { slot: document.slot, score: score as f32 });
            }
        }
        scored.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot)));
        scored
    }
}

fn frequency_of_words(document: &Document, weights: &[f64], words: &[(String, f64)]) -> f64 {
    let of_word =
        |own: &String| words.iter().find(|(word, _)| word == own).map_or(0.0, |(_, weight)| *weight);
    let of_path =
        |path: &Vec<Vec<(String, usize)>>| path.iter().flatten().map(|(own, _)| of_word(own)).sum::<f64>();
    document.paths.iter().zip(weights).map(|(path, weight)| of_path(path) * weight).sum()
}

fn frequency_of_phrase(document: &Document, weights: &[f64], phrase: &[(String, usize)], slop: usize) -> f64 {
    let span = phrase[phrase.len() - 1].1 - phrase[0].1;
    let of_value = |value: &Vec<(String, usize)>| {
        let begins = |(at, (word, _)): (usize, &(String, usize))| {
            *word == phrase[0].0 && ends(value, at, &phrase[1..], phrase[0].1, value[at].1 + span + slop)
        };
        value.iter().enumerate().filter(|begin| begins(*begin)).count() as f64
    };
    let of_path = |path: &Vec<Vec<(String, usize)>>| path.iter().map(of_value).sum::<f64>();
    document.paths.iter().zip(weights).map(|(path, weight)| of_path(path) * weight).sum()
}

/// Whether the rest of a phrase stands behind a word, each term at least as far on as in the phrase, and none behind
/// `last`. All ways are tried.
fn ends(value: &[(String, usize)], at: usize, rest: &[(String, usize)], place: usize, last: usize) -> bool {
    let Some((word, next)) = rest.first() else { return true };
    value.iter().enumerate().any(|(other, (own, position))| {
        own == word
            && *position >= value[at].1 + (next - place)
            && *position <= last
            && ends(value, other, &rest[1..], *next, last)
    })
}

/// Letters to add, leave out, replace or exchange, by trying everything.
fn changes(a: &str, b: &str) -> usize {
    fn of(a: &[u8], b: &[u8]) -> usize {
        match (a, b) {
            ([], rest) | (rest, []) => rest.len(),
            ([x, a @ ..], [y, b @ ..]) if x == y => of(a, b),
            ([x, after_x @ ..], [y, after_y @ ..]) => {
                let mut least = of(after_x, b).min(of(a, after_y)).min(of(after_x, after_y));
                if let ([x2, rest_a @ ..], [y2, rest_b @ ..]) = (after_x, after_y)
                    && (x, x2) == (y2, y)
                {
                    least = least.min(of(rest_a, rest_b));
                }
                1 + least
            }
        }
    }
    of(a.as_bytes(), b.as_bytes())
}
