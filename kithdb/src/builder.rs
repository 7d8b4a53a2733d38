//! Makes segments, on two threads: one of heads that are full, the other of segments that are many, small or mostly
//! dead. A merge takes long, and the heads that fill while it runs are scanned row by row: so they do not wait for it.
//!
//! Invariant: nothing here changes what a query answers, only how fast. A segment counts from the moment in which the
//! list in storage names it; files that it replaces are removed only when that is durable. Whatever is interrupted is
//! begun anew at the next start.
//! Invariant: the list is worked out and written under one lock (`Shared::listing`), so that a later list is never
//! overwritten by an earlier one; the files it names are there.
//! Invariant: no part is built from twice at once. Sealing takes heads, merging segments; who was asked for one segment
//! of everything waits for the seal that is under way, and then nothing is sealed beside it unless that has failed, or
//! writers wait for a seal: then what was begun of heads is given up, they are sealed first, and the rest is made of
//! segments.
//! Invariant: what was asked for is about the rows that there were then, so it has an end whatever others write.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use index::fields::PartFields;
use index::graph::Progress;
use index::sparse::PartSparse;
use index::{Body, GRAPH_ROWS_MIN};
use query::View;
use types::{CollectionId, Durability, ErrorKind, Result, Seqno, Version, waypoint};

use crate::budget;
use crate::build::{Build, Built};
use crate::building::{BuildStatus, Goal, Role, Watch, Yielding};
use crate::derived::{Derived, Laid};
use crate::engine::{Engine, Shared};
use crate::files::{Files, StoredRows};
use crate::loading;
use crate::maintenance::{PACE, caught};
use crate::tiers::{self, Size};

/// Without news, the builder looks around so often.
const IDLE: Duration = Duration::from_millis(250);

/// A head that has not changed for so long is frozen before it is full, if it is large enough for a graph: its segment
/// answers many times faster.
const REST: Duration = Duration::from_secs(3);

/// Works until the database closes.
pub(crate) fn run(engine: &Engine, role: Role, wakes: &Receiver<()>) {
    budget::step_back(role);
    let (mut has_more, mut rests) = (false, Rests::default());
    while !engine.is_closing.load(Ordering::Acquire) {
        let wait = if has_more { Duration::ZERO } else { IDLE };
        if let Err(RecvTimeoutError::Disconnected) = wakes.recv_timeout(wait) {
            return;
        }
        if !has_more {
            std::thread::sleep(PACE);
        }
        has_more = match role {
            Role::Seal => {
                turn(engine, role, &|_, sizes, most| tiers::waiting(sizes, most)) || rests.freeze(engine)
            }
            // What was asked for; then what makes searches faster; then what nobody waits for.
            Role::Merge => {
                optimize(engine)
                    || turn(engine, role, &|_, sizes, most| tiers::merge(sizes, most))
                    || mend(engine)
            }
        };
    }
}

/// Looks after what is there: fields and sparse vectors that could not be read, segments that nobody has verified;
/// whether there is more.
fn mend(engine: &Engine) -> bool {
    engine.all().iter().for_each(|shared| mend_files(engine, shared));
    engine.all().iter().any(|shared| examine(engine, shared))
}

/// What a build of everything is called.
const OPTIMIZE: &str = "optimize";

/// How long a build of everything waits before it looks again whether a seal has ended.
const SEAL_WAIT: Duration = Duration::from_millis(10);

/// Between two mebibytes of a segment that is examined.
const EXAMINE_PAUSE: Duration = Duration::from_millis(10);

/// The last commit that each collection was seen at, and since when.
#[derive(Default)]
struct Rests(BTreeMap<CollectionId, (Seqno, Instant)>);

