//! `kithdb bench`: how much of the true hits searches find on this machine, and how fast, at several efforts.
//!
//! What it measures: searches in this process, one after the other on one thread, without HTTP and without payloads.
//! The questions are vectors of the collection itself, each left out of its own answer; real questions may lie further
//! from what is stored, and find less. True hits are those of exact searches; one that is as near as the last of them
//! counts as found. The first questions are asked once before, so that files are in memory.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use kithdb::random::Random;
use kithdb::{
    Collection, Database, Error, Hit, Metric, Options, Params, PayloadSelect, Plan, Point, PointId, Query,
    Request, Result, Schema, Select, Step, Strategy, Vector, VectorSelect,
};
use serde_json::{Value, json};

use super::interrupt::Interrupt;
use super::open::DataArgs;
use super::search::with_names;
use super::terminal::{columns, grouped, print, say};

/// Measure searches.
#[derive(Args)]
pub(super) struct Bench {
    /// The collection; without it, vectors are generated, in a directory of their own that goes afterwards
    #[arg(long, short, value_name = "NAME")]
    collection: Option<String>,
    /// The vector that is searched by
    #[arg(long, value_name = "NAME", default_value = "", requires = "collection")]
    using: String,
    /// Hits wanted of each search
    #[arg(short = 'k', long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Searches of each effort
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    queries: u32,
    /// Efforts: the beam of the search of a graph
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [16, 32, 64, 128, 256],
          value_parser = clap::value_parser!(u32).range(1..))]
    ef: Vec<u32>,
    /// Generated vectors
    #[arg(long, value_name = "N", default_value_t = 20_000, conflicts_with = "collection",
          value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    points: u32,
    /// Their elements
    #[arg(long, value_name = "N", default_value_t = 96, conflicts_with = "collection",
          value_parser = clap::value_parser!(u32).range(2..=4096))]
    dim: u32,
    #[command(flatten)]
    data: DataArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The measurements of one effort.
struct Measured {
    effort: String,
    /// What the plan did in most parts.
    way: &'static str,
    recall: f64,
    seconds: Vec<f64>,
}

/// A vector that is asked with, and the point that it is of.
type Question = (PointId, Vec<f32>);

/// Generated vectors lie around so many centres.
const CENTRES: u64 = 100;

/// What scores may differ by that are the same.
const ROUNDING: f32 = 1e-5;

impl Bench {
    pub(super) fn run(self) -> Result<ExitCode> {
        let interrupt = Interrupt::listen()?;
        match self.told(&interrupt) {
            // The folder of generated vectors has gone.
            Err(_) if interrupt.is_wanted() => Ok(Interrupt::code()),
            told => told.map(|told| {
                print(&told);
                ExitCode::SUCCESS
            }),
        }
    }

    fn told(&self, interrupt: &Interrupt) -> Result<String> {
        // Dropped from the last on: the folder goes when nothing has it open.
        let (_folder, _db, collection) = match &self.collection {
            Some(name) => {
                let db = self.data.open_existing()?;
                let collection = db.collection(name).map_err(|error| with_names(error, &db))?;
                (None, db, collection)
            }
            None => {
                let folder = tempfile::tempdir()?;
                let db = Database::open_with(folder.path(), Options::default())?;
                let collection = self.generated(&db)?;
                (Some(folder), db, collection)
            }
        };
        let questions = self.questions(&collection)?;
        let truth = self.truth(&collection, &questions)?;
        let efforts = self
            .ef
            .iter()
            .map(|ef| (format!("ef {ef}"), Params { ef: Some(*ef as usize), ..Params::default() }));
        let planned = ("as planned".to_owned(), Params::default());
        let exact = ("exact".to_owned(), Params { is_exact: true, ..Params::default() });
        let all = efforts.chain([planned, exact]);
        let measured: Vec<Measured> = all
            .map(|(effort, params)| {
                interrupt.check()?;
                self.measure(&collection, &questions, &truth, effort, params)
            })
            .collect::<Result<_>>()?;
        let points = collection.status().points;
        Ok(match self.json {
            true => format!("{}\n", self.to_json(points, &measured)),
            false => self.to_text(points, &measured),
        })
    }

