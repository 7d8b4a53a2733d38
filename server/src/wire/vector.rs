//! Vectors of points: a list of numbers for the unnamed one, an object for named ones. A sparse vector is an object of
//! `indices` and `values`, or of a `text` and a `model`, and always named; a multivector is a list of lists.

use std::collections::HashSet;
use std::fmt;

use kithdb::{DEFAULT_VECTOR, SparseVector, Vector, Vectors};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::weigh::charge;

use super::bm25::{Given, ObjectIn, TextVector};
use super::never;
use super::schema::{Shown, any_of, declare, many, map, named, number, object, whole};

/// One dense vector.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Dense(pub(crate) Vec<f32>);

/// One vector of any kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VectorIn(pub(crate) Vector);

/// For the document: one sparse vector.
pub(crate) enum SparseIn {}

#[derive(serde::Serialize)]
struct SparseOut<'a> {
    indices: &'a [u32],
    values: &'a [f32],
}

/// The vectors of a point, as they come in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct VectorsIn(pub(crate) Vectors);

/// The vectors of a point, as they go out.
#[derive(Debug)]
pub(crate) struct VectorsOut(pub(crate) Vectors);

/// The vectors of a batch, as they come in: by name, one an id.
#[derive(Debug)]
pub(crate) enum Columns {
    /// Of the unnamed space, or points with names of their own.
    Rows(Vec<VectorsIn>),
    /// By name.
    Named(Vec<(String, Vec<VectorIn>)>),
}

declare!(Dense as "DenseVector": many(number()));
declare!(SparseIn as "SparseVector":
    object([("indices", many(whole(0))), ("values", many(number()))]).shown());
declare!(VectorIn as "Vector": vector(), SparseIn, TextVector);
declare!(VectorsIn as "VectorStruct": any_of([elements(), map(named::<VectorIn>())]), VectorIn);
declare!(VectorsOut as "StoredVectors": named::<VectorsIn>(), VectorsIn);
declare!(Columns as "VectorColumns": any_of([many(named::<VectorsIn>()), map(many(named::<VectorIn>()))]), VectorsIn);

/// A vector of any kind.
pub(super) fn vector() -> Shown {
    any_of([elements(), named::<SparseIn>(), named::<TextVector>()])
}

/// The elements of a dense vector, or the rows of a multivector.
fn elements() -> Shown {
    many(any_of([number(), many(number())]))
}

/// What can be said of a sparse vector without its space.
fn check_sparse<E: Error>(SparseVector { indices, values }: &SparseVector) -> Result<(), E> {
    if indices.len() != values.len() {
        return Err(never("values", "must be the same length as indices"));
    }
    // As most clients send them.
    if indices.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(indices.len());
    match indices.iter().position(|index| !seen.insert(index)) {
        Some(at) => Err(never(&format!("indices[{at}]"), "must be unique, and stands there a second time")),
        None => Ok(()),
    }
}

impl<'de> Deserialize<'de> for VectorIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = VectorIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers, or an object with `indices` and `values`, or with `text` and `model`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<VectorIn, A::Error> {
        filled(seq).map(VectorIn)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VectorIn, A::Error> {
        let object: ObjectIn = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
        let sparse = match object.read::<A::Error>()? {
            Given::Sparse(sparse) => sparse,
            Given::Made(made) => made.document(),
            Given::Text(_) => return Err(A::Error::missing_field("model")),
            Given::Point(_) => {
                return Err(A::Error::custom("a `name` is of a point, and this is its vector"));
            }
        };
        check_sparse(&sparse)?;
        Ok(VectorIn(sparse.into()))
    }
}

impl<'de> Deserialize<'de> for Dense {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DenseVisitor)
    }
}

struct DenseVisitor;

impl<'de> Visitor<'de> for DenseVisitor {
    type Value = Dense;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dense vector: a list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Dense, A::Error> {
        dense(seq)
    }
}

fn dense<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Dense, A::Error> {
    let mut elements = Vec::new();
    while let Some(Element(element)) = seq.next_element()? {
        elements.push(element);
    }
    Ok(Dense(elements))
}

