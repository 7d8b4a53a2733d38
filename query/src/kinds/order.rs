//! Ordering by the values of a field.
//!
//! Numbers count, and so do times as microseconds since 1970. A point with several values comes once for each, one
//! without never. Equal values are ordered by id.
//! Cost: what is added is sorted. Where an index of numbers or times knows the order, only the first are added; else
//! the payload of every point that may match is read.

use index::Fields;
use index::fields::{Key, Sequence};
use types::{FieldPath, Payload, PointId, Slot, Value, datetime};

use crate::Ranked;
use crate::request::{Order, OrderValue};

/// A value of a point.
pub(crate) type Entry = (OrderValue, PointId, Slot);

/// Values of points, in order.
pub(crate) struct Ordered<'a> {
    order: &'a Order,
    entries: Vec<Entry>,
}

impl Order {
    /// The values as the index of the field has them, from the one on at which to begin; nothing if there is no index
    /// of numbers or times.
    pub(crate) fn sequence<'a>(&self, fields: &'a Fields) -> Option<Sequence<'a>> {
        fields.sequence(&self.path, self.is_descending, &|key| !self.is_within(key.into()))
    }

    /// Whether a value does not come before the one at which to begin.
    fn is_within(&self, value: OrderValue) -> bool {
        let side = self.from.map(|from| value.compare(from));
        side.is_none_or(|side| if self.is_descending { side.is_le() } else { side.is_ge() })
    }
}

impl<'a> Ordered<'a> {
    pub(crate) fn new(order: &'a Order) -> Self {
        Self { order, entries: Vec::new() }
    }

    /// Adds the values of a point.
    pub(crate) fn add(&mut self, id: PointId, slot: Slot, payload: &Payload) {
        let values = values(&self.order.path, payload).into_iter();
        let within = values.filter(|value| self.order.is_within(*value));
        self.entries.extend(within.map(|value| (value, id, slot)));
    }

    /// Adds values that an index told.
    pub(crate) fn extend(&mut self, entries: Vec<Entry>) {
        self.entries.extend(entries);
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
    // Of equal ones the first stays.
    found.sort_by(|a, b| a.compare(*b));
    found.dedup_by(|a, b| a.compare(*b).is_eq());
    found
}

/// A value as the payload has it: an index of floats has integers as floats.
pub(crate) fn as_written(path: &FieldPath, payload: &Payload, told: OrderValue) -> OrderValue {
    let mut values = values(path, payload).into_iter();
    values.find(|value| value.compare(told).is_eq()).unwrap_or(told)
}

impl From<Key> for OrderValue {
    fn from(key: Key) -> Self {
        match key {
            Key::Integer(number) => Self::Integer(number),
            Key::Float(number) => Self::Float(number),
        }
    }
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

    #[test]
    fn a_value_is_told_as_it_was_written() {
        let payload = json!({"n": [2.5, 3, 3.0, "2024-06-01"]}).as_object().expect("an object").clone();
        let told = |value| as_written(&"n".parse().expect("a path"), &payload, value);
        assert_eq!(told(OrderValue::Float(3.0)), OrderValue::Integer(3));
        assert_eq!(told(OrderValue::Float(2.5)), OrderValue::Float(2.5));
        assert_eq!(told(OrderValue::Float(7.0)), OrderValue::Float(7.0));
    }
}
