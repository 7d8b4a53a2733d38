//! A reader of the text format of Prometheus that lets nothing pass which the format does not allow.

use std::collections::{BTreeMap, BTreeSet};

pub(super) type Labels = BTreeMap<String, String>;

/// What was scraped.
#[derive(Debug, Default)]
pub(super) struct Scrape {
    pub(super) kinds: BTreeMap<String, String>,
    /// By the name of the sample: of a histogram with `_bucket`, `_sum`, `_count`.
    pub(super) samples: BTreeMap<String, Vec<(Labels, f64)>>,
}

impl Scrape {
    pub(super) fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let (mut scrape, mut current) = (Self::default(), String::new());
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                assert!(is_name(name) && !help.is_empty(), "{line}");
                let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
                let (of, kind) = kind.unwrap_or_else(|| panic!("{name} has no type"));
                assert!(
                    of == name && ["gauge", "counter", "histogram"].contains(&kind),
                    "{name}: {of} {kind}"
                );
                let before = scrape.kinds.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} is told twice");
                assert!(lines.peek().is_some_and(|line| line.starts_with(name)), "{name} has no samples");
                current = name.to_owned();
            } else {
                scrape.sample(line, &current);
            }
        }
        scrape.check_histograms();
        scrape
    }

    fn sample(&mut self, line: &str, family: &str) {
        let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no sample: {line}"));
        let (name, mut rest) = line.split_at(end);
        let kind = self.kinds.get(family).map(String::as_str);
        let suffixes: &[&str] =
            if kind == Some("histogram") { &["_bucket", "_sum", "_count"] } else { &[""] };
        let is_of_family = name.strip_prefix(family).is_some_and(|suffix| suffixes.contains(&suffix));
        assert!(is_of_family, "`{line}` stands below {family}");
        let mut labels = Labels::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = read_labels(inner, &mut labels);
        }
        let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(value.is_finite() && (kind == Some("gauge") || value >= 0.0), "{line}");
        let samples = self.samples.entry(name.to_owned()).or_default();
        assert!(samples.iter().all(|(other, _)| *other != labels), "{line} is told twice");
        samples.push((labels, value));
    }

    fn check_histograms(&self) {
        for name in self.kinds.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            let of = |suffix: &str| self.samples.get(&format!("{name}{suffix}")).cloned().unwrap_or_default();
            let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
            for (mut labels, value) in of("_bucket") {
                let bound =
                    labels.remove("le").unwrap_or_else(|| panic!("{name} has a bucket without bound"));
                buckets.entry(labels).or_default().push((bound.parse().expect("a number"), value));
            }
            let (counts, sums) = (of("_count"), of("_sum"));
            assert_eq!((counts.len(), sums.len()), (buckets.len(), buckets.len()), "{name}");
            for (labels, count) in counts {
                let of = &buckets[&labels];
                let is_growing = of.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
                assert!(is_growing, "{name} {labels:?}: {of:?}");
                assert_eq!(of.last(), Some(&(f64::INFINITY, count)), "{name} {labels:?}");
            }
        }
    }

    /// The value of the sample with these labels and no others.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Labels =
            labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        self.samples.get(name)?.iter().find(|(other, _)| *other == labels).map(|(_, value)| *value)
    }

    /// The names of labels that a sample has.
    pub(super) fn labels(&self, name: &str) -> BTreeSet<&str> {
        let samples = self.samples.get(name).into_iter().flatten();
        samples.flat_map(|(labels, _)| labels.keys().map(String::as_str)).collect()
    }
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads labels up to the brace that ends them; what is behind it.
fn read_labels<'a>(mut rest: &'a str, labels: &mut Labels) -> &'a str {
    loop {
        let (name, behind) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {rest}"));
        assert!(is_name(name), "{name} is no label");
        let (mut value, mut chars) = (String::new(), behind.char_indices());
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("no end: {rest}")) {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, c @ ('\\' | '"'))) => c,
                    other => panic!("{other:?} is not escaped"),
                }),
                (_, c) => value.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} stands twice");
        let behind = &behind[end + 1..];
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None => return behind.strip_prefix('}').unwrap_or_else(|| panic!("no end of labels: {behind}")),
        }
    }
}

#[test]
fn what_is_not_allowed_is_found() {
    let head = "# HELP a b\n# TYPE a gauge\n";
    Scrape::read(&format!("{head}a{{l=\"x\\\\\\\"\\ny\",m=\"\"}} 1.5\na 2\n"));
    for wrong in [
        "a 1",
        "a\n",
        "a x\n",
        "b 1\n",
        "a{l=\"x} 1\n",
        "a{l=\"x\\y\"} 1\n",
        "a 1\na 1\n",
        "a{1=\"x\"} 1\n",
        "",
    ] {
        let text = format!("{head}{wrong}");
        assert!(std::panic::catch_unwind(|| Scrape::read(&text)).is_err(), "{wrong:?} passed");
    }
    let buckets = |last: &str| {
        format!(
            "# HELP h b\n# TYPE h histogram\nh_bucket{{le=\"1\"}} 2\nh_bucket{{le=\"+Inf\"}} {last}\nh_sum 1\nh_count 3\n"
        )
    };
    Scrape::read(&buckets("3"));
    assert!(std::panic::catch_unwind(|| Scrape::read(&buckets("2"))).is_err());
}
