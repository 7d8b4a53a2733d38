//! Searching under filters, by the graph and by a scan of the codes of what passes: where is one faster than the other?
//!
//! A filter gives each row a label and each query the label it wants. Some are blind to vectors and pass a share of the
//! rows; `corr` passes the query's own cluster, `anti` the one farthest from it. Sets of rows are made beforehand: what
//! a database pays to find out who passes is not in these figures.

use std::collections::HashMap;
use std::path::Path;

use index::graph::{Bits, Effort, Near, Shows};
use index::segment::Space;
use kithdb::Result;
use serde_json::{Value, json};

use super::arrays;
use super::dataset::{Dataset, HITS, NONE};
use super::job::Job;
use super::measure::{self, recall};
use super::sealed::READABLE;
use crate::clusters::Random;

/// Filters that pass rows whose number is below this.
const BELOW: [(&str, u32); 4] = [("attr50", 500), ("attr10", 100), ("attr1", 10), ("attr0.1", 1)];

/// Of the rows with number 0, one in so many passes the narrowest filter.
const NARROWEST: usize = 10;

/// Ways to answer: by the graph with these windows, and by a scan.
const WAYS: [Way; 3] = [Way::Graph(64), Way::Graph(256), Way::Codes];

/// A pass is as long as this, or has this few queries.
const PASS_SECONDS: f64 = 2.0;
const PASS_QUERIES_MIN: usize = 30;

/// Queries that are asked to learn how long one takes.
const TRIED: usize = 10;

/// Which rows pass for which query.
#[derive(Debug, PartialEq)]
pub(super) struct Filter {
    pub(super) name: String,
    /// Of each row.
    labels: Vec<u32>,
    /// Of each query: rows with this label pass.
    wanted: Vec<u32>,
    /// The true hits of each query.
    truth: Vec<u32>,
}

/// How a query under a filter is answered.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// By the graph, with this window.
    Graph(usize),
    /// By the codes of every row that passes.
    Codes,
}

/// The filters of a set, with their true hits.
///
/// # Errors
/// What reading known true hits returns.
pub(super) fn of(set: &Dataset, threads: usize) -> Result<Vec<Filter>> {
    let labels = &set.labels;
    let passing = |name: &str, passes: &dyn Fn(usize, u32) -> bool| {
        let flag = |(row, number): (usize, &u32)| u32::from(passes(row, *number));
        let flags = labels.numbers.iter().enumerate().map(flag).collect();
        Filter::new(name, flags, vec![1; set.query_count()])
    };
    let mut all = Vec::from(BELOW.map(|(name, end)| passing(name, &|_, number| number < end)));
    // Another seed than that of the numbers.
    let is_drawn = |row: usize| Random::new(!(row as u64)).below(NARROWEST) == 0;
    all.push(passing("attr0.01", &|row, number| number == 0 && is_drawn(row)));
    if !labels.clusters.is_empty() {
        all.push(Filter::new("corr", labels.clusters.clone(), labels.nearest.clone()));
        all.push(Filter::new("anti", labels.clusters.clone(), labels.farthest.clone()));
    }
    for filter in &mut all {
        filter.truth = match set.filter_truth(&filter.name)? {
            Some(known) => known,
            None => {
                eprintln!("true hits under {}", filter.name);
                let passes = |query: usize, row: usize| filter.labels[row] == filter.wanted[query];
                set.exact().nearest(&passes, threads)
            }
        };
    }
    Ok(all)
}

impl Filter {
    /// A filter whose true hits are not known yet.
    fn new(name: &str, labels: Vec<u32>, wanted: Vec<u32>) -> Self {
        Self { name: name.to_owned(), labels, wanted, truth: Vec::new() }
    }

    /// # Errors
    /// `Io`.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        for (part, words) in [("labels", &self.labels), ("wanted", &self.wanted), ("truth", &self.truth)] {
            arrays::write_words(&folder.join(format!("{}-{part}", self.name)), words)?;
        }
        Ok(())
    }

    /// # Errors
    /// `Io`.
    pub(super) fn read(folder: &Path, name: &str) -> Result<Self> {
        let read = |part: &str| arrays::read_words(&folder.join(format!("{name}-{part}")));
        Ok(Self {
            name: name.to_owned(),
            labels: read("labels")?,
            wanted: read("wanted")?,
            truth: read("truth")?,
        })
    }

    /// The rows of each label that is wanted.
    fn sets(&self) -> HashMap<u32, Bits> {
        let rows = self.labels.len() as u32;
        let mut sets: HashMap<u32, Bits> =
            self.wanted.iter().map(|label| (*label, Bits::new(rows))).collect();
        for (row, label) in (0..rows).zip(&self.labels) {
            if let Some(set) = sets.get_mut(label) {
                set.insert(row);
            }
        }
        sets
    }
}

