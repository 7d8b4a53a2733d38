//! Background work on derived state, on one thread: linking new rows into graphs, committing keywords, purging old
//! versions. Segments are made elsewhere (`builder`); the room of collections that are gone is given back on a thread
//! of its own, for that may take long.
//!
//! Invariant: nothing here changes what a query answers, only how fast; whatever is interrupted is taken up again at
//! the next start. It runs in short turns, so that no collection waits for another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use index::Body;
use types::{Durability, Error, ErrorKind, Result, waypoint};

use crate::budget;
use crate::building::Role;
use crate::engine::{Engine, Shared};
use crate::keywords::{KEYWORD, remove_folder};

/// Rows linked into a graph in one turn.
const LINK_ROWS: u32 = 256;

/// A keyword commit is made for so many documents, or so old ones.
const KEYWORD_DOCS_MAX: usize = 4_096;
const KEYWORD_AGE_MAX: Duration = Duration::from_secs(1);

/// After so long without a commit a keyword index gives back the threads and the file that commits take: a database may
/// have thousands of them.
const KEYWORD_REST: Duration = Duration::from_secs(5);

/// Without news, maintenance looks around so often.
const IDLE: Duration = Duration::from_millis(250);

/// Between two looks around that find nothing to do, however often the writer rings: with thousands of collections one
/// takes a millisecond.
pub(crate) const PACE: Duration = Duration::from_millis(10);

/// Wakes a thread; ringing twice is ringing once.
#[derive(Clone)]
pub(crate) struct Wake(Sender<()>);

impl Wake {
    pub(crate) fn new() -> (Self, Receiver<()>) {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        (Self(sender), receiver)
    }

