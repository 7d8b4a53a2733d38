//! Lists, page by page: `after` and `before` name an id, `order` is by time.

use std::ops::Range;

use kithdb::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// Which page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PageIn {
    after: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
    order: Option<Order>,
    /// Of files: what they were uploaded for.
    pub(crate) purpose: Option<String>,
    /// Of files in a store: their status.
    pub(crate) filter: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Asc,
    Desc,
}

/// Entries of a page unless it is said otherwise, and at most.
pub(crate) const LIMIT: (usize, usize) = (20, 100);

impl PageIn {
    /// The page of what is listed, given the oldest first with their ids.
    ///
    /// # Errors
    /// `InvalidArgument` naming `limit`, `after` or `before`.
    pub(crate) fn of(&self, mut all: Vec<(String, Value)>, limit: (usize, usize)) -> Result<Value> {
        let wanted = self.limit.unwrap_or(limit.0);
        if wanted == 0 || wanted > limit.1 {
            return Err(Error::invalid("limit", format!("must be between 1 and {}", limit.1)));
        }
        if self.order != Some(Order::Asc) {
            all.reverse();
        }
        let place = |field: &str, id: &str| {
            let found = self.place(&all, id);
            found.ok_or_else(|| Error::invalid(field, format!("there is no `{id}` in the list")))
        };
        let from = self.after.as_deref().map(|id| place("after", id)).transpose()?.map_or(0, |at| at.end);
        let before = self.before.as_deref().map(|id| place("before", id)).transpose()?;
        let to = before.map_or(all.len(), |at| at.start);
        let rest = all.get(from..to).unwrap_or_default();
        let shown = match (&self.before, &self.after) {
            // What stands directly before it.
            (Some(_), None) => &rest[rest.len().saturating_sub(wanted)..],
            _ => &rest[..rest.len().min(wanted)],
        };
        let id = |entry: Option<&(String, Value)>| entry.map(|(id, _)| id.clone());
        Ok(json!({
            "object": "list",
            "data": shown.iter().map(|(_, value)| value).collect::<Vec<_>>(),
            "first_id": id(shown.first()).unwrap_or_default(),
            "last_id": id(shown.last()).unwrap_or_default(),
            "has_more": shown.len() < rest.len(),
        }))
    }

    /// Where an entry stands; of one that has gone since its page was read, where it stood. So who deletes what it
    /// lists comes to the end.
    fn place(&self, all: &[(String, Value)], id: &str) -> Option<Range<usize>> {
        if let Some(at) = all.iter().position(|(own, _)| own == id) {
            return Some(at..at + 1);
        }
        let is_behind = |own: &str| match self.order {
            Some(Order::Asc) => is_stamped(own) && own > id,
            // What has no time in its id is older.
            _ => !is_stamped(own) || own < id,
        };
        is_stamped(id).then(|| {
            let at = all.iter().position(|(own, _)| is_behind(own)).unwrap_or(all.len());
            at..at
        })
    }
}

/// Whether an id tells when it was made, as those of [`fresh`](super::fresh) do.
fn is_stamped(id: &str) -> bool {
    let stamp = id.rsplit(['_', '-']).next().unwrap_or_default();
    stamp.len() == 32 && stamp.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_in_both_directions() {
        let all: Vec<(String, Value)> = ["a", "b", "c", "d", "e"].map(|id| (id.to_owned(), json!(id))).into();
        let page = |query: Value| {
            let query: PageIn = serde_json::from_value(query).expect("a query");
            let page = query.of(all.clone(), LIMIT).expect("a page");
            (
                page["data"].as_array().expect("a list").iter().filter_map(Value::as_str).collect::<String>(),
                page["has_more"] == true,
            )
        };
        assert_eq!(page(json!({})), ("edcba".into(), false));
        assert_eq!(page(json!({"limit": 2})), ("ed".into(), true));
        assert_eq!(page(json!({"limit": 2, "after": "d"})), ("cb".into(), true));
        assert_eq!(page(json!({"limit": 2, "after": "b"})), ("a".into(), false));
        assert_eq!(page(json!({"limit": 2, "order": "asc", "after": "b"})), ("cd".into(), true));
        assert_eq!(page(json!({"limit": 2, "order": "asc", "before": "d"})), ("bc".into(), true));
        for (query, field) in [
            (json!({"limit": 0}), "limit"),
            (json!({"limit": 101}), "limit"),
            (json!({"after": "x"}), "after"),
        ] {
            let query: PageIn = serde_json::from_value(query).expect("a query");
            assert_eq!(query.of(all.clone(), LIMIT).expect_err("refused").field(), Some(field));
        }
    }

    #[test]
    fn who_deletes_what_it_lists_comes_to_the_end() {
        for order in ["asc", "desc"] {
            let id = |at: usize| format!("file-{at:032x}");
            let old = std::iter::once("documents".to_owned());
            let mut all: Vec<(String, Value)> =
                old.chain((1..8).map(id)).map(|id| (id.clone(), json!(id))).collect();
            let (mut after, mut seen): (Option<String>, Vec<String>) = (None, Vec::new());
            loop {
                let query = json!({"limit": 3, "order": order, "after": after});
                let query: PageIn = serde_json::from_value(query).expect("a query");
                let page = query.of(all.clone(), LIMIT).expect("a page");
                let ids = page["data"].as_array().expect("a list").iter().filter_map(Value::as_str);
                let ids: Vec<String> = ids.map(str::to_owned).collect();
                // The last of the page is gone, too, unless it has no time in its id.
                all.retain(|(own, _)| !ids.contains(own) || own == "documents");
                after = ids.last().cloned();
                seen.extend(ids);
                if page["has_more"] == false {
                    break;
                }
            }
            seen.sort_unstable();
            assert_eq!(seen.len(), 8, "{order}: {seen:?}");
            seen.dedup();
            assert_eq!(seen.len(), 8, "{order}: {seen:?}");
        }
    }
}