/// A figure for each filter and way.
pub(super) fn measure(space: &Space, job: &Job) -> Vec<Value> {
    let mut figures = Vec::new();
    for filter in &job.filters {
        eprintln!("filter {}", filter.name);
        let sets = filter.sets();
        let shown: Vec<&Bits> = filter.wanted.iter().map(|label| &sets[label]).collect();
        figures.extend(WAYS.map(|way| way.measure(space, job, filter, &shown)));
    }
    figures
}

impl Way {
    fn measure(self, space: &Space, job: &Job, filter: &Filter, shown: &[&Bits]) -> Value {
        let queries = job.queries();
        let ask = |query: usize| self.ask(space, queries[query], shown[query]);
        let tried = measure::calls(1, TRIED.min(queries.len()), ask);
        let affordable = PASS_SECONDS * tried.per_second();
        let count = (affordable as usize).max(PASS_QUERIES_MIN).min(queries.len());
        let calls = measure::calls(job.passes, count, ask);
        let passing: f64 = shown[..count].iter().map(|bits| f64::from(bits.len())).sum();
        let hits: usize = calls.answers.iter().map(Vec::len).sum();
        let wanted = filter.truth[..count * HITS].iter().filter(|hit| **hit != NONE).count();
        json!({
            "filter": filter.name,
            "way": self.name(),
            "nq": count,
            "passing": passing / (count * job.rows) as f64,
            "recall": (wanted > 0).then(|| recall(calls.answers.iter().map(Vec::as_slice), &filter.truth)),
            "hits": hits as f64 / count as f64,
            "hits_wanted": wanted as f64 / count as f64,
            "qps1_call": calls.per_second(),
            "p50_us": calls.microseconds(0.5),
            "p99_us": calls.microseconds(0.99),
        })
    }

    fn ask(self, space: &Space, query: &[f32], shown: &Bits) -> Vec<Near> {
        let near = match self {
            Self::Graph(window) => {
                let found = space.search(query, Shows::Only(shown), HITS, Effort { window });
                found.map(|found| found.near)
            }
            Self::Codes => space.scan_codes(query, shown.iter(), HITS),
        };
        near.expect(READABLE)
    }

    fn name(self) -> String {
        match self {
            Self::Graph(window) => format!("graph, window {window}"),
            Self::Codes => "scan of codes".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_pass_what_their_names_say() {
        let set = Dataset::synthetic("20000x16".parse().expect("a shape"), 2);
        let filters = of(&set, 2).expect("nothing is read");
        let names: Vec<&str> = filters.iter().map(|filter| filter.name.as_str()).collect();
        assert_eq!(names, ["attr50", "attr10", "attr1", "attr0.1", "attr0.01", "corr", "anti"]);
        let passing = |filter: &Filter| filter.sets()[&filter.wanted[0]].len();
        for (filter, expected) in filters.iter().zip([9_000..11_000, 1_800..2_200, 150..250, 5..50, 0..10]) {
            assert!(expected.contains(&passing(filter)), "{}: {}", filter.name, passing(filter));
        }
        assert!(filters[4].labels.iter().zip(&filters[3].labels).all(|(narrow, wide)| narrow <= wide));
        for filter in &filters {
            let hits = filter.truth.chunks(HITS).zip(&filter.wanted);
            let passes = |hit: &u32, label: u32| *hit == NONE || filter.labels[*hit as usize] == label;
            assert!(hits.into_iter().all(|(hits, label)| hits.iter().all(|hit| passes(hit, *label))));
        }
        let unfiltered = set.truth.chunks(HITS).zip(&filters[5].wanted);
        let own = unfiltered.filter(|(hits, label)| filters[5].labels[hits[0] as usize] == **label).count();
        assert!(own > set.query_count() / 4, "{own} nearest rows are of their query's cluster");
    }

    #[test]
    fn a_filter_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let filter =
            Filter { name: "a".to_owned(), labels: vec![1, 0, 2], wanted: vec![2, 2], truth: vec![NONE; 20] };
        filter.write(folder.path()).expect("writes");
        assert_eq!(Filter::read(folder.path(), "a").expect("reads"), filter);
        assert_eq!(filter.sets().len(), 1);
        assert_eq!(filter.sets()[&2].iter().collect::<Vec<u32>>(), [2]);
    }
}
