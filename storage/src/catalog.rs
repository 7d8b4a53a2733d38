//! The catalog as it stands in storage: which collections there are, and the last seqno.

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
        Ok(Self { collections, next: CollectionId(next), seqno })
    }
}
