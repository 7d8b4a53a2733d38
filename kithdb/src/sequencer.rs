//! The one writer of a database: gives seqnos, groups waiting writes into one commit, publishes, acknowledges.
//!
//! Invariant: seqnos are given in the order of commits, and views are published in that order. A caller hears of its
//! write only after the commit point and after the view that shows it was published.
//! Cost: while one commit waits for the disk, the writes that arrive queue up and share the next one: n callers pay one
//! fsync. A group ends at [`GROUP_POINTS_MAX`] points, or before a write to what a filter matches (it must see the
//! published state).
//! Source: group commit as in DeWitt et al. 1984; RocksDB's own only helps callers that write concurrently.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use index::Body;
use index::fields::Source;
use storage::{CatalogEntry, CollectionState, Commit};
use tracing::Span;
use types::{
    CollectionId, Durability, Error, ErrorKind, FieldKind, FieldPath, Op, Payload, Result, Schema, Seqno,
    waypoint,
};

use crate::aliases::AliasChange;
use crate::applying::{self, Locks};
use crate::builder;
use crate::configure::Change;
use crate::derived::{Derived, Laid};
use crate::early::{Early, Turn};
use crate::engine::{Engine, Shared};
use crate::files::StoredRows;
use crate::group::{self, Next};
use crate::loading;
use crate::maintenance;
use crate::prepared::Prepared;
use crate::snapshots::{Views, commit_drop, forget};
use crate::stage::{Overlay, Staged, Target, stage};

/// Points that the writes of one group name; bounds the memory of a commit and the wait of its first write.
const GROUP_POINTS_MAX: usize = 8_192;

/// Writes that may wait. Further callers wait for a place: back-pressure.
pub(crate) const QUEUE_WRITES_MAX: usize = 1_024;

/// Where the answer goes.
type Reply<T> = Sender<Result<T>>;

/// What the sequencer is asked for.
pub(crate) enum Order {
    Write(Write),
    Create {
        name: String,
        schema: Box<Schema>,
        reply: Reply<Arc<Shared>>,
    },
    Drop {
        name: String,
        /// Only the one of this number, and only if it has no points.
        only: Option<CollectionId>,
        reply: Reply<bool>,
    },
    SetField {
        shared: Arc<Shared>,
        path: FieldPath,
        /// Its kind, and what is said of it beside that; nothing removes it.
        index: Option<(FieldKind, Payload)>,
        reply: Reply<Seqno>,
    },
    Configure {
        shared: Arc<Shared>,
        change: Change,
        reply: Reply<Seqno>,
    },
    ChangeAliases {
        changes: Vec<AliasChange>,
        reply: Reply<()>,
    },
    /// A number for a collection that is being recovered.
    Reserve {
        reply: Reply<CollectionId>,
    },
    /// What was read under it goes; another will be read.
    Clear {
        id: CollectionId,
        reply: Reply<()>,
    },
    /// What was read under it goes.
    Abandon {
        id: CollectionId,
        reply: Reply<()>,
    },
    Adopt {
        derived: Box<Derived>,
        reply: Reply<()>,
    },
    Views {
        reply: Reply<Views>,
    },
    Flush {
        reply: Reply<()>,
    },
}

/// A write that waits.
pub(crate) struct Write {
    pub(crate) targets: Vec<Target>,
    /// Of each target, its texts, if they are prepared.
    pub(crate) texts: Vec<Option<Prepared>>,
    /// What its filters matched before its turn.
    pub(crate) early: Early,
    /// Until when they may look for points, if that is bound.
    pub(crate) deadline: Option<Instant>,
    pub(crate) durability: Durability,
    /// All of its points must be known to be new without a look; else it changes nothing, and its targets go back here.
    pub(crate) back: Option<Sender<Vec<Target>>>,
    pub(crate) reply: Reply<Seqno>,
    /// What is done for it is told below.
    pub(crate) span: Span,
    /// When its caller began to wait.
    pub(crate) sent: Instant,
}

impl Write {
    /// The points that it names; never 0, so that every group has an end.
    fn size(&self) -> usize {
        self.targets.iter().flat_map(|(_, ops)| ops).map(Op::size).sum::<usize>().max(1)
    }

    /// Whether it may only make room.
    fn is_delete(&self) -> bool {
        let mut ops = self.targets.iter().flat_map(|(_, ops)| ops);
        ops.all(|op| matches!(op, Op::Delete(_) | Op::DeleteWhere(_)))
    }

    fn is_by_filter(&self) -> bool {
        self.targets.iter().flat_map(|(_, ops)| ops).any(Op::is_by_filter)
    }
}

