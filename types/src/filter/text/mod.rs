//! Filters as text: `lang = 'en' AND year >= 2020 AND NOT (author IS NULL OR tags IN ('a', 'b'))`.
//!
//! [`Filter`] parses from it, and prints as it. The grammar stands in docs/filters.md, above what it means.
//!
//! Invariant: what a filter prints parses to the same normal form, and what was parsed prints so that it parses to the
//! same tree. Errors name the field `filter` and the character, counted from 1, and say what was expected.
//! Cost: one pass over the text; the depth is limited, so no text overflows the stack.

mod lexer;
mod parser;
mod printer;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use super::Filter;
use crate::{Error, Result};

/// Words that begin something else than a field. A field of such a name is written in backticks.
const RESERVED: [&str; 10] = ["AND", "OR", "NOT", "TRUE", "FALSE", "ID", "HAS", "COUNT", "NESTED", "AT"];

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parser::parse(text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printer::filter(self))
    }
}

/// Whether a word, in any case, cannot be a field as it stands.
fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}