    pub(crate) fn ring(&self) {
        match self.0.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// Does what must not end its thread: a panic is an error like others, and its cause is in the log. For what leaves all
/// as it was until it succeeds.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = || Error::new(ErrorKind::Internal, "background work panicked; it is tried again");
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

/// Gives back the room of collections that are gone, until every [`Wake`] is.
pub(crate) fn reclaim(engine: &Engine, wakes: &Receiver<()>) {
    while wakes.recv().is_ok() {
        let dropped = std::mem::take(&mut *engine.dropped.lock());
        for id in dropped {
            engine.store.reclaim(id);
            // A commit of keywords, or a build, that was under way when they were removed has made files since.
            let folder = engine.folder.collection(id);
            if let Err(error) = remove_folder(&folder) {
                let folder = folder.display();
                tracing::warn!(%error, %folder, "index files of a dropped collection stay until the next start");
            }
        }
    }
}

/// Works until every [`Wake`] is gone.
pub(crate) fn run(engine: &Engine, wakes: &Receiver<()>, reclaimer: &Wake) {
    // Merges of keywords, whose threads begin here, keep a core busy as long as others write, and so may linking.
    budget::step_back(Role::Seal);
    let mut last_keyword = Instant::now();
    let (mut has_more, mut has_failed) = (false, false);
    loop {
        let wait = if has_more { Duration::ZERO } else { IDLE };
        match wakes.recv_timeout(wait) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if has_failed || !has_more {
            std::thread::sleep(if has_failed { IDLE } else { PACE });
        }
        let is_old = last_keyword.elapsed() >= KEYWORD_AGE_MAX;
        if is_old {
            last_keyword = Instant::now();
        }
        (has_more, has_failed) = (false, false);
        if !engine.dropped.lock().is_empty() {
            reclaimer.ring();
        }
        for shared in engine.all() {
            if engine.is_closing.load(Ordering::Acquire) {
                break;
            }
            let worked = caught(|| {
                has_more |= link(&shared);
                keyword(engine, &shared, is_old)?;
                if is_old { purge(engine, &shared) } else { Ok(()) }
            });
            if let Err(error) = worked {
                tracing::warn!(%error, collection = shared.name, "maintenance could not go on; it tries again");
                has_failed = true;
            }
        }
        engine.is_failing.store(has_failed, Ordering::Release);
    }
}

/// Links the next rows of the head; whether more wait. Heads that wait to become segments are left as they are, and
/// while there are any, so is the one behind them: it will follow them soon. So it will where an import runs.
fn link(shared: &Shared) -> bool {
    if shared.imports.is_any() {
        return false;
    }
    let view = shared.view.load();
    let (last, before) = match view.rows.parts() {
        [before @ .., last] => (last, before.last()),
        [] => return false,
    };
    match (&last.body, before.map(|part| &part.body)) {
        (Body::Head(head), None | Some(Body::Segment(_))) => {
            head.link(&view.alive.part(last.slots()), LINK_ROWS)
        }
        _ => false,
    }
}

/// Makes the keywords that wait durable, and publishes a view without them in the tail.
fn keyword(engine: &Engine, shared: &Shared, is_old: bool) -> Result<()> {
    // Most collections have none, or the writer holds the lock of one that has.
    if shared.view.load().keyword.is_none() {
        return Ok(());
    }
    let derived = shared.derived.lock();
    let Some(keyword) = derived.keyword.clone() else {
        // It was given up, with what waited in it.
        shared.heads.set(derived.held_bytes());
        return Ok(());
    };
    drop(derived);
    let pending = keyword.pending();
    let is_due = pending >= KEYWORD_DOCS_MAX
        || (pending > 0 && engine.heads.texts() > engine.segments.waiting_bytes_max / 2)
        || (is_old && (pending > 0 || keyword.seqno() < shared.view.load().seqno));
    if !is_due {
        return if is_old { keyword.rest(KEYWORD_REST).map(drop) } else { Ok(()) };
    }
    let derived = shared.derived.lock();
    // While its files are verified writers would wait for that.
    let commit = keyword.try_begin(derived.state.seqno);
    drop(derived);
    let Some(commit) = commit else { return Ok(()) };
    waypoint::pass("keyword.begun");
    // First the truth, then what is derived from it.
    engine.store.flush()?;
    waypoint::pass("keyword.flushed");
    commit.write()?;
    // Held by who drops it: a row of what is gone would stay for ever.
    let listing = shared.listing.lock();
    if shared.check_exists().is_ok() {
        engine.store.set_watermark(shared.id, KEYWORD, keyword.seqno())?;
    }
    drop(listing);
    let derived = shared.derived.lock();
    if derived.keyword.is_some() {
        shared.publish(&derived);
    }
    drop(derived);
    engine.room.notify_all();
    Ok(())
}

/// Removes versions that no view and no index needs any more. First the list of segments learns what is dead in them:
/// it cannot be replayed from a journal that is gone.
fn purge(engine: &Engine, shared: &Shared) -> Result<()> {
    let view = shared.view.load_full();
    let most = shared.history.lock().oldest().min(view.seqno);
    // Storage is not asked about the many collections to which nothing has happened.
    if most.0 <= shared.purged.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut upto = most;
    if view.entry.schema.keyword.is_some() {
        upto = upto.min(engine.store.watermark(shared.id, KEYWORD)?);
    }
    let trimmed = engine.store.trimmed(shared.id)?;
    if upto <= trimmed {
        shared.purged.store(trimmed.0, Ordering::Relaxed);
        return Ok(());
    }
    // Held until the end: no list that is older may be written after this one.
    let _listing = shared.listing.lock();
    let list = shared.derived.lock().list();
    if shared.check_exists().is_err() {
        return Ok(());
    }
    if !list.segments.is_empty() {
        engine.store.set_segments(shared.id, &list, Durability::None)?;
    }
    waypoint::pass("purge.listed");
    let removed = engine.store.purge(&view.entry, upto)?;
    tracing::trace!(collection = shared.name, removed, "old versions purged");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Database;
    use types::{Metric, Point, Schema};

    /// A thread that ends would leave writers waiting for it.
    #[test]
    fn what_panics_in_the_background_is_an_error() {
        let error = caught::<()>(|| panic!("on purpose")).expect_err("it panicked");
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert_eq!(caught(|| Ok(7)).expect("it did not"), 7);
    }

    /// As a keyword commit leaves it that was under way.
    #[test]
    fn files_that_come_while_a_collection_is_dropped_go_too() {
        let db = Database::in_memory().expect("a database");
        let notes = db.create_collection("notes", Schema::new()).expect("made");
        let id = notes.shared.id;
        assert!(db.drop_collection("notes").expect("a drop"));
        let folder = db.engine.folder.collection(id);
        std::fs::create_dir_all(folder.join("keyword")).expect("a folder");
        db.engine.dropped.lock().push(id);
        let began = Instant::now();
        while folder.exists() {
            assert!(began.elapsed().as_secs() < 30, "it stays");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn what_comes_after_a_purge_is_purged_too() {
        let db = Database::in_memory().expect("a database");
        let notes = db.create_collection("notes", Schema::new().vector(1, Metric::Euclid)).expect("made");
        for round in 0..2_u8 {
            let point = Point::new(1).vector([f32::from(round)]);
            let seqno = notes.upsert(vec![point]).expect("a point").seqno;
            let began = Instant::now();
            while db.engine.store.trimmed(notes.shared.id).expect("reads") < seqno
                || notes.shared.purged.load(Ordering::Relaxed) < seqno.0
            {
                assert!(began.elapsed().as_secs() < 30, "nothing is purged");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}
