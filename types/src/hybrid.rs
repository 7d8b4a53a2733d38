//! What words weigh where they are fused with other legs, unless the request says so.

use crate::{Error, Result};

/// What the leg of words weighs in an adaptive fusion: at least, and at most, where its best hit covers the query. The
/// other legs share the rest to 1.
///
/// Two numbers, so that few judgements suffice to learn them (docs/decisions/0008).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HybridWeights {
    /// Where words cover nothing of the query.
    pub words_least: f32,
    /// Where they cover it.
    pub words_most: f32,
}

impl Default for HybridWeights {
    /// Full coverage of a query's rare words is full trust in words. The least was chosen by the mean of the labelled
    /// collections without the one of identifiers.
    fn default() -> Self {
        Self { words_least: 0.3, words_most: 1.0 }
    }
}

impl HybridWeights {
    /// What words weigh that cover so much of a query, from 0 to 1.
    pub fn of_words(self, coverage: f32) -> f32 {
        self.words_least + (self.words_most - self.words_least) * coverage
    }

    /// Checks that both are from 0 to 1, and the least is not above the most.
    ///
    /// # Errors
    /// `InvalidArgument` naming `words_least` or `words_most`.
    pub fn check(self) -> Result<()> {
        let Self { words_least, words_most } = self;
        for (name, weight) in [("words_least", words_least), ("words_most", words_most)] {
            if !(0.0..=1.0).contains(&weight) {
                return Err(Error::invalid(name, format!("is {weight}; it must be from 0 to 1")));
            }
        }
        if words_least > words_most {
            let message =
                format!("is {words_least}, and `words_most` is {words_most}, which must not be less");
            return Err(Error::invalid("words_least", message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_weigh_between_the_least_and_the_most() {
        let weights = HybridWeights { words_least: 0.2, words_most: 0.6 };
        weights.check().expect("weights");
        let weighed = [0.0, 0.5, 1.0].map(|coverage| weights.of_words(coverage));
        assert!(weighed.iter().zip([0.2, 0.4, 0.6]).all(|(found, expected)| (found - expected).abs() < 1e-6));
        for (words_least, words_most, field) in [
            (-0.1, 1.0, "words_least"),
            (0.3, 1.1, "words_most"),
            (f32::NAN, 1.0, "words_least"),
            (0.5, 0.4, "words_least"),
        ] {
            let error = HybridWeights { words_least, words_most }.check().expect_err(field);
            assert_eq!(error.field(), Some(field), "{error}");
        }
    }
}
