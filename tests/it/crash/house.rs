//! What the chores leave: known from their number, read from the database, and held against each other.

use std::path::Path;

use kithdb::{Database, Filter};

use super::chores::{ALIAS, COPY, Chore, IMPORT_BLOCK_ROWS, IMPORT_ROWS, SCRATCH, chore};
use super::script::COLLECTIONS;
use crate::folder::files;

/// What there is beside the points of the writers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct House {
    /// Whether the field is indexed, for each collection.
    fields: [bool; 2],
    pub(super) has_copy: bool,
    /// Of the first collection.
    pub(super) snapshots: usize,
    /// Of everything.
    snapshots_of_all: usize,
    scratch: Option<Scratch>,
    is_named: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Scratch {
    rows: u64,
    has_more: bool,
}

impl House {
    /// As it is after so many chores.
    pub(super) fn after(number: u64) -> Self {
        let mut house = Self::default();
        (1..=number).for_each(|number| house.apply(chore(number)));
        house
    }

    fn apply(&mut self, chore: Chore) {
        match chore {
            Chore::Make => self.scratch = Some(Scratch::default()),
            Chore::Import => self.change(|scratch| scratch.rows = IMPORT_ROWS),
            Chore::AddVector => self.change(|scratch| scratch.has_more = true),
            Chore::RemoveVector => self.change(|scratch| scratch.has_more = false),
            Chore::Name => self.is_named = self.scratch.is_some(),
            Chore::Snapshot => self.snapshots = 1,
            Chore::SnapshotAll => self.snapshots_of_all = 1,
            Chore::Copy => self.has_copy = true,
            Chore::Field(side) => self.fields[side] ^= true,
            Chore::RemoveSnapshot => self.snapshots = 0,
            Chore::RemoveSnapshotAll => self.snapshots_of_all = 0,
            Chore::DropScratch => (self.scratch, self.is_named) = (None, false),
            Chore::DropCopy => self.has_copy = false,
            Chore::Optimize(_) | Chore::Rebuild | Chore::Flush => {}
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Scratch)) {
        // The first round begins in its middle.
        if let Some(scratch) = &mut self.scratch {
            change(scratch);
        }
    }

    /// As it is.
    pub(super) fn read(db: &Database) -> kithdb::Result<Self> {
        let mut house = Self { has_copy: db.collection(COPY).is_ok(), ..Self::default() };
        let path = "number".parse()?;
        for (side, name) in COLLECTIONS.iter().enumerate() {
            house.fields[side] = db.collection(name)?.schema().fields.contains_key(&path);
        }
        house.snapshots = db.snapshots(Some(COLLECTIONS[0]))?.len();
        house.snapshots_of_all = db.snapshots(None)?.len();
        house.is_named = db.aliases().contains_key(ALIAS);
        if let Ok(scratch) = db.collection(SCRATCH) {
            let schema = scratch.schema();
            let has_more = schema.vectors.contains_key("more");
            if schema.sparse.contains_key("words") != has_more {
                return Err(kithdb::Error::corrupted("the schema", "half of a change is there"));
            }
            house.scratch = Some(Scratch { rows: scratch.count(&Filter::default())? as u64, has_more });
        }
        Ok(house)
    }

    /// Whether a crash in the midst of the chore that leaves this house may leave `found`.
    fn may_be_half(&self, found: &Self, next: Chore) -> bool {
        let Some(Scratch { rows, .. }) = found.scratch.as_ref().filter(|_| next == Chore::Import) else {
            return false;
        };
        let mut whole = found.clone();
        whole.change(|scratch| scratch.rows = IMPORT_ROWS);
        whole == *self && rows.is_multiple_of(IMPORT_BLOCK_ROWS)
    }

    /// The number of the last chore that is done, when this one was acknowledged.
    pub(super) fn reached(&self, acknowledged: u64) -> Result<u64, String> {
        let (least, most) = (Self::after(acknowledged), Self::after(acknowledged + 1));
        if *self == most {
            return Ok(acknowledged + 1);
        }
        if *self == least || most.may_be_half(self, chore(acknowledged + 1)) {
            return Ok(acknowledged);
        }
        let next = chore(acknowledged + 1);
        Err(format!(
            "after chore {acknowledged} it should be {least:?}, or {most:?} ({next:?}); it is {self:?}"
        ))
    }
}

/// Whether the directory of a database that has been opened has only what belongs there.
pub(super) fn check_files(folder: &Path, db: &Database) -> Result<(), String> {
    let named = |file: &Path| file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    for file in files(&folder.join("index")) {
        if named(&file).ends_with(".part") {
            return Err(format!("{} was left over", file.display()));
        }
    }
    let folders = std::fs::read_dir(folder.join("index")).map_or(0, |found| found.count());
    // One without keywords has a folder only once it has a segment.
    if folders > db.collections().len() {
        return Err(format!("{folders} folders of indexes for {} collections", db.collections().len()));
    }
    let kept = folder.join("snapshots");
    for file in if kept.exists() { files(&kept) } else { Vec::new() } {
        let name = named(&file);
        let of = name.strip_suffix(".sha256").map(|name| file.with_file_name(name));
        if name.starts_with('.') || of.is_some_and(|of| !of.exists()) {
            return Err(format!("{} was left over", file.display()));
        }
    }
    Ok(())
}

#[test]
fn the_house_tells_what_is_done_from_what_is_not() {
    for number in 1..60 {
        let found = House::after(number);
        let reached = found.reached(number);
        assert!(reached == Ok(number) || reached == Ok(number + 1), "{number}: {reached:?}");
        assert!(found.reached(number - 1).is_ok(), "not yet acknowledged");
        // Nothing else does what this one does, so it is missed.
        if let Chore::Make | Chore::Copy | Chore::Field(_) | Chore::RemoveSnapshot = chore(number)
            && House::after(number) != House::after(number - 1)
        {
            assert!(House::after(number - 1).reached(number).is_err(), "{number}");
        }
    }
    let number = (20..).find(|number| chore(number + 1) == Chore::Import).expect("a round");
    let mut half = House::after(number);
    half.change(|scratch| scratch.rows = IMPORT_BLOCK_ROWS);
    assert_eq!(half.reached(number), Ok(number), "a block of an import");
    half.change(|scratch| scratch.rows += 1);
    assert!(half.reached(number).is_err(), "half a block");
}
