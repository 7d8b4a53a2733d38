//! Tests of a field: comparisons, lists, words, places, counts.

use super::{Kind, Parser, refuse};
use crate::filter::{Condition, CountRange, NumberBound, Predicate, Range, Scalar, TimeRange};
use crate::geo::{GeoArea, GeoPoint};
use crate::{FieldPath, Result, datetime};

/// Signs that compare, in the order of the bounds of [`Predicate::within`].
const ORDERS: [&str; 4] = ["<", "<=", ">", ">="];

/// What a field is compared with.
#[derive(Clone, Copy)]
enum Bound {
    Number(NumberBound),
    /// In microseconds since 1970.
    Time(i64),
}

/// What is compared.
enum Side {
    Field(FieldPath),
    Count(FieldPath),
}

impl Parser {
    /// A condition on a field, and whether it was written as a negation.
    pub(super) fn field(&mut self) -> Result<(Condition, bool)> {
        if matches!(self.peek(), Kind::Number(_) | Kind::Text(_)) {
            return Ok((self.between_bounds()?, false));
        }
        match self.side()? {
            Side::Count(path) => self.count(path),
            Side::Field(path) => self.test(path),
        }
    }

    fn side(&mut self) -> Result<Side> {
        if self.is_word(0, "COUNT") && self.is_sign(1, "(") {
            self.next += 2;
            let path = self.path()?;
            self.need_sign(")")?;
            return Ok(Side::Count(path));
        }
        if matches!(self.peek(), Kind::Word(_) | Kind::Path(_)) {
            return self.path().map(Side::Field);
        }
        Err(self.expected("a condition, such as lang = 'en'"))
    }

