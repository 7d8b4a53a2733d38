//! The mixed load: readers ask and writers write until the time is over, while the database seals and merges.
//!
//! Operations (a query, or a point upserted or deleted) keep a share: who is ahead waits for the others, and that is no
//! part of any latency. So reads and writes a second are one figure, the speed of the load; who waited shows which side
//! it was that set it. Fresh points are made by the writers, outside of what is timed but on the same cores.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use kithdb::{Error, ErrorKind, PointId, Result};

use super::bench::Bench;
use super::questions::{Questions, Reads};
use super::states::States;
use super::watch::{self, Seen};
use super::writers::{DELETE_POINTS, UPSERT_POINTS, Writer, Writes};
use crate::figures::{Timings, megabytes, milliseconds, rate};
use crate::machine;
use crate::table::Table;

/// Reads alone last so long at most.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// How far one side may be ahead: operations, times the share of the other. More than a batch.
const AHEAD_MAX: f64 = 100.0;

/// Who is ahead looks so often whether the others have come up.
const WAIT: Duration = Duration::from_micros(100);

/// Keeps a share of writes among all operations.
pub(super) struct Balance {
    share: f64,
    pub(super) reads: AtomicU64,
    pub(super) written: AtomicU64,
}

impl Balance {
    fn new(share: f64) -> Self {
        Self { share, reads: AtomicU64::new(0), written: AtomicU64::new(0) }
    }

    /// How far readers are ahead of writers; below 0, writers of readers.
    fn ahead(&self) -> f64 {
        let count = |operations: &AtomicU64| operations.load(Ordering::Relaxed) as f64;
        count(&self.reads) * self.share - count(&self.written) * (1.0 - self.share)
    }

    /// One of this and [`Self::may_write`] always holds.
    pub(super) fn may_read(&self) -> bool {
        self.ahead() <= AHEAD_MAX
    }

    pub(super) fn may_write(&self) -> bool {
        self.ahead() >= -AHEAD_MAX
    }

    /// Waits until it is one's turn, or until then; how long that was.
    pub(super) fn wait(&self, until: Instant, is_turn: impl Fn(&Self) -> bool) -> Duration {
        let began = Instant::now();
        while !is_turn(self) && Instant::now() < until {
            thread::sleep(WAIT);
        }
        began.elapsed()
    }
}

/// What all threads of a load saw.
struct Load {
    reads: Reads,
    writes: Writes,
    seen: Seen,
    elapsed: Duration,
}

/// Tables of the load, and of the collection before and after it.
///
/// # Errors
/// What the database returns.
pub(super) fn measure(bench: &Bench<'_>, time: Duration, share: f64) -> Result<Vec<String>> {
    let questions = bench.questions()?;
    let mut states = States::new(bench)?;
    let loaded: HashSet<PointId> = (0..bench.rows as u64).map(PointId::from).collect();
    states.add_optimised("loaded", &loaded)?;
    let memory = machine::memory();
    eprintln!("reads alone");
    let began = Instant::now();
    let idle = read_alone(bench, &questions, began + time.min(IDLE_MAX))?;
    let idle_elapsed = began.elapsed();
    eprintln!("reads and writes");
    let load = read_and_write(bench, &questions, time, share)?;
    let own = own_table(bench, &load, memory.map(|memory| memory.resident_bytes));
    let alive = &load.writes.alive;
    states.add("right after", alive)?;
    states.add_optimised("right after", alive)?;
    let reads = reads_table((&idle, idle_elapsed), (&load.reads, load.elapsed));
    Ok(vec![reads, all_writes_table(&load), own, states.to_text()])
}

fn read_alone(bench: &Bench<'_>, questions: &Questions<'_>, until: Instant) -> Result<Reads> {
    thread::scope(|scope| {
        let reader = |number| scope.spawn(move || questions.ask(number, None, until));
        let readers: Vec<_> = (0..bench.readers).map(|number| reader(first(bench, number))).collect();
        joined_reads(readers)
    })
}

fn read_and_write(bench: &Bench<'_>, questions: &Questions<'_>, time: Duration, share: f64) -> Result<Load> {
    let (balance, is_over) = (Balance::new(share), AtomicBool::new(false));
    let (balance, is_over) = (&balance, &is_over);
    let began = Instant::now();
    let until = began + time;
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch::watch(&bench.collection, is_over));
        let writer = |number| scope.spawn(move || Writer::new(bench, number).write(balance, until));
        let reader = |number| scope.spawn(move || questions.ask(number, Some(balance), until));
        let writers: Vec<_> = (0..bench.writers).map(writer).collect();
        let readers: Vec<_> = (0..bench.readers).map(|number| reader(first(bench, number))).collect();
        let (reads, writes) = (joined_reads(readers), joined_writes(writers));
        let elapsed = began.elapsed();
        // Before an error is returned: the scope waits for the watcher.
        is_over.store(true, Ordering::Release);
        let seen = watcher.join().map_err(panicked)?;
        Ok(Load { reads: reads?, writes: writes?, seen, elapsed })
    })
}

/// Where a reader begins, so that no two ask the same at a time.
fn first(bench: &Bench<'_>, reader: usize) -> usize {
    2 * reader * bench.set.query_count() / bench.readers
}

fn joined_reads(readers: Vec<ScopedJoinHandle<'_, Result<Reads>>>) -> Result<Reads> {
    let mut all = Reads::default();
    for reader in readers {
        let own = reader.join().map_err(panicked)??;
        all.plain.extend(own.plain);
        all.filtered.extend(own.filtered);
        all.waited += own.waited;
    }
    Ok(all)
}