/// The state of the sequencer's thread.
pub(crate) struct Sequencer {
    pub(crate) engine: Arc<Engine>,
    pub(crate) seqno: Seqno,
    pub(crate) next_collection: CollectionId,
    pub(crate) wake: maintenance::Wake,
    pub(crate) sealer: maintenance::Wake,
}

impl Sequencer {
    /// Serves until every sender is gone.
    pub(crate) fn run(mut self, orders: &Receiver<Order>) {
        let mut held: Option<Order> = None;
        while let Some(order) = held.take().or_else(|| orders.recv().ok()) {
            match order {
                Order::Write(first) => {
                    let group = gather(first, orders, &mut held);
                    self.commit(group);
                }
                Order::Create { name, schema, reply } => answer(&reply, self.create(&name, *schema)),
                Order::Drop { name, only, reply } => answer(&reply, self.remove(&name, only)),
                Order::SetField { shared, path, index, reply } => {
                    answer(&reply, self.set_field(&shared, path, index));
                }
                Order::Configure { shared, change, reply } => answer(&reply, self.configure(&shared, change)),
                Order::ChangeAliases { changes, reply } => answer(&reply, self.change_aliases(changes)),
                Order::Reserve { reply } => answer(&reply, self.reserve()),
                Order::Clear { id, reply } => answer(&reply, self.clear(id, false)),
                Order::Abandon { id, reply } => answer(&reply, self.clear(id, true)),
                Order::Adopt { derived, reply } => answer(&reply, self.adopt(*derived)),
                Order::Views { reply } => answer(&reply, Ok(self.views())),
                Order::Flush { reply } => answer(&reply, self.engine.store.flush()),
            }
            self.wake.ring();
            self.sealer.ring();
        }
        if let Err(error) = self.engine.store.flush() {
            tracing::error!(%error, "the last writes could not be made durable at close");
        }
    }

    /// Commits a group: one batch, one fsync, one view a collection.
    fn commit(&mut self, group: Vec<Write>) {
        let began = Instant::now();
        group.iter().for_each(|write| self.engine.meters.waits.observe(began - write.sent));
        let spans: Vec<Span> = group.iter().map(|write| write.span.clone()).collect();
        let below =
            told(&spans, |span| tracing::info_span!(parent: span, "stage", kithdb.writes = group.len()));
        let mut shareds: BTreeMap<CollectionId, Arc<Shared>> = BTreeMap::new();
        for (shared, _) in group.iter().flat_map(|write| &write.targets) {
            shareds.entry(shared.id).or_insert_with(|| Arc::clone(shared));
        }
        shareds.values().for_each(|shared| builder::wait_for_room(&self.engine, shared));
        let mut locks: Locks<'_> = shareds.iter().map(|(id, shared)| (*id, shared.derived.lock())).collect();
        let durability = group.iter().map(|write| write.durability).max().unwrap_or_default();
        let (staged, replies) = self.stage(group, &locks);
        drop(below);
        // Given back at the end, when nobody waits for it.
        let Some((commit, mut parts)) = applying::join(staged) else { return };
        let seqno = commit.seqno();
        waypoint::pass("commit.staged");
        let (number, level) = (seqno.0, durability.name());
        let below = told(
            &spans,
            |span| tracing::info_span!(parent: span, "storage", kithdb.seqno = number, kithdb.durability = level),
        );
        let store = &self.engine.store;
        if let Err(error) = applying::store(store, commit, durability, &mut parts, &mut locks) {
            replies.iter().for_each(|(reply, _)| answer(reply, Err(error.duplicate())));
            return;
        }
        waypoint::pass("commit.stored");
        drop(below);
        self.seqno = seqno;
        let below = told(&spans, |span| tracing::info_span!(parent: span, "publish"));
        for part in &parts {
            let CollectionState { seqno, next_version, .. } = part.state;
            part.shared.history.lock().commit(seqno, next_version, &part.effects);
            part.shared.writes.fetch_add(1, Ordering::Relaxed);
        }
        for (id, derived) in &locks {
            shareds[id].publish(derived);
        }
        drop(locks);
        waypoint::pass("commit.published");
        self.engine.meters.commits.observe(began.elapsed());
        // What is told of them ends before their callers go on.
        drop((below, spans));
        replies.iter().for_each(|(reply, seqno)| answer(reply, Ok(*seqno)));
        builder::relieve(&self.engine);
    }

