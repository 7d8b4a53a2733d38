//! The files of a collection's segments: where they lie, how they are opened, which of them are nobody's.
//!
//! ```text
//! <folder of the collection>/segments/<number>.seg   a segment
//! <folder of the collection>/segments/<number>.fld   its fields; replaced when other fields are indexed
//! <folder of the collection>/segments/<number>.spv   its sparse vectors, if the collection has any; likewise
//! ```
//!
//! What is to replace a file is written beside it, as `<file>.next`, before the commit of the schema that it is for,
//! and gets its name afterwards. The start takes whichever fits the schema, so that a kill in between costs nothing.
//!
//! Invariant: the list in storage says which of them count. A file that it does not name is left from a crash, and
//! removed; one that it names and that is not as it says makes the whole list worthless.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use index::fields::{Growing, Kinds, Mark, PartFields, Source, Stored, store};
use index::graph::Progress;
use index::sparse::{self, PartSparse};
use index::{Alive, Body, Segment};
use storage::{CatalogEntry, SegmentRecord, Store};
use types::{Error, Payload, Result, Vectors, Version};

use crate::derived::Laid;

/// Rows whose payloads are read, and whose fields are indexed, at once.
const BLOCK_ROWS: usize = 4096;

/// Where the segments of a collection lie.
#[derive(Clone)]
pub(crate) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Below the folder of a collection.
    pub(crate) fn new(collection: &Path) -> Self {
        Self { folder: collection.join("segments") }
    }

    pub(crate) fn segment(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.seg"))
    }

    pub(crate) fn fields(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.fld"))
    }

    pub(crate) fn sparse(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.spv"))
    }

    /// Makes the folder, durably.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn create(&self) -> Result<()> {
        create_folder(&self.folder)
    }

    /// Opens the segment of a record.
    ///
    /// # Errors
    /// `Corrupted`, `Io`, `UnsupportedFormat`: then its rows come from storage.
    pub(crate) fn open(&self, record: &SegmentRecord) -> Result<(Arc<Segment>, Alive)> {
        let path = self.segment(record.number);
        let segment = Segment::open(&path)?;
        let is_same = segment.checksum() == record.checksum
            && segment.rows() == record.rows
            && segment.versions() == (record.first, record.last);
        let alive = Alive::without(record.rows, &record.dead);
        match alive.filter(|_| is_same) {
            Some(alive) => Ok((Arc::new(segment), alive)),
            None => {
                Err(Error::corrupted(path.display().to_string(), "it is not the file that the list names"))
            }
        }
    }

    /// Opens the fields of a segment.
    ///
    /// # Errors
    /// `Corrupted` or `Io`: then they are made anew.
    pub(crate) fn open_fields(&self, number: u64, segment: &Segment, kinds: &Kinds) -> Result<PartFields> {
        open_fitting(&self.fields(number), |path| open_fields(path, segment, kinds))
    }

    /// Writes the fields of a segment, each column from the first source that knows it, or else from storage; and
    /// opens them.
    ///
    /// # Errors
    /// When storage cannot be read or the file not be written.
    pub(crate) fn write_fields(
        &self,
        (number, segment): (u64, &Arc<Segment>),
        kinds: &Kinds,
        known: Vec<Source<'_>>,
        stored: &StoredRows<'_>,
    ) -> Result<PartFields> {
        write_fields(&self.fields(number), segment, kinds, known, stored)
    }

    /// As [`write_fields`](Self::write_fields), beside those in use, which [`adopt_fields`](Self::adopt_fields)
    /// replaces.
    ///
    /// # Errors
    /// As for [`write_fields`](Self::write_fields).
    pub(crate) fn write_next_fields(
        &self,
        (number, segment): (u64, &Arc<Segment>),
        kinds: &Kinds,
        known: Vec<Source<'_>>,
        stored: &StoredRows<'_>,
    ) -> Result<PartFields> {
        write_fields(&next(&self.fields(number)), segment, kinds, known, stored)
    }

    /// Has the fields that were written beside those in use take their place. What fails here is done at the next
    /// start.
    pub(crate) fn adopt_fields(&self, numbers: &[u64]) {
        numbers.iter().for_each(|number| adopt(&self.fields(*number)));
    }

    /// Opens the sparse vectors of a segment.
    ///
    /// # Errors
    /// `Corrupted` or `Io`: then they are made anew.
    pub(crate) fn open_sparse(&self, number: u64, segment: &Segment, names: &[String]) -> Result<PartSparse> {
        if names.is_empty() {
            return Ok(PartSparse::of_head());
        }
        open_fitting(&self.sparse(number), |path| open_sparse(path, segment, names))
    }

    /// Writes the sparse vectors of a segment, from sources if all of them can be read, or else from storage; and opens
    /// them.
    ///
    /// # Errors
    /// When storage cannot be read or the file not be written.
    pub(crate) fn write_sparse(
        &self,
        (number, segment): (u64, &Arc<Segment>),
        known: &[sparse::Source<'_>],
        stored: &StoredRows<'_>,
    ) -> Result<PartSparse> {
        write_sparse(&self.sparse(number), segment, known, stored)
    }

    /// As [`write_sparse`](Self::write_sparse), from storage, beside those in use;
    /// [`adopt_sparse`](Self::adopt_sparse) replaces them.
    ///
    /// # Errors
    /// As for [`write_sparse`](Self::write_sparse).
    pub(crate) fn write_next_sparse(
        &self,
        (number, segment): (u64, &Arc<Segment>),
        stored: &StoredRows<'_>,
    ) -> Result<PartSparse> {
        write_sparse(&next(&self.sparse(number)), segment, &[], stored)
    }

    /// Has the sparse vectors that were written beside those in use take their place; where there are none any more,
    /// their files go. What fails here is done at the next start.
    pub(crate) fn adopt_sparse(&self, numbers: &[u64], has_sparse: bool) {
        for path in numbers.iter().map(|number| self.sparse(*number)) {
            if has_sparse {
                adopt(&path);
            } else {
                remove(&path);
            }
        }
    }

    /// Removes the files of a segment. What cannot be removed is removed at the next start.
    pub(crate) fn remove(&self, number: u64) {
        for path in [self.segment(number), self.fields(number), self.sparse(number)] {
            remove(&path);
            remove(&next(&path));
        }
    }

    /// Removes every file that belongs to none of these segments, and what was to replace one of theirs. For who has
    /// opened them. What cannot be removed stays: it stops no start.
    pub(crate) fn remove_others(&self, known: &[SegmentRecord], has_sparse: bool) {
        let Ok(found) = std::fs::read_dir(&self.folder) else { return };
        let known: Vec<PathBuf> = known
            .iter()
            .map(|record| record.number)
            .flat_map(|number| {
                let sparse = has_sparse.then(|| self.sparse(number));
                [self.segment(number), self.fields(number)].into_iter().chain(sparse)
            })
            .collect();
        let found = found.flatten().map(|file| file.path());
        found.filter(|path| !known.contains(path)).for_each(|path| remove(&path));
    }
}

