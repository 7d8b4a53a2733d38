//! Quantisation as it comes in and goes out: by which codes vectors are found, in the words of the dialect.
//!
//! The dialect's kinds that have no like here are refused by name. What it says beside the kind chooses a place, an
//! effort or a detail of the encoding, and is passed over: hits have their exact scores whatever it is.

use kithdb::{Codes, Value};
use serde::Deserialize;
use serde_json::json;

use super::shape::Ignored;

/// `quantization_config`, of a collection or of a vector.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over, or refused while it was read")]
pub(super) enum QuantizationIn {
    Scalar { r#type: ScalarType, quantile: Ignored, always_ram: Ignored, memory: Ignored },
    Binary { always_ram: Ignored, encoding: Ignored, query_encoding: Ignored, memory: Ignored },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ScalarType {
    Int8,
}

impl QuantizationIn {
    /// The codes that were asked for.
    pub(super) fn codes(&self) -> Codes {
        match self {
            Self::Scalar { .. } => Codes::Bits8,
            Self::Binary { .. } => Codes::Bits1,
        }
    }
}

/// Codes in the dialect's words; nothing for those that it has no word for, and for what is done unasked.
pub(super) fn quantization(codes: Codes) -> Option<Value> {
    (codes == Codes::Bits1).then(|| json!({"binary": {}}))
}
