//! A section as a slice of numbers that owns its file: the map lives as long as any of its arrays.
//!
//! Cost: two words and a counter; each use checks length and alignment again, a few instructions.

use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::AnyBitPattern;

use super::map::Map;

/// The elements of a section, read in place.
pub struct Array<T> {
    map: Arc<Map>,
    range: Range<usize>,
    element: PhantomData<fn() -> T>,
}

impl<T: AnyBitPattern> Array<T> {
    /// The elements in a range of a map; nothing if it ends inside of one, or outside of the map.
    pub(super) fn new(map: &Arc<Map>, range: Range<usize>) -> Option<Self> {
        cast::<T>(map.bytes().get(range.clone())?)?;
        Some(Self { map: Arc::clone(map), range, element: PhantomData })
    }
}

/// Bytes as elements, if they are aligned and whole.
pub(super) fn cast<T: AnyBitPattern>(bytes: &[u8]) -> Option<&[T]> {
    bytemuck::try_cast_slice(bytes).ok()
}

impl<T: AnyBitPattern> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&self.map.bytes()[self.range.clone()])
    }
}
