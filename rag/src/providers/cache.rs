//! Vectors by the hash of their texts, as many as fit: the oldest go first.
//!
//! Invariant: the hash is of the whole text with its prefix, so a query and a document never share a vector by mistake.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest, Sha256};

/// SHA-256 of a text.
pub(super) type Key = [u8; 32];

/// The key of a text.
pub(super) fn key(text: &str) -> Key {
    Sha256::digest(text.as_bytes()).into()
}

/// Vectors in memory.
pub(super) struct Cache {
    vectors: HashMap<Key, Vec<f32>>,
    /// Oldest first.
    order: VecDeque<Key>,
    bytes: usize,
    bytes_max: usize,
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { vectors: HashMap::new(), order: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn get(&mut self, key: &Key) -> Option<Vec<f32>> {
        self.vectors.get(key).cloned()
    }

    pub(super) fn put(&mut self, key: Key, vector: &[f32]) {
        if self.vectors.contains_key(&key) || cost(vector) > self.bytes_max {
            return;
        }
        self.bytes += cost(vector);
        self.vectors.insert(key, vector.to_vec());
        self.order.push_back(key);
        while self.bytes > self.bytes_max {
            let oldest = self.order.pop_front().expect("what takes bytes is in order");
            let vector = self.vectors.remove(&oldest).expect("what is in order is there");
            self.bytes -= cost(&vector);
        }
    }
}

/// Bytes of an entry, about.
fn cost(vector: &[f32]) -> usize {
    size_of_val(vector) + 3 * size_of::<Key>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_there_is_no_room() {
        let mut cache = Cache::new(3 * cost(&[0.0; 8]));
        for n in 0..5_u8 {
            cache.put(key(&n.to_string()), &[f32::from(n); 8]);
        }
        let held: Vec<bool> = (0..5).map(|n| cache.get(&key(&n.to_string())).is_some()).collect();
        assert_eq!(held, [false, false, true, true, true]);
        assert!(cache.bytes <= cache.bytes_max && cache.order.len() == 3);
        cache.put(key("large"), &[0.0; 1000]);
        assert_eq!(cache.get(&key("large")), None);
        assert_eq!(cache.order.len(), 3);
    }
}
