//! The directory and the model that a command works with.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};
use kithdb::{Database, Error, ErrorKind, Options, Result};
use rag::{Embedder, model};
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::provider::ProviderArgs;
use super::terminal::say;

/// Where the database lies.
#[derive(Args, Clone, Debug)]
pub(super) struct DataArgs {
    /// The directory of the database
    #[arg(long, value_name = "DIR", env = "KITHDB_DATA", default_value = "./data")]
    pub(super) data: PathBuf,
}

/// Which model embeds text.
#[derive(Args, Clone, Debug)]
pub(super) struct ModelArgs {
    /// The directory of a sentence-transformers model; without it, the default place
    #[arg(long, value_name = "DIR", env = "KITHDB_MODEL")]
    model: Option<PathBuf>,
    /// Do without a model, also if one is named: keyword search only
    #[arg(long, value_name = "BOOL", env = "KITHDB_NO_MODEL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    no_model: bool,
    #[command(flatten)]
    provider: ProviderArgs,
}

impl DataArgs {
    /// Opens the database, or makes it.
    ///
    /// # Errors
    /// `Busy` with what to do about it; what the database returns.
    pub(super) fn open(&self, options: Options) -> Result<Database> {
        let opened = Database::open_with(&self.data, options);
        opened.map_err(|error| match error.kind() {
            ErrorKind::Busy => {
                let (place, by) = (self.data.display(), holder(&self.data));
                let message = format!("`{place}` is open in {by}, probably a server; stop it first");
                Error::new(ErrorKind::Busy, message).with_source(error)
            }
            _ => error,
        })
    }

    /// Opens a database that must be there already.
    ///
    /// # Errors
    /// `NotFound` with what to do about it; as for [`DataArgs::open`].
    pub(super) fn open_existing(&self) -> Result<Database> {
        if !is_database(&self.data) {
            let place = self.data.display();
            let message = format!(
                "there is no database in `{place}`; `kithdb ingest`, `import` and `serve` make one, --data names another"
            );
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        self.open(Options::default())
    }
}

/// Which process has a database open, where the system tells. Not where this process may have it: closing the file
/// would give its own lock back.
fn holder(data: &Path) -> String {
    let lock = File::open(data.join("storage").join("LOCK")).ok();
    let held = lock.and_then(|lock| fcntl_getlk(&lock, &Flock::from(FlockType::WriteLock)).ok().flatten());
    let Some(pid) = held.and_then(|held| held.pid) else { return "another process".to_owned() };
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    match name.trim() {
        "" => format!("process {pid}"),
        name => format!("process {pid} ({name})"),
    }
}

fn is_database(path: &Path) -> bool {
    path.join("storage").is_dir()
}

impl ModelArgs {
    /// Opens the model, if there is one and it is wanted: that of an embedding server before one of this machine.
    ///
    /// # Errors
    /// `InvalidArgument` on `model`, when the one that was named cannot be used.
    pub(super) fn open(&self) -> Result<Option<Embedder>> {
        if self.no_model {
            return Ok(None);
        }
        if let Some(embedder) = self.provider.open()? {
            return Ok(Some(embedder));
        }
        let named = self.model.as_deref().filter(|path| !path.as_os_str().is_empty());
        model::find(named)?.map(|path| Embedder::open(&path)).transpose()
    }
}

/// Says that there is no model, and what follows from it.
pub(super) fn say_no_model() {
    let place =
        model::default_dir().map_or_else(String::new, |path| format!(" or put one at {}", path.display()));
    say(&format!("note: no embedding model, so keyword search only; name one with --model{place}"));
}
