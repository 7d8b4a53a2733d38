//! Whether vectors are distributed as those of a collection: what is computed, on vectors by their positions.
//!
//! A vector counts by its distance to the nearest of some vectors of the collection (256, chosen at random). Vectors of
//! the collection that were chosen beside them have such distances too, and the difference is that of the two
//! distributions: the Kolmogorov-Smirnov statistic, from 0 to 1 whatever the metric and the dimension are. Distances
//! to everything, as energy distances and centroids take them, tell little there: in hundreds of dimensions vectors of
//! another model are hardly farther than all others are from each other, but none of them is near to anything.
//!
//! Invariant: the same vectors give the same figures. What a difference is at least holds 999 times of 1,000, by the
//! inequality of Dvoretzky, Kiefer and Wolfowitz with the constant of Massart (1990), for both samples together.
//! Cost: 256 distances for each vector that is compared, and 512 vectors read: some 1.4 million distances for what
//! comes in, and 0.07 million for queries.

use types::{Metric, Result, random};

/// Vectors that the nearest is looked for among, and as many that are compared with the same.
const REFERENCE: usize = 256;

/// With fewer of either nothing is told.
const REFERENCE_MIN: usize = 64;

/// Vectors that are compared at once.
pub(super) const WINDOW: usize = 256;

/// With fewer nothing is told.
pub(super) const WINDOW_MIN: usize = 50;

/// Earlier stretches that the newest vectors are held against: one that is like them is the most different of all 20
/// once in 20 times.
const STRETCHES: usize = 19;

/// How often a difference is less than it is said to be at least.
const ERROR_RATE: f64 = 0.001;

/// Reads the vector at a position; nothing where there is none.
pub(super) type Read<'a> = dyn Fn(usize) -> Result<Option<Vec<f32>>> + 'a;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Compared {
    /// Vectors that were compared.
    pub(super) vectors: usize,
    /// Positive where they are farther from the collection than its own are, negative where they are nearer.
    pub(super) difference: f32,
    /// What it is at least, without its sign; 0 if it may be chance.
    pub(super) least: f32,
    /// The largest of earlier stretches, without its sign.
    pub(super) usual: Option<f32>,
}

/// Vectors of a collection that others are compared with.
struct Reference {
    metric: Metric,
    /// With their positions.
    among: Vec<(usize, Vec<f32>)>,
    /// How far others of the collection are from the nearest of them, ascending.
    own: Vec<f32>,
}

impl Reference {
    /// Chosen of the positions below `end`, one of each stretch of equal length; nothing if there are too few.
    fn of(end: usize, metric: Metric, read: &Read<'_>) -> Result<Option<Self>> {
        let count = end.min(2 * REFERENCE);
        let (mut among, mut others) = (Vec::new(), Vec::new());
        for nth in 0..count {
            let (first, next) = (nth * end / count, (nth + 1) * end / count);
            let at = first + (random::nth(nth as u64) % (next - first).max(1) as u64) as usize;
            match read(at)? {
                Some(vector) if nth % 2 == 0 => among.push((at, vector)),
                Some(vector) => others.push(vector),
                None => {}
            }
        }
        if among.len().min(others.len()) < REFERENCE_MIN {
            return Ok(None);
        }
        let mut reference = Self { metric, among, own: Vec::new() };
        reference.own = reference.distances(&others, |_| true);
        Ok(Some(reference))
    }

    /// How far vectors are from the nearest of those whose position counts, ascending.
    fn distances(&self, vectors: &[Vec<f32>], counts: impl Fn(usize) -> bool) -> Vec<f32> {
        let near: Vec<&[f32]> =
            self.among.iter().filter(|(at, _)| counts(*at)).map(|(_, vector)| vector.as_slice()).collect();
        let nearest = |vector: &Vec<f32>| {
            let distance = |other: &&[f32]| index::kernels::distance(self.metric, vector, other);
            near.iter().map(distance).fold(f32::INFINITY, f32::min)
        };
        let mut distances: Vec<f32> = vectors.iter().map(nearest).collect();
        distances.sort_unstable_by(f32::total_cmp);
        distances
    }

