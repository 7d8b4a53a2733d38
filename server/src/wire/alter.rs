//! Changes of a collection that lives: `PATCH collections/{name}`, and vectors that come and go.
//!
//! Invariant: a body is checked as a whole before anything changes, and changes it in one commit. Objects are laid over
//! what was set, member by member; an empty one takes back what was set.

use std::collections::BTreeMap;

use kithdb::{Error, ErrorKind, Payload, Result, Schema, Value, VectorSpec};
use serde::Deserialize;
use utoipa::ToSchema;

use super::collection::{MultiIn, TURBO4, bad_name, stored_as};
use super::hybrid::HybridWeightsJson;
use super::quantization::{self, DISABLED};
use super::settings;
use super::shape::Ignored;
use super::shapes;
use super::sparse::SparseIn;
use crate::error::Refusal;

/// `PATCH collections/{name}`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateCollection)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alter {
    vectors: Option<BTreeMap<String, AlterVector>>,
    sparse_vectors: Option<BTreeMap<String, SparseIn>>,
    params: Option<Params>,
    #[schema(schema_with = shapes::hnsw_config)]
    hnsw_config: Option<Value>,
    #[serde(alias = "optimizer_config")]
    #[schema(schema_with = shapes::optimizers_config)]
    optimizers_config: Option<Value>,
    #[serde(alias = "quantization")]
    #[schema(schema_with = shapes::requantization)]
    quantization_config: Option<Value>,
    #[schema(schema_with = shapes::strict_mode_config)]
    strict_mode_config: Option<Value>,
    /// Ours: what words weigh in adaptive fusions that say nothing of it.
    hybrid_weights: Option<HybridWeightsJson>,
    /// Ours: seconds for which past states can be read.
    history_s: Option<u32>,
    /// Ours: what queries find that ask for no recall and no beam.
    recall: Option<f32>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Payload>,
    #[serde(rename = "timeout")]
    #[schema(value_type = Option<Value>)]
    _timeout: Ignored,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateVector)]
#[serde(deny_unknown_fields)]
struct AlterVector {
    #[schema(schema_with = shapes::hnsw_config)]
    hnsw_config: Option<Value>,
    #[schema(schema_with = shapes::requantization)]
    quantization_config: Option<Value>,
    #[schema(schema_with = shapes::flag)]
    on_disk: Option<Value>,
    #[schema(schema_with = shapes::place)]
    memory: Option<Value>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = UpdateParams)]
#[serde(deny_unknown_fields)]
struct Params {
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
}

/// `PUT collections/{name}/vectors/{vector}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum CreateVector {
    Dense(DenseIn),
    Sparse(SparseVectorIn),
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewDenseVector)]
#[serde(deny_unknown_fields)]
pub(crate) struct DenseIn {
    size: usize,
    distance: String,
    multivector_config: Option<MultiIn>,
    datatype: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewSparseVector)]
#[serde(deny_unknown_fields)]
pub(crate) struct SparseVectorIn {
    modifier: Option<String>,
    datatype: Option<String>,
}

impl Alter {
    /// Checks everything that can be checked without the collection.
    ///
    /// # Errors
    /// `InvalidArgument` naming the place.
    pub(crate) fn into_change(mut self) -> Result<impl FnOnce(&mut Schema) -> Result<()> + Send + 'static> {
        let is_reset = reset(&mut self.quantization_config);
        let Params {
            replication_factor,
            write_consistency_factor,
            read_fan_out_factor,
            read_fan_out_delay_ms,
            on_disk_payload,
            payload,
            id_tracker,
        } = self.params.unwrap_or_default();
        let params = [
            ("replication_factor", replication_factor),
            ("write_consistency_factor", write_consistency_factor),
            ("read_fan_out_factor", read_fan_out_factor),
            ("read_fan_out_delay_ms", read_fan_out_delay_ms),
            ("on_disk_payload", on_disk_payload),
            ("payload", payload),
            ("id_tracker", id_tracker),
        ];
        let mut later = settings::read(params, settings::COLLECTION, "params")?;
        let own = [
            ("hnsw_config", self.hnsw_config),
            ("optimizers_config", self.optimizers_config),
            (quantization::MEMBER, self.quantization_config),
            ("strict_mode_config", self.strict_mode_config),
        ];
        later.extend(settings::read(own, settings::COLLECTION, "")?);
        let vectors = self.vectors.unwrap_or_default().into_iter();
        let vectors = vectors.map(|(name, vector)| vector.read(name)).collect::<Result<Vec<_>>>()?;
        let (sparse, metadata) = (self.sparse_vectors.unwrap_or_default(), self.metadata);
        let (hybrid_weights, history_s, recall) = (self.hybrid_weights, self.history_s, self.recall);
        Ok(move |schema: &mut Schema| {
            let before = schema.settings.clone();
            if is_reset {
                schema.settings.shift_remove(quantization::MEMBER);
            }
            settings::merge(&mut schema.settings, later);
            vectors.into_iter().try_for_each(|vector| vector.apply(schema))?;
            for (name, space) in sparse {
                schema.sparse_space(&name).map_err(|error| at(&error, &format!("sparse_vectors.{name}")))?;
                space.add_to(schema, &name)?;
            }
            if let Some(weights) = hybrid_weights {
                schema.hybrid = weights.set(schema.hybrid);
            }
            schema.history_s = history_s.unwrap_or(schema.history_s);
            schema.recall = recall.or(schema.recall);
            if let Some(metadata) = metadata {
                settings::merge_metadata(&mut schema.settings, metadata);
            }
            quantization::recode(schema, &before);
            Ok(())
        })
    }
}

