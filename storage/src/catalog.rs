//! The catalog as it stands in storage: which collections there are, and the last seqno.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use types::{CollectionId, Result, Seqno};

use crate::CatalogEntry;
use crate::format::{self, keys};
use crate::rows::{Rows, Table};

/// What a database holds, read once at open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// The collections, by number.
    pub collections: Vec<CatalogEntry>,
    /// Further names: of each the name of its collection, which exists.
    pub aliases: BTreeMap<String, String>,
    /// The number of the next collection.
    pub next: CollectionId,
    /// The last commit.
    pub seqno: Seqno,
}

impl Catalog {
    pub(crate) fn read(rows: &dyn Rows) -> Result<Self> {
        let number = |key: &[u8]| -> Result<u64> {
            match rows.get(Table::Meta, key)? {
                Some(value) => {
                    Ok(format::manifest::decode_seqno(format::unseal(Table::Meta, key, &value)?)?.0)
                }
                None => Ok(0),
            }
        };
        let next = u32::try_from(number(keys::NEXT_COLLECTION)?)
            .map_err(|_| format::damage(Table::Meta, keys::NEXT_COLLECTION, "its number is too large"))?;
        let seqno = Seqno(number(keys::SEQNO)?);
        let mut collections = Vec::new();
        let (from, to) = (keys::catalog(CollectionId(0)), [keys::CATALOG, &[0xff; 5]].concat());
        rows.scan(Table::Meta, &from, &to, &mut |key, value| {
            let body = format::unseal(Table::Meta, key, value)?;
            let id = key.get(1..).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes);
            let id = id.ok_or_else(|| format::damage(Table::Meta, key, "its key has no such shape"))?;
            collections.push(format::catalog::decode(CollectionId(id), body)?);
            Ok(ControlFlow::Continue(()))
        })?;
        let aliases = read_aliases(rows, &collections)?;
        Ok(Self { collections, aliases, next: CollectionId(next), seqno })
    }
}

fn read_aliases(rows: &dyn Rows, collections: &[CatalogEntry]) -> Result<BTreeMap<String, String>> {
    let mut aliases = BTreeMap::new();
    // Keys of UTF-8 have no byte 0xff.
    let to = [keys::ALIAS, &[0xff]].concat();
    rows.scan(Table::Meta, keys::ALIAS, &to, &mut |key, value| {
        let body = format::unseal(Table::Meta, key, value)?;
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| format::damage(Table::Meta, key, "it is not UTF-8"))
        };
        let (alias, name) = (text(key.get(keys::ALIAS.len()..).unwrap_or_default())?, text(body)?);
        // Code from before aliases drops a collection without them.
        if collections.iter().any(|entry| entry.name == name) {
            aliases.insert(alias, name);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(aliases)
}
