//! From characters to tokens.

use crate::{Error, Result};

/// A token, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Its first character, counted from 1.
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A word of the language, or a path: letters, digits, `_`, `-`, with `.`, `[]`, `[3]`, `"quoted keys"`.
    Word(String),
    /// A path in backticks.
    Path(String),
    /// A string in single quotes.
    Text(String),
    /// A number as it stands.
    Number(String),
    /// `(`, `)`, `,`, `=`, `!=`, `<`, `<=`, `>`, `>=`.
    Sign(&'static str),
    /// Behind the last character.
    End,
}

/// Tokens of a filter, at most. Each takes many times its characters, and all of them are there before the first is
/// understood; lists of more ids than a request may have fit.
const TOKENS_MAX: usize = 1 << 20;

/// The longer come first.
const SIGNS: [&str; 9] = ["<=", ">=", "!=", "(", ")", ",", "=", "<", ">"];

/// An error at a character.
pub(super) fn refuse(at: usize, message: &str) -> Error {
    Error::invalid("filter", format!("at character {at}: {message}"))
}

/// All tokens, the last of which is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0 };
    let mut tokens = Vec::new();
    loop {
        while lexer.peek(0).is_some_and(char::is_whitespace) {
            lexer.at += 1;
        }
        let at = lexer.at + 1;
        if tokens.len() == TOKENS_MAX {
            return Err(refuse(
                at,
                &format!("it has more than {TOKENS_MAX} words, values and signs; make it shorter"),
            ));
        }
        let kind = lexer.token()?;
        let is_end = kind == Kind::End;
        tokens.push(Token { kind, at });
        if is_end {
            return Ok(tokens);
        }
    }
}

/// Whether a text is one word as it stands.
pub(super) fn is_one_word(text: &str) -> bool {
    let Ok(tokens) = tokens(text) else { return false };
    matches!(&tokens[..], [Token { kind: Kind::Word(word), .. }, _] if word == text)
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn token(&mut self) -> Result<Kind> {
        let Some(first) = self.peek(0) else { return Ok(Kind::End) };
        match first {
            '\'' => self.quoted('\'').map(Kind::Text),
            '`' => self.quoted('`').map(Kind::Path),
            '0'..='9' => Ok(self.number()),
            '-' if self.peek(1).is_some_and(|c| c.is_ascii_digit()) => Ok(self.number()),
            '_' | '"' => self.word(),
            c if c.is_alphabetic() => self.word(),
            _ => self.sign(first),
        }
    }

    fn sign(&mut self, first: char) -> Result<Kind> {
        let starts = |sign: &&&str| (0..).zip(sign.chars()).all(|(ahead, c)| self.peek(ahead) == Some(c));
        match SIGNS.iter().find(starts) {
            Some(sign) => {
                self.at += sign.len();
                Ok(Kind::Sign(sign))
            }
            None => Err(refuse(self.at + 1, &format!("{first:?} begins nothing that a filter has"))),
        }
    }

    /// Up to the quote, which is written twice inside.
    fn quoted(&mut self, quote: char) -> Result<String> {
        let begin = self.at + 1;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek(0) {
                None => return Err(refuse(begin, &format!("the {quote} is never closed"))),
                Some(c) if c == quote && self.peek(1) != Some(quote) => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(c) => {
                    self.at += if c == quote { 2 } else { 1 };
                    text.push(c);
                }
            }
        }
    }

    fn number(&mut self) -> Kind {
        let mut text = String::new();
        while let Some(c) = self.peek(0) {
            let is_digit_next = |ahead: usize| self.peek(ahead).is_some_and(|c| c.is_ascii_digit());
            let belongs = match c {
                '0'..='9' => true,
                '-' => text.is_empty() || text.ends_with(['e', 'E']),
                '+' => text.ends_with(['e', 'E']),
                '.' => !text.contains(['.', 'e', 'E']) && is_digit_next(1),
                'e' | 'E' => {
                    let is_signed = matches!(self.peek(1), Some('+' | '-'));
                    !text.contains(['e', 'E']) && is_digit_next(if is_signed { 2 } else { 1 })
                }
                _ => false,
            };
            if !belongs {
                break;
            }
            text.push(c);
            self.at += 1;
        }
        Kind::Number(text)
    }

    fn word(&mut self) -> Result<Kind> {
        let mut text = String::new();
        while let Some(c) = self.peek(0) {
            match c {
                '"' => {
                    let key = self.quoted('"')?;
                    text.extend(['"'].into_iter().chain(key.chars()).chain(['"']));
                    continue;
                }
                '[' | ']' | '.' | '_' | '-' => text.push(c),
                c if c.is_alphanumeric() => text.push(c),
                _ => break,
            }
            self.at += 1;
        }
        Ok(Kind::Word(text))
    }
}