/// Numbers, or lists of numbers; not both.
pub(super) fn list<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Vector, A::Error> {
    let (mut elements, mut rows) = (Vec::new(), Vec::new());
    while let Some(item) = seq.next_element_seed(Next { elements: &mut elements, rows: &mut rows })? {
        match item {
            Item::Number if !rows.is_empty() => {
                return Err(A::Error::custom("a number stands among lists of numbers"));
            }
            Item::Row if !elements.is_empty() => {
                return Err(A::Error::custom("a list stands among numbers"));
            }
            Item::Number | Item::Row => {}
        }
    }
    Ok(if rows.is_empty() { Vector::Dense(elements) } else { Vector::Multi(rows) })
}

/// As [`list`], of a point: no row of it may be empty, or of another length than the first.
fn filled<'de, A: SeqAccess<'de>>(seq: A) -> Result<Vector, A::Error> {
    let vector = list(seq)?;
    match &vector {
        Vector::Dense(elements) if elements.is_empty() => Err(never("", "a dense vector must not be empty")),
        Vector::Multi(rows) => check_rows(rows).map(|()| vector),
        _ => Ok(vector),
    }
}

fn check_rows<E: Error>(rows: &[Vec<f32>]) -> Result<(), E> {
    let dim = rows.first().map_or(0, Vec::len);
    let Some(at) = rows.iter().position(|row| row.is_empty() || row.len() != dim) else { return Ok(()) };
    let why = match rows[at].len() {
        0 => "all vectors must be non-empty, a dense vector must not be empty".to_owned(),
        found => {
            format!("all vectors must have the same dimension, found vector with dimension {found}")
        }
    };
    Err(never(&format!("[{at}]"), &why))
}

/// Refuses a name that stands there twice, however many names there are.
fn check_names<'a, E: Error>(names: impl Iterator<Item = &'a String>) -> Result<(), E> {
    let mut names: Vec<&String> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(E::custom(format!("vector `{}` is given twice", pair[0]))),
        None => Ok(()),
    }
}

/// What an item of a list was.
enum Item {
    Number,
    Row,
}

/// Where the next item of a list goes: what it takes there is charged as a number is.
struct Next<'a> {
    elements: &'a mut Vec<f32>,
    rows: &'a mut Vec<Vec<f32>>,
}

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = Item;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Item, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Next<'_> {
    fn number<E>(self, number: f32) -> Result<Item, E> {
        self.elements.push(number);
        Ok(Item::Number)
    }
}

impl<'de> Visitor<'de> for Next<'_> {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a list of numbers")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Item, E> {
        self.number(number as f32)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Item, E> {
        self.number(number as f32)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Item, E> {
        self.number(number as f32)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Item, A::Error> {
        charge::<A::Error>(size_of::<Vec<f32>>())?;
        let Dense(row) = dense(seq)?;
        self.rows.push(row);
        Ok(Item::Row)
    }
}

struct Element(f32);

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f32(ElementVisitor)
    }
}

struct ElementVisitor;

impl Visitor<'_> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Element, E> {
        Ok(Element(number as f32))
    }

    fn visit_f32<E>(self, number: f32) -> Result<Element, E> {
        Ok(Element(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Element, E> {
        Ok(Element(number as f32))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Element, E> {
        Ok(Element(number as f32))
    }
}

impl<'de> Deserialize<'de> for VectorsIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorsVisitor)
    }
}

struct VectorsVisitor;

