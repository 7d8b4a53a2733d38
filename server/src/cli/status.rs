//! `kithdb status`: where collections stand, of a directory or of a running server.
//!
//! Cost: of a directory, the comparison that a server makes in the background (see [`Collection::drift`]); of queries
//! only a server knows.

use std::process::ExitCode;

use clap::Args;
use kithdb::{Collection, Result};
use serde_json::{Value, json};

use super::place::PlaceArgs;
use super::search::with_names;
use super::terminal::{counted, grouped, print, table};
use crate::address::encoded;
use crate::wire::describe::describe_fully;

/// Tell where collections stand: what they hold, what searches find, whether vectors drift.
#[derive(Args)]
pub(super) struct Status {
    /// The collections; all of them if none is named
    #[arg(value_name = "COLLECTION")]
    collections: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

impl Status {
    pub(super) fn run(self) -> Result<ExitCode> {
        let told = match self.place.server() {
            Some(server) => {
                let mut names = self.collections.clone();
                if names.is_empty() {
                    names = listed(&server.get("/collections")?);
                }
                let told = |name: String| {
                    let told = server.get(&format!("/api/v1/collections/{}", encoded(&name)))?;
                    Ok((name, told))
                };
                names.into_iter().map(told).collect::<Result<Vec<_>>>()?
            }
            None => self.of_directory()?,
        };
        if self.place.json {
            let told: serde_json::Map<String, Value> = told.into_iter().collect();
            print(&format!("{}\n", json!(told)));
        } else {
            print(&told.iter().map(|(name, told)| to_text(name, told)).collect::<String>());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn of_directory(&self) -> Result<Vec<(String, Value)>> {
        let db = self.place.data.open_existing()?;
        let collections: Vec<Collection> = match self.collections.is_empty() {
            true => db.collections(),
            false => {
                let named = self.collections.iter().map(|name| db.collection(name));
                named.collect::<Result<_>>().map_err(|error| with_names(error, &db))?
            }
        };
        let told = |collection: Collection| {
            collection.drift()?;
            Ok((collection.name().to_owned(), describe_fully(&collection)))
        };
        collections.into_iter().map(told).collect()
    }
}

/// The names in a list of collections.
fn listed(told: &Value) -> Vec<String> {
    let all = told["collections"].as_array().map_or(&[][..], Vec::as_slice);
    all.iter().filter_map(|one| one["name"].as_str()).map(str::to_owned).collect()
}

fn to_text(name: &str, told: &Value) -> String {
    let count = |key: &str| grouped(told[key].as_u64().unwrap_or_default());
    let segments = told["segments"].as_array().map_or(0, Vec::len);
    let beside = counted(told["head_rows"].as_u64().unwrap_or_default(), "row");
    let rest = format!("{}, {beside} beside them", counted(segments, "segment"));
    let mut rows = vec![
        ("points", count("points")),
        ("vectors", format!("{}, {} of them linked", count("vectors_count"), count("vectors_linked"))),
        ("indexes", rest),
    ];
    if let Some(failure) = told["build_failure"].as_str() {
        rows.push(("build", failure.to_owned()));
    }
    let each = |key: &str| told[key].as_array().map_or(&[][..], Vec::as_slice).iter();
    rows.extend(each("measured_recall").map(|one| ("recall", recall(one))));
    rows.extend(each("drift").map(|one| ("drift", drift(one))));
    format!("`{name}`, at commit {}\n{}", told["seqno"], table(&rows))
}

/// A vector by its name; the unnamed one has none.
fn of_vector(one: &Value) -> String {
    one["vector"]
        .as_str()
        .filter(|name| !name.is_empty())
        .map_or_else(String::new, |name| format!(" ({name})"))
}

fn figure(value: &Value) -> String {
    format!("{:.2}", value.as_f64().unwrap_or_default())
}

fn recall(one: &Value) -> String {
    let (low, high) = (figure(&one["interval"][0]), figure(&one["interval"][1]));
    let asked = grouped(one["queries"].as_u64().unwrap_or_default());
    format!("{} ({low} to {high}), asked {asked} times{}", figure(&one["recall"]), of_vector(one))
}

fn drift(one: &Value) -> String {
    let difference = one["difference"].as_f64().unwrap_or_default();
    let side = if difference < 0.0 { "nearer" } else { "farther" };
    let usual = match one["usual"].is_null() {
        true => String::new(),
        false => format!(", up to {} is usual", figure(&one["usual"])),
    };
    let verdict = if one["has_drifted"] == true { "drifted" } else { "as it was" };
    format!(
        "{}{}: {verdict}; {:.2} {side}, {} at least{usual}",
        one["of"].as_str().unwrap_or_default(),
        of_vector(one),
        difference.abs(),
        figure(&one["least"]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_told_in_lines() {
        let told = json!({
            "points": 1200, "seqno": 7, "vectors_count": 1200, "vectors_linked": 0, "segments": [{}], "head_rows": 3,
            "measured_recall": [{"vector": "v", "recall": 0.987, "interval": [0.97, 0.99], "queries": 12}],
            "drift": [
                {"vector": "", "of": "incoming", "difference": 0.75, "least": 0.5, "usual": 0.2, "has_drifted": true},
                {"vector": "", "of": "queries", "difference": -0.1, "least": 0.0, "usual": null, "has_drifted": false},
            ],
        });
        let lines = [
            "`notes`, at commit 7",
            "  points   1,200",
            "  vectors  1,200, 0 of them linked",
            "  indexes  1 segment, 3 rows beside them",
            "  recall   0.99 (0.97 to 0.99), asked 12 times (v)",
            "  drift    incoming: drifted; 0.75 farther, 0.50 at least, up to 0.20 is usual",
            "  drift    queries: as it was; 0.10 nearer, 0.00 at least",
        ];
        assert_eq!(to_text("notes", &told), format!("{}\n", lines.join("\n")));
        assert_eq!(listed(&json!({"collections": [{"name": "a"}, {"name": "b"}]})), ["a", "b"]);
    }
}
