//! `params.idf`: over which points the rarity of a dimension is counted.

use std::fmt;

use kithdb::{Filter, Result};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use utoipa::ToSchema;

use crate::wire::filter::FilterIn;
use crate::wire::schema::{any_of, declare, named, words};

/// All points, or those of a corpus.
#[derive(Debug)]
pub(in crate::wire) struct IdfIn(Option<FilterIn>);

#[derive(Deserialize, ToSchema)]
#[schema(as = IdfCorpus)]
#[serde(deny_unknown_fields)]
struct CorpusIn {
    corpus: FilterIn,
}

declare!(IdfIn as "Idf": any_of([words(&["global"]), named::<CorpusIn>()]), CorpusIn);

impl IdfIn {
    /// The corpus; of all points a filter that everything matches.
    ///
    /// # Errors
    /// `InvalidArgument` naming the condition at fault.
    pub(in crate::wire) fn into_corpus(self) -> Result<Filter> {
        let corpus = self.0.map(FilterIn::into_filter).transpose();
        corpus.map(Option::unwrap_or_default).map_err(|error| error.within("params.idf.corpus"))
    }
}

impl<'de> Deserialize<'de> for IdfIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(IdfVisitor)
    }
}

struct IdfVisitor;

impl<'de> Visitor<'de> for IdfVisitor {
    type Value = IdfIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"global\", or an object with `corpus`, a filter")
    }

    fn visit_str<E: Error>(self, scope: &str) -> std::result::Result<IdfIn, E> {
        match scope {
            "global" => Ok(IdfIn(None)),
            other => Err(E::unknown_variant(other, &["global"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<IdfIn, A::Error> {
        CorpusIn::deserialize(MapAccessDeserializer::new(map)).map(|CorpusIn { corpus }| IdfIn(Some(corpus)))
    }
}
