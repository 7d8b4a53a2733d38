//! Points from a seed: vectors in clusters, and texts whose words are as unevenly frequent as those of a language
//! (Zipf).

use kithdb::{FieldKind, Language, Metric, Point, Result, Schema};

use crate::clusters::{Clusters, Random};

/// Words of a text.
pub(super) const WORDS_PER_TEXT: usize = 40;

/// The field of the filters: integers from 0 to 99, evenly.
pub(super) const FIELD: &str = "percent";

const WORDS: usize = 50_000;

/// Words from here on are rare enough to be asked for.
const ASKED_RANK_MIN: usize = 100;
const ASKED_RANK_MAX: usize = 5_000;
const WORDS_PER_QUERY: usize = 3;

/// A source of points and queries; equal seeds give equal ones.
pub(super) struct Synthetic {
    random: Random,
    clusters: Clusters,
    /// By rank: the sum of frequencies of the words up to it.
    frequencies: Vec<f64>,
}

impl Synthetic {
    pub(super) fn new(dim: usize) -> Self {
        Self::seeded(dim, 0)
    }

    /// Other points and queries of the same clusters, for each number.
    pub(super) fn seeded(dim: usize, number: u64) -> Self {
        let mut random = Random::new(0x6b69_7468_6462);
        let clusters = Clusters::new(dim, &mut random);
        if number > 0 {
            random = Random::new(number);
        }
        let mut sum = 0.0;
        let frequencies = (1..=WORDS)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        Self { random, clusters, frequencies }
    }

    /// The schema of a collection of these points.
    pub(super) fn schema(&self) -> Result<Schema> {
        Ok(Schema::new()
            .vector(self.clusters.dim(), Metric::Cosine)
            .keyword(["text".parse()?], Language::English)
            .field(FIELD.parse()?, FieldKind::Integer))
    }

    /// A point with vector, text and field.
    pub(super) fn point(&mut self, id: u64) -> Point {
        let percent = self.random.below(100) as i64;
        Point::new(id).vector(self.vector()).with("text", self.text()).with(FIELD, percent)
    }

    /// A vector of length 1.
    pub(super) fn vector(&mut self) -> Vec<f32> {
        self.clusters.vector(&mut self.random).1
    }

    /// A text of [`WORDS_PER_TEXT`] words.
    fn text(&mut self) -> String {
        let total = self.frequencies.last().copied().unwrap_or(0.0);
        let mut word = || {
            let drawn = self.random.unit() * total;
            spell(self.frequencies.partition_point(|sum| *sum < drawn))
        };
        let words: Vec<String> = (0..WORDS_PER_TEXT).map(|_| word()).collect();
        words.join(" ")
    }

    /// Three words that are neither in every text nor in none.
    pub(super) fn words(&mut self) -> String {
        let mut word = || spell(ASKED_RANK_MIN + self.random.below(ASKED_RANK_MAX - ASKED_RANK_MIN));
        let words: Vec<String> = (0..WORDS_PER_QUERY).map(|_| word()).collect();
        words.join(" ")
    }
}

/// The word of a rank: syllables that stand for its digits.
fn spell(rank: usize) -> String {
    const SYLLABLES: [&str; 10] = ["ba", "do", "ki", "lu", "mo", "ne", "po", "ra", "tu", "zi"];
    rank.to_string().bytes().map(|digit| SYLLABLES[usize::from(digit - b'0')]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_points_and_they_lie_in_clusters() {
        let (mut one, mut other) = (Synthetic::new(64), Synthetic::new(64));
        let points: Vec<Point> = (0..500).map(|id| one.point(id)).collect();
        assert_eq!(points, (0..500).map(|id| other.point(id)).collect::<Vec<_>>());
        let first = points[0].vector_named("").expect("a vector");
        let cosine = |point: &Point| {
            let vector = point.vector_named("").expect("a vector");
            vector.iter().zip(first).map(|(a, b)| a * b).sum::<f32>()
        };
        assert!((cosine(&points[0]) - 1.0).abs() < 1e-5);
        let near = points.iter().filter(|point| cosine(point) > 0.5).count();
        assert!((2..100).contains(&near), "{near} of 500 are near the first");
    }

    #[test]
    fn frequent_words_are_frequent() {
        let mut source = Synthetic::new(8);
        let texts: Vec<String> = (0..100).map(|_| source.text()).collect();
        let count = |word: &str| texts.iter().flat_map(|text| text.split(' ')).filter(|w| *w == word).count();
        assert!(count(&spell(0)) > 5 * count(&spell(30)).max(1));
        assert_eq!(spell(507), "nebara");
    }
}
