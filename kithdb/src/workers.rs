//! The threads of an open database, and the way to their queue.
//!
//! Invariant: the threads end when the last handle is gone: the queue closes, the sequencer serves what waits and makes
//! it durable, maintenance ends its turn, the builders leave what they are at. Then nobody writes any more, and storage
//! is closed, which ends what is reclaimed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use tracing::Span;
use types::{Durability, Error, ErrorKind, Result, Seqno};

use crate::builder;
use crate::building::Role;
use crate::early::Early;
use crate::engine::Engine;
use crate::maintenance::{self, Wake};
use crate::monitor::{self, Job};
use crate::prepared::Prepared;
use crate::sequencer::{Order, QUEUE_WRITES_MAX, Sequencer, Write};
use crate::stage::Target;

/// The threads of a database. Dropped with the last handle: they end, and the log is flushed.
pub(crate) struct Workers {
    engine: Arc<Engine>,
    orders: Option<Sender<Order>>,
    /// Wakes who merges.
    pub(crate) merger: Wake,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Ends when storage is closed, at the latest.
    reclaimer: Option<JoinHandle<()>>,
}

impl Workers {
    pub(crate) fn start(
        engine: &Arc<Engine>,
        catalog: &storage::Catalog,
        jobs: Receiver<Option<Job>>,
    ) -> Result<Self> {
        let (orders, received) = crossbeam_channel::bounded(QUEUE_WRITES_MAX);
        let (wake, wakes) = Wake::new();
        let (sealer, seals) = Wake::new();
        let (merger, merges) = Wake::new();
        let (reclaimer, reclaims) = Wake::new();
        let sequencer = Sequencer {
            engine: Arc::clone(engine),
            seqno: catalog.seqno,
            next_collection: catalog.next,
            wake,
            sealer,
        };
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let engines = || Arc::clone(engine);
        let (maintained, sealed, merged, monitored) = (engines(), engines(), engines(), engines());
        let reclaimed = engines();
        let threads = vec![
            named("kithdb-sequencer").spawn(move || sequencer.run(&received))?,
            named("kithdb-maintenance").spawn(move || maintenance::run(&maintained, &wakes, &reclaimer))?,
            named("kithdb-sealer").spawn(move || builder::run(&sealed, Role::Seal, &seals))?,
            named("kithdb-merger").spawn(move || builder::run(&merged, Role::Merge, &merges))?,
            named("kithdb-monitor").spawn(move || monitor::run(&monitored, &jobs))?,
        ];
        let reclaimer =
            named("kithdb-reclaimer").spawn(move || maintenance::reclaim(&reclaimed, &reclaims))?;
        let (engine, orders) = (Arc::clone(engine), Some(orders));
        Ok(Self { engine, orders, merger, threads: Mutex::new(threads), reclaimer: Some(reclaimer) })
    }

    /// Hands a checked write to the sequencer, and waits for its commit. Its filters look for points until a deadline,
    /// if there is one. What is done for it is told below `span`.
    ///
    /// # Errors
    /// What staging or storage says; `Internal` when the sequencer is gone.
    pub(crate) fn write(
        &self,
        targets: Vec<Target>,
        durability: Durability,
        deadline: Option<Instant>,
        span: Span,
    ) -> Result<Seqno> {
        let of = |(shared, ops): &Target| Prepared::of(&self.engine, shared, ops);
        let texts = targets.iter().map(of).collect();
        self.write_prepared(targets, texts, durability, deadline, span)
    }

    /// As [`write`](Self::write), with texts that are prepared already: of each target those, or nothing.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub(crate) fn write_prepared(
        &self,
        targets: Vec<Target>,
        texts: Vec<Option<Prepared>>,
        durability: Durability,
        deadline: Option<Instant>,
        span: Span,
    ) -> Result<Seqno> {
        let early = Early::of(&self.engine, &targets, deadline)?;
        let (back, sent) = (None, Instant::now());
        self.order(|reply| {
            Order::Write(Write { targets, texts, early, deadline, durability, back, reply, span, sent })
        })
    }

    /// As [`write_prepared`](Self::write_prepared), of points that must all be known to be new without a look
    /// (`Derived::is_new`). Where they are not, nothing was written, and the targets come back.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub(crate) fn write_new(
        &self,
        targets: Vec<Target>,
        texts: Vec<Option<Prepared>>,
        durability: Durability,
        span: Span,
    ) -> Result<std::result::Result<Seqno, Vec<Target>>> {
        let (back, refused) = crossbeam_channel::bounded(1);
        let early = Early::of(&self.engine, &targets, None)?;
        let (back, deadline, sent) = (Some(back), None, Instant::now());
        let written = self.order(|reply| {
            Order::Write(Write { targets, texts, early, deadline, durability, back, reply, span, sent })
        });
        match refused.try_recv() {
            Ok(targets) => Ok(Err(targets)),
            Err(_) => written.map(Ok),
        }
    }

    /// Orders that wait for the sequencer.
    pub(crate) fn waiting(&self) -> usize {
        self.orders.as_ref().map_or(0, Sender::len)
    }

    /// Hands an order to the sequencer, and waits for its answer.
    ///
    /// # Errors
    /// What it answers; `Internal` when it is gone.
    pub(crate) fn order<T>(&self, make: impl FnOnce(Sender<Result<T>>) -> Order) -> Result<T> {
        let gone =
            || Error::new(ErrorKind::Internal, "the sequencer of this database has stopped; open it anew");
        let (reply, answer) = crossbeam_channel::bounded(1);
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send(make(reply)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.engine.is_closing.store(true, Ordering::Release);
        self.merger.ring();
        self.engine.monitor.wake();
        self.orders = None;
        self.threads.get_mut().drain(..).for_each(join);
        self.engine.store.close();
        self.reclaimer.take().into_iter().for_each(join);
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the database panicked");
    }
}
