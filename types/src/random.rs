//! Numbers that look like chance, and are the same for the same seed: SplitMix64 (Steele, Lea and Flood 2014).
//!
//! Invariant: what a seed gives never changes, since what was made of it is stored (signatures of documents).
//! When not to use: for secrets. Whoever has seen one number knows all that follow.

/// What a state grows by.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sequence of numbers, by its state; every seed is as good as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The number at a place of the sequence of seed 0, whose first place is 0.
pub fn nth(place: u64) -> u64 {
    Random(place.wrapping_mul(STEP)).draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let mut random = Random(1_234_567);
        let drawn = [random.draw(), random.draw(), random.draw()];
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
        let mut first = Random(0);
        assert_eq!([nth(0), nth(1), nth(2)], [first.draw(), first.draw(), first.draw()]);
    }
}
