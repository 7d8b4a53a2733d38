//! The keyword index of a collection at open: caught up from the journal where it can be, and made anew where it is
//! missing, damaged, ahead of storage, or too old.

use std::path::Path;
use std::sync::Arc;

use index::KeywordIndex;
use storage::{CollectionState, JournalOp};
use types::{Result, Seqno, Version};

use crate::derived::Derived;
use crate::files::create_folder;
use crate::loading::{Rebuilt, Source};

/// The name of the keyword index: its folder, and its watermark.
pub(crate) const KEYWORD: &str = "keyword";

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
    /// Opens the index of a collection, or makes it.
    ///
    /// # Errors
    /// `Io`; when storage cannot be read.
    pub(crate) fn open(source: &Source<'_>, state: &CollectionState) -> Result<Self> {
        let (index, rebuilt) = open(source, state)?;
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

fn open(source: &Source<'_>, state: &CollectionState) -> Result<Opened> {
    let Some(field) = &source.entry.schema.keyword else { return Ok((None, None)) };
    let folder = source.folder.join(KEYWORD);
    let (store, id) = (source.store, source.entry.id);
    let is_new = !folder.exists() && store.watermark(id, KEYWORD)? == Seqno(0);
    let reason = match KeywordIndex::open(&folder, field) {
        Ok(keyword) => match unfit(&keyword, state, store.trimmed(id)?) {
            None => return Ok((Some(Arc::new(keyword)), None)),
            Some(reason) => reason,
        },
        Err(error) => error.to_string(),
    };
    remove_folder(&folder)?;
    create_folder(&folder)?;
    let keyword = KeywordIndex::create(&folder, field)?;
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
    let Some(commit) = derived.keyword.as_ref().and_then(|keyword| keyword.begin(derived.state.seqno)) else {
        return Ok(());
    };
    // First the truth, then what is derived from it.
    derived.store.flush()?;
    commit.write()
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
