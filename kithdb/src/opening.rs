//! Opening the segments that storage names, with their fields and sparse vectors.
//!
//! Invariant: only what is damaged is made anew: what is gone, cannot be read, or is not as its checksum, its length or
//! the list says. Where the system lacks or forbids what opening takes (open files, memory, rights), the files may be
//! sound: then nothing is removed, and the start is refused in words that say what to do.
//! Cost: that of [`index::Segment::open`] for each segment. Fields or sparse vectors that are made anew read each row
//! of their segment once from storage; where their file cannot be written they stay in memory until the next start.

use std::sync::Arc;

use index::fields::PartFields;
use index::sparse::PartSparse;
use index::{Body, Segment};
use storage::{CollectionState, SegmentList};
use types::{Error, ErrorKind, Result, Seqno};

use crate::derived::Laid;
use crate::files::{Files, StoredRows, laid};
use crate::loading::{Rebuilt, Source};

/// The segments, with the list as storage has it; or why they cannot be used.
type Found = std::result::Result<(Vec<Laid>, SegmentList), String>;

impl Source<'_> {
    /// Opens the segments that storage names.
    ///
    /// # Errors
    /// When storage cannot be read; when the system lacks what opening takes.
    pub(crate) fn segments(&self, state: &CollectionState, rebuilt: &mut Vec<Rebuilt>) -> Result<Found> {
        let (list, trimmed) = match self.listed() {
            Ok(listed) => listed,
            // It may be read another time: nothing is known of the segments.
            Err(error) if error.kind() == ErrorKind::Io => return Err(error),
            Err(error) => return Ok(Err(error.to_string())),
        };
        if list.segments.is_empty() {
            return Ok(Ok((Vec::new(), list)));
        }
        if list.seqno < trimmed {
            let seqno = list.seqno;
            return Ok(Err(format!("their list is too old ({seqno}, the journal begins after {trimmed})")));
        }
        let is_ahead = list.segments.last().is_some_and(|last| last.last >= state.next_version);
        if list.seqno > state.seqno || is_ahead {
            return Ok(Err(format!("their list is ahead of storage ({} of {})", list.seqno, state.seqno)));
        }
        match self.open_all(&list, rebuilt) {
            Ok(segments) => Ok(Ok((segments, list))),
            Err(error) => self.damage("segments", error).map(Err),
        }
    }

    /// Why an index that cannot be opened is to be made anew.
    ///
    /// # Errors
    /// When it may be sound: the system lacks or forbids what opening it takes.
    pub(crate) fn damage(&self, index: &'static str, error: Error) -> Result<String> {
        let Some(remedy) = error.remedy() else { return Ok(error.to_string()) };
        let name = &self.entry.name;
        let message = format!(
            "the index `{index}` of collection `{name}` cannot be opened, and is left as it is: {error}; {remedy}, and \
             try again"
        );
        Err(Error::new(error.kind(), message).with_source(error))
    }

    /// The list, and the commit after which the journal begins.
    fn listed(&self) -> Result<(SegmentList, Seqno)> {
        let list = self.store.segments(self.entry.id)?.unwrap_or_default();
        let trimmed = if list.segments.is_empty() { Seqno(0) } else { self.store.trimmed(self.entry.id)? };
        Ok((list, trimmed))
    }

    fn open_all(&self, list: &SegmentList, rebuilt: &mut Vec<Rebuilt>) -> Result<Vec<Laid>> {
        let files = Files::new(self.folder);
        let mut segments = Vec::with_capacity(list.segments.len());
        for record in &list.segments {
            let (segment, alive) = files.open(record)?;
            let fields = self.open_fields(&files, (record.number, &segment), rebuilt)?;
            let sparse = self.open_sparse(&files, (record.number, &segment), rebuilt)?;
            segments.push(laid(record.number, segment, alive, (fields, sparse)));
        }
        Ok(segments)
    }

    fn open_fields(
        &self,
        files: &Files,
        (number, segment): (u64, &Arc<Segment>),
        rebuilt: &mut Vec<Rebuilt>,
    ) -> Result<PartFields> {
        let kinds = &self.entry.schema.fields;
        let damage = match files.open_fields(number, segment, kinds) {
            Err(error) if error.remedy().is_none() => error,
            opened => return opened,
        };
        rebuilt.push(self.rebuilt("fields", damage.to_string()));
        let stored = self.stored();
        match files.write_fields((number, segment), kinds, Vec::new(), &stored) {
            Err(error) if error.remedy().is_none() => {
                self.warn("fields", &error);
                stored.fields(&Body::Segment(Arc::clone(segment)), kinds)
            }
            written => written,
        }
    }

    fn open_sparse(
        &self,
        files: &Files,
        (number, segment): (u64, &Arc<Segment>),
        rebuilt: &mut Vec<Rebuilt>,
    ) -> Result<PartSparse> {
        let names: Vec<String> = self.entry.schema.sparse.keys().cloned().collect();
        let damage = match files.open_sparse(number, segment, &names) {
            Err(error) if error.remedy().is_none() => error,
            opened => return opened,
        };
        rebuilt.push(self.rebuilt("sparse", damage.to_string()));
        let stored = self.stored();
        match files.write_sparse((number, segment), &[], &stored) {
            Err(error) if error.remedy().is_none() => {
                self.warn("sparse", &error);
                stored.sparse(&Body::Segment(Arc::clone(segment)), &names)
            }
            written => written,
        }
    }

    fn stored(&self) -> StoredRows<'_> {
        StoredRows { store: self.store, entry: Arc::clone(self.entry), progress: &() }
    }

    fn warn(&self, index: &str, error: &Error) {
        let why = "an index that was made anew cannot be written, and stays in memory until the next start";
        tracing::warn!(%error, collection = self.entry.name, index, "{why}");
    }
}
