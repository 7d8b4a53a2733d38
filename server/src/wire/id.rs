//! Point ids: an unsigned integer, a UUID as a string, or any text as the name in an object.
//!
//! A name stands for the UUID that is made of it, in bodies that come in; what goes out has the UUID, since clients
//! know no other ids. The same name has the same UUID through every door.

use std::collections::HashSet;
use std::fmt;

use kithdb::PointId;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use utoipa::openapi::{ObjectBuilder, RefOr, SchemaFormat, Type};
use uuid::Uuid;

use super::schema::{Shown, any_of, declare, object, text, whole};

/// A point id in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) PointId);

declare!(Id as "PointId": any_of([whole(0), uuid(), object([("name", text())]).shown()]));

/// A text that a point is called by.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Called {
    name: String,
}

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

    /// The id of the point that is called by a text.
    pub(crate) fn of_name<E: Error>(name: &str) -> Result<Self, E> {
        match name {
            "" => Err(E::custom("a name is empty; a point is called by a text that has something in it")),
            name => Ok(Self(PointId::from_name(name))),
        }
    }

    /// The id that a JSON string is: a UUID, in any of its spellings, some of which look like a number. An integer is
    /// written as an integer.
    pub(crate) fn of_text<E: Error>(text: &str) -> Result<Self, E> {
        Uuid::parse_str(text).map(|uuid| Self(PointId::Uuid(uuid))).map_err(|_| {
            E::custom(format!(
                "value {text} is not a valid point ID, valid values are either an unsigned integer or a UUID; any \
                 other text is the `name` in an object"
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

impl<'de> Visitor<'de> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a point ID: an unsigned integer, a UUID, or an object with a `name`")
    }

    fn visit_u64<E: Error>(self, num: u64) -> Result<Id, E> {
        Ok(Id(PointId::Num(num)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
        Id::of_text(text)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Id, A::Error> {
        let Called { name } = Called::deserialize(MapAccessDeserializer::new(map))?;
        Id::of_name(&name)
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
    fn any_text_is_a_name_and_goes_out_as_a_uuid() {
        let named = |json: &str| serde_json::from_str::<Id>(json);
        let id = named(r#"{"name": "chapter-1"}"#).expect("a name");
        assert_eq!(id, Id(PointId::from_name("chapter-1")));
        assert_eq!(named(&serde_json::to_string(&id).expect("an id")).expect("its UUID"), id);
        for json in [r#"{"name": ""}"#, r#"{"name": 1}"#, r#"{"name": "a", "id": 1}"#, "{}"] {
            named(json).expect_err(json);
        }
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
