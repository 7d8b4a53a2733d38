//! `POST collections/aliases`, and aliases as they are told.

use std::collections::BTreeMap;

use kithdb::AliasChange;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shape::Ignored;

/// Several changes, all or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeAliases {
    actions: Vec<Action>,
    #[serde(rename = "timeout")]
    #[schema(value_type = Option<Value>)]
    _timeout: Ignored,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AliasAction)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::enum_variant_names, reason = "the names are those of the dialect")]
enum Action {
    CreateAlias(CreateAlias),
    DeleteAlias(DeleteAlias),
    RenameAlias(RenameAlias),
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateAlias {
    collection_name: String,
    alias_name: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeleteAlias {
    alias_name: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RenameAlias {
    old_alias_name: String,
    new_alias_name: String,
}

/// `GET aliases`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Aliases {
    aliases: Vec<Alias>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Alias {
    alias_name: String,
    collection_name: String,
}

impl ChangeAliases {
    /// The changes for the database.
    pub(crate) fn into_changes(self) -> Vec<AliasChange> {
        let change = |action| match action {
            Action::CreateAlias(CreateAlias { collection_name, alias_name }) => {
                AliasChange::Set { alias: alias_name, collection: collection_name }
            }
            Action::DeleteAlias(DeleteAlias { alias_name }) => AliasChange::Remove { alias: alias_name },
            Action::RenameAlias(RenameAlias { old_alias_name, new_alias_name }) => {
                AliasChange::Rename { from: old_alias_name, to: new_alias_name }
            }
        };
        self.actions.into_iter().map(change).collect()
    }
}

impl Aliases {
    /// Those of the collections that are told of.
    pub(crate) fn of(aliases: BTreeMap<String, String>, is_told: impl Fn(&str) -> bool) -> Self {
        let aliases = aliases.into_iter().filter(|(_, of)| is_told(of));
        let alias = |(alias_name, collection_name)| Alias { alias_name, collection_name };
        Self { aliases: aliases.map(alias).collect() }
    }
}
