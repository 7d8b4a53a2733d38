//! Collections as they come in: create, and the indexes of payload fields.
//!
//! What a client sets and this engine decides by itself (graph, optimizer, log, shards, what lies on disk) is accepted
//! and passed over; [`describe`](super::describe) tells the values that are in force.

use std::collections::BTreeMap;

use kithdb::{
    Codes, DEFAULT_VECTOR, Datatype, Error, FieldKind, FieldPath, Metric, ModelIdentity, Payload, Result,
    Schema, SparseOptions, SparseSpec, Value, VectorSpec,
};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::parse_part;
use super::quantization::QuantizationIn;
use super::shape::{Ignored, Refused};

/// `PUT collections/{name}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over, or refused while it was read")]
pub(crate) struct Create {
    vectors: Option<Value>,
    /// Ours: the texts at these paths are ranked by BM25.
    keyword: Option<KeywordIn>,
    /// Ours: payload fields that are indexed from the start.
    fields: Option<BTreeMap<String, String>>,
    /// Ours: what queries find that ask for no recall and no beam.
    recall: Option<f32>,
    quantization_config: Option<QuantizationIn>,
    sparse_vectors: Option<BTreeMap<String, SparseIn>>,
    metadata: Option<Refused>,
    shard_number: Ignored,
    sharding_method: Ignored,
    replication_factor: Ignored,
    write_consistency_factor: Ignored,
    on_disk_payload: Ignored,
    payload: Ignored,
    id_tracker: Ignored,
    hnsw_config: Ignored,
    wal_config: Ignored,
    optimizers_config: Ignored,
    strict_mode_config: Ignored,
    timeout: Ignored,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over, or refused while it was read")]
struct SpaceIn {
    size: usize,
    distance: String,
    /// Ours: the model whose vectors these are.
    model: Option<ModelJson>,
    datatype: Option<String>,
    /// Ours: as `quantization_config`, and `off` besides.
    codes: Option<String>,
    quantization_config: Option<QuantizationIn>,
    multivector_config: Option<MultiIn>,
    hnsw_config: Ignored,
    on_disk: Ignored,
    memory: Ignored,
}

/// How multivectors are compared: there is one way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MultiIn {
    #[serde(rename = "comparator")]
    _comparator: Comparator,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Comparator {
    MaxSim,
}

/// A space of sparse vectors, in and out: told as it was set.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SparseIn {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<SparseIndexIn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modifier: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SparseIndexIn {
    #[serde(skip_serializing_if = "Option::is_none")]
    full_scan_threshold: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_disk: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datatype: Option<String>,
    #[serde(rename = "memory", skip_serializing)]
    _memory: Ignored,
}

/// The identity of a model, in and out.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelJson {
    name: String,
    revision: String,
    dim: usize,
    tokens_max: usize,
    #[serde(default)]
    query_prefix: String,
    #[serde(default)]
    document_prefix: String,
    is_normalised: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeywordIn {
    paths: Vec<String>,
    language: Option<String>,
}

/// `PUT collections/{name}/index`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateField {
    field_name: String,
    field_schema: Value,
}

impl Create {
    /// The schema that was asked for.
    ///
    /// # Errors
    /// `InvalidArgument` naming the part at fault.
    pub(crate) fn into_schema(self) -> Result<Schema> {
        let mut schema = Schema { recall: self.recall, ..Schema::new() };
        let codes = self.quantization_config.map(|config| config.codes()).unwrap_or_default();
        if let Some(vectors) = self.vectors {
            for (name, spec, is_multi) in spaces(vectors, codes)? {
                let spaces = if is_multi { &mut schema.multi } else { &mut schema.vectors };
                spaces.insert(name, spec);
            }
        }
        for (name, space) in self.sparse_vectors.unwrap_or_default() {
            let field = format!("sparse_vectors.{name}");
            let spec = space.into_spec().map_err(|error| error.within(&field))?;
            schema = schema.sparse_vector(&name, spec);
        }
        if let Some(keyword) = self.keyword {
            let path = |(position, path): (usize, &String)| {
                path.parse().map_err(|error: Error| error.with_field(format!("keyword.paths[{position}]")))
            };
            let paths: Result<Vec<FieldPath>> = keyword.paths.iter().enumerate().map(path).collect();
            let language = keyword.language.as_deref().map(str::parse).transpose();
            let language = language.map_err(|error: Error| error.within("keyword"))?;
            schema = schema.keyword(paths?, language.unwrap_or_default());
        }
        for (path, kind) in self.fields.unwrap_or_default() {
            let at_fault = |error: Error| error.with_field(format!("fields.{path}"));
            schema = schema.field(path.parse().map_err(at_fault)?, kind.parse().map_err(at_fault)?);
        }
        Ok(schema)
    }
}

