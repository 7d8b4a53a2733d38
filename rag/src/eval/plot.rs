//! Plots of a report, as SVG: no script, no font, nothing that a page would have to fetch.

use std::fmt::Write as _;

use super::Run;
use super::compare::interval;
use super::measure::MEASURES;

/// The class of each configuration, by which a style colours it: one alone has the stronger colour.
pub(super) fn classes(runs: &[&Run]) -> [&'static str; 2] {
    if runs.len() == 1 { ["b", "b"] } else { ["a", "b"] }
}

/// A row of bars a measure, with its interval: one bar a configuration.
pub(super) fn bars(runs: &[&Run]) -> String {
    let (left, width, bar) = (150.0, 440.0, 14.0);
    let (mut body, mut y) = (String::new(), 8.0);
    for (measure, read) in MEASURES {
        let values: Vec<_> = runs
            .iter()
            .zip(classes(runs))
            .filter_map(|(run, class)| Some((interval(run, read)?, class)))
            .collect();
        if values.is_empty() {
            continue;
        }
        let middle = y + bar * values.len() as f64 / 2.0 + 4.0;
        let name = measure.replace('_', " ");
        let _ = write!(body, r#"<text x="{}" y="{middle:.1}" text-anchor="end">{name}</text>"#, left - 10.0);
        for ((mean, (low, high)), class) in values {
            let (end, centre) = (left + mean * width, y + bar / 2.0);
            let (low, high) = (left + low * width, left + high * width);
            let length = (mean * width).max(1.0);
            let _ = write!(
                body,
                r#"<rect class="{class}" x="{left}" y="{y:.1}" width="{length:.1}" height="{:.1}" rx="2"/>"#,
                bar - 2.0
            );
            let _ = write!(body, r#"<path class="whisker" d="M{low:.1} {centre:.1}H{high:.1}"/>"#);
            let text = end.max(high) + 6.0;
            let _ =
                write!(body, r#"<text class="value" x="{text:.1}" y="{:.1}">{mean:.3}</text>"#, centre + 4.0);
            y += bar;
        }
        y += 12.0;
    }
    let grid: String = (0..=4)
        .map(|step| {
            let x = left + width * f64::from(step) / 4.0;
            format!(r#"<path class="grid" d="M{x} 0V{y:.1}"/>"#)
        })
        .collect();
    svg(left + width + 60.0, y, &format!("{grid}{body}"), "mean of each measure, with its 95 % interval")
}

/// How many questions have their first expected passage at each rank, or nowhere.
pub(super) fn ranks(runs: &[&Run]) -> String {
    let most = runs.iter().map(|run| run.config.limit).max().unwrap_or(1).min(RANKS_MAX);
    let counts: Vec<Vec<usize>> = runs.iter().map(|run| first_ranks(run, most)).collect();
    let highest = counts.iter().flatten().copied().max().unwrap_or(1).max(1) as f64;
    let (height, column) = (150.0, (560.0 / (most + 1) as f64).min(70.0));
    let bar = (column - 8.0) / runs.len().max(1) as f64;
    let mut body = String::new();
    for slot in 0..=most {
        let x = 30.0 + column * slot as f64;
        let label = if slot == most { "none".to_owned() } else { (slot + 1).to_string() };
        let middle = x + (column - 8.0) / 2.0;
        let _ = write!(
            body,
            r#"<text x="{middle:.1}" y="{}" text-anchor="middle">{label}</text>"#,
            height + 36.0
        );
        for ((nth, counts), class) in counts.iter().enumerate().zip(classes(runs)) {
            let (count, x) = (counts[slot], x + bar * nth as f64);
            let length = height * count as f64 / highest;
            let y = height + 20.0 - length;
            let width = bar - 2.0;
            let _ = write!(
                body,
                r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{length:.1}" rx="2"/>"#
            );
            if count > 0 {
                let (x, y) = (x + width / 2.0, y - 4.0);
                let _ = write!(
                    body,
                    r#"<text class="value" x="{x:.1}" y="{y:.1}" text-anchor="middle">{count}</text>"#
                );
            }
        }
    }
    svg(
        40.0 + column * (most + 1) as f64,
        height + 44.0,
        &body,
        "questions by the rank of the first expected passage",
    )
}

/// Ranks that are shown one by one.
const RANKS_MAX: usize = 10;

fn first_ranks(run: &Run, most: usize) -> Vec<usize> {
    let mut counts = vec![0; most + 1];
    for row in &run.rows {
        let rank = row.is_expected.iter().position(|is_expected| *is_expected).unwrap_or(most);
        counts[rank.min(most)] += 1;
    }
    counts
}

/// The differences of the questions in one measure, from the greatest loss to the greatest win.
pub(super) fn differences(a: &Run, b: &Run) -> String {
    let pairs = a.rows.iter().zip(&b.rows);
    let mut all: Vec<f64> = pairs.map(|(a, b)| b.measures.ndcg - a.measures.ndcg).collect();
    all.sort_by(f64::total_cmp);
    let (width, height) = (600.0, 140.0);
    let step = width / all.len().max(1) as f64;
    let mut body = format!(r#"<path class="grid" d="M20 {0}H{1}"/>"#, height / 2.0, width + 20.0);
    for (nth, difference) in all.iter().enumerate().filter(|(_, difference)| **difference != 0.0) {
        let length = (difference.abs() * (height / 2.0 - 6.0)).max(1.0);
        let y = if *difference > 0.0 { height / 2.0 - length } else { height / 2.0 };
        let class = if *difference > 0.0 { "b" } else { "a" };
        let (x, wide) = (20.0 + step * nth as f64, (step - 0.5).max(0.5));
        let _ = write!(
            body,
            r#"<rect class="{class}" x="{x:.2}" y="{y:.1}" width="{wide:.2}" height="{length:.1}"/>"#
        );
    }
    svg(width + 40.0, height, &body, "difference in ndcg, question by question")
}

fn svg(width: f64, height: f64, body: &str, label: &str) -> String {
    format!(
        r#"<svg viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" role="img" aria-label="{label}">{body}</svg>"#
    )
}
