//! The keeper: does the chores, one after the other, and says which were acknowledged.

use std::sync::Arc;
use std::time::Instant;

use kithdb::arrow::array::{FixedSizeListArray, Float32Array, RecordBatch, RecordBatchIterator, UInt64Array};
use kithdb::arrow::datatypes::{DataType, Field, Schema as Columns};
use kithdb::bulk::ImportOptions;
use kithdb::{
    AliasChange, Collection, Database, Durability, Error, ErrorKind, FieldKind, Metric, Result, Schema,
    SparseSpec, VectorSpec,
};

use crate::chores::{ALIAS, COPY, Chore, IMPORT_ROWS, SCRATCH, chore};
use crate::script::COLLECTIONS;
use crate::{say, say_failed};

/// Does the chores that follow.
pub(crate) fn keep(db: &Database, thread: u64, after: u64) -> Result<()> {
    for number in after + 1.. {
        run(db, chore(number))?;
        say(&format!("{thread} {number}"));
    }
    Ok(())
}

/// Does them until then, or until one fails; says so.
pub(crate) fn keep_until(db: &Database, thread: u64, after: u64, end: Instant) {
    for number in (after + 1..).take_while(|_| Instant::now() < end) {
        match run(db, chore(number)) {
            Ok(()) => say(&format!("{thread} {number}")),
            Err(error) => return say_failed(thread, &error),
        }
    }
}

fn run(db: &Database, chore: Chore) -> Result<()> {
    let (first, scratch) = (Some(COLLECTIONS[0]), || present(db.collection(SCRATCH)));
    match chore {
        Chore::Make => match db.create_collection(SCRATCH, Schema::new().vector(2, Metric::Euclid)) {
            // The crash came between the two.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => drop(made?),
        },
        Chore::Import => scratch()?.map_or(Ok(()), |scratch| import(&scratch))?,
        Chore::AddVector => with_more(scratch()?, true)?,
        Chore::RemoveVector => with_more(scratch()?, false)?,
        Chore::Name if scratch()?.is_some() => {
            db.change_aliases(vec![AliasChange::Set { alias: ALIAS.into(), collection: SCRATCH.into() }])?;
        }
        Chore::Name => {}
        Chore::Snapshot => drop(db.create_snapshot(first)?),
        Chore::SnapshotAll => drop(db.create_snapshot(None)?),
        Chore::Copy => {
            for snapshot in db.snapshots(first)? {
                let path = db.snapshot_path(first, &snapshot.name)?;
                db.recover_collection(COPY, &path, snapshot.checksum.as_deref())?;
            }
        }
        Chore::Field(side) => toggle(&db.collection(COLLECTIONS[side])?)?,
        Chore::Optimize(side) => db.collection(COLLECTIONS[side])?.optimize(true)?,
        Chore::Rebuild => db.rebuild()?,
        Chore::Flush => db.flush()?,
        Chore::RemoveSnapshot => remove_snapshots(db, first)?,
        Chore::RemoveSnapshotAll => remove_snapshots(db, None)?,
        Chore::DropScratch => drop(db.drop_collection(SCRATCH)?),
        Chore::DropCopy => drop(db.drop_collection(COPY)?),
    }
    Ok(())
}

/// Nothing where there is no such collection.
fn present(found: Result<Collection>) -> Result<Option<Collection>> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

fn import(scratch: &Collection) -> Result<()> {
    let invalid = |error: kithdb::arrow::error::ArrowError| Error::invalid("batches", error.to_string());
    let item = Arc::new(Field::new_list_field(DataType::Float32, false));
    let elements = Float32Array::from_iter_values((0..IMPORT_ROWS * 2).map(|n| n as f32));
    let vectors =
        FixedSizeListArray::try_new(Arc::clone(&item), 2, Arc::new(elements), None).map_err(invalid)?;
    let columns = Arc::new(Columns::new(vec![
        Field::new("id", DataType::UInt64, false),
        Field::new("vector", DataType::FixedSizeList(item, 2), false),
    ]));
    let ids = UInt64Array::from_iter_values(0..IMPORT_ROWS);
    let batch = RecordBatch::try_new(Arc::clone(&columns), vec![Arc::new(ids), Arc::new(vectors)]);
    let batches = RecordBatchIterator::new([batch], columns);
    let options = ImportOptions { durability: Some(Durability::Fsync), ..ImportOptions::default() };
    scratch.import(batches, &options, &mut |_| ()).map(drop)
}

fn with_more(scratch: Option<Collection>, has_more: bool) -> Result<()> {
    let Some(scratch) = scratch else { return Ok(()) };
    let change = move |schema: &mut Schema| {
        if has_more {
            schema.vectors.insert("more".to_owned(), VectorSpec::new(2, Metric::Dot));
            schema.sparse.insert("words".to_owned(), SparseSpec::default());
        } else {
            schema.vectors.remove("more");
            schema.sparse.remove("words");
        }
        Ok(())
    };
    scratch.configure(change).map(drop)
}

fn toggle(collection: &Collection) -> Result<()> {
    let path: kithdb::FieldPath = "number".parse()?;
    let is_indexed = collection.schema().fields.contains_key(&path);
    let done = if is_indexed {
        collection.drop_field(path)
    } else {
        collection.create_field(path, FieldKind::Integer)
    };
    done.map(drop)
}

fn remove_snapshots(db: &Database, of: Option<&str>) -> Result<()> {
    db.snapshots(of)?.iter().try_for_each(|snapshot| db.delete_snapshot(of, &snapshot.name))
}