    fn generated(&self, db: &Database) -> Result<Collection> {
        say(&format!("making {} vectors of {} elements, and their index", grouped(self.points), self.dim));
        let schema = Schema::new().vector(self.dim as usize, Metric::Cosine);
        let collection = db.create_collection("bench", schema)?;
        let ids: Vec<u64> = (0..u64::from(self.points)).collect();
        for block in ids.chunks(5_000) {
            let point = |id: &u64| Point::new(*id).vector(around(*id, self.dim as usize));
            collection.upsert(block.iter().map(point).collect())?;
        }
        collection.optimize(true)?;
        Ok(collection)
    }

    /// Vectors of points chosen at random, the same each time.
    fn questions(&self, collection: &Collection) -> Result<Vec<Question>> {
        collection.schema().space(&self.using).map_err(|error| error.with_field("using"))?;
        let vectors = VectorSelect::Named(vec![self.using.clone()]);
        let select = Select { payload: PayloadSelect::None, vectors, ..Select::default() };
        let request = Request {
            query: Query::Sample { seed: Some(1) },
            limit: self.queries as usize,
            ..Request::default()
        };
        let (hits, _) = collection.search(request, &select)?;
        let question = |hit: Hit| match hit.vectors.into_iter().next() {
            Some((_, Vector::Dense(vector))) => Some((hit.id, vector)),
            _ => None,
        };
        let questions: Vec<Question> = hits.into_iter().filter_map(question).collect();
        match questions.len() {
            0 | 1 => {
                let message = format!(
                    "has fewer than two points with the vector `{}`; there is nothing to measure",
                    self.using
                );
                Err(Error::invalid("collection", message))
            }
            _ => Ok(questions),
        }
    }

    /// The score of the last true hit of each question, and how many there are.
    fn truth(&self, collection: &Collection, questions: &[Question]) -> Result<Vec<(usize, f32)>> {
        let exact = Params { is_exact: true, ..Params::default() };
        let last = |question: &Question| {
            let (hits, _) = self.ask(collection, question, exact)?;
            Ok((hits.len(), hits.last().map_or(f32::NEG_INFINITY, |hit| hit.score)))
        };
        questions.iter().map(last).collect()
    }

    fn ask(&self, collection: &Collection, question: &Question, params: Params) -> Result<(Vec<Hit>, Plan)> {
        let (id, vector) = question;
        let query = Query::Nearest { vector: vector.as_slice().into(), using: self.using.clone() };
        let request = Request { query, limit: self.limit as usize + 1, params, ..Request::default() };
        let (mut hits, plan) = collection.search(request, &Select::none())?;
        hits.retain(|hit| hit.id != *id);
        hits.truncate(self.limit as usize);
        Ok((hits, plan))
    }

    fn measure(
        &self,
        collection: &Collection,
        questions: &[Question],
        truth: &[(usize, f32)],
        effort: String,
        params: Params,
    ) -> Result<Measured> {
        let metric = collection.schema().space(&self.using)?.metric;
        let sign = if metric.larger_is_better() { -1.0 } else { 1.0 };
        for question in &questions[..questions.len().min(20)] {
            self.ask(collection, question, params)?;
        }
        let (mut found, mut wanted, mut seconds, mut way) = (0, 0, Vec::new(), "");
        for (question, (count, last)) in questions.iter().zip(truth) {
            let began = Instant::now();
            let (hits, plan) = self.ask(collection, question, params)?;
            seconds.push(began.elapsed().as_secs_f64());
            let least = last + sign * ROUNDING * last.abs().max(1.0);
            let is_true = |hit: &&Hit| metric.passes(hit.score, least);
            found += hits.iter().filter(is_true).count().min(*count);
            wanted += count;
            way = name(&plan);
        }
        seconds.sort_by(f64::total_cmp);
        Ok(Measured { effort, way, recall: found as f64 / wanted.max(1) as f64, seconds })
    }

    fn to_json(&self, points: usize, measured: &[Measured]) -> Value {
        let row = |one: &Measured| {
            json!({
                "effort": one.effort, "way": one.way, "recall": one.recall, "queries_per_second": one.rate(),
                "p50_ms": one.quantile_ms(0.5), "p99_ms": one.quantile_ms(0.99),
            })
        };
        json!({
            "collection": self.collection, "generated": self.collection.is_none(), "points": points, "k": self.limit,
            "queries": self.queries, "threads": 1, "over": "in process",
            "measured": measured.iter().map(row).collect::<Vec<_>>(),
        })
    }

