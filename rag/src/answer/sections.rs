//! Whole sections in place of chunks: a chunk grows by those beside it that stand under the same headings.
//!
//! Invariants: a section is one stretch of its source as it is stored, and holds the chunk that it stands for. What
//! stands under no heading has no section. Together sections have no more bytes than there is room for: the best grow
//! first, chunk by chunk, so that one that is too long is cut around what was found. A chunk that the question may not
//! find is not grown over, either: a section ends before it.
//! Cost: for each source of a passage, the places of its chunks; twice, where there is a filter.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Instant;

use kithdb::{
    Collection, Condition, FieldPath, Filter, Payload, PayloadSelect, PointId, Reading, Result, Select, Value,
};

use super::passage::{Passage, Stored};
use crate::engine::TOKEN_BYTES;

/// Chunks read at once.
const PAGE_CHUNKS: usize = 1_000;

/// What is known of a chunk's place.
const PLACE: [&str; 4] = ["heading", "start", "end", "hash"];

/// A chunk's place in its source.
struct Place {
    heading: String,
    span: Range<usize>,
    /// Whether the question may find it.
    is_open: bool,
}

/// The sections of passages, given best first, of chunks where a filter holds, in no more than so many tokens.
pub(super) fn sections(
    chunks: &Collection,
    passages: Vec<Passage>,
    stored: &HashMap<PointId, Stored>,
    filter: &Filter,
    (tokens_max, deadline): (usize, Option<Instant>),
) -> Result<Vec<Passage>> {
    let reading = chunks.reading()?;
    let reading = match deadline {
        Some(deadline) => reading.until(deadline),
        None => reading,
    };
    let own: usize = passages.iter().map(|passage| passage.span.len()).sum();
    // What is packed is counted exactly, later.
    let mut spare = tokens_max.saturating_mul(TOKEN_BYTES).saturating_sub(own);
    let mut known: HashMap<PointId, Vec<Place>> = HashMap::new();
    let mut all: Vec<Passage> = Vec::new();
    for mut passage in passages {
        let holds = |own: &&mut Passage| {
            let (outer, inner) = (&own.span, &passage.span);
            own.source == passage.source && outer.start <= inner.start && inner.end <= outer.end
        };
        if let Some(section) = all.iter_mut().find(holds) {
            section.similarity = section.similarity.into_iter().chain(passage.similarity).reduce(f32::max);
            spare += passage.span.len();
            continue;
        }
        if !passage.about.heading.is_empty() {
            let places = match known.entry(passage.source) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(places(&reading, passage.source, &passage.hash, filter)?)
                }
            };
            let span = grown(places, &passage.span, &passage.about.heading, &mut spare);
            if let Some(text) = stored.get(&passage.source).and_then(|of| of.text.get(span.clone())) {
                text.clone_into(&mut passage.text);
                passage.span = span;
            }
        }
        all.push(passage);
    }
    Ok(all)
}

/// The places of the chunks of a version of a source, in its order.
fn places(reading: &Reading, source: PointId, hash: &str, filter: &Filter) -> Result<Vec<Place>> {
    let of_source = Filter::must(Condition::equals("source", source.to_string().as_str())?);
    let mut places = places_where(reading, &of_source, hash)?;
    if !filter.is_empty() {
        let within = of_source.and(Condition::Filter(Box::new(filter.clone())));
        let open: HashSet<Range<usize>> =
            places_where(reading, &within, hash)?.into_iter().map(|place| place.span).collect();
        places.iter_mut().for_each(|place| place.is_open = open.contains(&place.span));
    }
    places.sort_by_key(|place| (place.span.start, place.span.end));
    Ok(places)
}

fn places_where(reading: &Reading, filter: &Filter, hash: &str) -> Result<Vec<Place>> {
    let paths: Result<Vec<FieldPath>> = PLACE.into_iter().map(str::parse).collect();
    let select = Select { payload: PayloadSelect::Only(paths?), ..Select::default() };
    let (mut places, mut from) = (Vec::new(), None);
    loop {
        let page = reading.scroll(filter, from, PAGE_CHUNKS, &select)?;
        places.extend(page.points.iter().filter_map(|point| place(&point.payload, hash)));
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(places),
        }
    }
}

fn place(payload: &Payload, hash: &str) -> Option<Place> {
    let text = |key: &str| payload.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| payload.get(key).and_then(Value::as_u64).map(|number| number as usize);
    let span = number("start")?..number("end")?;
    (text("hash") == hash).then(|| Place { heading: text("heading").to_owned(), span, is_open: true })
}

/// A chunk's span with those of the chunks beside it that have its heading, those behind it first, as far as there
/// are bytes to spare.
fn grown(places: &[Place], span: &Range<usize>, heading: &str, spare: &mut usize) -> Range<usize> {
    let Some(at) = places.iter().position(|place| place.span == *span) else { return span.clone() };
    let (mut first, mut last, mut span) = (at, at, span.clone());
    loop {
        let mut has_grown = false;
        for is_behind in [true, false] {
            let next = if is_behind { Some(last + 1) } else { first.checked_sub(1) };
            let next = next.and_then(|next| Some((next, places.get(next)?)));
            let is_of_it = |(_, place): &(usize, &Place)| place.is_open && place.heading == heading;
            let Some((next, place)) = next.filter(is_of_it) else { continue };
            let wide = span.start.min(place.span.start)..span.end.max(place.span.end);
            let more = wide.len() - span.len();
            if more > *spare {
                continue;
            }
            *spare -= more;
            (first, last, span) = (first.min(next), last.max(next), wide);
            has_grown = true;
        }
        if !has_grown {
            return span;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_grows_to_the_ends_of_its_section_or_of_the_room() {
        let place =
            |heading: &str, span: Range<usize>| Place { heading: heading.to_owned(), span, is_open: true };
        let places = [
            place("A", 0..10),
            place("A", 12..20),
            place("A", 20..30),
            place("A > B", 31..40),
            place("A", 41..50),
            place("C", 51..60),
        ];
        for (span, heading, spare, expected, left) in [
            (12..20, "A", 100, 0..30, 78),
            (0..10, "A", 100, 0..30, 80),
            (12..20, "A", 11, 12..30, 1),
            (12..20, "A", 9, 12..20, 9),
            (31..40, "A > B", 100, 31..40, 100),
            (41..50, "A", 100, 41..50, 100),
            (51..60, "C", 100, 51..60, 100),
            (13..20, "A", 100, 13..20, 100),
        ] {
            let mut room = spare;
            let grown = grown(&places, &span, heading, &mut room);
            assert_eq!((grown, room), (expected, left), "{span:?} {heading} {spare}");
        }
        let mut places = places;
        places[1].is_open = false;
        assert_eq!(grown(&places, &(0..10), "A", &mut 100), 0..10, "what is behind it is not reached");
    }
}
