//! Questions about a collection, and how well they are answered.

use kithdb::{Error, Filter, Result, Value};
use rag::Mode;
use rag::eval::{Comparison, Config, Learned, Lesson, Measure, Measures, Question, Row, Run, compare};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::filter::{self, FilterIn};
use super::hybrid::HybridWeightsJson;
use super::translate::Translator;

/// The body that stores questions.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Questions)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuestionsIn {
    questions: Vec<Value>,
}

impl QuestionsIn {
    /// # Errors
    /// `InvalidArgument` naming the place.
    pub(crate) fn into_questions(self) -> Result<Vec<Question>> {
        read(self.questions)
    }
}

fn read(questions: Vec<Value>) -> Result<Vec<Question>> {
    let read = |(nth, value): (usize, Value)| {
        Question::read(value).map_err(|error| error.within(&format!("questions[{nth}]")))
    };
    (0..).zip(questions).map(read).collect()
}

/// The body that learns from questions what words weigh.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = LearnWeights)]
#[serde(deny_unknown_fields)]
pub(crate) struct LearnIn {
    /// The questions; those that are kept with the collection if absent.
    questions: Option<Vec<Value>>,
    /// Learn also from what was said of answers: from where it should have been found, and from what was cited where
    /// it was helpful. Of the same question the questions count.
    #[serde(default)]
    pub(crate) feedback: bool,
    /// The vectors that they are compared with; the unnamed ones if absent.
    using: Option<String>,
    /// Only among these.
    filter: Option<FilterIn>,
}

impl LearnIn {
    /// # Errors
    /// `InvalidArgument` naming the place.
    pub(crate) fn into_lesson(self, translator: &Translator<'_>) -> Result<(Option<Vec<Question>>, Lesson)> {
        let filter = filter::or_everything(self.filter)?;
        filter.check(translator.db.limits())?;
        let (using, deadline) = (self.using.unwrap_or_default(), translator.deadline);
        let lesson = Lesson { using, filter, deadline };
        Ok((self.questions.map(read).transpose()?, lesson))
    }
}

/// The body that asks them.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Evaluate)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvalIn {
    /// The first configuration.
    #[serde(default)]
    a: ConfigIn,
    /// The second one, that is compared with it.
    b: Option<ConfigIn>,
    /// The commit that is read.
    as_of: Option<u64>,
    /// Tell of each question.
    #[serde(default)]
    with_questions: bool,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = EvalConfig)]
#[serde(deny_unknown_fields)]
struct ConfigIn {
    name: Option<String>,
    mode: Option<String>,
    limit: Option<usize>,
    /// As text, in the language of docs/filters.md.
    filter: Option<String>,
}

/// Passages of an answer unless the request says otherwise.
pub(crate) const LIMIT: usize = 5;

/// What an evaluation asks for.
pub(crate) struct Eval {
    pub(crate) configs: Vec<Config>,
    pub(crate) as_of: Option<u64>,
    pub(crate) with_questions: bool,
}

impl EvalIn {
    /// # Errors
    /// `InvalidArgument` naming the place.
    pub(crate) fn into_eval(self, translator: &Translator<'_>) -> Result<Eval> {
        let config = |(place, config): (&str, ConfigIn)| {
            config.into_config(translator).map_err(|error| error.within(place))
        };
        let both = [("a", Some(self.a)), ("b", self.b)];
        let given = both.into_iter().filter_map(|(place, config)| Some((place, config?)));
        Ok(Eval {
            configs: given.map(config).collect::<Result<_>>()?,
            as_of: self.as_of,
            with_questions: self.with_questions,
        })
    }
}

impl ConfigIn {
    fn into_config(self, translator: &Translator<'_>) -> Result<Config> {
        let mode = self.mode.as_deref().unwrap_or("hybrid");
        let limit = self.limit.unwrap_or(LIMIT);
        let most = translator.db.limits().hits_max;
        if !(1..=most).contains(&limit) {
            return Err(Error::invalid("limit", format!("is {limit}; it must be from 1 to {most}")));
        }
        let filter: Filter = match &self.filter {
            Some(text) => text.parse().map_err(|error: Error| error.with_field("filter"))?,
            None => Filter::default(),
        };
        filter.check(translator.db.limits())?;
        Ok(Config {
            name: self.name.unwrap_or_else(|| mode.to_owned()),
            mode: parse_mode(mode)?,
            limit,
            filter,
            // What is not answered in time is not worth a place of those that compute.
            deadline: translator.deadline,
        })
    }
}

