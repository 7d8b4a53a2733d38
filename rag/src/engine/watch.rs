//! A connection to the serving engine that can be given up at any moment, and knows when it has been silent too long.
//!
//! Blocking reads notice nothing while they wait. Here every wait is cut into slices, and between two of them the
//! connection looks whether somebody still wants the answer. Closing it is what ends a generation in every engine.
//!
//! Invariant: a wait ends within a slice of being cancelled. Until the first token an engine may be silent for one
//! time, after it for another, shorter one.
//! Cost: a system call a slice while waiting, none while bytes come.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport,
};

/// Whether an answer is still wanted. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// One that nobody has cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nobody wants the answer any more.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether that is so.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What a connection watches for.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) cancel: Cancel,
    /// The longest silence before the first token.
    pub(super) first_max: Duration,
    /// The longest silence after it.
    pub(super) idle_max: Duration,
    /// Set by who reads the answer.
    pub(super) has_begun: Arc<AtomicBool>,
}

/// Between two looks.
const SLICE: Duration = Duration::from_millis(50);

/// What errors of a connection say when it was given up.
const GIVEN_UP: &str = "given up";

/// Whether an error says that the connection was given up.
pub(super) fn is_given_up(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted && error.to_string().contains(GIVEN_UP)
}

/// Makes connections that watch.
#[derive(Debug)]
pub(super) struct Watching {
    tcp: TcpConnector,
    watch: Watch,
}

impl Watching {
    pub(super) fn new(watch: Watch) -> Self {
        Self { tcp: TcpConnector::default(), watch }
    }
}

impl Connector<()> for Watching {
    type Out = Watched<<TcpConnector as Connector<()>>::Out>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let inner = self.tcp.connect(details, chained)?;
        Ok(inner.map(|inner| Watched { inner, watch: self.watch.clone() }))
    }
}

/// A connection that watches.
#[derive(Debug)]
pub(super) struct Watched<T> {
    inner: T,
    watch: Watch,
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let began = Instant::now();
        loop {
            if self.watch.cancel.is_cancelled() {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, GIVEN_UP).into());
            }
            let has_begun = self.watch.has_begun.load(Ordering::Acquire);
            let silence_max = if has_begun { self.watch.idle_max } else { self.watch.first_max };
            let rest = silence_max.min(*timeout.after).saturating_sub(began.elapsed());
            if rest.is_zero() {
                return Err(ureq::Error::Timeout(timeout.reason));
            }
            let slice = NextTimeout { after: rest.min(SLICE).into(), ..timeout };
            match self.inner.await_input(slice) {
                Err(ureq::Error::Timeout(_)) => {}
                outcome => return outcome,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}
