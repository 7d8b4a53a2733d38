//! SIGKILL at a random moment, again and again on one directory, and what must be there afterwards.
//!
//! An acknowledged operation is there, the one under way is whole or absent, and nothing else is there. Under
//! durability `none` acknowledged operations may be missing, but only the last ones of each thread. Heads are small, so
//! that many kills fall among the making of segments, which must not cost any index.
//! `KITHDB_CRASH_CYCLES` sets how many kills, `KITHDB_CRASH_SEED` repeats a run as far as chance allows it.

mod child;
mod examine;
mod restore;
mod script;

use std::time::{Duration, Instant};

use kithdb::Durability;

use child::Child;
use examine::{Progress, examine};
use script::Random;

const CYCLES: u64 = 20;

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_instant() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let seed = number("KITHDB_CRASH_SEED").unwrap_or(now.as_nanos() as u64);
    println!("KITHDB_CRASH_SEED={seed}");
    let folder = tempfile::tempdir().expect("a folder");
    let (mut random, mut progress) = (Random(seed), Progress::new(seed));
    let cycles = number("KITHDB_CRASH_CYCLES").unwrap_or(CYCLES);
    let (mut acknowledged, mut unseen) = (0, 0);
    for cycle in 0..cycles {
        let durability = Durability::ALL[(cycle % 3) as usize];
        let mut child = Child::start(folder.path(), durability, seed, &progress.done);
        live(cycle, &child, &mut random);
        let acks = child.kill(&progress.done);
        let before: u64 = progress.done.iter().sum();
        acknowledged += acks.iter().sum::<u64>() - before;
        unseen += examine(folder.path(), durability, &acks, &mut progress)
            .unwrap_or_else(|fault| panic!("cycle {cycle} ({durability}), seed {seed}: {fault}"));
    }
    println!("{cycles} kills, {acknowledged} operations acknowledged, {unseen} found that were not");
    assert!(cycles < 10 || acknowledged > 100 * cycles, "too little was written to prove anything");
    assert!(cycles < 10 || progress.segments > 0, "no segment was made");
}

/// Lets the child live for a moment: mostly among commits, sometimes past keyword commits and purges, sometimes not
/// even until it has opened.
fn live(cycle: u64, child: &Child, random: &mut Random) {
    match cycle % 5 {
        0 => pause(random.below(60)),
        1 => {
            child.wait_until_open();
            pause(1_000 + random.below(1_200));
        }
        _ => {
            child.wait_until_open();
            pause(5 + random.below(395));
        }
    }
}

fn pause(ms: u64) {
    let until = Instant::now() + Duration::from_millis(ms);
    // A sleep ends on the timer's tick; the kill should not.
    std::thread::sleep(Duration::from_millis(ms.saturating_sub(2)));
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}
