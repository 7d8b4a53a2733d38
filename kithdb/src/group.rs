//! Which of the writes that wait share a commit.
//!
//! Invariant: they come in the order of the queue, and none is left out: what must not join them ends the group, and is
//! handed back to be served next.
//! Tried under a scheduler that decides who runs when, with threads of callers: `models/sequencer.rs`.

/// What comes next in the queue.
pub(crate) enum Next<O, W> {
    /// A write that may be committed with those before it.
    Joins(W),
    /// Something else.
    Alone(O),
}

/// Takes what waits behind the first write, until there are writes of `size_max` or more, nothing waits, or something
/// comes that must not join them.
pub(crate) fn gather<O, W>(
    first: W,
    size_of: impl Fn(&W) -> usize,
    size_max: usize,
    mut next: impl FnMut() -> Option<Next<O, W>>,
) -> (Vec<W>, Option<O>) {
    let mut size = size_of(&first);
    let mut group = vec![first];
    while size < size_max {
        match next() {
            Some(Next::Joins(write)) => {
                size += size_of(&write);
                group.push(write);
            }
            Some(Next::Alone(other)) => return (group, Some(other)),
            None => break,
        }
    }
    (group, None)
}
