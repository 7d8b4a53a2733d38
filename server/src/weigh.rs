//! What bodies become once they are read: JSON of two bytes a value becomes trees of many times that.
//!
//! Who reads a body is charged for each list and object as it grows, before the rest of it is read; what all requests
//! in progress have of that together has a bound, and what does not fit is refused while it is read. Texts are not
//! charged: they are no longer than the body that they stand in, and bodies have a bound of their own.
//!
//! Invariant: beyond the first MiB of each, the trees of requests take about twice `bodies_bytes_max` at most.
//! Cost: some instructions whenever a list doubles its room; nothing for each of its elements.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kithdb::{Error, ErrorKind, Result};
use serde::de;

use crate::error::BODY;

/// What trees may take beside their bodies: so many times `bodies_bytes_max`.
const BODIES: usize = 2;

/// What each request has before it takes anything of the room.
const FREE_BYTES: usize = 1 << 20;

/// What is taken at once.
const STEP_BYTES: usize = 256 << 10;

/// Room for the trees of all requests.
#[derive(Debug)]
pub(crate) struct Room {
    bytes_max: usize,
    /// Points that one request may have.
    points_max: usize,
    taken: AtomicUsize,
}

impl Room {
    /// Room beside bodies that have so many bytes together, and so many points each.
    pub(crate) fn beside(bodies_bytes_max: usize, points_max: usize) -> Arc<Self> {
        let bytes_max = bodies_bytes_max.saturating_mul(BODIES);
        Arc::new(Self { bytes_max, points_max, taken: AtomicUsize::new(0) })
    }

    /// The part of a request that has taken nothing yet.
    pub(crate) fn part(self: &Arc<Self>) -> Arc<Part> {
        Arc::new(Part { room: Arc::clone(self), bytes: AtomicUsize::new(0) })
    }
}

/// What one request has of the room. Given back with it.
#[derive(Debug)]
pub(crate) struct Part {
    room: Arc<Room>,
    bytes: AtomicUsize,
}

impl Part {
    /// Takes more; `false` when there is not so much.
    fn take(&self, bytes: usize) -> bool {
        let most = self.room.bytes_max;
        let fit = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= most);
        let is_taken = self.room.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fit).is_ok();
        if is_taken {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        is_taken
    }

    /// Reads something; what it becomes is charged to this part. What was read before for the same request counts as
    /// gone.
    ///
    /// # Errors
    /// `LimitExceeded` on `body` for what is larger than the room, `Busy` when others have it; `LimitExceeded` for too
    /// many points.
    pub(crate) fn weigh<T>(self: &Arc<Self>, read: impl FnOnce() -> T) -> Result<T> {
        let closing = Closing;
        SCALES.with(|scales| {
            scales.left.set(FREE_BYTES.saturating_add(self.bytes.load(Ordering::Relaxed)));
            scales.refused.set(None);
            *scales.part.borrow_mut() = Some(Arc::clone(self));
        });
        let outcome = read();
        let refused = SCALES.with(|scales| scales.refused.get());
        drop(closing);
        match refused {
            None => Ok(outcome),
            Some(Refused::Bytes(missing)) => Err(self.full(missing)),
            Some(Refused::Points(field)) => {
                let most = self.room.points_max;
                let message = format!(
                    "has more than {most}, the limit batch_points_max; send them in several requests"
                );
                Err(Error::new(ErrorKind::LimitExceeded, message).with_field(field))
            }
        }
    }

    fn full(&self, missing: usize) -> Error {
        let most = self.room.bytes_max;
        if self.bytes.load(Ordering::Relaxed).saturating_add(missing) > most {
            let message = format!(
                "takes more than {most} bytes of memory once it is read, which is {BODIES} times the limit \
                 bodies_bytes_max; send it in several requests"
            );
            return Error::new(ErrorKind::LimitExceeded, message).with_field(BODY);
        }
        let message = "takes more memory once it is read than those of other requests in progress have left of what \
                       bodies_bytes_max allows; try again in a moment, or send less at once";
        Error::new(ErrorKind::Busy, message).with_field(BODY)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

/// Who is charged on a thread.
struct Scales {
    /// What may be charged before more is taken.
    left: Cell<usize>,
    /// Nobody, where nothing is weighed.
    part: RefCell<Option<Arc<Part>>>,
    /// What was too much.
    refused: Cell<Option<Refused>>,
}

#[derive(Clone, Copy)]
enum Refused {
    /// There was no room for so many.
    Bytes(usize),
    /// Of a field there are more than there may be.
    Points(&'static str),
}

thread_local! {
    static SCALES: Scales =
        const { Scales { left: Cell::new(0), part: RefCell::new(None), refused: Cell::new(None) } };
}

/// Ends the weighing of a thread, also where reading panics.
struct Closing;

impl Drop for Closing {
    fn drop(&mut self) {
        SCALES.with(|scales| {
            scales.left.set(0);
            *scales.part.borrow_mut() = None;
        });
    }
}

impl Scales {
    fn charge(&self, bytes: usize) -> bool {
        if let Some(left) = self.left.get().checked_sub(bytes) {
            self.left.set(left);
            return true;
        }
        let part = self.part.borrow();
        let Some(part) = &*part else { return true };
        let more = bytes.max(STEP_BYTES);
        if !part.take(more) {
            self.refused.set(Some(Refused::Bytes(more)));
            return false;
        }
        // Less than `bytes` was left.
        self.left.set(self.left.get() + (more - bytes));
        true
    }
}

/// Charges what is read on this thread, if that is weighed.
///
/// # Errors
/// Any; [`Part::weigh`] says what it was.
pub(crate) fn charge<E: de::Error>(bytes: usize) -> std::result::Result<(), E> {
    match SCALES.with(|scales| scales.charge(bytes)) {
        true => Ok(()),
        false => Err(E::custom("takes more memory than there is")),
    }
}

/// Checks how many points a request has, or ids of them, while they are read on this thread; `field` has them.
///
/// # Errors
/// As for [`charge`].
pub(crate) fn count<E: de::Error>(field: &'static str, points: usize) -> std::result::Result<(), E> {
    SCALES.with(|scales| match &*scales.part.borrow() {
        Some(part) if points > part.room.points_max => {
            scales.refused.set(Some(Refused::Points(field)));
            Err(E::custom("has more points than a request may have"))
        }
        _ => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use serde::de::value::Error as Failed;

    use super::*;

    fn takes(part: &Arc<Part>, bytes: usize) -> Result<()> {
        part.weigh(|| charge::<Failed>(bytes)).map(|charged| charged.expect("there is room"))
    }

    #[test]
    fn there_is_so_much_room_and_it_is_given_back() {
        let room = Room::beside(8 << 20, 1);
        let (first, second) = (room.part(), room.part());
        let error = takes(&first, 20 << 20).expect_err("more than there is");
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some(BODY)));
        takes(&first, 10 << 20).expect("there is room");
        takes(&first, 10 << 20).expect("for the same request it is the same room");
        takes(&second, FREE_BYTES).expect("the first MiB is free");
        let error = takes(&second, 10 << 20).expect_err("the first has it");
        assert_eq!((error.kind(), error.field()), (ErrorKind::Busy, Some(BODY)));
        drop(first);
        takes(&second, 10 << 20).expect("there is room again");
        drop(second);
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_not_weighed_is_not_refused() {
        let part = Room::beside(0, 1).part();
        takes(&part, FREE_BYTES + 1).expect_err("there is no room");
        charge::<Failed>(usize::MAX).expect("nobody is charged");
    }
}
