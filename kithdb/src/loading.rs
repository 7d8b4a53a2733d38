//! From storage to derived state, at open and when a collection is compacted.
//!
//! Vectors, ids and fields are read from storage anew every time. The keyword index lies on disk: it is caught up from
//! the journal where it can be, and rebuilt where it is missing, damaged, ahead of storage, or too old. No damage of an
//! index ever stops a start; what was rebuilt, and why, is reported.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use index::{KeywordIndex, Rows};
use storage::{CatalogEntry, CollectionState, Store, StoredPoint};
use types::{Payload, Result, Seqno};

use crate::derived::Derived;

/// What happened while a database was opened.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Collections opened.
    pub collections: usize,
    /// Points in them.
    pub points: u64,
    /// The last commit.
    pub seqno: Seqno,
    /// Indexes that had to be made anew.
    pub rebuilt: Vec<Rebuilt>,
    /// How long opening took.
    pub elapsed_ms: u64,
}

/// An index that was made anew from storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The collection.
    pub collection: String,
    /// The index.
    pub index: &'static str,
    /// Why.
    pub reason: String,
}

/// Rows whose fields are indexed in one block.
const FIELD_BLOCK_ROWS: usize = 4096;

/// The name of the keyword index: its folder, and its watermark.
pub(crate) const KEYWORD: &str = "keyword";

/// Loads one collection. `folder` holds its index files.
///
/// # Errors
/// When storage cannot be read, or the folder not written.
pub(crate) fn load(
    store: &Arc<Store>,
    entry: &Arc<CatalogEntry>,
    folder: &Path,
) -> Result<(Derived, Option<Rebuilt>)> {
    let began = Instant::now();
    let Loaded { derived, rebuilt, .. } = Loaded::from_storage(store, entry, folder)?;
    if let (Some(keyword), Some(rebuilt)) = (&derived.keyword, &rebuilt) {
        tracing::warn!(
            collection = entry.name,
            reason = rebuilt.reason,
            "the keyword index was rebuilt from storage"
        );
        store.flush()?;
        keyword.commit(derived.state.seqno)?;
    }
    tracing::info!(
        collection = entry.name,
        points = derived.alive.len(),
        elapsed_ms = began.elapsed().as_millis() as u64,
        "collection loaded"
    );
    Ok((derived, rebuilt))
}

/// A collection while it is loaded.
struct Loaded {
    derived: Derived,
    rebuilt: Option<Rebuilt>,
    /// Payloads whose fields are not indexed yet: those of the last slots.
    payloads: Vec<Payload>,
}

impl Loaded {
    fn from_storage(store: &Arc<Store>, entry: &Arc<CatalogEntry>, folder: &Path) -> Result<Self> {
        let state = store.state(entry.id)?;
        let rows = Arc::new(Rows::new());
        let (keyword, rebuilt) = open_keyword(store, entry, &state, folder)?;
        let derived = Derived::empty(Arc::clone(store), Arc::clone(entry), state, rows, keyword);
        catch_up_removals(store, &derived)?;
        let mut loaded = Self { derived, rebuilt, payloads: Vec::new() };
        store.for_each_point(entry, &mut |stored| {
            loaded.append(stored);
            Ok(())
        })?;
        loaded.index_fields();
        Ok(loaded)
    }

    fn append(&mut self, stored: StoredPoint) {
        let StoredPoint { version, id, payload, vectors } = stored;
        let vector =
            |name: &str| vectors.iter().find(|(other, _)| other == name).map(|(_, elements)| &elements[..]);
        self.derived.append(version, id, vector, &payload);
        self.payloads.push(payload);
        if self.payloads.len() == FIELD_BLOCK_ROWS {
            self.index_fields();
        }
    }

    fn index_fields(&mut self) {
        let first = self.derived.rows.len() - self.payloads.len() as u32;
        self.derived.fields.append(types::Slot(first), &self.payloads.iter().collect::<Vec<_>>());
        self.payloads.clear();
    }
}

/// Hands the keyword index the removals it has not seen; additions it takes from the points themselves.
fn catch_up_removals(store: &Store, derived: &Derived) -> Result<()> {
    let Some(keyword) = &derived.keyword else { return Ok(()) };
    store.for_each_entry(derived.entry.id, keyword.seqno(), &mut |entry| {
        entry.ops.iter().filter_map(|op| op.old()).for_each(|old| keyword.remove(old));
        Ok(())
    })
}

type OpenedKeyword = (Option<Arc<KeywordIndex>>, Option<Rebuilt>);

fn open_keyword(
    store: &Store,
    entry: &CatalogEntry,
    state: &CollectionState,
    folder: &Path,
) -> Result<OpenedKeyword> {
    let Some(field) = &entry.schema.keyword else { return Ok((None, None)) };
    let folder = folder.join(KEYWORD);
    let is_new = !folder.exists() && store.watermark(entry.id, KEYWORD)? == Seqno(0);
    let opened = KeywordIndex::open(&folder, field.language);
    let reason = match opened {
        Ok(keyword) => match unfit(&keyword, state, store.trimmed(entry.id)?) {
            None => return Ok((Some(Arc::new(keyword)), None)),
            Some(reason) => reason,
        },
        Err(error) => error.to_string(),
    };
    remove_folder(&folder)?;
    let keyword = KeywordIndex::create(&folder, field.language)?;
    if is_new {
        return Ok((Some(Arc::new(keyword)), None));
    }
    let rebuilt = Rebuilt { collection: entry.name.clone(), index: KEYWORD, reason };
    Ok((Some(Arc::new(keyword)), Some(rebuilt)))
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
