//! What words weigh in adaptive fusions, in and out.

use kithdb::HybridWeights;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::describe::shortest;

/// What words weigh: at least, and at most, where they cover the query.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[schema(as = HybridWeights)]
#[serde(deny_unknown_fields)]
pub(crate) struct HybridWeightsJson {
    words_least: Option<f64>,
    words_most: Option<f64>,
}

impl HybridWeightsJson {
    pub(crate) fn of(weights: HybridWeights) -> Self {
        let HybridWeights { words_least, words_most } = weights;
        Self { words_least: Some(shortest(words_least)), words_most: Some(shortest(words_most)) }
    }

    /// These, and what they leave out from others.
    pub(crate) fn over(self, others: HybridWeights) -> HybridWeights {
        let or = |given: Option<f64>, other: f32| given.map_or(other, |given| given as f32);
        HybridWeights {
            words_least: or(self.words_least, others.words_least),
            words_most: or(self.words_most, others.words_most),
        }
    }

    /// The setting of a collection that they are laid over; an empty object takes back what was set.
    pub(crate) fn set(self, before: Option<HybridWeights>) -> Option<HybridWeights> {
        let is_empty = self.words_least.is_none() && self.words_most.is_none();
        (!is_empty).then(|| self.over(before.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn weights_are_laid_over_those_that_were_set_and_an_empty_object_takes_them_back() {
        let given = |body| serde_json::from_value::<HybridWeightsJson>(body).expect("weights");
        let weights = |words_least, words_most| HybridWeights { words_least, words_most };
        assert_eq!(given(json!({"words_most": 0.5})).set(None), Some(weights(0.3, 0.5)));
        assert_eq!(given(json!({"words_least": 0.1})).set(Some(weights(0.2, 0.5))), Some(weights(0.1, 0.5)));
        assert_eq!(given(json!({})).set(Some(weights(0.2, 0.5))), None);
        assert_eq!(given(json!({})).over(HybridWeights::default()), HybridWeights::default());
        let told = json!(HybridWeightsJson::of(weights(0.1, 0.7)));
        assert_eq!(told, json!({"words_least": 0.1, "words_most": 0.7}));
    }
}
