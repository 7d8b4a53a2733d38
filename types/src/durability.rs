//! What an acknowledgement promises.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// How safe a write is when it is acknowledged. At every level commits survive as a prefix: a crash may take
/// the last ones, never one from the middle, never half of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// In memory only; reaches the operating system with the next stronger commit or `flush`. For bulk loads.
    None,
    /// Handed to the operating system: survives a crash of the process, not a loss of power.
    Wal,
    /// On the disk: survives a loss of power.
    #[default]
    Fsync,
}

impl Durability {
    /// All of them, weakest first.
    pub const ALL: [Self; 3] = [Self::None, Self::Wal, Self::Fsync];

    /// The name on the wire and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Wal => "wal",
            Self::Fsync => "fsync",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Durability {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| Error::invalid("durability", format!("`{name}` is none of fsync, wal, none")))
    }
}