impl Rests {
    /// Freezes the heads that rest; whether there was any.
    fn freeze(&mut self, engine: &Engine) -> bool {
        let (all, mut has_frozen) = (engine.all(), false);
        if self.0.len() > all.len() {
            self.0.retain(|id, _| all.iter().any(|shared| shared.id == *id));
        }
        for shared in &all {
            let seqno = {
                let view = shared.view.load();
                let head = view.rows.parts().last().map(|part| &part.body);
                match head {
                    Some(Body::Head(head)) if head.rows() >= GRAPH_ROWS_MIN => view.seqno,
                    _ => continue,
                }
            };
            let seen = self.0.entry(shared.id).or_insert((seqno, Instant::now()));
            if seen.0 != seqno {
                *seen = (seqno, Instant::now());
            }
            if seen.1.elapsed() < REST || shared.building.is_failing(Role::Seal) {
                continue;
            }
            let mut derived = shared.derived.lock();
            if derived.state.seqno == seqno && derived.head().1.rows() >= GRAPH_ROWS_MIN {
                derived.freeze();
                shared.publish(&derived);
                has_frozen = true;
            }
        }
        has_frozen
    }
}

/// Which parts of these sizes become one, of at most so many rows.
type Choose<'a> = &'a dyn Fn(&Derived, &[Size], usize) -> Option<Range<usize>>;

/// One build in each collection that has one to do; whether there was any.
fn turn(engine: &Engine, role: Role, choose: Choose<'_>) -> bool {
    let what = if role == Role::Seal { "seal" } else { "merge" };
    let mut has_built = false;
    for shared in engine.all() {
        if engine.is_closing.load(Ordering::Acquire) || shared.building.is_failing(role) {
            continue;
        }
        // Most collections have none, and the writer holds the lock of one that is written to.
        if role == Role::Seal && !is_to_seal(&shared) {
            continue;
        }
        has_built |= one(engine, &shared, (role, what), choose).unwrap_or(false);
    }
    has_built
}

/// Takes a step towards what one request asks for, one segment of everything, if there is a request.
fn optimize(engine: &Engine) -> bool {
    for shared in engine.all() {
        let Some(request) = shared.building.asked().filter(|_| !shared.building.is_failing(Role::Merge))
        else {
            continue;
        };
        if shared.building.is_doing(Role::Seal) && !shared.building.gives_way() {
            std::thread::sleep(SEAL_WAIT);
            return true;
        }
        let goal = goal(&shared, request);
        let waits = shared.building.gives_way() && !shared.building.is_failing(Role::Seal);
        if waits && has_heads(&shared, goal) {
            std::thread::sleep(SEAL_WAIT);
            return true;
        }
        let choose = |derived: &Derived, sizes: &[Size], most: usize| to_do(derived, sizes, most, goal);
        match one(engine, &shared, (Role::Merge, OPTIMIZE), &choose) {
            Ok(true) => {}
            // What was damaged is made anew by now.
            Err(error) if error.kind() == ErrorKind::Corrupted => {}
            // What fails otherwise, for want of room as a rule, is given up: nothing is sealed while it is tried again.
            Ok(false) | Err(_) => shared.building.answer(goal.request),
        }
        return true;
    }
    false
}

/// Whether some rows that a request is about are in heads.
fn has_heads(shared: &Shared, goal: Goal) -> bool {
    let view = shared.view.load();
    let is_before = |part: &&index::Part| part.body.first_version().is_some_and(|first| first < goal.until);
    view.rows.parts().iter().take_while(is_before).any(|part| matches!(part.body, Body::Head(_)))
}

/// What is being done for a request. One that is taken up now is about the rows that there are now.
fn goal(shared: &Shared, request: u64) -> Goal {
    let mut derived = shared.derived.lock();
    // Where everything was made anew since, the head that takes rows may have some of these again.
    let first = derived.head().1.identities().version(0);
    let is_apart = |goal: &Goal| first.is_none_or(|first| first >= goal.until);
    if let Some(goal) = shared.building.goal().filter(is_apart) {
        return goal;
    }
    derived.freeze();
    shared.publish(&derived);
    let (until, first_number) = (derived.state.next_version, derived.next_number());
    let goal = Goal { request, until, first_number };
    shared.building.take_up(goal);
    goal
}