fn joined_writes(writers: Vec<ScopedJoinHandle<'_, Result<Writes>>>) -> Result<Writes> {
    let mut all = Writes::default();
    for writer in writers {
        let own = writer.join().map_err(panicked)??;
        all.upserts.extend(own.upserts);
        all.deletes.extend(own.deletes);
        all.upserted += own.upserted;
        all.deleted += own.deleted;
        all.waited += own.waited;
        all.alive.extend(own.alive);
    }
    Ok(all)
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Error {
    Error::new(ErrorKind::Internal, "a thread of the load panicked")
}

fn reads_table((idle, idle_elapsed): (&Reads, Duration), (mixed, elapsed): (&Reads, Duration)) -> String {
    let mut table = Table::new([
        "reads, 10 hits",
        "idle/s",
        "idle p50",
        "idle p99",
        "mixed/s",
        "mixed p50",
        "mixed p99",
        "longest",
        "p50 ratio",
        "p99 ratio",
    ]);
    let mut row = |name: &str, idle: &Timings, mixed: &Timings| {
        let ratio = |share| {
            let seconds = |timings: &Timings| timings.percentile(share).as_secs_f64();
            format!("{:.2}", seconds(mixed) / seconds(idle).max(f64::MIN_POSITIVE))
        };
        table.row([
            name.to_owned(),
            rate(idle.count(), idle_elapsed),
            milliseconds(idle.percentile(0.5)),
            milliseconds(idle.percentile(0.99)),
            rate(mixed.count(), elapsed),
            milliseconds(mixed.percentile(0.5)),
            milliseconds(mixed.percentile(0.99)),
            milliseconds(mixed.percentile(1.0)),
            ratio(0.5),
            ratio(0.99),
        ]);
    };
    row("all reads", &together(&idle.plain, &idle.filtered), &together(&mixed.plain, &mixed.filtered));
    row("without filter", &idle.plain, &mixed.plain);
    row("filter passes 10 %", &idle.filtered, &mixed.filtered);
    table.to_text()
}

fn all_writes_table(load: &Load) -> String {
    let (writes, elapsed) = (&load.writes, load.elapsed);
    let mut table = writes_table();
    let upsert = format!("upsert of {UPSERT_POINTS} points");
    write_row(&mut table, upsert, writes.upserted, &writes.upserts, elapsed);
    let delete = format!("delete of {DELETE_POINTS} points");
    write_row(&mut table, delete, writes.deleted, &writes.deletes, elapsed);
    let all = together(&writes.upserts, &writes.deletes);
    write_row(&mut table, "all writes".to_owned(), writes.upserted + writes.deleted, &all, elapsed);
    table.to_text()
}

/// A table for [`write_row`].
pub(super) fn writes_table() -> Table {
    Table::new(["writes", "calls", "points/s", "p50", "p99", "longest"])
}

pub(super) fn write_row(table: &mut Table, name: String, points: usize, calls: &Timings, elapsed: Duration) {
    table.row([
        name,
        calls.count().to_string(),
        rate(points, elapsed),
        milliseconds(calls.percentile(0.5)),
        milliseconds(calls.percentile(0.99)),
        milliseconds(calls.percentile(1.0)),
    ]);
}

/// What else is to be known of the load.
fn own_table(bench: &Bench<'_>, load: &Load, resident_bytes_loaded: Option<u64>) -> String {
    let (reads, writes, seen) = (&load.reads, &load.writes, &load.seen);
    let percent = |part: f64, whole: f64| format!("{:.1} %", 100.0 * part / whole.max(f64::MIN_POSITIVE));
    let waited = |waited: Duration, threads: usize| {
        percent(waited.as_secs_f64(), threads as f64 * load.elapsed.as_secs_f64())
    };
    let written = (writes.upserted + writes.deleted) as f64;
    let asked = (reads.plain.count() + reads.filtered.count()) as f64;
    let status = bench.collection.status();
    let shown = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), megabytes);
    let mut table = Table::new(["mixed load", ""]);
    let mut row = |name: &str, figure: String| table.row([name.to_owned(), figure]);
    row("threads that read, that write", format!("{}, {}", bench.readers, bench.writers));
    row("writes, of all operations", percent(written, written + asked));
    row("readers waited for writers", waited(reads.waited, bench.readers));
    row("writers waited for readers", waited(writes.waited, bench.writers));
    row("seals", seen.seals.to_string());
    row("merges", seen.merges.to_string());
    row("a build that failed", seen.failure.clone().unwrap_or_else(|| "none".to_owned()));
    row("segments at most", seen.segments_max.to_string());
    row("segments at the end", status.segments.len().to_string());
    row("rows of heads at most", seen.head_rows_max.to_string());
    row("memory before, the set in it", shown(bench.memory_before.map(|memory| memory.resident_bytes)));
    row("memory after the load", shown(resident_bytes_loaded));
    row("memory at most, reads and writes", megabytes(seen.resident_bytes_max));
    row("memory at the end", shown(machine::memory().map(|memory| memory.resident_bytes)));
    table.to_text()
}

fn together(one: &Timings, other: &Timings) -> Timings {
    let mut all = one.clone();
    all.extend(other.clone());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_ahead_waits_and_the_others_do_not() {
        let balance = Balance::new(0.25);
        assert!(balance.may_read() && balance.may_write());
        balance.reads.store(3_000, Ordering::Relaxed);
        assert!(!balance.may_read() && balance.may_write());
        balance.written.store(1_000, Ordering::Relaxed);
        assert!(balance.may_read() && balance.may_write());
        balance.written.store(2_000, Ordering::Relaxed);
        assert!(balance.may_read() && !balance.may_write());
        let until = Instant::now() + Duration::from_millis(5);
        assert!(balance.wait(until, Balance::may_write) >= Duration::from_millis(4));
    }
}
