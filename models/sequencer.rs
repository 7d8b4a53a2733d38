//! The sequencer and its callers: writes share commits, each is told its seqno when the log has it and readers see it,
//! and what waits when the last caller goes is served. The steps are those of `Sequencer::run` and `Sequencer::commit`
//! (`kithdb/src/sequencer.rs`), the callers' those of `Workers::order`.

use std::sync::Arc;

use shuttle::sync::Mutex;
use shuttle::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use shuttle::thread;

use crate::ORDERS;
use crate::group::{Next, gather};

const CALLERS: u64 = 3;
const WRITES: u64 = 2;
const QUEUE_MAX: usize = 2;
const GROUP_MAX: usize = 3;

/// A write, told apart from others by its number.
struct Write {
    number: u64,
    is_by_filter: bool,
    reply: Sender<u64>,
}

enum Order {
    Write(Write),
    /// The seqno of the view, as everything else that comes in its turn.
    Look(Sender<u64>),
}

/// What all threads know: the log, and the last commit that readers see.
struct Database {
    log: Mutex<Vec<u64>>,
    shown: Mutex<u64>,
}

impl Database {
    fn shown(&self) -> u64 {
        *self.shown.lock().expect("nobody panics under it")
    }

    fn commit(&self, group: Vec<Write>, seqno: &mut u64, is_told_early: bool) {
        // A filter matches what is published.
        let is_late = group.iter().skip(1).any(|write| write.is_by_filter);
        assert!(!is_late, "a filter would miss the writes before it");
        assert_eq!(self.shown(), *seqno);
        let mut replies = Vec::new();
        for write in group {
            *seqno += 1;
            self.log.lock().expect("nobody panics under it").push(write.number);
            replies.push((write.reply, *seqno));
        }
        let tell = |replies: Vec<(Sender<u64>, u64)>| {
            replies.into_iter().for_each(|(reply, seqno)| reply.send(seqno).expect("who asked waits"));
        };
        if is_told_early {
            tell(std::mem::take(&mut replies));
        }
        *self.shown.lock().expect("nobody panics under it") = *seqno;
        tell(replies);
    }

    fn serve(&self, orders: &Receiver<Order>, is_told_early: bool) {
        let (mut held, mut seqno) = (None, 0);
        while let Some(order) = held.take().or_else(|| orders.recv().ok()) {
            match order {
                Order::Write(first) => {
                    let next = || match orders.try_recv() {
                        Ok(Order::Write(write)) if !write.is_by_filter => Some(Next::Joins(write)),
                        Ok(other) => Some(Next::Alone(other)),
                        Err(_) => None,
                    };
                    let (group, alone) = gather(first, |_| 1, GROUP_MAX, next);
                    held = alone;
                    self.commit(group, &mut seqno, is_told_early);
                }
                Order::Look(reply) => reply.send(self.shown()).expect("who asked waits"),
            }
        }
    }
}

fn ask(orders: &SyncSender<Order>, make: impl FnOnce(Sender<u64>) -> Order) -> u64 {
    let (reply, answer) = channel();
    assert!(orders.send(make(reply)).is_ok(), "the sequencer is there as long as a caller is");
    answer.recv().expect("every order is answered")
}

/// Writes, and holds what it is told against what is there.
fn call(database: &Database, orders: &SyncSender<Order>, caller: u64) {
    let mut last = 0;
    for write in 0..WRITES {
        let number = caller * WRITES + write;
        let is_by_filter = caller == 0 && write == 1;
        let seqno = ask(orders, |reply| Order::Write(Write { number, is_by_filter, reply }));
        assert!(database.shown() >= seqno, "what was acknowledged is not shown");
        let log = database.log.lock().expect("nobody panics under it");
        assert_eq!(log[seqno as usize - 1], number, "the log has another write under this seqno");
        assert!(seqno > last, "two writes of one caller changed places");
        last = seqno;
    }
    assert!(ask(orders, Order::Look) >= last, "what comes in its turn sees what came before it");
}

fn run(is_told_early: bool) {
    let database = Arc::new(Database { log: Mutex::new(Vec::new()), shown: Mutex::new(0) });
    let (orders, received) = sync_channel(QUEUE_MAX);
    let mut threads = Vec::new();
    for caller in 0..CALLERS {
        let (database, orders) = (Arc::clone(&database), orders.clone());
        threads.push(thread::spawn(move || call(&database, &orders, caller)));
    }
    drop(orders);
    let served = Arc::clone(&database);
    threads.push(thread::spawn(move || served.serve(&received, is_told_early)));
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let mut log = database.log.lock().expect("nobody panics under it").clone();
    log.sort_unstable();
    assert_eq!(log, (0..CALLERS * WRITES).collect::<Vec<u64>>(), "each write once");
}

#[test]
fn what_is_acknowledged_is_in_the_log_and_shown_whoever_comes_first() {
    shuttle::check_random(|| run(false), ORDERS);
}

#[test]
#[should_panic(expected = "what was acknowledged is not shown")]
fn a_reply_before_the_view_is_found_out() {
    shuttle::check_random(|| run(true), ORDERS);
}
