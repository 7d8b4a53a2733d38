//! Views that somebody may still read.
//!
//! Invariant: a view is noted before anybody can take it, and counts as long as somebody holds it. So what no view from
//! [`Shown::least`] on shows is read by nobody, and by nobody to come.
//! Cost: a pointer a view; those that nobody holds go with the next one that is noted.
//! Tried under a scheduler that decides who runs when, with readers and a purge: `models/views.rs`.

use std::sync::{Arc, Weak};

/// The views of a collection, as far as they live.
pub(crate) struct Shown<V>(Vec<Weak<V>>);

impl<V> Shown<V> {
    /// With a first one.
    pub(crate) fn new(view: &Arc<V>) -> Self {
        Self(vec![Arc::downgrade(view)])
    }

    /// Notes a further one.
    pub(crate) fn note(&mut self, view: &Arc<V>) {
        self.0.retain(|view| view.strong_count() > 0);
        self.0.push(Arc::downgrade(view));
    }

    /// One that is still held.
    pub(crate) fn find(&self, is_sought: impl Fn(&V) -> bool) -> Option<Arc<V>> {
        self.0.iter().filter_map(Weak::upgrade).find(|view| is_sought(view))
    }

    /// The least of what those are that are still held.
    pub(crate) fn least<K: Ord>(&self, of: impl Fn(&V) -> K) -> Option<K> {
        self.0.iter().filter_map(Weak::upgrade).map(|view| of(&view)).min()
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.0.len()
    }
}
