//! Losses of power: a disk in a file, with a file system of its own, of which a copy is made while the process is held
//! in the midst of its work. What the file system had not been told to keep is not in the copy; its journal is replayed
//! when that is mounted, and the process dies with the original.
//!
//! Under `fsync` nothing that was acknowledged is missing, under `wal` and `none` a prefix of each thread's steps is
//! there. It needs the right to mount, so it runs where `KITHDB_POWER_CUTS` says how many.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kithdb::Durability;

use super::child::{Child, Fate};
use super::examine::Promise;
use super::{Campaign, number, pause};

/// The file system writes nothing on its own account within this many seconds.
const OPTIONS: &str = "loop,commit=300";

const DISK_BYTES: u64 = 256 << 20;

/// A process that is not held by then never will be.
const HOLD_MAX: Duration = Duration::from_secs(60);

/// A mounted disk.
struct Disk {
    image: PathBuf,
    mount: PathBuf,
    is_mounted: bool,
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?} failed");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

impl Disk {
    fn new(folder: &Path) -> Self {
        let (image, mount) = (folder.join("image"), folder.join("mount"));
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(DISK_BYTES).expect("a size");
        run("mkfs.ext4", &["-q", "-F", text(&image)]);
        std::fs::create_dir(&mount).expect("a folder");
        let mut disk = Self { image, mount, is_mounted: false };
        disk.mount();
        disk
    }

    fn mount(&mut self) {
        run("mount", &["-o", OPTIONS, text(&self.image), text(&self.mount)]);
        self.is_mounted = true;
    }

    fn unmount(&mut self) {
        run("umount", &[text(&self.mount)]);
        self.is_mounted = false;
    }

    /// Cuts the power while the child is at work; the disk is as it is found afterwards. What the child acknowledged.
    fn cut(&mut self, mut child: Child, done: &[u64]) -> Vec<u64> {
        hold(child.id());
        let copy = self.image.with_extension("copy");
        run("cp", &["--sparse=always", text(&self.image), text(&copy)]);
        let acks = child.kill(done);
        self.unmount();
        std::fs::rename(&copy, &self.image).expect("the copy takes its place");
        self.mount();
        acks
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Where something still looks at it after a failure, it goes when that does: nothing stays mounted.
        let unmounted = |how: &[&str]| {
            let status = Command::new("umount").args(how).arg(&self.mount).status();
            status.is_ok_and(|status| status.success())
        };
        if self.is_mounted && !unmounted(&[]) {
            unmounted(&["-l"]);
        }
    }
}

/// Stops a process where it is, and waits until each of its threads stands still.
fn hold(id: u32) {
    run("kill", &["-STOP", &id.to_string()]);
    let began = Instant::now();
    let stands = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    };
    let tasks = || std::fs::read_dir(format!("/proc/{id}/task")).expect("its threads");
    while !tasks().all(|task| task.is_ok_and(stands)) {
        assert!(began.elapsed() < HOLD_MAX, "the child cannot be stopped");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_was_synced_survives_a_loss_of_power() {
    let Some(cuts) = number("KITHDB_POWER_CUTS") else {
        println!("not run: set KITHDB_POWER_CUTS where mounting is allowed");
        return;
    };
    let mut campaign = Campaign::new();
    let mut disk = Disk::new(campaign.folder.path());
    campaign.place = disk.mount.join("database");
    let mut lost = 0;
    for cut in 0..cuts {
        campaign.turn = 1 + cut % 2;
        let child = campaign.child(&Fate::default());
        child.wait_until_open();
        pause(20 + campaign.random.below(if cut % 5 == 0 { 2_500 } else { 500 }));
        let acks = disk.cut(child, &campaign.progress.done);
        let is_kept = campaign.durability() == Durability::Fsync;
        let promise = if is_kept { Promise::All } else { Promise::Prefix };
        campaign.examine_as(&acks, promise, &format!("cut {cut}"));
        lost += acks
            .iter()
            .zip(&campaign.progress.done)
            .map(|(ack, done)| ack.saturating_sub(*done))
            .sum::<u64>();
    }
    campaign.result("losses of power");
    let (synced, logged) = (cuts / 2, cuts.div_ceil(2));
    println!("{synced} cuts under fsync, none lost; {logged} under wal, the last {lost} lost");
}
