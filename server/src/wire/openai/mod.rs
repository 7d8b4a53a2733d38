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

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;

/// Now.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A fresh id.
pub(crate) fn fresh(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::new_v4().simple())
}

/// A text, or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
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
#[serde(untagged)]
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
