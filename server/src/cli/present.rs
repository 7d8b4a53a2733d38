//! What a search found, as people like to read it: where it stands, and the text around the words that were asked for.

use console::{Term, measure_text_width, style, truncate_str};
use kithdb::{Payload, Value};

use super::search::{Found, Passage};
use super::terminal::counted;

/// Lines of a passage that are shown.
const LINES: usize = 4;

/// Columns before a passage.
const INDENT: usize = 4;

/// Text is not set wider than this: long lines are hard to read.
const WIDTH_MAX: usize = 100;

/// The passages, laid out for the terminal; plain where there is none.
pub(super) fn found(question: &str, collection: &str, found: &Found) -> String {
    let width = (Term::stdout().size().1 as usize).clamp(40, WIDTH_MAX);
    let mut text = String::new();
    if let Some(plan) = &found.plan {
        text.push_str(&format!("{plan}\n"));
    }
    let asked = words(question);
    for (position, one) in found.passages.iter().enumerate() {
        text.push_str(&passage(position + 1, one, &asked, width));
        text.push('\n');
    }
    let count = match found.passages.len() {
        0 => "nothing found".to_owned(),
        count => counted(count, "passage"),
    };
    let Found { mode, place, elapsed_ms, .. } = found;
    let closing = format!("{count} in `{collection}` ({place}), {mode} search, {elapsed_ms:.1} ms");
    text.push_str(&format!("{}\n", style(closing).dim()));
    text
}

fn passage(rank: usize, found: &Passage, asked: &[String], width: usize) -> String {
    let payload = &found.payload;
    let title = match (string(payload, "title"), string(payload, "heading")) {
        ("", "") => found.id.clone(),
        (title, "") | ("", title) => title.to_owned(),
        (title, heading) if heading == title || heading.starts_with(&format!("{title} >")) => {
            heading.to_owned()
        }
        (title, heading) => format!("{title} > {heading}"),
    };
    let title = shortened(&title, width.saturating_sub(12));
    let mut text =
        format!("{rank:2}  {}  {}\n", style(format!("{:.4}", found.score)).dim(), style(title).bold());
    if let Some(place) = place(payload) {
        text.push_str(&format!("{:INDENT$}{}\n", "", style(place).cyan()));
    }
    let body = match string(payload, "text") {
        "" => serde_json::to_string(payload).unwrap_or_default(),
        body => body.to_owned(),
    };
    for line in snippet(&body, asked, width - INDENT) {
        text.push_str(&format!("{:INDENT$}{line}\n", ""));
    }
    text
}

/// A path of headings in so many columns: outer ones give way first, since the innermost says most.
fn shortened(path: &str, columns: usize) -> String {
    let (mut rest, mut shown) = (path, path.to_owned());
    while measure_text_width(&shown) > columns {
        match rest.split_once(" > ") {
            Some((_, inner)) => rest = inner,
            None => return truncate_str(&shown, columns, "…").into_owned(),
        }
        shown = format!("… > {rest}");
    }
    shown
}

/// The source and the bytes of it.
fn place(payload: &Payload) -> Option<String> {
    let path = payload.get("path").and_then(Value::as_str)?;
    let number = |key: &str| payload.get(key).and_then(Value::as_u64);
    Some(match (number("start"), number("end")) {
        (Some(start), Some(end)) => format!("{path}  bytes {start}..{end}"),
        _ => path.to_owned(),
    })
}

fn string<'a>(payload: &'a Payload, key: &str) -> &'a str {
    payload.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The few lines of a text that hold most of the words that were asked for, those words marked.
fn snippet(text: &str, asked: &[String], width: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_asked: Vec<bool> = words.iter().map(|word| is_among(word, asked)).collect();
    let window = best_window(&words, &is_asked, width * LINES - LINES * 4);
    let mut lines: Vec<String> = vec![String::new()];
    let mut used = 0;
    let mut put = |word: &str, is_marked: bool| {
        let columns = measure_text_width(word);
        if used > 0 && used + 1 + columns > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            let shown = if is_marked { style(word).yellow().bold().to_string() } else { word.to_owned() };
            line.push_str(&shown);
            used += columns;
        }
    };
    if window.start > 0 {
        put("…", false);
    }
    for position in window.clone() {
        put(words[position], is_asked[position]);
    }
    if window.end < words.len() {
        put("…", false);
    }
    lines
}

