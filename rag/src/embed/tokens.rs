//! Text to token ids, as the model expects them.
//!
//! The tokenizer file's own truncation and padding are dropped: all-MiniLM-L6-v2 ships 128 tokens and padding to
//! 128, which loses text and wastes work. The window comes from the model's directory instead, and nothing is padded.
//!
//! Invariant: ids are at least one and at most `tokens_max`, special tokens included.

use std::ops::Range;
use std::path::Path;

use tokenizers::{Encoding, Tokenizer, TruncationDirection};
use types::{Error, ErrorKind, Result};

use super::directory::{Directory, refuse};

/// A tokenizer with the model's window.
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    /// Tokens of a text that fit beside the special ones.
    own_max: usize,
}

impl Tokens {
    pub(super) fn load(path: &Path, directory: &Directory) -> Result<Self> {
        let tokens = Self::new(path, &directory.tokenizer, directory.identity.tokens_max)?;
        let largest = tokens.tokenizer.get_vocab(true).into_values().max().unwrap_or(0) as usize;
        if largest >= directory.config.vocab_size {
            return Err(refuse(path, "tokenizer.json has more tokens than the weights"));
        }
        if tokens.own_max == directory.identity.tokens_max {
            let why = "tokenizer.json adds no special tokens, so an empty text has no embedding";
            return Err(refuse(path, why));
        }
        Ok(tokens)
    }

    /// Of the bytes of a `tokenizer.json`, with a window.
    ///
    /// # Errors
    /// `InvalidArgument` on `model`.
    pub(crate) fn new(path: &Path, bytes: &[u8], window: usize) -> Result<Self> {
        let fail = |error: tokenizers::Error| refuse(path, &format!("tokenizer.json: {error}"));
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(fail)?;
        tokenizer.with_truncation(None).map_err(fail)?;
        tokenizer.with_padding(None);
        let special = tokenizer.encode_fast("", true).map_err(fail)?.len();
        if window <= special {
            let why = format!("its window of {window} tokens leaves no room beside {special} special ones");
            return Err(refuse(path, &why));
        }
        Ok(Self { tokenizer, own_max: window - special })
    }

    /// The ids of a text with special tokens, cut to the window.
    pub(crate) fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let mut encoding = self.tokenizer.encode_fast(text, false).map_err(refuse_text)?;
        encoding.truncate(self.own_max, 0, TruncationDirection::Right);
        let encoding = self.tokenizer.post_process(encoding, None, true).map_err(refuse_text)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Tokens of a text that fit beside the special ones.
    pub(crate) fn own_max(&self) -> usize {
        self.own_max
    }

    /// How many tokens a text has, special ones not counted, nothing cut.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.tokenizer.encode_fast(text, false).map_or(text.len(), |encoding| encoding.len())
    }

    /// The byte range of each token of a text, special ones left out, nothing cut.
    pub(crate) fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let ranges =
            |encoding: Encoding| encoding.get_offsets().iter().map(|&(start, end)| start..end).collect();
        // A text that the tokenizer refuses counts as a token a byte: too many rather than too few.
        self.tokenizer
            .encode(text, false)
            .map_or_else(|_| (0..text.len()).map(|at| at..at + 1).collect(), ranges)
    }
}

fn refuse_text(error: tokenizers::Error) -> Error {
    let message = format!("the model's tokenizer refuses the text: {error}");
    Error::new(ErrorKind::InvalidArgument, message).with_field("text").with_source(error)
}
