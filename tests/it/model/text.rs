//! BM25 as the paper has it (Robertson et al. 1994; k1 1.2, b 0.75), over words found by the naked rule.

use std::collections::BTreeMap;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Lower-cased runs of letters, digits and underscores. No word of the texts is made of several.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().flat_map(char::to_lowercase).collect())
        .collect()
}

/// The scores of the documents that contain a word of the query.
pub(crate) fn bm25<K: Ord + Copy>(documents: &BTreeMap<K, Vec<String>>, query: &str) -> BTreeMap<K, f64> {
    let count = documents.len() as f64;
    let mean = documents.values().map(|words| words.len() as f64).sum::<f64>() / count;
    let mut terms = words(query);
    terms.sort_unstable();
    terms.dedup();
    let mut scores = BTreeMap::new();
    for term in &terms {
        let frequency = |words: &[String]| words.iter().filter(|word| *word == term).count() as f64;
        let containing = documents.values().filter(|words| frequency(words) > 0.0).count() as f64;
        let rarity = (1.0 + (count - containing + 0.5) / (containing + 0.5)).ln();
        for (key, words) in documents.iter().filter(|(_, words)| frequency(words) > 0.0) {
            let (often, length) = (frequency(words), words.len() as f64);
            let part = often * (K1 + 1.0) / (often + K1 * (1.0 - B + B * length / mean));
            *scores.entry(*key).or_default() += rarity * part;
        }
    }
    scores
}

#[test]
fn a_rarer_word_in_a_shorter_text_scores_higher() {
    let texts = [(1, "red a"), (2, "red red red a a a"), (3, "blue a"), (4, "Don't")];
    let documents: BTreeMap<_, _> = texts.map(|(id, text)| (id, words(text))).into();
    let scores = bm25(&documents, "RED");
    assert_eq!(scores.keys().copied().collect::<Vec<i32>>(), [1, 2]);
    assert!(bm25(&documents, "blue")[&3] > scores[&1]);
    assert_eq!(words("Don't 2023_1!"), ["don", "t", "2023_1"]);
    assert!(bm25(&documents, "").is_empty());
}
