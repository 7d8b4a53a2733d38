//! How large files, functions and lines may be. What is larger today is listed with its size, which may only shrink.

use super::{none, sources};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 60;
const LINE_CHARS_MAX: usize = 120;

/// Files that are too long, and their lines.
const LONG_FILES: [(&str, usize); 0] = [];

/// Functions that are too long, and their lines.
const LONG_FUNCTIONS: [(&str, usize); 0] = [];

/// Holds sizes against a limit and the list of exceptions.
fn ratchet(sizes: &[(String, usize)], limit: usize, exceptions: &[(&str, usize)]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (name, size) in sizes {
        match exceptions.iter().find(|(known, _)| known == name) {
            None if *size > limit => breaches.push(format!("{name} has {size} lines, {limit} are allowed")),
            Some((_, before)) if size > before => {
                breaches.push(format!("{name} grew from {before} to {size} lines"));
            }
            Some((_, before)) if size < before => {
                breaches
                    .push(format!("{name} shrank to {size} lines: lower its exception, or strike it out"));
            }
            _ => {}
        }
    }
    let is_gone = |known: &str| !sizes.iter().any(|(name, _)| name == known);
    let gone = exceptions.iter().filter(|(known, _)| is_gone(known));
    breaches.extend(gone.map(|(known, _)| format!("{known} is gone: strike its exception out")));
    breaches
}

#[test]
fn files_are_small() {
    let sizes: Vec<(String, usize)> =
        sources(&["rs"]).iter().map(|source| (source.path.clone(), source.text.lines().count())).collect();
    none("A file is one page of thought; split it:", &ratchet(&sizes, FILE_LINES_MAX, &LONG_FILES));
}

#[test]
fn functions_are_small() {
    let mut sizes = Vec::new();
    for source in sources(&["rs"]) {
        let named = |(name, _, lines): (String, usize, usize)| (format!("{}: {name}", source.path), lines);
        sizes.extend(source.functions().into_iter().map(named));
    }
    let median = {
        let mut lines: Vec<usize> = sizes.iter().map(|(_, lines)| *lines).collect();
        lines.sort_unstable();
        lines[lines.len() / 2]
    };
    none("A function does one thing; split it:", &ratchet(&sizes, FUNCTION_LINES_MAX, &LONG_FUNCTIONS));
    assert!(median <= 10, "half of the functions have more than {median} lines");
}

#[test]
fn lines_are_readable() {
    let mut breaches = Vec::new();
    for source in sources(&["rs"]) {
        for (line, chars) in (1..).zip(source.line_chars()).filter(|(_, chars)| *chars > LINE_CHARS_MAX) {
            breaches.push(format!("{}:{line} has {chars} characters", source.path));
        }
    }
    none("A line fits a screen:", &breaches);
}

#[test]
fn an_exception_may_only_shrink() {
    let check = |size: usize| ratchet(&[("a".to_owned(), size)], 10, &[("a", 12)]).len();
    assert_eq!([check(12), check(13), check(11)], [0, 1, 1]);
    assert_eq!(ratchet(&[("b".to_owned(), 11)], 10, &[]).len(), 1);
    assert_eq!(ratchet(&[], 10, &[("a", 12)]).len(), 1);
}
