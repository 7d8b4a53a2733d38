//! The command `kithdb serve` as a process: what it logs is heard, and it ends when it is told to.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::http::Running;

/// A server in a process of its own; told to end when it is dropped.
pub(super) struct Served {
    process: std::process::Child,
    pub(super) http: Running,
    lines: Option<JoinHandle<Vec<String>>>,
    _folder: tempfile::TempDir,
}

/// A process that has not ended by then never will.
const END_MAX: Duration = Duration::from_secs(30);

impl Served {
    pub(super) fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = Command::new(env!("CARGO_BIN_EXE_kithdb-served-child"))
            .args(["serve", "--no-model", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path())
            .args(flags)
            // Spans are sent soon, so that no test waits for them.
            .env("OTEL_BSP_SCHEDULE_DELAY", "50")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the child is built beside this test");
        let err = BufReader::new(process.stderr.take().expect("standard error is piped"));
        let lines = std::thread::spawn(move || err.lines().map_while(Result::ok).collect());
        let out = BufReader::new(process.stdout.take().expect("standard output is piped"));
        let mut told = out.lines().map_while(Result::ok);
        let address = told.by_ref().find_map(|line| line.split_once("http://")?.1.trim().parse().ok());
        // What it says later goes nowhere, but must not block it.
        std::thread::spawn(move || told.for_each(drop));
        let http = Running::at(address.expect("it says where it listens"));
        Self { process, http, lines: Some(lines), _folder: folder }
    }

    /// Tells it to end; what it logged.
    pub(super) fn end(mut self) -> Vec<String> {
        self.tell_to_end();
        self.lines.take().map(|lines| lines.join().expect("it was heard")).unwrap_or_default()
    }

    fn tell_to_end(&mut self) {
        let told = Command::new("kill").arg(self.process.id().to_string()).status();
        assert!(told.is_ok_and(|status| status.success()), "it was running");
        let began = Instant::now();
        while self.process.try_wait().expect("a child").is_none() {
            assert!(began.elapsed() < END_MAX, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended, as a rule.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