    fn to_text(&self, points: usize, measured: &[Measured]) -> String {
        let row = |one: &Measured| {
            vec![
                one.effort.clone(),
                one.way.to_owned(),
                format!("{:.4}", one.recall),
                grouped(one.rate() as u64),
                format!("{:.3}", one.quantile_ms(0.5)),
                format!("{:.3}", one.quantile_ms(0.99)),
            ]
        };
        let recall = format!("recall@{}", self.limit);
        let heads = ["effort", "way", recall.as_str(), "queries/s", "p50 ms", "p99 ms"];
        let rows: Vec<Vec<String>> = measured.iter().map(row).collect();
        let what = match &self.collection {
            Some(name) => format!("{} points of `{name}`", grouped(points)),
            None => format!(
                "{} generated vectors of {} elements around {CENTRES} centres",
                grouped(points),
                self.dim
            ),
        };
        format!(
            "{}{what}; {} questions, which are vectors of the collection, on one thread, in process, without payloads\n",
            columns(&heads, &rows),
            grouped(measured.first().map_or(0, |one| one.seconds.len())),
        )
    }
}

impl Measured {
    fn rate(&self) -> f64 {
        self.seconds.len() as f64 / self.seconds.iter().sum::<f64>().max(1e-9)
    }

    fn quantile_ms(&self, share: f64) -> f64 {
        let at = ((self.seconds.len() as f64 * share) as usize).min(self.seconds.len().saturating_sub(1));
        self.seconds.get(at).map_or(0.0, |seconds| seconds * 1e3)
    }
}

/// What a plan does in the part with most rows.
fn name(plan: &Plan) -> &'static str {
    let Step::Vector { parts, .. } = &plan.step else { return "rows" };
    match parts.iter().max_by_key(|part| part.rows).map(|part| part.strategy) {
        Some(Strategy::Graph { .. }) => "graph",
        Some(Strategy::Codes) => "codes",
        Some(Strategy::Scan) | None => "scan",
    }
}

/// A vector around a centre, the same for the same number.
fn around(number: u64, dim: usize) -> Vec<f32> {
    let noise = |seed| Noise(Random(seed));
    let (mut centre, mut own) =
        (noise(number % CENTRES + 1), noise(number.wrapping_mul(0x9e37_79b9) + CENTRES + 1));
    (0..dim).map(|_| centre.next() + 0.6 * own.next()).collect()
}

/// Numbers of nearly normal distribution: sums of uniform ones.
struct Noise(Random);

impl Noise {
    fn next(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| self.uniform()).sum();
        (sum - 2.0) * 3f32.sqrt()
    }

    fn uniform(&mut self) -> f32 {
        (self.0.draw() >> 40) as f32 / (1u64 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command};
    use super::*;

    fn bench(arguments: &[&str]) -> Bench {
        let arguments = ["kithdb", "bench"].iter().chain(arguments);
        match Cli::try_parse_from(arguments).expect("arguments").command {
            Command::Bench(bench) => bench,
            _ => panic!("another command"),
        }
    }

    /// An effort of 0 was refused when all vectors had been made, and 0 hits had a recall of 0.
    #[test]
    fn what_cannot_be_measured_is_refused_at_once() {
        for wrong in [["--ef", "16,0"], ["-k", "0"], ["--queries", "0"]] {
            assert!(Cli::try_parse_from(["kithdb", "bench"].iter().chain(&wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn exact_searches_find_everything_and_others_no_more() {
        let bench = bench(&["--points", "600", "--dim", "8", "--queries", "30", "--ef", "10"]);
        let db = Database::in_memory().expect("a database");
        let collection = bench.generated(&db).expect("a collection");
        let questions = bench.questions(&collection).expect("questions");
        let truth = bench.truth(&collection, &questions).expect("answers");
        let measure =
            |params| bench.measure(&collection, &questions, &truth, String::new(), params).expect("measured");
        let exact = measure(Params { is_exact: true, ..Params::default() });
        assert_eq!((exact.recall, exact.seconds.len()), (1.0, 30));
        assert!(measure(Params { ef: Some(10), ..Params::default() }).recall <= 1.0);
        let own = &questions[0];
        let (hits, _) = bench.ask(&collection, own, Params::default()).expect("hits");
        assert!(hits.len() == 10 && hits.iter().all(|hit| hit.id != own.0));
        let told = bench.to_text(600, &[exact]);
        assert!(told.contains("recall@10") && told.contains("1.0000"), "{told}");
    }
}
