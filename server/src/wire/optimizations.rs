//! `GET collections/{name}/optimizations`: what is built, what waits to be, what stands; and that it is built now.
//!
//! Segments have no ids here; those that are told count them, from the first.

use kithdb::{BuildStatus, Error, Result, Status, Value};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// `POST /api/v1/collections/{name}/optimize`, ours: one segment of all rows.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Optimize {
    wait: Option<bool>,
}

impl Optimize {
    /// Whether the answer comes when it is done.
    pub(crate) fn is_awaited(&self) -> bool {
        self.wait == Some(true)
    }
}

/// What may be asked for besides.
const WITH: [&str; 3] = ["queued", "completed", "idle_segments"];

/// What is built, with the parts that were asked for.
///
/// # Errors
/// `InvalidArgument` on `with` for a part that does not exist.
pub(crate) fn optimizations(status: &Status, with: &[&str]) -> Result<Value> {
    if let Some(unknown) = with.iter().find(|part| !WITH.contains(part)) {
        return Err(Error::invalid("with", format!("`{unknown}` is none of {}", WITH.join(", "))));
    }
    // Heads that are full wait to become segments; the one that takes rows does not.
    let is_waiting = status.waiting_rows > 0;
    let queued =
        status.waiting_rows - status.build.as_ref().map_or(0, |build| build.rows.min(status.waiting_rows));
    let idle: Vec<Value> = (1..)
        .zip(&status.segments)
        .map(|(number, idle)| segment(number, idle.rows - idle.dead_rows))
        .collect();
    let mut told = json!({
        "summary": {
            "queued_optimizations": u8::from(queued > 0),
            "queued_segments": u8::from(is_waiting && queued > 0),
            "queued_points": queued,
            "idle_segments": idle.len() + 1,
        },
        "running": status.build.iter().map(running).collect::<Vec<_>>(),
    });
    for part in with {
        told[*part] = match *part {
            "queued" if queued > 0 => json!([{"optimizer": "seal", "segments": [segment(0, queued)]}]),
            "idle_segments" => {
                let head = segment(0, status.head_rows - status.waiting_rows);
                std::iter::once(head).chain(idle.iter().cloned()).collect::<Vec<_>>().into()
            }
            _ => json!([]),
        };
    }
    Ok(told)
}

fn running(build: &BuildStatus) -> Value {
    json!({
        "uuid": id(0),
        "optimizer": build.what,
        "status": "optimizing",
        "segments": [segment(0, build.rows)],
        "progress": {"name": build.what, "done": build.vectors_built, "total": build.vectors},
    })
}

fn segment(number: u64, points: usize) -> Value {
    json!({"uuid": id(number), "points_count": points})
}

fn id(number: u64) -> String {
    format!("00000000-0000-0000-0000-{number:012x}")
}

#[cfg(test)]
mod tests {
    use kithdb::{Database, Metric, Point, Schema};

    use super::*;

    #[test]
    fn what_stands_is_told_when_it_is_asked_for() {
        let db = Database::in_memory().expect("a database");
        let collection =
            db.create_collection("c", Schema::new().vector(1, Metric::Dot)).expect("a collection");
        collection.upsert((0..9).map(|id| Point::new(id).vector([1.0])).collect()).expect("written");
        collection.optimize(true).expect("a segment");
        collection.delete(vec![3.into()]).expect("deleted");
        let status = collection.status();
        let told = optimizations(&status, &[]).expect("told");
        assert_eq!((&told["running"], told.get("queued")), (&json!([]), None));
        let told = optimizations(&status, &WITH).expect("told");
        assert_eq!((&told["queued"], &told["completed"]), (&json!([]), &json!([])));
        let points: Vec<&Value> = told["idle_segments"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| &one["points_count"])
            .collect();
        assert_eq!((points, &told["summary"]["idle_segments"]), (vec![&json!(0), &json!(8)], &json!(2)));
        assert_eq!(optimizations(&status, &["all"]).expect_err("unknown").field(), Some("with"));
    }

    #[test]
    fn what_is_built_and_what_waits_are_counted_apart() {
        let build = BuildStatus { what: "seal", rows: 20, vectors: 20, vectors_built: 5 };
        let db = Database::in_memory().expect("a database");
        let idle = db.create_collection("c", Schema::new()).expect("a collection").status();
        let status = Status { build: Some(build), waiting_rows: 50, head_rows: 60, ..idle };
        let told = optimizations(&status, &["queued", "idle_segments"]).expect("told");
        assert_eq!(
            (&told["summary"]["queued_points"], &told["running"][0]["progress"]["done"]),
            (&json!(30), &json!(5))
        );
        assert_eq!(told["queued"][0]["segments"][0]["points_count"], 30);
        assert_eq!(told["idle_segments"][0]["points_count"], 10);
    }
}
