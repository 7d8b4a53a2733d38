//! Strict mode: what a collection's own settings refuse (`strict_mode_config`), in the words of the dialect.
//!
//! Invariant: a request is checked as a whole before anything of it is done. Nothing is refused where strict mode is
//! not enabled.
//! Cost: a look at the settings for each request; the schema is read only where strict mode is on.

mod filter;
mod formula;
mod graph;
mod rates;
mod sizes;
mod writes;

use std::collections::BTreeMap;
use std::fmt::Display;

use kithdb::formula::Expression;
use kithdb::{Collection, Error, FieldPath, Filter, Result, Schema};

use serde::Deserialize;

use crate::error::Refusal;
pub(crate) use filter::conditions;
pub(crate) use rates::Rates;

/// The member of a collection's settings.
pub(crate) const MEMBER: &str = "strict_mode_config";

/// What the settings say; their shape was checked when they were taken.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    enabled: bool,
    max_query_limit: Option<usize>,
    max_timeout: Option<u64>,
    unindexed_filtering_retrieve: Option<bool>,
    unindexed_filtering_update: Option<bool>,
    search_max_hnsw_ef: Option<usize>,
    search_allow_exact: Option<bool>,
    search_max_oversampling: Option<f64>,
    search_max_batchsize: Option<usize>,
    upsert_max_batchsize: Option<usize>,
    max_collection_vector_size_bytes: Option<usize>,
    max_collection_payload_size_bytes: Option<u64>,
    max_points_count: Option<usize>,
    max_payload_index_count: Option<usize>,
    max_resident_memory_percent: Option<f64>,
    filter_max_conditions: Option<usize>,
    condition_max_size: Option<usize>,
    read_rate_limit: Option<u64>,
    write_rate_limit: Option<u64>,
    multivector_config: BTreeMap<String, Rows>,
    sparse_config: BTreeMap<String, Weights>,
}

#[derive(Deserialize)]
struct Rows {
    max_vectors: Option<usize>,
}

#[derive(Deserialize)]
struct Weights {
    max_length: Option<usize>,
}

/// What is refused on one collection.
pub(crate) struct Strict<'a> {
    config: Option<Config>,
    collection: &'a Collection,
    rates: &'a Rates,
}

/// What a search asks for beside what it searches.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effort {
    pub(crate) is_exact: bool,
    pub(crate) ef: Option<usize>,
    pub(crate) oversampling: Option<f64>,
}

impl<'a> Strict<'a> {
    /// What a collection refuses now.
    pub(crate) fn of(collection: &'a Collection, rates: &'a Rates) -> Self {
        let config: Option<Config> =
            collection.setting(MEMBER).and_then(|kept| serde_json::from_value(kept).ok());
        Self { config: config.filter(|config| config.enabled), collection, rates }
    }

    /// One that refuses nothing.
    #[cfg(test)]
    pub(crate) fn none(collection: &'a Collection) -> Self {
        static RATES: std::sync::LazyLock<Rates> = std::sync::LazyLock::new(Rates::default);
        Self { config: None, collection, rates: &RATES }
    }

    /// A `timeout` that the request gives.
    ///
    /// # Errors
    /// Bad request, naming it.
    pub(crate) fn check_timeout(&self, seconds: u64) -> Result<()> {
        self.limit("timeout", seconds, |config| config.max_timeout)
    }

    /// Points that a request asks for.
    ///
    /// # Errors
    /// Bad request, naming it.
    pub(crate) fn check_limit(&self, limit: usize) -> Result<()> {
        self.limit("limit", limit, |config| config.max_query_limit)
    }

    /// Searches in one request.
    ///
    /// # Errors
    /// Bad request, naming it.
    pub(crate) fn check_searches(&self, searches: usize) -> Result<()> {
        self.limit("search batch size", searches, |config| config.search_max_batchsize)
    }