    fn compared(&self, vectors: &[Vec<f32>]) -> Compared {
        let difference = difference(&self.own, &self.distances(vectors, |_| true));
        let least = (difference.abs() - margin(self.own.len(), vectors.len())).max(0.0);
        Compared { vectors: vectors.len(), difference, least, usual: None }
    }
}

/// Compares the newest of so many vectors, which are in the order in which they came, with all before; nothing if
/// there are too few. Documents come one after the other, and the vectors of one are alike: so they are held against
/// what earlier stretches of as many differ by.
pub(super) fn incoming(points: usize, metric: Metric, read: &Read<'_>) -> Result<Option<Compared>> {
    let window = (points / (STRETCHES + 1)).min(WINDOW);
    if window < WINDOW_MIN {
        return Ok(None);
    }
    let older = points - window;
    let Some(reference) = Reference::of(older, metric, read)? else { return Ok(None) };
    let stretch = |start: usize| {
        let vectors = (start..start + window).map(read).collect::<Result<Vec<_>>>();
        vectors.map(|vectors| vectors.into_iter().flatten().collect::<Vec<_>>())
    };
    let newest = stretch(older)?;
    if newest.len() < WINDOW_MIN {
        return Ok(None);
    }
    let mut usual = None;
    for nth in 0..STRETCHES {
        let start = nth * (older - window) / (STRETCHES - 1);
        let vectors = stretch(start)?;
        if vectors.len() < WINDOW_MIN {
            continue;
        }
        // The newest have no neighbours in the reference: neither has this one.
        let is_elsewhere = |at: usize| at + window < start || at >= start + 2 * window;
        let difference = difference(&reference.own, &reference.distances(&vectors, is_elsewhere)).abs();
        usual = Some(usual.map_or(difference, |usual: f32| usual.max(difference)));
    }
    Ok(Some(Compared { usual, ..reference.compared(&newest) }))
}

/// Compares queries with all of so many vectors; nothing if there are too few of either.
pub(super) fn queries(
    points: usize,
    metric: Metric,
    read: &Read<'_>,
    queries: &[Vec<f32>],
) -> Result<Option<Compared>> {
    if queries.len() < WINDOW_MIN {
        return Ok(None);
    }
    let reference = Reference::of(points, metric, read)?;
    Ok(reference.map(|reference| reference.compared(queries)))
}

/// The largest difference of two distributions of which samples are given, ascending: positive if most of the second
/// are larger.
fn difference(own: &[f32], new: &[f32]) -> f32 {
    let (mut of_own, mut of_new, mut most) = (0, 0, 0.0_f32);
    while of_own < own.len() && of_new < new.len() {
        let at = own[of_own].min(new[of_new]);
        of_own += own[of_own..].iter().take_while(|distance| **distance <= at).count();
        of_new += new[of_new..].iter().take_while(|distance| **distance <= at).count();
        let gap = of_own as f32 / own.len() as f32 - of_new as f32 / new.len() as f32;
        if gap.abs() > most.abs() {
            most = gap;
        }
    }
    most
}

