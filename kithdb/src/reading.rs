//! One state of a collection, and everything that it can be asked: searches, groups, facets, pages, counts.
//!
//! Invariant: whatever is asked of a reading, and however often, is answered from the same state. While it is held,
//! nothing that it shows is purged, and its directory cannot be opened anew: hold it for as long as it is needed, and
//! no longer.
//! Cost: to take one of the present state, a few reference counts; of a past state, see `history`.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use query::{Actual, Effort, Grouping, Matrix, MatrixRequest, Ranked, Terms, View, WhyNot};
use types::{Error, ErrorKind, FieldPath, Filter, Limits, PointId, Result, Scalar, Seqno, Slot};

use crate::asked::{Asked, Operation, fetched};
use crate::cursor::Cursor;
use crate::engine::{Engine, Shared};
use crate::highlight::Highlighter;
use crate::hit::{BLOCK_MIN, Room, Select};
use crate::slow;
use crate::{Hit, Page, Plan, Point, Request};

/// One state of a collection. Clones are cheap and share it.
///
/// ```
/// use kithdb::{Database, Point, PointId, Schema, Select};
///
/// let db = Database::in_memory()?;
/// let notes = db.create_collection("notes", Schema::new().history(60))?;
/// let first = notes.upsert(vec![Point::new(1).with("text", "a draft")])?;
/// notes.upsert(vec![Point::new(1).with("text", "a letter")])?;
/// let then = notes.as_of(first.seqno)?;
/// assert_eq!(then.get(&[PointId::Num(1)], &Select::default())?[0].payload["text"], "a draft");
/// # Ok::<(), kithdb::Error>(())
/// ```
#[derive(Clone)]
pub struct Reading {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    view: Arc<View>,
    deadline: Option<Instant>,
    /// Bytes of the answers that each of its own stands beside.
    beside: usize,
}

/// Hits that share a value of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The value.
    pub value: Scalar,
    /// Best first.
    pub hits: Vec<Hit>,
}

/// What a request found on its terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    /// How it was planned.
    pub plan: Plan,
    /// What was done, if it was asked for.
    pub actual: Option<Actual>,
    /// Where the deadline passed before, or the rows were spent: the share of the rows to be looked at that was.
    pub partial: Option<f32>,
    /// Bytes of memory that the payloads and vectors of the hits take, about, and of the answers that it stands beside.
    pub bytes: usize,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (collection, seqno) = (&self.shared.name, self.view.seqno);
        f.debug_struct("Reading")
            .field("collection", collection)
            .field("seqno", &seqno)
            .finish_non_exhaustive()
    }
}

impl Reading {
    pub(crate) fn new(engine: &Arc<Engine>, shared: &Arc<Shared>, view: Arc<View>) -> Self {
        let (engine, shared) = (Arc::clone(engine), Arc::clone(shared));
        Self { engine, shared, view, deadline: None, beside: 0 }
    }

    /// The same state, of which everything is answered by then or not at all.
    #[must_use]
    pub fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The same state, where what a search shows stands beside other answers of so many bytes: together they have room
    /// for `answer_bytes_max`.
    #[must_use]
    pub fn beside(mut self, bytes: usize) -> Self {
        self.beside = bytes;
        self
    }

    /// # Errors
    /// `NotFound` when the collection was dropped: then nothing of it can be read.
    pub(crate) fn view(&self) -> Result<&View> {
        self.shared.check_exists()?;
        Ok(&self.view)
    }

