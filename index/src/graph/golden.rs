//! What searches of fixed graphs find and what they take, held against a file: a change of the algorithm is seen in
//! review.
//!
//! Hops and distances count alike on every machine: codes, rotations and sums of integers do not depend on its
//! instructions. After an intended change, run the test with `KITHDB_GOLDEN=write` and review the difference of
//! `golden.txt`.

use std::fmt::Write as _;

use super::tests::{Built, clustered, options};
use super::*;

const WINDOWS: [usize; 3] = [10, 30, 90];

/// One line for each query and window: hops, distances, then the rows found.
fn lines(built: &Built, name: &str) -> String {
    let (mut text, queries) = (String::new(), clustered(built.metric, built.dim, 3, 11));
    let half = Bits::of(built.count(), (0..built.count()).filter(|row| row % 3 == 0));
    for (number, query) in queries.chunks_exact(built.dim).enumerate() {
        for window in WINDOWS {
            for (what, shows) in [("all", Shows::All), ("third", Shows::Only(&half))] {
                let found = built.graph.search(&built.tiers(), query, shows, 5, Effort { window });
                let found = found.expect("in memory");
                let rows: Vec<String> = found.near.iter().map(|near| near.0.to_string()).collect();
                let Found { hops, distances, .. } = found;
                let rows = rows.join(" ");
                let _ = writeln!(
                    text,
                    "{name} {what} query {number} window {window}: {hops} {distances} | {rows}"
                );
            }
        }
    }
    text
}

#[test]
fn searches_take_the_steps_that_are_written_down() {
    let mut text = String::new();
    for metric in [Metric::Cosine, Metric::Euclid, Metric::Dot] {
        for (nav, name) in [(Nav::Nibbles, "nibbles"), (Nav::Bits, "bits")] {
            let built = Built::new(metric, 48, 3_000, &options(nav));
            text += &lines(&built, &format!("{metric} {name}"));
        }
    }
    if std::env::var_os("KITHDB_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/graph/golden.txt");
        std::fs::write(path, &text).expect("written");
    }
    assert_eq!(text, include_str!("golden.txt"), "reviewed? then write it with KITHDB_GOLDEN=write");
}