/// What is to be laid over the settings of one vector.
struct Laid {
    name: String,
    is_reset: bool,
    later: Payload,
}

impl AlterVector {
    fn read(mut self, name: String) -> Result<Laid> {
        let is_reset = reset(&mut self.quantization_config);
        let given = [
            ("hnsw_config", self.hnsw_config),
            (quantization::MEMBER, self.quantization_config),
            ("on_disk", self.on_disk),
            ("memory", self.memory),
        ];
        let later = settings::read(given, settings::VECTOR, &format!("vectors.{name}"))?;
        Ok(Laid { name, is_reset, later })
    }
}

impl Laid {
    fn apply(self, schema: &mut Schema) -> Result<()> {
        let Self { name, is_reset, later } = self;
        if !schema.multi.contains_key(&name) {
            schema.space(&name).map_err(|error| at(&error, &format!("vectors.{name}")))?;
        }
        let mut own = settings::take_vector(&mut schema.settings, "vectors", &name);
        if is_reset {
            own.shift_remove(quantization::MEMBER);
        }
        settings::merge(&mut own, later);
        let specs = [schema.vectors.get_mut(&name), schema.multi.get_mut(&name)];
        specs.into_iter().flatten().for_each(|spec| spec.memory = settings::memory(&own));
        settings::put_vector(&mut schema.settings, "vectors", name, own);
        Ok(())
    }
}

/// Whether a configuration is to be taken back; then it is no other.
fn reset(config: &mut Option<Value>) -> bool {
    let is_reset = config.as_ref().and_then(Value::as_str) == Some(DISABLED);
    if is_reset {
        *config = None;
    }
    is_reset
}

fn at(error: &Error, field: &str) -> Error {
    Error::new(error.kind(), error.message()).with_field(field)
}

impl CreateVector {
    /// What adds the vector to a schema.
    ///
    /// # Errors
    /// `InvalidArgument` naming the place.
    pub(crate) fn into_change(
        self,
        name: String,
    ) -> Result<impl FnOnce(&mut Schema) -> Result<()> + Send + 'static> {
        if let Some(why) = bad_name(&name) {
            return Err(Refusal::Path.of("vector_name", why));
        }
        let made = self.into_schema(&name)?;
        Ok(move |schema: &mut Schema| {
            if schema.check_name(&name).is_err() {
                schema.vectors.extend(made.vectors);
                schema.sparse.extend(made.sparse);
                schema.multi.extend(made.multi);
                settings::merge(&mut schema.settings, made.settings);
                return Ok(());
            }
            let is_same = |spec: Option<&VectorSpec>, made: Option<&VectorSpec>| match (spec, made) {
                (Some(spec), Some(made)) => spec.is_stored_as(made),
                (None, None) => true,
                _ => false,
            };
            let is_there = is_same(schema.vectors.get(&name), made.vectors.get(&name))
                && is_same(schema.multi.get(&name), made.multi.get(&name))
                && schema.sparse.contains_key(&name) == made.sparse.contains_key(&name);
            if is_there {
                return Ok(());
            }
            let message = format!("Wrong input: Vector `{name}` already exists, and it is another!");
            Err(Error::new(ErrorKind::AlreadyExists, message).with_field("vector_name"))
        })
    }

    /// A schema with nothing but this vector.
    fn into_schema(self, name: &str) -> Result<Schema> {
        match self {
            Self::Dense(DenseIn { size, distance, multivector_config, datatype }) => {
                let at_fault = |error: Error| error.within("dense");
                let size = settings::size(size).map_err(at_fault)?;
                let spec = VectorSpec::new(size, distance.parse().map_err(at_fault)?);
                let spec = spec.stored_as(stored_as(datatype.as_deref()).map_err(at_fault)?);
                let mut schema = match multivector_config {
                    Some(_) => Schema::new().multi_vector(name, spec),
                    None => Schema::new().named_vector(name, spec),
                };
                // What it is stored as does not tell this word again.
                let told = datatype.filter(|datatype| datatype == TURBO4);
                let own: Payload =
                    told.map(|datatype| ("datatype".to_owned(), Value::from(datatype))).into_iter().collect();
                settings::put_vector(&mut schema.settings, "vectors", name.to_owned(), own);
                Ok(schema)
            }
            Self::Sparse(SparseVectorIn { modifier, datatype }) => {
                let mut schema = Schema::new();
                let at_fault = |error: Error| match error.field() {
                    Some(field) if field.ends_with("modifier") => at(&error, "sparse.modifier"),
                    _ => at(&error, "sparse.datatype"),
                };
                SparseIn::of(modifier, datatype).add_to(&mut schema, name).map_err(at_fault)?;
                Ok(schema)
            }
        }
    }
}

