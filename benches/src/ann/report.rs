//! Figures to tables. Figures are JSON with the keys of the peers' harness, so that both can be laid side by side.

use serde_json::{Map, Value, json};

use crate::table::Table;

/// Recalls that speed is compared at.
const RECALLS: [&str; 3] = ["0.9", "0.95", "0.99"];

/// Figures that are interpolated.
const INTERPOLATED: [&str; 6] = ["qps1", "qps1_call", "qps2", "p50_us", "p99_us", "ndis"];

/// Said of a figure at a recall that even the least effort exceeds, and at one that the most does not reach.
const ABOVE: &str = "lowest point above";
const MISSED: &str = "not reached";

/// Adds to an engine's figures what they are at each of [`RECALLS`].
pub(super) fn interpolate(figures: &mut Value) {
    let points = figures["sweep"].as_array().cloned().unwrap_or_default();
    for key in INTERPOLATED {
        let at = |recall: &&str| {
            let (figure, flag) = at(&points, recall.parse().unwrap_or(1.0), key);
            ((*recall).to_owned(), json!({ "v": figure, "flag": flag }))
        };
        figures[format!("{key}_at")] = Value::Object(RECALLS.iter().map(at).collect::<Map<_, _>>());
    }
}

/// A figure at a recall, interpolated between two points of the sweep by the logarithm of the figure.
fn at(points: &[Value], recall: f64, key: &str) -> (Option<f64>, &'static str) {
    let recall_of = |point: &Value| number(point, "recall").unwrap_or(0.0);
    let mut points: Vec<&Value> = points.iter().collect();
    points.sort_by(|a, b| recall_of(a).total_cmp(&recall_of(b)));
    let Some(above) = points.iter().position(|point| recall_of(point) >= recall) else {
        return (None, MISSED);
    };
    let Some(below) = above.checked_sub(1) else { return (number(points[0], key), ABOVE) };
    let (below, above) = (points[below], points[above]);
    let share = (recall - recall_of(below)) / (recall_of(above) - recall_of(below));
    let between = number(below, key).zip(number(above, key));
    (between.map(|(a, b)| (a.ln() * (1.0 - share) + b.ln() * share).exp()), "")
}

/// One row an engine.
pub(super) fn summary(engines: &[Value]) -> String {
    let mut table = Table::new([
        "engine",
        "build s",
        "disk MB",
        "RSS MB",
        "anon + file",
        "open ms",
        "first query ms",
        "1T @.90",
        "1T @.95",
        "1T @.99",
        "2T @.90",
        "2T @.95",
        "2T @.99",
        "p50 µs @.95",
        "p99 µs @.95",
        "1T call @.95",
        "ndis @.95",
        "max recall",
    ]);
    for figures in engines {
        let speed = |key: &str, recall: &str| shown_at(figures, key, recall);
        let first = number(figures, "first_query_us").map(|microseconds| microseconds / 1e3);
        let opened = number(figures, "open_s").map(|seconds| seconds * 1e3);
        table.row([
            figures["engine"].as_str().unwrap_or_default().to_owned(),
            shown(number(figures, "build_s"), 1),
            shown(number(figures, "disk_mb"), 0),
            shown(number(figures, "rss_mb"), 0),
            format!(
                "{} + {}",
                shown(number(figures, "rss_anon_mb"), 0),
                shown(number(figures, "rss_file_mb"), 0)
            ),
            shown(opened, 2),
            shown(first, 2),
            speed("qps1", "0.9"),
            speed("qps1", "0.95"),
            speed("qps1", "0.99"),
            speed("qps2", "0.9"),
            speed("qps2", "0.95"),
            speed("qps2", "0.99"),
            speed("p50_us", "0.95"),
            speed("p99_us", "0.95"),
            speed("qps1_call", "0.95"),
            speed("ndis", "0.95"),
            shown(points(figures).iter().filter_map(|point| number(point, "recall")).reduce(f64::max), 4),
        ]);
    }
    table.to_text()
}

