//! What may not stand in a source: code without safety, promises instead of code, code that is commented out, paths
//! of somebody's machine.

use super::source::{Class, Source};
use super::{KINDS, none, sources};

/// Where `unsafe` may stand.
const UNSAFE: [&str; 2] = ["index/src/kernels/", "index/src/file/map.rs"];

/// Blocks of it in each file there; clippy sees to it that each says why it is sound. One more is one more to prove.
const UNSAFE_BLOCKS: [(&str, usize); 6] = [
    ("index/src/file/map.rs", 1),
    ("index/src/kernels/avx2.rs", 11),
    ("index/src/kernels/avx512.rs", 12),
    ("index/src/kernels/isa.rs", 2),
    ("index/src/kernels/mod.rs", 1),
    ("index/src/kernels/neon.rs", 3),
];

/// Macros and attributes that are not finished work.
const UNFINISHED: [&str; 5] = ["todo!", "unimplemented!", "dbg!", "#[ignore", "#![allow"];

/// Words in comments that promise work instead of doing it.
const PROMISES: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];

/// Parts of names that say nothing.
const EMPTY_NAMES: [&str; 6] = ["manager", "helper", "util", "utils", "common", "misc"];

/// The lines, from 1, that contain a word as a whole word.
fn lines_with(text: &str, word: &str) -> Vec<usize> {
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    let contains = |line: &str| {
        line.match_indices(word).any(|(at, found)| {
            let (before, after) = (line[..at].chars().next_back(), line[at + found.len()..].chars().next());
            is_edge(before) && (is_edge(after) || !word.ends_with(char::is_alphanumeric))
        })
    };
    (1..).zip(text.lines()).filter(|(_, line)| contains(line)).map(|(number, _)| number).collect()
}

fn breaches(source: &Source, text: &str, words: &[&str]) -> Vec<String> {
    let place = |word: &&str| {
        let lines = lines_with(text, word);
        lines.into_iter().map(|line| format!("{}:{line}: {word}", source.path)).collect::<Vec<_>>()
    };
    words.iter().flat_map(place).collect()
}

#[test]
fn every_file_says_what_it_is() {
    let silent = |source: &&Source| !source.text.starts_with("//! ");
    let found: Vec<String> =
        sources(&["rs"]).iter().filter(silent).map(|source| source.path.clone()).collect();
    none("A file opens with `//!` and says what it is, its invariants, its cost:", &found);
}

#[test]
fn unsafe_code_has_its_two_places() {
    let rust = sources(&["rs"]);
    let elsewhere = rust.iter().filter(|source| !UNSAFE.iter().any(|place| source.path.starts_with(place)));
    let found: Vec<String> =
        elsewhere.flat_map(|source| breaches(source, &source.only(&[Class::Code]), &["unsafe"])).collect();
    none("`unsafe` stands only where it is confined:", &found);
}

#[test]
fn unsafe_blocks_are_counted() {
    let rust = sources(&["rs"]);
    let count = |source: &Source| lines_with(&source.only(&[Class::Code]), "unsafe").len();
    let counted = rust.iter().map(|source| (source.path.as_str(), count(source)));
    let found: Vec<(&str, usize)> = counted.filter(|(_, blocks)| *blocks > 0).collect();
    assert_eq!(found, UNSAFE_BLOCKS, "count them anew, in the tests and in docs/reliability.md");
}

#[test]
fn nothing_is_left_undone() {
    let mut found = Vec::new();
    for source in sources(&["rs"]) {
        found.extend(breaches(&source, &source.only(&[Class::Code]), &UNFINISHED));
        found.extend(breaches(&source, &source.only(&[Class::Code, Class::Comment]), &PROMISES));
    }
    none("Finish it, or leave it out and say so in an issue:", &found);
}

#[test]
fn no_code_is_commented_out() {
    let mut found = Vec::new();
    for source in sources(&["rs"]) {
        for (line, comment) in (1..).zip(source.only(&[Class::Comment]).lines()) {
            let comment = comment.trim();
            let is_plain = !comment.starts_with("///") && !comment.starts_with("//!");
            if is_plain && looks_like_code(comment.trim_start_matches('/').trim()) {
                found.push(format!("{}:{line}: {comment}", source.path));
            }
        }
    }
    none("Git remembers old code; comments say why:", &found);
}

fn looks_like_code(comment: &str) -> bool {
    let begins = ["let ", "fn ", "pub ", "use ", "impl ", "mod ", "#[", "assert!", "assert_eq!", "println!"];
    let ends = [";", "{", "}", "},", ")?", ");"];
    ends.iter().any(|end| comment.ends_with(end))
        || (begins.iter().any(|begin| comment.starts_with(begin)) && comment.contains(['(', '=', ':']))
}

#[test]
fn names_of_files_are_nouns_that_mean_something() {
    let parts = |path: &str| path.split(['/', '.', '_', '-']).map(str::to_lowercase).collect::<Vec<_>>();
    let is_empty = |source: &&Source| parts(&source.path).iter().any(|part| EMPTY_NAMES.contains(&&**part));
    let found: Vec<String> =
        sources(&["rs"]).iter().filter(is_empty).map(|source| source.path.clone()).collect();
    none("A file is named by what it holds:", &found);
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    let folders = ["root", "home", "work", "Users"].map(|folder| format!("/{folder}/"));
    let mut found = Vec::new();
    for source in sources(&KINDS) {
        for (line, text) in (1..).zip(source.text.lines()) {
            let is_path = |folder: &String| {
                text.match_indices(folder.as_str()).any(|(at, _)| {
                    let before = text[..at].chars().next_back();
                    before.is_none_or(|c| " \"'`=(".contains(c))
                })
            };
            if folders.iter().any(is_path) {
                found.push(format!("{}:{line}: {}", source.path, text.trim()));
            }
        }
    }
    none("The repository works on every machine:", &found);
}

#[test]
fn words_are_found_whole() {
    assert_eq!(lines_with("a unsafe b\nunsafely\nTODO: x\n", "unsafe"), [1]);
    assert_eq!(lines_with("a\ntodo!(1)\n", "todo!"), [2]);
    assert!(looks_like_code("let a = 1;") && looks_like_code("if a {"));
    assert!(!looks_like_code("Let us see: it is (mostly) fine.") && !looks_like_code("use it well"));
}
