//! `POST /api/v1/collections/{c}/cursors` and `POST /api/v1/cursors/{cursor}`: a query answered page by page.

use std::time::Instant;

use kithdb::{Error, Result, Select};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::point::ScoredPoint;
use super::query::QueryBody;
use super::translate::Translator;
use crate::cursors::{Cursors, Open, Paged};

/// The body of a further page; it may be empty.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = NextPage)]
#[serde(deny_unknown_fields)]
pub(crate) struct NextBody {
    pub(crate) limit: Option<usize>,
}

/// A page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CursorPage {
    /// Asks for the next page; `null` behind the last.
    cursor: Option<String>,
    /// The commit whose state all pages are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    seqno: Option<u64>,
    points: Vec<ScoredPoint>,
}

/// Answers the first page of a query. `asked` is what the collection was called by.
///
/// # Errors
/// As for a query; `Busy` when too many cursors are open.
pub(crate) fn begin(
    body: QueryBody,
    asked: &str,
    translator: &Translator<'_>,
    cursors: &Cursors,
) -> Result<CursorPage> {
    body.refuse_terms()?;
    let reading = super::reading(translator.collection, body.as_of, None)?;
    let (request, select) = body.into_request(translator)?;
    let limit = request.limit;
    let cursor = reading.cursor(request)?;
    let mut open = Open { collection: asked.to_owned(), cursor, select, limit };
    let (page, select) = (open.next(None, translator.deadline)?, open.select.clone());
    let name = if page.is_last { None } else { Some(cursors.keep(open)?.to_string()) };
    Ok(CursorPage { seqno: Some(reading.seqno().0), ..CursorPage::new(page, &select, name) })
}

impl NextBody {
    /// Answers a further page until a deadline.
    ///
    /// # Errors
    /// `NotFound` when the cursor is closed; `DeadlineExceeded`, and then it may be asked again.
    pub(crate) fn run(self, name: &str, cursors: &Cursors, deadline: Instant) -> Result<CursorPage> {
        let (page, select) = cursors.next(name, self.limit, deadline)?;
        let name = (!page.is_last).then(|| name.to_owned());
        Ok(CursorPage::new(page, &select, name))
    }
}

impl CursorPage {
    fn new(page: Paged, select: &Select, cursor: Option<String>) -> Self {
        let points = page.hits.into_iter().map(|hit| ScoredPoint::new(hit, select)).collect();
        Self { cursor, seqno: None, points }
    }
}

impl QueryBody {
    /// What belongs to one answer has no meaning for many.
    fn refuse_terms(&self) -> Result<()> {
        let given = [
            ("explain", self.explain.is_some()),
            ("deadline_ms", self.deadline_ms.is_some()),
            ("rows_max", self.rows_max.is_some()),
            ("partial", self.partial.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((field, _)) => Err(Error::invalid(*field, "goes with `points/query`, not with a cursor")),
            None => Ok(()),
        }
    }
}
