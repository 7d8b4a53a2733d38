//! Point ids: an unsigned integer, or a UUID as a string.

use std::collections::HashSet;
use std::fmt;

use kithdb::PointId;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use utoipa::openapi::{ObjectBuilder, RefOr, SchemaFormat, Type};
use uuid::Uuid;

use super::schema::{Shown, any_of, declare, whole};

/// A point id in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) PointId);

declare!(Id as "PointId": any_of([whole(0), uuid()]));

/// The text of a UUID.
fn uuid() -> Shown {
    let format = SchemaFormat::Custom("uuid".to_owned());
    RefOr::T(ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into())
}

impl Id {
    /// The ids of the engine.
    pub(crate) fn unwrap_all(ids: Vec<Self>) -> Vec<PointId> {
        ids.into_iter().map(|Self(id)| id).collect()
    }

    /// The ids of the engine, each once, where it stands first. As in the dialect: a point is read once, however often
    /// it is asked for.
    pub(crate) fn distinct(ids: Vec<Self>) -> Vec<PointId> {
        let mut seen = HashSet::with_capacity(ids.len());
        ids.into_iter().map(|Self(id)| id).filter(|id| seen.insert(*id)).collect()
    }

    /// The id that a JSON string is: a UUID, in any of its spellings, some of which look like a number. An integer is
    /// written as an integer.
    pub(crate) fn of_text<E: Error>(text: &str) -> Result<Self, E> {
        Uuid::parse_str(text).map(|uuid| Self(PointId::Uuid(uuid))).map_err(|_| {
            E::custom(format!(
                "value {text} is not a valid point ID, valid values are either an unsigned integer or a UUID"
            ))
        })
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            PointId::Num(num) => serializer.serialize_u64(num),
            PointId::Uuid(_) => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a point ID: an unsigned integer or a UUID")
    }

    fn visit_u64<E: Error>(self, num: u64) -> Result<Id, E> {
        Ok(Id(PointId::Num(num)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
        Id::of_text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_asked_for_again_is_read_once() {
        let ids: Vec<Id> = serde_json::from_str("[7, 3, 7, 7, 3, 1]").expect("ids");
        assert_eq!(Id::distinct(ids), [7, 3, 1].map(PointId::Num));
    }

    #[test]
    fn ids_come_back_as_they_were_given() {
        for json in ["7", "18446744073709551615", "\"936da01f-9abd-4d9d-80c7-02af85c822a8\""] {
            let id: Id = serde_json::from_str(json).expect(json);
            assert_eq!(serde_json::to_string(&id).expect("an id"), json);
        }
        let spellings = [
            "936DA01F-9ABD-4D9D-80C7-02AF85C822A8",
            "936da01f9abd4d9d80c702af85c822a8",
            "{936da01f-9abd-4d9d-80c7-02af85c822a8}",
            "urn:uuid:936da01f-9abd-4d9d-80c7-02af85c822a8",
        ];
        for spelling in spellings {
            let id: Id = serde_json::from_str(&format!("\"{spelling}\"")).expect(spelling);
            let told = serde_json::to_string(&id).expect("an id");
            assert_eq!(told, "\"936da01f-9abd-4d9d-80c7-02af85c822a8\"");
        }
        let digits: Id = serde_json::from_str("\"00000000000000000000000000000007\"").expect("a UUID");
        assert_eq!(digits, Id(PointId::Uuid(Uuid::from_u128(7))));
        for json in ["-1", "1.5", "\"7\"", "\"seven\"", "true", "18446744073709551616"] {
            serde_json::from_str::<Id>(json).expect_err(json);
        }
    }
}
