//! Latency of each kind of query as a collection grows, and what it costs to be told the plan.
//!
//! One collection grows through all sizes; at each it is optimised, so that a segment or a few hold it, and every kind
//! is asked one question after another on one thread. A kind whose p50 grows with the rows reads them all.

use std::iter;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kithdb::formula::{Expression, Formula};
use kithdb::{
    Collection, Database, Examples, Filter, Fusion, Grouping, Input, KeywordQuery, Order, Pair, Query,
    Recommend, Request, Result, Select, Terms,
};

use super::life::{BATCH_POINTS, wait_until_settled};
use super::synthetic::{FIELD, Synthetic};
use crate::figures::{Timings, milliseconds};
use crate::table::Table;

/// Hits of a query.
const HITS: usize = 10;

/// Candidates of a leg.
const LEG_HITS: usize = 100;

/// A kind is asked for so long at most; one that takes long is asked fewer questions.
const KIND_TIME_MAX: Duration = Duration::from_secs(5);

/// Questions of a kind, at most.
const QUESTIONS: usize = 500;

/// Asked before time is taken.
const WARMING: usize = 10;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Points, each size after the smaller one
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000])]
    rows: Vec<u64>,
    /// Elements of a vector
    #[arg(long, default_value_t = 384)]
    dim: usize,
    /// Where the database is made, in a folder that is removed afterwards; the system's place for temporary files if
    /// absent
    #[arg(long)]
    folder: Option<PathBuf>,
}

struct Question {
    vector: Vec<f32>,
    others: [Vec<f32>; 2],
    words: String,
}

/// A kind of query: its name, and how it is asked.
type Kind = (&'static str, Box<dyn Fn(&Collection, &Question) -> Result<()>>);

/// # Errors
/// What the database returns; `Io`.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let folder = match &arguments.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let database = Database::open(folder.path())?;
    let mut source = Synthetic::new(arguments.dim);
    let collection = database.create_collection("points", source.schema()?)?;
    // Of another seed than the rows, which need one of their own to be the same at every size.
    let questions = questions(arguments.dim);
    let (kinds, mut rows) = (kinds()?, 0);
    let mut figures: Vec<Vec<String>> = kinds.iter().map(|(name, _)| vec![(*name).to_owned()]).collect();
    for size in &arguments.rows {
        while rows < *size {
            let end = (*size).min(rows + BATCH_POINTS as u64);
            collection.upsert((rows..end).map(|id| source.point(id)).collect())?;
            rows = end;
        }
        collection.optimize(true)?;
        wait_until_settled(&collection);
        eprintln!("{rows} points");
        for ((name, ask), figures) in kinds.iter().zip(&mut figures) {
            let timings = measure(&collection, &questions, ask)?;
            eprintln!("  {name}");
            figures.push(milliseconds(timings.percentile(0.5)));
            figures.push(milliseconds(timings.percentile(0.99)));
        }
    }
    let head = arguments.rows.iter().flat_map(|rows| [format!("{rows} p50"), "p99".to_owned()]);
    let head = iter::once(format!("query, {HITS} hits")).chain(head).collect();
    let mut table = Table::of_columns(head);
    figures.into_iter().for_each(|row| table.cells(row));
    let explained = explaining(&collection, &questions)?;
    Ok(format!("Vectors of {} elements.\n\n{}\n\n{explained}", arguments.dim, table.to_text()))
}

fn questions(dim: usize) -> Vec<Question> {
    let mut source = Synthetic::seeded(dim, 1);
    let question = |_| {
        let [vector, first, second] = [(); 3].map(|()| source.vector());
        Question { vector, others: [first, second], words: source.words() }
    };
    (0..QUESTIONS).map(question).collect()
}

fn measure(
    collection: &Collection,
    questions: &[Question],
    ask: impl Fn(&Collection, &Question) -> Result<()>,
) -> Result<Timings> {
    let began = Instant::now();
    for question in questions.iter().take(WARMING).take_while(|_| began.elapsed() < KIND_TIME_MAX) {
        ask(collection, question)?;
    }
    let (began, mut timings) = (Instant::now(), Timings::default());
    for question in questions {
        timings.time(|| ask(collection, question))?;
        if began.elapsed() >= KIND_TIME_MAX {
            break;
        }
    }
    Ok(timings)
}

/// A kind that is a request.
fn request(name: &'static str, make: impl Fn(&Question) -> Result<Request> + 'static) -> Kind {
    let ask = move |collection: &Collection, question: &Question| {
        collection.search(make(question)?, &Select::default()).map(drop)
    };
    (name, Box::new(ask))
}

fn input(vector: &[f32]) -> Input {
    Input::from(vector.to_vec())
}

fn nearest(question: &Question) -> Query {
    Query::Nearest { vector: input(&question.vector), using: String::new() }
}

fn keyword(question: &Question) -> Query {
    Query::Keyword(KeywordQuery::from(question.words.as_str()))
}

fn of(query: Query) -> Request {
    Request { query, limit: HITS, ..Request::default() }
}

/// So many hundredths of all points.
fn below(percent: u32) -> Result<Filter> {
    format!("{FIELD} < {percent}").parse()
}

/// Both legs, and what is made of them.
fn of_legs(question: &Question, query: Query) -> Request {
    let leg = |query| Request { limit: LEG_HITS, ..of(query) };
    Request { prefetch: vec![leg(nearest(question)), leg(keyword(question))], ..of(query) }
}