/// One vector space, or several by name, and whether each is of multivectors. A space has a `size`; a name has an
/// object. `codes` are those of spaces that name none.
fn spaces(vectors: Value, codes: Codes) -> Result<Vec<(String, VectorSpec, bool)>> {
    let is_space = |object: &Map<String, Value>| {
        ["size", "distance"].iter().any(|key| object.get(*key).is_some_and(|value| !value.is_object()))
    };
    match vectors {
        Value::Object(object) if !is_space(&object) => object
            .into_iter()
            .map(|(name, value)| {
                let field = format!("vectors.{name}");
                let space: SpaceIn = parse_part(value, &field)?;
                let is_multi = space.multivector_config.is_some();
                Ok((name, space.into_spec(codes).map_err(|error| error.within(&field))?, is_multi))
            })
            .collect(),
        single => {
            let space: SpaceIn = parse_part(single, "vectors")?;
            let is_multi = space.multivector_config.is_some();
            let spec = space.into_spec(codes).map_err(|error| error.within("vectors"))?;
            Ok(vec![(DEFAULT_VECTOR.to_owned(), spec, is_multi)])
        }
    }
}

impl SpaceIn {
    fn into_spec(self, codes: Codes) -> Result<VectorSpec> {
        let metric: Metric = self.distance.parse()?;
        let datatype: Option<Datatype> = self.datatype.as_deref().map(str::parse).transpose()?;
        let codes = self.codes()?.unwrap_or(codes);
        let spec = VectorSpec::new(self.size, metric).stored_as(datatype.unwrap_or_default()).found_by(codes);
        Ok(VectorSpec { model: self.model.map(ModelJson::into_identity), ..spec })
    }

    /// The codes of its own, if it names any.
    fn codes(&self) -> Result<Option<Codes>> {
        let named: Option<Codes> = self.codes.as_deref().map(str::parse).transpose()?;
        let described = self.quantization_config.as_ref().map(QuantizationIn::codes);
        match (named, described) {
            (Some(named), Some(described)) if named != described => {
                let (named, described) = (named.name(), described.name());
                let message = format!(
                    "is {named}, and quantization_config asks for {described}; leave one of them out"
                );
                Err(Error::invalid("codes", message))
            }
            _ => Ok(named.or(described)),
        }
    }
}

impl SparseIn {
    fn into_spec(self) -> Result<SparseSpec> {
        let modifier = self.modifier.as_deref().map(str::parse).transpose()?;
        let options = |index: SparseIndexIn| -> Result<SparseOptions> {
            let SparseIndexIn { full_scan_threshold, on_disk, datatype, .. } = index;
            let datatype = datatype.as_deref().map(str::parse).transpose();
            let datatype = datatype.map_err(|error: Error| error.with_field("index.datatype"))?;
            Ok(SparseOptions { full_scan_threshold, on_disk, datatype })
        };
        Ok(SparseSpec { modifier, index: self.index.map(options).transpose()? })
    }

    /// The space for the wire.
    pub(super) fn new(spec: &SparseSpec) -> Self {
        let index = spec.index.map(|options| SparseIndexIn {
            full_scan_threshold: options.full_scan_threshold,
            on_disk: options.on_disk,
            datatype: options.datatype.map(|datatype| datatype.name().to_owned()),
            _memory: None,
        });
        Self { index, modifier: spec.modifier.map(|modifier| modifier.name().to_owned()) }
    }
}

impl ModelJson {
    fn into_identity(self) -> ModelIdentity {
        let Self { name, revision, dim, tokens_max, query_prefix, document_prefix, is_normalised } = self;
        ModelIdentity { name, revision, dim, tokens_max, query_prefix, document_prefix, is_normalised }
    }