    /// The effort of a search.
    ///
    /// # Errors
    /// Bad request, naming the parameter.
    pub(crate) fn check_effort(&self, effort: Effort) -> Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        if effort.is_exact && config.search_allow_exact == Some(false) {
            return Err(refused("exact", "Exact search disabled!", "Set exact=false."));
        }
        if let Some(oversampling) = effort.oversampling {
            self.limit("oversampling", oversampling, |config| config.search_max_oversampling)?;
        }
        effort.ef.map_or(Ok(()), |ef| self.limit("hnsw_ef", ef, |config| config.search_max_hnsw_ef))
    }

    /// A filter of something that reads.
    ///
    /// # Errors
    /// Bad request, naming the field without an index, or the limit.
    pub(crate) fn check_filter(&self, filter: &Filter) -> Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        self.filter(config, filter, config.unindexed_filtering_retrieve)
    }

    /// A filter of something that reads, and what reading costs.
    ///
    /// # Errors
    /// As for [`check_filter`](Self::check_filter); too many requests.
    pub(crate) fn check_read(&self, filter: &Filter) -> Result<()> {
        self.check_filter(filter)?;
        self.take_read(1 + conditions(filter))
    }

    /// A field that is read of every point: an order, a facet.
    ///
    /// # Errors
    /// Bad request, naming the field.
    pub(crate) fn check_field(&self, path: &FieldPath) -> Result<()> {
        self.where_indexed(|schema| filter::check_indexed(schema, path, ""))
    }

    /// A field that hits are grouped by.
    ///
    /// # Errors
    /// Bad request, naming the field.
    pub(crate) fn check_group(&self, path: &FieldPath) -> Result<()> {
        self.where_indexed(|schema| filter::check_group(schema, path))
    }

    /// The fields and conditions of a formula.
    ///
    /// # Errors
    /// Bad request, naming the field.
    pub(crate) fn check_formula(&self, expression: &Expression) -> Result<()> {
        self.where_indexed(|schema| formula::check(schema, expression))
    }

    fn where_indexed(&self, check: impl Fn(&Schema) -> Result<()>) -> Result<()> {
        match self.config.as_ref().and_then(|config| config.unindexed_filtering_retrieve) {
            Some(false) => check(&self.collection.schema()),
            _ => Ok(()),
        }
    }

    /// Takes what reading costs.
    ///
    /// # Errors
    /// Too many requests.
    pub(crate) fn take_read(&self, cost: usize) -> Result<()> {
        let limit = self.config.as_ref().and_then(|config| config.read_rate_limit);
        self.rates.take(self.collection.name(), rates::Kind::Read, limit, cost as u64)
    }

    /// One more index of a field.
    ///
    /// # Errors
    /// Bad request; too many requests.
    pub(crate) fn check_index(&self) -> Result<()> {
        self.take_write(1)?;
        let Some(limit) = self.config.as_ref().and_then(|config| config.max_payload_index_count) else {
            return Ok(());
        };
        if self.collection.schema().fields.len() < limit {
            return Ok(());
        }
        let message = format!("Collection already has the maximum number of payload indices ({limit})");
        Err(refused("field_name", &message, "Please delete an existing index before creating a new one."))
    }

    fn limit<T: Copy + PartialOrd + Display>(
        &self,
        name: &str,
        value: T,
        limit: impl Fn(&Config) -> Option<T>,
    ) -> Result<()> {
        match self.config.as_ref().and_then(limit) {
            Some(limit) if value > limit => {
                let message = format!("Limit exceeded {value} > {limit} for \"{name}\"");
                let solution = format!("Reduce the \"{name}\" parameter to or below {limit}.");
                Err(refused(name, &message, &solution))
            }
            _ => Ok(()),
        }
    }
}

/// What strict mode refuses, and what to do about it.
fn refused(field: &str, what: &str, solution: &str) -> Error {
    Refusal::BadRequest.of(field, format_args!("{what}. Help: {solution}"))
}
