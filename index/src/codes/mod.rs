//! Vectors as codes of a few bits, and queries in the form that kernels multiply with them.
//!
//! A row is moved to where its distances are inner products, centred, rotated by a random rotation (so that every
//! element carries as much as any other and is about normally distributed), and rounded to 256 steps. The upper
//! nibbles of these bytes are what a walk reads; the lower nibbles complete them where the walk has ended. A query is
//! rounded to 255 steps by its own scale: its error is small beside that of a nibble.
//!
//! - Cosine: rows have length 1, so one step serves all rows and a row is its codes and nothing else.
//! - Inner product of rows of one length: as cosine. Of others: each row has a step of its own, and the further element
//!   that would give it the length of the longest, 8 bytes at the end of its codes. A graph is built between rows
//!   that are completed so (Bachrach et al. 2014), and searched by the inner product.
//! - Euclid: each row has a step of its own, and its squared length.
//! - Manhattan: a rotation would change it; there are no codes, and the walk reads the vectors.
//!
//! Or a bit an element: its sign. Then each row has a factor, with which the inner product of its signs and a query is
//! without bias that of the row and the query, and under Euclid its squared length; 8 bytes in all metrics.
//!
//! Invariant: encoding and preparing depend on their input and the codec alone, on every instruction set.
//! Cost: a row of `dim` elements takes `dim` bytes in both tiers together, in whole cache lines; preparing a query
//! takes O(dim log dim).
//! Source: rotation before scalar quantisation as in RaBitQ (Gao, Long 2024) and QuaRot; the two tiers as in LVQ
//! (Aguerrebere et al. 2023); one bit and its factor are RaBitQ.

mod codec;
mod query;
mod rotation;

pub(crate) use codec::Codec;
pub use codec::Nav;
pub(crate) use query::{Bits, Both, Nibbles, Prepared, Reader, Tier, Vectors};
