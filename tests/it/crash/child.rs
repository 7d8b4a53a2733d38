//! The child process: started, listened to, killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use kithdb::Durability;

/// A running child; killed when dropped.
pub(super) struct Child {
    process: std::process::Child,
    open: Receiver<()>,
    lines: Option<JoinHandle<Vec<String>>>,
}

const COMMAND: &str = env!("CARGO_BIN_EXE_kithdb-crash-child");

/// A child that has not opened by then never will.
const OPEN_MAX: Duration = Duration::from_secs(30);

impl Child {
    pub(super) fn start(folder: &Path, durability: Durability, seed: u64, done: &[u64]) -> Self {
        let mut command = Command::new(COMMAND);
        command.arg(folder).arg(durability.name()).arg(seed.to_string());
        Self::spawn(command.args(done.iter().map(u64::to_string)))
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

    /// Kills it; the last step of each thread that it acknowledged, or what was `done` before.
    pub(super) fn kill(&mut self, done: &[u64]) -> Vec<u64> {
        self.process.kill().expect("a kill");
        let status = self.process.wait().expect("a dead child");
        let lines = self.lines.take().expect("killed once").join().expect("a listener");
        let mut acks = done.to_vec();
        for line in lines {
            let step = line.split_once(' ').and_then(|(thread, number)| {
                Some((thread.parse::<usize>().ok()?, number.parse::<u64>().ok()?))
            });
            let (thread, number) = step.unwrap_or_else(|| panic!("the child said `{line}`"));
            assert_eq!(number, acks[thread] + 1, "thread {thread} left a step out");
            acks[thread] = number;
        }
        assert_eq!(status.code(), None, "the child ended before it was killed");
        acks
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Dead already, as a rule.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
