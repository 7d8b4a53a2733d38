//! What the kernel knows of this process.
//!
//! Cost: a few files below `/proc`, read for each scrape. Elsewhere than on Linux nothing is told.

use super::exposition::Exposition;

/// Memory of this process, in the words of the dialect. They are an allocator's; here they are what the kernel counts,
/// whatever allocator the process has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Of these, what is no copy of a file.
    pub(crate) active_bytes: u64,
    /// What was taken for data, touched or not.
    pub(crate) allocated_bytes: u64,
    /// Page tables.
    pub(crate) metadata_bytes: u64,
    /// In RAM.
    pub(crate) resident_bytes: u64,
    /// Addresses that are mapped.
    pub(crate) retained_bytes: u64,
}

/// The memory of this process, where the system tells.
#[cfg(target_os = "linux")]
pub(crate) fn memory() -> Option<Memory> {
    let status = procfs::process::Process::myself().ok()?.status().ok()?;
    let bytes = |kib: Option<u64>| kib.unwrap_or(0) * 1024;
    Some(Memory {
        active_bytes: bytes(status.rssanon),
        allocated_bytes: bytes(status.vmdata),
        metadata_bytes: bytes(status.vmpte),
        resident_bytes: bytes(status.vmrss),
        retained_bytes: bytes(status.vmsize),
    })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn memory() -> Option<Memory> {
    None
}

/// The memory of the machine, where the system tells.
#[cfg(target_os = "linux")]
pub(crate) fn machine_bytes() -> Option<u64> {
    use procfs::Current as _;
    procfs::Meminfo::current().ok().map(|memory| memory.mem_total)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn machine_bytes() -> Option<u64> {
    None
}

/// The share of the machine's memory that this process has in RAM, in percent, where the system tells.
pub(crate) fn resident_percent() -> Option<f64> {
    Some(memory()?.resident_bytes as f64 / machine_bytes()? as f64 * 100.0)
}

/// The families that tell of the process.
pub(super) fn expose(out: &mut Exposition) {
    if let Some(memory) = memory() {
        out.gauge("process_resident_memory_bytes", "Memory that the process has in RAM.", |family| {
            family.put(&[], memory.resident_bytes);
        });
        out.gauge("process_virtual_memory_bytes", "Addresses that the process has mapped.", |family| {
            family.put(&[], memory.retained_bytes);
        });
        let of: [(&'static str, &str, u64); 5] = [
            ("memory_active_bytes", "Memory in RAM that is no copy of a file.", memory.active_bytes),
            ("memory_allocated_bytes", "Memory that was taken for data.", memory.allocated_bytes),
            ("memory_metadata_bytes", "Memory of page tables.", memory.metadata_bytes),
            ("memory_resident_bytes", "Memory in RAM, mapped files included.", memory.resident_bytes),
            ("memory_retained_bytes", "Addresses that are mapped.", memory.retained_bytes),
        ];
        of.into_iter().for_each(|(name, help, bytes)| out.gauge(name, help, |family| family.put(&[], bytes)));
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = kernel(out) {
        tracing::debug!(%error, "the kernel tells less of the process than it should");
    }
}

#[cfg(target_os = "linux")]
fn kernel(out: &mut Exposition) -> procfs::ProcResult<()> {
    use procfs::process::{LimitValue, Process};
    let process = Process::myself()?;
    let (stat, limits) = (process.stat()?, process.limits()?.max_open_files);
    let limit = [limits.soft_limit, limits.hard_limit].into_iter().filter_map(|limit| match limit {
        LimitValue::Value(files) => Some(files),
        LimitValue::Unlimited => None,
    });
    let cpu_s = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    let gauges: [(&'static str, &str, u64); 4] = [
        ("process_threads", "Threads.", u64::try_from(stat.num_threads).unwrap_or(0)),
        ("process_open_mmaps", "Mappings of memory.", process.maps()?.len() as u64),
        (
            "system_max_mmaps",
            "Mappings of memory that a process may have.",
            procfs::sys::vm::max_map_count()?,
        ),
        ("process_open_fds", "Files that are open.", process.fd_count()? as u64),
    ];
    gauges.into_iter().for_each(|(name, help, value)| out.gauge(name, help, |family| family.put(&[], value)));
    // Where there is no limit, none is told: shares of 0 would alarm people.
    if let Some(limit) = limit.min() {
        out.gauge("process_max_fds", "Files that may be open.", |family| family.put(&[], limit));
    }
    out.counter("process_cpu_seconds_total", "Time on processors.", |family| family.put(&[], cpu_s));
    out.counter("process_minor_page_faults_total", "Page faults that read nothing from a disk.", |family| {
        family.put(&[], stat.minflt + stat.cminflt);
    });
    out.counter("process_major_page_faults_total", "Page faults that read from a disk.", |family| {
        family.put(&[], stat.majflt + stat.cmajflt);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_tells() {
        let percent = resident_percent().expect("the system tells");
        assert!(percent > 0.0 && percent < 100.0, "{percent}");
        kernel(&mut Exposition::default()).expect("the kernel tells");
    }
}