    /// What is read of the state. Rows go with their collection: what lacks some then is not damaged, and what is empty
    /// is no answer.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&View) -> Result<T>) -> Result<T> {
        let found = read(self.view()?);
        self.shared.check_exists().and(found)
    }

    /// The commit that it shows, and everything before it.
    pub fn seqno(&self) -> Seqno {
        self.view.seqno
    }

    /// Rows of a version stay while a view holds it, but not those of a vector that is gone.
    ///
    /// # Errors
    /// `Busy` when the vectors of the collection are others now, so that what was read may lack some.
    pub(crate) fn check_vectors(&self) -> Result<()> {
        let now = self.shared.view.load();
        if self.view.entry.schema.has_vectors_of(&now.entry.schema) {
            return Ok(());
        }
        let name = &self.shared.name;
        let message = format!("the vectors of `{name}` changed while they were read; ask again");
        Err(Error::new(ErrorKind::Busy, message))
    }

    pub(crate) fn asked(&self, operation: Operation) -> Asked<'_> {
        Asked::of(&self.engine, &self.shared.name, operation)
    }

    fn asked_by(&self, operation: Operation, filter: &Filter) -> Asked<'_> {
        self.asked(operation).says(|| slow::text_of_filter(filter))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.engine.limits
    }

    /// The points of these ids that exist, in the order of the ids.
    ///
    /// # Errors
    /// `NotFound` when the collection was dropped, `LimitExceeded`, `Io`, `Corrupted`.
    pub fn get(&self, ids: &[PointId], select: &Select) -> Result<Vec<Point>> {
        let limit = self.limits().batch_points_max;
        if ids.len() > limit {
            return Err(Error::limit("ids", "the number of ids", ids.len(), limit));
        }
        let asked = self.asked(Operation::Get);
        let points = self.read(|view| {
            let slots: Vec<Slot> = view.slots(ids)?.into_iter().flatten().collect();
            select.points(view, &slots, &mut Room::new(self.limits(), "ids"))
        })?;
        asked.answered(points.len());
        Ok(points)
    }

    /// Begins to answer a request page by page.
    ///
    /// # Errors
    /// As for [`Reading::search`].
    pub fn cursor(&self, mut request: Request) -> Result<Cursor> {
        self.check(&mut request)?;
        Ok(Cursor::new(self.clone(), request))
    }

    /// A page of points that match, in the order of their ids, from `from` on.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming the field; `NotFound` when the collection was dropped.
    pub fn scroll(
        &self,
        filter: &Filter,
        from: Option<PointId>,
        limit: usize,
        select: &Select,
    ) -> Result<Page> {
        filter.check(self.limits())?;
        if limit == 0 {
            return Err(Error::invalid("limit", "is 0; ask for at least 1 point"));
        }
        let (points, most) = (self.view()?.points(), self.limits().hits_max);
        // Whoever asks for more than there can be asks for all.
        let limit = if points <= most { limit.min(most) } else { limit };
        if limit > most {
            return Err(Error::limit("limit", "the limit", limit, most));
        }
        let asked = self.asked_by(Operation::Scroll, filter);
        let page = self.read(|view| {
            let page = query::scroll(view, filter, (from, limit), self.deadline)?;
            let mut room = Room::new(self.limits(), "limit");
            let read = || select.points(view, &page.slots, &mut room);
            let points = fetched(&mut Effort::default(), read)?;
            Ok(Page { points, next: page.next })
        })?;
        asked.answered(page.points.len());
        Ok(page)
    }

    /// How many points match, exactly.
    ///
    /// # Errors
    /// As for [`Reading::scroll`].
    pub fn count(&self, filter: &Filter) -> Result<usize> {
        filter.check(self.limits())?;
        let asked = self.asked_by(Operation::Count, filter);
        let count = self.read(|view| query::count(view, filter, self.deadline))?;
        asked.answered(1);
        Ok(count)
    }

    /// Answers a request: its best hits, and the plan that found them.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming the field; `NotFound` when the collection was dropped.
    pub fn search(&self, request: Request, select: &Select) -> Result<(Vec<Hit>, Plan)> {
        let found = self.search_on(request, select, Terms::default())?;
        Ok((found.hits, found.plan))
    }

    /// Answers a request on terms: with a deadline, or with what was done.
    ///
    /// # Errors
    /// As for [`Reading::search`]; `DeadlineExceeded`.
    pub fn search_on(&self, mut request: Request, select: &Select, mut terms: Terms) -> Result<Found> {
        terms.deadline = terms.deadline.or(self.deadline);
        let asked = self.asked(Operation::Search).says(|| slow::text_of(&request));
        self.check(&mut request)?;
        let (hits, bytes, answer) = self.read(|view| {
            let highlighter = highlighter(view, &request, select)?;
            let mut answer = self.ask(view, request, terms)?;
            let ranked = std::mem::take(&mut answer.hits);
            let mut room = Room::new(self.limits(), "limit").beside(self.beside);
            let read = || hits(view, &ranked, (select, highlighter.as_ref()), &mut room);
            let hits = fetched(&mut answer.effort, read)?;
            Ok((hits, room.taken(), answer))
        })?;
        let query::Answer { plan, actual, partial, effort, .. } = answer;
        if partial.is_some() {
            self.engine.meters.partial();
        }
        asked.found(hits.len(), &plan, &effort);
        Ok(Found { hits, plan, actual, partial, bytes })
    }

    fn check(&self, request: &mut Request) -> Result<()> {
        let view = self.view()?;
        request.check(&view.entry.schema, self.limits(), view.points())
    }

    /// Answers a request, which may be one of those by which recall is measured.
    fn ask(&self, view: &View, request: Request, terms: Terms) -> Result<query::Answer> {
        self.shared.drifts.ask(&request);
        if !self.engine.monitor.chooses() {
            return query::execute(view, request, terms);
        }
        let mut answer = query::execute_sampled(view, request, terms)?;
        self.engine.monitor.take(&self.view, std::mem::take(&mut answer.sampled));
        Ok(answer)
    }

    /// Why a point is not in the answer to a request, at each of its levels.
    ///
    /// # Errors
    /// As for [`Reading::search`].
    pub fn why_not(&self, mut request: Request, id: PointId) -> Result<WhyNot> {
        let asked = self.asked(Operation::WhyNot).says(|| slow::text_of(&request));
        self.check(&mut request)?;
        let why = self.read(|view| query::why_not(view, request, id, self.deadline))?;
        asked.answered(1);
        Ok(why)
    }

    /// The plan of a request, without answering it.
    ///
    /// # Errors
    /// As for [`Reading::search`].
    pub fn explain(&self, mut request: Request) -> Result<Plan> {
        let view = self.view()?;
        self.check(&mut request)?;
        query::explain::explain(view, request)
    }

    /// The best groups of hits by the values of a field, each with its best hits. The request's own limit does not
    /// count.
    ///
    /// # Errors
    /// As for [`Reading::search`].
    pub fn groups(&self, request: Request, grouping: &Grouping, select: &Select) -> Result<Vec<Group>> {
        grouping.check(self.limits())?;
        let asked = self.asked(Operation::Groups).says(|| slow::text_of(&request));
        let mut request = Request { limit: 1, ..request };
        self.check(&mut request)?;
        self.shared.drifts.ask(&request);
        let (groups, plan, effort) = self.read(|view| {
            let highlighter = highlighter(view, &request, select)?;
            let mut room = Room::new(self.limits(), "limit");
            let group = |group: query::Group| {
                let hits = hits(view, &group.hits, (select, highlighter.as_ref()), &mut room)?;
                Ok(Group { value: group.value, hits })
            };
            let query::Grouped { groups, plan, mut effort } =
                query::groups(view, &request, grouping, self.deadline)?;
            let groups: Result<Vec<Group>> = fetched(&mut effort, || groups.into_iter().map(group).collect());
            Ok((groups?, plan, effort))
        })?;
        asked.found(groups.len(), &plan, &effort);
        Ok(groups)
    }

    /// The `limit` values of a field that most of the points that match hold, and how many do.
    ///
    /// # Errors
    /// As for [`Reading::scroll`].
    pub fn facets(&self, path: &FieldPath, filter: &Filter, limit: usize) -> Result<Vec<(Scalar, usize)>> {
        filter.check(self.limits())?;
        if limit == 0 {
            return Err(Error::invalid("limit", "is 0; ask for at least 1 value"));
        }
        let asked = self.asked_by(Operation::Facets, filter);
        let facets = self.read(|view| query::facets(view, filter, (path, limit), self.deadline))?;
        asked.answered(facets.len());
        Ok(facets)
    }

    /// Points chosen at random, each with its nearest among them.
    ///
    /// # Errors
    /// As for [`Reading::search`].
    pub fn matrix(&self, request: &MatrixRequest) -> Result<Matrix> {
        request.check(self.limits())?;
        let asked = self.asked_by(Operation::Matrix, &request.filter);
        let matrix = self.read(|view| query::matrix(view, request, self.deadline))?;
        asked.answered(matrix.ids.len());
        Ok(matrix)
    }
}

