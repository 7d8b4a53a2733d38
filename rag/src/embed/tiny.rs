//! A model directory for tests: a BERT with two layers of width 32, weights at random (the same each time), and a
//! tokenizer of whole words and single letters that carries the wrong truncation and padding real ones carry.

use std::collections::HashMap;
use std::fs;

use candle_core::{DType, Device, Tensor, safetensors};
use serde_json::json;
use tempfile::TempDir;

use super::Embedder;

/// Width of the model.
pub(crate) const WIDTH: usize = 32;
/// Id of the token at the start.
pub(crate) const CLS: u32 = 2;
/// Id of the token at the end.
pub(crate) const SEP: u32 = 3;
/// Tokens that the model sees.
const WINDOW: usize = 48;
const WIDE: usize = 64;

/// Writes the directory and opens it. The folder is removed when it is dropped.
pub(crate) fn open() -> (TempDir, Embedder) {
    let folder = write();
    let embedder = Embedder::open(folder.path()).expect("the tiny model opens");
    (folder, embedder)
}

/// Writes the directory.
pub(crate) fn write() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let vocabulary = vocabulary();
    let config = json!({
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": WIDTH, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": WIDE, "max_position_embeddings": 64,
        "vocab_size": vocabulary.len(), "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    });
    let modules = json!([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]);
    fs::create_dir(folder.path().join("1_Pooling")).expect("a folder");
    let files = [
        ("config.json", config),
        ("modules.json", modules),
        ("1_Pooling/config.json", json!({"pooling_mode_mean_tokens": true})),
        ("sentence_bert_config.json", json!({"max_seq_length": WINDOW, "do_lower_case": false})),
        ("tokenizer.json", tokenizer(&vocabulary)),
    ];
    for (name, content) in files {
        fs::write(folder.path().join(name), content.to_string()).expect(name);
    }
    let weights = weights(vocabulary.len());
    safetensors::save(&weights, folder.path().join("model.safetensors")).expect("weights");
    folder
}

fn vocabulary() -> Vec<String> {
    let words =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog"];
    let letters = ('a'..='z').chain('0'..='9').flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
    let marks = ".,:;#-*_`>()[]!?".chars().map(String::from);
    words.into_iter().map(String::from).chain(letters).chain(marks).collect()
}

fn tokenizer(vocabulary: &[String]) -> serde_json::Value {
    let ids: serde_json::Map<_, _> =
        vocabulary.iter().enumerate().map(|(id, word)| (word.clone(), id.into())).collect();
    let special = |id: u32, word: &str| {
        json!({"id": id, "content": word, "special": true, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false})
    };
    json!({
        "version": "1.0",
        "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [special(0, "[PAD]"), special(1, "[UNK]"), special(CLS, "[CLS]"), special(SEP, "[SEP]")],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", SEP], "cls": ["[CLS]", CLS]},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": ids},
    })
}

fn weights(words: usize) -> HashMap<String, Tensor> {
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.word_embeddings.weight".into(), vec![words, WIDTH]),
        ("embeddings.position_embeddings.weight".into(), vec![64, WIDTH]),
        ("embeddings.token_type_embeddings.weight".into(), vec![2, WIDTH]),
    ];
    for layer in (0..2).map(|at| format!("encoder.layer.{at}")) {
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            shapes.extend(linear(&format!("{layer}.attention.{part}"), WIDTH, WIDTH));
        }
        shapes.extend(linear(&format!("{layer}.intermediate.dense"), WIDTH, WIDE));
        shapes.extend(linear(&format!("{layer}.output.dense"), WIDE, WIDTH));
        shapes.extend(norm(&format!("{layer}.attention.output.LayerNorm")));
        shapes.extend(norm(&format!("{layer}.output.LayerNorm")));
    }
    shapes.extend(norm("embeddings.LayerNorm"));
    let mut state = 42;
    shapes.into_iter().map(|(name, dims)| (name, random(&dims, &mut state))).collect()
}

fn linear(name: &str, from: usize, to: usize) -> [(String, Vec<usize>); 2] {
    [(format!("{name}.weight"), vec![to, from]), (format!("{name}.bias"), vec![to])]
}

fn norm(name: &str) -> [(String, Vec<usize>); 2] {
    [(format!("{name}.weight"), vec![WIDTH]), (format!("{name}.bias"), vec![WIDTH])]
}

/// Numbers between -0.5 and 0.5 from a linear congruential generator (Knuth's MMIX constants).
fn random(dims: &[usize], state: &mut u64) -> Tensor {
    let count = dims.iter().product();
    let mut next = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let numbers: Vec<f32> = (0..count).map(|_| next()).collect();
    let tensor = Tensor::from_vec(numbers, dims, &Device::Cpu).expect("a tensor");
    assert_eq!(tensor.dtype(), DType::F32);
    tensor
}