    fn stage(&self, group: Vec<Write>, locks: &Locks<'_>) -> (Vec<Staged>, Vec<(Reply<Seqno>, Seqno)>) {
        let (mut overlay, mut seqno) = (Overlay::default(), self.seqno);
        let (mut all, mut replies) = (Vec::new(), Vec::new());
        let room = self.engine.check_room();
        let mut group = group.into_iter().peekable();
        while let Some(mut write) = group.next() {
            if let Err(error) = &room
                && !write.is_delete()
            {
                answer(&write.reply, Err(error.duplicate()));
                continue;
            }
            let derived = |id| locks.get(&id).map(|derived| &**derived);
            if let Some(back) = write.back.take()
                && !overlay.are_new(&write.targets, derived)
            {
                // Before the answer, behind which its caller looks for them.
                let _ = back.send(write.targets);
                let why = "a point that was to be new is there, or may be";
                answer(&write.reply, Err(Error::new(ErrorKind::Conflict, why)));
                continue;
            }
            let turn = Turn::new(&self.engine.limits, &write.early, write.deadline);
            match stage(write.targets, seqno.next(), &overlay, turn, derived) {
                Ok(mut staged) => {
                    seqno = seqno.next();
                    for (part, texts) in staged.parts.iter_mut().zip(write.texts) {
                        part.texts = texts;
                    }
                    if group.peek().is_some() {
                        overlay.admit(&mut staged);
                    } else {
                        staged.close();
                    }
                    all.push(staged);
                    replies.push((write.reply, seqno));
                }
                Err(error) => answer(&write.reply, Err(error)),
            }
        }
        (all, replies)
    }

    fn create(&mut self, name: &str, schema: Schema) -> Result<Arc<Shared>> {
        types::schema::check_name(name, &self.engine.limits)?;
        schema.check(&self.engine.limits)?;
        if self.engine.collections.read().contains_key(name) {
            let message = format!("Wrong input: Collection `{name}` already exists!");
            return Err(Error::new(ErrorKind::AlreadyExists, message).with_field("collection_name"));
        }
        self.check_alias(name)?;
        self.engine.check_room()?;
        let id = self.next_collection;
        let entry = Arc::new(CatalogEntry::new(id, name, schema));
        let (seqno, next) = (self.seqno.next(), CollectionId(id.0 + 1));
        let mut commit = Commit::new(seqno);
        commit.put_collection(&entry);
        commit.next_collection(next);
        commit.close_collection(id, &[], &CollectionState { seqno, ..CollectionState::default() });
        self.engine.store.commit(commit, Durability::Fsync)?;
        (self.seqno, self.next_collection) = (seqno, next);
        waypoint::pass("create.stored");
        let folder = self.engine.folder.collection(id);
        let Engine { store, segments, limits, .. } = &*self.engine;
        let (entry, folder) = (&entry, &*folder);
        let source =
            loading::Source { store, entry, folder, segments, limits, first_number: 0, progress: &() };
        let loaded = source.load();
        if loaded.is_err()
            && let Err(error) = self.clear(id, true)
        {
            // The first error says why.
            tracing::warn!(%error, "what was made of a collection that could not be made remains");
        }
        let shared = Shared::new(loaded?.derived, &self.engine.heads);
        waypoint::pass("create.loaded");
        self.engine.collections.write().insert(name.to_owned(), Arc::clone(&shared));
        Ok(shared)
    }

    /// A collection has no name that is an alias.
    pub(crate) fn check_alias(&self, name: &str) -> Result<()> {
        if self.engine.aliases.read().contains_key(name) {
            let message = format!(
                "Wrong input: Can't create collection with name {name}. Alias with the same name already exists"
            );
            return Err(Error::invalid("collection_name", message));
        }
        Ok(())
    }

    fn remove(&mut self, name: &str, only: Option<CollectionId>) -> Result<bool> {
        let Ok(shared) = self.engine.named(name) else { return Ok(false) };
        // What is written of it meanwhile would stay for ever.
        let _listing = shared.listing.lock();
        let mut derived = shared.derived.lock();
        if only.is_some_and(|id| id != shared.id || derived.state.points > 0) {
            return Ok(false);
        }
        let mut commit = Commit::new(self.seqno.next());
        commit.remove_collection(shared.id);
        let mut aliases = self.engine.aliases.read().clone();
        aliases.iter().filter(|(_, of)| *of == name).for_each(|(alias, _)| commit.remove_alias(alias));
        commit_drop(&self.engine, &shared, commit)?;
        self.seqno = self.seqno.next();
        waypoint::pass("drop.stored");
        self.engine.collections.write().remove(name);
        aliases.retain(|_, of| of != name);
        *self.engine.aliases.write() = aliases;
        forget(&self.engine, &shared, &mut derived);
        Ok(true)
    }

