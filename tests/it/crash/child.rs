//! The child process: started, listened to, killed, or seen to die where it was told to.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kithdb::Durability;

/// What a child said that came to its end by itself.
#[derive(Debug)]
pub(super) struct Ended {
    /// The last step of each thread that it acknowledged.
    pub(super) acks: Vec<u64>,
    /// In their order.
    pub(super) failures: Vec<Failure>,
    /// Why it could not even open, or go on to ask.
    pub(super) error: Option<String>,
}

/// An operation that failed.
#[derive(Debug)]
#[expect(dead_code, reason = "`why` is for people, where a test fails")]
pub(super) struct Failure {
    thread: usize,
    /// That of the error.
    pub(super) kind: String,
    why: String,
}

/// A running child; killed when dropped.
pub(super) struct Child {
    process: std::process::Child,
    open: Receiver<()>,
    lines: Option<JoinHandle<Vec<String>>>,
}

/// What a child is told beside the steps that are done.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    /// A waypoint, at the how manieth time it is passed, and for how many milliseconds others go on there.
    pub(super) death: Option<(&'static str, u64, u64)>,
    /// It closes again what it opened.
    pub(super) opens_only: bool,
    /// What its disk does, and the library that does it; then it goes on where a write fails, for so many milliseconds.
    pub(super) disk: Option<(String, PathBuf, u64)>,
}

const COMMAND: &str = env!("CARGO_BIN_EXE_kithdb-crash-child");

/// A child that has not opened by then never will.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// How often it is looked whether the child is dead.
const LOOK: Duration = Duration::from_millis(1);

impl Child {
    pub(super) fn start(folder: &Path, durability: Durability, seed: u64, done: &[u64], fate: &Fate) -> Self {
        let at = fate.death.map(|(waypoint, count, ms)| format!("at={waypoint}:{count}:{ms}"));
        let mut command = Command::new(COMMAND);
        if let Some((fault, library, ms)) = &fate.disk {
            command.env("FAULT", fault).env("FAULT_FOLDER", folder).env("LD_PRELOAD", library);
            command.arg(format!("endures={ms}"));
        }
        command
            .arg(folder)
            .arg(durability.name())
            .arg(seed.to_string())
            .args(done.iter().map(u64::to_string))
            .args(at)
            .args(fate.opens_only.then_some("opens"));
        Self::spawn(&mut command)
    }

    /// One that recovers a collection from each of these files in turn.
    pub(super) fn restoring(folder: &Path, files: &[PathBuf]) -> Self {
        Self::spawn(Command::new(COMMAND).arg("restore").arg(folder).args(files))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut process =
            command.stdout(Stdio::piped()).spawn().expect("the child is built beside this test");
        let out = BufReader::new(process.stdout.take().expect("standard output is piped"));
        let (opened, open) = channel();
        let lines = std::thread::spawn(move || {
            // A line that the kill cut in two was not said.
            let mut said = Vec::new();
            let mut out = out;
            let mut line = String::new();
            while out.read_line(&mut line).is_ok_and(|bytes| bytes > 0) && line.ends_with('\n') {
                if line == "open\n" {
                    // Nobody may be waiting for it.
                    let _ = opened.send(());
                } else {
                    said.push(line.trim_end().to_owned());
                }
                line.clear();
            }
            said
        });
        Self { process, open, lines: Some(lines) }
    }

    pub(super) fn wait_until_open(&self) {
        self.open.recv_timeout(OPEN_MAX).expect("the child opens the database");
    }

    /// Whether it dies of itself within this time.
    pub(super) fn dies_within(&mut self, most: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < most {
            if self.process.try_wait().expect("a child").is_some() {
                return true;
            }
            std::thread::sleep(LOOK);
        }
        false
    }

    /// Its number, for signals.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kills it, if it is not dead; whether a signal ended it, not its own will, and what it said.
    fn end(&mut self) -> (bool, Vec<String>) {
        // Dead already, where it killed itself.
        let _ = self.process.kill();
        let status = self.process.wait().expect("a dead child");
        let lines = self.lines.take().expect("killed once").join().expect("a listener");
        (status.code().is_none(), lines)
    }

    /// Ends one that only opens. It may have closed already.
    pub(super) fn kill_opening(mut self) {
        let (_, lines) = self.end();
        assert!(lines.is_empty(), "the child that opens said {lines:?}");
    }

    /// Kills it; the last step of each thread that it acknowledged, or what was `done` before.
    pub(super) fn kill(&mut self, done: &[u64]) -> Vec<u64> {
        let (is_killed, lines) = self.end();
        let mut acks = done.to_vec();
        for line in lines {
            let step = line.split_once(' ').and_then(|(thread, number)| {
                Some((thread.parse::<usize>().ok()?, number.parse::<u64>().ok()?))
            });
            let (thread, number) = step.unwrap_or_else(|| panic!("the child said `{line}`"));
            assert_eq!(number, acks[thread] + 1, "thread {thread} left a step out");
            acks[thread] = number;
        }
        assert!(is_killed, "the child ended before it was killed");
        acks
    }
}

impl Child {
    /// Waits for one that ends by itself.
    pub(super) fn finish(mut self, done: &[u64], most: Duration) -> Ended {
        let is_ended = self.dies_within(most);
        // Where it hangs, what it said tells more than that it does.
        let _ = self.process.kill();
        let status = self.process.wait().expect("a dead child");
        let lines = self.lines.take().expect("ended once").join().expect("a listener");
        assert!(is_ended, "the child does not end; it said {:?}", &lines[lines.len().saturating_sub(20)..]);
        let mut ended = Ended { acks: done.to_vec(), failures: Vec::new(), error: None };
        let mut is_closed = false;
        for line in &lines {
            match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
                ["closed"] => is_closed = true,
                ["failed", thread, kind, why] => {
                    let thread = thread.parse().expect("a thread");
                    ended.failures.push(Failure { thread, kind: kind.to_owned(), why: why.to_owned() });
                }
                ["error", ..] => ended.error = Some(line.clone()),
                [thread, number] => {
                    let thread: usize = thread.parse().unwrap_or_else(|_| panic!("it said `{line}`"));
                    let number: u64 = number.parse().unwrap_or_else(|_| panic!("it said `{line}`"));
                    assert_eq!(number, ended.acks[thread] + 1, "thread {thread} left a step out");
                    assert!(
                        !ended.failures.iter().any(|failed| failed.thread == thread),
                        "thread {thread} was told that its write is durable after one that failed: {lines:?}"
                    );
                    ended.acks[thread] = number;
                }
                _ => panic!("the child said `{line}`"),
            }
        }
        let expected = if is_closed { 0 } else { 1 };
        assert_eq!(status.code(), Some(expected), "it neither closed nor said why: {lines:?}");
        assert!(is_closed != ended.error.is_some(), "{lines:?}");
        ended
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Dead already, as a rule.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
