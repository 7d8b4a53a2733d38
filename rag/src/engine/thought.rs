//! What a model thinks aloud before it answers, taken out of what it says.
//!
//! Open models that reason write it between marks at the beginning of their answer. Most engines can be set to tell it
//! apart (`reasoning_content`), and are not by themselves. It is no claim and no answer: it would be cited, marked and
//! shown as one.
//!
//! Invariant: only what begins an answer is taken for it; the same marks further behind are text. What is left out is
//! the same however the answer is cut into pieces.
//! When not to use: for models whose template has the first mark, so that only the last one is in the answer: what is
//! before it has gone out by then. There the engine has to tell it apart.

/// The marks around it: of Qwen, DeepSeek and most others, of a few, of Magistral.
const MARKS: [(&str, &str); 3] =
    [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]")];

/// Takes it out, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Thoughts {
    place: Place,
    /// What may turn out to be either.
    waiting: String,
    /// Whether there were any.
    had_some: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    /// Nothing was said yet.
    #[default]
    Before,
    /// Until this mark.
    Within(&'static str),
    /// In the answer.
    Behind,
}

impl Thoughts {
    /// Takes a piece of what a model writes; what it says in it.
    pub(super) fn take(&mut self, piece: &str) -> String {
        self.waiting.push_str(piece);
        loop {
            match self.place {
                Place::Behind => return std::mem::take(&mut self.waiting),
                Place::Within(close) => {
                    let Some(at) = self.waiting.find(close) else {
                        self.waiting.drain(..unneeded(&self.waiting, close));
                        return String::new();
                    };
                    self.waiting.drain(..at + close.len());
                    self.place = Place::Before;
                }
                Place::Before => {
                    let text = self.waiting.trim_start();
                    let space = self.waiting.len() - text.len();
                    if let Some((open, close)) = MARKS.iter().find(|(open, _)| text.starts_with(*open)) {
                        self.place = Place::Within(close);
                        self.had_some = true;
                        self.waiting.drain(..space + open.len());
                    } else if MARKS.iter().any(|(open, _)| open.starts_with(text)) {
                        return String::new();
                    } else {
                        self.place = Place::Behind;
                        if self.had_some {
                            // The lines between the two belong to neither.
                            self.waiting.drain(..space);
                        }
                    }
                }
            }
        }
    }

    /// What is left of what it says, at the end.
    pub(super) fn end(&mut self) -> String {
        match self.place {
            Place::Within(_) => String::new(),
            Place::Before if self.had_some => std::mem::take(&mut self.waiting).trim_start().to_owned(),
            Place::Before | Place::Behind => std::mem::take(&mut self.waiting),
        }
    }
}

/// Bytes of a text without a mark that are no beginning of it.
fn unneeded(text: &str, mark: &str) -> usize {
    let mut starts = text.char_indices().map(|(at, _)| at).filter(|at| text.len() - at < mark.len());
    starts.find(|at| mark.starts_with(&text[*at..])).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_thought_aloud_is_left_out_however_it_arrives() {
        for (written, said) in [
            ("<think>\nThe tower… 1 < 2?</thin</think>\n\nIt is high.", "It is high."),
            (" \n<think></think>It is.", "It is."),
            ("[THINK]a[/THINK]<thinking>b</thinking> c <think>d</think>", "c <think>d</think>"),
            ("<think>The tokens end befo", ""),
            ("<think>a</think>\n", ""),
            ("  It is <think>.", "  It is <think>."),
            ("<thin", "<thin"),
            ("<thinker> is a statue.", "<thinker> is a statue."),
            (" \n", " \n"),
            ("", ""),
        ] {
            let chars: Vec<char> = written.chars().collect();
            for step in [1, 2, 5, 1_000] {
                let mut thoughts = Thoughts::default();
                let pieces = chars.chunks(step).map(|piece| piece.iter().collect::<String>());
                let mut out: String = pieces.map(|piece| thoughts.take(&piece)).collect();
                out.push_str(&thoughts.end());
                assert_eq!(out, said, "{written:?} by {step}");
            }
        }
    }

    #[test]
    fn a_long_thought_is_not_kept() {
        let mut thoughts = Thoughts::default();
        assert_eq!(thoughts.take("<think>"), "");
        for _ in 0..1_000 {
            assert_eq!(thoughts.take("Hmm </ wait, é. "), "");
            assert!(thoughts.waiting.len() < 8, "{}", thoughts.waiting);
        }
        assert_eq!(thoughts.take("</think> So."), "So.");
    }
}
