//! What both kinds of models must hold, and what a directory must be.

use std::cell::Cell;
use std::fs;

use types::ErrorKind;

use super::tiny;
use crate::Embedder;

const TEXTS: [&str; 8] = [
    "",
    "the quick brown fox",
    "the",
    "\u{1F980} \u{4F60}\u{597D} caf\u{E9} \u{0} \u{202E}fox",
    "fox fox fox fox fox fox fox fox fox fox fox fox fox fox fox fox fox fox fox fox fox fox fox fox",
    "  \n\t ",
    "[SEP] [CLS] [PAD]",
    "quick brown jumps over the lazy dog",
];

#[test]
fn a_batch_gives_what_each_text_gives_alone() {
    let (_folder, embedder) = tiny::open();
    let many: Vec<&str> = TEXTS.iter().copied().cycle().take(300).collect();
    let done = Cell::new(0);
    let together = embedder.embed_documents(&many, &|count| done.set(count)).expect("embeds");
    assert_eq!(done.get(), many.len());
    assert_eq!(together, embedder.embed_documents(&many, &|_| {}).expect("embeds again"));
    for (text, vector) in many.iter().zip(&together) {
        let alone = &embedder.embed_query(text).expect("embeds");
        assert!(vector.iter().zip(alone).all(|(a, b)| (a - b).abs() < 1e-5), "{text:?}");
        let norm = vector.iter().map(|element| element * element).sum::<f32>();
        assert!((norm - 1.0).abs() < 1e-5, "{text:?} has the squared length {norm}");
    }
    assert!((together[1][0] - together[2][0]).abs() > 1e-4, "different texts, one vector");
    assert!(embedder.embed_documents(&[], &|_| {}).expect("nothing").is_empty());
}

#[test]
fn a_text_is_cut_to_the_window_of_the_directory() {
    let (_folder, embedder) = tiny::open();
    let window = embedder.identity().tokens_max;
    let long = "fox ".repeat(window * 3);
    assert_eq!(embedder.tokens(&long), window * 3);
    let ids = embedder.token_ids(&long).expect("ids");
    assert_eq!((ids.len(), ids.first(), ids.last()), (window, Some(&tiny::CLS), Some(&tiny::SEP)));
    let cut = "fox ".repeat(embedder.document_tokens_max());
    assert_eq!(embedder.embed_query(&long).expect("cut"), embedder.embed_query(&cut).expect("whole"));
}

#[test]
fn identity_follows_the_files_not_the_place() {
    let (folder, first) = tiny::open();
    let (_other, second) = tiny::open();
    assert_eq!(first.identity().revision, second.identity().revision);
    assert_eq!((first.identity().dim, first.identity().revision.len()), (tiny::WIDTH, 64));
    let path = folder.path().join("tokenizer.json");
    let spaced = format!("{} ", fs::read_to_string(&path).expect("reads"));
    fs::write(&path, spaced).expect("writes");
    let changed = Embedder::open(folder.path()).expect("opens");
    assert_ne!(changed.identity().revision, first.identity().revision);
}

#[test]
fn unsupported_and_damaged_models_are_refused_with_the_file_named() {
    let cases: [(&str, &str, &str); 7] = [
        ("config.json", r#""model_type":"bert""#, r#""model_type":"gpt2""#),
        ("config.json", r#""hidden_act":"gelu""#, r#""hidden_act":"silu""#),
        ("config.json", r#""num_attention_heads":4"#, r#""num_attention_heads":0"#),
        ("config.json", r#""vocab_size":"#, r#""vocab_size":9"#),
        ("modules.json", "models.Normalize", "models.Dense"),
        ("1_Pooling/config.json", "mean_tokens", "max_tokens"),
        ("tokenizer.json", "{", "<"),
    ];
    for (file, from, to) in cases {
        let folder = tiny::write();
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).expect(file);
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(&path, text.replacen(from, to, 1)).expect(file);
        let error = Embedder::open(folder.path()).err().expect(to);
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("model")), "{error}");
    }
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let folder = tiny::write();
        fs::remove_file(folder.path().join(file)).expect(file);
        let error = Embedder::open(folder.path()).err().expect(file);
        assert!(error.to_string().contains(&format!("there is no {file}")), "{error}");
    }
    let folder = tiny::write();
    fs::write(folder.path().join("model.safetensors"), b"short").expect("writes");
    assert!(Embedder::open(folder.path()).is_err());
}
