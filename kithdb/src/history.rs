//! Past states of a collection: which can still be read, and how one is made again.
//!
//! A past state is the present one, gone back over: versions are given in order, so what came since is every version
//! from one on; what has gone since is written down here, commit by commit. Rows, fields and sparse vectors are those
//! of the present: they keep the rows of versions that went within the retention. The keyword index forgets at its
//! commits, so its last view before each is held.
//!
//! Invariant: no version is purged, and none left out of a new segment, that a state from [`History::oldest`] on shows.
//! Cost: 8 bytes for each point that is replaced or deleted, 64 for each commit, while they are retained; to read a
//! past state, a step for each version that came or went since. Without retention, nothing.
//! A restart forgets all past states. The schema is always the present one.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use index::KeywordView;
use query::View;
use types::{Error, Result, Schema, Seqno, Version};

use crate::derived::Effect;
use crate::shown::Shown;

/// Points gone within the retention of which it is known; with more, the retention ends earlier.
const GONE_MAX: usize = 1 << 20;

/// What is known of the past of a collection.
pub(crate) struct History {
    retention: Duration,
    /// Views that may still be read, past ones too.
    views: Shown<View>,
    /// The oldest state that can be read: its seqno, and the version that was to be given next.
    oldest: (Seqno, Version),
    /// What came after it, oldest first.
    commits: VecDeque<Past>,
    /// Over all commits.
    gone: usize,
    /// The keyword index before it forgot, and the last commit that it showed.
    keywords: VecDeque<(Seqno, KeywordView)>,
}

/// What one commit changed.
struct Past {
    seqno: Seqno,
    at: Instant,
    next_version: Version,
    gone: Vec<Version>,
}

impl History {
    /// That of a collection whose past begins now.
    pub(crate) fn new(view: &Arc<View>, next_version: Version) -> Self {
        Self {
            retention: Duration::from_secs(view.entry.schema.history_s.into()),
            views: Shown::new(view),
            oldest: (view.seqno, next_version),
            commits: VecDeque::new(),
            gone: 0,
            keywords: VecDeque::new(),
        }
    }

    /// Takes the retention from a schema that changed.
    pub(crate) fn configure(&mut self, schema: &Schema) {
        self.retention = Duration::from_secs(schema.history_s.into());
    }

    /// Begins anew: rows were left out that past states show.
    pub(crate) fn forget(&mut self, seqno: Seqno, next_version: Version) {
        self.commits.clear();
        self.keywords.clear();
        (self.oldest, self.gone) = ((seqno, next_version), 0);
    }

    /// Notes a commit, before the view that shows it is published.
    pub(crate) fn commit(&mut self, seqno: Seqno, next_version: Version, effects: &[Effect]) {
        if self.retention.is_zero() {
            // What was kept before the retention ended would be taken for all that has happened since.
            self.forget(seqno, next_version);
            return;
        }
        let gone: Vec<Version> = effects.iter().filter_map(|effect| effect.old).collect();
        self.gone += gone.len();
        self.commits.push_back(Past { seqno, at: Instant::now(), next_version, gone });
        self.expire();
    }

    /// Notes a view that is published, and what the keyword index was before it.
    pub(crate) fn publish(&mut self, before: &View, view: &Arc<View>) {
        self.views.note(view);
        if self.retention.is_zero() {
            return;
        }
        if let (Some(old), Some(new)) = (&before.keyword, &view.keyword)
            && !old.is_of_same_commit(new)
        {
            self.keywords.push_back((before.seqno, old.clone()));
        }
    }

    /// Forgets what the retention does not cover.
    fn expire(&mut self) {
        while let Some(past) = self.commits.front()
            && (past.at.elapsed() >= self.retention || self.gone > GONE_MAX)
        {
            self.oldest = (past.seqno, past.next_version);
            self.gone -= past.gone.len();
            self.commits.pop_front();
        }
        while self.keywords.front().is_some_and(|(seqno, _)| *seqno < self.oldest.0) {
            self.keywords.pop_front();
        }
    }