/// What marks the words of a request in the texts of its hits, if that is asked for.
pub(crate) fn highlighter<'a>(
    view: &View,
    request: &Request,
    select: &'a Select,
) -> Result<Option<Highlighter<'a>>> {
    select.highlight.as_ref().map(|highlight| Highlighter::of(highlight, request, view)).transpose()
}

pub(crate) fn hits(
    view: &View,
    ranked: &[Ranked],
    (select, highlighter): (&Select, Option<&Highlighter<'_>>),
    room: &mut Room,
) -> Result<Vec<Hit>> {
    let slots: Vec<Slot> = ranked.iter().map(|ranked| ranked.slot).collect();
    let points = select.points(view, &slots, room)?;
    let mut hits: Vec<Hit> =
        ranked.iter().zip(points).map(|(ranked, point)| Hit::new(view, *ranked, point)).collect();
    if let Some(highlighter) = highlighter {
        // Whole payloads, whatever is selected: few at a time.
        for (hits, slots) in hits.chunks_mut(BLOCK_MIN).zip(slots.chunks(BLOCK_MIN)) {
            for (hit, payload) in hits.iter_mut().zip(view.payloads(slots)?) {
                hit.highlights = highlighter.fragments(view, &payload);
            }
        }
    }
    Ok(hits)
}
