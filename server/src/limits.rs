//! What a server lets its clients take: connections, requests, time.
//!
//! What a request may hold (body, hits, filters) is in `kithdb::Limits`. Every error of a limit names it, and one that
//! another attempt may not meet says when to try again.

use std::num::NonZero;
use std::time::Duration;

use kithdb::{Error, ErrorKind, Result};

/// No time is longer: what is added to a clock stays within it.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Limits of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// Connections at the same time; a further one is told to come back. Never more than half the files that the
    /// system lets the process open, since storage needs its own.
    pub connections_max: usize,
    /// Requests in progress; a further one is a 503. Health is answered all the same.
    pub requests_max: usize,
    /// Bytes of the bodies of all of them, beyond the first MiB of each; a body that does not fit is a 503. As many may
    /// answers have that clients have not taken yet; one that does not fit is a 503, unless it is the only one.
    pub bodies_bytes_max: usize,
    /// Bytes of the head of a request: its address and its header fields.
    pub head_bytes_max: usize,
    /// From the moment in which a connection waits for a request, to the end of the head. So long may it be idle, too.
    pub head_time_max: Duration,
    /// From the head of a request to the end of its body.
    pub body_time_max: Duration,
    /// From the end of a body to the answer. A write that has begun is answered whatever time it takes.
    pub request_time_max: Duration,
    /// A client may take nothing of an answer for so long; then its connection ends (on Linux).
    pub send_time_max: Duration,
    /// Requests have so long to end when the server stops.
    pub stop_time_max: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            requests_max: 1_024,
            bodies_bytes_max: 1 << 30,
            head_bytes_max: 64 << 10,
            head_time_max: Duration::from_secs(10),
            body_time_max: Duration::from_secs(120),
            request_time_max: Duration::from_secs(60),
            send_time_max: Duration::from_secs(60),
            stop_time_max: Duration::from_secs(30),
        }
    }
}

impl ServeLimits {
    /// Checks that something can be served within them.
    ///
    /// # Errors
    /// `InvalidArgument` naming the limit that is 0, or a time that is longer than a year.
    pub(crate) fn check(&self) -> Result<()> {
        let times = [
            ("head_max_s", self.head_time_max),
            ("body_max_s", self.body_time_max),
            ("request_max_s", self.request_time_max),
            ("send_max_s", self.send_time_max),
            ("stop_max_s", self.stop_time_max),
        ];
        if let Some((name, time)) = times.into_iter().find(|(_, time)| *time > TIME_MAX) {
            let (seconds, most) = (time.as_secs(), TIME_MAX.as_secs());
            return Err(Error::invalid(name, format!("is {seconds} s; it must be {most} at most, a year")));
        }
        let none = Duration::ZERO;
        let zero = [
            ("connections_max", self.connections_max == 0),
            ("requests_max", self.requests_max == 0),
            ("head_bytes_max", self.head_bytes_max == 0),
            ("head_max_s", self.head_time_max == none),
            ("body_max_s", self.body_time_max == none),
            ("request_max_s", self.request_time_max == none),
            ("send_max_s", self.send_time_max == none),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => {
                Err(Error::invalid(name, "is 0, so nothing could be answered; it must be 1 at least"))
            }
            None => Ok(()),
        }
    }

    /// Connections that there may really be.
    pub(crate) fn connections(&self) -> usize {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let half = files.and_then(|files| usize::try_from(files / 2).ok()).unwrap_or(usize::MAX);
        if half < self.connections_max {
            tracing::info!(
                half,
                "fewer connections than connections_max, since the system limits open files"
            );
        }
        NonZero::new(half).map_or(1, NonZero::get).min(self.connections_max)
    }
}

/// There are as many of something as may be.
pub(crate) fn busy(field: &str, what: &str, limit: usize) -> Error {
    let message = format!("{limit} {what}, the limit {field} says no more; try again in a moment");
    Error::new(ErrorKind::Busy, message).with_field(field)
}

/// There are as many of something as may be, whatever is set.
pub(crate) fn full(field: &str, what: &str, most: usize) -> Error {
    let message = format!("{most} {what}, and there may be no more; try again in a moment");
    Error::new(ErrorKind::Busy, message).with_field(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that such a time was added to ended every request, or the server where it was to stop.
    #[test]
    fn a_time_that_no_clock_reaches_is_refused_by_name() {
        let long = Duration::from_secs(u64::MAX);
        let limits = ServeLimits::default();
        for (field, limits) in [
            ("head_max_s", ServeLimits { head_time_max: long, ..limits.clone() }),
            ("request_max_s", ServeLimits { request_time_max: long, ..limits.clone() }),
            ("stop_max_s", ServeLimits { stop_time_max: long, ..limits.clone() }),
            ("body_max_s", ServeLimits { body_time_max: Duration::ZERO, ..limits }),
        ] {
            assert_eq!(limits.check().expect_err("refused").field(), Some(field));
        }
        ServeLimits { stop_time_max: TIME_MAX, ..ServeLimits::default() }.check().expect("a year is well");
    }
}