    /// The oldest state that is read, or may be: everything that went up to its commit is needed by nobody.
    pub(crate) fn oldest(&mut self) -> Seqno {
        self.expire();
        let read = self.views.least(|view| view.seqno);
        read.map_or(self.oldest.0, |read| read.min(self.oldest.0))
    }

    /// The versions that went within the retention: a new segment keeps their rows.
    pub(crate) fn kept(&mut self) -> Vec<Version> {
        self.expire();
        self.commits.iter().flat_map(|past| past.gone.iter().copied()).collect()
    }

    /// The state at a commit, from a later view.
    ///
    /// # Errors
    /// `InvalidArgument` when that is not retained.
    pub(crate) fn view(&mut self, seqno: Seqno, later: &Arc<View>) -> Result<Arc<View>> {
        if let Some(view) = self.views.find(|view| view.seqno == seqno) {
            return Ok(view);
        }
        self.expire();
        if seqno < self.oldest.0 {
            return Err(self.too_old(seqno));
        }
        let view = Arc::new(self.undone(seqno, later)?);
        self.views.note(&view);
        Ok(view)
    }

    fn too_old(&self, seqno: Seqno) -> Error {
        let message = match self.retention.as_secs() {
            0 => format!(
                "is {seqno}, and the collection keeps no past states; create it with `history_s` (seconds)"
            ),
            kept => format!(
                "is {seqno}; states are kept for {kept} s and not over a restart, the oldest is {}",
                self.oldest.0
            ),
        };
        Error::invalid("as_of", message)
    }

    /// A view with everything undone that came after a commit.
    fn undone(&self, seqno: Seqno, later: &View) -> Result<View> {
        let at = self.commits.partition_point(|past| past.seqno <= seqno);
        let first = at.checked_sub(1).map_or(self.oldest.1, |before| self.commits[before].next_version);
        let since = || self.commits.range(at..).take_while(|past| past.seqno <= later.seqno);
        let mut alive = later.alive.clone();
        let end = since().last().map_or(first, |last| last.next_version);
        for slot in (first.0..end.0).filter_map(|version| later.rows.slot_of(Version(version))) {
            alive.remove(slot);
        }
        let went: HashSet<Version> =
            since().flat_map(|past| &past.gone).copied().filter(|version| *version < first).collect();
        for version in &went {
            let slot = later.rows.slot_of(*version).ok_or_else(|| {
                let message = format!("version {} is retained, and no part holds it", version.0);
                Error::new(types::ErrorKind::Internal, message)
            })?;
            alive.insert(slot);
        }
        let keyword = self.keywords.iter().find(|(shown, _)| *shown >= seqno).map(|(_, keyword)| keyword);
        let keyword = keyword.or(later.keyword.as_ref()).map(|keyword| keyword.before(first..end, &went));
        Ok(View {
            seqno,
            entry: Arc::clone(&later.entry),
            store: Arc::clone(&later.store),
            rows: later.rows.clone(),
            alive,
            fields: later.fields.clone(),
            sparse: later.sparse.clone(),
            keyword,
            observed: Arc::clone(&later.observed),
            universe: OnceLock::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Collection, Database};
    use types::{Metric, Point};

    fn write(notes: &Collection, id: u64) -> Seqno {
        notes.upsert(vec![Point::new(id).vector([id as f32])]).expect("a point").seqno
    }

    #[test]
    fn nothing_is_kept_of_past_states_that_nobody_reads_any_more() {
        let db = Database::in_memory().expect("a database");
        let schema = Schema { history_s: 3_600, ..Schema::new().vector(1, Metric::Euclid) };
        let notes = db.create_collection("notes", schema).expect("a collection");
        let first = write(&notes, 1);
        write(&notes, 2);
        for _ in 0..100 {
            assert_eq!(notes.shared.view_at(first).expect("a past state").points(), 1);
        }
        let views = notes.shared.history.lock().views.remembered();
        assert!(views < 5, "{views} views are remembered");
    }
}
