//! What can be read by its address: collections, and points of them.

use rmcp::ErrorData;
use rmcp::model::{
    ListResourceTemplatesResult, ListResourcesResult, ReadResourceResponse, ReadResourceResult, Resource,
    ResourceContents, ResourceTemplate,
};

use super::ask::{Asker, Refused};
use super::found::{address, parted};
use super::tools;

const JSON: &str = "application/json";

/// The collections that the caller sees.
pub(super) async fn list(asker: &Asker<'_>) -> Result<ListResourcesResult, ErrorData> {
    let names = tools::names(asker).await.map_err(|refused| error("kithdb://", &refused))?;
    let resource = |name: String| {
        Resource::new(address(&name, ""), name.clone())
            .with_description(format!("What the collection {name} is: its vectors, words, fields and points"))
            .with_mime_type(JSON)
    };
    Ok(ListResourcesResult::with_all_items(names.into_iter().map(resource).collect()))
}

/// The form of the addresses.
pub(super) fn templates() -> ListResourceTemplatesResult {
    let collection = ResourceTemplate::new("kithdb://{collection}", "collection")
        .with_description("What a collection is")
        .with_mime_type(JSON);
    let point = ResourceTemplate::new("kithdb://{collection}/{id}", "document")
        .with_description("A document, by the id that search gives")
        .with_mime_type(JSON);
    ListResourceTemplatesResult::with_all_items(vec![collection, point])
}

/// Reads an address.
pub(super) async fn read(asker: &Asker<'_>, uri: &str) -> Result<ReadResourceResponse, ErrorData> {
    let unknown =
        || ErrorData::resource_not_found(format!("`{uri}` is no address of a collection or document"), None);
    let (collection, id) = parted(uri).filter(|(name, _)| !name.is_empty()).ok_or_else(unknown)?;
    let told = match id.as_str() {
        "" => asker.describe(&collection).await,
        id => tools::point(asker, &collection, id).await,
    };
    let told = told.map_err(|refused| error(uri, &refused))?;
    let text = ResourceContents::text(serde_json::to_string_pretty(&told).unwrap_or_default(), uri);
    Ok(ReadResourceResult::new(vec![text.with_mime_type(JSON)]).into())
}

fn error(uri: &str, refused: &Refused) -> ErrorData {
    let place = Some(serde_json::json!({"uri": uri}));
    match refused.is_missing() {
        true => ErrorData::resource_not_found(refused.message.clone(), place),
        false => ErrorData::invalid_request(refused.message.clone(), place),
    }
}
