//! The fields of a segment, in a file beside it: one section a column, read when a filter first asks for it.
//!
//! ```text
//!  section   contents
//!  "fields"  revision:u32  rows:u32  segment:u32   of the columns; the segment's rows; its checksum
//!            count:u32, then for each field: kind, path; each a length:u32 and UTF-8
//!  "colNNNNN" the column of field NNNNN, from 00000; described in `codec`
//! ```
//!
//! Invariant: a file of another revision, another segment or other fields does not open, and a column whose checksum
//! does not agree is not used: its rows are unknown then, and payloads decide. Either way it is made anew from storage,
//! so the revision has no history.

use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use types::{Error, Result};

use super::codec::{self, Cursor};
use super::column::Column;
use super::{Kinds, given_up};
use crate::file::{FileWriter, Kind, Sections};
use crate::graph::Progress;

/// Raised when columns come to be written in another way, or texts to be keys that were none: `types::datetime` takes a
/// space before a zone, and the zone `UTC`, since 3.
const REVISION: u32 = 3;

const HEADER: Kind = Kind(*b"fields  ");

/// The segment that a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its rows.
    pub rows: u32,
    /// Its checksum.
    pub checksum: u32,
}

/// The fields of a segment.
pub struct Stored {
    sections: Sections,
    rows: u32,
    kinds: Kinds,
    columns: Vec<OnceLock<Option<Column>>>,
    is_damaged: AtomicBool,
}

impl Stored {
    /// Maps the file of a segment's fields. Reads its header; the columns are left alone.
    ///
    /// # Errors
    /// `Corrupted` when it is damaged, or does not belong to these fields of this segment; `Io`.
    pub fn open(path: &Path, kinds: &Kinds, mark: Mark) -> Result<Self> {
        let sections = Sections::open(path)?;
        sections.verify_section(HEADER)?;
        let header = sections.section(HEADER)?;
        if header != encode_header(kinds, mark) {
            let why = "it has other fields, or is of another segment";
            return Err(Error::corrupted(format!("the file of fields {}", path.display()), why));
        }
        let columns = kinds.iter().map(|_| OnceLock::new()).collect();
        Ok(Self {
            sections,
            rows: mark.rows,
            kinds: kinds.clone(),
            columns,
            is_damaged: AtomicBool::new(false),
        })
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// `Corrupted`, naming the section; `Io`.
    pub fn verify(&self) -> Result<()> {
        self.sections.verify()?;
        (0..self.kinds.len()).try_for_each(|position| self.read(position).map(drop))
    }

    /// Whether every column that was asked for could be read.
    pub fn is_sound(&self) -> bool {
        !self.is_damaged.load(Ordering::Relaxed)
    }

    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// A column, read now if it was not before; nothing if it is damaged.
    pub(super) fn column(&self, position: usize) -> Option<&Column> {
        let read = || match self.read(position) {
            Ok(column) => Some(column),
            Err(error) => {
                self.is_damaged.store(true, Ordering::Relaxed);
                tracing::warn!(%error, "a column of fields cannot be read; payloads decide until it is made anew");
                None
            }
        };
        self.columns.get(position)?.get_or_init(read).as_ref()
    }

    fn read(&self, position: usize) -> Result<Column> {
        let section = column_kind(position);
        self.sections.verify_section(section)?;
        let kind = *self.kinds.values().nth(position).expect("callers ask for fields that there are");
        let damaged = || Error::corrupted(format!("{section:?} of the fields"), "it does not parse");
        codec::decode(kind, self.sections.section(section)?, self.rows).ok_or_else(damaged)
    }

    pub(super) fn bytes(&self) -> usize {
        let loaded = self.columns.iter().filter_map(|column| column.get()?.as_ref());
        loaded.map(Column::bytes).sum()
    }
}

/// Writes the columns of a segment's fields, durably and at once.
///
/// # Errors
/// `Io`; `Busy` when it was stopped.
pub(super) fn write(
    path: &Path,
    kinds: &Kinds,
    mark: Mark,
    columns: &[Column],
    progress: &dyn Progress,
) -> Result<()> {
    let mut file = FileWriter::create(path)?;
    file.section(HEADER)?.write_all(&encode_header(kinds, mark))?;
    for (position, column) in columns.iter().enumerate() {
        if progress.is_cancelled() {
            return Err(given_up(path));
        }
        file.section(column_kind(position))?.write_all(&codec::encode(column))?;
    }
    file.finish().map(drop)
}

fn column_kind(position: usize) -> Kind {
    let mut name = *b"col00000";
    let mut rest = position;
    for digit in name.iter_mut().rev().take(5) {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    Kind(name)
}

fn encode_header(kinds: &Kinds, mark: Mark) -> Vec<u8> {
    let mut header = Vec::new();
    for number in [REVISION, mark.rows, mark.checksum, kinds.len() as u32] {
        header.extend_from_slice(&number.to_le_bytes());
    }
    for (path, kind) in kinds {
        Cursor::put_bytes(&mut header, kind.name().as_bytes());
        Cursor::put_bytes(&mut header, path.to_string().as_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use types::{ErrorKind, FieldKind, Payload};

    use super::*;
    use crate::fields::{Fields, PartFields, Source, store};

    /// Stops when it was asked so often.
    struct After(AtomicUsize);

    impl Progress for After {
        fn built(&self, _rows: u32) {}

        fn is_cancelled(&self) -> bool {
            self.0.fetch_sub(1, Ordering::Relaxed) == 0
        }
    }

    /// In one of revision 2 `2024-06-01 12:00:00 UTC` is no time, so that ranges would pass it over.
    #[test]
    fn a_file_of_an_earlier_revision_does_not_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let kinds: Kinds = ["t"].map(|name| (name.parse().expect("a path"), FieldKind::Datetime)).into();
        let (path, mark) = (folder.path().join("1.fld"), Mark { rows: 1, checksum: 7 });
        for (revision, opens) in [(2, false), (REVISION, true)] {
            let mut header = encode_header(&kinds, mark);
            header[..4].copy_from_slice(&u32::to_le_bytes(revision));
            let mut file = FileWriter::create(&path).expect("a file");
            file.section(HEADER).expect("a section").put(&header).expect("written");
            file.finish().expect("durable");
            assert_eq!(Stored::open(&path, &kinds, mark).is_ok(), opens, "{revision}");
        }
    }

    #[test]
    fn columns_that_nobody_needs_any_more_are_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let kinds: Kinds = ["a", "b"].map(|name| (name.parse().expect("a path"), FieldKind::Integer)).into();
        let mut head = Fields::over(Arc::new(kinds.clone()), vec![(0, PartFields::of_head())]);
        head.append(0, &[&Payload::from_iter([("a".to_owned(), 1.into()), ("b".to_owned(), 2.into())])]);
        let (path, mark) = (folder.path().join("1.fld"), Mark { rows: 1, checksum: 7 });
        let written = |asked: usize| {
            let part = head.parts().next().expect("one part");
            let source = Source { kinds: &kinds, fields: part, moves: None };
            store(&path, &kinds, mark, &[vec![source]], &After(AtomicUsize::new(asked)))
        };
        // Before each column is read, and before each is written.
        for asked in 0..4 {
            assert_eq!(written(asked).expect_err("stopped").kind(), ErrorKind::Busy);
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "{asked}");
        }
        assert!(written(4).expect("written"));
    }
}