    fn order(&mut self, signs: &[&'static str]) -> Result<&'static str> {
        match signs.iter().find(|sign| self.is_sign(0, sign)) {
            Some(sign) => {
                self.next += 1;
                Ok(sign)
            }
            None => {
                let known: Vec<String> = signs.iter().map(|sign| format!("`{sign}`")).collect();
                Err(self.expected(&format!("one of {}", known.join(" "))))
            }
        }
    }

    /// `1 <= field < 2`: both bounds hold for the same value.
    fn between_bounds(&mut self) -> Result<Condition> {
        let lower_at = self.next;
        let lower = self.bound()?;
        let lower_sign = self.order(&["<", "<="])?;
        let side = self.side()?;
        let upper_sign = self.order(&["<", "<="])?;
        let upper_at = self.next;
        let upper = self.bound()?;
        let flipped = if lower_sign == "<" { ">" } else { ">=" };
        match side {
            Side::Field(path) => self.bounded(path, &[(flipped, lower), (upper_sign, upper)]),
            Side::Count(path) => {
                let lower = self.whole_at(lower_at)?;
                let upper = self.whole_at(upper_at)?;
                let (gt, gte) = if lower_sign == "<" { (Some(lower), None) } else { (None, Some(lower)) };
                let (lt, lte) = if upper_sign == "<" { (Some(upper), None) } else { (None, Some(upper)) };
                Ok(Condition::Count(path, CountRange { lt, lte, gt, gte }))
            }
        }
    }

    fn whole_at(&mut self, at: usize) -> Result<usize> {
        let next = std::mem::replace(&mut self.next, at);
        let number = self.whole("how many values")?;
        self.next = next;
        Ok(number)
    }

    /// Numbers or times, all of the same sort.
    fn bounded(&self, path: FieldPath, bounds: &[(&str, Bound)]) -> Result<Condition> {
        let (mut numbers, mut times) = ([None; 4], TimeRange::default());
        for (sign, bound) in bounds {
            match (*bound, *sign) {
                (Bound::Number(number), sign) => {
                    let place = ORDERS.iter().position(|order| *order == sign).unwrap_or(ORDERS.len() - 1);
                    numbers[place] = Some(number);
                }
                (Bound::Time(time), "<") => times.lt = Some(time),
                (Bound::Time(time), "<=") => times.lte = Some(time),
                (Bound::Time(time), ">") => times.gt = Some(time),
                (Bound::Time(time), _) => times.gte = Some(time),
            }
        }
        match (numbers == [None; 4], times == TimeRange::default()) {
            (false, true) => Ok(Condition::Field(path, Predicate::within(numbers))),
            (true, false) => Ok(Condition::Field(path, Predicate::Times(times))),
            _ => Err(refuse(self.token().at, "one bound is a number, the other a time")),
        }
    }

    /// A number, or a time in quotes.
    fn bound(&mut self) -> Result<Bound> {
        let bound = match self.peek() {
            Kind::Number(text) => {
                let whole = text.parse().map(NumberBound::Whole);
                whole.or_else(|_| text.parse().map(NumberBound::Float)).ok().map(Bound::Number)
            }
            Kind::Text(text) => datetime::micros(text).map(Bound::Time),
            _ => None,
        };
        match bound {
            Some(bound) => {
                self.next += 1;
                Ok(bound)
            }
            None => Err(self.expected("a number, or a time such as '2024-01-31' or '2024-01-31T12:00:00Z'")),
        }
    }

    /// `COUNT(field)` and what it is compared with.
    fn count(&mut self, path: FieldPath) -> Result<(Condition, bool)> {
        let sign = self.order(&["<", "<=", ">", ">=", "=", "!="])?;
        let number = self.whole("how many values")?;
        let none = CountRange::default();
        let range = match sign {
            "<" => CountRange { lt: Some(number), ..none },
            "<=" => CountRange { lte: Some(number), ..none },
            ">" => CountRange { gt: Some(number), ..none },
            ">=" => CountRange { gte: Some(number), ..none },
            _ => CountRange { gte: Some(number), lte: Some(number), ..none },
        };
        Ok((Condition::Count(path, range), sign == "!="))
    }

    /// What stands behind a field.
    fn test(&mut self, path: FieldPath) -> Result<(Condition, bool)> {
        for sign in ORDERS {
            if self.takes_sign(sign) {
                let bound = self.bound()?;
                return Ok((self.bounded(path, &[(sign, bound)])?, false));
            }
        }
        if self.is_sign(0, "=") || self.is_sign(0, "!=") {
            let is_negated = self.take() == Kind::Sign("!=");
            return Ok((self.equal(path)?, is_negated));
        }
        if self.takes("IS") {
            let is_negated = self.takes("NOT");
            return Ok((self.state(path)?, is_negated));
        }
        if self.takes("EXCEPT") {
            let list = self.list(Self::scalar)?;
            return Ok((Condition::Field(path, Predicate::Except(list)), false));
        }
        let is_negated = self.takes("NOT");
        let known = if is_negated {
            "IN, BETWEEN, LIKE, CONTAINS or WITHIN"
        } else {
            "a test: `=` `!=` `<` `<=` `>` `>=` IN, BETWEEN, IS, LIKE, CONTAINS, WITHIN, EXCEPT or NOT"
        };
        let condition = if self.takes("IN") {
            Condition::Field(path, Predicate::Any(self.list(Self::scalar)?))
        } else if self.takes("BETWEEN") {
            let lower = self.bound()?;
            self.need("AND")?;
            let upper = self.bound()?;
            self.bounded(path, &[(">=", lower), ("<=", upper)])?
        } else if self.takes("LIKE") {
            Condition::Field(path, Predicate::Prefix(self.pattern()?))
        } else if self.takes("CONTAINS") {
            Condition::Field(path, self.contained()?)
        } else if self.takes("WITHIN") {
            Condition::Field(path, Predicate::Geo(self.area()?))
        } else {
            return Err(self.expected(known));
        };
        Ok((condition, is_negated))
    }

    /// A value. A number with a fraction is a range of one number, since values match by type.
    fn equal(&mut self, path: FieldPath) -> Result<Condition> {
        if let Kind::Number(text) = self.peek()
            && text.parse::<i64>().is_err()
            && let Ok(number) = text.parse()
        {
            self.next += 1;
            let range = Range { gte: Some(number), lte: Some(number), ..Range::default() };
            return Ok(Condition::Field(path, Predicate::Range(range)));
        }
        Ok(Condition::Field(path, Predicate::Any(vec![self.scalar()?])))
    }

    fn scalar(&mut self) -> Result<Scalar> {
        let scalar = match self.peek() {
            Kind::Text(text) => Some(Scalar::Str(text.clone())),
            Kind::Number(text) => text.parse().ok().map(Scalar::Int),
            Kind::Word(word) if word.eq_ignore_ascii_case("true") => Some(Scalar::Bool(true)),
            Kind::Word(word) if word.eq_ignore_ascii_case("false") => Some(Scalar::Bool(false)),
            _ => None,
        };
        match scalar {
            Some(scalar) => {
                self.next += 1;
                Ok(scalar)
            }
            None => Err(self.expected("a value: 'a string', a whole number, true or false")),
        }
    }

    /// Behind `IS`, `IS NOT`.
    fn state(&mut self, path: FieldPath) -> Result<Condition> {
        if self.takes("NULL") {
            Ok(Condition::IsNull(path))
        } else if self.takes("EMPTY") {
            Ok(Condition::IsEmpty(path))
        } else if self.takes("NUMBER") {
            Ok(Condition::Field(path, Predicate::Range(Range::default())))
        } else if self.takes("TIME") {
            Ok(Condition::Field(path, Predicate::Times(TimeRange::default())))
        } else {
            Err(self.expected("NULL, EMPTY, NUMBER or TIME"))
        }
    }

    fn string(&mut self, what: &str) -> Result<String> {
        if let Kind::Text(text) = self.peek() {
            let text = text.clone();
            self.next += 1;
            return Ok(text);
        }
        Err(self.expected(what))
    }

    /// A prefix with `%` behind it.
    fn pattern(&mut self) -> Result<String> {
        let at = self.token().at;
        let pattern = self.string("a prefix such as 'abc%'")?;
        let only = || {
            refuse(
                at,
                "a pattern is a prefix and one % at its end, such as 'abc%'; \\% and \\_ stand for themselves",
            )
        };
        let mut prefix = String::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => prefix.push(chars.next().ok_or_else(only)?),
                '%' if chars.peek().is_none() => return Ok(prefix),
                '%' | '_' => return Err(only()),
                c => prefix.push(c),
            }
        }
        Err(only())
    }

