//! What the figures were measured on, and what the process takes of it. Read from `/proc`; where that is missing, as
//! on systems other than Linux, the figures say so.

use std::path::Path;
use std::thread;
use std::time::Duration;

use kithdb::Result;

/// Memory of this process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident_bytes: u64,
    /// The part of it that no file backs.
    pub(crate) anon_bytes: u64,
    /// The part of it that is pages of mapped files.
    pub(crate) file_bytes: u64,
    /// The most that ever was resident.
    pub(crate) peak_bytes: u64,
}

/// Processor, cores and memory in one line.
pub(crate) fn line() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = match field("/proc/meminfo", "MemTotal").as_deref().and_then(kilobytes) {
        Some(bytes) => format!("{:.0} GB RAM", bytes as f64 / 1e9),
        None => "unknown memory".to_owned(),
    };
    format!("Machine: {model}, {cores} cores, {memory}.")
}

/// What this process takes; `None` where `/proc` is missing.
pub(crate) fn memory() -> Option<Memory> {
    let read = |name| field("/proc/self/status", name).as_deref().and_then(kilobytes);
    Some(Memory {
        resident_bytes: read("VmRSS")?,
        anon_bytes: read("RssAnon")?,
        file_bytes: read("RssFile")?,
        peak_bytes: read("VmHWM")?,
    })
}

/// The time that this process has had a core, over all of its threads; `None` where `/proc` is missing.
pub(crate) fn cpu() -> Option<Duration> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?.flatten();
    let nanos = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Some(Duration::from_nanos(nanos.sum()))
}

/// The cores that this process may run on, as `taskset` writes them; `None` where `/proc` is missing.
pub(crate) fn cores_allowed() -> Option<String> {
    field("/proc/self/status", "Cpus_allowed_list")
}

/// Processes that ran or waited for a core, averaged over the last minute; `None` where `/proc` is missing.
pub(crate) fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// Bytes of all files below a directory.
///
/// # Errors
/// `Io`.
pub(crate) fn disk_bytes(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        bytes +=
            if entry.file_type()?.is_dir() { disk_bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// The first value of `name: value` in a file.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

/// `123 kB` in bytes.
fn kilobytes(value: &str) -> Option<u64> {
    value.strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|count| count * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_proc_are_read_as_bytes() {
        assert_eq!(kilobytes("  12 kB"), Some(12 * 1024));
        assert_eq!(kilobytes("12 pages"), None);
    }

    #[test]
    fn a_directory_weighs_what_its_files_weigh() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("a")).expect("a folder");
        std::fs::write(folder.path().join("a/b"), [0; 10]).expect("a file");
        std::fs::write(folder.path().join("c"), [0; 5]).expect("a file");
        assert_eq!(disk_bytes(folder.path()).expect("reads"), 15);
    }
}
