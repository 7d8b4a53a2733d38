//! The death of the process at a waypoint: by SIGKILL, from itself, so that nothing runs on the way out.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kithdb::{Error, Result, waypoint};
use rustix::process::{Signal, getpid, kill_process};

struct Plan {
    waypoint: String,
    left: AtomicU64,
    stall: Duration,
}

static PLAN: OnceLock<Plan> = OnceLock::new();

/// Takes a plan, `<waypoint>:<count>:<ms>`.
pub(crate) fn plan(text: &str) -> Result<()> {
    let wrong = || Error::invalid("at", format!("`{text}` is not <waypoint>:<count>:<ms>"));
    let [name, count, stall_ms] = text.split(':').collect::<Vec<_>>()[..] else { return Err(wrong()) };
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    if !waypoint::ALL.contains(&name) {
        return Err(Error::invalid("at", format!("there is no waypoint `{name}`")));
    }
    let stall = Duration::from_millis(number(stall_ms)?);
    let plan = Plan { waypoint: name.to_owned(), left: AtomicU64::new(number(count)?), stall };
    if PLAN.set(plan).is_ok() {
        waypoint::watch(come_to);
    }
    Ok(())
}

fn come_to(name: &'static str) {
    assert!(waypoint::ALL.contains(&name), "a waypoint that is not in the list: {name}");
    let Some(plan) = PLAN.get().filter(|plan| plan.waypoint == name) else { return };
    if plan.left.fetch_sub(1, Ordering::Relaxed) != 1 {
        return;
    }
    std::thread::sleep(plan.stall);
    // It cannot fail: the process is there, and may kill itself.
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}