    /// The model for the wire.
    pub(super) fn new(model: &ModelIdentity) -> Self {
        let ModelIdentity { name, revision, dim, tokens_max, query_prefix, document_prefix, is_normalised } =
            model.clone();
        Self { name, revision, dim, tokens_max, query_prefix, document_prefix, is_normalised }
    }
}

impl CreateField {
    /// The field, its kind, and what is said of it beside that.
    ///
    /// # Errors
    /// `InvalidArgument` on `field_name` or `field_schema`, saying which kinds there are.
    pub(crate) fn into_field(self) -> Result<(FieldPath, FieldKind, Payload)> {
        let path = self.field_name.parse().map_err(|error: Error| error.with_field("field_name"))?;
        let name = match &self.field_schema {
            Value::Object(params) => params.get("type").and_then(Value::as_str),
            other => other.as_str(),
        };
        match name {
            Some(name) => {
                let kind = name.parse()?;
                let Value::Object(mut params) = self.field_schema else {
                    return Ok((path, kind, Payload::new()));
                };
                params.retain(|_, value| !value.is_null());
                Ok((path, kind, params))
            }
            None => {
                let known = FieldKind::ALL.map(FieldKind::name).join(", ");
                Err(Error::invalid("field_schema", format!("names no type; one of {known} does")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kithdb::Language;
    use serde_json::json;

    use super::*;

    fn schema(body: &Value) -> Result<Schema> {
        super::super::parse::<Create>(body.to_string().as_bytes())?.into_schema()
    }

    #[test]
    fn one_space_and_several_are_told_apart() {
        let one = schema(&json!({"vectors": {"size": 4, "distance": "Dot", "on_disk": true}})).expect("one");
        assert_eq!(one, Schema::new().vector(4, Metric::Dot));
        let spec = VectorSpec::new(2, Metric::Manhattan);
        let several =
            schema(&json!({"vectors": {"size": {"size": 2, "distance": "Manhattan"}}})).expect("a name");
        assert_eq!(several, Schema::new().named_vector("size", spec));
        assert_eq!(schema(&json!({"hnsw_config": {"m": 4}})).expect("none"), Schema::new());
    }

    #[test]
    fn the_additions_are_understood() {
        let body = json!({
            "keyword": {"paths": ["title", "text"], "language": "german"},
            "fields": {"lang": "keyword", "meta.year": "integer"},
        });
        let path = |text: &str| text.parse::<FieldPath>().expect(text);
        let expected = Schema::new()
            .keyword([path("title"), path("text")], Language::German)
            .field(path("lang"), FieldKind::Keyword)
            .field(path("meta.year"), FieldKind::Integer);
        assert_eq!(schema(&body).expect("a schema"), expected);
    }

    #[test]
    fn a_bad_part_is_named() {
        let cases = [
            (json!({"vectors": {"size": 4}}), "vectors"),
            (json!({"vectors": {"size": -4, "distance": "Dot"}}), "vectors.size"),
            (json!({"vectors": {"size": 4, "distance": "Far"}}), "vectors.distance"),
            (json!({"vectors": {"a": {"size": "4", "distance": "Dot"}}}), "vectors.a.size"),
            (json!({"vectors": {"a": {"size": 4, "distance": "Far"}}}), "vectors.a.distance"),
            (json!({"vectors": {"size": 4, "distance": "Dot", "datatype": "int8"}}), "vectors.datatype"),
            (json!({"vectors": {"size": 4, "distance": "Dot", "codes": "bits2"}}), "vectors.codes"),
            (json!({"recall": "all"}), "recall"),
            (
                json!({"vectors": {"size": 4, "distance": "Dot", "multivector_config": {"comparator": "mean"}}}),
                "vectors.multivector_config.comparator",
            ),
            (json!({"sparse_vectors": {"s": {"modifier": "tf"}}}), "sparse_vectors.s.modifier"),
            (
                json!({"sparse_vectors": {"s": {"index": {"datatype": "int8"}}}}),
                "sparse_vectors.s.index.datatype",
            ),
            (json!({"sparse_vectors": {"s": {"size": 3}}}), "sparse_vectors.s.size"),
            (json!({"keyword": {"paths": ["a["]}}), "keyword.paths[0]"),
            (json!({"keyword": {"paths": ["a"], "language": "latin"}}), "keyword.language"),
            (json!({"fields": {"a": "words"}}), "fields.a"),
            (json!({"init_from": {"collection": "x"}}), "init_from"),
        ];
        for (body, field) in cases {
            assert_eq!(schema(&body).expect_err("refused").field(), Some(field), "{body}");
        }
    }

    /// The space of a body with one, of codes and datatype as given.
    fn space(of_collection: &Value, own: &Value) -> Result<VectorSpec> {
        let mut vectors = json!({"a": {"size": 4, "distance": "Dot"}});
        for (member, value) in own.as_object().expect("an object") {
            vectors["a"][member] = value.clone();
        }
        let body = json!({"vectors": vectors, "quantization_config": of_collection});
        schema(&body).map(|schema| schema.vectors["a"].clone())
    }

    #[test]
    fn a_space_says_what_it_is_stored_as_and_found_by() {
        let (none, scalar) =
            (json!(null), json!({"scalar": {"type": "int8", "quantile": 0.9, "always_ram": true}}));
        let binary = json!({"binary": {"always_ram": true, "query_encoding": "scalar8bits"}});
        let cases = [
            (&none, json!({}), Datatype::Float32, Codes::Bits8),
            (
                &none,
                json!({"datatype": "float16", "quantization_config": null}),
                Datatype::Float16,
                Codes::Bits8,
            ),
            (&none, json!({"datatype": "uint8", "codes": "off"}), Datatype::Uint8, Codes::Off),
            (&none, json!({"quantization_config": binary}), Datatype::Float32, Codes::Bits1),
            (
                &none,
                json!({"quantization_config": binary, "codes": "bits1"}),
                Datatype::Float32,
                Codes::Bits1,
            ),
            (&binary, json!({}), Datatype::Float32, Codes::Bits1),
            (&binary, json!({"quantization_config": scalar}), Datatype::Float32, Codes::Bits8),
            (&scalar, json!({"codes": "off"}), Datatype::Float32, Codes::Off),
        ];
        for (of_collection, own, datatype, codes) in cases {
            let spec = space(of_collection, &own).expect("a space");
            assert_eq!((spec.datatype, spec.codes), (datatype, codes), "{of_collection} {own}");
        }
        assert_eq!(schema(&json!({"recall": 0.9})).expect("a schema").recall, Some(0.9));
    }

    #[test]
    fn a_quantisation_that_is_not_there_is_refused_by_name() {
        let none = json!(null);
        let cases = [
            (json!({"product": {"compression": "x16"}}), json!({}), "quantization_config"),
            (json!({"turbo": {}}), json!({}), "quantization_config"),
            (json!("Disabled"), json!({}), "quantization_config"),
            (json!({"scalar": {"type": "int4"}}), json!({}), "quantization_config.scalar.type"),
            (json!({"scalar": {}}), json!({}), "quantization_config.scalar"),
            (json!({"binary": {"bits": 2}}), json!({}), "quantization_config.binary.bits"),
            (none.clone(), json!({"quantization_config": {"product": {}}}), "vectors.a.quantization_config"),
            (none, json!({"quantization_config": {"binary": {}}, "codes": "off"}), "vectors.a.codes"),
        ];
        for (of_collection, own, field) in cases {
            let error = space(&of_collection, &own).expect_err(field);
            assert_eq!(error.field(), Some(field), "{error}");
        }
    }

    #[test]
    fn a_field_is_named_or_described() {
        let field = |schema: Value| {
            CreateField { field_name: "a.b".into(), field_schema: schema }
                .into_field()
                .map(|(_, kind, _)| kind)
        };
        assert_eq!(field(json!("integer")).expect("a name"), FieldKind::Integer);
        let params = json!({"type": "keyword", "is_tenant": true});
        assert_eq!(field(params).expect("an object"), FieldKind::Keyword);
        for bad in [json!("texts"), json!({"type": "place"}), json!(null), json!({})] {
            let error = field(bad).expect_err("refused");
            assert!(error.field() == Some("field_schema") && error.message().contains("keyword"), "{error}");
        }
    }
}