/// The first stretch of words of at most `columns` that holds most of the marked ones, a few words before the first.
fn best_window(words: &[&str], is_marked: &[bool], columns: usize) -> std::ops::Range<usize> {
    let widths: Vec<usize> = words.iter().map(|word| measure_text_width(word) + 1).collect();
    let (mut start, mut used, mut marked) = (0, 0, 0_usize);
    let (mut best, mut most) = (None, 0_usize);
    for end in 0..words.len() {
        used += widths[end];
        marked += usize::from(is_marked[end]);
        while used > columns && start < end {
            used -= widths[start];
            marked -= usize::from(is_marked[start]);
            start += 1;
        }
        if best.is_none() || marked > most {
            (best, most) = (Some(start), marked);
        }
    }
    let start = best.unwrap_or(0);
    let (mut end, mut used) = (start, 0);
    while end < words.len() && (end == start || used + widths[end] <= columns) {
        used += widths[end];
        end += 1;
    }
    start..end
}

/// The words of a question, in lower case.
fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 2);
    parts.map(str::to_lowercase).collect()
}

/// Whether a word is one of these, give or take an ending.
fn is_among(word: &str, asked: &[String]) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let alike = |asked: &String| {
        let (short, long) = if asked.len() < word.len() { (asked, &word) } else { (&word, asked) };
        let ending = long.len() - short.len();
        short == long || (long.starts_with(short.as_str()) && ending <= 3 && ending + 3 <= short.len())
    };
    asked.iter().any(alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_with_their_endings() {
        let asked = words("How are backups made?");
        assert_eq!(asked, ["how", "are", "backups", "made"]);
        for word in ["backup", "Backups,", "(made)"] {
            assert!(is_among(word, &asked), "{word}");
        }
        for word in ["back", "maker", "", "…", "h"] {
            assert!(!is_among(word, &asked), "{word}");
        }
    }

    #[test]
    fn a_snippet_shows_the_words_and_keeps_to_the_width() {
        let text = format!("{} the needle lies here {}", "hay ".repeat(300), "hay ".repeat(300));
        let lines = snippet(&text, &words("needle"), 60);
        assert!(lines.len() <= LINES && lines.iter().all(|line| measure_text_width(line) <= 60), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("needle")));
        assert!(lines[0].starts_with('…') && lines.last().is_some_and(|line| line.ends_with('…')));
        assert_eq!(snippet("short text", &words("x"), 60), ["short text"]);
        assert_eq!(snippet("", &words("x"), 60), [""]);
    }

    #[test]
    fn the_innermost_heading_stays() {
        assert_eq!(shortened("A > B > C", 20), "A > B > C");
        assert_eq!(shortened("A long one > B > C", 12), "… > B > C");
        assert_eq!(shortened("A > something too long", 10), "… > somet…");
    }

    #[test]
    fn a_passage_says_where_it_stands() {
        console::set_colors_enabled(false);
        let payload = |json: Value| json.as_object().cloned().unwrap_or_default();
        let found = payload(serde_json::json!({
            "title": "Guide", "heading": "Guide > Install", "path": "a/b.md", "start": 3, "end": 9, "text": "Do it.",
        }));
        let shown = passage(1, &Passage { id: "1".into(), score: 0.5, payload: found }, &[], 80);
        assert_eq!(shown, " 1  0.5000  Guide > Install\n    a/b.md  bytes 3..9\n    Do it.\n");
        let other = payload(serde_json::json!({"n": 1}));
        let shown = passage(2, &Passage { id: "7".into(), score: 1.0, payload: other }, &[], 80);
        assert_eq!(shown, " 2  1.0000  7\n    {\"n\":1}\n");
    }
}
