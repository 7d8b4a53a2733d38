//! A report to be looked at: one file of HTML, with its plots in it and nothing to be fetched.

use std::fmt::Write as _;

use super::compare::{Comparison, compare};
use super::measure::MEASURES;
use super::{AnswerRow, AnswerRun, Row, Run, plot};

/// Questions that went worst, shown with what was found.
const WORST: usize = 25;

/// Passages shown of each.
const FOUND: usize = 5;

const STYLE: &str = "
:root{--ink:#1a1d21;--soft:#667;--line:#dde;--paper:#fff;--card:#f6f7f9;--a:#8a94a6;--b:#2f6fde;--good:#1a7f4b;--bad:#b3372f}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa3b0;--line:#343a43;--paper:#14171b;--card:#1c2026;
--a:#77808f;--b:#6ea0ff;--good:#5cc48d;--bad:#ef7d74}}
body{margin:0 auto;max-width:860px;padding:40px 24px 80px;background:var(--paper);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,'Segoe UI',sans-serif}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:44px 0 10px}p{color:var(--soft);margin:0 0 14px}
.only h2{margin-top:28px}svg{max-width:100%;height:auto;display:block}svg text{font-size:12px;fill:var(--soft)}
svg .value{fill:var(--ink);font-variant-numeric:tabular-nums}.a{fill:var(--a)}.b{fill:var(--b)}
.grid{stroke:var(--line)}.whisker{stroke:var(--ink);stroke-width:1.5;opacity:.75}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--line)}th{font-weight:600;color:var(--soft)}
th:first-child,td:first-child{text-align:left}.good{color:var(--good)}.bad{color:var(--bad)}
.key{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px}
.legend span{margin-right:22px}.legend .key.a{background:var(--a)}.legend .key.b{background:var(--b)}
details{background:var(--card);border-radius:8px;padding:9px 14px;margin:8px 0}summary{cursor:pointer}
ol{margin:8px 0 4px;padding-left:26px;color:var(--soft)}li.hit{color:var(--good);font-weight:600}
.rank{float:right;color:var(--soft)}";

/// The report of one configuration, or of two over the same questions, and of answers to them.
pub fn html(collection: &str, runs: &[&Run], answers: Option<&AnswerRun>) -> String {
    let mut page = String::new();
    let name = escaped(collection);
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Evaluation of {name}</title><style>{STYLE}</style></head><body>"
    );
    let _ = write!(page, "<h1>Evaluation of {name}</h1>");
    if let Some(first) = runs.first() {
        let unanswerable = match first.unanswerable {
            0 => String::new(),
            count => format!("; {count} more expect nothing, and are not counted"),
        };
        let _ = write!(
            page,
            "<p>{} questions with expected passages, at commit {}{unanswerable}.</p>",
            first.rows.len(),
            first.seqno
        );
    }
    page.push_str(&legend(runs));
    let _ = write!(page, "<h2>Measures</h2>{}", plot::bars(runs));
    if let [a, b] = runs {
        page.push_str(&comparison(&compare(a, b)));
        let _ = write!(
            page,
            "<h2>Question by question</h2><p>Difference in nDCG, from the greatest loss of <b>{}</b> to its greatest \
             win; questions that are the same leave a gap.</p>{}",
            escaped(&b.config.name),
            plot::differences(a, b)
        );
    }
    let _ = write!(page, "<h2>Rank of the first expected passage</h2>{}", plot::ranks(runs));
    if let Some(last) = runs.last() {
        page.push_str(&worst(last));
    }
    if let Some(answers) = answers {
        page.push_str(&answered(answers));
    }
    page.push_str("</body></html>\n");
    page
}

fn legend(runs: &[&Run]) -> String {
    let entry = |(run, class): (&&Run, &str)| {
        let mut times: Vec<f64> = run.rows.iter().map(|row| row.elapsed_ms).collect();
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).copied().unwrap_or(0.0);
        format!(
            "<span><i class=\"key {class}\"></i>{}: {} passages, median {median:.1} ms</span>",
            escaped(&run.config.name),
            run.config.limit
        )
    };
    format!("<p class=\"legend\">{}</p>", runs.iter().zip(plot::classes(runs)).map(entry).collect::<String>())
}

