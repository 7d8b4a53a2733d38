//! The rows that no segment holds yet: identities, vectors, and graphs over the vectors.
//!
//! Invariants: one writer appends, any number of readers look on without a lock. Rows are numbered from 0, ascending by
//! version. A head that is frozen, because it is full or waits to become a segment, is a head that nobody appends to.
//! Cost: that of its [`Identities`] and its [`Space`]s.

mod identities;
mod space;

use std::collections::BTreeMap;

use types::{PointId, Schema, VectorSpec, Version};

use crate::Alive;
pub use identities::Identities;
pub use space::{CODED_ROWS_MIN, GRAPH_ROWS_MIN, Near, Space, SpaceView};

/// Fewer rows are not linked where they have codes: a scan of these takes less than a walk, and linking keeps a core
/// busy that searches want. By default a head is a segment before it has so many.
const LINKED_ROWS_MIN: u32 = 65_536;

/// Rows in memory.
pub struct Head {
    capacity: u32,
    identities: Identities,
    spaces: BTreeMap<String, Space>,
}

impl Head {
    /// No rows yet, and never more than `capacity`, of a collection with this schema.
    pub fn new(schema: &Schema, capacity: u32) -> Self {
        let space = |(name, spec): (&String, &VectorSpec)| (name.clone(), Space::new(spec.dim, spec.metric));
        let spaces = schema.vectors.iter().map(space).collect();
        Self { capacity, identities: Identities::new(), spaces }
    }

    /// How many rows it may have.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Whether it takes no further row.
    pub fn is_full(&self) -> bool {
        self.rows() >= self.capacity
    }

    /// Appends a row and returns its number. Only the writer calls this, with a version larger than every one before
    /// and vectors that `types::vector::check` has passed; these are kept as they are, not copied.
    pub fn append(
        &self,
        version: Version,
        id: PointId,
        mut vector: impl FnMut(&str) -> Option<Vec<f32>>,
    ) -> u32 {
        // Vectors first: whoever finds the identity finds its vectors.
        for (name, space) in &self.spaces {
            space.append(vector(name));
        }
        self.identities.append(version, id)
    }

    /// How many rows there are.
    pub fn rows(&self) -> u32 {
        self.identities.len()
    }

    /// Which version of which point stands in each row.
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// A vector space.
    pub fn space(&self, name: &str) -> Option<&Space> {
        self.spaces.get(name)
    }

    /// Every vector space, by name.
    pub fn spaces(&self) -> impl Iterator<Item = (&str, &Space)> {
        self.spaces.iter().map(|(name, space)| (name.as_str(), space))
    }

    /// Links the next rows of each graph that serves a search, at most `rows_max` in each; whether more wait. As
    /// [`Space::link`].
    pub fn link(&self, alive: &Alive, rows_max: u32) -> bool {
        let serves = |space: &&Space| !space.has_codes() || space.len() >= LINKED_ROWS_MIN;
        let links = self.spaces.values().filter(serves).map(|space| space.link(alive, rows_max));
        links.filter(|has_more| *has_more).count() > 0
    }

    /// How many rows of a space wait for nothing to be built over them while no more come: of a head that is too small
    /// to become a segment, all; of another those that the graph covers.
    pub fn settled(&self, space: &str) -> u32 {
        let is_small = self.rows() < GRAPH_ROWS_MIN;
        let settled =
            |space: &Space| if is_small { space.count() } else { space.linked().min(space.count()) };
        self.space(space).map_or(0, settled)
    }

    /// Bytes in memory, approximately.
    pub fn bytes(&self) -> usize {
        self.identities.bytes() + self.spaces.values().map(Space::bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use types::{Metric, Slot};

    use super::*;

    #[test]
    fn a_space_without_codes_is_linked_before_one_with_them() {
        let spec = |metric: Metric| VectorSpec::new(2, metric);
        let schema = Schema::new()
            .named_vector("coded", spec(Metric::Euclid))
            .named_vector("plain", spec(Metric::Manhattan));
        let (head, mut alive) = (Head::new(&schema, GRAPH_ROWS_MIN), Alive::new());
        for row in 0..GRAPH_ROWS_MIN {
            assert_eq!(head.settled("coded"), row, "a few wait for nothing");
            let vector = |_: &str| Some(vec![row as f32, 1.0]);
            head.append(Version(u64::from(row) + 1), PointId::Num(u64::from(row)), vector);
            alive.insert(Slot(row));
        }
        assert!(head.link(&alive, 10));
        let linked = |name: &str| head.space(name).map(Space::linked);
        assert_eq!((linked("coded"), linked("plain")), (Some(0), Some(10)));
        assert_eq!((head.settled("coded"), head.settled("plain")), (0, 10));
    }
}
