//! Who may do what: what a route asks of its caller, and the rights that a key or a token gives.
//!
//! Invariant: a right names collections, never more; whoever has none of a collection learns nothing of it, not even
//! from lists. Rights of a collection hold under its aliases too.
//! Cost: nothing is looked up for rights over everything; a lookup of one name for rights of single collections.

mod guard;
mod keys;
mod page;
mod token;

use std::sync::Arc;

use kithdb::{Database, Error, Result};

use crate::error::Refusal;

pub(crate) use guard::{Gate, guard};
pub use keys::Keys;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing, not even a key.
    Nothing,
    /// Some key. What is told depends on its rights, or the handler looks at them itself.
    Key,
    /// To read points of the collection in the path, and what it is.
    Read,
    /// To write points of the collection in the path.
    Write,
    /// To read the whole collection in the path: its snapshots.
    ReadWhole,
    /// To change what belongs to the collection in the path beside its points: vectors, indexes of fields, snapshots.
    WriteWhole,
    /// To read everything.
    ReadAll,
    /// To read what the server counts: as everything, unless it is told to everyone.
    Metrics,
    /// To do everything.
    Manage,
}

/// What a key or a token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// To read everything.
    ReadAll,
    /// Everything.
    Manage,
    /// Something, of these collections.
    Of(Arc<[Grant]>),
}

/// What is allowed of one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) collection: String,
    pub(crate) level: Level,
}

/// How much is allowed of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Read,
    /// To read and write points, and nothing that is of the whole collection.
    Points,
    Write,
}

impl Rights {
    /// Checks what does not depend on a collection.
    ///
    /// # Errors
    /// Forbidden, saying which right is missing.
    pub(crate) fn check(&self, need: Need) -> Result<()> {
        match (self, need) {
            (_, Need::Nothing | Need::Key) | (Self::Manage, _) => Ok(()),
            (Self::ReadAll, Need::Read | Need::ReadWhole | Need::ReadAll | Need::Metrics) => Ok(()),
            (Self::ReadAll, _) => Err(forbidden("Global manage access is required")),
            (Self::Of(_), Need::Manage) => Err(forbidden("Manage access for this operation is required")),
            (Self::Of(_), _) => Err(forbidden("Global access is required")),
        }
    }

    /// Checks what is needed of a collection, by its name or an alias.
    ///
    /// # Errors
    /// Forbidden, naming the collection.
    pub(crate) fn check_of(&self, db: &Database, collection: &str, need: Need) -> Result<()> {
        let grants = match (self, need) {
            (Self::Of(grants), Need::Read | Need::Write | Need::ReadWhole | Need::WriteWhole) => grants,
            _ => return self.check(need),
        };
        let lacking = |what: &str| Err(forbidden(&format!("{what} to collection {collection} is required")));
        match level(grants, db, collection) {
            None => lacking("Access"),
            Some(level) if level.meets(need) => Ok(()),
            Some(Level::Points) => lacking("Whole access"),
            Some(_) => lacking("Write access"),
        }
    }

    /// Whether anything may be written.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Self::Manage => true,
            Self::ReadAll => false,
            Self::Of(grants) => grants.iter().any(|grant| grant.level != Level::Read),
        }
    }

    /// Whether a collection, by its own name, is told of.
    pub(crate) fn sees(&self, collection: &str) -> bool {
        match self {
            Self::ReadAll | Self::Manage => true,
            Self::Of(grants) => grants.iter().any(|grant| grant.collection == collection),
        }
    }
}

/// What is granted of a collection: by the name that was asked for, or by its own.
fn level(grants: &[Grant], db: &Database, asked: &str) -> Option<Level> {
    let of = |name: &str| grants.iter().find(|grant| grant.collection == name).map(|grant| grant.level);
    of(asked).or_else(|| db.collection(asked).ok().and_then(|collection| of(collection.name())))
}

impl Level {
    fn meets(self, need: Need) -> bool {
        match need {
            Need::Read => true,
            Need::Write => self != Self::Read,
            Need::ReadWhole => self != Self::Points,
            _ => self == Self::Write,
        }
    }
}

pub(crate) fn forbidden(why: &str) -> Error {
    Refusal::Forbidden.of("api-key", why)
}

#[cfg(test)]
mod tests {
    use kithdb::{AliasChange, Schema};

    use super::*;

    const ALL: [Need; 9] = [
        Need::Nothing,
        Need::Key,
        Need::Read,
        Need::Write,
        Need::ReadWhole,
        Need::WriteWhole,
        Need::ReadAll,
        Need::Metrics,
        Need::Manage,
    ];

    /// Which needs are met, by their order above.
    fn met(rights: &Rights, db: &Database, collection: &str) -> String {
        let mark = |need| if rights.check_of(db, collection, need).is_ok() { 'x' } else { '-' };
        ALL.map(mark).iter().collect()
    }

    #[test]
    fn each_right_meets_its_needs_and_no_others() {
        let db = Database::in_memory().expect("a database");
        for name in ["a", "b"] {
            db.create_collection(name, Schema::new()).expect("a collection");
        }
        let alias = AliasChange::Set { alias: "other".into(), collection: "a".into() };
        db.change_aliases(vec![alias]).expect("an alias");
        let of = |level| Rights::Of(vec![Grant { collection: "a".into(), level }].into());
        let cases = [
            (Rights::Manage, "xxxxxxxxx", "xxxxxxxxx"),
            (Rights::ReadAll, "xxx-x-xx-", "xxx-x-xx-"),
            (of(Level::Read), "xxx-x----", "xx-------"),
            (of(Level::Points), "xxxx-----", "xx-------"),
            (of(Level::Write), "xxxxxx---", "xx-------"),
        ];
        for (rights, own, foreign) in cases {
            assert_eq!(met(&rights, &db, "a"), own, "{rights:?}");
            assert_eq!(met(&rights, &db, "other"), own, "{rights:?} by an alias");
            assert_eq!(met(&rights, &db, "b"), foreign, "{rights:?}");
            assert_eq!(met(&rights, &db, "none"), foreign, "{rights:?}");
        }
        let error = of(Level::Read).check_of(&db, "a", Need::Write).expect_err("refused");
        assert_eq!(error.message(), "Forbidden: Write access to collection a is required");
        assert!(of(Level::Read).sees("a") && !of(Level::Read).sees("b"));
        let writing = [Rights::Manage, Rights::ReadAll, of(Level::Read), of(Level::Points)];
        assert_eq!(writing.map(|rights| rights.writes()), [true, false, false, true]);
    }
}
