//! Ordering by the values of a field.
//!
//! Numbers count, and so do times as microseconds since 1970. A point with several values comes once for each, one
//! without never. Equal values are ordered by id.
//! Cost: the payload of every point that may match is read.

use types::{FieldPath, Payload, PointId, Slot, Value, datetime};

use crate::Ranked;
use crate::request::{Order, OrderValue};

/// Values of points, in order.
pub(crate) struct Ordered<'a> {
    order: &'a Order,
    entries: Vec<(OrderValue, PointId, Slot)>,
}

impl<'a> Ordered<'a> {
    pub(crate) fn new(order: &'a Order) -> Self {
        Self { order, entries: Vec::new() }
    }

    /// Adds the values of a point.
    pub(crate) fn add(&mut self, id: PointId, slot: Slot, payload: &Payload) {
        let values = values(&self.order.path, payload);
        let from = |value: &OrderValue| {
            let side = self.order.from.map(|from| value.compare(from));
            side.is_none_or(|side| if self.order.is_descending { side.is_le() } else { side.is_ge() })
        };
        self.entries.extend(values.into_iter().filter(from).map(|value| (value, id, slot)));
    }

    /// The first entries in order.
    pub(crate) fn into_ranked(mut self, count: usize) -> Vec<Ranked> {
        let is_descending = self.order.is_descending;
        self.entries.sort_unstable_by(|(a, a_id, _), (b, b_id, _)| {
            let order = a.compare(*b);
            let order = if is_descending { order.reverse() } else { order };
            order.then(a_id.cmp(b_id))
        });
        self.entries.truncate(count);
        let ranked =
            |(value, _, slot): (OrderValue, PointId, Slot)| Ranked { slot, score: 1.0, order: Some(value) };
        self.entries.into_iter().map(ranked).collect()
    }
}

fn values(path: &FieldPath, payload: &Payload) -> Vec<OrderValue> {
    let flat = path.values(payload).into_iter().flat_map(|value| match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    });
    let mut found: Vec<OrderValue> = flat.filter_map(OrderValue::of).collect();
    found.sort_unstable_by(|a, b| a.compare(*b));
    found.dedup_by(|a, b| a.compare(*b).is_eq());
    found
}

impl OrderValue {
    /// The value of JSON that can be ordered by, if it is one.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => {
                let integer = number.as_i64().map(Self::Integer);
                integer.or_else(|| number.as_f64().map(Self::Float))
            }
            Value::String(text) => datetime::micros(text).map(Self::Integer),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_ordered_and_points_come_once_for_each() {
        let payloads = [
            (1, json!({"n": 5})),
            (2, json!({"n": [3, 9, 3.0]})),
            (3, json!({"n": null})),
            (4, json!({"n": 7.5})),
            (5, json!({"n": "7"})),
            (6, json!({"n": 5})),
        ];
        let ask = |is_descending, from: Option<i64>, count| {
            let from = from.map(OrderValue::Integer);
            let order = Order { path: "n".parse().expect("a path"), is_descending, from };
            let mut ordered = Ordered::new(&order);
            for (id, payload) in &payloads {
                ordered.add(PointId::Num(*id), Slot(*id as u32), payload.as_object().expect("an object"));
            }
            let slots = ordered.into_ranked(count).into_iter().map(|ranked| ranked.slot.0);
            slots.collect::<Vec<u32>>()
        };
        assert_eq!(ask(false, None, 9), [2, 1, 6, 4, 2]);
        assert_eq!(ask(true, None, 3), [2, 4, 1]);
        assert_eq!(ask(false, Some(6), 9), [4, 2]);
        assert_eq!(ask(true, Some(5), 9), [1, 6, 2]);
    }
}