/// What takes a vector out of a schema.
pub(crate) fn drop_vector(name: String) -> impl FnOnce(&mut Schema) -> Result<()> + Send + 'static {
    move |schema: &mut Schema| {
        schema.check_name(&name).map_err(|error| error.with_field("vector_name"))?;
        schema.vectors.remove(&name);
        schema.sparse.remove(&name);
        schema.multi.remove(&name);
        for kind in ["vectors", "sparse_vectors"] {
            settings::take_vector(&mut schema.settings, kind, &name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kithdb::{Codes, Metric, SparseSpec};
    use serde_json::json;

    use super::*;

    fn patched(schema: &Schema, body: &Value) -> Result<Schema> {
        let alter: Alter = super::super::parse(body.to_string().as_bytes())?;
        let mut schema = schema.clone();
        alter.into_change()?(&mut schema).map(|()| schema)
    }

    #[test]
    fn codes_follow_what_is_said_of_quantisation_and_not_what_is_said_in_our_words() {
        let spec = VectorSpec::new(2, Metric::Dot);
        let schema = Schema::new().named_vector("a", spec.clone()).named_vector("b", spec.clone());
        let schema = schema.named_vector("off", spec.found_by(Codes::Off));
        let codes = |schema: &Schema| schema.vectors.values().map(|spec| spec.codes).collect::<Vec<_>>();
        let binary = json!({"binary": {"always_ram": true}});
        let one = patched(&schema, &json!({"vectors": {"a": {"quantization_config": binary}}})).expect("one");
        assert_eq!(codes(&one), [Codes::Bits1, Codes::Bits8, Codes::Off]);
        let all = patched(&one, &json!({"quantization": binary, "optimizer_config": null})).expect("all");
        assert_eq!(codes(&all), [Codes::Bits1, Codes::Bits1, Codes::Off]);
        let back =
            json!({"quantization_config": "Disabled", "vectors": {"a": {"quantization_config": "Disabled"}}});
        let back = patched(&all, &back).expect("back");
        assert_eq!((codes(&back), back.settings.len()), (codes(&schema), 0));
    }

    #[test]
    fn weights_of_words_are_set_changed_and_taken_back() {
        let weights = |schema: &Schema| schema.hybrid.map(|hybrid| (hybrid.words_least, hybrid.words_most));
        let set = patched(&Schema::new(), &json!({"hybrid_weights": {"words_most": 0.5}})).expect("set");
        let changed = patched(&set, &json!({"hybrid_weights": {"words_least": 0.1}})).expect("changed");
        assert_eq!((weights(&set), weights(&changed)), (Some((0.3, 0.5)), Some((0.1, 0.5))));
        assert_eq!(weights(&patched(&changed, &json!({"metadata": {}})).expect("another")), Some((0.1, 0.5)));
        assert_eq!(weights(&patched(&changed, &json!({"hybrid_weights": {}})).expect("taken back")), None);
    }

    #[test]
    fn history_and_recall_are_changed_and_stay_where_nothing_is_said() {
        let set = patched(&Schema::new(), &json!({"history_s": 60, "recall": 0.5})).expect("set");
        let same = patched(&set, &json!({"metadata": {}})).expect("another");
        assert_eq!((same.history_s, same.recall), (60, Some(0.5)));
        assert_eq!(patched(&same, &json!({"history_s": 0})).expect("none").history_s, 0);
    }

    #[test]
    fn a_bad_alteration_names_the_place() {
        let schema = Schema::new().vector(2, Metric::Dot).sparse_vector("s", SparseSpec::default());
        let cases = [
            (json!({"vectors": {"x": {}}}), "vectors.x"),
            (
                json!({"vectors": {"": {"hnsw_config": {"ef_construct": 1}}}}),
                "vectors..hnsw_config.ef_construct",
            ),
            (json!({"vectors": {"": {"size": 3}}}), "vectors..size"),
            (json!({"sparse_vectors": {"": {}}}), "sparse_vectors."),
            (json!({"sparse_vectors": {"s": {"modifier": "tf"}}}), "sparse_vectors.s.modifier"),
            (json!({"params": {"shard_number": 2}}), "params.shard_number"),
            (json!({"params": {"replication_factor": 0}}), "params.replication_factor"),
            (json!({"wal_config": {}}), "wal_config"),
            (json!({"metadata": []}), "metadata"),
            (json!({"hybrid_weights": {"words_least": "all"}}), "hybrid_weights.words_least"),
            (json!({"history_s": -1}), "history_s"),
            (json!({"recall": "all"}), "recall"),
        ];
        for (body, field) in cases {
            assert_eq!(patched(&schema, &body).expect_err("refused").field(), Some(field), "{body}");
        }
    }
}
