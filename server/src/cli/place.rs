//! Where a command works, a directory or a running server, and how it tells of it.

use clap::Args;
use kithdb::{Database, Error, ErrorKind, Options, Result};

use super::open::DataArgs;
use super::remote::Remote;

/// Where a command works.
#[derive(Args, Clone, Debug)]
pub(super) struct PlaceArgs {
    #[command(flatten)]
    pub(super) data: DataArgs,
    /// A running server, instead of a directory
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// The key of the server
    #[arg(long, value_name = "KEY", env = "KITHDB_API_KEY", hide_env_values = true)]
    pub(super) api_key: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl PlaceArgs {
    /// Opens the database of the directory, or makes it.
    ///
    /// # Errors
    /// As for [`DataArgs::open`].
    pub(super) fn open(&self) -> Result<Database> {
        self.data.open(Options::default()).map_err(or_by_url)
    }

    /// Opens the database of the directory, which must be there already.
    ///
    /// # Errors
    /// As for [`DataArgs::open_existing`].
    pub(super) fn open_existing(&self) -> Result<Database> {
        self.data.open_existing().map_err(or_by_url)
    }

    /// The server, if one is named.
    pub(super) fn server(&self) -> Option<Remote> {
        self.url.as_deref().map(|url| self.server_at(url))
    }

    /// A server at this address, with the key that was given.
    pub(super) fn server_at(&self, url: &str) -> Remote {
        Remote::new(url, self.api_key.as_deref())
    }

    /// The server, if one is named, for what takes as long as it takes.
    pub(super) fn unhurried_server(&self) -> Option<Remote> {
        self.url.as_deref().map(|url| Remote::unhurried(url, self.api_key.as_deref()))
    }
}

/// Says that a server may be named instead of a directory that it has open.
pub(super) fn or_by_url(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Busy => {
            let message = format!("{}, or name the server with --url", error.message());
            Error::new(ErrorKind::Busy, message).with_source(error)
        }
        _ => error,
    }
}
