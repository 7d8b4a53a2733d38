//! `kithdb snapshot`: of a directory that no server has open, or of a server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use kithdb::{Error, ErrorKind, Result, Value};
use serde_json::json;

use super::place::PlaceArgs;
use super::terminal::{columns, counted, grouped, print};
use crate::address::encoded;
use crate::wire::snapshot::Described;

/// Make, list, restore and delete snapshots.
#[derive(Args)]
pub(super) struct Snapshot {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a snapshot of a collection, or of everything
    Create(Of),
    /// List the snapshots of a collection, or of everything
    List(Of),
    /// Make a collection of a snapshot; it takes the place of what is there
    Restore(Restore),
    /// Delete a snapshot
    Delete(Delete),
}

#[derive(Args)]
struct Of {
    /// The collection; without it, everything
    #[arg(long, short, value_name = "NAME")]
    collection: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Args)]
struct Restore {
    /// The name of a snapshot of the collection, or a file
    snapshot: PathBuf,
    /// The collection
    #[arg(long, short, value_name = "NAME")]
    collection: String,
    /// SHA-256 that the file must have, in hexadecimal
    #[arg(long, value_name = "HEX")]
    checksum: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Args)]
struct Delete {
    /// The name of the snapshot
    snapshot: String,
    #[command(flatten)]
    of: Of,
}

impl Snapshot {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self.action {
            Action::Create(of) => {
                let made = of.create()?;
                let told = format!("made {}, {} bytes\n", text(&made, "name"), grouped(bytes(&made)));
                of.tell(&made, &told);
            }
            Action::List(of) => {
                let all = of.list()?;
                let told = listed(all.as_array().map_or(&[][..], Vec::as_slice));
                of.tell(&all, &told);
            }
            Action::Restore(restore) => restore.run()?,
            Action::Delete(delete) => {
                delete.of.delete(&delete.snapshot)?;
                let told = format!("deleted {}\n", delete.snapshot);
                delete.of.tell(&json!({"deleted": delete.snapshot}), &told);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Of {
    fn tell(&self, value: &Value, told: &str) {
        if self.place.json { print(&format!("{value}\n")) } else { print(told) }
    }

    /// The address on a server.
    fn path(&self) -> String {
        match &self.collection {
            Some(name) => format!("/collections/{}/snapshots", encoded(name)),
            None => "/snapshots".to_owned(),
        }
    }

    fn create(&self) -> Result<Value> {
        match self.place.unhurried_server() {
            Some(server) => server.post(&format!("{}?timeout=86400", self.path()), &json!({})),
            None => {
                let db = self.place.open_existing()?;
                Ok(json!(Described::from(db.create_snapshot(self.collection.as_deref())?)))
            }
        }
    }

    fn list(&self) -> Result<Value> {
        match self.place.server() {
            Some(server) => server.get(&self.path()),
            None => {
                let all = self.place.open_existing()?.snapshots(self.collection.as_deref())?;
                Ok(json!(all.into_iter().map(Described::from).collect::<Vec<_>>()))
            }
        }
    }

    fn delete(&self, name: &str) -> Result<()> {
        match self.place.server() {
            Some(server) => server.delete(&format!("{}/{}", self.path(), encoded(name))).map(drop),
            None => self.place.open_existing()?.delete_snapshot(self.collection.as_deref(), name),
        }
    }
}

impl Restore {
    fn run(&self) -> Result<()> {
        let (file, name) = (self.snapshot.as_path(), self.snapshot.to_string_lossy());
        match self.place.unhurried_server() {
            Some(server) if file.is_file() => {
                let checksum = self.checksum.as_deref().map(|hex| format!("?checksum={}", encoded(hex)));
                let path = format!(
                    "/collections/{}/snapshots/upload{}",
                    encoded(&self.collection),
                    checksum.unwrap_or_default()
                );
                server.upload_file(&path, file)?;
            }
            Some(server) => {
                let body = json!({"location": name, "checksum": self.checksum});
                let path = format!("/collections/{}/snapshots/recover", encoded(&self.collection));
                server.put(&path, &body)?;
            }
            None => self.restore_directory(file)?,
        }
        if self.place.json {
            print(&format!("{}\n", json!({"restored": self.collection, "snapshot": name})));
        } else {
            print(&format!("`{}` is what {name} holds\n", self.collection));
        }
        Ok(())
    }

    fn restore_directory(&self, file: &Path) -> Result<()> {
        let db = self.place.open()?;
        let kept;
        let file = if file.is_file() {
            file
        } else {
            kept = db.snapshot_path(Some(&self.collection), &file.to_string_lossy()).map_err(|error| {
                let message =
                    format!("{} Give the name of one that `list` shows, or a file.", error.message());
                Error::new(ErrorKind::NotFound, message).with_source(error)
            })?;
            kept.as_path()
        };
        db.recover_collection(&self.collection, file, self.checksum.as_deref())?;
        db.flush()
    }
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn bytes(value: &Value) -> u64 {
    value["size"].as_u64().unwrap_or(0)
}

/// The list as a table.
fn listed(all: &[Value]) -> String {
    let row = |one: &Value| {
        let checksum = text(one, "checksum").chars().take(12).collect::<String>();
        vec![
            text(one, "name").to_owned(),
            grouped(bytes(one)),
            text(one, "creation_time").to_owned(),
            checksum,
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let closing = counted(all.len(), "snapshot");
    if rows.is_empty() {
        return format!("{closing}\n");
    }
    format!("{}{closing}\n", columns(&["snapshot", "bytes", "made (UTC)", "sha256"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_table_and_none_is_said() {
        let one = json!({"name": "a.snapshot", "size": 12345, "creation_time": "2026-01-01T00:00:00",
                         "checksum": "0123456789abcdef"});
        let told = listed(&[one]);
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[1].starts_with("  a.snapshot  12,345  2026-01-01T00:00:00  0123456789ab"), "{told}");
        assert_eq!((lines.len(), lines[2]), (3, "1 snapshot"));
        assert_eq!(listed(&[]), "0 snapshots\n");
    }
}
