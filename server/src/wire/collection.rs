//! Collections as they come in.
//!
//! What a client sets and this engine decides by itself (graph, optimizer, log, shards, what lies on disk) is kept with
//! the schema ([`settings`](super::settings)), and [`describe`](super::describe) tells it again.

use std::collections::BTreeMap;

use kithdb::{
    Codes, DEFAULT_VECTOR, Datatype, Error, FieldPath, Metric, ModelIdentity, Payload, Result, Schema, Value,
    VectorSpec,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use utoipa::ToSchema;

use super::hybrid::HybridWeightsJson;
use super::shape::Ignored;
use super::sparse::SparseIn;
use super::{parse_part, quantization, settings, shapes};

/// `PUT collections/{name}`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateCollection)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    #[schema(schema_with = shapes::vectors)]
    vectors: Option<Value>,
    /// Ours: the texts at these paths are ranked by BM25.
    keyword: Option<KeywordIn>,
    /// Ours: payload fields that are indexed from the start.
    fields: Option<BTreeMap<String, String>>,
    /// Ours: what queries find that ask for no recall and no beam.
    recall: Option<f32>,
    /// Ours: what words weigh in adaptive fusions that say nothing of it.
    hybrid_weights: Option<HybridWeightsJson>,
    /// Ours: seconds for which past states can be read.
    history_s: Option<u32>,
    sparse_vectors: Option<BTreeMap<String, SparseIn>>,
    #[serde(alias = "quantization")]
    #[schema(schema_with = shapes::quantization_config)]
    quantization_config: Option<Value>,
    #[schema(schema_with = shapes::metadata)]
    metadata: Option<Value>,
    #[schema(schema_with = shapes::count)]
    shard_number: Option<Value>,
    #[schema(schema_with = shapes::sharding_method)]
    sharding_method: Option<Value>,
    #[schema(schema_with = shapes::count)]
    replication_factor: Option<Value>,
    #[schema(schema_with = shapes::count)]
    write_consistency_factor: Option<Value>,
    #[schema(schema_with = shapes::whole)]
    read_fan_out_factor: Option<Value>,
    #[schema(schema_with = shapes::whole)]
    read_fan_out_delay_ms: Option<Value>,
    #[schema(schema_with = shapes::flag)]
    on_disk_payload: Option<Value>,
    #[schema(schema_with = shapes::placed)]
    payload: Option<Value>,
    #[schema(schema_with = shapes::id_tracker)]
    id_tracker: Option<Value>,
    #[schema(schema_with = shapes::hnsw_config)]
    hnsw_config: Option<Value>,
    #[schema(schema_with = shapes::wal_config)]
    wal_config: Option<Value>,
    #[serde(alias = "optimizer_config")]
    #[schema(schema_with = shapes::optimizers_config)]
    optimizers_config: Option<Value>,
    #[schema(schema_with = shapes::strict_mode_config)]
    strict_mode_config: Option<Value>,
    #[serde(rename = "timeout")]
    #[schema(value_type = Option<Value>)]
    _timeout: Ignored,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = VectorParams)]
#[serde(deny_unknown_fields)]
pub(super) struct SpaceIn {
    size: usize,
    distance: String,
    /// Ours: the model whose vectors these are.
    model: Option<ModelJson>,
    datatype: Option<String>,
    /// Ours: as `quantization_config`, and `off` besides.
    codes: Option<String>,
    #[schema(schema_with = shapes::quantization_config)]
    quantization_config: Option<Value>,
    multivector_config: Option<MultiIn>,
    #[schema(schema_with = shapes::hnsw_config)]
    hnsw_config: Option<Value>,
    #[schema(schema_with = shapes::flag)]
    on_disk: Option<Value>,
    #[schema(schema_with = shapes::place)]
    memory: Option<Value>,
}

/// A vector space as it was given.
pub(super) struct Space {
    pub(super) name: String,
    pub(super) spec: VectorSpec,
    pub(super) is_multi: bool,
    /// What is kept to be told again.
    settings: Payload,
}

