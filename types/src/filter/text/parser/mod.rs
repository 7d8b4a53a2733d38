//! From tokens to a filter: one function a rule of the grammar.

use super::is_reserved;
use super::lexer::{Kind, Token, refuse, tokens};
use crate::filter::{Condition, Filter, MinShould};
use crate::{FieldPath, PointId, Result};

mod test;

/// Levels of parentheses, `NOT` and `NESTED`.
const DEPTH_MAX: usize = 64;

pub(super) fn parse(text: &str) -> Result<Filter> {
    if text.trim().is_empty() {
        return Ok(Filter::default());
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let filter = parser.either()?;
    match parser.peek() {
        Kind::End => Ok(unwrapped(filter)),
        _ => Err(parser.expected("AND, OR or the end")),
    }
}

/// A filter that is nothing but another one is that one.
fn unwrapped(filter: Filter) -> Filter {
    match into_condition(filter) {
        Condition::Filter(inner) => *inner,
        condition => Filter::must(condition),
    }
}

/// A filter of one condition that must hold is that condition.
fn into_condition(mut filter: Filter) -> Condition {
    let is_one = filter.must.len() == 1
        && filter.should.is_empty()
        && filter.must_not.is_empty()
        && filter.min_should.is_none();
    match filter.must.pop() {
        Some(condition) if is_one => condition,
        popped => {
            filter.must.extend(popped);
            Condition::Filter(Box::new(filter))
        }
    }
}

struct Parser {
    /// The last is the end.
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn token(&self) -> &Token {
        let last = self.tokens.len() - 1;
        &self.tokens[self.next.min(last)]
    }

    fn peek(&self) -> &Kind {
        &self.token().kind
    }

    fn take(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.next += 1;
        kind
    }

    fn expected(&self, what: &str) -> crate::Error {
        let found = match self.peek() {
            Kind::End => "the end".to_owned(),
            Kind::Word(text) | Kind::Number(text) => format!("`{text}`"),
            Kind::Path(text) => format!("the field `{text}`"),
            Kind::Text(text) => format!("'{text}'"),
            Kind::Sign(sign) => format!("`{sign}`"),
        };
        refuse(self.token().at, &format!("expected {what}, found {found}"))
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(self.tokens.get(self.next + ahead), Some(Token { kind: Kind::Word(text), .. })
            if text.eq_ignore_ascii_case(word))
    }

    fn is_sign(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.tokens.get(self.next + ahead), Some(Token { kind: Kind::Sign(found), .. }) if *found == sign)
    }

    /// Takes a word if it comes next.
    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.is_word(0, word);
        self.next += usize::from(is_next);
        is_next
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let is_next = self.is_sign(0, sign);
        self.next += usize::from(is_next);
        is_next
    }

    fn need(&mut self, word: &str) -> Result<()> {
        if self.takes(word) { Ok(()) } else { Err(self.expected(word)) }
    }

    fn need_sign(&mut self, sign: &str) -> Result<()> {
        if self.takes_sign(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    fn deeper<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEPTH_MAX {
            return Err(refuse(self.token().at, &format!("it is nested more than {DEPTH_MAX} levels deep")));
        }
        self.depth += 1;
        let outcome = rule(self);
        self.depth -= 1;
        outcome
    }

    /// Items in parentheses, with commas between; none is as good.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.need_sign("(")?;
        let mut items = Vec::new();
        if self.takes_sign(")") {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.takes_sign(")") {
                return Ok(items);
            }
            if !self.takes_sign(",") {
                return Err(self.expected("`,` or `)`"));
            }
        }
    }

    /// `both OR both ...`
    fn either(&mut self) -> Result<Filter> {
        let first = self.both()?;
        if !self.is_word(0, "OR") {
            return Ok(first);
        }
        let mut should = vec![into_condition(first)];
        while self.takes("OR") {
            should.push(into_condition(self.both()?));
        }
        Ok(Filter { should, ..Filter::default() })
    }

    /// `one AND NOT one ...`
    fn both(&mut self) -> Result<Filter> {
        let mut filter = Filter::default();
        loop {
            if self.takes("NOT") {
                let condition = self.deeper(Self::negated)?;
                filter.must_not.push(condition);
            } else {
                let (condition, is_negated) = self.one()?;
                if is_negated { &mut filter.must_not } else { &mut filter.must }.push(condition);
            }
            if !self.takes("AND") {
                return Ok(filter);
            }
        }
    }

    /// What stands behind `NOT`.
    fn negated(&mut self) -> Result<Condition> {
        let (condition, is_negated) =
            if self.takes("NOT") { (self.deeper(Self::negated)?, true) } else { self.one()? };
        if !is_negated {
            return Ok(condition);
        }
        Ok(Condition::Filter(Box::new(Filter { must_not: vec![condition], ..Filter::default() })))
    }

    /// One condition, and whether it was written as a negation.
    fn one(&mut self) -> Result<(Condition, bool)> {
        let plain = |condition| Ok((condition, false));
        if self.takes_sign("(") {
            let inner = self.deeper(Self::either)?;
            self.need_sign(")")?;
            return plain(into_condition(inner));
        }
        if self.takes("TRUE") {
            return plain(Condition::Filter(Box::default()));
        }
        if self.takes("FALSE") {
            return plain(Condition::HasId(Vec::new()));
        }
        if self.is_word(0, "AT") && self.is_word(1, "LEAST") {
            self.next += 2;
            return self.at_least().map(|condition| (condition, false));
        }
        if self.takes("HAS") {
            self.need("VECTOR")?;
            return match self.take() {
                Kind::Word(name) | Kind::Text(name) | Kind::Path(name) => plain(Condition::HasVector(name)),
                _ => {
                    self.next -= 1;
                    Err(self.expected("the name of a vector"))
                }
            };
        }
        if self.takes("ID") {
            return self.ids();
        }
        if self.takes("NESTED") {
            let path = self.path()?;
            self.need_sign("(")?;
            let inner = self.deeper(Self::either)?;
            self.need_sign(")")?;
            return plain(Condition::Nested(path, Box::new(unwrapped(inner))));
        }
        self.field()
    }

    /// `AT LEAST n OF (...)`, behind its first words.
    fn at_least(&mut self) -> Result<Condition> {
        let count = self.whole("how many conditions")?;
        self.need("OF")?;
        let conditions = self.deeper(|parser| parser.list(|parser| parser.either().map(into_condition)))?;
        let min_should = Some(MinShould { conditions, count });
        Ok(Condition::Filter(Box::new(Filter { min_should, ..Filter::default() })))
    }

    /// `= id`, `!= id`, `IN (...)`, `NOT IN (...)`, `IN SLICE 0 OF 4`.
    fn ids(&mut self) -> Result<(Condition, bool)> {
        let is_negated = self.takes("NOT");
        if self.takes("IN") {
            if self.takes("SLICE") {
                return Ok((self.slice()?, is_negated));
            }
            return Ok((Condition::HasId(self.list(Self::id)?), is_negated));
        }
        if is_negated {
            return Err(self.expected("IN"));
        }
        if self.takes_sign("=") {
            return Ok((Condition::HasId(vec![self.id()?]), false));
        }
        if self.takes_sign("!=") {
            return Ok((Condition::HasId(vec![self.id()?]), true));
        }
        Err(self.expected("`=`, `!=` or IN behind ID (a field of this name is written `id`, in backticks)"))
    }

    fn id(&mut self) -> Result<PointId> {
        let id = match self.peek() {
            Kind::Number(text) => text.parse::<u64>().ok().map(PointId::Num),
            Kind::Text(text) => text.parse().ok(),
            _ => None,
        };
        match id {
            Some(id) => {
                self.next += 1;
                Ok(id)
            }
            None => Err(self.expected("an id: a whole number, or a UUID in quotes")),
        }
    }

    /// `0 OF 4`, behind `SLICE`.
    fn slice(&mut self) -> Result<Condition> {
        let start = self.next;
        let index = self.whole("which slice")?;
        self.need("OF")?;
        let total = self.whole("how many slices")?;
        match (u32::try_from(index), u32::try_from(total)) {
            (Ok(index), Ok(total)) if index < total => Ok(Condition::Slice { index, total }),
            _ => {
                self.next = start;
                Err(self.expected("a slice from 0, below the number of slices,"))
            }
        }
    }

    fn whole(&mut self, what: &str) -> Result<usize> {
        if let Kind::Number(text) = self.peek()
            && let Ok(number) = text.parse()
        {
            self.next += 1;
            return Ok(number);
        }
        Err(self.expected(&format!("{what}, as a whole number")))
    }

    fn path(&mut self) -> Result<FieldPath> {
        let text = match self.peek() {
            Kind::Path(text) => text.clone(),
            Kind::Word(text) if !is_reserved(text) => text.clone(),
            Kind::Word(word) => {
                let what = format!("a condition (a field named {word} is written `{word}`, in backticks)");
                return Err(self.expected(&what));
            }
            _ => return Err(self.expected("a field")),
        };
        let at = self.token().at;
        self.next += 1;
        text.parse().map_err(|error: crate::Error| refuse(at, error.message()))
    }
}
