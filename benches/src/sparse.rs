//! Queries by sparse vectors: weights like those of BM25 over words that are as frequent as in a language.
//!
//! The same queries are asked of a head, of a segment, of a segment with dead rows, and with a filter that leaves a
//! share of the rows; every answer is compared with adding up every row, which is timed too.

use std::time::Instant;

use kithdb::{
    Collection, Condition, Database, FieldKind, Hit, Options, Point, QueryBuilder, Range, Result, Schema,
    Segments, SparseSpec, SparseVector,
};

use crate::clusters::Random;
use crate::figures::{Timings, milliseconds};
use crate::table::Table;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Points.
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Queries of each kind.
    #[arg(long, default_value_t = 500)]
    queries: usize,
}

/// Words of the language, of a point and of a query.
const WORDS: f64 = 30_000.0;
const POINT_WORDS: usize = 80;
const QUERY_WORDS: usize = 8;

/// Hits of a query.
const HITS: usize = 10;

/// Points of a write.
const BATCH: usize = 1_000;

/// The report, and whether every answer was exact.
pub(crate) fn run(arguments: &Arguments) -> Result<(String, bool)> {
    let mut random = Random::new(7);
    let points: Vec<SparseVector> = (0..arguments.rows).map(|_| vector(&mut random, POINT_WORDS)).collect();
    let queries: Vec<SparseVector> =
        (0..arguments.queries).map(|_| vector(&mut random, QUERY_WORDS)).collect();
    let folder = tempfile::tempdir()?;
    let segments = Segments { seal_rows: 1 << 24, ..Segments::default() };
    let db = Database::open_with(folder.path(), Options { segments, ..Options::default() })?;
    let schema = Schema::new()
        .sparse_vector("s", SparseSpec::default())
        .sparse_vector("idf", SparseSpec::idf())
        .field("n".parse()?, FieldKind::Integer);
    let collection = db.create_collection("c", schema)?;
    let began = Instant::now();
    for (batch, vectors) in points.chunks(BATCH).enumerate() {
        let point = |(at, vector): (usize, &SparseVector)| {
            let id = (batch * BATCH + at) as u64;
            Point::new(id)
                .named_vector("s", vector.clone())
                .named_vector("idf", vector.clone())
                .with("n", id % 100)
        };
        collection.upsert(vectors.iter().enumerate().map(point).collect())?;
    }
    eprintln!("written in {:.1} s", began.elapsed().as_secs_f64());
    let mut bench = Bench { collection, points, queries, table: Table::new(HEAD), is_exact: true };
    bench.plain();
    bench.measure("head", "s", None)?;
    bench.collection.optimize(true)?;
    bench.measure("segment", "s", None)?;
    bench.measure("segment, idf", "idf", None)?;
    bench.measure("segment, 10 % pass a filter", "s", Some(10))?;
    bench.measure("segment, 1 % passes a filter", "s", Some(1))?;
    let dead = (0..bench.points.len() as u64).filter(|id| id % 10 == 9).map(Into::into);
    bench.collection.delete(dead.collect())?;
    bench.measure("segment, 10 % dead", "s", None)?;
    bench.measure("segment, 10 % dead, idf", "idf", None)?;
    Ok((bench.table.to_text(), bench.is_exact))
}

const HEAD: [&str; 5] = ["10 hits", "queries a second", "p50", "p99", "exact"];

struct Bench {
    collection: Collection,
    points: Vec<SparseVector>,
    queries: Vec<SparseVector>,
    table: Table,
    is_exact: bool,
}

impl Bench {
    /// Adds up every row of a list in memory.
    fn plain(&mut self) {
        let mut timings = Timings::default();
        for query in self.queries.iter().take(20) {
            timings.time(|| best(&self.points, query, |_| true));
        }
        self.row("every row added up", &timings, true);
    }

    fn measure(&mut self, name: &str, using: &str, percent: Option<u64>) -> Result<()> {
        eprintln!("sparse: {name}");
        let mut timings = Timings::default();
        let mut is_exact = true;
        for (position, vector) in self.queries.iter().enumerate() {
            let hits = timings.time(|| self.ask(using, vector, percent)?.run())?;
            // Scores with rarity in them are compared in the tests of the rooms.
            if using == "s" && position < 20 {
                let is_dead = self.collection.status().points < self.points.len();
                let counts = |id: usize| {
                    (!is_dead || id % 10 != 9) && percent.is_none_or(|percent| (id as u64 % 100) < percent)
                };
                is_exact &= is_same(&hits, &best(&self.points, vector, counts));
            }
        }
        self.row(name, &timings, is_exact);
        Ok(())
    }

    fn ask(&self, using: &str, vector: &SparseVector, percent: Option<u64>) -> Result<QueryBuilder<'_>> {
        let query = self.collection.query().nearest_in(using, vector.clone()).limit(HITS);
        let query = query.with_payload(kithdb::PayloadSelect::None);
        match percent {
            Some(percent) => {
                let range = Range { lt: Some(percent as f64), ..Range::default() };
                Ok(query.filter(Condition::range("n", range)?))
            }
            None => Ok(query),
        }
    }

    fn row(&mut self, name: &str, timings: &Timings, is_exact: bool) {
        self.is_exact &= is_exact;
        let a_second = timings.count() as f64 / timings.sum().as_secs_f64();
        let (p50, p99) = (timings.percentile(0.5), timings.percentile(0.99));
        let exact = if is_exact { "yes" } else { "NO" };
        self.table.row([
            name.to_owned(),
            format!("{a_second:.0}"),
            milliseconds(p50),
            milliseconds(p99),
            exact.to_owned(),
        ]);
    }
}

/// Words by Zipf's law, each weighted as BM25 weights the words of a text, by how often and how rare.
fn vector(random: &mut Random, words: usize) -> SparseVector {
    let mut pairs = std::collections::BTreeMap::new();
    for _ in 0..words {
        let share = random.below(1 << 24) as f64 / f64::from(1 << 24);
        let word = WORDS.powf(share) as u32;
        *pairs.entry(word).or_insert(0.0_f32) += 1.0;
    }
    let weight = |(word, times): (u32, f32)| {
        let rarity = (1.0 + f64::from(word)).ln() as f32;
        (word, rarity * times * 2.2 / (times + 1.2))
    };
    SparseVector::of(pairs.into_iter().map(weight))
}

fn best(points: &[SparseVector], query: &SparseVector, counts: impl Fn(usize) -> bool) -> Vec<(usize, f32)> {
    let score = |(id, point): (usize, &SparseVector)| Some((id, query.dot(point)?));
    let mut scored: Vec<(usize, f32)> =
        points.iter().enumerate().filter(|(id, _)| counts(*id)).filter_map(score).collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scored.truncate(HITS);
    scored
}

fn is_same(hits: &[Hit], expected: &[(usize, f32)]) -> bool {
    let hits = hits.iter().map(|hit| (hit.id, hit.score));
    hits.eq(expected.iter().map(|(id, score)| ((*id as u64).into(), *score)))
}
