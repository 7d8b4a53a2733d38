//! A sentence-transformers directory: what its files say about the model, read and checked before it is used.
//!
//! Files: `config.json`, `tokenizer.json`, `model.safetensors`; and, if there, `modules.json` (which steps follow the
//! encoder), the pooling step's `config.json`, `sentence_bert_config.json` (the window) and
//! `config_sentence_transformers.json` (the prompts). Without `modules.json` the mean is taken and nothing is
//! normalised, as sentence-transformers does.
//!
//! Invariant: what comes out is a model that [`super::bert`] computes correctly; every other one is refused.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use types::{Error, ErrorKind, ModelIdentity, Result};

/// The files of a model, read.
pub(super) struct Directory {
    pub(super) config: Config,
    pub(super) identity: ModelIdentity,
    pub(super) pooling: Pooling,
    /// Bytes of `model.safetensors`.
    pub(super) weights: Vec<u8>,
    /// Bytes of `tokenizer.json`.
    pub(super) tokenizer: Vec<u8>,
}

/// How the token vectors of a text become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// The first token's.
    First,
}

/// The part of `config.json` that shapes the computation, under the names that it has there.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    model_type: String,
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) vocab_size: usize,
    pub(super) type_vocab_size: usize,
    pub(super) layer_norm_eps: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Window {
    max_seq_length: Option<usize>,
    do_lower_case: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Prompts {
    prompts: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct Step {
    path: String,
    #[serde(rename = "type")]
    class: String,
}

impl Directory {
    /// Reads and checks the directory.
    ///
    /// # Errors
    /// `InvalidArgument` on `model` when a file is missing, does not parse, or asks for what is not supported.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let config: Config = json(path, "config.json")?.ok_or_else(|| missing(path, "config.json"))?;
        check_config(&config).map_err(|why| refuse(path, &why))?;
        let window: Window = json(path, "sentence_bert_config.json")?.unwrap_or_default();
        if window.do_lower_case {
            return Err(refuse(
                path,
                "sentence_bert_config.json asks for `do_lower_case`, which is not supported",
            ));
        }
        let (pooling, is_normalised) = read_steps(path)?;
        let prompts: Prompts = json(path, "config_sentence_transformers.json")?.unwrap_or_default();
        let tokens_max = window.max_seq_length.unwrap_or(usize::MAX).min(config.max_position_embeddings);
        let tokenizer = bytes(path, "tokenizer.json")?.ok_or_else(|| missing(path, "tokenizer.json"))?;
        let weights = bytes(path, "model.safetensors")?.ok_or_else(|| missing(path, "model.safetensors"))?;
        let identity = ModelIdentity {
            name: name(path),
            revision: revision(&weights, &tokenizer),
            dim: config.hidden_size,
            tokens_max,
            query_prefix: prompts.first(&["query"]),
            document_prefix: prompts.first(&["document", "passage"]),
            is_normalised,
        };
        Ok(Self { config, identity, pooling, weights, tokenizer })
    }
}

impl Prompts {
    fn first(&self, names: &[&str]) -> String {
        names.iter().find_map(|name| self.prompts.get(*name)?.as_str()).unwrap_or_default().to_owned()
    }
}

/// The refusal of a model, naming its directory.
pub(super) fn refuse(path: &Path, why: &str) -> Error {
    Error::invalid("model", format!("`{}` cannot be used: {why}", path.display()))
}

fn check_config(config: &Config) -> std::result::Result<(), String> {
    let must_be = |name: &str, actual: &str, supported: &str| {
        if actual == supported {
            return Ok(());
        }
        Err(format!("config.json says `{name}: {actual}`, only `{supported}` is supported"))
    };
    must_be("model_type", &config.model_type, "bert")?;
    must_be("hidden_act", &config.hidden_act, "gelu")?;
    let positions = config.position_embedding_type.as_deref().unwrap_or("absolute");
    must_be("position_embedding_type", positions, "absolute")?;
    let sizes = [
        ("hidden_size", config.hidden_size),
        ("num_hidden_layers", config.num_hidden_layers),
        ("num_attention_heads", config.num_attention_heads),
        ("intermediate_size", config.intermediate_size),
        ("max_position_embeddings", config.max_position_embeddings),
        ("vocab_size", config.vocab_size),
        ("type_vocab_size", config.type_vocab_size),
    ];
    if let Some((name, size)) = sizes.iter().find(|(_, size)| !(1..=1 << 24).contains(size)) {
        return Err(format!("config.json says `{name}: {size}`, which no model has"));
    }
    if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
        return Err("config.json: `hidden_size` is no multiple of `num_attention_heads`".to_owned());
    }
    Ok(())
}

