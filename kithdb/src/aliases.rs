//! Further names of collections.
//!
//! Invariant: an alias names a collection that exists, and is no collection's name. Changes come in one commit, all or
//! none, and readers see all of them or none. Whoever takes a handle by an alias keeps the collection that it named
//! then.

use std::collections::BTreeMap;

use storage::Commit;
use types::{Durability, Error, ErrorKind, Result, Seqno, schema, waypoint};

use crate::database::Database;
use crate::engine::Engine;
use crate::sequencer::{Order, Sequencer};

/// One change of the aliases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasChange {
    /// The alias names the collection from now on, whatever it named before.
    Set {
        /// The alias.
        alias: String,
        /// The collection.
        collection: String,
    },
    /// There is no such alias from now on.
    Remove {
        /// The alias.
        alias: String,
    },
    /// Another alias in the place of one that exists.
    Rename {
        /// The alias.
        from: String,
        /// What it is called from now on.
        to: String,
    },
    /// Changes nothing: unless nothing was committed to the collection after this commit, all of them fail.
    Require {
        /// The collection.
        collection: String,
        /// The last commit to it that is known, as a reading tells it.
        seqno: Seqno,
    },
}

impl Database {
    /// The aliases: of each the name of its collection.
    pub fn aliases(&self) -> BTreeMap<String, String> {
        self.engine.aliases.read().clone()
    }

    /// Changes aliases in order, all or none.
    ///
    /// # Errors
    /// `NotFound` for a collection or an alias that does not exist; `AlreadyExists` for an alias with the name of a
    /// collection; `InvalidArgument` for what is no name; `Conflict` where a collection that was required to be as it
    /// was is not; `Io`, `Poisoned`. All name `actions[i]`.
    pub fn change_aliases(&self, changes: Vec<AliasChange>) -> Result<()> {
        self.workers.order(|reply| Order::ChangeAliases { changes, reply })
    }
}

impl Sequencer {
    pub(crate) fn change_aliases(&mut self, changes: Vec<AliasChange>) -> Result<()> {
        let before = self.engine.aliases.read().clone();
        let mut after = before.clone();
        for (position, change) in changes.into_iter().enumerate() {
            let applied = change.apply(&self.engine, &mut after);
            applied.map_err(|error| error.within(&format!("actions[{position}]")))?;
        }
        if after == before {
            return Ok(());
        }
        let seqno = self.seqno.next();
        let commit = changed(&before, &after, seqno);
        self.engine.store.commit(commit, Durability::Fsync)?;
        waypoint::pass("alias.stored");
        self.seqno = seqno;
        *self.engine.aliases.write() = after;
        Ok(())
    }
}

fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, seqno: Seqno) -> Commit {
    let mut commit = Commit::new(seqno);
    before.keys().filter(|alias| !after.contains_key(*alias)).for_each(|alias| commit.remove_alias(alias));
    let new = after.iter().filter(|(alias, name)| before.get(*alias) != Some(*name));
    new.for_each(|(alias, name)| commit.put_alias(alias, name));
    commit
}

impl AliasChange {
    fn apply(self, engine: &Engine, aliases: &mut BTreeMap<String, String>) -> Result<()> {
        match self {
            Self::Set { alias, collection } => {
                // An alias of an alias would change with it: the collection itself is kept.
                engine.named(&collection).map_err(|error| error.with_field("collection_name"))?;
                check(engine, &alias, "alias_name")?;
                aliases.insert(alias, collection);
            }
            Self::Remove { alias } => drop(aliases.remove(&alias)),
            Self::Rename { from, to } => {
                check(engine, &to, "new_alias_name")?;
                let name = aliases.remove(&from).ok_or_else(|| {
                    let message = format!("Not found: Alias {from} does not exists!");
                    Error::new(ErrorKind::NotFound, message).with_field("old_alias_name")
                })?;
                aliases.insert(to, name);
            }
            // Whoever changes aliases commits, too: nothing comes between.
            Self::Require { collection, seqno } => {
                let named = engine.named(&collection).map_err(|error| error.with_field("collection_name"))?;
                let now = named.view.load().seqno;
                if now > seqno {
                    let message =
                        format!("collection `{collection}` is at commit {now}, not at {seqno} any more");
                    return Err(Error::new(ErrorKind::Conflict, message).with_field("seqno"));
                }
            }
        }
        Ok(())
    }
}

/// Whether a name can be that of an alias.
fn check(engine: &Engine, alias: &str, field: &str) -> Result<()> {
    schema::check_name(alias, &engine.limits).map_err(|error| error.with_field(field))?;
    if engine.named(alias).is_ok() {
        let message = format!("Wrong input: Collection `{alias}` already exists!");
        return Err(Error::new(ErrorKind::AlreadyExists, message).with_field(field));
    }
    Ok(())
}