/// The next parts to be made one for a request: of those that it is about, and that are not done.
fn to_do(derived: &Derived, sizes: &[Size], rows_max: usize, goal: Goal) -> Option<Range<usize>> {
    let is_before = |part: &index::Part| part.body.first_version().is_some_and(|first| first < goal.until);
    let count = derived.rows.parts().partition_point(is_before);
    // The one behind them is as good as the head that takes rows.
    let mut sizes = sizes.get(..=count)?.to_vec();
    for (size, number) in sizes.iter_mut().zip(derived.numbers()) {
        if *number >= goal.first_number {
            size.alive = size.rows;
        }
    }
    tiers::everything(&sizes, rows_max)
}

/// One build, if there is one to do; whether there was.
fn one(
    engine: &Engine,
    shared: &Shared,
    (role, what): (Role, &'static str),
    choose: Choose<'_>,
) -> Result<bool> {
    let mut derived = shared.derived.lock();
    // Unless that fails: writers would wait for heads that nobody seals.
    if role == Role::Seal && shared.building.is_alone() && !shared.building.is_failing(Role::Merge) {
        return Ok(false);
    }
    if what == OPTIMIZE && shared.building.is_doing(Role::Seal) && !shared.building.gives_way() {
        drop(derived);
        std::thread::sleep(SEAL_WAIT);
        return Ok(true);
    }
    let rows_max = engine.segments.rows_max(&derived.entry);
    let choice = choose(&derived, &sizes(&derived, &[]), rows_max);
    // Versions that are kept are many: they are asked for where there is something to do without them. With them there
    // is never more.
    let kept = if choice.is_some() { shared.history.lock().kept() } else { Vec::new() };
    let choice = if kept.is_empty() { choice } else { choose(&derived, &sizes(&derived, &kept), rows_max) };
    let Some(range) = choice.filter(|_| shared.check_exists().is_ok()) else {
        return Ok(false);
    };
    let build = Build::begin(&mut derived, range, &kept);
    let (rows, vectors) = (build.rows(), build.vectors());
    let status = BuildStatus { what, rows, vectors, vectors_built: 0 };
    shared.building.begin(role, status, build.takes_heads());
    drop(derived);
    let result = make(engine, shared, role, &build);
    engine.meters.build(what, shared.building.end(role, &result));
    engine.room.notify_all();
    if let Err(error) = &result {
        tracing::warn!(%error, collection = shared.name, what, "a segment could not be built");
        if error.kind() == ErrorKind::Corrupted {
            heal(engine, shared, error);
        }
    }
    result.map(|()| true)
}

/// Builds and publishes.
fn make(engine: &Engine, shared: &Shared, role: Role, build: &Build) -> Result<()> {
    let watch = Yielding(Watch { engine, shared, role });
    let (files, stored) = (engine.files(shared.id), stored(engine, shared, &watch));
    // What it takes of the last room would be missing where commits are written.
    engine.check_room_for(build.bytes())?;
    let built = caught(|| build.run(&files, &stored, engine.segments.threads.max(1), &watch));
    waypoint::pass(role.waypoints()[0]);
    let is_installed = match &built {
        Ok(Some(built)) => publish(engine, shared, role, (build, built)),
        Ok(None) => Ok(false),
        Err(error) => {
            // Nobody will name what was written before it.
            files.remove(build.number());
            Err(error.duplicate())
        }
    };
    match is_installed {
        Ok(true) => build.replaced().into_iter().for_each(|number| files.remove(number)),
        // Nobody will name them. After an error while the list was written, somebody may: they stay until the start.
        Ok(false) => files.remove(build.number()),
        Err(_) => {}
    }
    if role == Role::Merge {
        waypoint::pass("merge.replaced");
    }
    is_installed.map(drop)
}

/// Puts a new segment in the place of its parts, in the view and in the list; `false` if they are gone.
fn publish(engine: &Engine, shared: &Shared, role: Role, (build, built): (&Build, &Built)) -> Result<bool> {
    let _listing = shared.listing.lock();
    let mut derived = shared.derived.lock();
    let is_gone = shared.check_exists().is_err();
    // Nothing is written as a rule; where other fields are indexed by now, it is seen through.
    let (files, stored) = (engine.files(shared.id), stored(engine, shared, &()));
    let installed = if is_gone { Ok(false) } else { build.install(built, &mut derived, &files, &stored) };
    if !installed.inspect_err(|_| files.remove(build.number()))? {
        return Ok(false);
    }
    shared.publish(&derived);
    let list = derived.list();
    drop(derived);
    let [_, is_published, is_listed] = role.waypoints();
    waypoint::pass(is_published);
    // Durable, for the files that the list before names are removed next.
    engine.store.set_segments(shared.id, &list, Durability::Fsync)?;
    waypoint::pass(is_listed);
    Ok(true)
}

/// Makes the fields or the sparse vectors of a segment anew if some of them could not be read.
fn mend_files(engine: &Engine, shared: &Shared) {
    let view = shared.view.load_full();
    if view.fields.parts().all(PartFields::is_sound) && view.sparse.parts().all(PartSparse::is_sound) {
        return;
    }
    let mut derived = shared.derived.lock();
    if shared.check_exists().is_err() {
        return;
    }
    // Other fields may be indexed by now.
    let view = shared.view.load_full();
    let mut laid = derived.laid();
    let watch = Watch { engine, shared, role: Role::Merge };
    let (files, stored) = (engine.files(shared.id), stored(engine, shared, &watch));
    if let Err(error) = laid.iter_mut().try_for_each(|part| mend_part(&files, &stored, &view, part)) {
        if !watch.is_cancelled() {
            tracing::warn!(%error, collection = shared.name, "fields or sparse vectors could not be made anew");
        }
        return;
    }
    derived.lay(laid);
    shared.publish(&derived);
}

fn mend_part(files: &Files, stored: &StoredRows<'_>, view: &View, part: &mut Laid) -> Result<()> {
    let (Body::Segment(segment), Some(number)) = (&part.body, part.number) else { return Ok(()) };
    if !part.fields.is_sound() {
        part.fields = files.write_fields((number, segment), view.fields.kinds(), Vec::new(), stored)?;
    }
    if !part.sparse.is_sound() {
        part.sparse = files.write_sparse((number, segment), &[], stored)?;
    }
    Ok(())
}

/// Reads one segment that was mapped at the start, at a pace that leaves the disk to others, and compares its
/// checksums; whether there was one.
fn examine(engine: &Engine, shared: &Shared) -> bool {
    let Some(segment) = shared.building.unverified() else { return false };
    let watch = Watch { engine, shared, role: Role::Merge };
    let stops = || {
        std::thread::sleep(EXAMINE_PAUSE);
        watch.is_cancelled() || shared.building.asked().is_some()
    };
    match segment.verify_until(&stops) {
        Ok(true) => {}
        Ok(false) => shared.building.verify_later([segment]),
        Err(error) if error.kind() == ErrorKind::Corrupted => heal(engine, shared, &error),
        Err(error) => tracing::warn!(%error, collection = shared.name, "a segment could not be read"),
    }
    true
}

/// Loads a collection anew from storage, and forgets its segments: one of them is damaged.
fn heal(engine: &Engine, shared: &Shared, cause: &types::Error) {
    tracing::warn!(%cause, collection = shared.name, "segments are made anew from storage");
    if let Err(error) = loading::reload(engine, shared) {
        tracing::error!(%error, collection = shared.name, "a collection could not be loaded anew");
    }
}

fn stored<'a>(engine: &'a Engine, shared: &Shared, progress: &'a dyn Progress) -> StoredRows<'a> {
    StoredRows { store: &engine.store, entry: Arc::clone(&shared.view.load().entry), progress }
}

/// The sizes of the parts. Versions that are kept count as alive: a build would not leave them out.
pub(crate) fn sizes(derived: &Derived, kept: &[Version]) -> Vec<Size> {
    let parts = derived.rows.parts();
    let size = |part: &index::Part| Size {
        is_segment: matches!(part.body, Body::Segment(_)),
        rows: part.body.rows() as usize,
        alive: derived.alive.count_in(part.slots()),
    };
    let mut sizes: Vec<Size> = parts.iter().map(size).collect();
    for slot in kept.iter().filter_map(|version| derived.rows.slot_of(*version)) {
        let part = parts.partition_point(|part| part.base <= slot.0) - 1;
        sizes[part].alive += usize::from(!derived.alive.contains(slot));
    }
    sizes
}

/// Waits until there is room in memory for further rows: the one limit that background work sets to writing. What fails
/// frees nothing by being waited for, nor does what ends because the database closes or the collection is dropped.
pub(crate) fn wait_for_room(engine: &Engine, shared: &Shared) {
    let bytes_max = engine.segments.waiting_bytes_max;
    let seals = || {
        engine.heads.waiting() > bytes_max
            && !shared.building.is_failing(Role::Seal)
            && engine.all().iter().any(|shared| is_to_seal(shared))
    };
    let keywords = || engine.heads.texts() > bytes_max && !engine.is_failing.load(Ordering::Acquire);
    while (seals() || keywords())
        && !engine.is_closing.load(Ordering::Acquire)
        && shared.check_exists().is_ok()
    {
        if seals() {
            // Else this lasts as long as what was asked for: hours, where a collection is large.
            engine
                .all()
                .iter()
                .filter(|shared| is_to_seal(shared))
                .for_each(|shared| shared.building.give_way());
        }
        engine.room.wait(IDLE);
    }
}

/// Whether heads wait to become segments, and nothing speaks against it.
fn is_to_seal(shared: &Shared) -> bool {
    shared.heads.waiting() > 0 && !shared.building.is_failing(Role::Seal)
}

/// Has the largest head that takes rows wait to become a segment, as long as all of them together take more than may:
/// thousands of collections have one each, and none of those would ever be full.
pub(crate) fn relieve(engine: &Engine) {
    while engine.heads.open() > engine.segments.waiting_bytes_max {
        let all = engine.all();
        let largest = all.iter().max_by_key(|shared| shared.heads.open());
        // What holds the lock for long makes everything anew: the next commit looks again.
        let Some((shared, mut derived)) =
            largest.and_then(|shared| Some((shared, shared.derived.try_lock()?)))
        else {
            return;
        };
        if derived.head().1.rows() == 0 {
            return;
        }
        derived.freeze();
        shared.publish(&derived);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use types::{Metric, Point, Schema};

    use super::*;
    use crate::{Database, Options, Segments};

    #[test]
    fn writers_do_not_wait_for_the_end_of_what_was_asked_for() {
        const DIM: usize = 64;
        let segments = Segments { seal_rows: 10, waiting_bytes_max: 10_000, ..Segments::default() };
        let db = Database::in_memory_with(Options { segments, ..Options::default() }).expect("a database");
        let make = |name: &str| db.create_collection(name, Schema::new().vector(DIM, Metric::Euclid));
        let (first, second) = (make("a").expect("a collection"), make("b").expect("a collection"));
        // The merger comes to this lock, and not to what is asked of the second: as if the first took hours.
        let held = first.shared.derived.lock();
        first.optimize(false).expect("asked");
        std::thread::sleep(4 * IDLE);
        second.optimize(false).expect("asked");
        let (sender, is_done) = mpsc::channel();
        std::thread::scope(|scope| {
            let second = &second;
            scope.spawn(move || {
                for round in 0..20_u64 {
                    let ids = 10 * round..10 * round + 10;
                    let points = ids.map(|id| Point::new(id).vector(vec![id as f32; DIM])).collect();
                    second.upsert(points).expect("points");
                }
                sender.send(()).expect("somebody listens");
            });
            let written = is_done.recv_timeout(Duration::from_secs(30));
            drop(held);
            written.expect("the writer waits for what was asked for");
        });
        second.optimize(true).expect("one segment");
        assert_eq!(second.status().segments.len(), 1);
        assert_eq!(db.verify().expect("a walk").faults, []);
    }
}
