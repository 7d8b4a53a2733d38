//! Quantisation as it comes in and goes out: by which codes vectors are found, in the words of the dialect.
//!
//! What the dialect says is kept among the settings; here is what it means. Its kinds that have no like here get the
//! codes that are nearest in size. Hits have their exact scores whatever it is.

use kithdb::{Codes, Payload, Schema, Value};
use serde_json::json;

/// The word that takes a configuration back.
pub(super) const DISABLED: &str = "Disabled";

/// The member of settings.
pub(super) const MEMBER: &str = "quantization_config";

/// The codes that a configuration, which was checked, asks for.
pub(super) fn codes(config: &Value) -> Codes {
    let small = |kind: &str, member: &str, large: &[&str]| {
        let said = config[kind].get(member).and_then(Value::as_str);
        said.is_some_and(|said| !large.contains(&said))
    };
    let is_small = config.get("binary").is_some()
        || small("product", "compression", &["x4"])
        || small("turbo", "bits", &["bits4", "bits8"]);
    if is_small { Codes::Bits1 } else { Codes::Bits8 }
}

/// The configuration that settings give a vector: its own, or that of the collection.
pub(super) fn given<'a>(settings: &'a Payload, vector: &str) -> Option<&'a Value> {
    let own = settings.get("vectors").and_then(|vectors| vectors.get(vector)?.get(MEMBER));
    own.or_else(|| settings.get(MEMBER))
}

/// Gives vectors the codes that other settings ask for. Codes that were given in other words stay.
pub(super) fn recode(schema: &mut Schema, before: &Payload) {
    let settings = &schema.settings;
    let asked = |settings: &Payload, name: &str| given(settings, name).map(codes).unwrap_or_default();
    for (name, spec) in schema.vectors.iter_mut().chain(&mut schema.multi) {
        if spec.codes == asked(before, name) {
            spec.codes = asked(settings, name);
        }
    }
}

/// Codes in the dialect's words; nothing for those that it has no word for, and for what is done unasked.
pub(super) fn quantization(codes: Codes) -> Option<Value> {
    (codes == Codes::Bits1).then(|| json!({"binary": {}}))
}
