//! Reading that is charged for what it makes: lists and objects, as they grow, by the size of what they hold.
//!
//! Every type is read through it, whatever it is: what a list's room takes is known from the type of its elements.
//! So a list of numbers is charged four bytes for each, and a tree of JSON values what such values take.
//!
//! Invariant: a list or object that grows is charged for its new room before a further element is read.
//! Cost: a comparison for each element; scalars are read as without it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use crate::weigh::{charge, count};

/// Of an entry of a map, beside key and value: its hash, and its place in the table.
const ENTRY_BYTES: usize = 24;

/// An element takes so much at least; what stands for several bytes in another list is said to be smaller.
const SLOT_BYTES_MIN: usize = 4;

/// A deserializer, a visitor, or another part of reading, whose lists and objects are charged.
pub(super) struct Weighed<T>(pub(super) T);

macro_rules! scalars {
    ($($deserialize:ident)*) => {$(
        #[inline]
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$deserialize(visitor)
        }
    )*};
}

macro_rules! containers {
    ($($deserialize:ident)*) => {$(
        #[inline]
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$deserialize(Weighed(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Weighed<D> {
    type Error = D::Error;

    scalars! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_unit deserialize_identifier deserialize_ignored_any
    }

    containers! {
        deserialize_any deserialize_bytes deserialize_byte_buf deserialize_option deserialize_seq deserialize_map
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Weighed(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Weighed(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, len, Weighed(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, Weighed(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Weighed(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! pass {
    ($($visit:ident: $kind:ty,)*) => {$(
        #[inline]
        fn $visit<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.0.$visit(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Weighed<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    pass! {
        visit_bool: bool,
        visit_i8: i8,
        visit_i16: i16,
        visit_i32: i32,
        visit_i64: i64,
        visit_i128: i128,
        visit_u8: u8,
        visit_u16: u16,
        visit_u32: u32,
        visit_u64: u64,
        visit_u128: u128,
        visit_f32: f32,
        visit_f64: f64,
        visit_char: char,
        visit_str: &str,
        visit_borrowed_str: &'de str,
        visit_string: String,
        visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8],
        visit_byte_buf: Vec<u8>,
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Weighed(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Weighed(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Elements { inner, growth: Growth::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Entries { inner, growth: Growth::default(), key_bytes: 0 })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Weighed(access))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Weighed<S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Weighed(deserializer))
    }
}

/// The room of a list, as a `Vec` has it.
#[derive(Default)]
struct Growth {
    len: usize,
    room: usize,
}

impl Growth {
    /// One more, of so many bytes.
    #[inline]
    fn push<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.len += 1;
        match self.len > self.room {
            true => self.grow(bytes),
            false => Ok(()),
        }
    }

    #[cold]
    fn grow<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        let more = match (self.room, bytes) {
            (0, 0..=1_024) => 4,
            (0, _) => 1,
            (room, _) => room,
        };
        self.room += more;
        charge(more.saturating_mul(bytes))
    }
}

struct Elements<A> {
    inner: A,
    growth: Growth,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let element = self.inner.next_element_seed(Weighed(seed))?;
        if element.is_some() {
            self.growth.push::<A::Error>(size_of::<S::Value>().max(SLOT_BYTES_MIN))?;
        }
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

struct Entries<A> {
    inner: A,
    growth: Growth,
    /// Of the last key.
    key_bytes: usize,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.key_bytes = size_of::<S::Value>();
        self.inner.next_key_seed(Weighed(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let value = self.inner.next_value_seed(Weighed(seed))?;
        // The fields of a struct stand in it; their names are numbers.
        if self.key_bytes >= size_of::<String>() {
            let bytes = ENTRY_BYTES + self.key_bytes + size_of::<S::Value>();
            self.growth.push::<A::Error>(bytes)?;
        }
        Ok(value)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Weighed<A> {
    type Error = A::Error;
    type Variant = Weighed<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.0.variant_seed(Weighed(seed))?;
        Ok((value, Weighed(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Weighed<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Weighed(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Weighed(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Weighed(visitor))
    }
}

/// Reads the points of a request, if it has any; of more than it may have no further one is read.
pub(super) fn points<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    deserializer.deserialize_option(Counted { field: "points", items: PhantomData })
}

/// Reads the ids of points in the same way.
pub(super) fn ids<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let ids: Option<Vec<T>> = deserializer.deserialize_seq(Counted { field: "ids", items: PhantomData })?;
    Ok(ids.unwrap_or_default())
}

/// Reads the ids of a batch in the same way.
pub(super) fn batch_ids<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let ids: Option<Vec<T>> =
        deserializer.deserialize_seq(Counted { field: "batch.ids", items: PhantomData })?;
    Ok(ids.unwrap_or_default())
}

/// A list of as many items as a request may have points.
struct Counted<T> {
    field: &'static str,
    items: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Counted<T> {
    type Value = Option<Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
            count::<A::Error>(self.field, items.len())?;
        }
        Ok(Some(items))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use kithdb::{ErrorKind, Result, Value};
    use serde::de::DeserializeOwned;

    use crate::weigh::Room;
    use crate::wire::parse_weighed;
    use crate::wire::point::{Delete, Retrieve, Upsert};
    use crate::wire::query::QueryBody;

    /// Reads a body, where all of them become 8 MiB at most.
    fn read<T: DeserializeOwned>(body: &str) -> Result<()> {
        parse_weighed::<T>(body.as_bytes(), &Room::beside(4 << 20, usize::MAX).part()).map(drop)
    }

    /// Each became gigabytes before anything of it was counted. None of these bodies has an end: one that is read to
    /// where it breaks off would be told that.
    #[test]
    fn what_becomes_large_is_refused_before_its_end() {
        let bodies = |kind: fn(&str) -> Result<()>, cases: &[(&str, &str)]| {
            for &(start, part) in cases {
                let body = [start, part.repeat((4 << 20) / part.len()).as_str()].concat();
                let error = kind(&body).expect_err(part);
                let told = (error.kind(), error.field());
                assert_eq!(told, (ErrorKind::LimitExceeded, Some("body")), "{start}{part}: {error}");
                assert!(error.message().contains("bodies_bytes_max"), "{error}");
            }
        };
        let payload = r#"{"points":[{"id":1,"payload":{"a":["#;
        let upserts = [
            (payload, "1,"),
            (payload, "[1],"),
            (payload, r#"{"a":1},"#),
            (r#"{"points":["#, r#"{"id":1},"#),
            (r#"{"points":[{"id":1,"vector":["#, "[1],"),
            (r#"{"batch":{"ids":["#, "1,"),
            (r#"{"update_filter":{"must":["#, r#"{"key":"a"},"#),
        ];
        bodies(read::<Upsert>, &upserts);
        bodies(read::<Retrieve>, &[(r#"{"ids":["#, "1,")]);
        bodies(read::<Delete>, &[(r#"{"points":["#, "1,")]);
        let questions = [
            (r#"{"prefetch":["#, "{},"),
            (r#"{"prefetch":["#, r#"{"prefetch":{"prefetch":{}}},"#),
            (r#"{"filter":{"must":["#, r#"{"must":{"must":{"key":"a"}}},"#),
            (r#"{"filter":{"must":[{"has_id":["#, "1,"),
            (r#"{"filter":{"must":[{"key":"a","match":{"any":["#, "1,"),
        ];
        bodies(read::<QueryBody>, &questions);
        bodies(read::<Value>, &[(r#"{"a":["#, "[[]],")]);
    }

    /// Three million points of an id took more than a gigabyte before they were counted. Neither body has an end.
    #[test]
    fn no_more_points_are_read_than_a_request_may_have() {
        fn told<T: DeserializeOwned>(body: &str) -> (ErrorKind, Option<String>) {
            let read = parse_weighed::<T>(body.as_bytes(), &Room::beside(4 << 20, 3).part()).map(drop);
            let error = read.expect_err(body);
            (error.kind(), error.field().map(str::to_owned))
        }
        let limit = |field: &str| (ErrorKind::LimitExceeded, Some(field.to_owned()));
        assert_eq!(told::<Upsert>(r#"{"points":[{"id":1},{"id":2},{"id":3},{"id":4},"#), limit("points"));
        assert_eq!(told::<Upsert>(r#"{"batch":{"ids":[1,2,3,4,"#), limit("batch.ids"));
        assert_eq!(told::<Retrieve>(r#"{"ids":[1,2,3,4,"#), limit("ids"));
        assert_eq!(told::<Delete>(r#"{"points":[1,2,3,4,"#), limit("points"));
        let three = r#"{"points":[1,2,3],"filter":null}"#;
        parse_weighed::<Delete>(three.as_bytes(), &Room::beside(0, 3).part()).expect("three may be");
        let (kind, field) = told::<Delete>(r#"{"points":[1,"x"]}"#);
        assert_eq!((kind, field.as_deref()), (ErrorKind::InvalidArgument, Some("points[1]")));
        parse_weighed::<Delete>(br#"{"points":null}"#, &Room::beside(0, 3).part()).expect("null is absent");
    }

    /// 768 numbers take three kibibytes; as values they would be charged fifty.
    #[test]
    fn vectors_are_charged_as_vectors() {
        let vector = ["0.12345678"; 768].join(",");
        let mut points = String::new();
        for id in 0..1_000 {
            let comma = if id == 0 { "" } else { "," };
            write!(points, r#"{comma}{{"id":{id},"vector":[{vector}],"payload":{{"a":"b"}}}}"#)
                .expect("written");
        }
        read::<Upsert>(&format!(r#"{{"points":[{points}]}}"#)).expect("8 MB of vectors become 4");
    }

    #[test]
    fn a_place_is_named_where_memory_is_weighed_too() {
        let error = read::<Upsert>(r#"{"points":[{"id":1,"vector":[1,"x"]}]}"#).expect_err("a text");
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("points[0].vector[1]")));
        read::<Upsert>(r#"{"points":[]} x"#).expect_err("there is more behind the end");
    }
}
