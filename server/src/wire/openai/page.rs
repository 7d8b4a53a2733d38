//! Lists, page by page: `after` and `before` name an id, `order` is by time.

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
            let found = all.iter().position(|(own, _)| own == id);
            found.ok_or_else(|| Error::invalid(field, format!("there is no `{id}` in the list")))
        };
        let from = self.after.as_deref().map(|id| place("after", id)).transpose()?.map_or(0, |at| at + 1);
        let to = self.before.as_deref().map(|id| place("before", id)).transpose()?.unwrap_or(all.len());
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
}
