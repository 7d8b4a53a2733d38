//! Ctrl-C, for a command that has something to put away before it ends.
//!
//! Invariant: the first is told to the command, which ends at its next step; a second ends the process.
//! Cost: a thread.
//! When not to use: where nothing is half done on the disk; without it Ctrl-C ends the process, with the same code.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kithdb::{Error, ErrorKind, Result};
use tokio::runtime::Builder;
use tokio::signal::ctrl_c;

/// What shells tell of a command that Ctrl-C ended.
const CODE: u8 = 130;

/// Whether somebody wants the command to end.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to listen.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn listen() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let is_wanted = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_wanted);
        thread::spawn(move || {
            runtime.block_on(async move {
                if ctrl_c().await.is_err() {
                    return;
                }
                told.store(true, Ordering::Relaxed);
                // Who asks again does not want to wait.
                if ctrl_c().await.is_ok() {
                    std::process::exit(i32::from(CODE));
                }
            });
        });
        Ok(Self(is_wanted))
    }

    /// From now on Ctrl-C ends the process: what there was to put away is being put away.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn end_at_once() -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            if runtime.block_on(ctrl_c()).is_ok() {
                std::process::exit(i32::from(CODE));
            }
        });
        Ok(())
    }

    /// Whether the command is to end.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Ends what is under way, if that is wanted.
    ///
    /// # Errors
    /// `Io` when it is.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_wanted() { Err(Error::new(ErrorKind::Io, "interrupted")) } else { Ok(()) }
    }

    /// What the command ends with.
    pub(super) fn code() -> ExitCode {
        ExitCode::from(CODE)
    }
}