/// One row a window of each engine.
pub(super) fn sweep(engines: &[Value]) -> String {
    let mut table = Table::new([
        "engine",
        "window",
        "recall@10",
        "QPS 1T",
        "QPS 1T, calls",
        "QPS 2T",
        "p50 µs",
        "p99 µs",
        "hops",
        "distances",
    ]);
    for figures in engines {
        for point in points(figures) {
            let figure = |key: &str, digits: usize| shown(number(point, key), digits);
            table.row([
                figures["engine"].as_str().unwrap_or_default().to_owned(),
                figure("knob", 0),
                figure("recall", 4),
                figure("qps1", 0),
                figure("qps1_call", 0),
                figure("qps2", 0),
                figure("p50_us", 1),
                figure("p99_us", 1),
                figure("hops", 1),
                figure("ndis", 0),
            ]);
        }
    }
    table.to_text()
}

/// One row a filter and way of each engine; nothing where none was measured.
pub(super) fn filtered(engines: &[Value]) -> Option<String> {
    let mut table = Table::new([
        "engine",
        "filter",
        "rows that pass",
        "way",
        "recall@10",
        "hits",
        "QPS 1T, calls",
        "p50 µs",
    ]);
    let mut has_rows = false;
    for figures in engines {
        for cell in figures["filtered"].as_array().map(Vec::as_slice).unwrap_or_default() {
            has_rows = true;
            let text = |key: &str| cell[key].as_str().unwrap_or_default().to_owned();
            let passing = number(cell, "passing").map(|share| share * 100.0);
            table.row([
                figures["engine"].as_str().unwrap_or_default().to_owned(),
                text("filter"),
                format!("{} %", shown(passing, 3)),
                text("way"),
                shown(number(cell, "recall"), 4),
                format!("{} of {}", shown(number(cell, "hits"), 2), shown(number(cell, "hits_wanted"), 2)),
                shown(number(cell, "qps1_call"), 0),
                shown(number(cell, "p50_us"), 1),
            ]);
        }
    }
    has_rows.then(|| table.to_text())
}

/// An interpolated figure. If even the least effort exceeds the recall, its figure is a bound.
fn shown_at(figures: &Value, key: &str, recall: &str) -> String {
    let at = &figures[format!("{key}_at")][recall];
    match (number(at, "v"), at["flag"].as_str()) {
        (None, Some(MISSED)) => "n.r.".to_owned(),
        (Some(figure), Some(ABOVE)) => {
            let bound = if key.starts_with("qps") { '≥' } else { '≤' };
            format!("{bound}{figure:.0}")
        }
        (figure, _) => shown(figure, 0),
    }
}

fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
}

fn number(value: &Value, key: &str) -> Option<f64> {
    value[key].as_f64()
}

pub(super) fn points(figures: &Value) -> &[Value] {
    figures["sweep"].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_interpolated_as_the_peers_do_it() {
        let mut figures = json!({ "sweep": [
            { "recall": 0.98, "qps1": 1000.0, "ndis": null },
            { "recall": 0.92, "qps1": 4000.0, "ndis": 7.0 },
        ]});
        interpolate(&mut figures);
        assert_eq!(figures["qps1_at"]["0.95"]["v"].as_f64().map(f64::round), Some(2000.0));
        assert_eq!(shown_at(&figures, "qps1", "0.9"), "≥4000");
        assert_eq!(shown_at(&figures, "qps1", "0.99"), "n.r.");
        assert_eq!(
            (shown_at(&figures, "ndis", "0.9"), shown_at(&figures, "ndis", "0.95")),
            ("≤7".into(), "-".into())
        );
    }

    #[test]
    fn without_filters_there_is_no_table_of_them() {
        assert_eq!(filtered(&[json!({ "engine": "a" })]), None);
        let cell = json!({ "filter": "attr1", "passing": 0.01, "hits": 10.0, "hits_wanted": 10.0 });
        let text = filtered(&[json!({ "engine": "a", "filtered": [cell] })]).expect("a table");
        assert!(text.contains("| 1.000 %") && text.contains("| 10.00 of 10.00 |"), "{text}");
    }
}
