//! What is said of points in columns: behind the path of the address, since the body is the columns.

use kithdb::bulk::files::Format;
use kithdb::bulk::{ExportOptions, IdColumn, ImportOptions, Imported, Progress};
use kithdb::{Error, Filter, Result, Value};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filter::{FilterIn, or_everything};

/// `?id=..&vectors=..` of an import.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportQuery {
    /// The column of ids; empty: numbers are given.
    id: Option<String>,
    /// Whether they are names.
    names: Option<bool>,
    /// Columns with vectors, `column` or `column:vector`, between commas.
    vectors: Option<String>,
    /// The column of JSON objects.
    payload: Option<String>,
    metric: Option<String>,
    datatype: Option<String>,
    durability: Option<String>,
}

impl ImportQuery {
    /// # Errors
    /// `InvalidArgument` naming what cannot be.
    pub(crate) fn into_options(self) -> Result<ImportOptions> {
        let id = match self.id {
            None => IdColumn::Guessed,
            Some(id) if id.is_empty() => IdColumn::Given,
            Some(id) => IdColumn::Named(id),
        };
        let vectors = self.vectors.as_deref().unwrap_or_default();
        let vectors = vectors.split(',').filter(|column| !column.is_empty()).map(vector);
        let as_metric = |error: Error| error.with_field("metric");
        Ok(ImportOptions {
            id,
            is_named: self.names == Some(true),
            vectors: vectors.collect(),
            payload: self.payload,
            metric: self.metric.map(|name| name.parse()).transpose().map_err(as_metric)?,
            datatype: self.datatype.map(|name| name.parse()).transpose()?,
            durability: self.durability.map(|name| name.parse()).transpose()?,
        })
    }
}

/// `column`, or `column:vector`.
pub(crate) fn vector(text: &str) -> (String, Option<String>) {
    match text.rsplit_once(':') {
        Some((column, name)) => (column.to_owned(), Some(name.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// `?format=..&filter=..` of an export.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    format: Option<String>,
    /// As text, in the language of docs/filters.md, or as an object of the dialect.
    filter: Option<String>,
}

impl ExportQuery {
    /// # Errors
    /// `InvalidArgument` naming what cannot be.
    pub(crate) fn into_options(self) -> Result<(Format, ExportOptions)> {
        let format = match self.format.as_deref() {
            None | Some("arrow") => Format::Arrow,
            Some("parquet") => Format::Parquet,
            Some("jsonl") => Format::JsonLines,
            Some(other) => {
                return Err(Error::invalid("format", format!("`{other}` is none of arrow, parquet, jsonl")));
            }
        };
        let filter = self.filter.as_deref().map(filter).transpose()?.unwrap_or_default();
        Ok((format, ExportOptions { filter }))
    }
}

/// A filter in a path: with a brace, which begins no text, that of the dialect.
fn filter(given: &str) -> Result<Filter> {
    if !given.trim_start().starts_with('{') {
        return given.parse();
    }
    let read: Value =
        serde_json::from_str(given).map_err(|error| Error::invalid("filter", error.to_string()))?;
    or_everything(Some(super::parse_part::<FilterIn>(read, "filter")?))
}

/// What an import did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Imported)]
pub(crate) struct ImportedOut {
    rows: u64,
    seqno: u64,
    seconds: f64,
}

impl From<Imported> for ImportedOut {
    fn from(imported: Imported) -> Self {
        let Imported { rows, seqno, seconds } = imported;
        Self { rows, seqno: seqno.0, seconds }
    }
}

/// The imports that run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunningImports)]
pub(crate) struct Running {
    running: Vec<ProgressOut>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportProgress)]
struct ProgressOut {
    rows: u64,
    seconds: f64,
}

impl From<Vec<Progress>> for Running {
    fn from(running: Vec<Progress>) -> Self {
        let out = |Progress { rows, seconds }| ProgressOut { rows, seconds };
        Self { running: running.into_iter().map(out).collect() }
    }
}

#[cfg(test)]
mod tests {
    use kithdb::Metric;

    use super::*;

    #[test]
    fn options_stand_behind_the_path() {
        let query = ImportQuery {
            id: Some(String::new()),
            vectors: Some("emb:text,image".to_owned()),
            metric: Some("dot".to_owned()),
            ..ImportQuery::default()
        };
        let options = query.into_options().expect("options");
        assert_eq!((options.id, options.metric), (IdColumn::Given, Some(Metric::Dot)));
        let named = ("emb".to_owned(), Some("text".to_owned()));
        assert_eq!(options.vectors, [named, ("image".to_owned(), None)]);
        let named = ImportQuery { names: Some(true), ..ImportQuery::default() };
        assert!(named.into_options().expect("options").is_named && !options.is_named);
        let wrong = ImportQuery { metric: Some("near".to_owned()), ..ImportQuery::default() };
        assert_eq!(wrong.into_options().expect_err("no metric").field(), Some("metric"));
        let wrong = ExportQuery { format: Some("csv".to_owned()), filter: None };
        assert_eq!(wrong.into_options().expect_err("no format").field(), Some("format"));
    }

    #[test]
    fn an_export_takes_filters_of_both_forms() {
        let read = |filter: &str| {
            let query = ExportQuery { format: None, filter: Some(filter.to_owned()) };
            query.into_options().map(|(_, options)| options.filter)
        };
        let object = r#" {"must": [{"key": "year", "range": {"gte": 2020}}]}"#;
        assert_eq!(read(object).expect("an object").must.len(), 1);
        assert_eq!(read("year >= 2020").expect("a text").must.len(), 1);
        for (wrong, field) in
            [(r#"{"must": [{"kay": 1}]}"#, "filter.must[0].kay"), ("{", "filter"), ("year >", "filter")]
        {
            assert_eq!(read(wrong).expect_err("no filter").field(), Some(field), "{wrong}");
        }
    }
}