    /// Behind `CONTAINS`.
    fn contained(&mut self) -> Result<Predicate> {
        let is_part = self.takes("PART");
        let make = if self.takes("ANY") {
            Predicate::TextAny
        } else if self.takes("PHRASE") {
            Predicate::Phrase
        } else {
            Predicate::Text
        };
        let words = self.string("words in quotes, or PART, ANY or PHRASE before them").map(make)?;
        Ok(if is_part { Predicate::PartUnlessIndexed(Box::new(words)) } else { words })
    }

    /// Behind `WITHIN`.
    fn area(&mut self) -> Result<GeoArea> {
        if self.takes("BOX") {
            self.need_sign("(")?;
            let top_left = self.place()?;
            self.need_sign(",")?;
            let bottom_right = self.place()?;
            self.need_sign(")")?;
            return Ok(GeoArea::Box { top_left, bottom_right });
        }
        if self.takes("POLYGON") {
            let exterior = self.list(Self::place)?;
            let interiors = if self.takes("WITHOUT") {
                self.list(|parser| parser.list(Self::place))?
            } else {
                Vec::new()
            };
            return Ok(GeoArea::Polygon { exterior, interiors });
        }
        if !matches!(self.peek(), Kind::Number(_)) {
            return Err(self.expected("a distance such as 5 km, BOX or POLYGON"));
        }
        let distance = self.number("a distance")?;
        let radius_m = if self.takes("KM") {
            distance * 1e3
        } else if self.takes("M") {
            distance
        } else {
            return Err(self.expected("km or m"));
        };
        self.need("OF")?;
        Ok(GeoArea::Circle { center: self.place()?, radius_m })
    }

    fn number(&mut self, what: &str) -> Result<f64> {
        if let Kind::Number(text) = self.peek()
            && let Ok(number) = text.parse()
        {
            self.next += 1;
            return Ok(number);
        }
        Err(self.expected(what))
    }

    /// `(longitude, latitude)`.
    fn place(&mut self) -> Result<GeoPoint> {
        self.need_sign("(")?;
        let lon = self.number("a longitude in degrees")?;
        self.need_sign(",")?;
        let lat = self.number("a latitude in degrees")?;
        self.need_sign(")")?;
        Ok(GeoPoint { lon, lat })
    }
}
