//! The JSON of OpenAI's dialect, as types of its own.
//!
//! Requests: what is not known is passed over. Answers: every field that strict clients ask for, and no other but
//! `rag`. Times are seconds since 1970.

pub(crate) mod attributes;
pub(crate) mod chat;
pub(crate) mod cited;
pub(crate) mod embeddings;
pub(crate) mod files;
pub(crate) mod page;
pub(crate) mod rag;
pub(crate) mod responses;
pub(crate) mod stores;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;

/// Now.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A fresh id. A later one is greater, so that what was made within a second is listed in its order.
pub(crate) fn fresh(prefix: &str) -> String {
    static LAST_US: AtomicU64 = AtomicU64::new(0);
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    let before_us = LAST_US.fetch_max(now_us, Ordering::Relaxed);
    // A clock may stand still, or go back.
    let made_us = if before_us < now_us { now_us } else { LAST_US.fetch_add(1, Ordering::Relaxed) + 1 };
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}{made_us:016x}{}", &random[16..])
}

/// A text, or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "must be a text, or a list of texts")]
pub(crate) enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// What is said in a message: a text, or parts of which those with a text count.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "must be a text, or a list of parts, each an object with its `type`")]
pub(crate) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Part {
    text: Option<String>,
}

impl Content {
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => {
                parts.into_iter().filter_map(|part| part.text).collect::<Vec<_>>().join("\n")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_of_two_forms_is_told_by_the_forms_and_not_by_a_name_of_ours() {
        let texts = serde_json::from_str::<Texts>("5").expect_err("a number").to_string();
        let content = serde_json::from_str::<Content>("[5]").expect_err("numbers").to_string();
        for (error, part) in [(texts, "list of texts"), (content, "list of parts")] {
            assert!(error.contains(part) && !error.contains("variant"), "{error}");
        }
    }

    #[test]
    fn a_later_id_is_greater() {
        let ids: Vec<String> = (0..1_000).map(|_| fresh("vs_")).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == 35), "{ids:?}");
    }
}
