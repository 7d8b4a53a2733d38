//! Queries answered page by page.

use kithdb::Result;

use super::Call;
use crate::wire::cursor::{self, CursorPage, NextBody};
use crate::wire::query::QueryBody;
use crate::wire::translate::Translator;

pub(super) fn begin(call: &Call) -> Result<CursorPage> {
    let collection = call.collection()?;
    let embedder = call.state.embedder.as_ref();
    let translator = Translator { db: &call.state.db, collection: &collection, embedder };
    cursor::begin(call.parse::<QueryBody>()?, &translator, &call.state.cursors)
}

pub(super) fn next(call: &Call) -> Result<CursorPage> {
    let body: NextBody = if call.is_empty() { NextBody::default() } else { call.parse()? };
    body.run(call.part("cursor")?, &call.state.cursors)
}

pub(super) fn close(call: &Call) -> Result<bool> {
    Ok(call.state.cursors.close(call.part("cursor")?))
}
