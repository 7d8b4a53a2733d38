//! Asking a collection: searches, groups, facets, pages, counts. Each reads one view.

use query::{Actual, Grouping, Matrix, MatrixRequest, Ranked, Terms, View, WhyNot};
use types::{Error, FieldPath, Filter, PointId, Result, Scalar, Slot};

use crate::highlight::Highlighter;
use crate::hit::Select;
use crate::query_builder::QueryBuilder;
use crate::{Collection, Hit, Page, Plan, Request};

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
    /// Where the deadline passed before: the share of the rows to be looked at that was.
    pub partial: Option<f32>,
}

impl Collection {
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
        self.shared.check_exists()?;
        filter.check(&self.engine.limits)?;
        if limit == 0 {
            return Err(Error::invalid("limit", "is 0; ask for at least 1 point"));
        }
        if limit > self.engine.limits.hits_max {
            return Err(Error::limit("limit", "the limit", limit, self.engine.limits.hits_max));
        }
        let view = self.shared.view.load_full();
        let page = query::scroll(&view, filter, from, limit)?;
        Ok(Page { points: select.points(&view, &page.slots)?, next: page.next })
    }

    /// How many points match, exactly.
    ///
    /// # Errors
    /// As for [`Collection::scroll`].
    pub fn count(&self, filter: &Filter) -> Result<usize> {
        self.shared.check_exists()?;
        filter.check(&self.engine.limits)?;
        query::count(&self.shared.view.load_full(), filter)
    }

    /// Begins a query.
    pub fn query(&self) -> QueryBuilder<'_> {
        QueryBuilder::new(self)
    }

    /// Answers a request: its best hits, and the plan that found them.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming the field; `NotFound` when the collection was dropped.
    pub fn search(&self, mut request: Request, select: &Select) -> Result<(Vec<Hit>, Plan)> {
        self.shared.check_exists()?;
        let view = self.shared.view.load_full();
        request.check(&view.entry.schema, &self.engine.limits)?;
        let highlighter = highlighter(&view, &request, select)?;
        let answer = query::execute(&view, request, Terms::default())?;
        Ok((hits(&view, &answer.hits, select, highlighter.as_ref())?, answer.plan))
    }

    /// Answers a request on terms: with a deadline, or with what was done.
    ///
    /// # Errors
    /// As for [`Collection::search`]; `DeadlineExceeded`.
    pub fn search_on(&self, mut request: Request, select: &Select, terms: Terms) -> Result<Found> {
        self.shared.check_exists()?;
        let view = self.shared.view.load_full();
        request.check(&view.entry.schema, &self.engine.limits)?;
        let highlighter = highlighter(&view, &request, select)?;
        let answer = query::execute(&view, request, terms)?;
        let query::Answer { plan, actual, partial, .. } = answer;
        let hits = hits(&view, &answer.hits, select, highlighter.as_ref())?;
        Ok(Found { hits, plan, actual, partial })
    }

    /// Why a point is not in the answer to a request, at each of its levels.
    ///
    /// # Errors
    /// As for [`Collection::search`].
    pub fn why_not(&self, mut request: Request, id: PointId) -> Result<WhyNot> {
        self.shared.check_exists()?;
        let view = self.shared.view.load_full();
        request.check(&view.entry.schema, &self.engine.limits)?;
        query::why_not(&view, request, id)
    }

    /// The plan of a request, without answering it.
    ///
    /// # Errors
    /// As for [`Collection::search`].
    pub fn explain(&self, mut request: Request) -> Result<Plan> {
        self.shared.check_exists()?;
        let view = self.shared.view.load_full();
        request.check(&view.entry.schema, &self.engine.limits)?;
        query::explain::explain(&view, request)
    }

    /// The best groups of hits by the values of a field, each with its best hits. The request's own limit does not
    /// count.
    ///
    /// # Errors
    /// As for [`Collection::search`].
    pub fn groups(&self, request: Request, grouping: &Grouping, select: &Select) -> Result<Vec<Group>> {
        self.shared.check_exists()?;
        grouping.check(&self.engine.limits)?;
        let view = self.shared.view.load_full();
        let mut request = Request { limit: 1, ..request };
        request.check(&view.entry.schema, &self.engine.limits)?;
        let highlighter = highlighter(&view, &request, select)?;
        let group = |group: query::Group| {
            let hits = hits(&view, &group.hits, select, highlighter.as_ref())?;
            Ok(Group { value: group.value, hits })
        };
        query::groups(&view, &request, grouping)?.into_iter().map(group).collect()
    }

    /// The `limit` values of a field that most of the points that match hold, and how many do.
    ///
    /// # Errors
    /// As for [`Collection::scroll`].
    pub fn facets(&self, path: &FieldPath, filter: &Filter, limit: usize) -> Result<Vec<(Scalar, usize)>> {
        self.shared.check_exists()?;
        filter.check(&self.engine.limits)?;
        if limit == 0 {
            return Err(Error::invalid("limit", "is 0; ask for at least 1 value"));
        }
        query::facets(&self.shared.view.load_full(), filter, path, limit)
    }

    /// Points chosen at random, each with its nearest among them.
    ///
    /// # Errors
    /// As for [`Collection::search`].
    pub fn matrix(&self, request: &MatrixRequest) -> Result<Matrix> {
        self.shared.check_exists()?;
        request.check(&self.engine.limits)?;
        query::matrix(&self.shared.view.load_full(), request)
    }
}

fn highlighter<'a>(view: &View, request: &Request, select: &'a Select) -> Result<Option<Highlighter<'a>>> {
    select.highlight.as_ref().map(|highlight| Highlighter::of(highlight, request, view)).transpose()
}

fn hits(
    view: &View,
    ranked: &[Ranked],
    select: &Select,
    highlighter: Option<&Highlighter<'_>>,
) -> Result<Vec<Hit>> {
    let slots: Vec<Slot> = ranked.iter().map(|ranked| ranked.slot).collect();
    let points = select.points(view, &slots)?;
    let mut hits: Vec<Hit> =
        ranked.iter().zip(points).map(|(ranked, point)| Hit::new(view, *ranked, point)).collect();
    if let Some(highlighter) = highlighter {
        for (hit, payload) in hits.iter_mut().zip(view.payloads(&slots)?) {
            hit.highlights = highlighter.fragments(view, &payload);
        }
    }
    Ok(hits)
}