/// How multivectors are compared: there is one way.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = MultivectorConfig)]
#[serde(deny_unknown_fields)]
pub(super) struct MultiIn {
    #[serde(rename = "comparator")]
    _comparator: Comparator,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Comparator {
    MaxSim,
}

/// The identity of a model, in and out.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = Model)]
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

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KeywordIndex)]
#[serde(deny_unknown_fields)]
struct KeywordIn {
    paths: Vec<String>,
    language: Option<String>,
}

impl Create {
    /// The schema that was asked for.
    ///
    /// # Errors
    /// `InvalidArgument` naming the part at fault.
    pub(crate) fn into_schema(mut self) -> Result<Schema> {
        let (history_s, settings) = (self.history_s.unwrap_or(0), self.settings()?);
        let hybrid = self.hybrid_weights.and_then(|weights| weights.set(None));
        let mut schema = Schema { recall: self.recall, hybrid, history_s, settings, ..Schema::new() };
        let codes = schema.settings.get(quantization::MEMBER).map(quantization::codes).unwrap_or_default();
        if let Some(vectors) = self.vectors {
            if vectors.get(DEFAULT_VECTOR).is_some_and(Value::is_object) {
                schema.settings.insert(settings::NAMED.to_owned(), true.into());
            }
            spaces(vectors, codes)?.into_iter().for_each(|space| space.add_to(&mut schema));
        }
        for (name, space) in self.sparse_vectors.unwrap_or_default() {
            if name.is_empty() {
                let message = "Wrong input: Sparse vector name cannot be empty";
                return Err(Error::invalid("sparse_vectors", message));
            }
            check_name("sparse", &name, &format!("sparse_vectors.{name}"))?;
            space.add_to(&mut schema, &name)?;
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

impl Create {
    fn settings(&mut self) -> Result<Payload> {
        let given = [
            ("shard_number", self.shard_number.take()),
            ("sharding_method", self.sharding_method.take()),
            ("replication_factor", self.replication_factor.take()),
            ("write_consistency_factor", self.write_consistency_factor.take()),
            ("read_fan_out_factor", self.read_fan_out_factor.take()),
            ("read_fan_out_delay_ms", self.read_fan_out_delay_ms.take()),
            ("on_disk_payload", self.on_disk_payload.take()),
            ("payload", self.payload.take()),
            ("id_tracker", self.id_tracker.take()),
            ("hnsw_config", self.hnsw_config.take()),
            ("optimizers_config", self.optimizers_config.take()),
            ("wal_config", self.wal_config.take()),
            (quantization::MEMBER, self.quantization_config.take()),
            ("strict_mode_config", self.strict_mode_config.take()),
            ("metadata", self.metadata.take()),
        ];
        settings::read(given, settings::COLLECTION, "")
    }
}

/// One vector space, or several by name. A space has a `size`; a name has an object. `codes` are those of spaces that
/// name none.
fn spaces(vectors: Value, codes: Codes) -> Result<Vec<Space>> {
    let is_space = |object: &Map<String, Value>| {
        ["size", "distance"].iter().any(|key| object.get(*key).is_some_and(|value| !value.is_object()))
    };
    let space = |name: String, value: Value, field: &str| {
        parse_part::<SpaceIn>(value, field)?.into_space(name, codes, field)
    };
    match vectors {
        Value::Object(object) if !is_space(&object) => object
            .into_iter()
            .map(|(name, value)| {
                let field = format!("vectors.{name}");
                check_name("dense", &name, &field)?;
                space(name, value, &field)
            })
            .collect(),
        single => Ok(vec![space(DEFAULT_VECTOR.to_owned(), single, "vectors")?]),
    }
}

impl Space {
    /// Adds it to a schema.
    pub(super) fn add_to(self, schema: &mut Schema) {
        let Self { name, spec, is_multi, settings } = self;
        settings::put_vector(&mut schema.settings, "vectors", name.clone(), settings);
        if is_multi { &mut schema.multi } else { &mut schema.vectors }.insert(name, spec);
    }
}

impl SpaceIn {
    /// `codes` count where it names none; `field` is where it stands.
    fn into_space(self, name: String, codes: Codes, field: &str) -> Result<Space> {
        let given = [
            ("hnsw_config", self.hnsw_config),
            (quantization::MEMBER, self.quantization_config),
            ("on_disk", self.on_disk),
            ("memory", self.memory),
            ("datatype", self.datatype.clone().map(Value::from)),
        ];
        let settings = settings::read(given, settings::VECTOR, field)?;
        let at_fault = |error: Error| error.within(field);
        let metric: Metric = self.distance.parse().map_err(at_fault)?;
        let datatype = stored_as(self.datatype.as_deref()).map_err(at_fault)?;
        let described = settings.get(quantization::MEMBER).map(quantization::codes);
        let own = own_codes(self.codes.as_deref(), described).map_err(at_fault)?;
        let size = settings::size(self.size).map_err(at_fault)?;
        let spec = VectorSpec::new(size, metric).stored_as(datatype);
        let spec = spec.found_by(own.unwrap_or(codes));
        let memory = settings::memory(&settings);
        let spec = VectorSpec { model: self.model.map(ModelJson::into_identity), memory, ..spec };
        Ok(Space { name, spec, is_multi: self.multivector_config.is_some(), settings })
    }
}

/// Bytes of a vector's name.
const NAME_BYTES_MAX: usize = 200;

/// What it has none of: the dialect puts it into addresses, and elsewhere into paths of files.
const NOT_IN_NAMES: [char; 11] = ['<', '>', ':', '"', '/', '\\', '|', '?', '*', '\0', '\u{1f}'];

/// Why a vector cannot have this name, if it cannot, in the words of the dialect.
pub(super) fn bad_name(name: &str) -> Option<String> {
    if name.len() > NAME_BYTES_MAX {
        return Some(format!("vector name must be at most {NAME_BYTES_MAX} bytes long"));
    }
    let bad = name.chars().find(|letter| NOT_IN_NAMES.contains(letter))?;
    Some(format!("vector name cannot contain \"{bad}\" char"))
}

fn check_name(kind: &str, name: &str, field: &str) -> Result<()> {
    bad_name(name).map_or(Ok(()), |why| {
        Err(Error::invalid(field, format!("Wrong input: Invalid {kind} vector name `{name}`: {why}")))
    })
}

/// The dialect's word for 4 bits an element: there is nothing so small here, so that vectors are kept whole.
pub(super) const TURBO4: &str = "turbo4";

/// What elements are stored as where the dialect says this.
///
/// # Errors
/// `InvalidArgument` on `datatype`.
pub(super) fn stored_as(datatype: Option<&str>) -> Result<Datatype> {
    match datatype {
        None | Some(TURBO4) => Ok(Datatype::default()),
        Some(name) => name.parse(),
    }
}

/// The codes that a vector names, in our words or in the dialect's.
fn own_codes(named: Option<&str>, described: Option<Codes>) -> Result<Option<Codes>> {
    let named: Option<Codes> = named.map(str::parse).transpose()?;
    match (named, described) {
        (Some(named), Some(described)) if named != described => {
            let (named, described) = (named.name(), described.name());
            let message =
                format!("is {named}, and quantization_config asks for {described}; leave one of them out");
            Err(Error::invalid("codes", message))
        }
        _ => Ok(named.or(described)),
    }
}

/// A model as `model` of a vector's parameters names it.
pub(crate) fn model(model: &ModelIdentity) -> Value {
    json!(ModelJson::new(model))
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

#[cfg(test)]
mod tests {
    use kithdb::{FieldKind, Language};
    use serde_json::json;

    use super::*;

    fn schema(body: &Value) -> Result<Schema> {
        super::super::parse::<Create>(body.to_string().as_bytes())?.into_schema()
    }

    #[test]
    fn one_space_and_several_are_told_apart() {
        let one = schema(&json!({"vectors": {"size": 4, "distance": "Dot", "on_disk": null}})).expect("one");
        assert_eq!(one, Schema::new().vector(4, Metric::Dot));
        let spec = VectorSpec::new(2, Metric::Manhattan);
        let several =
            schema(&json!({"vectors": {"size": {"size": 2, "distance": "Manhattan"}}})).expect("a name");
        assert_eq!(several, Schema::new().named_vector("size", spec));
        assert_eq!(schema(&json!({"hnsw_config": null})).expect("none"), Schema::new());
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
            (json!({"hybrid_weights": {"words": 1}}), "hybrid_weights.words"),
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
            (json!({"sparse_vectors": {"": {}}}), "sparse_vectors"),
            (json!({"sparse_vectors": {"a:b": {}}}), "sparse_vectors.a:b"),
            (json!({"vectors": {"a/b": {"size": 4, "distance": "Dot"}}}), "vectors.a/b"),
            (json!({"keyword": {"paths": ["a["]}}), "keyword.paths[0]"),
            (json!({"keyword": {"paths": ["a"], "language": "latin"}}), "keyword.language"),
            (json!({"fields": {"a": "words"}}), "fields.a"),
            (json!({"init_from": {"collection": "x"}}), "init_from"),
        ];
        for (body, field) in cases {
            assert_eq!(schema(&body).expect_err("refused").field(), Some(field), "{body}");
        }
    }

    #[test]
    fn a_vector_has_a_name_that_addresses_and_files_may_have() {
        assert_eq!(bad_name(&"é".repeat(100)), None);
        assert_eq!(bad_name(&"é".repeat(101)).as_deref(), Some("vector name must be at most 200 bytes long"));
        assert_eq!(bad_name("a|b").as_deref(), Some("vector name cannot contain \"|\" char"));
        assert_eq!(bad_name("a.b-c_d 1"), None);
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
            (&none, json!({"datatype": "turbo4"}), Datatype::Float32, Codes::Bits8),
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
            (&json!({"product": {"compression": "x4"}}), json!({}), Datatype::Float32, Codes::Bits8),
            (&json!({"product": {"compression": "x16"}}), json!({}), Datatype::Float32, Codes::Bits1),
            (&json!({"turbo": {}}), json!({}), Datatype::Float32, Codes::Bits8),
            (&json!({"turbo": {"bits": "bits2"}}), json!({}), Datatype::Float32, Codes::Bits1),
        ];
        for (of_collection, own, datatype, codes) in cases {
            let spec = space(of_collection, &own).expect("a space");
            assert_eq!((spec.datatype, spec.codes), (datatype, codes), "{of_collection} {own}");
        }
        assert_eq!(schema(&json!({"recall": 0.9})).expect("a schema").recall, Some(0.9));
        let weighed = schema(&json!({"hybrid_weights": {"words_least": 0.5}})).expect("a schema").hybrid;
        assert_eq!(weighed.map(|weights| (weights.words_least, weights.words_most)), Some((0.5, 1.0)));
    }

    #[test]
    fn a_quantisation_that_is_not_there_is_refused_by_name() {
        let none = json!(null);
        let cases = [
            (json!({"product": {}}), json!({}), "quantization_config.product"),
            (json!({"turbo": {"bits": "bits3"}}), json!({}), "quantization_config.turbo.bits"),
            (json!("Disabled"), json!({}), "quantization_config"),
            (json!({"scalar": {"type": "int4"}}), json!({}), "quantization_config.scalar.type"),
            (json!({"scalar": {}}), json!({}), "quantization_config.scalar"),
            (json!({"binary": {"bits": 2}}), json!({}), "quantization_config.binary.bits"),
            (
                none.clone(),
                json!({"quantization_config": {"products": {}}}),
                "vectors.a.quantization_config.products",
            ),
            (none, json!({"quantization_config": {"binary": {}}, "codes": "off"}), "vectors.a.codes"),
        ];
        for (of_collection, own, field) in cases {
            let error = space(&of_collection, &own).expect_err(field);
            assert_eq!(error.field(), Some(field), "{error}");
        }
    }
}
