//! Spaces of sparse vectors as they come in and go out. Queries on them are in [`query`](super::query).

use kithdb::{Error, Result, Schema, SparseOptions, SparseSpec, Value};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::collection::TURBO4;
use super::{settings, shapes};

/// A space of sparse vectors, in and out: told as it was set.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[schema(as = SparseVectorParams)]
#[serde(deny_unknown_fields)]
pub(super) struct SparseIn {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<SparseIndexIn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modifier: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = SparseIndexParams)]
#[serde(deny_unknown_fields)]
struct SparseIndexIn {
    #[serde(skip_serializing_if = "Option::is_none")]
    full_scan_threshold: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_disk: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datatype: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = shapes::memory)]
    memory: Option<Value>,
}

impl SparseIn {
    /// A space of which only this is said.
    pub(super) fn of(modifier: Option<String>, datatype: Option<String>) -> Self {
        let index = |datatype| SparseIndexIn {
            datatype: Some(datatype),
            full_scan_threshold: None,
            on_disk: None,
            memory: None,
        };
        Self { index: datatype.map(index), modifier }
    }

    /// Adds a space of this name to a schema, or changes what is said of it.
    ///
    /// # Errors
    /// `InvalidArgument` naming the place.
    pub(super) fn add_to(self, schema: &mut Schema, name: &str) -> Result<()> {
        let field = format!("sparse_vectors.{name}");
        let at_fault = |error: Error| error.within(&field);
        let mut spec = schema.sparse.get(name).cloned().unwrap_or_default();
        let modifier = self.modifier.as_deref().map(str::parse).transpose().map_err(at_fault)?;
        spec.modifier = modifier.or(spec.modifier);
        if let Some(SparseIndexIn { full_scan_threshold, on_disk, datatype, memory }) = self.index {
            let memory = [("memory", memory)];
            let kept = settings::read(memory, settings::SPARSE_INDEX, &format!("{field}.index"))?;
            settings::put_vector(&mut schema.settings, "sparse_vectors", name.to_owned(), kept);
            let datatype = match datatype.as_deref() {
                Some(TURBO4) => Err(Error::invalid("datatype", "sparse vectors do not support `turbo4`")),
                other => other.map(str::parse).transpose(),
            };
            let datatype = datatype.map_err(|error: Error| at_fault(error.with_field("index.datatype")))?;
            let options = spec.index.unwrap_or_default();
            spec.index = Some(SparseOptions {
                full_scan_threshold: full_scan_threshold.or(options.full_scan_threshold),
                on_disk: on_disk.or(options.on_disk),
                datatype: datatype.or(options.datatype),
            });
        }
        schema.sparse.insert(name.to_owned(), spec);
        Ok(())
    }

    /// A space for the wire; `kept` are its settings.
    pub(super) fn new(spec: &SparseSpec, kept: Option<&Value>) -> Self {
        let index = spec.index.map(|options| SparseIndexIn {
            full_scan_threshold: options.full_scan_threshold,
            on_disk: options.on_disk,
            datatype: options.datatype.map(|datatype| datatype.name().to_owned()),
            memory: kept.and_then(|kept| kept.get("memory").cloned()),
        });
        Self { index, modifier: spec.modifier.map(|modifier| modifier.name().to_owned()) }
    }
}
