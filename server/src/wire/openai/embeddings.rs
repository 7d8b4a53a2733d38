//! `embeddings`: texts to vectors, by the server's model.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kithdb::{Error, ErrorKind, Result};
use rag::Embedder;
use serde::Deserialize;
use serde_json::{Value, json};

/// A request.
#[derive(Debug, Deserialize)]
pub(crate) struct EmbeddingsIn {
    input: Input,
    model: String,
    encoding_format: Option<Encoding>,
    dimensions: Option<usize>,
    /// Whether the texts are questions: some models take them differently.
    input_type: Option<InputType>,
}

/// What is embedded.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "must be a text, or a list of texts")]
enum Input {
    Text(String),
    Texts(Vec<String>),
    /// Numbers of tokens, in another model's counting.
    Tokens(Vec<Value>),
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Float,
    Base64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum InputType {
    Query,
    Document,
}

/// Texts of a request, at most.
const TEXTS_MAX: usize = 2_048;

/// The name that a model is asked by.
pub(crate) fn model_name(embedder: &Embedder) -> &str {
    &embedder.identity().name
}

impl EmbeddingsIn {
    /// Embeds.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming the field; `NotFound` for another model.
    pub(crate) fn run(self, embedder: Option<&Embedder>) -> Result<Value> {
        let embedder = embedder.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "this server was started without an embedding model")
                .with_field("model")
        })?;
        let name = model_name(embedder);
        if self.model != name && name.rsplit('/').next() != Some(&self.model) {
            let message = format!("there is no embedding model `{}`; this server has `{name}`", self.model);
            return Err(Error::new(ErrorKind::NotFound, message).with_field("model"));
        }
        let dim = embedder.identity().dim;
        if self.dimensions.is_some_and(|dimensions| dimensions != dim) {
            let message = format!("must be {dim}, or absent: the model has no other");
            return Err(Error::invalid("dimensions", message));
        }
        let texts = self.input.into_texts()?;
        let vectors = match self.input_type {
            Some(InputType::Query) => {
                texts.iter().map(|text| embedder.embed_query(text)).collect::<Result<_>>()?
            }
            _ => embedder.embed_documents(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &|_| ())?,
        };
        let tokens: usize = texts.iter().map(|text| embedder.tokens(text)).sum();
        let encoding = self.encoding_format.unwrap_or(Encoding::Float);
        let entry = |(index, vector): (usize, &Vec<f32>)| json!({"object": "embedding", "index": index, "embedding": encoding.encode(vector)});
        let all: Vec<Value> = vectors.iter().enumerate().map(entry).collect();
        Ok(json!({
            "object": "list", "data": all, "model": name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }))
    }
}

impl Input {
    fn into_texts(self) -> Result<Vec<String>> {
        let texts = match self {
            Self::Text(text) => vec![text],
            Self::Texts(texts) => texts,
            Self::Tokens(tokens) => {
                let message = format!(
                    "is a list of {} that are no texts; numbers of tokens belong to one tokenizer only (in LangChain, set \
                     check_embedding_ctx_length=False)",
                    tokens.len()
                );
                return Err(Error::invalid("input", message));
            }
        };
        match texts.len() {
            0 => Err(Error::invalid("input", "is empty; give at least one text")),
            count if count > TEXTS_MAX => Err(Error::limit("input", "the number of texts", count, TEXTS_MAX)),
            _ => match texts.iter().position(String::is_empty) {
                Some(at) => Err(Error::invalid(format!("input[{at}]"), "is an empty text")),
                None => Ok(texts),
            },
        }
    }
}

impl Encoding {
    fn encode(self, vector: &[f32]) -> Value {
        match self {
            Self::Float => vector.into(),
            Self::Base64 => {
                let bytes: Vec<u8> =
                    vector.iter().flat_map(|element| element.to_bits().to_le_bytes()).collect();
                STANDARD.encode(bytes).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_bytes_of_the_smallest_end_first() {
        assert_eq!(Encoding::Base64.encode(&[1.0, -2.0]), "AACAPwAAAMA=");
        assert_eq!(Encoding::Float.encode(&[1.0, 0.5]), json!([1.0, 0.5]));
    }

    #[test]
    fn what_is_no_text_is_refused_with_a_hint() {
        let refused = |input: Value| {
            let input: Input = serde_json::from_value(input).expect("read");
            let error = input.into_texts().expect_err("refused");
            (error.field().unwrap_or_default().to_owned(), error.message().to_owned())
        };
        assert!(refused(json!([[1, 2]])).1.contains("check_embedding_ctx_length"));
        assert_eq!(refused(json!([1, 2])).0, "input");
        assert_eq!(refused(json!([])).0, "input");
        assert_eq!(refused(json!(["a", ""])).0, "input[1]");
        assert_eq!(refused(json!(vec!["a"; 2_049])).0, "input");
    }
}
