//! SIGKILL, again and again on one directory, at random moments and at every waypoint of a write, and what must be
//! there afterwards.
//!
//! An acknowledged operation is there, the one under way is whole or absent, and nothing else is there. Under
//! durability `none` acknowledged operations may be missing, but only the last ones of each thread. Heads are small, so
//! that many kills fall among the making of segments, which must not cost any index. Beside the writers a reader asks,
//! and a keeper makes and drops collections, fields, vectors, aliases and snapshots, imports and recovers.
//! `KITHDB_CRASH_CYCLES` sets how many kills, `KITHDB_CRASH_ROUNDS` how many deaths at each waypoint,
//! `KITHDB_CRASH_SEED` repeats a run as far as chance allows it.

mod child;
mod chores;
mod disk;
mod examine;
mod house;
mod power;
mod restore;
mod script;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kithdb::{Durability, waypoint};

use child::{Child, Fate};
use examine::{Progress, Promise, examine};
pub(crate) use script::Random;

const CYCLES: u64 = 30;
const ROUNDS: u64 = 1;

/// From then on a kill among keyword commits and purges, for which a child must live for a second or two, is one of
/// 25, not of 5: ten thousand take a night otherwise.
const LONG: u64 = 100;

/// A child that has not come to a waypoint by then is killed where it is; in a run of one round, and of several.
const DEATH_MAX: [Duration; 2] = [Duration::from_secs(8), Duration::from_secs(20)];

/// One directory, its writers, and how far they have got.
struct Campaign {
    folder: tempfile::TempDir,
    /// Where the database is, in the folder.
    place: PathBuf,
    seed: u64,
    random: Random,
    progress: Progress,
    /// Decides the durability.
    turn: u64,
    kills: u64,
    acknowledged: u64,
    unseen: u64,
    /// In which it was looked at what kills left; the rest of the time children live.
    examined: Duration,
    began: Instant,
}

impl Campaign {
    fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let seed = number("KITHDB_CRASH_SEED").unwrap_or(now.as_nanos() as u64);
        println!("KITHDB_CRASH_SEED={seed}");
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            place: folder.path().to_owned(),
            folder,
            seed,
            random: Random(seed),
            progress: Progress::new(seed),
            turn: 0,
            kills: 0,
            acknowledged: 0,
            unseen: 0,
            examined: Duration::ZERO,
            began: Instant::now(),
        }
    }

    fn durability(&self) -> Durability {
        Durability::ALL[(self.turn % 3) as usize]
    }

    fn child(&self, fate: &Fate) -> Child {
        Child::start(&self.place, self.durability(), self.seed, &self.progress.done, fate)
    }

    /// Kills a child, sometimes others too that open what it left, and holds against the script what there is then.
    fn end(&mut self, mut child: Child, what: &str) {
        let acks = child.kill(&self.progress.done);
        while self.random.below(4) == 0 {
            let fate = Fate { opens_only: true, ..Fate::default() };
            let child = self.child(&fate);
            pause(self.random.below(40));
            child.kill_opening();
        }
        self.examine(&acks, what);
    }

    /// Holds what there is against the script, after the end of the process.
    fn examine(&mut self, acks: &[u64], what: &str) {
        let promise = if self.durability() == Durability::None { Promise::Prefix } else { Promise::All };
        self.examine_as(acks, promise, what);
    }

    fn examine_as(&mut self, acks: &[u64], promise: Promise, what: &str) {
        let (before, durability) = (self.progress.done.iter().sum::<u64>(), self.durability());
        self.acknowledged += acks.iter().sum::<u64>() - before;
        self.kills += 1;
        let began = Instant::now();
        self.unseen += examine(&self.place, promise, acks, &mut self.progress)
            .unwrap_or_else(|fault| panic!("{what} ({durability}), seed {}: {fault}", self.seed));
        self.examined += began.elapsed();
        if self.kills.is_multiple_of(50) {
            self.report();
        }
    }

    fn report(&self) {
        println!(
            "{} kills, {} operations acknowledged, {} found that were not, {} copies compared, {} segments met; the \
             slowest start took {} ms; {} s, {} of them to examine",
            self.kills,
            self.acknowledged,
            self.unseen,
            self.progress.copies,
            self.progress.segments,
            self.progress.start_ms_max,
            self.began.elapsed().as_secs(),
            self.examined.as_secs()
        );
    }

    /// The line that `scripts/faults.sh` adds up. Whoever comes here has lost nothing that was promised.
    fn result(&self, what: &str) {
        self.report();
        println!(
            "result: {what} | {} | {} | {} | {}",
            self.kills, self.acknowledged, self.progress.copies, self.seed
        );
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok())
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_instant() {
    let mut campaign = Campaign::new();
    let cycles = number("KITHDB_CRASH_CYCLES").unwrap_or(CYCLES);
    for cycle in 0..cycles {
        campaign.turn = cycle;
        let child = campaign.child(&Fate::default());
        live(cycle, &child, &mut campaign.random);
        campaign.end(child, &format!("cycle {cycle}"));
    }
    campaign.result("random kills");
    assert!(cycles < 10 || campaign.acknowledged > 100 * cycles, "too little was written to prove anything");
    assert!(cycles < 10 || campaign.progress.segments > 0, "no segment was made");
}

#[test]
fn what_was_acknowledged_survives_a_death_at_every_waypoint() {
    let mut campaign = Campaign::new();
    let rounds = number("KITHDB_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let mut missed = waypoint::ALL.to_vec();
    let most = DEATH_MAX[usize::from(rounds > 1)];
    for round in 0..rounds {
        for (position, name) in waypoint::ALL.into_iter().enumerate() {
            // Each in its turn under every durability.
            campaign.turn = round + position as u64;
            if die_at(&mut campaign, name, round, most) {
                missed.retain(|other| *other != name);
            }
        }
    }
    campaign.result("deaths at waypoints");
    // In one round a busy machine does not come to all of them in time.
    let missed_max = if rounds > 1 { 0 } else { waypoint::ALL.len() / 2 };
    assert!(missed.len() <= missed_max, "nobody came to {missed:?}");
}

/// Has a child die at a waypoint; whether it came there in time.
fn die_at(campaign: &mut Campaign, name: &'static str, round: u64, time_max: Duration) -> bool {
    let is_opening = ["storage.close", "storage.closed"].contains(&name);
    // What every commit passes is passed many times a second.
    let is_hot = name.starts_with("storage.") || name.starts_with("commit.");
    let most = match name {
        _ if is_opening || name == "storage.opened" => 1,
        _ if is_hot => 1 + 150 * (round + 1),
        _ => 1 + round.min(2),
    };
    let count = 1 + campaign.random.below(most);
    let stall_ms = if campaign.random.below(2) == 0 { 0 } else { campaign.random.below(30) };
    let fate = Fate { death: Some((name, count, stall_ms)), opens_only: is_opening, ..Fate::default() };
    let mut child = campaign.child(&fate);
    let is_dead = child.dies_within(time_max);
    campaign.end(child, &format!("{name}, the {count}th time"));
    is_dead
}

/// Lets the child live for a moment: mostly among commits, sometimes past keyword commits and purges, sometimes not
/// even until it has opened.
fn live(cycle: u64, child: &Child, random: &mut Random) {
    match cycle % 5 {
        0 => pause(random.below(60)),
        1 if cycle < LONG || cycle % 25 == 1 => {
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
