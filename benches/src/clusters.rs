//! Vectors from a seed that lie in clusters near a surface of few dimensions, as embeddings do.
//!
//! Uniformly random vectors would be a different problem: in hundreds of dimensions all are about equally far apart,
//! and no index is better than a scan.

/// Dimensions of the surface.
const INNER_DIM: usize = 24;

const CLUSTERS: usize = 200;

/// Spread of a cluster, and distance from the surface, where the centres have a spread of 1.
const SPREAD: f32 = 0.5;
const NOISE: f32 = 0.05;

/// Where the vectors lie.
pub(crate) struct Clusters {
    dim: usize,
    centres: Vec<Vec<f32>>,
    /// The surface: a row of `dim` elements for each inner dimension.
    axes: Vec<Vec<f32>>,
}

impl Clusters {
    pub(crate) fn new(dim: usize, random: &mut Random) -> Self {
        let centres = (0..CLUSTERS).map(|_| random.normals(INNER_DIM, 1.0)).collect();
        let axes = (0..INNER_DIM).map(|_| random.normals(dim, 1.0)).collect();
        Self { dim, centres, axes }
    }

    /// Elements of a vector.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// A vector of length 1, and its cluster.
    pub(crate) fn vector(&self, random: &mut Random) -> (usize, Vec<f32>) {
        let cluster = random.below(CLUSTERS);
        let mut vector = random.normals(self.dim, NOISE * (INNER_DIM as f32).sqrt());
        for (centre, axis) in self.centres[cluster].iter().zip(&self.axes) {
            let inner = centre + SPREAD * random.normal();
            vector.iter_mut().zip(axis).for_each(|(element, axis)| *element += inner * axis);
        }
        let norm = vector.iter().map(|element| element * element).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        vector.iter_mut().for_each(|element| *element /= norm);
        (cluster, vector)
    }

    /// The cluster that lies farthest in the other direction.
    pub(crate) fn opposite(&self, cluster: usize) -> usize {
        let dot = |other: &usize| {
            let pairs = self.centres[cluster].iter().zip(&self.centres[*other]);
            pairs.map(|(a, b)| a * b).sum::<f32>()
        };
        (0..CLUSTERS).min_by(|a, b| dot(a).total_cmp(&dot(b))).unwrap_or(cluster)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.unit() * end as f64) as usize
    }

    /// Normally distributed with variance 1, near enough: the sum of twelve even ones.
    pub(crate) fn normal(&mut self) -> f32 {
        ((0..12).map(|_| self.unit()).sum::<f64>() - 6.0) as f32
    }

    fn normals(&mut self, count: usize, spread: f32) -> Vec<f32> {
        (0..count).map(|_| spread * self.normal()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opposite_cluster_is_farther_than_the_own() {
        let mut random = Random::new(1);
        let clusters = Clusters::new(32, &mut random);
        let drawn: Vec<(usize, Vec<f32>)> = (0..400).map(|_| clusters.vector(&mut random)).collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let mean = |vector: &[f32], cluster: usize| {
            let dots = drawn.iter().filter(|(own, _)| *own == cluster).map(|(_, other)| dot(vector, other));
            let dots: Vec<f32> = dots.collect();
            dots.iter().sum::<f32>() / dots.len().max(1) as f32
        };
        for (own, vector) in drawn.iter().take(50) {
            assert!(mean(vector, *own) > mean(vector, clusters.opposite(*own)));
        }
    }
}
