//! An object that stands for a vector: weights of indices, a text, or a text and the model that makes weights of its
//! words. The only such model is BM25; a text without one is embedded by the model of its space.

use std::fmt;
use std::sync::LazyLock;

use kithdb::{Bm25, Bm25Options, Payload, SparseVector, Value};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::id::Id;
use super::schema::{any_of, declare, flag, free, named, number, object, text, whole, words};
use super::shape::Ignored;
use super::vector::Dense;

/// The names of the model, in any case.
const MODELS: [&str; 2] = ["qdrant/bm25", "bm25"];

/// Members of an object that stands for a vector.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObjectIn {
    pub(super) indices: Option<Vec<u32>>,
    pub(super) values: Option<Dense>,
    pub(super) text: Option<String>,
    pub(super) model: Option<ModelIn>,
    pub(super) options: Option<OptionsIn>,
    pub(super) image: Ignored,
    pub(super) object: Ignored,
    /// What a point is called by, whose vector this is.
    pub(super) name: Option<String>,
}

/// What an object says.
pub(crate) enum Given {
    Sparse(SparseVector),
    Point(Id),
    Text(String),
    Made(Made),
}

/// A text and the model that makes a vector of it.
pub(crate) struct Made {
    text: String,
    options: Option<OptionsIn>,
}

/// The name of a model.
#[derive(Debug)]
pub(crate) struct ModelIn;

/// What a model is told.
#[derive(Debug)]
pub(crate) struct OptionsIn(Bm25Options);

/// For the document: a text and its model.
pub(crate) enum TextVector {}

declare!(TextVector as "TextVector":
    object([("text", text()), ("model", words(&MODELS))]).may("options", named::<OptionsIn>()).shown(), OptionsIn);
declare!(OptionsIn as "Bm25Options": object([])
    .may("k", number())
    .may("b", number())
    .may("avg_len", number())
    .may("tokenizer", words(&["word", "whitespace", "prefix", "multilingual"]))
    .may("language", text())
    .may("lowercase", flag())
    .may("ascii_folding", flag())
    .may("stopwords", any_of([text(), free()]))
    .may("stemmer", free())
    .may("min_token_len", whole(0))
    .may("max_token_len", whole(0))
    .shown());

impl ObjectIn {
    /// Whether it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        let Self { indices, values, text, model, options, image, object, name } = self;
        let is_sparse = indices.is_some() || values.is_some();
        !is_sparse
            && text.is_none()
            && model.is_none()
            && options.is_none()
            && image.is_none()
            && object.is_none()
            && name.is_none()
    }

    /// What it says.
    pub(super) fn read<E: Error>(self) -> Result<Given, E> {
        match self {
            Self { image: Some(_), .. } | Self { object: Some(_), .. } => {
                let [model, _] = MODELS;
                Err(E::custom(format!("`image` and `object` have no `model` here; {model} is one of `text`")))
            }
            Self {
                indices: None,
                values: None,
                text: None,
                model: None,
                options: None,
                name: Some(name),
                ..
            } => Id::of_name(&name).map(Given::Point),
            Self { indices, values, text: None, model: None, options: None, name: None, .. } => {
                let indices = indices.ok_or_else(|| E::missing_field("indices"))?;
                let Dense(values) = values.ok_or_else(|| E::missing_field("values"))?;
                Ok(Given::Sparse(SparseVector { indices, values }))
            }
            Self {
                indices: None,
                values: None,
                text: Some(text),
                model: Some(_),
                options,
                name: None,
                ..
            } => Ok(Given::Made(Made { text, options })),
            Self { indices: None, values: None, text: Some(text), options: None, name: None, .. } => {
                Ok(Given::Text(text))
            }
            _ => Err(E::custom("give `indices` and `values`, or `text`, with or without a `model`")),
        }
    }
}

impl Made {
    /// The vector of a point.
    pub(super) fn document(self) -> SparseVector {
        self.by(Bm25::document)
    }

    /// The vector of a question.
    pub(super) fn question(self) -> SparseVector {
        self.by(Bm25::question)
    }

    fn by(self, make: fn(&Bm25, &str) -> SparseVector) -> SparseVector {
        static USUAL: LazyLock<Bm25> = LazyLock::new(|| Bm25::new(Bm25Options::default()));
        match self.options {
            None => make(&USUAL, &self.text),
            Some(OptionsIn(options)) => make(&Bm25::new(options), &self.text),
        }
    }
}

impl<'de> Deserialize<'de> for ModelIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match MODELS.contains(&name.to_lowercase().as_str()) {
            true => Ok(Self),
            false => Err(D::Error::custom(format!(
                "there is no model `{name}` here: `{}` makes sparse vectors of texts, and without `model` a `text` is \
                 embedded by the model of its vectors",
                MODELS[0],
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for OptionsIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OptionsVisitor)
    }
}

struct OptionsVisitor;

impl<'de> Visitor<'de> for OptionsVisitor {
    type Value = OptionsIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the options of bm25")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OptionsIn, A::Error> {
        let mut options = Payload::new();
        while let Some(member) = map.next_key::<String>()? {
            let value = map.next_value_seed(Member(&member))?;
            options.insert(member, value);
        }
        read(&options).map(OptionsIn)
    }
}

/// A member of the options, which is checked where it stands.
struct Member<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let value = Value::deserialize(deserializer)?;
        read(&Payload::from_iter([(self.0.to_owned(), value.clone())]))?;
        Ok(value)
    }
}

fn read<E: Error>(options: &Payload) -> Result<Bm25Options, E> {
    Bm25Options::of(options)
        .map_err(|error| E::custom(format!("`{}` {}", error.field().unwrap_or_default(), error.message())))
}
