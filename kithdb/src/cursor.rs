//! Answering a request page by page.
//!
//! Invariant: all pages together are one list of hits of one state, each once, none passed over. The list grows as it
//! is asked for: what a longer answer adds comes behind what was given before, also where an approximate search finds
//! late what should have come early.
//! Cost: the first page that goes beyond what was found asks again for four times as many; 16 bytes for each hit found
//! so far; the state is held.

use std::collections::HashSet;
use std::fmt;
use std::time::Instant;

use query::{OrderValue, Ranked, Terms};
use types::{Error, Result};

use crate::Request;
use crate::asked::Operation;
use crate::hit::{Hit, Room, Select};
use crate::reading::{Reading, highlighter, hits};
use crate::slow;

/// Hits that the first page asks for, at least: a next page is likely.
const FOUND_MIN: usize = 128;

/// A request that is answered page by page.
pub struct Cursor {
    reading: Reading,
    request: Request,
    /// What was found so far, in the order in which it is given.
    found: Vec<Ranked>,
    seen: HashSet<(u32, Option<[u8; 9]>)>,
    given: usize,
    /// Nothing is to be found beyond.
    is_whole: bool,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reading, given) = (&self.reading, self.given);
        f.debug_struct("Cursor").field("reading", reading).field("given", &given).finish_non_exhaustive()
    }
}

impl Cursor {
    pub(crate) fn new(reading: Reading, request: Request) -> Self {
        let (found, seen) = (Vec::new(), HashSet::new());
        Self { reading, request, found, seen, given: 0, is_whole: false }
    }

    /// The state that it reads.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The next hits, `limit` of them if there are as many; none at the end.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming `limit`; `Io`, `Corrupted`.
    pub fn next(&mut self, limit: usize, select: &Select) -> Result<Vec<Hit>> {
        self.next_until(limit, select, None)
    }

    /// The same, found by then or not at all: after an error it can be asked for again.
    ///
    /// # Errors
    /// `DeadlineExceeded`; as for [`next`](Self::next).
    pub fn next_until(
        &mut self,
        limit: usize,
        select: &Select,
        deadline: Option<Instant>,
    ) -> Result<Vec<Hit>> {
        let most = self.reading.limits().hits_max;
        if limit == 0 {
            return Err(Error::invalid("limit", "is 0; ask for at least 1 hit"));
        }
        let wanted = self.given.saturating_add(limit);
        if wanted > most {
            return Err(Error::limit("limit", "the number of hits of all pages", wanted, most));
        }
        while self.found.len() < wanted && !self.is_whole {
            let count = wanted.max(self.found.len().saturating_mul(4)).max(FOUND_MIN).min(most);
            self.find(count, deadline)?;
        }
        let page = &self.found[self.given..wanted.min(self.found.len())];
        let page = self.reading.read(|view| {
            let highlighter = highlighter(view, &self.request, select)?;
            let mut room = Room::new(self.reading.limits(), "limit");
            hits(view, page, (select, highlighter.as_ref()), &mut room)
        })?;
        self.given += page.len();
        Ok(page)
    }

    /// How many hits it holds: those that were given, and those that were found beyond.
    pub fn held(&self) -> usize {
        self.found.len()
    }

    /// Whether the last page was given.
    pub fn is_at_end(&self) -> bool {
        self.is_whole && self.given == self.found.len()
    }

    fn find(&mut self, count: usize, deadline: Option<Instant>) -> Result<()> {
        let request = Request { limit: count, ..self.request.clone() };
        let asked = self.reading.asked(Operation::Search).says(|| slow::text_of(&request));
        let terms = Terms { deadline, ..Terms::default() };
        let answer = self.reading.read(|view| query::execute(view, request, terms))?;
        asked.found(answer.hits.len(), &answer.plan, &answer.effort);
        self.is_whole = answer.hits.len() < count || count == self.reading.limits().hits_max;
        for ranked in answer.hits {
            if self.seen.insert((ranked.slot.0, ranked.order.map(bits))) {
                self.found.push(ranked);
            }
        }
        Ok(())
    }
}

/// A point that is ordered by several values is a hit for each.
fn bits(value: OrderValue) -> [u8; 9] {
    let (kind, bits) = match value {
        OrderValue::Integer(number) => (0, number.to_le_bytes()),
        OrderValue::Float(number) => (1, number.to_le_bytes()),
    };
    let mut key = [kind; 9];
    key[1..].copy_from_slice(&bits);
    key
}
