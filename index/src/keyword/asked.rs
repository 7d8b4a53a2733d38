//! A question as the index understands it: groups of terms, each of which a document has or has not.
//!
//! A word is a group of the terms that it stands for: its own, and with beginnings and spellings those that they
//! [expand](super::expand) to. A group counts as one term would: as often as its terms stand in a document, each with
//! its weight, and as rare as a document is that has some of them. A word that is asked for as a beginning, too, is
//! that beginning alone. A phrase is as rare as its words together.
//!
//! Scores are BM25 (Robertson et al. 1994; k1 1.2, b 0.75). Of several fields with weights it is BM25F (Robertson,
//! Zaragoza, Taylor 2004): frequencies and lengths of the fields are added with their weights, and then scored as those
//! of one field.

use std::collections::HashSet;
use std::sync::Arc;

use types::{Error, KeywordQuery, Operator, Result};

use super::clock::Clock;
use super::expand::expanded;
use super::layout::Column;
use super::phrase::Phrase;
use super::statistics::Statistics;
use super::view::Snapshot;
use super::words::parts_alone;

pub(super) const K1: f32 = 1.2;
pub(super) const B: f32 = 0.75;

/// Different words of a question that are looked for in other spellings. Each is a walk through every dictionary, which
/// goes to its end.
const FUZZY_WORDS_MAX: usize = 64;

/// A question.
pub(super) struct Asked {
    pub(super) groups: Vec<Group>,
    /// Whether a document must have all groups.
    pub(super) is_all: bool,
    /// What is searched, with weights.
    pub(super) columns: Vec<(Column, f32)>,
    /// The mean of weighted lengths.
    mean: f32,
    pub(super) boost: f32,
}

/// What a document has or has not.
pub(super) struct Group {
    pub(super) kind: Kind,
    /// Documents that have it; of a phrase nothing is counted.
    pub(super) frequency: u64,
    /// What no score for it exceeds.
    pub(super) bound: f32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Terms with weights.
    Terms(Vec<(Arc<str>, f32)>),
    Phrase(Phrase),
}

impl Asked {
    /// Of some of the words where the time was over before.
    pub(super) fn of(query: &KeywordQuery, snapshot: &Snapshot, clock: &Clock<'_>) -> Result<Self> {
        let statistics = snapshot.statistics()?;
        let columns = snapshot.layout.columns(&query.fields);
        let mean = columns.iter().map(|(column, weight)| weight * statistics.mean(*column)).sum();
        let mut groups = Vec::new();
        for kind in kinds(query, snapshot, clock)? {
            // Of a term whose documents are deleted its postings are counted.
            if !clock.ticks() {
                break;
            }
            groups.push(Group::of(kind, snapshot, statistics, query.boost)?);
        }
        let is_all = query.operator == Operator::All;
        Ok(Self { groups, is_all, columns, mean, boost: query.boost })
    }

    /// The score of a group that stands so often in a document of such a length, both weighted.
    pub(super) fn score(&self, group: &Group, frequency: f32, length: f32) -> f32 {
        group.bound * (frequency / (frequency + self.rest(length)))
    }

    /// What a length adds to the frequency in the denominator of a score.
    pub(super) fn rest(&self, length: f32) -> f32 {
        K1 * (1.0 - B + B * length / self.mean)
    }

    /// Its terms with their frequencies, where it is nothing but terms of all texts.
    pub(super) fn plain(&self) -> Option<Vec<(&Arc<str>, u64)>> {
        if self.columns != [(0, 1.0)] {
            return None;
        }
        let plain = self.groups.iter().map(|group| match &group.kind {
            Kind::Terms(terms) => match &terms[..] {
                [(term, 1.0)] => Some((term, group.frequency)),
                _ => None,
            },
            Kind::Phrase(_) => None,
        });
        plain.collect()
    }
}

