//! Sentences and the words that matter in them, to hold an answer against the documents.
//!
//! Words are compared by a stem of a few English endings: enough to see that `locks` and `locking` speak of the same
//! thing. Scripts that are written without spaces are compared by pairs of neighbouring signs, as Lucene's CJK analysis
//! does: a phrase as a whole would be found word for word only. Other languages are compared as they are written.
//! When not to use: to rank. BM25 knows how rare a word is, this does not.

use std::collections::HashSet;
use std::ops::Range;

/// Words that say nothing of what a sentence is about.
const STOP_WORDS: &str = " a about after all also am an and any are as at be been before being but by can could did do does \
    doing during each for from further had has have having he her here hers him his how i if in into is it its just me more \
    most my no nor not now of off on once only or other our out over own same she should so some such than that the their \
    them then there these they this those through to too under until up very was we were what when where which while who \
    whom why will with would you your document documents according answer question ";

/// The words of a text that matter, by their stems.
pub(crate) fn words(text: &str) -> HashSet<String> {
    // What no reader sees divides no word, and a model is not shown it.
    let is_unseen = |c: char| matches!(c, '\u{AD}' | '\u{2060}' | '\u{FEFF}');
    let plain: String = text.chars().filter(|c| !is_unseen(*c)).collect();
    let parts = plain.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    let parts = parts.flat_map(pieces).map(str::to_lowercase).filter(|word| !is_stop_word(word));
    parts.map(|word| stem(&word).to_owned()).collect()
}

/// How many words that matter a text has, about. Pairs of neighbouring signs are more than there are words: of Chinese
/// and Japanese three signs stand for one, the small ones around it included, of scripts of letters six.
pub(crate) fn count(text: &str) -> usize {
    let of_letters = |c: &char| matches!(*c, '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}');
    let signs = text.chars().filter(|c| is_sign(*c)).count();
    let letters = text.chars().filter(of_letters).count();
    let others: String = text.chars().map(|c| if is_sign(c) { ' ' } else { c }).collect();
    words(&others).len() + (signs - letters) / 3 + letters / 6
}

/// A run of letters and digits, cut around the signs of scripts that are written without spaces: of these every two
/// that are neighbours, and one that stands alone.
fn pieces(run: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = run;
    while let Some(first) = rest.chars().next() {
        let is_of_kind = |c: char| is_sign(c) == is_sign(first);
        let end = rest.find(|c: char| !is_of_kind(c)).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        rest = behind;
        let starts: Vec<usize> = part.char_indices().map(|(at, _)| at).chain([end]).collect();
        if is_sign(first) && starts.len() > 3 {
            found.extend(starts.windows(3).map(|ends| &part[ends[0]..ends[2]]));
        } else {
            found.push(part);
        }
    }
    found
}

/// Thai, Lao, Khmer, Japanese and Chinese.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

fn is_stop_word(word: &str) -> bool {
    let is_letter = word.len() == 1 && !word.starts_with(|c: char| c.is_ascii_digit());
    is_letter || STOP_WORDS.split(' ').any(|stop| stop == word)
}

/// A word without a few English endings.
fn stem(word: &str) -> &str {
    if !word.is_ascii() || word.bytes().any(|byte| byte.is_ascii_digit()) {
        return word;
    }
    let endings = [("ies", 2), ("ing", 4), ("ed", 4), ("es", 4), ("ly", 4), ("s", 3), ("e", 4)];
    let found = endings.iter().find_map(|(ending, rest)| {
        let stem = word.strip_suffix(ending)?;
        (stem.len() >= *rest && !(*ending == "s" && stem.ends_with('s'))).then_some(stem)
    });
    found.unwrap_or(word)
}

/// The byte ranges of the sentences of a text, without the white space around them.
pub(crate) fn sentences(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut start) = (Vec::new(), 0);
    let mut push = |from: usize, to: usize| {
        let part = &text[from..to];
        let start = from + part.len() - part.trim_start().len();
        let end = start + part.trim().len();
        if start < end {
            found.push(start..end);
        }
    };
    while let Some(end) = sentence_end(&text[start..]) {
        push(start, start + end);
        start += end;
    }
    push(start, text.len());
    found
}

/// What may end a sentence: of Latin, Chinese and Japanese, Arabic and Indian scripts, and the end of a line.
const SENTENCE_ENDS: [char; 11] = ['.', '!', '?', '\n', '。', '！', '？', '｡', '؟', '۔', '।'];

/// What stands behind the mark that ends a sentence, and belongs to it.
const CLOSING: [char; 12] = ['"', '\'', ')', ']', '*', '”', '’', '」', '』', '）', '】', '》'];