/// By how much the difference of two samples of these sizes may exceed that of what they are of.
fn margin(own: usize, new: usize) -> f32 {
    let of = |size: usize| ((4.0 / ERROR_RATE).ln() / (2.0 * size as f64)).sqrt();
    (of(own) + of(new)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIM: usize = 16;

    /// A vector of length 1 around one of the centres; another for each seed.
    fn vector(seed: u64, centre: u64, spread: f32) -> Vec<f32> {
        let element = |salt: u64, at: usize| {
            (random::nth(salt.wrapping_mul(1_000_003) + at as u64) >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let made: Vec<f32> =
            (0..DIM).map(|at| element(centre << 32, at) + spread * element(seed | (1 << 62), at)).collect();
        let length = made.iter().map(|element| element * element).sum::<f32>().sqrt();
        made.iter().map(|element| element / length).collect()
    }

    /// One of 12 topics, by chance.
    fn mingled(seed: u64) -> Vec<f32> {
        vector(seed, random::nth(seed ^ 77) % 12, 0.8)
    }

    fn newest(points: usize, read: impl Fn(usize) -> Vec<f32>) -> Option<Compared> {
        incoming(points, Metric::Cosine, &|at| Ok(Some(read(at)))).expect("vectors")
    }

    #[test]
    fn what_comes_as_it_came_is_no_difference_and_what_is_of_another_kind_is_one() {
        for points in [1_000, 4_000, 20_000] {
            let same = newest(points, |at| mingled(at as u64)).expect("enough");
            assert!(same.least < 0.1 && same.difference.abs() < 0.4, "{points}: {same:?}");
            let window = (points / 20).min(WINDOW);
            let other = |at: usize| match at >= points - window {
                true => vector(at as u64, 1_000 + random::nth(at as u64) % 12, 0.8),
                false => mingled(at as u64),
            };
            let other = newest(points, other).expect("enough");
            assert!(other.difference > 0.7 && other.least > 0.2, "{points}: {other:?}");
            assert!(other.usual.is_some_and(|usual| usual < 0.5), "{points}: {other:?}");
            assert_eq!(other.vectors, window);
        }
    }

    /// Books one after the other: each is unlike the others, and the newest is no more so than the others were.
    #[test]
    fn what_comes_topic_by_topic_differs_as_it_always_did() {
        let book = |at: usize| vector(at as u64, at as u64 / 150, 0.8);
        let told = newest(6_000, book).expect("enough");
        let usual = told.usual.expect("earlier stretches");
        assert!(told.difference.abs() <= usual + 0.1 && usual > 0.3, "{told:?}");
    }

    #[test]
    fn the_same_again_and_again_is_nearer_than_usual() {
        let flood = |at: usize| mingled(if at >= 5_700 { 3 } else { at as u64 });
        let told = newest(6_000, flood).expect("enough");
        assert!(told.difference < -0.5 && told.least > 0.2, "{told:?}");
    }

    #[test]
    fn queries_are_told_from_those_of_another_kind() {
        let ask = |made: &dyn Fn(u64) -> Vec<f32>, count: u64| {
            let asked: Vec<Vec<f32>> = (0..count).map(|at| made(at + (1 << 20))).collect();
            queries(3_000, Metric::Cosine, &|at| Ok(Some(mingled(at as u64))), &asked).expect("vectors")
        };
        let own = ask(&mingled, 256).expect("enough");
        assert!(own.least == 0.0 && own.usual.is_none(), "{own:?}");
        let other = ask(&|seed| vector(seed, 500 + seed % 12, 0.8), 256).expect("enough");
        assert!(other.least > 0.5 && other.difference > 0.75, "{other:?}");
        assert_eq!(ask(&mingled, WINDOW_MIN as u64 - 1), None);
    }

    #[test]
    fn too_few_vectors_tell_nothing() {
        assert_eq!(newest(999, |at| mingled(at as u64)), None);
        let rare =
            |at: usize| -> Result<Option<Vec<f32>>> { Ok(at.is_multiple_of(10).then(|| mingled(at as u64))) };
        assert_eq!(incoming(2_000, Metric::Cosine, &rare).expect("vectors"), None);
        let asked = vec![mingled(1); 100];
        let few = |at: usize| -> Result<Option<Vec<f32>>> { Ok(Some(mingled(at as u64))) };
        assert_eq!(queries(127, Metric::Cosine, &few, &asked).expect("vectors"), None);
        assert!(queries(128, Metric::Cosine, &few, &asked).expect("vectors").is_some());
    }

    #[test]
    fn the_statistic_is_that_of_kolmogorov_and_smirnov() {
        assert_eq!(difference(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.0, 4.0]), 0.0);
        assert_eq!(difference(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(difference(&[3.0, 4.0], &[1.0, 2.0]), -1.0);
        assert_eq!(difference(&[1.0, 2.0, 3.0, 4.0], &[2.5, 2.5, 5.0, 6.0]), 0.5);
        assert_eq!(difference(&[1.0, 1.0, 1.0, 1.0], &[1.0, 1.0, 2.0, 2.0]), 0.5);
        // sqrt(ln(4000) / 512), twice.
        assert!((margin(256, 256) - 0.2546).abs() < 1e-3, "{}", margin(256, 256));
    }

    /// How often it tells of a difference where there is none: hardly ever.
    #[test]
    fn noise_is_not_told() {
        let told = |salt: u64| newest(1_500, |at| mingled(at as u64 + (salt << 24))).expect("enough");
        let told: Vec<Compared> = (1..=40).map(told).collect();
        assert!(told.iter().all(|told| told.least < 0.1), "{told:?}");
    }
}