impl Group {
    fn of(kind: Kind, snapshot: &Snapshot, statistics: &Statistics, boost: f32) -> Result<Self> {
        let idf = |frequency: u64| {
            let (documents, holding) = (statistics.documents as f32, frequency as f32);
            (1.0 + (documents - holding + 0.5) / (holding + 0.5)).ln()
        };
        let mut frequency = 0;
        let rarity = match &kind {
            Kind::Terms(terms) => {
                frequency = statistics
                    .frequency(snapshot, &terms.iter().map(|(term, _)| &**term).collect::<Vec<_>>())?;
                idf(frequency)
            }
            Kind::Phrase(phrase) => {
                let mut sum = 0.0;
                for term in &phrase.terms {
                    sum += idf(statistics.frequency(snapshot, &[term])?);
                }
                sum
            }
        };
        Ok(Self { kind, frequency, bound: boost * rarity * (1.0 + K1) })
    }
}

/// The groups of a question, each once, in the order of their first occurrence; some of them where the time was over
/// before.
///
/// # Errors
/// `LimitExceeded` when too many words are looked for in other spellings; what reading says.
pub(super) fn kinds(query: &KeywordQuery, snapshot: &Snapshot, clock: &Clock<'_>) -> Result<Vec<Kind>> {
    let (text, phrases) = query.parts();
    let analysis = &snapshot.analysis;
    let needed = |terms| if query.operator == Operator::All { parts_alone(terms) } else { terms };
    let mut kinds = Vec::new();
    if query.is_prefix || query.fuzzy.is_some() {
        let words = needed(analysis.words_of(&text));
        let end = words.iter().map(|word| word.positions.end).max();
        let mut words: Vec<(String, bool)> = words
            .into_iter()
            .map(|word| (word.text, query.is_prefix && Some(word.positions.end) == end))
            .collect();
        let begun: HashSet<String> =
            words.iter().filter(|(_, begins)| *begins).map(|(word, _)| word.clone()).collect();
        let mut seen = HashSet::new();
        words.retain(|(word, begins)| (*begins || !begun.contains(word)) && seen.insert(word.clone()));
        if query.fuzzy.is_some() && words.len() > FUZZY_WORDS_MAX {
            let what = "the number of different words";
            return Err(Error::limit("query.keyword.fuzzy", what, words.len(), FUZZY_WORDS_MAX));
        }
        for (word, is_prefix) in words {
            if !clock.has_time() {
                break;
            }
            let terms = match expanded(&word, is_prefix, query.fuzzy, snapshot)? {
                terms if terms.is_empty() => continue,
                terms => terms,
            };
            kinds.push(Kind::Terms(terms));
        }
    } else {
        let terms = needed(analysis.asked(&text)).into_iter();
        kinds.extend(terms.map(|term| Kind::Terms(vec![(term.text.into(), 1.0)])));
    }
    let slop = query.phrase_slop.unwrap_or(0);
    kinds.extend(phrases.into_iter().filter_map(|phrase| phrase_of(phrase, slop, snapshot)));
    let mut unique: Vec<Kind> = Vec::with_capacity(kinds.len());
    let mut seen = HashSet::new();
    for kind in kinds {
        let is_new = match &kind {
            Kind::Terms(terms) if terms.len() == 1 => seen.insert(Arc::clone(&terms[0].0)),
            _ => !unique.contains(&kind),
        };
        if is_new {
            unique.push(kind);
        }
    }
    Ok(unique)
}

/// A phrase; a term where only one word is left of it.
fn phrase_of(text: &str, slop: u32, snapshot: &Snapshot) -> Option<Kind> {
    let terms = parts_alone(snapshot.analysis.asked(text)).into_iter();
    let places: Vec<(Arc<str>, u32)> =
        terms.map(|term| (term.text.into(), term.positions.start as u32)).collect();
    match &places[..] {
        [] => None,
        [(term, _)] => Some(Kind::Terms(vec![(Arc::clone(term), 1.0)])),
        _ => {
            let steps = places.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
            let terms = places.into_iter().map(|(term, _)| term).collect();
            Some(Kind::Phrase(Phrase { terms, steps, slop }))
        }
    }
}
