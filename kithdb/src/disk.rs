//! The disk that the directory of a database is on.

use crate::Database;

/// The room of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its bytes.
    pub total_bytes: u64,
    /// Of these, the bytes that may still be written.
    pub free_bytes: u64,
}

impl Database {
    /// The room of the disk that it writes to; nothing where the system does not tell.
    pub fn disk(&self) -> Option<Disk> {
        room(self.engine.folder.path())
    }
}

#[cfg(target_os = "linux")]
fn room(path: &std::path::Path) -> Option<Disk> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(Disk {
        total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
    })
}

#[cfg(not(target_os = "linux"))]
fn room(_: &std::path::Path) -> Option<Disk> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_disk_has_room() {
        let disk = Database::in_memory().expect("a database").disk().expect("the system tells");
        assert!(disk.free_bytes <= disk.total_bytes && disk.total_bytes > 0, "{disk:?}");
    }
}