/// Writes the fields of a segment to a file, see [`Files::write_fields`].
fn write_fields(
    path: &Path,
    segment: &Arc<Segment>,
    kinds: &Kinds,
    known: Vec<Source<'_>>,
    stored: &StoredRows<'_>,
) -> Result<PartFields> {
    let progress = stored.progress;
    if !store(path, kinds, mark(segment), std::slice::from_ref(&known), progress)? {
        let new: Kinds = kinds
            .iter()
            .filter(|(field, kind)| !known.iter().all(|source| source.kinds.get(field) == Some(kind)))
            .map(|(field, kind)| (field.clone(), *kind))
            .collect();
        // First only what is new; if a column that should be known is not, everything.
        let is_written = !known.is_empty() && {
            let read = stored.fields(&Body::Segment(Arc::clone(segment)), &new)?;
            let source = Source { kinds: &new, fields: &read, moves: None };
            store(path, kinds, mark(segment), &[known, vec![source]], progress)?
        };
        if !is_written {
            let read = stored.fields(&Body::Segment(Arc::clone(segment)), kinds)?;
            let source = Source { kinds, fields: &read, moves: None };
            store(path, kinds, mark(segment), &[vec![source]], progress)?;
        }
    }
    open_fields(path, segment, kinds)
}

/// Opens what is to replace a file, which it does then; or the file, where that is missing or does not fit.
fn open_fitting<T>(path: &Path, open: impl Fn(&Path) -> Result<T>) -> Result<T> {
    match open(&next(path)) {
        Ok(opened) => {
            adopt(path);
            Ok(opened)
        }
        // It may be the one that fits.
        Err(error) if error.remedy().is_some() => Err(error),
        Err(_) => open(path),
    }
}

fn open_fields(path: &Path, segment: &Segment, kinds: &Kinds) -> Result<PartFields> {
    let stored = Stored::open(path, kinds, mark(segment))?;
    Ok(PartFields::Stored(Arc::new(stored)))
}

fn open_sparse(path: &Path, segment: &Segment, names: &[String]) -> Result<PartSparse> {
    let stored = sparse::Stored::open(path, names, mark(segment))?;
    Ok(PartSparse::Stored(Arc::new(stored)))
}