fn kinds() -> Result<Vec<Kind>> {
    let mut kinds = ranked()?;
    kinds.extend(read()?);
    Ok(kinds)
}

/// What ranks by vectors, words, or both.
fn ranked() -> Result<Vec<Kind>> {
    let (tenth, hundredth) = (below(10)?, below(1)?);
    let (tenth_too, field) = (tenth.clone(), FIELD.parse()?);
    let using = String::new;
    let examples = |question: &Question| {
        let positive = question.others.iter().map(|vector| input(vector)).collect();
        Examples { positive, negative: Vec::new() }
    };
    let rated = move |strategy| {
        move |question: &Question| {
            Ok(of(Query::Recommend { examples: examples(question), strategy, using: using() }))
        }
    };
    let formula = Formula {
        expression: Expression::Sum(vec![Expression::Score(0), Expression::Field(field)]),
        scores: [(0, 0.0)].into(),
        fields: [].into(),
    };
    Ok(vec![
        request("nearest", |question| Ok(of(nearest(question)))),
        request("nearest, a filter passes 10 %", move |question| {
            Ok(Request { filter: tenth.clone(), ..of(nearest(question)) })
        }),
        request("nearest, a filter passes 1 %", move |question| {
            Ok(Request { filter: hundredth.clone(), ..of(nearest(question)) })
        }),
        request("keyword, 3 words", |question| Ok(of(keyword(question)))),
        request("keyword, a filter passes 10 %", move |question| {
            Ok(Request { filter: tenth_too.clone(), ..of(keyword(question)) })
        }),
        request("hybrid", |question| Ok(of_legs(question, Query::Fuse(Fusion::adaptive())))),
        request("formula over both", move |question| Ok(of_legs(question, Query::Formula(formula.clone())))),
        request("diverse (MMR), of 100", |question| {
            let (vector, candidates) = (input(&question.vector), Some(LEG_HITS));
            Ok(of(Query::Diverse { vector, using: String::new(), diversity: 0.5, candidates }))
        }),
        request("recommend, mean of 2", rated(Recommend::AverageVector)),
        request("recommend, best of 2", rated(Recommend::BestScore)),
        request("discover, 1 pair", |question| {
            let [positive, negative] = question.others.each_ref().map(|vector| input(vector));
            let context = vec![Pair { positive, negative }];
            Ok(of(Query::Discover { target: input(&question.vector), context, using: String::new() }))
        }),
    ])
}

/// What reads fields, or points one after the other.
fn read() -> Result<Vec<Kind>> {
    let field: kithdb::FieldPath = FIELD.parse()?;
    let order = Order { path: field.clone(), is_descending: true, from: None };
    let grouping = Grouping { path: field.clone(), groups: 5, size: 2 };
    let tenth = below(10)?;
    let counted = tenth.clone();
    Ok(vec![
        request("order by a field", move |_| Ok(of(Query::Order(order.clone())))),
        request("sample", |_| Ok(of(Query::Sample { seed: None }))),
        (
            "groups, 5 of 2",
            Box::new(move |collection, question| {
                collection.groups(of(nearest(question)), &grouping, &Select::default()).map(drop)
            }),
        ),
        (
            "facet of 100 values",
            Box::new(move |collection, _| collection.facets(&field, &Filter::default(), HITS).map(drop)),
        ),
        ("count, a filter passes 10 %", Box::new(move |collection, _| collection.count(&counted).map(drop))),
        (
            "scroll, a filter passes 10 %",
            Box::new(move |collection, _| {
                collection.scroll(&tenth, None, HITS, &Select::default()).map(drop)
            }),
        ),
    ])
}

/// What the plan costs who is told it, and who is not: the same query in turn, so that noise meets all alike.
fn explaining(collection: &Collection, questions: &[Question]) -> Result<String> {
    let reading = collection.reading()?;
    let ask = |is_analyzed: bool, question: &Question| {
        let terms = Terms { is_analyzed, ..Terms::default() };
        reading.search_on(of(nearest(question)), &Select::none(), terms)
    };
    let [mut off, mut told, mut analyzed] = [(); 3].map(|()| Timings::default());
    for question in questions {
        // The first time pays for what is not in the caches.
        ask(false, question)?;
        off.time(|| ask(false, question))?;
        told.time(|| ask(false, question).map(|found| found.plan.to_text()))?;
        analyzed.time(|| {
            let found = ask(true, question)?;
            Ok::<_, kithdb::Error>(found.actual.map(|actual| found.plan.to_text_with(&actual)))
        })?;
    }
    let mut table = Table::new(["nearest, the plan", "p50", "p99"]);
    for (name, timings) in
        [("is not asked for", off), ("is told", told), ("is told with what was done", analyzed)]
    {
        let figures = [0.5, 0.99].map(|share| milliseconds(timings.percentile(share)));
        let [p50, p99] = figures;
        table.row([name.to_owned(), p50, p99]);
    }
    Ok(table.to_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_measured_at_every_size() {
        let arguments = Arguments { rows: vec![500, 1_500], dim: 16, folder: None };
        let report = run(&arguments).expect("runs");
        for (name, _) in kinds().expect("kinds") {
            let row = report.lines().find(|line| line.starts_with(&format!("| {name} "))).expect(name);
            assert_eq!(row.matches(" ms").count(), 4, "{row}");
        }
        assert!(report.contains("| is told with what was done |"), "{report}");
    }
}