impl<'de> Visitor<'de> for VectorsVisitor {
    type Value = VectorsIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector, or an object of named vectors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<VectorsIn, A::Error> {
        filled(seq).map(|vector| VectorsIn(vec![(DEFAULT_VECTOR.to_owned(), vector)]))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VectorsIn, A::Error> {
        let mut vectors = Vectors::new();
        while let Some((name, VectorIn(vector))) = map.next_entry::<String, VectorIn>()? {
            vectors.push((name, vector));
        }
        check_names::<A::Error>(vectors.iter().map(|(name, _)| name))?;
        Ok(VectorsIn(vectors))
    }
}

impl Serialize for VectorsOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [(name, Vector::Dense(elements))] if name == DEFAULT_VECTOR => elements.serialize(serializer),
            [(name, Vector::Multi(rows))] if name == DEFAULT_VECTOR => rows.serialize(serializer),
            named => {
                let mut map = serializer.serialize_map(Some(named.len()))?;
                for (name, vector) in named {
                    match vector {
                        Vector::Dense(elements) => map.serialize_entry(name, elements)?,
                        Vector::Multi(rows) => map.serialize_entry(name, rows)?,
                        Vector::Sparse(SparseVector { indices, values }) => {
                            map.serialize_entry(name, &SparseOut { indices, values })?;
                        }
                    }
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ColumnsVisitor)
    }
}

struct ColumnsVisitor;

impl<'de> Visitor<'de> for ColumnsVisitor {
    type Value = Columns;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of vectors, or an object of such lists by name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Columns, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Columns::Rows)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
        let mut columns = Vec::new();
        while let Some(column) = map.next_entry::<String, Vec<VectorIn>>()? {
            columns.push(column);
        }
        check_names::<A::Error>(columns.iter().map(|(name, _)| name))?;
        Ok(Columns::Named(columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MULTI: &str = r#"{"a":[[1.0,2.0],[0.5,-1.0]],"b":[1.0]}"#;
    const SPARSE: &str = r#"{"a":{"indices":[7,1],"values":[2.0,-0.5]},"b":{"indices":[],"values":[]}}"#;

    #[test]
    fn vectors_go_out_as_they_came_in() {
        for json in ["[1.0,0.1,-3.5]", r#"{"a":[1.0],"b":[0.5,2.0]}"#, "{}", SPARSE, MULTI] {
            let VectorsIn(vectors) = serde_json::from_str(json).expect(json);
            assert_eq!(serde_json::to_string(&VectorsOut(vectors)).expect("vectors"), json);
        }
        serde_json::from_str::<VectorsIn>(r#"{"a":[1],"a":[2]}"#).expect_err("twice");
        serde_json::from_str::<VectorsIn>(r#"{"indices":[1],"values":[2]}"#).expect("two dense ones by name");
        serde_json::from_str::<VectorsIn>(r#"{"a":{"indices":[1]}}"#).expect_err("no values");
        serde_json::from_str::<VectorsIn>("[[1.0],2.0]").expect_err("both");
        serde_json::from_str::<VectorsIn>("[2.0,[1.0]]").expect_err("both");
        let error = serde_json::from_str::<VectorsIn>("[[1.0],[1.0,2.0]]").expect_err("rows of two lengths");
        assert!(error.to_string().contains("all vectors must have the same dimension"), "{error}");
    }

    #[test]
    fn columns_of_one_name_are_refused() {
        serde_json::from_str::<Columns>(r#"{"a":[[1]],"b":[[2]]}"#).expect("two columns");
        let error = serde_json::from_str::<Columns>(r#"{"a":[[1]],"b":[[2]],"a":[[3]]}"#).expect_err("twice");
        assert!(error.to_string().contains("`a` is given twice"), "{error}");
    }

    /// Each name was held against all before it: 200 000 of them took minutes, on a thread that writes wait for.
    #[test]
    fn many_names_are_read_in_a_moment() {
        let members: Vec<String> = (0..200_000).map(|name| format!(r#""{name}":[1]"#)).collect();
        let body = format!("{{{}}}", members.join(","));
        let began = std::time::Instant::now();
        let VectorsIn(vectors) = serde_json::from_str(&body).expect("names");
        assert_eq!(vectors.len(), members.len());
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn integers_are_numbers_too() {
        let Dense(elements) = serde_json::from_str("[1, -2, 3.5]").expect("numbers");
        assert_eq!(elements, [1.0, -2.0, 3.5]);
        serde_json::from_str::<Dense>("[1e39]").expect_err("more than a vector holds");
    }
}
