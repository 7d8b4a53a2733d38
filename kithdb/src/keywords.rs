//! The keyword index of a collection at open: caught up from the journal where it can be, and made anew where it is
//! missing, damaged, ahead of storage, or too old. Where the disk has no room for that, the collection is without one
//! until the next start: searches by words say so, all others go on.
//!
//! One that is made anew while the collection lives is made beside the one in use, in the folder `keyword.next`, and
//! takes its place when it is whole: what fails before leaves the one in use.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use index::KeywordIndex;
use storage::{CollectionState, JournalOp};
use types::{ErrorKind, Result, Seqno, Version, waypoint};

use crate::derived::Derived;
use crate::files::create_folder;
use crate::loading::{Rebuilt, Source};

/// The name of the keyword index: its folder, and its watermark.
pub(crate) const KEYWORD: &str = "keyword";

/// The folder of one that is to take its place.
pub(crate) const NEXT: &str = "keyword.next";

/// The keyword index while its collection is loaded.
pub(crate) struct Keywords {
    /// Taken by the collection once there is one.
    pub(crate) index: Option<Arc<KeywordIndex>>,
    pub(crate) rebuilt: Option<Rebuilt>,
    /// Operations up to here are contained; nothing where there is no index.
    pub(crate) seqno: Option<Seqno>,
    /// Versions put since then, ascending.
    put: Vec<Version>,
}

impl Keywords {
    /// Opens the index of a collection in a folder of this name, or makes it.
    ///
    /// # Errors
    /// `Io`, also when the system lacks what opening takes: then what is there stays; when storage cannot be read.
    pub(crate) fn open(source: &Source<'_>, name: &str, state: &CollectionState) -> Result<Self> {
        let (index, rebuilt) = open(source, name, state)?;
        let seqno = index.as_ref().map(|index| index.seqno());
        Ok(Self { index, rebuilt, seqno, put: Vec::new() })
    }

    /// Whether nothing is in it, so that it needs every text that is stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.seqno == Some(Seqno(0))
    }

    /// Takes an operation that it has not seen: removals at once, additions when their texts are read.
    pub(crate) fn replay(&mut self, derived: &Derived, op: &JournalOp) {
        if let (Some(keyword), Some(old)) = (&derived.keyword, op.old()) {
            keyword.remove(old);
        }
        if let JournalOp::Put { new, .. } = op
            && derived.keyword.is_some()
        {
            self.put.push(*new);
        }
    }

    /// The versions below `end` that were put and that it may lack.
    pub(crate) fn pending(&self, end: Version) -> Vec<Version> {
        self.put.iter().copied().filter(|version| *version < end).collect()
    }
}

type Opened = (Option<Arc<KeywordIndex>>, Option<Rebuilt>);

fn open(source: &Source<'_>, name: &str, state: &CollectionState) -> Result<Opened> {
    let Some(field) = &source.entry.schema.keyword else { return Ok((None, None)) };
    let folder = source.folder.join(name);
    let (store, id) = (source.store, source.entry.id);
    let is_new = !folder.exists() && store.watermark(id, KEYWORD)? == Seqno(0);
    let reason = match KeywordIndex::open(&folder, field) {
        Ok(keyword) => match unfit(&keyword, state, store.trimmed(id)?) {
            None => return Ok((Some(Arc::new(keyword)), None)),
            Some(reason) => reason,
        },
        // A full disk damages nothing, and has no room for another one.
        Err(error) if error.kind() == ErrorKind::StorageFull => return Err(error),
        Err(error) => source.damage(KEYWORD, error)?,
    };
    remove_folder(&folder)?;
    let keyword = match create_folder(&folder).and_then(|()| KeywordIndex::create(&folder, field)) {
        Ok(keyword) => keyword,
        // At a start. Elsewhere there is one in use that stays, or there is to be a first one.
        Err(error) if error.kind() == ErrorKind::StorageFull && name == KEYWORD && !is_new => {
            let why = "a keyword index is damaged, and is missing until there is room for another at a start";
            tracing::warn!(%error, collection = source.entry.name, reason, "{why}");
            return Ok((None, None));
        }
        Err(error) => return Err(error),
    };
    let rebuilt = (!is_new).then(|| source.rebuilt(KEYWORD, reason));
    Ok((Some(Arc::new(keyword)), rebuilt))
}

/// Why an index that opened cannot be caught up, if it cannot.
fn unfit(keyword: &KeywordIndex, state: &CollectionState, trimmed: Seqno) -> Option<String> {
    let seqno = keyword.seqno();
    let is_ahead =
        seqno > state.seqno || keyword.version_max().is_some_and(|version| version >= state.next_version);
    if is_ahead {
        return Some(format!("it is ahead of storage ({seqno} of {})", state.seqno));
    }
    (seqno < trimmed)
        .then(|| format!("it is too old to be caught up ({seqno}, the journal begins after {trimmed})"))
}

/// Commits what the index of a collection was handed so far. The caller holds the lock of the collection.
///
/// # Errors
/// When storage cannot be made durable, or the index not be written.
pub(crate) fn commit(derived: &Derived) -> Result<()> {
    commit_as_of(derived, derived.state.seqno)
}

/// Commits what an index was handed so far while more is to come: it stays marked as before, so that a start hands it
/// everything again, of which it passes over what it has.
///
/// # Errors
/// As for [`commit`].
pub(crate) fn commit_part(derived: &Derived) -> Result<()> {
    commit_as_of(derived, Seqno(0))
}

fn commit_as_of(derived: &Derived, seqno: Seqno) -> Result<()> {
    let Some(commit) = derived.keyword.as_ref().and_then(|keyword| keyword.begin(seqno)) else {
        return Ok(());
    };
    // First the truth, then what is derived from it.
    derived.store.flush()?;
    commit.write()
}

/// Puts the index that was made beside the one in use in its place. Both states of the collection get it: they are of
/// one commit.
///
/// # Errors
/// When the new index cannot be written; then the one in use stays. When the folders cannot be exchanged; then there is
/// none until it is made anew.
pub(crate) fn exchange(folder: &Path, derived: &mut Derived, loaded: &mut Derived) -> Result<()> {
    commit(loaded)?;
    let (Some(made), Some(field)) = (loaded.keyword.take(), &loaded.entry.schema.keyword) else {
        return Ok(());
    };
    // Who writes does so by the name of the folder.
    made.close();
    if let Some(used) = derived.keyword.take() {
        used.close();
    }
    let kept = folder.join(KEYWORD);
    remove_folder(&kept)?;
    waypoint::pass("reload.removed");
    std::fs::rename(folder.join(NEXT), &kept)?;
    File::open(folder)?.sync_all()?;
    let opened = Arc::new(KeywordIndex::open(&kept, field)?);
    derived.keyword = Some(Arc::clone(&opened));
    loaded.keyword = Some(opened);
    Ok(())
}

/// Removes a folder of index files, if it is there.
///
/// # Errors
/// `Io`.
pub(crate) fn remove_folder(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