fn comparison(all: &[Comparison]) -> String {
    let row = |one: &Comparison| {
        let difference = one.b - one.a;
        let class = match (one.p < 0.05, difference > 0.0) {
            (true, true) => "good",
            (true, false) => "bad",
            (false, _) => "",
        };
        format!(
            "<tr><td>{}</td><td>{:.4}</td><td>{:.4}</td><td class=\"{class}\">{difference:+.4}</td>\
             <td>{:+.4} … {:+.4}</td><td>{:.4}</td><td>{} : {}</td></tr>",
            one.measure.replace('_', " "),
            one.a,
            one.b,
            one.interval.0,
            one.interval.1,
            one.p,
            one.wins,
            one.losses
        )
    };
    format!(
        "<h2>Difference</h2><p>Of the second to the first. The interval holds 95 of 100 draws (paired bootstrap); p is \
         the probability of a difference as large by chance (randomisation).</p><table><tr><th>measure</th><th>first\
         </th><th>second</th><th>difference</th><th>95 % interval</th><th>p</th><th>better : worse</th></tr>{}</table>",
        all.iter().map(row).collect::<String>()
    )
}

fn worst(run: &Run) -> String {
    let mut rows: Vec<&Row> = run.rows.iter().collect();
    rows.sort_by(|a, b| a.measures.ndcg.total_cmp(&b.measures.ndcg).then(a.question.cmp(&b.question)));
    let mut text = format!("<h2>What went worst with {}</h2>", escaped(&run.config.name));
    for row in rows.into_iter().take(WORST).filter(|row| row.measures.ndcg < 1.0) {
        let found = row.found.iter().zip(&row.is_expected).take(FOUND).map(|(path, is_expected)| {
            let class = if *is_expected { " class=\"hit\"" } else { "" };
            format!("<li{class}>{}</li>", escaped(path))
        });
        let found: String = found.collect();
        let _ = write!(
            text,
            "<details><summary>{}<span class=\"rank\">nDCG {:.2}</span></summary><ol>{found}</ol></details>",
            escaped(&row.question),
            row.measures.ndcg
        );
    }
    text
}

/// What answers are worth, and those that are worth least.
fn answered(run: &AnswerRun) -> String {
    let row = |(name, mean): (&str, f64)| {
        let name = name.replace('_', " ");
        format!("<tr><td>{name}</td><td>{mean:.4}</td></tr>")
    };
    let means: String = run.means().into_iter().map(row).collect();
    let unjudged = match run.unjudged {
        0 => String::new(),
        count => format!(" Of {count} answers the judge said nothing that could be read."),
    };
    let mut text = format!(
        "<h2>Answers</h2><p>{} questions answered. Of {} that expect nothing, {} were refused; of the others, {} were \
         refused too.{unjudged}</p><table><tr><th>measure</th><th>mean</th></tr>{means}</table>",
        run.rows.len(),
        run.unanswerable,
        run.refused_rightly,
        run.refused_wrongly
    );
    let worth =
        |row: &AnswerRow| row.measures.groundedness.or(row.measures.similarity).or(row.measures.support);
    let mut rows: Vec<(&AnswerRow, f64)> =
        run.rows.iter().filter_map(|row| Some((row, worth(row)?))).collect();
    rows.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.question.cmp(&b.0.question)));
    text.push_str("<h2>Answers that are worth least</h2>");
    for (row, worth) in rows.into_iter().take(WORST) {
        let _ = write!(
            text,
            "<details><summary>{}<span class=\"rank\">{worth:.2}</span></summary><p>{}</p></details>",
            escaped(&row.question),
            escaped(&row.text)
        );
    }
    text
}

/// Text that a page shows as it is.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Names and means of a run, for people at a terminal.
impl Run {
    /// Each measure that it has, and its mean.
    pub fn means(&self) -> Vec<(&'static str, f64)> {
        MEASURES.iter().filter_map(|(name, read)| Some((*name, read(&self.mean)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_shown_with_what_they_are_worth_the_worst_first() {
        let row = |question: &str, text: &str, support: f64| AnswerRow {
            id: 1.into(),
            question: question.to_owned(),
            text: text.to_owned(),
            outcome: crate::Outcome::Extractive,
            measures: super::super::AnswerMeasures { support: Some(support), ..Default::default() },
            elapsed_ms: 1.0,
        };
        let rows = vec![row("First?", "yes", 1.0), row("Second?", "<script>", 0.5)];
        let mean = super::super::AnswerMeasures { support: Some(0.75), ..Default::default() };
        let page = html("docs", &[], Some(&AnswerRun { rows, mean, ..AnswerRun::default() }));
        assert!(page.contains("<td>support</td><td>0.7500</td>") && !page.contains("<script>"), "{page}");
        assert!(page.find("Second?").expect("shown") < page.find("First?").expect("shown"), "{page}");
        assert!(!html("docs", &[], None).contains("Answers"));
    }

    #[test]
    fn questions_cannot_write_into_the_page() {
        assert_eq!(escaped("<b a=\"x\">&"), "&lt;b a=&quot;x&quot;&gt;&amp;");
    }
}
