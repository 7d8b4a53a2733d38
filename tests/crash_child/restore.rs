//! Recovers a collection from one file and from another, in turn, until it is dead. Says `0 <n>` once the n-th is done.

use std::path::Path;

use kithdb::{Database, Options, Result, Segments};

use crate::say;

pub(super) fn run(folder: &str, files: &[String]) -> Result<()> {
    let segments = Segments { seal_rows: 64, ..Segments::default() };
    let db = Database::open_with(folder, Options { segments, ..Options::default() })?;
    say("open");
    for (number, file) in (1..).zip(files.iter().cycle()) {
        db.recover_collection("a", Path::new(file), None)?;
        say(&format!("0 {number}"));
    }
    Ok(())
}
