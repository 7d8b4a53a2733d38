//! `kithdb doctor`: everything that is stored is read and held against each other; indexes are made anew if so asked.

use std::process::ExitCode;

use clap::Args;
use kithdb::{Database, Fault, Health, Result};
use serde_json::{Value, json};

use super::open::DataArgs;
use super::terminal::{grouped, print, say, table};

/// Verify a database.
#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    data: DataArgs,
    /// Make every index anew from storage, and verify again
    #[arg(long)]
    repair: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(self) -> Result<ExitCode> {
        let db = self.data.open_existing()?;
        let mut health = db.verify()?;
        if self.repair {
            say(&format!("{} found; every index is made anew", faults(&health)));
            db.rebuild()?;
            health = db.verify()?;
        }
        if self.json {
            print(&format!("{}\n", to_json(&db, &health)));
        } else {
            print(&to_text(&db, &health, self.repair));
        }
        Ok(if health.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn faults(health: &Health) -> String {
    super::terminal::counted(health.faults.len(), "fault")
}

fn to_text(db: &Database, health: &Health, is_repaired: bool) -> String {
    let mut rows = vec![
        ("collections", grouped(health.collections)),
        ("points", format!("{}  stored rows read, checksums held", grouped(health.points))),
        ("vectors", format!("{}  held against storage", grouped(health.vectors))),
        ("segments", format!("{}  every byte read, checksums held", grouped(health.segments))),
        ("keyword documents", format!("{}  held against storage", grouped(health.keyword_documents))),
    ];
    for rebuilt in &db.start().rebuilt {
        rows.push((
            "rebuilt at open",
            format!("{} index of `{}`: {}", rebuilt.index, rebuilt.collection, rebuilt.reason),
        ));
    }
    let mut text = format!("checked\n{}", table(&rows));
    for fault in &health.faults {
        text.push_str(&format!("fault in `{}`, {}: {}\n", fault.collection, fault.part, fault.message));
    }
    text.push_str(&verdict(health, is_repaired));
    text
}

fn verdict(health: &Health, is_repaired: bool) -> String {
    if health.faults.is_empty() {
        return "healthy\n".to_owned();
    }
    let mendable = health.faults.iter().filter(|fault| fault.is_mendable()).count();
    let advice = match mendable {
        _ if is_repaired => "what remains is in storage itself; restore it from a copy",
        0 => "all of it in storage itself; restore it from a copy",
        _ => "`kithdb doctor --repair` makes the indexes anew",
    };
    format!("{}: {advice}\n", faults(health))
}

fn to_json(db: &Database, health: &Health) -> Value {
    let faults: Vec<Value> = health
        .faults
        .iter()
        .map(|fault| {
            let Fault { collection, part, message } = fault;
            json!({
                "collection": collection, "part": part, "message": message, "is_mendable": fault.is_mendable(),
            })
        })
        .collect();
    let rebuilt: Vec<Value> = db
        .start()
        .rebuilt
        .iter()
        .map(|rebuilt| json!({"collection": rebuilt.collection, "index": rebuilt.index, "reason": rebuilt.reason}))
        .collect();
    json!({
        "is_healthy": health.faults.is_empty(),
        "collections": health.collections,
        "points": health.points,
        "vectors": health.vectors,
        "segments": health.segments,
        "keyword_documents": health.keyword_documents,
        "rebuilt_at_open": rebuilt,
        "faults": faults,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_says_what_to_do() {
        let fault = |part| Fault { collection: "c".into(), part, message: "m".into() };
        let health = |faults| Health { faults, ..Health::default() };
        assert_eq!(verdict(&health(vec![]), false), "healthy\n");
        assert!(verdict(&health(vec![fault("keyword"), fault("storage")]), false).contains("--repair"));
        assert!(verdict(&health(vec![fault("storage")]), false).contains("restore"));
        assert!(verdict(&health(vec![fault("storage")]), true).contains("remains"));
    }
}
