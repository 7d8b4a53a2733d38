//! Shapes that recur: one or a list of something, fields that are passed over.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::weigh::charge;

/// A field of the dialect that cannot change an answer here: accepted and passed over.
pub(crate) type Ignored = Option<IgnoredAny>;

/// An object, or a list of them.
#[derive(Debug)]
pub(crate) struct OneOrMany<T> {
    /// What was given.
    pub(crate) items: Vec<T>,
    /// Whether it was a list; decides how a place in it is spelled.
    pub(crate) is_list: bool,
}

impl<T> OneOrMany<T> {
    /// What was given, each with the place where it stands.
    pub(crate) fn places(self, field: &str) -> impl Iterator<Item = (String, T)> {
        let is_list = self.is_list;
        self.items.into_iter().enumerate().map(move |(position, item)| {
            (if is_list { format!("{field}[{position}]") } else { field.to_owned() }, item)
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        let items = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(OneOrMany { items, is_list: true })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        // One in another, without a list between them.
        charge::<A::Error>(size_of::<T>())?;
        let item = T::deserialize(MapAccessDeserializer::new(map))?;
        Ok(OneOrMany { items: vec![item], is_list: false })
    }
}
