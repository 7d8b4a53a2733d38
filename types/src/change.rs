//! Changes of a part of a point, and which points an operation changes.
//!
//! [`Change::apply`] *is* the meaning of a change: whoever stores a changed point stores what it gives. The meaning is
//! Qdrant's, down to what becomes of values of another kind on the way of a path.
//! Cost: a changed point is written whole, as a new version. To replace everything, upsert it.

use crate::{FieldPath, Filter, Payload, Point, PointId, payload};

/// Which points an operation changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// These, each of which must exist.
    Ids(Vec<PointId>),
    /// Every point that the filter matches when the operation is applied.
    Where(Filter),
}

/// A change of a part of a point.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Merges keys into the payload: a value replaces the one that is there, a null removes it.
    SetPayload {
        /// The keys and their values.
        payload: Payload,
        /// Merges into every object at this path instead of into the whole payload. What the path needs and does not
        /// find is made, but no elements of arrays.
        path: Option<FieldPath>,
    },
    /// Replaces the whole payload.
    OverwritePayload(Payload),
    /// Removes what these paths reach.
    DeletePayload(Vec<FieldPath>),
    /// Removes the whole payload.
    ClearPayload,
    /// Removes the vectors of these names.
    DeleteVectors(Vec<String>),
}

/// Whether points are inserted, replaced, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpsertMode {
    /// Both.
    #[default]
    Upsert,
    /// Points that exist stay as they are.
    InsertOnly,
    /// Points that do not exist are not made.
    UpdateOnly,
}

impl Change {
    /// Changes the point.
    pub fn apply(&self, point: &mut Point) {
        match self {
            Self::SetPayload { payload, path: None } => merge(&mut point.payload, payload),
            Self::SetPayload { payload, path: Some(path) } => {
                path.make_objects(&mut point.payload, &mut |object| merge(object, payload));
            }
            Self::OverwritePayload(payload) => point.payload = payload.clone(),
            Self::DeletePayload(paths) => paths.iter().for_each(|path| path.remove(&mut point.payload)),
            Self::ClearPayload => point.payload.clear(),
            Self::DeleteVectors(names) => point.vectors.retain(|(name, _)| !names.contains(name)),
        }
    }

    /// Bytes that it puts into each object that it changes, as JSON text; a null that removes a key puts nothing.
    pub fn bytes_put(&self) -> usize {
        match self {
            Self::SetPayload { payload, .. } => {
                let kept = payload.iter().filter(|(_, value)| !value.is_null());
                let kept: Payload = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
                payload::bytes(&kept)
            }
            Self::OverwritePayload(payload) => payload::bytes(payload),
            _ => 0,
        }
    }

    /// How many objects of a payload it changes: one, unless it has a path.
    pub fn objects(&self, payload: &Payload) -> usize {
        match self {
            Self::SetPayload { path: Some(path), .. } => path.objects_made(payload),
            _ => 1,
        }
    }

    /// Whether the payload can grow by it.
    pub fn can_grow_payload(&self) -> bool {
        matches!(self, Self::SetPayload { .. } | Self::OverwritePayload(_))
    }
}

fn merge(object: &mut Payload, keys: &Payload) {
    for (key, value) in keys {
        if value.is_null() {
            object.shift_remove(key);
        } else {
            object.insert(key.clone(), value.clone());
        }
    }
}

