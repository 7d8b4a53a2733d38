//! Documents that say the same: exactly, by the hash of their texts, or nearly, by MinHash (Broder 1997).
//!
//! A text is the set of its runs of five words, in lower case and without marks. Its signature has, for each of 128
//! hash functions, the least value over the set: two signatures agree in as large a part as the sets do (Jaccard),
//! give or take 0.04. A quarter of the signature's places form 32 bands of four; texts that are 0.8 alike share a band
//! in all but 5 of 100 million cases, so that the bands, as an indexed field, find candidates among any number of
//! documents.
//!
//! Invariant: a signature is a pure function of the text, the same on every machine: it is stored.
//! When not to use: for texts below five words, which have no signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use types::random::Random;

/// Hash functions of a signature.
const PLACES: usize = 128;

/// Places of a band.
const ROWS: usize = 4;

/// Words of a run.
const RUN: usize = 5;

/// Texts that are so much alike are told of.
pub const SIMILARITY_MIN: f32 = 0.8;

/// A document that says what another one does.
#[derive(Clone, Debug, PartialEq)]
pub struct Duplicate {
    /// The path of the document that came now.
    pub path: String,
    /// The path of the one that was there.
    pub of: String,
    /// The part of their runs of words that they share; 1 where the texts are the same.
    pub similarity: f32,
}

/// What a text is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature(Box<[u32; PLACES]>);

impl Signature {
    /// Of a text; nothing where it is too short.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(hash);
        let words: Vec<u64> = words.collect();
        let mut least = Box::new([u32::MAX; PLACES]);
        let seeds: Vec<(u64, u64)> = (0..PLACES as u64).map(|n| (mix(2 * n) | 1, mix(2 * n + 1))).collect();
        for run in words.windows(RUN) {
            let run = run.iter().fold(0, |sum: u64, word| mix(sum ^ word));
            for (least, (factor, addend)) in least.iter_mut().zip(&seeds) {
                let value = (run.wrapping_mul(*factor).wrapping_add(*addend) >> 32) as u32;
                *least = (*least).min(value);
            }
        }
        (words.len() >= RUN).then_some(Self(least))
    }

    /// The part in which two texts agree, about.
    pub(crate) fn similarity(&self, other: &Self) -> f32 {
        let same = self.0.iter().zip(other.0.iter()).filter(|(a, b)| a == b).count();
        same as f32 / PLACES as f32
    }

    /// What candidates share one of.
    pub(crate) fn bands(&self) -> Vec<String> {
        let band = |(nth, rows): (usize, &[u32])| {
            let hash = rows.iter().fold(nth as u64, |sum, row| mix(sum ^ u64::from(*row)));
            format!("{nth:02}{:010x}", hash >> 24)
        };
        self.0.chunks(ROWS).enumerate().map(band).collect()
    }

    /// As payloads hold it.
    pub(crate) fn encoded(&self) -> String {
        STANDARD.encode(self.0.iter().flat_map(|place| place.to_le_bytes()).collect::<Vec<u8>>())
    }

    /// What [`encoded`](Self::encoded) wrote.
    pub(crate) fn decoded(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let (places, rest) = bytes.as_chunks::<4>();
        let places: Vec<u32> = places.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let places: Box<[u32; PLACES]> = places.into_boxed_slice().try_into().ok()?;
        rest.is_empty().then_some(Self(places))
    }
}

/// FNV-1a over the letters in lower case.
fn hash(word: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for c in word.chars().flat_map(char::to_lowercase) {
        hash = (hash ^ u64::from(u32::from(c))).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// The first number of a seed.
fn mix(seed: u64) -> u64 {
    Random(seed).draw()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn words(from: usize, to: usize) -> Vec<String> {
        (from..to).map(|n| format!("w{}", mix(n as u64) % 5_000)).collect()
    }

    fn jaccard(a: &[String], b: &[String]) -> f32 {
        let [a, b] = [a, b].map(|words| words.windows(RUN).map(<[String]>::to_vec).collect::<HashSet<_>>());
        a.intersection(&b).count() as f32 / a.union(&b).count() as f32
    }

    #[test]
    fn signatures_agree_as_the_texts_do() {
        let one = words(0, 400);
        for moved in [0, 10, 40, 100, 200, 400] {
            let other = words(moved, 400 + moved);
            let [a, b] = [&one, &other].map(|words| Signature::of(&words.join(" ")).expect("long enough"));
            let (true_one, estimate) = (jaccard(&one, &other), a.similarity(&b));
            assert!((true_one - estimate).abs() < 0.13, "{moved}: {estimate} for {true_one}");
            let shares = a.bands().iter().any(|band| b.bands().contains(band));
            assert!(shares || true_one < SIMILARITY_MIN, "{moved}: no band shared at {true_one}");
            assert!(!shares || true_one > 0.05, "{moved}: a band shared at {true_one}");
        }
    }

    #[test]
    fn case_and_marks_do_not_count_and_what_is_stored_comes_back() {
        let a = Signature::of("The quick, brown fox \u{2014} jumps!").expect("five words");
        let b = Signature::of("the QUICK brown\nfox jumps").expect("five words");
        assert_eq!(a, b);
        assert_eq!(Signature::decoded(&a.encoded()), Some(a.clone()));
        assert_eq!(a.bands()[0], "0097f8ba8e8f", "it is stored: it must not change");
        assert!(Signature::of("one two three four").is_none());
        assert!(Signature::decoded("AAAA").is_none() && Signature::decoded("?").is_none());
    }
}
