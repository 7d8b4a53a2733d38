//! Making one segment of some parts that lie side by side: a head that is full, or segments that are merged.
//!
//! Invariant: a segment holds the rows that were alive when its build began, and those that past states show, in their
//! order. Rows that die while it is built are dead in it from its first moment; none can arrive, since its parts take
//! no rows.
//! Cost: vectors come from the parts, fields and sparse vectors from their columns and lists; storage is read only for
//! those that cannot be.

use std::sync::Arc;

use index::fields::{Kinds, NO_ROW, PartFields, Source};
use index::graph::{Options, Progress};
use index::segment::{Base, Block, Draft, SpaceSpec, write};
use index::sparse::{self, PartSparse};
use index::{Alive, Body, Segment};
use storage::CatalogEntry;
use types::{PointId, Result, Slot, Version};

use crate::derived::{Derived, Laid};
use crate::files::{Files, StoredRows};

/// A segment that is to be made.
pub(crate) struct Build {
    entry: Arc<CatalogEntry>,
    /// Its parts, as they were when it began.
    parts: Vec<Laid>,
    /// For each part, the rows that it gives.
    rows: Vec<Alive>,
    number: u64,
}

/// A segment that has been made, and is not yet a part.
pub(crate) struct Built {
    /// Nothing if every row was dead.
    segment: Option<(Arc<Segment>, PartFields, PartSparse)>,
    /// The fields that were indexed.
    kinds: Kinds,
}

impl Build {
    /// Of these parts; versions that have gone and are to be kept keep their rows.
    pub(crate) fn begin(derived: &mut Derived, range: std::ops::Range<usize>, kept: &[Version]) -> Self {
        let number = derived.give_number();
        let parts: Vec<Laid> = derived.laid().drain(range).collect();
        let rows = |laid: &Laid| {
            let mut rows = laid.alive.clone();
            let kept = kept.iter().filter_map(|version| laid.body.row_of(*version));
            kept.for_each(|row| rows.insert(Slot(row)));
            rows
        };
        let rows = parts.iter().map(rows).collect();
        Self { entry: Arc::clone(&derived.entry), parts, rows, number }
    }

    /// How many rows it will have.
    pub(crate) fn rows(&self) -> usize {
        self.rows.iter().map(Alive::len).sum()
    }

    /// How many vectors there are in all its spaces: the measure of how long it takes.
    pub(crate) fn vectors(&self) -> u64 {
        let spaces = || self.entry.schema.vectors.keys();
        let count = |laid: &Laid| spaces().map(|space| u64::from(laid.body.vectors(space))).sum::<u64>();
        self.parts.iter().map(count).sum()
    }

    /// Bytes that it will have, about: those of its parts, without what is dead in them.
    pub(crate) fn bytes(&self) -> u64 {
        let of = |(laid, rows): (&Laid, &Alive)| {
            let bytes = match &laid.body {
                Body::Segment(segment) => segment.bytes() as f64,
                Body::Head(head) => head.bytes() as f64,
            };
            (bytes * rows.len() as f64 / f64::from(laid.body.rows().max(1))) as u64
        };
        self.parts.iter().zip(&self.rows).map(of).sum()
    }

