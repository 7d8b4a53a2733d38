//! Which passages a prompt has room for, and in which order.
//!
//! Invariants: the prompt has no more tokens than there is room for, by the count that is given. What is left out
//! is what fits the question worst. A passage that is cut is cut between sentences, and its span with it. The order
//! is that of sources and places in them, whatever the scores.
//! Cost: a count a passage, and one or two of the whole prompt.

use super::passage::Passage;
use super::words::sentences;

/// Tokens that the fence of a document takes, about.
const FENCE_TOKENS: usize = 48;

/// Chooses passages, given best first. `count` counts a text, `whole` the prompt that passages make.
pub(crate) fn packed(
    passages: &[Passage],
    room: usize,
    count: &dyn Fn(&str) -> usize,
    whole: &dyn Fn(&[Passage]) -> usize,
) -> Vec<Passage> {
    let mut left = room.saturating_sub(whole(&[]));
    let mut chosen: Vec<Passage> = Vec::new();
    for passage in passages {
        let tokens = count(&passage.text) + FENCE_TOKENS;
        if tokens <= left {
            left -= tokens;
            chosen.push(passage.clone());
        } else if chosen.is_empty()
            && let Some(cut) = cut(passage, left.saturating_sub(FENCE_TOKENS), count)
        {
            chosen.push(cut);
            break;
        }
    }
    while !chosen.is_empty() && whole(&ordered(&chosen)) > room {
        chosen.pop();
    }
    ordered(&chosen)
}

/// In the order that depends on no question.
fn ordered(chosen: &[Passage]) -> Vec<Passage> {
    let mut ordered = chosen.to_vec();
    ordered.sort_by_key(|passage| (passage.source, passage.span.start));
    ordered
}

/// As many sentences of a passage, from its start, as there is room for.
fn cut(passage: &Passage, room: usize, count: &dyn Fn(&str) -> usize) -> Option<Passage> {
    let ends = sentences(&passage.text).into_iter().map(|sentence| sentence.end);
    let end = ends.take_while(|end| count(&passage.text[..*end]) <= room).last()?;
    let span = passage.span.start..passage.span.start + end;
    Some(Passage { text: passage.text[..end].to_owned(), span, ..passage.clone() })
}

#[cfg(test)]
mod tests {
    use super::super::passage::About;
    use super::*;

    fn passage(source: u64, text: &str) -> Passage {
        let about = About::default();
        let span = 10..10 + text.len();
        Passage {
            source: source.into(),
            about,
            hash: String::new(),
            span,
            text: text.into(),
            score: 1.0,
            similarity: None,
        }
    }

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn pack(passages: &[Passage], room: usize) -> Vec<(String, usize)> {
        let whole =
            |chosen: &[Passage]| 10 + chosen.iter().map(|one| words(&one.text) + FENCE_TOKENS).sum::<usize>();
        let packed = packed(passages, room, &words, &whole);
        assert!(packed.is_empty() || whole(&packed) <= room);
        packed.into_iter().map(|one| (one.source.to_string(), one.span.end)).collect()
    }

    #[test]
    fn the_worst_is_left_out_and_the_order_is_that_of_the_sources() {
        let all = [passage(3, "a b c d"), passage(1, "e f"), passage(2, "g h i")];
        let ids = |room| pack(&all, room).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(ids(1_000), ["1", "2", "3"]);
        assert_eq!(ids(10 + 2 * FENCE_TOKENS + 6), ["1", "3"]);
        assert_eq!(ids(10 + FENCE_TOKENS + 4), ["3"]);
        assert!(ids(10 + FENCE_TOKENS).is_empty());
    }

    #[test]
    fn what_alone_is_too_long_is_cut_between_sentences() {
        let long = passage(7, "One two. Three four. Five six seven.");
        assert_eq!(
            pack(&[long], 10 + FENCE_TOKENS + 5),
            [("7".to_owned(), 10 + "One two. Three four.".len())]
        );
    }
}
