//! `kithdb search`: of a directory, or of a server that has it open.

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

use clap::{Args, ValueEnum};
use kithdb::{
    Condition, Database, Error, ErrorKind, FieldPath, Filter, Hit, Payload, Predicate, Result, Scalar,
};
use rag::Mode;
use serde_json::{Value, json};

use super::open::ModelArgs;
use super::place::PlaceArgs;
use super::present;
use super::terminal::{given, print, say};

/// Where a server listens unless it was told otherwise.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:6333";

/// Ask a question.
#[derive(Args)]
pub(super) struct Search {
    /// The question, in plain words; `-` is standard input
    pub(super) question: String,
    /// The collection
    #[arg(long, short, value_name = "NAME", default_value = "documents")]
    pub(super) collection: String,
    /// How many passages
    #[arg(short = 'k', long, value_name = "N", default_value_t = 5)]
    pub(super) limit: usize,
    /// How: by meaning and by words, fused; or by one of them
    #[arg(long, value_enum, default_value_t = ModeArg::Hybrid)]
    pub(super) mode: ModeArg,
    /// Only where a payload field has this value; may be said several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<Equals>,
    /// Only where a filter holds, such as "year >= 2020 AND tags IN ('a', 'b')" (docs/filters.md)
    #[arg(long = "where", value_name = "FILTER")]
    pub(super) condition: Option<String>,
    /// Show the plan
    #[arg(long)]
    pub(super) explain: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    model: ModelArgs,
}

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ModeArg {
    Hybrid,
    Vector,
    Keyword,
}

/// `key=value` on the command line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Equals {
    pub(super) path: FieldPath,
    /// The value as each type that it could be: `2024` is a number or a string.
    pub(super) values: Vec<Scalar>,
}

/// What a question found, wherever it was asked.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Best first.
    pub(super) passages: Vec<Passage>,
    /// How it was asked in the end.
    pub(super) mode: &'static str,
    /// The plan as text, if it was asked for.
    pub(super) plan: Option<String>,
    /// The database or server that answered.
    pub(super) place: String,
    pub(super) elapsed_ms: f64,
}

/// One passage that was found.
#[derive(Debug)]
pub(super) struct Passage {
    pub(super) id: String,
    pub(super) score: f32,
    pub(super) payload: Payload,
}

impl Search {
    pub(super) fn run(self) -> Result<ExitCode> {
        Self { question: given(self.question, "question")?, ..self }.asked()
    }

    fn asked(&self) -> Result<ExitCode> {
        let filter = filter(&self.filter, self.condition.as_deref())?;
        let found = match self.place.server() {
            Some(server) => server.search(self)?,
            None => self.of_directory(filter)?,
        };
        if self.place.json {
            print(&format!("{}\n", self.to_json(&found)));
        } else {
            print(&present::found(&self.question, &self.collection, &found));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn of_directory(&self, filter: Filter) -> Result<Found> {
        let db = match self.place.data.open_existing() {
            Err(error) if error.kind() == ErrorKind::Busy => {
                say(&format!(
                    "note: `{}` is open in another process; asking {DEFAULT_URL}",
                    self.place.data.data.display()
                ));
                return self.place.server_at(DEFAULT_URL).search(self);
            }
            opened => opened?,
        };
        let collection = db.collection(&self.collection).map_err(|error| with_names(error, &db))?;
        // A keyword search need not wait for the model to be read.
        let embedder = if self.mode == ModeArg::Keyword { None } else { self.model.open()? };
        let began = Instant::now();
        let found = rag::search(
            &collection,
            embedder.as_ref(),
            &self.question,
            self.mode.into(),
            filter,
            self.limit,
        )?;
        let elapsed_ms = began.elapsed().as_secs_f64() * 1e3;
        let passage = |hit: Hit| Passage { id: hit.id.to_string(), score: hit.score, payload: hit.payload };
        Ok(Found {
            passages: found.hits.into_iter().map(passage).collect(),
            mode: found.mode.name(),
            plan: self.explain.then(|| found.plan.to_text()),
            place: self.place.data.data.display().to_string(),
            elapsed_ms,
        })
    }

    fn to_json(&self, found: &Found) -> Value {
        let hits: Vec<Value> = found
            .passages
            .iter()
            .enumerate()
            .map(|(position, passage)| {
                let Passage { id, score, payload } = passage;
                json!({"rank": position + 1, "score": score, "id": id, "payload": payload})
            })
            .collect();
        json!({
            "question": self.question,
            "collection": self.collection,
            "place": found.place,
            "mode": found.mode,
            "elapsed_ms": found.elapsed_ms,
            "hits": hits,
            "plan": found.plan,
        })
    }
}

/// Fields that have these values, all of them, and a filter as text that holds besides.
///
/// # Errors
/// `InvalidArgument` naming `where`, for a text that is no filter.
pub(super) fn filter(equals: &[Equals], text: Option<&str>) -> Result<Filter> {
    let equal =
        |equals: &Equals| Condition::Field(equals.path.clone(), Predicate::Any(equals.values.clone()));
    let mut must: Vec<Condition> = equals.iter().map(equal).collect();
    if let Some(text) = text {
        let filter = text.parse::<Filter>().map_err(|error| error.with_field("where"))?;
        must.push(Condition::Filter(Box::new(filter)));
    }
    Ok(Filter { must, ..Filter::default() })
}

/// Says which collections there are.
pub(super) fn with_names(error: Error, db: &Database) -> Error {
    let names: Vec<String> = db.collections().iter().map(|known| format!("`{}`", known.name())).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Error::new(error.kind(), format!("{} There are: {names}.", error.message())).with_source(error)
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Hybrid => Self::Hybrid,
            ModeArg::Vector => Self::Vector,
            ModeArg::Keyword => Self::Keyword,
        }
    }
}

impl FromStr for Equals {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Error::invalid("filter", format!("`{text}` is not of the form key=value")))?;
        let mut values = vec![Scalar::Str(value.to_owned())];
        values.extend(value.parse().ok().map(Scalar::Int));
        values.extend(value.parse().ok().map(Scalar::Bool));
        Ok(Self { path: key.parse()?, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_as_what_it_could_be() {
        let values = |text: &str| text.parse::<Equals>().expect(text).values;
        assert_eq!(values("a.b=x"), ["x".into()]);
        assert_eq!(values("a=2024"), ["2024".into(), 2024.into()]);
        assert_eq!(values("a=true"), ["true".into(), true.into()]);
        assert_eq!(values("a=b=c"), ["b=c".into()]);
        "a".parse::<Equals>().expect_err("no value");
        "a[=1".parse::<Equals>().expect_err("no path");
    }

    /// It named `filter`, which is another flag.
    #[test]
    fn a_filter_that_cannot_be_read_names_its_flag() {
        let fields: [Equals; 1] = ["a=x".parse().expect("a value")];
        assert_eq!(filter(&fields, Some("n = 1")).expect("a filter").must.len(), 2);
        let error = filter(&fields, Some("n =")).expect_err("no value");
        assert_eq!(error.field(), Some("where"), "{error}");
    }
}