    /// Whether a head is among its parts.
    pub(crate) fn takes_heads(&self) -> bool {
        self.parts.iter().any(|laid| matches!(laid.body, Body::Head(_)))
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The numbers of the segments that it replaces.
    pub(crate) fn replaced(&self) -> Vec<u64> {
        self.parts.iter().filter_map(|laid| laid.number).collect()
    }

    /// Writes it; nothing if it was cancelled, where what was written of it remains. `stored` has the same progress.
    ///
    /// # Errors
    /// `Corrupted` when one of its parts is damaged; `Io`.
    pub(crate) fn run(
        &self,
        files: &Files,
        stored: &StoredRows<'_>,
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<Option<Built>> {
        let kinds = self.entry.schema.fields.clone();
        if self.rows() == 0 {
            return Ok(Some(Built { segment: None, kinds }));
        }
        // What is copied unseen would be damaged under a checksum that agrees.
        for laid in &self.parts {
            if let Body::Segment(segment) = &laid.body
                && !segment.verify_until(&|| progress.is_cancelled())?
            {
                return Ok(None);
            }
        }
        files.create()?;
        let path = files.segment(self.number);
        let moves = self.moves();
        let mut draft = Rows { build: self, moves: &moves };
        let options = Options { threads, ..Options::default() };
        if write(&path, &mut draft, &options, progress)?.is_none() {
            return Ok(None);
        }
        let segment = Arc::new(Segment::open(&path)?);
        let known = self.parts.iter().zip(&moves);
        let known =
            known.map(|(laid, moves)| Source { kinds: &kinds, fields: &laid.fields, moves: Some(moves) });
        let fields = files.write_fields((self.number, &segment), &kinds, known.collect(), stored);
        let known = self.parts.iter().zip(&moves);
        let known = known.map(|(laid, moves)| sparse::Source { sparse: &laid.sparse, moves: Some(moves) });
        let known: Vec<sparse::Source<'_>> = known.collect();
        let derived = fields.and_then(|fields| {
            let sparse = files.write_sparse((self.number, &segment), &known, stored)?;
            Ok((fields, sparse))
        });
        match derived {
            Ok((fields, sparse)) => Ok(Some(Built { segment: Some((segment, fields, sparse)), kinds })),
            // Whoever writes them stops as well.
            Err(_) if progress.is_cancelled() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// For each part, which row each of its rows becomes.
    fn moves(&self) -> Vec<Vec<u32>> {
        let mut next = 0_u32;
        let moves = self.parts.iter().zip(&self.rows).map(|(laid, rows)| {
            let mut moves = vec![NO_ROW; laid.body.rows() as usize];
            for row in rows.iter() {
                moves[row.index()] = next;
                next += 1;
            }
            moves
        });
        moves.collect()
    }

    /// Puts what was built in the place of its parts; `false` if they are no longer there.
    ///
    /// # Errors
    /// When other fields are indexed by now, and storage cannot be read or their file not be written.
    pub(crate) fn install(
        &self,
        built: &Built,
        derived: &mut Derived,
        files: &Files,
        stored: &StoredRows<'_>,
    ) -> Result<bool> {
        let bodies: Vec<&Body> = self.parts.iter().map(|laid| &laid.body).collect();
        let Some(range) = derived.find(&bodies) else { return Ok(false) };
        // It would lack a vector that has come, or have one that is gone.
        if !self.entry.schema.has_vectors_of(&derived.entry.schema) {
            return Ok(false);
        }
        let mut laid = derived.laid();
        let Some((segment, fields, sparse)) = &built.segment else {
            laid.drain(range);
            derived.lay(laid);
            return Ok(true);
        };
        let kinds = &derived.entry.schema.fields;
        let fields = if *kinds == built.kinds {
            fields.clone()
        } else {
            let known = vec![Source { kinds: &built.kinds, fields, moves: None }];
            files.write_fields((self.number, segment), kinds, known, stored)?
        };
        let mut alive = Alive::full(segment.rows());
        let mut next = 0..;
        for (rows, now) in self.rows.iter().zip(&laid[range.clone()]) {
            for (row, new) in rows.iter().zip(next.by_ref()) {
                if !now.alive.contains(row) {
                    alive.remove(Slot(new));
                }
            }
        }
        let new = crate::files::laid(self.number, Arc::clone(segment), alive, (fields, sparse.clone()));
        laid.splice(range, [new]);
        derived.lay(laid);
        Ok(true)
    }
}

/// The rows of a build, as the writer of segments asks for them.
struct Rows<'a> {
    build: &'a Build,
    /// For each part, which row each of its rows becomes.
    moves: &'a [Vec<u32>],
}

impl Draft for Rows<'_> {
    fn spaces(&self) -> Vec<SpaceSpec> {
        let spaces = self.build.entry.schema.vectors.iter();
        spaces
            .map(|(name, spec)| SpaceSpec {
                name: name.clone(),
                dim: spec.dim,
                metric: spec.metric,
                datatype: spec.datatype,
                nav: spec.codes.into(),
            })
            .collect()
    }

    fn rows(&mut self) -> Box<dyn Iterator<Item = Result<(Version, PointId)>> + '_> {
        let identity = |laid: &Laid, row: Slot| laid.body.version(row.0).zip(laid.body.id(row.0));
        let damaged = || types::Error::corrupted("a row that is to be sealed", "it has no identity");
        let parts = self.build.parts.iter().zip(&self.build.rows);
        let rows = parts.flat_map(move |(laid, rows)| {
            rows.iter().map(move |row| identity(laid, row).ok_or_else(damaged))
        });
        Box::new(rows)
    }

    fn vectors(&mut self, space: usize, versions: &[Version], block: &mut Block) -> Result<()> {
        let Some(name) = self.build.entry.schema.vectors.keys().nth(space) else { return Ok(()) };
        for version in versions {
            let begins = |laid: &Laid| laid.body.first_version().is_some_and(|first| first <= *version);
            let part = self.build.parts[..self.build.parts.partition_point(begins)].last();
            let place = part.and_then(|laid| Some((laid, laid.body.row_of(*version)?)));
            let vector = place.map_or(Ok(None), |(laid, row)| laid.body.vector(row, name))?;
            block.push(vector.as_deref());
        }
        Ok(())
    }

    /// The segment with the most rows that stay, and have the vector.
    fn base(&self, space: usize) -> Option<Base<'_>> {
        let name = self.build.entry.schema.vectors.keys().nth(space)?;
        let parts = self.build.parts.iter().zip(&self.build.rows).zip(self.moves);
        let segments = parts.filter_map(|((laid, rows), moves)| match &laid.body {
            Body::Segment(segment) => Some((segment.space(name)?, rows.len(), moves)),
            Body::Head(_) => None,
        });
        let largest = segments.max_by_key(|(space, rows, _)| (*rows).min(space.count() as usize));
        largest.map(|(space, _, moves)| Base { space, becomes: moves })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use types::{FieldKind, Metric, Point, Schema};

    use super::*;
    use crate::Database;

    /// Stops once a file is there.
    struct Until(PathBuf);

    impl Progress for Until {
        fn built(&self, _rows: u32) {}

        fn is_cancelled(&self) -> bool {
            self.0.exists()
        }
    }

    /// Else a close waits for the fields of millions of rows.
    #[test]
    fn a_build_whose_segment_is_written_can_still_be_cancelled() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Database::open(folder.path()).expect("a database");
        let schema = Schema::new().vector(1, Metric::Euclid);
        let schema = schema.field("n".parse().expect("a path"), FieldKind::Integer);
        let notes = db.create_collection("notes", schema).expect("a collection");
        let points = (0..10_u64).map(|id| Point::new(id).vector([id as f32]).with("n", id));
        notes.upsert(points.collect()).expect("points");
        let mut derived = notes.shared.derived.lock();
        derived.freeze();
        let build = Build::begin(&mut derived, 0..1, &[]);
        let entry = Arc::clone(&derived.entry);
        drop(derived);
        let files = db.engine.files(notes.shared.id);
        let until = Until(files.segment(build.number()));
        let stored = StoredRows { store: &db.engine.store, entry, progress: &until };
        assert!(build.run(&files, &stored, 1, &until).expect("no error").is_none());
        assert!(until.is_cancelled() && !files.fields(build.number()).exists());
        let stored = StoredRows { progress: &(), ..stored };
        assert!(build.run(&files, &stored, 1, &()).expect("no error").is_some());
    }
}