/// What follows the encoder: how tokens are pooled, and whether the outcome is normalised.
fn read_steps(path: &Path) -> Result<(Pooling, bool)> {
    let Some(steps) = json::<Vec<Step>>(path, "modules.json")? else {
        return Ok((Pooling::Mean, false));
    };
    let classes: Vec<&str> =
        steps.iter().map(|step| step.class.rsplit('.').next().unwrap_or_default()).collect();
    let is_normalised = match classes.as_slice() {
        ["Transformer", "Pooling"] => false,
        ["Transformer", "Pooling", "Normalize"] => true,
        _ => {
            let why = format!(
                "modules.json lists {}; Transformer, Pooling and at most Normalize are supported",
                classes.join(", ")
            );
            return Err(refuse(path, &why));
        }
    };
    if !steps[0].path.is_empty() {
        return Err(refuse(path, "modules.json puts the encoder in a sub-folder, which is not supported"));
    }
    let file = format!("{}/config.json", steps[1].path);
    let pooling: serde_json::Map<String, Value> = json(path, &file)?.ok_or_else(|| missing(path, &file))?;
    Ok((read_pooling(&pooling).map_err(|why| refuse(path, &format!("{file} {why}")))?, is_normalised))
}

fn read_pooling(config: &serde_json::Map<String, Value>) -> std::result::Result<Pooling, String> {
    let flags = config.iter().filter(|(_, is_on)| **is_on == Value::Bool(true));
    let mut modes: Vec<&str> = flags.filter_map(|(name, _)| name.strip_prefix("pooling_mode_")).collect();
    modes.extend(config.get("pooling_mode").and_then(Value::as_str));
    if config.get("include_prompt") == Some(&Value::Bool(false)) {
        return Err("leaves the prompt out of the pooling, which is not supported".to_owned());
    }
    match modes.as_slice() {
        ["mean_tokens" | "mean"] => Ok(Pooling::Mean),
        ["cls_token" | "cls"] => Ok(Pooling::First),
        _ => Err(format!("pools by {modes:?}; the mean or the first token is supported")),
    }
}

/// The last part of the directory's name.
fn name(path: &Path) -> String {
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    full.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn revision(weights: &[u8], tokenizer: &[u8]) -> String {
    let digest = Sha256::new().chain_update(weights).chain_update(tokenizer).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn missing(path: &Path, file: &str) -> Error {
    refuse(
        path,
        &format!(
            "there is no {file}; name a sentence-transformers directory with config.json, tokenizer.json \
             and model.safetensors"
        ),
    )
}

fn bytes(path: &Path, file: &str) -> Result<Option<Vec<u8>>> {
    match fs::read(path.join(file)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("`{}` cannot be read: {error}", path.join(file).display());
            Err(Error::new(ErrorKind::Io, message).with_field("model").with_source(error))
        }
    }
}

fn json<T: DeserializeOwned>(path: &Path, file: &str) -> Result<Option<T>> {
    let Some(bytes) = bytes(path, file)? else { return Ok(None) };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| refuse(path, &format!("{file}: {error}")).with_source(error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pooling_is_read_in_both_spellings_and_others_are_refused() {
        let read = |value: Value| read_pooling(value.as_object().expect("an object"));
        let flags = json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false});
        assert_eq!(read(flags), Ok(Pooling::Mean));
        assert_eq!(read(json!({"pooling_mode_cls_token": true})), Ok(Pooling::First));
        assert_eq!(read(json!({"pooling_mode": "mean"})), Ok(Pooling::Mean));
        let both = json!({"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true});
        assert!(read(both).expect_err("two modes").contains("max_tokens"));
        assert!(read(json!({})).is_err() && read(json!({"pooling_mode": "max"})).is_err());
        assert!(read(json!({"pooling_mode": "mean", "include_prompt": false})).is_err());
    }

    #[test]
    fn prompts_become_prefixes() {
        let prompts: Prompts =
            serde_json::from_value(json!({"prompts": {"query": "query: ", "passage": "p: "}}))
                .expect("prompts");
        assert_eq!(
            (prompts.first(&["query"]), prompts.first(&["document", "passage"])),
            ("query: ".into(), "p: ".into())
        );
        assert_eq!(Prompts::default().first(&["query"]), "");
    }
}