    /// Adds, changes or removes a field index. Adding reads every payload once; writers wait for that.
    fn set_field(
        &mut self,
        shared: &Shared,
        path: FieldPath,
        index: Option<(FieldKind, Payload)>,
    ) -> Result<Seqno> {
        shared.check_exists()?;
        if index.is_some() {
            self.engine.check_room()?;
        }
        // The list names the segments whose files follow: a kill leaves it so.
        let _listing = shared.listing.lock();
        let mut derived = shared.derived.lock();
        let mut entry = (*derived.entry).clone();
        let (kind, params) = index.unzip();
        match kind {
            Some(kind) => drop(entry.schema.fields.insert(path.clone(), kind)),
            None => drop(entry.schema.fields.remove(&path)),
        }
        match params.filter(|params| !params.is_empty()) {
            Some(params) => drop(entry.schema.params.insert(path, params)),
            None => drop(entry.schema.params.remove(&path)),
        }
        if entry.schema == derived.entry.schema {
            return Ok(self.seqno);
        }
        let seqno = self.seqno.next();
        let mut commit = Commit::new(seqno);
        commit.put_collection(&entry);
        let state = CollectionState { seqno, ..derived.state };
        commit.close_collection(shared.id, &[], &state);
        let laid = refield(&self.engine, &derived, &entry)?;
        waypoint::pass("field.laid");
        self.engine.store.commit(commit, Durability::Fsync)?;
        waypoint::pass("field.stored");
        self.seqno = seqno;
        self.engine.files(shared.id).adopt_fields(derived.numbers());
        waypoint::pass("field.replaced");
        (derived.entry, derived.state) = (Arc::new(entry), state);
        derived.lay(laid);
        shared.publish(&derived);
        Ok(seqno)
    }
}

/// A span below each of those that somebody listens to.
fn told(spans: &[Span], below: impl Fn(&Span) -> Span) -> Vec<Span> {
    spans.iter().filter(|span| !span.is_disabled()).map(below).collect()
}

/// Takes what waits behind the first write, until the group is full or something else comes.
fn gather(first: Write, orders: &Receiver<Order>, held: &mut Option<Order>) -> Vec<Write> {
    let next = || match orders.try_recv() {
        Ok(Order::Write(write)) if !write.is_by_filter() => Some(Next::Joins(write)),
        Ok(other) => Some(Next::Alone(other)),
        Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
    };
    let (group, alone) = group::gather(first, Write::size, GROUP_POINTS_MAX, next);
    *held = alone;
    group
}

/// The parts of a collection with the fields of another entry. Columns that a segment has already are kept; its file is
/// beside the one in use until the entry is stored.
fn refield(engine: &Engine, derived: &Derived, entry: &CatalogEntry) -> Result<Vec<Laid>> {
    let (files, kinds) = (engine.files(entry.id), &entry.schema.fields);
    let entry = Arc::new(entry.clone());
    let stored = StoredRows { store: &engine.store, entry, progress: &() };
    let mut laid = derived.laid();
    for part in &mut laid {
        part.fields = match (&part.body, part.number) {
            (Body::Segment(segment), Some(number)) => {
                let known = Source { kinds: derived.fields.kinds(), fields: &part.fields, moves: None };
                files.write_next_fields((number, segment), kinds, vec![known], &stored)?
            }
            _ => stored.fields(&part.body, kinds)?,
        };
    }
    Ok(laid)
}

fn answer<T>(reply: &Reply<T>, result: Result<T>) {
    // A caller that has gone away has nobody to tell.
    let _ = reply.send(result);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use storage::SegmentList;
    use types::Metric;

    use super::*;
    use crate::Database;

    /// As a purge leaves it, or a seal, that is under way.
    #[test]
    fn a_collection_that_is_dropped_leaves_no_list_behind() {
        let db = Database::in_memory().expect("a database");
        let notes = db.create_collection("notes", Schema::new().vector(1, Metric::Euclid)).expect("made");
        let (shared, store) = (&notes.shared, &db.engine.store);
        let listing = shared.listing.lock();
        std::thread::scope(|scope| {
            let dropped = scope.spawn(|| db.drop_collection("notes").expect("a drop"));
            // Long enough that it waits for the lock.
            std::thread::sleep(Duration::from_millis(200));
            shared.check_exists().expect("it waits");
            store.set_segments(shared.id, &SegmentList::default(), Durability::None).expect("a list");
            drop(listing);
            assert!(dropped.join().expect("no panic"));
        });
        assert!(store.segments(shared.id).expect("a look").is_none());
    }
}
