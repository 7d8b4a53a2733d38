//! The bodies of both protocols, and what is checked of an answer.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Protocol;

/// The path below the configured address.
pub(super) fn path(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::OpenAi => "/embeddings",
        Protocol::Tei => "/embed",
    }
}

/// The body that asks for vectors.
pub(super) fn request(protocol: Protocol, model: &str, is_normalised: bool, texts: &[&str]) -> Value {
    match protocol {
        Protocol::OpenAi => json!({"model": model, "input": texts, "encoding_format": "float"}),
        Protocol::Tei => json!({"inputs": texts, "normalize": is_normalised, "truncate": true}),
    }
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    data: Vec<OpenAiVector>,
}

#[derive(Deserialize)]
struct OpenAiVector {
    index: usize,
    embedding: Vec<f32>,
}

/// The vectors of an answer, in the order of the texts; or what is wrong with it.
pub(super) fn vectors(
    protocol: Protocol,
    body: &[u8],
    count: usize,
    dim: Option<usize>,
) -> Result<Vec<Vec<f32>>, String> {
    let no_answer = |error: serde_json::Error| format!("is no answer of its protocol: {error}");
    let vectors: Vec<Vec<f32>> = match protocol {
        Protocol::OpenAi => {
            let mut data = serde_json::from_slice::<OpenAiAnswer>(body).map_err(no_answer)?.data;
            data.sort_by_key(|vector| vector.index);
            if data.iter().enumerate().any(|(at, vector)| vector.index != at) {
                return Err("gives a text no vector, or two".to_owned());
            }
            data.into_iter().map(|vector| vector.embedding).collect()
        }
        Protocol::Tei => serde_json::from_slice(body).map_err(no_answer)?,
    };
    if vectors.len() != count {
        return Err(format!("has {} vectors for {count} texts", vectors.len()));
    }
    let expected = dim.or_else(|| vectors.first().map(Vec::len)).unwrap_or(0);
    if let Some(other) = vectors.iter().find(|vector| vector.len() != expected || vector.is_empty()) {
        return Err(format!("has a vector of {} elements, not {expected}", other.len()));
    }
    if vectors.iter().flatten().any(|element| !element.is_finite()) {
        return Err("has a number that is not finite".to_owned());
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_checked() {
        let two = br#"{"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2]}],"model":"m"}"#;
        assert_eq!(vectors(Protocol::OpenAi, two, 2, Some(2)), Ok(vec![vec![1.0, 2.0], vec![3.0, 4.0]]));
        assert_eq!(vectors(Protocol::Tei, b"[[1,2]]", 1, None), Ok(vec![vec![1.0, 2.0]]));
        let wrong: [(Protocol, &[u8], usize); 8] = [
            (Protocol::OpenAi, two, 3),
            (Protocol::OpenAi, br#"{"data":[{"index":1,"embedding":[3,4]}]}"#, 1),
            (Protocol::OpenAi, br#"{"data":[{"index":0,"embedding":[3]}]}"#, 1),
            (Protocol::OpenAi, b"<html>", 1),
            (Protocol::Tei, b"[[1,2],[3]]", 2),
            (Protocol::Tei, b"[[]]", 1),
            (Protocol::Tei, b"[[1e39, 2]]", 1),
            (Protocol::Tei, b"{}", 1),
        ];
        for (protocol, body, count) in wrong {
            let dim = (body != b"[[]]").then_some(2);
            assert!(vectors(protocol, body, count, dim).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