/// Where the first sentence of a text ends, with the mark that ends it; `None` while it may go on.
pub(crate) fn sentence_end(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find(SENTENCE_ENDS) {
        let at = from + at;
        let mark = text[at..].chars().next()?;
        let mut end = at + mark.len_utf8();
        if mark == '\n' {
            return Some(end);
        }
        // Quotes, brackets and citations belong to the sentence before them.
        let rest = &text[end..];
        let closing = rest.len() - rest.trim_start_matches(CLOSING).len();
        end += closing;
        end += cited(&text[end..]);
        // Where no space follows a sentence, its mark is in no number and no abbreviation.
        let is_over = !mark.is_ascii() || text[end..].starts_with(char::is_whitespace);
        if is_over && !is_abbreviation(&text[..at], mark) {
            return Some(end);
        }
        from = end.max(at + 1);
    }
    None
}

/// Bytes of the citations at the start of a text: ` [1][2]`.
fn cited(text: &str) -> usize {
    let mut taken = 0;
    loop {
        let rest = &text[taken..];
        let inner = rest.trim_start_matches(' ');
        let Some(after) = inner.strip_prefix('[') else { return taken };
        let digits = after.len()
            - after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ',' || c == ' ').len();
        match after[digits..].strip_prefix(']') {
            Some(left) if digits > 0 => taken = text.len() - left.len(),
            _ => return taken,
        }
    }
}

/// Whether a full stop belongs to the word before it: `e.g.`, `Dr.`, `3.`, `J.`
fn is_abbreviation(before: &str, mark: char) -> bool {
    if mark != '.' {
        return false;
    }
    let word = before.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
    let is_number = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    let is_line_start = before.len() == word.len() || before[..before.len() - word.len()].ends_with('\n');
    let known =
        ["e.g", "i.e", "etc", "cf", "vs", "dr", "mr", "mrs", "ms", "prof", "st", "no", "fig", "approx"];
    word.chars().count() == 1 && word.chars().all(char::is_alphabetic)
        || known.contains(&word.to_lowercase().as_str())
        || is_number && is_line_start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_by_what_they_say() {
        let of = |text: &str| {
            let mut words: Vec<_> = words(text).into_iter().collect();
            words.sort_unstable();
            words.join(" ")
        };
        assert_eq!(of("The locks are locking, and locked!"), "lock");
        assert_eq!(of("What is the policy of policies?"), "polic policy");
        assert_eq!(of("In 2019 GPT-4 wasn't free: 3.5%"), "2019 3 4 5 free gpt wasn");
        assert_eq!(of("class classes glass"), "class glass");
        assert_eq!(of("of the and"), "");
        assert_eq!(of("Größe ändern"), "größe ändern");
        assert_eq!(of("infor\u{AD}mation\u{2060}s"), "information");
        assert_eq!(of("水泵"), "水泵");
        assert_eq!(of("第3章 青いポンプ"), "3 いポ ポン ンプ 章 第 青い");
    }

    /// A short question that leans on the one before it had enough pairs of signs to stand by itself.
    #[test]
    fn a_short_question_is_short_in_every_script() {
        for (text, words) in [
            ("And its colour?", 1),
            ("它的颜色呢？", 1),
            ("その色は何ですか？", 2),
            ("แล้วสีล่ะ", 1),
            ("蓝色水泵每分钟输送多少升水？", 4),
            ("青いポンプの流量は毎分何リットルですか？", 6),
            ("GPT 的 API 密钥在哪里？", 4),
            ("", 0),
        ] {
            assert_eq!(count(text), words, "{text}");
        }
    }

    #[test]
    fn sentences_end_where_a_reader_stops() {
        let of =
            |text: &'static str| sentences(text).into_iter().map(|range| &text[range]).collect::<Vec<_>>();
        assert_eq!(of("One. Two!  Three? Four"), ["One.", "Two!", "Three?", "Four"]);
        assert_eq!(
            of("Dr. A. Smith paid 3.50, e.g. twice. Then \"no.\" Yes"),
            ["Dr. A. Smith paid 3.50, e.g. twice.", "Then \"no.\"", "Yes"]
        );
        assert_eq!(
            of("It is so [1]. It is not. [2] [3, 4] It may be."),
            ["It is so [1].", "It is not. [2] [3, 4]", "It may be."]
        );
        assert_eq!(of("1. first\n2. second\n"), ["1. first", "2. second"]);
        assert_eq!(of("你好。再见。"), ["你好。", "再见。"]);
        assert_eq!(of("他说「你好。」[1]再见。 [2]"), ["他说「你好。」[1]", "再见。 [2]"]);
        assert!(of(" \n ").is_empty());
        assert_eq!(sentence_end("It may go on."), None, "the next character decides");
    }
}
