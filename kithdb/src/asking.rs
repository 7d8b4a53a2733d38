//! Asking a collection: each question is answered from the state at the moment in which it is asked, or at a commit.

use query::{Grouping, Matrix, MatrixRequest, Terms, WhyNot};
use types::{FieldPath, Filter, PointId, Result, Scalar, Seqno};

use crate::hit::Select;
use crate::query_builder::QueryBuilder;
use crate::reading::{Found, Group, Reading};
use crate::{Collection, Error, Hit, Page, Plan, Point, Request};

impl Collection {
    /// The present state, to ask it more than once.
    ///
    /// # Errors
    /// `NotFound` when the collection was dropped.
    pub fn reading(&self) -> Result<Reading> {
        self.shared.check_exists()?;
        Ok(Reading::new(&self.engine, &self.shared, self.shared.view.load_full()))
    }

    /// The state at a commit: with everything up to it, and nothing after. A collection keeps past states for
    /// `history_s` of its schema.
    ///
    /// # Errors
    /// `InvalidArgument` naming `as_of` when there is no such commit yet, or its state is not kept; `NotFound` when
    /// the collection was dropped.
    pub fn as_of(&self, seqno: Seqno) -> Result<Reading> {
        self.shared.check_exists()?;
        let last = self.engine.all().iter().map(|shared| shared.view.load().seqno).max().unwrap_or_default();
        if seqno > last {
            return Err(Error::invalid("as_of", format!("is {seqno}, and the last commit is {last}")));
        }
        Ok(Reading::new(&self.engine, &self.shared, self.shared.view_at(seqno)?))
    }

    /// Begins a query.
    pub fn query(&self) -> QueryBuilder<'_> {
        QueryBuilder::new(self)
    }

    /// The points of these ids that exist, in the order of the ids.
    ///
    /// # Errors
    /// `NotFound` when the collection was dropped, `LimitExceeded`, `Io`, `Corrupted`.
    pub fn get(&self, ids: &[PointId], select: &Select) -> Result<Vec<Point>> {
        self.reading()?.get(ids, select)
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
        self.reading()?.scroll(filter, from, limit, select)
    }

    /// How many points match, exactly; by its [deadline](Self::until), if it has one.
    ///
    /// # Errors
    /// As for [`Collection::scroll`].
    pub fn count(&self, filter: &Filter) -> Result<usize> {
        let reading = self.reading()?;
        match self.deadline {
            Some(deadline) => reading.until(deadline).count(filter),
            None => reading.count(filter),
        }
    }

    /// Answers a request: its best hits, and the plan that found them.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming the field; `NotFound` when the collection was dropped.
    pub fn search(&self, request: Request, select: &Select) -> Result<(Vec<Hit>, Plan)> {
        self.reading()?.search(request, select)
    }

    /// Answers a request on terms: with a deadline, or with what was done.
    ///
    /// # Errors
    /// As for [`Collection::search`]; `DeadlineExceeded`.
    pub fn search_on(&self, request: Request, select: &Select, terms: Terms) -> Result<Found> {
        self.reading()?.search_on(request, select, terms)
    }

    /// Why a point is not in the answer to a request, at each of its levels.
    ///
    /// # Errors
    /// As for [`Collection::search`].
    pub fn why_not(&self, request: Request, id: PointId) -> Result<WhyNot> {
        self.reading()?.why_not(request, id)
    }

    /// The plan of a request, without answering it.
    ///
    /// # Errors
    /// As for [`Collection::search`].
    pub fn explain(&self, request: Request) -> Result<Plan> {
        self.reading()?.explain(request)
    }

    /// The best groups of hits by the values of a field, each with its best hits. The request's own limit does not
    /// count.
    ///
    /// # Errors
    /// As for [`Collection::search`].
    pub fn groups(&self, request: Request, grouping: &Grouping, select: &Select) -> Result<Vec<Group>> {
        self.reading()?.groups(request, grouping, select)
    }

    /// The `limit` values of a field that most of the points that match hold, and how many do.
    ///
    /// # Errors
    /// As for [`Collection::scroll`].
    pub fn facets(&self, path: &FieldPath, filter: &Filter, limit: usize) -> Result<Vec<(Scalar, usize)>> {
        self.reading()?.facets(path, filter, limit)
    }

    /// Points chosen at random, each with its nearest among them.
    ///
    /// # Errors
    /// As for [`Collection::search`].
    pub fn matrix(&self, request: &MatrixRequest) -> Result<Matrix> {
        self.reading()?.matrix(request)
    }
}
