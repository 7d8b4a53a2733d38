//! Points as a model reads them: a text with a title and an address to cite, the rest of the payload beside it.

use kithdb::Value;
use serde_json::{Map, json};

use crate::address::{decoded, encoded};

/// Members of a payload that a text is looked for in where the collection does not say which are sought by words.
const TEXTS: [&str; 4] = ["text", "content", "body", "document"];

/// Members that name what a text is of.
const TITLES: [&str; 5] = ["title", "name", "heading", "path", "url"];

/// Characters of a text that a hit shows; `fetch` gives all of it.
const SHOWN_CHARS: usize = 1_200;

/// Which member of a payload is the text.
pub(super) struct Layout {
    texts: Vec<String>,
}

impl Layout {
    /// That of a collection, as it is described.
    pub(super) fn of(schema: &Value) -> Self {
        let own = schema["keyword"]["paths"].as_array().into_iter().flatten();
        let own = own.filter_map(Value::as_str).filter(|path| !TITLES.contains(path)).map(str::to_owned);
        Self { texts: own.chain(TEXTS.map(str::to_owned)).collect() }
    }

    /// A point as it is found: with the beginning of its text.
    pub(super) fn hit(&self, collection: &str, point: &Value) -> Value {
        let mut shown = self.whole(collection, point);
        if let Some(text) = shown["text"].as_str()
            && let Some((end, _)) = text.char_indices().nth(SHOWN_CHARS)
        {
            shown["text"] = format!("{}…", &text[..end]).into();
        }
        shown["score"] = point["score"].clone();
        shown
    }

    /// A point as it is read.
    pub(super) fn whole(&self, collection: &str, point: &Value) -> Value {
        let mut payload = point["payload"].as_object().cloned().unwrap_or_default();
        let text = self.texts.iter().find_map(|name| taken(&mut payload, name)).unwrap_or_default();
        let title = TITLES.iter().find_map(|name| payload.get(*name)?.as_str());
        let id = point["id"].as_str().map_or_else(|| point["id"].to_string(), str::to_owned);
        json!({
            "id": id,
            "title": title.map_or_else(|| id.clone(), str::to_owned),
            "text": text,
            "url": address(collection, &id),
            "metadata": payload,
        })
    }
}

fn taken(payload: &mut Map<String, Value>, name: &str) -> Option<String> {
    let text = payload.get(name)?.as_str()?.to_owned();
    payload.remove(name);
    Some(text)
}

/// The address of a point, or of a collection if the id is empty: what is cited, and what `fetch` takes.
pub(super) fn address(collection: &str, id: &str) -> String {
    let collection = encoded(collection);
    if id.is_empty() { format!("kithdb://{collection}") } else { format!("kithdb://{collection}/{id}") }
}

/// The collection and the id of an address; the id is empty where it is that of a collection.
pub(super) fn parted(address: &str) -> Option<(String, String)> {
    let rest = address.strip_prefix("kithdb://")?;
    let (collection, id) = rest.split_once('/').unwrap_or((rest, ""));
    Some((decoded(collection)?, decoded(id)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_as_it_was_made() {
        for (collection, id) in
            [("notes", "7"), ("two words/ü", ""), ("a", "936da01f-9abd-4d9d-80c7-02af85c822a8")]
        {
            let made = address(collection, id);
            assert_eq!(parted(&made), Some((collection.to_owned(), id.to_owned())), "{made}");
        }
        assert_eq!(parted("http://notes/7"), None);
        assert_eq!(parted("kithdb://a%2"), None);
    }

    #[test]
    fn a_text_is_shown_short_and_read_whole() {
        let layout = Layout::of(&json!({"keyword": {"paths": ["title", "story"]}}));
        let long = "ü".repeat(SHOWN_CHARS + 1);
        let point = json!({"id": 7, "score": 0.5, "payload": {"story": long, "title": "A", "n": 1}});
        let hit = layout.hit("c", &point);
        assert_eq!(hit["text"].as_str().expect("text").chars().count(), SHOWN_CHARS + 1);
        assert_eq!(
            (&hit["title"], &hit["url"], &hit["score"]),
            (&json!("A"), &json!("kithdb://c/7"), &json!(0.5))
        );
        let whole = layout.whole("c", &point);
        assert_eq!(whole["text"].as_str(), Some(long.as_str()));
        assert_eq!(whole["metadata"], json!({"title": "A", "n": 1}));
        let bare = layout.whole("c", &json!({"id": "x", "payload": {}}));
        assert_eq!((&bare["title"], &bare["text"]), (&json!("x"), &json!("")));
    }
}
