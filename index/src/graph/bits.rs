//! A dense set of rows: one bit a row, for tests in the walk's loop.

/// A set of rows of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    count: u32,
}

impl Bits {
    /// The empty set, with room for `rows` rows.
    pub fn new(rows: u32) -> Self {
        Self { words: vec![0; (rows as usize).div_ceil(64)], count: 0 }
    }

    /// The set of these rows, all below `rows`.
    pub fn of(rows: u32, members: impl IntoIterator<Item = u32>) -> Self {
        let mut bits = Self::new(rows);
        members.into_iter().for_each(|row| bits.insert(row));
        bits
    }

    /// The set with these words: bit `n % 64` of word `n / 64` is row `n`.
    pub fn from_words(words: Vec<u64>) -> Self {
        let count = words.iter().map(|word| word.count_ones()).sum();
        Self { words, count }
    }

    /// Its words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Adds a row. Rows past the end are passed over.
    pub fn insert(&mut self, row: u32) {
        if let Some(word) = self.words.get_mut(row as usize / 64) {
            self.count += u32::from(*word >> (row % 64) & 1 == 0);
            *word |= 1 << (row % 64);
        }
    }

    /// Whether a row is in the set.
    #[inline(always)]
    pub fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// How many rows are in the set.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether no row is.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(at as u32 * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_set() {
        let members = [0, 1, 63, 64, 65, 127, 128, 199];
        let bits = Bits::of(200, members.into_iter().chain([63, 500]));
        assert_eq!(bits.iter().collect::<Vec<_>>(), members);
        assert_eq!(
            (bits.len(), bits.is_empty(), bits.contains(2), bits.contains(500)),
            (8, false, false, false)
        );
    }
}
