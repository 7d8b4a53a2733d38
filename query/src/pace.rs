//! How many payloads are read at once: as many as take little memory, if they are like those before them.
//!
//! Cost: a look at what was read. The first block is small, since nothing is known before it.

use std::cell::Cell;

use types::{Payload, payload};

/// Rows of the first block, and of any.
const FIRST_ROWS: usize = 64;
const ROWS_MAX: usize = 1024;

/// Bytes that are read at once, about.
const BLOCK_BYTES: usize = 32 << 20;

/// The pace of one reader.
#[derive(Debug)]
pub(crate) struct Pace {
    rows: Cell<usize>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rows: Cell::new(FIRST_ROWS) }
    }
}

impl Pace {
    /// Rows of the next block, at most.
    pub(crate) fn rows(&self) -> usize {
        self.rows.get()
    }

    /// Takes the next block off what is left; nothing at the end.
    pub(crate) fn block<'a, T>(&self, rest: &mut &'a [T]) -> Option<&'a [T]> {
        let (block, behind) = rest.split_at(self.rows().min(rest.len()));
        *rest = behind;
        (!block.is_empty()).then_some(block)
    }

    /// Learns what a block took.
    pub(crate) fn took(&self, payloads: &[Payload]) {
        let bytes: usize = payloads.iter().map(payload::weight).sum();
        if !payloads.is_empty() {
            self.rows.set((BLOCK_BYTES / (bytes / payloads.len()).max(1)).clamp(1, ROWS_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 024 were read at once, of 16 MiB each.
    #[test]
    fn large_payloads_are_read_a_few_at_a_time() {
        let of = |bytes: usize| Payload::from_iter([("text".to_owned(), "x".repeat(bytes).into())]);
        let slots: Vec<u32> = (0..5_000).collect();
        let (pace, mut rest) = (Pace::default(), &slots[..]);
        let mut read = Vec::new();
        for bytes in [10, 1 << 20, 64 << 20, 10] {
            let block = pace.block(&mut rest).expect("rows");
            read.push(block.len());
            pace.took(&[of(bytes)]);
        }
        assert!(
            read[0] == 64 && read[1] == 1_024 && (16..=32).contains(&read[2]) && read[3] == 1,
            "{read:?}"
        );
        pace.took(&[]);
        assert_eq!(pace.block(&mut rest).map(<[u32]>::len), Some(1_024), "nothing says nothing");
        let all = read.iter().sum::<usize>() + 1_024 + rest.len();
        assert_eq!(all, slots.len(), "each once");
        assert_eq!(pace.block(&mut &slots[..0]), None);
    }
}