/// # Errors
/// `InvalidArgument` on `mode`.
pub(crate) fn parse_mode(text: &str) -> Result<Mode> {
    match text {
        "hybrid" => Ok(Mode::Hybrid),
        "vector" => Ok(Mode::Vector),
        "keyword" => Ok(Mode::Keyword),
        _ => Err(Error::invalid("mode", format!("`{text}` is none of hybrid, vector, keyword"))),
    }
}

/// How well questions were answered, in one or two configurations.
#[derive(Serialize)]
pub(crate) struct ReportOut {
    runs: Vec<RunOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    comparison: Vec<ComparisonOut>,
}

#[derive(Serialize)]
struct RunOut {
    name: String,
    mode: &'static str,
    limit: usize,
    seqno: u64,
    questions: usize,
    unanswerable: usize,
    mean: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rows: Vec<Value>,
}

#[derive(Serialize)]
struct ComparisonOut {
    measure: &'static str,
    a: f64,
    b: f64,
    difference: f64,
    interval: [f64; 2],
    p: f64,
    wins: usize,
    losses: usize,
}

impl ReportOut {
    pub(crate) fn new(runs: &[Run], with_questions: bool) -> Self {
        let comparison = match runs {
            [a, b] => compare(a, b),
            _ => Vec::new(),
        };
        Self {
            runs: runs.iter().map(|run| RunOut::new(run, with_questions)).collect(),
            comparison: comparison.into_iter().map(Into::into).collect(),
        }
    }
}

/// What was learned, and whether it is kept. Figures are mean nDCG@10.
#[derive(Serialize, ToSchema)]
#[schema(as = LearnedWeights)]
pub(crate) struct LearnedOut {
    questions: usize,
    folds: usize,
    keyword: f64,
    vector: f64,
    /// By both, with the default weights.
    default: f64,
    /// By both, each question with weights that others chose.
    learned: f64,
    gain: f64,
    /// The gain lies between these, 95 times in 100.
    interval: [f64; 2],
    /// The probability of a gain or loss as large by chance.
    p: f64,
    /// What all questions choose.
    hybrid_weights: HybridWeightsJson,
    /// Whether the collection has these weights now.
    is_adopted: bool,
}

impl From<Learned> for LearnedOut {
    fn from(learned: Learned) -> Self {
        Self {
            questions: learned.questions,
            folds: learned.folds,
            keyword: learned.keyword,
            vector: learned.vector,
            default: learned.default,
            learned: learned.learned,
            gain: learned.learned - learned.default,
            interval: [learned.interval.0, learned.interval.1],
            p: learned.p,
            hybrid_weights: HybridWeightsJson::of(learned.weights),
            is_adopted: learned.is_adopted,
        }
    }
}

impl RunOut {
    fn new(run: &Run, with_questions: bool) -> Self {
        let rows = if with_questions { run.rows.iter().map(row).collect() } else { Vec::new() };
        Self {
            name: run.config.name.clone(),
            mode: run.mode.name(),
            limit: run.config.limit,
            seqno: run.seqno,
            questions: run.rows.len(),
            unanswerable: run.unanswerable,
            mean: measures(&run.mean),
            rows,
        }
    }
}

fn measures(measures: &Measures) -> Value {
    let value = |(name, read): Measure| read(measures).map(|value| (name.to_owned(), json!(value)));
    Value::Object(rag::eval::MEASURES.into_iter().filter_map(value).collect())
}

fn row(row: &Row) -> Value {
    json!({
        "id": row.id.to_string(), "question": row.question, "measures": measures(&row.measures),
        "found": row.found, "is_expected": row.is_expected, "elapsed_ms": row.elapsed_ms,
    })
}

impl From<Comparison> for ComparisonOut {
    fn from(one: Comparison) -> Self {
        Self {
            measure: one.measure,
            a: one.a,
            b: one.b,
            difference: one.b - one.a,
            interval: [one.interval.0, one.interval.1],
            p: one.p,
            wins: one.wins,
            losses: one.losses,
        }
    }
}
