//! Asking in a few words: `collection.query().nearest(vector).keyword("words").limit(5).run()`.

use types::{Condition, DEFAULT_VECTOR, Filter, KeywordQuery, Result};

use crate::hit::{PayloadSelect, Select, VectorSelect};
use crate::{Collection, Fusion, Highlight, Hit, Input, Params, Plan, Query, Request};

/// A query in the making. With a vector and words it is hybrid: both legs, fused.
#[derive(Clone, Debug)]
pub struct QueryBuilder<'a> {
    collection: &'a Collection,
    nearest: Option<Query>,
    keyword: Option<Query>,
    fusion: Fusion,
    filter: Filter,
    limit: usize,
    offset: usize,
    score_threshold: Option<f32>,
    params: Params,
    select: Select,
}

/// Each leg of a hybrid query ranks so many hits, or four times the hits wanted if that is more.
const LEG_HITS_MIN: usize = 100;

/// The hits that each leg of a hybrid query ranks where so many are wanted: what one finds late may come early by both.
pub fn leg_hits(wanted: usize) -> usize {
    wanted.saturating_mul(4).max(LEG_HITS_MIN)
}

impl<'a> QueryBuilder<'a> {
    pub(crate) fn new(collection: &'a Collection) -> Self {
        Self {
            collection,
            nearest: None,
            keyword: None,
            fusion: Fusion::adaptive(),
            filter: Filter::default(),
            limit: 10,
            offset: 0,
            score_threshold: None,
            params: Params::default(),
            select: Select::default(),
        }
    }

    /// Ranks by nearness to a vector of the unnamed space.
    #[must_use]
    pub fn nearest(self, vector: impl Into<Input>) -> Self {
        self.nearest_in(DEFAULT_VECTOR, vector)
    }

    /// Ranks by nearness to a vector of a named space.
    #[must_use]
    pub fn nearest_in(mut self, using: &str, vector: impl Into<Input>) -> Self {
        self.nearest = Some(Query::Nearest { vector: vector.into(), using: using.to_owned() });
        self
    }

    /// Ranks by words: those of a text, or as a [`KeywordQuery`] says.
    #[must_use]
    pub fn keyword(mut self, query: impl Into<KeywordQuery>) -> Self {
        self.keyword = Some(Query::Keyword(query.into()));
        self
    }

    /// How both legs are fused; by their scores, with weights that follow from the query, if not set.
    #[must_use]
    pub fn fuse(mut self, fusion: Fusion) -> Self {
        self.fusion = fusion;
        self
    }

    /// Adds a condition that must hold.
    #[must_use]
    pub fn filter(mut self, condition: Condition) -> Self {
        self.filter.must.push(condition);
        self
    }

    /// Sets the whole filter, in place of what was added before.
    #[must_use]
    pub fn filter_by(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Adds a filter written as text, such as `lang = 'en' AND year >= 2020`, that must hold.
    ///
    /// # Errors
    /// `InvalidArgument` naming `filter` and the character at fault.
    pub fn filter_text(mut self, text: &str) -> Result<Self> {
        self.filter.must.push(Condition::Filter(Box::new(text.parse()?)));
        Ok(self)
    }

    /// Hits wanted; 10 if not set.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Best hits to pass over.
    #[must_use]
    pub fn offset(mut self, offset: usize) -> Self {
        self.offset = offset;
        self
    }

    /// Leaves hits with a worse score out.
    #[must_use]
    pub fn score_threshold(mut self, threshold: f32) -> Self {
        self.score_threshold = Some(threshold);
        self
    }

    /// Scans instead of using the graph.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.params.is_exact = true;
        self
    }

    /// The window of the walk over a graph: how many rows it keeps in sight. Larger is slower and finds more.
    #[must_use]
    pub fn ef(mut self, ef: usize) -> Self {
        self.params.ef = Some(ef);
        self
    }

    /// The share of the true hits to find, above 0, at most 1; the planner chooses the effort. Not together with
    /// [`ef`](Self::ef).
    #[must_use]
    pub fn recall(mut self, recall: f32) -> Self {
        self.params.recall = Some(recall);
        self
    }

    /// Which payload comes with the hits; all of it if not set.
    #[must_use]
    pub fn with_payload(mut self, payload: PayloadSelect) -> Self {
        self.select.payload = payload;
        self
    }

    /// Which vectors come with the hits; none if not set.
    #[must_use]
    pub fn with_vectors(mut self, vectors: VectorSelect) -> Self {
        self.select.vectors = vectors;
        self
    }

    /// Tells with each hit what was found in its texts. The query must ask for words.
    #[must_use]
    pub fn highlight(mut self, highlight: Highlight) -> Self {
        self.select.highlight = Some(highlight);
        self
    }

    /// Answers it.
    ///
    /// # Errors
    /// As for [`Collection::search`].
    pub fn run(self) -> Result<Vec<Hit>> {
        let (collection, select) = (self.collection, self.select.clone());
        collection.search(self.request(), &select).map(|(hits, _)| hits)
    }

    /// The plan, without answering it.
    ///
    /// # Errors
    /// As for [`Collection::search`].
    pub fn explain(self) -> Result<Plan> {
        let collection = self.collection;
        collection.explain(self.request())
    }

    /// The request that it stands for.
    pub fn request(self) -> Request {
        let Self { nearest, keyword, fusion, filter, limit, offset, score_threshold, params, .. } = self;
        let leg_hits = leg_hits(limit.saturating_add(offset));
        let leg =
            |query| Request { query, filter: filter.clone(), limit: leg_hits, params, ..Request::default() };
        let (prefetch, query) = match (nearest, keyword) {
            (Some(nearest), Some(keyword)) => (vec![leg(nearest), leg(keyword)], Query::Fuse(fusion)),
            (Some(only), None) | (None, Some(only)) => (Vec::new(), only),
            (None, None) => (Vec::new(), Query::ById),
        };
        // The legs have filtered already.
        let filter = if prefetch.is_empty() { filter } else { Filter::default() };
        Request { prefetch, query, filter, limit, offset, score_threshold, params, corpus: None }
    }
}