/// Writes the sparse vectors of a segment to a file, see [`Files::write_sparse`].
fn write_sparse(
    path: &Path,
    segment: &Arc<Segment>,
    known: &[sparse::Source<'_>],
    stored: &StoredRows<'_>,
) -> Result<PartSparse> {
    let names: Vec<String> = stored.entry.schema.sparse.keys().cloned().collect();
    if names.is_empty() {
        return Ok(PartSparse::of_head());
    }
    let progress = stored.progress;
    if known.is_empty() || !sparse::store(path, &names, mark(segment), known, progress)? {
        let read = stored.sparse(&Body::Segment(Arc::clone(segment)), &names)?;
        let source = sparse::Source { sparse: &read, moves: None };
        sparse::store(path, &names, mark(segment), &[source], progress)?;
    }
    open_sparse(path, segment, &names)
}

/// What is to take the place of a file.
fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

/// Has what was written beside a file take its place, if there is anything.
fn adopt(path: &Path) {
    if let Err(error) = std::fs::rename(next(path), path)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %path.display(), "a file could not be replaced; the next start does it");
    }
}

/// Removes a file, if it is there and can be.
pub(crate) fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %path.display(), "a file that nobody needs stays until the next start");
    }
}

/// Makes a folder, the directory of a database or one below, and those above it that are missing, durably: a file in it
/// may be as durable as it will, it is lost with the name of its folder.
///
/// # Errors
/// `Io`.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    let refused = |folder: &Path, source: std::io::Error| {
        let message = format!("the directory `{}` cannot be made: {source}", folder.display());
        Error::new(types::ErrorKind::of_io(&source), message).with_source(source)
    };
    std::fs::create_dir_all(folder).map_err(|error| refused(folder, error))?;
    for parent in missing.iter().filter_map(|folder| folder.parent()) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let synced = std::fs::File::open(parent).and_then(|parent| parent.sync_all());
        synced.map_err(|error| refused(parent, error))?;
    }
    Ok(())
}

fn mark(segment: &Segment) -> Mark {
    Mark { rows: segment.rows(), checksum: segment.checksum() }
}

/// What is read from storage to make files of.
#[derive(Clone)]
pub(crate) struct StoredRows<'a> {
    pub(crate) store: &'a Store,
    pub(crate) entry: Arc<CatalogEntry>,
    /// Tells when to give up: then it is an error, `Busy`.
    pub(crate) progress: &'a dyn Progress,
}

impl StoredRows<'_> {
    fn check_goes_on(&self) -> Result<()> {
        if self.progress.is_cancelled() {
            let message = "the database closes, or the collection was dropped, before its rows were read";
            return Err(Error::new(types::ErrorKind::Busy, message));
        }
        Ok(())
    }

    /// The sparse vectors of every row of a part. A version that is purged by now is dead, and has none.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub(crate) fn sparse(&self, body: &Body, names: &[String]) -> Result<PartSparse> {
        let (mut sparse, rows) = (PartSparse::of_head(), body.rows());
        for first in (0..rows).step_by(BLOCK_ROWS) {
            self.check_goes_on()?;
            let last = rows.min(first + BLOCK_ROWS as u32);
            let versions: Vec<Version> = (first..last).filter_map(|row| body.version(row)).collect();
            let mut block = vec![Vectors::new(); versions.len()];
            for name in names {
                let read = self.store.vectors(&self.entry, name, &versions)?;
                for (vectors, vector) in block.iter_mut().zip(read) {
                    vectors.extend(vector.map(|vector| (name.clone(), vector)));
                }
            }
            sparse.append(names, first, &block.iter().collect::<Vec<_>>());
        }
        Ok(sparse)
    }

    /// The fields of every row of a part. A version that is purged by now is dead, and has no fields.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub(crate) fn fields(&self, body: &Body, kinds: &Kinds) -> Result<PartFields> {
        let (mut growing, rows) = (Growing::default(), body.rows());
        if kinds.is_empty() {
            return Ok(PartFields::Growing(growing));
        }
        for first in (0..rows).step_by(BLOCK_ROWS) {
            self.check_goes_on()?;
            let last = rows.min(first + BLOCK_ROWS as u32);
            let versions: Vec<Version> = (first..last).filter_map(|row| body.version(row)).collect();
            let read = self.store.payloads(self.entry.id, &versions)?;
            let payloads: Vec<Payload> =
                read.into_iter().map(|row| row.map_or_else(Payload::new, |(_, payload)| payload)).collect();
            growing.append(kinds, first, &payloads.iter().collect::<Vec<_>>());
        }
        Ok(PartFields::Growing(growing))
    }
}

/// A segment as a part.
pub(crate) fn laid(
    number: u64,
    segment: Arc<Segment>,
    alive: Alive,
    (fields, sparse): (PartFields, PartSparse),
) -> Laid {
    Laid { body: Body::Segment(segment), number: Some(number), alive, fields, sparse }
}
