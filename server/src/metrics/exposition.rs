//! The text format of Prometheus.
//!
//! Invariant: the head of a family comes before its samples; one without samples is not told. What stands in a label is
//! escaped. Who tells a family tells it once.
//! Source: the exposition format 0.0.4, as Prometheus documents it.

use std::fmt::{Display, Write as _};

use kithdb::Times;
use kithdb::histogram::BOUNDS_US;

/// The text that a scrape gets.
#[derive(Default)]
pub(super) struct Exposition {
    text: String,
}

/// The samples of one family.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Exposition {
    /// A value that comes and goes.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str, tell: impl FnOnce(&mut Family<'_>)) {
        self.family(name, "gauge", help, tell);
    }

    /// A value that only grows.
    pub(super) fn counter(&mut self, name: &'static str, help: &str, tell: impl FnOnce(&mut Family<'_>)) {
        self.family(name, "counter", help, tell);
    }

    /// Times.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str, tell: impl FnOnce(&mut Family<'_>)) {
        self.family(name, "histogram", help, tell);
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str, tell: impl FnOnce(&mut Family<'_>)) {
        let before = self.text.len();
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        let head = self.text.len();
        tell(&mut Family { text: &mut self.text, name });
        if self.text.len() == head {
            self.text.truncate(before);
        }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// One value.
    pub(super) fn put(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line("", labels, None, value);
    }

    /// Times, as a histogram has them.
    pub(super) fn put_times(&mut self, labels: Labels<'_>, times: &Times) {
        let mut total = 0;
        for (bucket, count) in times.counts.iter().enumerate() {
            total += count;
            let bound = BOUNDS_US.get(bucket).map_or("+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
            self.line("_bucket", labels, Some(&bound), total);
        }
        self.line("_sum", labels, None, times.sum_s());
        self.line("_count", labels, None, total);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: impl Display) {
        let text = &mut *self.text;
        let _ = write!(text, "{}{suffix}", self.name);
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        for (position, (label, value)) in all.enumerate() {
            let open = if position == 0 { '{' } else { ',' };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(text, "{open}{label}=\"{value}\"");
        }
        let close = if labels.is_empty() && bound.is_none() { "" } else { "}" };
        let _ = writeln!(text, "{close} {value}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn labels_are_escaped_and_empty_families_left_out() {
        let mut out = Exposition::default();
        out.gauge("none", "Nothing.", |_| {});
        out.gauge("m", "Something.", |family| family.put(&[("l", "a\"b\\c\nd")], 1));
        assert_eq!(out.into_text(), "# HELP m Something.\n# TYPE m gauge\nm{l=\"a\\\"b\\\\c\\nd\"} 1\n");
    }

    #[test]
    fn buckets_add_up() {
        let (mut out, mut times) = (Exposition::default(), Times::default());
        times.add(Duration::from_micros(30));
        times.add(Duration::from_secs(600));
        out.histogram("t", "Times.", |family| family.put_times(&[("l", "x")], &times));
        let text = out.into_text();
        for line in [
            "t_bucket{l=\"x\",le=\"0.00002\"} 0",
            "t_bucket{l=\"x\",le=\"0.00005\"} 1",
            "t_bucket{l=\"x\",le=\"10\"} 1",
            "t_bucket{l=\"x\",le=\"100\"} 1",
            "t_bucket{l=\"x\",le=\"+Inf\"} 2",
            "t_sum{l=\"x\"} 600.00003",
            "t_count{l=\"x\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
