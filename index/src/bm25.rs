//! Sparse vectors of texts: a dimension for each word, its weight by BM25. The meaning is that of Qdrant's model of
//! this name, whose vectors are the same, but for a few words that have another stem or are stop words there.
//!
//! The weight of a word in a text is its share of a BM25 score that does not depend on other texts. A question has
//! weight 1 for each of its words; how rare a word is comes in where the space has the modifier `idf`.

use std::collections::{BTreeMap, BTreeSet};

use types::{Bm25Options, SparseVector, TextAnalysis};

use crate::Texts;

/// Makes sparse vectors as the options say.
pub struct Bm25 {
    options: Bm25Options,
    texts: Texts,
}

impl Bm25 {
    /// The model of these options.
    pub fn new(options: Bm25Options) -> Self {
        Self { texts: Texts::new(options.text.clone()), options }
    }

    /// The vector of a text that is to be found.
    pub fn document(&self, text: &str) -> SparseVector {
        let (mut counts, mut terms) = (BTreeMap::<u32, u32>::new(), 0_u32);
        self.texts.each_term(text, |term| {
            *counts.entry(dim(term)).or_default() += 1;
            terms += 1;
        });
        let Bm25Options { k, b, avg_len, .. } = self.options;
        let length = 1.0 - b + b * f64::from(terms) / avg_len;
        let weight = |count: u32| {
            let count = f64::from(count);
            (count * (k + 1.0) / k.mul_add(length, count)) as f32
        };
        SparseVector::of(counts.into_iter().map(|(dim, count)| (dim, weight(count))))
    }

    /// The vector of a question.
    pub fn question(&self, text: &str) -> SparseVector {
        let dims: BTreeSet<u32> = self.texts.asked(text).iter().map(|word| dim(word)).collect();
        SparseVector::of(dims.into_iter().map(|dim| (dim, 1.0)))
    }
}

/// The dimension of a word. Two words may share one.
fn dim(word: &str) -> u32 {
    murmur3(word.as_bytes()).cast_signed().unsigned_abs()
}

/// MurmurHash3 of 32 bits, seeded with 0.
fn murmur3(bytes: &[u8]) -> u32 {
    let scrambled = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = 0_u32;
    let (blocks, rest) = bytes.as_chunks::<4>();
    for block in blocks {
        hash ^= scrambled(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    hash ^= scrambled(u32::from_le_bytes(last));
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use types::Value;

    use super::*;

    fn bm25(options: &str) -> Bm25 {
        let options: Value = serde_json::from_str(options).expect("JSON");
        Bm25::new(Bm25Options::of(options.as_object().expect("an object")).expect("options"))
    }

    /// Weights by word, in the order of the words given; 0 where a word has none.
    fn weights(vector: &SparseVector, words: &[&str]) -> Vec<f32> {
        assert!(vector.indices.is_sorted_by(|a, b| a < b), "{vector:?}");
        let weight =
            |word: &&str| vector.iter().find(|(at, _)| *at == dim(word)).map_or(0.0, |(_, weight)| weight);
        words.iter().map(weight).collect()
    }

    /// The values of the reference implementation (SMHasher).
    #[test]
    fn words_are_hashed_as_everywhere() {
        for (text, hash) in [
            ("", 0),
            ("a", 0x3c25_69b2),
            ("test", 0xba6b_d213),
            ("Hello, world!", 0xc036_3e43),
            ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ] {
            assert_eq!(murmur3(text.as_bytes()), hash, "{text}");
        }
        assert_eq!(dim("Hello, world!"), 0x3fc9_c1bd);
    }

    #[test]
    fn weights_are_those_of_the_formula() {
        let plain = r#"{"avg_len": 5, "stopwords": {}, "stemmer": {"type": "none"}}"#;
        // Five words: 2 * 2.2 / (2 + 1.2), 2.2 / (1 + 1.2).
        let found = bm25(plain).document("the cat sat on the");
        assert_eq!(weights(&found, &["the", "cat", "sat", "on"]), [1.375, 1.0, 1.0, 1.0]);
        // Two of them are stop words: 3 * 2.2 / (3 + 1.2 * (0.25 + 0.75 * 4 / 256)), and so on.
        let found = bm25("{}").document("The foxes and a fox: running, fox");
        let length = 1.2 * (0.25 + 0.75 * 4.0 / 256.0);
        let expected = [6.6 / (3.0 + length), 2.2 / (1.0 + length)].map(|weight: f64| weight as f32);
        assert_eq!(weights(&found, &["fox", "run"]), expected);
        assert_eq!(found.len(), 2);
        // Without saturation all weigh alike; without lengths the length is nothing.
        assert_eq!(weights(&bm25(r#"{"k": 0}"#).document("fox fox cat"), &["fox", "cat"]), [1.0, 1.0]);
        let found = bm25(r#"{"k": 2, "b": 0}"#).document("fox fox cat");
        assert_eq!(weights(&found, &["fox", "cat"]), [1.5, 1.0]);
    }

    #[test]
    fn a_question_has_each_of_its_words_once() {
        let found = bm25("{}").question("Running foxes ran to the fox; fox!");
        assert_eq!(weights(&found, &["run", "fox", "ran"]), [1.0, 1.0, 1.0]);
        assert_eq!(found.len(), 3);
        let prefixes = bm25(r#"{"tokenizer": "prefix"}"#);
        assert_eq!(weights(&prefixes.question("the"), &["t", "th", "the"]), [0.0, 0.0, 1.0]);
        assert_eq!(prefixes.document("theory").len(), 6, "t, th, the, theo, theor, theori");
    }

    #[test]
    fn a_text_of_stop_words_alone_has_no_weight() {
        for text in
            ["", "A an the", "I am you are he she it we they", "Do does did", "Have has had", "Can could"]
        {
            let found = bm25("{}").document(text);
            assert_eq!(found.len(), usize::from(text == "Can could"), "{text}");
            assert_eq!(bm25("{}").question(text).len(), found.len(), "{text}");
        }
    }
}