impl<I: Into<PointId>> FromIterator<I> for Selection {
    fn from_iter<T: IntoIterator<Item = I>>(ids: T) -> Self {
        Self::Ids(ids.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use serde_json::json;

    fn object(value: &Value) -> Payload {
        value.as_object().expect("an object").clone()
    }

    fn changed(before: &Value, change: &Change) -> Value {
        let mut point = Point::new(1).payload(object(before));
        change.apply(&mut point);
        point.payload.into()
    }

    /// As Qdrant's engine does it (qdrant-edge 0.9.0): each row was asked there.
    #[test]
    fn payload_is_merged_below_a_path_as_in_the_dialect() {
        let cases = [
            ("", json!({"a": 1, "q": 2, "b": {"c": 1}}), json!({"a": 1, "b": {"c": 1}, "n": 1})),
            ("b", json!({"b": {"c": 1, "q": 1}}), json!({"b": {"c": 1, "n": 1}})),
            ("b", json!({"a": 1}), json!({"a": 1, "b": {"n": 1}})),
            ("b", json!({"b": 5}), json!({"b": {"n": 1}})),
            ("b", json!({"b": null}), json!({"b": {"n": 1}})),
            ("b", json!({"b": [1, {"x": 1}]}), json!({"b": {"n": 1}})),
            ("b.c", json!({"b": {"c": 4, "k": 1}}), json!({"b": {"c": {"n": 1}, "k": 1}})),
            ("b.c", json!({"b": [{"c": {}}]}), json!({"b": {"c": {"n": 1}}})),
            ("b.c", json!({}), json!({"b": {"c": {"n": 1}}})),
            ("b[]", json!({"b": [{"q": 1}, 2, [1]]}), json!({"b": [{"n": 1}, {"n": 1}, {"n": 1}]})),
            ("b[]", json!({"b": 5}), json!({"b": []})),
            ("b[]", json!({"b": {"q": 1}}), json!({"b": []})),
            ("b[]", json!({}), json!({"b": []})),
            ("b[0]", json!({"b": [{"q": 1}, {"r": 1}]}), json!({"b": [{"n": 1}, {"r": 1}]})),
            ("b[5]", json!({"b": [{"q": 1}]}), json!({"b": [{"q": 1}]})),
            ("b[1]", json!({"b": 7}), json!({"b": []})),
            ("b[].c", json!({"b": [{"q": 1}, 2]}), json!({"b": [{"q": 1, "c": {"n": 1}}, {"c": {"n": 1}}]})),
            ("b[0].c", json!({}), json!({"b": []})),
            ("b.c[]", json!({"b": {}}), json!({"b": {"c": []}})),
            ("b[0][1]", json!({"b": [[1, {"q": 1}]]}), json!({"b": [[1, {"n": 1}]]})),
            ("\"x.y\".z", json!({"x.y": 1}), json!({"x.y": {"z": {"n": 1}}})),
        ];
        for (path, before, after) in cases {
            let payload = object(&json!({"n": 1, "q": null}));
            let path = (!path.is_empty()).then(|| path.parse().expect("a path"));
            let change = Change::SetPayload { payload, path };
            assert_eq!(changed(&before, &change), after, "{change:?} of {before}");
            let put = after.to_string().matches(r#""n":1"#).count()
                - before.to_string().matches(r#""n":1"#).count();
            assert_eq!(change.objects(&object(&before)), put, "{change:?} of {before}");
        }
    }

    #[test]
    fn what_a_change_puts_is_known_before_it_is_made() {
        let payload = object(&json!({"a": "xy", "b": null}));
        let set = |path: Option<&str>| Change::SetPayload {
            payload: payload.clone(),
            path: path.map(|path| path.parse().expect("a path")),
        };
        assert_eq!(set(None).bytes_put(), r#"{"a":"xy"}"#.len());
        assert_eq!(Change::OverwritePayload(payload.clone()).bytes_put(), r#"{"a":"xy","b":null}"#.len());
        assert_eq!(Change::ClearPayload.bytes_put(), 0);
        let many = object(&json!({"list": [[1, 2, 3], 4, {}]}));
        let objects = |path: &str| set(Some(path)).objects(&many);
        assert_eq!(
            ["list[]", "list[].x", "list[][]", "list[7]", "list[0][1]", "new.b", "list[].x[]"].map(objects),
            [3, 3, 3, 0, 1, 1, 0]
        );
        assert_eq!(set(None).objects(&many), 1);
    }

    #[test]
    fn payload_is_replaced_and_removed_in_parts() {
        let paths = |paths: &[&str]| {
            Change::DeletePayload(paths.iter().map(|path| path.parse().expect("a path")).collect())
        };
        let cases = [
            (Change::OverwritePayload(object(&json!({"n": null}))), json!({"a": 1}), json!({"n": null})),
            (Change::ClearPayload, json!({"a": 1}), json!({})),
            (paths(&["a", "zz"]), json!({"a": 1, "b": 2}), json!({"b": 2})),
            (paths(&["a.b"]), json!({"a": [{"b": 1}]}), json!({"a": [{"b": 1}]})),
            (paths(&["a[].b"]), json!({"a": [{"b": 1, "c": 1}, 3]}), json!({"a": [{"c": 1}, 3]})),
            (paths(&["a[]"]), json!({"a": [1, 2]}), json!({"a": []})),
            (paths(&["a[0]"]), json!({"a": [1, 2]}), json!({"a": [2]})),
            (paths(&[]), json!({"a": 1}), json!({"a": 1})),
        ];
        for (change, before, after) in cases {
            assert_eq!(changed(&before, &change), after, "{change:?} of {before}");
        }
    }

    #[test]
    fn vectors_are_set_and_removed_by_name() {
        let mut point = Point::new(1).vector([1.0]).named_vector("a", [2.0]);
        point.set_vectors(vec![("a".to_owned(), [3.0].into()), ("b".to_owned(), [4.0].into())]);
        let expected = Point::new(1).vector([1.0]).named_vector("a", [3.0]).named_vector("b", [4.0]);
        assert_eq!(point, expected);
        Change::DeleteVectors(vec!["b".into(), String::new(), "gone".into()]).apply(&mut point);
        assert_eq!(point, Point::new(1).named_vector("a", [3.0]));
    }
}
