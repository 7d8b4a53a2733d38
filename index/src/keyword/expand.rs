//! From a word to the terms that it stands for, by the dictionaries of the index.
//!
//! Beginnings and spellings are those of words as they stand; the terms are the stems of the words that were found. The
//! word's own term is always the first. At most [`EXPANSIONS_MAX`] words are taken: those with the fewest changes, of
//! these the most frequent. Words of documents that are deleted are among them until their segment is merged.
//!
//! Cost: a pass over the words that begin as the word does, or an automaton over the dictionary.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use tantivy::Term;
use tantivy::query::FuzzyTermQuery;
use types::{Fuzzy, Result};

use super::failure::{failure, unread};
use super::view::Snapshot;

const EXPANSIONS_MAX: usize = 64;

/// Words with the changes that they are away, and about how many documents have them.
type Found = BTreeMap<String, (usize, u64)>;

/// The terms of a word with their weights: 1 less the share of its letters that was changed. None of a stop word that
/// stands for nothing else.
pub(super) fn expanded(
    word: &str,
    is_prefix: bool,
    fuzzy: Option<Fuzzy>,
    snapshot: &Snapshot,
) -> Result<Vec<(Arc<str>, f32)>> {
    let mut found = Found::new();
    if is_prefix {
        beginning(word, snapshot, &mut found)?;
    }
    let chars = word.chars().count();
    if let Some(Fuzzy { distance, prefix_chars }) = fuzzy {
        let distance = usize::from(distance).min(if chars < 3 { 0 } else { chars / 6 + 1 });
        let kept: String = word.chars().take(prefix_chars).collect();
        if distance > 0 {
            alike(word, &kept, distance, snapshot, &mut found)?;
        }
    }
    let mut found: Vec<(String, (usize, u64))> = found.into_iter().collect();
    found.sort_by(|a, b| (a.1.0, Reverse(a.1.1), &a.0).cmp(&(b.1.0, Reverse(b.1.1), &b.0)));
    found.truncate(EXPANSIONS_MAX);
    let mut terms: Vec<(Arc<str>, f32)> = Vec::new();
    let own = (word.to_owned(), (0, 0));
    for (other, (distance, _)) in std::iter::once(own).chain(found) {
        if let Some(term) = snapshot.analysis.term_of(&other)
            && !terms.iter().any(|(known, _)| **known == *term)
        {
            terms.push((term.into(), 1.0 - distance as f32 / chars.max(1) as f32));
        }
    }
    Ok(terms)
}

/// Words that begin with another.
fn beginning(start: &str, snapshot: &Snapshot, found: &mut Found) -> Result<()> {
    let mut add = |word: &str, documents: u64| {
        found.entry(word.to_owned()).or_default().1 += documents;
    };
    let Snapshot { committed, tail, layout, .. } = snapshot;
    for block in tail {
        block.each_word(layout.words.is_some(), &mut |word, documents| {
            if word.starts_with(start) {
                add(word, documents);
            }
        });
    }
    for reader in committed.searcher.segment_readers() {
        let inverted = reader.inverted_index(layout.dictionary()).map_err(failure)?;
        let mut stream = inverted.terms().range().ge(start).into_stream().map_err(unread)?;
        while let Some((word, of)) = stream.next()
            && word.starts_with(start.as_bytes())
        {
            if let Ok(word) = std::str::from_utf8(word) {
                add(word, u64::from(of.doc_freq));
            }
        }
    }
    Ok(())
}

/// Words that begin with `kept` and are no more than so many changes away from another.
fn alike(word: &str, kept: &str, most: usize, snapshot: &Snapshot, found: &mut Found) -> Result<()> {
    let letters: Vec<char> = word.chars().collect();
    let mut add = |other: &str, documents: u64| {
        if let Some(changes) = changes(&letters, other, most).filter(|_| other.starts_with(kept)) {
            let entry = found.entry(other.to_owned()).or_insert((changes, 0));
            entry.1 += documents;
        }
    };
    let Snapshot { committed, tail, layout, .. } = snapshot;
    for block in tail {
        block.each_word(layout.words.is_some(), &mut add);
    }
    for reader in committed.searcher.segment_readers() {
        let inverted = reader.inverted_index(layout.dictionary()).map_err(failure)?;
        let term = Term::from_field_text(layout.dictionary(), word);
        let near = FuzzyTermQuery::new(term, most as u8, true).automaton().map_err(failure)?;
        let mut stream = inverted.terms().search(near).ge(kept).into_stream().map_err(unread)?;
        while let Some((other, of)) = stream.next()
            && other.starts_with(kept.as_bytes())
        {
            if let Ok(other) = std::str::from_utf8(other) {
                add(other, u64::from(of.doc_freq));
            }
        }
    }
    Ok(())
}

/// How many letters must be added, left out, replaced, or exchanged with their neighbour, if no more than so many.
fn changes(letters: &[char], other: &str, most: usize) -> Option<usize> {
    let other: Vec<char> = other.chars().collect();
    if letters.len().abs_diff(other.len()) > most {
        return None;
    }
    let (mut earlier, mut last) = (Vec::new(), (0..=other.len()).collect::<Vec<usize>>());
    for (i, letter) in letters.iter().enumerate() {
        let mut this = vec![i + 1];
        for (j, of_other) in other.iter().enumerate() {
            let replaced = last[j] + usize::from(letter != of_other);
            let mut least = replaced.min(last[j + 1] + 1).min(this[j] + 1);
            if i > 0 && j > 0 && letters[i - 1] == *of_other && *letter == other[j - 1] {
                least = least.min(earlier[j - 1] + 1);
            }
            this.push(least);
        }
        earlier = std::mem::replace(&mut last, this);
    }
    last.last().copied().filter(|changes| *changes <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted() {
        let count = |a: &str, b: &str| changes(&a.chars().collect::<Vec<_>>(), b, 2);
        for (a, b, expected) in [
            ("fish", "fish", Some(0)),
            ("fish", "fsh", Some(1)),
            ("fish", "fihs", Some(1)),
            ("fish", "fishes", Some(2)),
            ("fish", "wish", Some(1)),
            ("fish", "wash", Some(2)),
            ("fish", "bird", None),
            ("über", "uber", Some(1)),
            ("ab", "ba", Some(1)),
            ("abcd", "badc", Some(2)),
        ] {
            assert_eq!((count(a, b), count(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
