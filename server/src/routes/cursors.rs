//! Queries answered page by page.

use kithdb::{Error, Result};

use super::Call;
use crate::access::Need;
use crate::error::BODY;
use crate::wire::cursor::{self, CursorPage, NextBody};
use crate::wire::query::QueryBody;

/// Bytes of a query that is answered page by page: it is kept until its last page, and there may be many.
const QUERY_BYTES_MAX: usize = 1 << 20;

pub(super) fn begin(call: &Call) -> Result<CursorPage> {
    let collection = call.collection()?;
    let bytes = call.bytes().len();
    if bytes > QUERY_BYTES_MAX {
        let what = "the number of bytes of a query that is kept for its pages";
        return Err(Error::limit(BODY, what, bytes, QUERY_BYTES_MAX));
    }
    let (body, asked) = (call.parse::<QueryBody>()?, call.part("collection")?);
    cursor::begin(body, asked, &call.translator(&collection), &call.state.cursors)
}

pub(super) fn next(call: &Call) -> Result<CursorPage> {
    let body: NextBody = if call.is_empty() { NextBody::default() } else { call.parse()? };
    check(call, body.limit)?;
    body.run(call.part("cursor")?, &call.state.cursors, call.deadline())
}

pub(super) fn close(call: &Call) -> Result<bool> {
    check(call, None)?;
    Ok(call.state.cursors.close(call.part("cursor")?))
}

/// A cursor is of a collection, and what holds for it holds for each page; one that is closed is of none.
fn check(call: &Call, limit: Option<usize>) -> Result<()> {
    let Some(name) = call.state.cursors.collection(call.part("cursor")?) else { return Ok(()) };
    call.rights.check_of(&call.state.db, &name, Need::Read)?;
    let Ok(collection) = call.state.db.collection(&name) else { return Ok(()) };
    let strict = call.strict(&collection);
    limit.map_or(Ok(()), |limit| strict.check_limit(limit))?;
    strict.take_read(1)
}
