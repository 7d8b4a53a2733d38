//! Every instruction set against the plain loops: integers to the bit, floats up to rounding.

use proptest::prelude::*;

use super::portable::Portable;
use super::*;

/// All kernels on one query and four rows.
struct All<'a> {
    query: &'a [i8],
    codes: [&'a [u8]; 4],
    floats: &'a [f32],
    rows: [Elements<'a>; 3],
}

#[derive(Debug, PartialEq)]
struct Sums {
    integers: Vec<i32>,
    floats: Vec<f32>,
}

impl Task for All<'_> {
    type Output = Sums;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Sums {
        let half = self.query.len() / (2 * BLOCK) * 2 * BLOCK;
        let query = &self.query[..half];
        let mut integers: Vec<i32> = kernel.dot_nibbles4(query, self.codes).to_vec();
        for codes in self.codes {
            integers.push(kernel.dot_nibbles(query, codes));
            integers.push(kernel.dot_bits(self.query, codes));
            kernel.prefetch(codes);
        }
        let mut floats = Vec::new();
        for row in self.rows {
            floats.push(kernel.dot(self.floats, row));
            floats.push(kernel.square(self.floats, row));
            floats.push(kernel.absolute(self.floats, row));
        }
        Sums { integers, floats }
    }
}

proptest! {
    #[test]
    fn every_instruction_set_computes_the_same(
        blocks in 1_usize..=9,
        dim in 1_usize..=300,
        seed in any::<u64>(),
        is_extreme in any::<bool>(),
    ) {
        let mut state = seed | 1;
        let mut roll = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut byte = || if is_extreme { if roll() & 1 == 0 { 255 } else { 0 } } else { roll() as u8 };
        let codes: Vec<Vec<u8>> = (0..4).map(|_| (0..blocks * BLOCK).map(|_| byte()).collect()).collect();
        let query: Vec<i8> = (0..blocks * BLOCK)
            .map(|_| if is_extreme { if byte() == 0 { -128 } else { 127 } } else { byte().cast_signed() })
            .collect();
        let mut float = || f32::from(byte().cast_signed()) / 16.0;
        let row: Vec<f32> = (0..dim).map(|_| float()).collect();
        let halves: Vec<f16> = row.iter().copied().map(f16::from_f32).collect();
        let bytes: Vec<u8> = row.iter().map(|element| element.to_bits() as u8).collect();
        let floats: Vec<f32> = (0..dim).map(|_| float()).collect();
        let all = || All {
            query: &query,
            codes: [&codes[0], &codes[1], &codes[2], &codes[3]],
            floats: &floats,
            rows: [Elements::Floats(&row), Elements::Halves(&halves), Elements::Bytes(&bytes)],
        };
        let expected = all().run(Portable);
        for isa in Isa::available() {
            let sums = run(isa, all());
            prop_assert_eq!(&sums.integers, &expected.integers, "{:?}", isa);
            for (sum, expected) in sums.floats.iter().zip(&expected.floats) {
                prop_assert!((sum - expected).abs() <= 1e-5 * expected.abs().max(100.0 * dim as f32), "{:?}", isa);
            }
        }
    }
}

#[test]
fn portable_is_the_definition() {
    let query: Vec<i8> = (0..128).map(|at| at as i8 - 60).collect();
    let codes: Vec<u8> = (0..64).map(|at| (at * 37 % 256) as u8).collect();
    let mut expected = 0;
    for (at, code) in codes.iter().enumerate() {
        expected +=
            i32::from(code % 16) * i32::from(query[at]) + i32::from(code / 16) * i32::from(query[at + 64]);
    }
    assert_eq!(Portable.dot_nibbles(&query, &codes), expected);
    let bit = |at: usize| i32::from(codes[at / 8] >> (at % 8) & 1);
    let expected: i32 = (0..128).map(|at| bit(at) * i32::from(query[at])).sum();
    assert_eq!(Portable.dot_bits(&query, &codes), expected);
    let halves = [3.0, -4.0].map(f16::from_f32);
    for row in [Elements::Floats(&[3.0, -4.0]), Elements::Halves(&halves)] {
        assert_eq!(Portable.dot(&[1.0, 2.0], row), -5.0);
        assert_eq!(Portable.square(&[1.0, 2.0], row), 40.0);
        assert_eq!(Portable.absolute(&[1.0, 2.0], row), 8.0);
    }
    assert_eq!(Portable.dot(&[1.0, 2.0], Elements::Bytes(&[3, 255])), 513.0);
}

/// A transform of a copy.
struct Transform<'a>(&'a [f32]);

impl Task for Transform<'_> {
    type Output = Vec<u32>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Vec<u32> {
        let mut elements = self.0.to_vec();
        kernel.hadamard(&mut elements);
        elements.into_iter().map(f32::to_bits).collect()
    }
}

proptest! {
    #[test]
    fn every_instruction_set_transforms_to_the_same_bits(
        elements in prop::collection::vec(-9.0_f32..9.0, 1 << 10),
        bits in 0_u32..=10,
    ) {
        let elements = &elements[..1 << bits];
        let expected = Transform(elements).run(Portable);
        for isa in Isa::available() {
            prop_assert_eq!(&run(isa, Transform(elements)), &expected, "{:?}", isa);
        }
    }
}

#[test]
fn a_transform_has_the_values_of_the_definition() {
    let mut elements = [1.0, 2.0, 3.0, 5.0];
    Portable.hadamard(&mut elements);
    assert_eq!(elements, [11.0, -3.0, -5.0, 1.0]);
}

/// Rows met in turn, looked up in a small table.
struct Meets<'a> {
    turns: &'a [Vec<u32>],
    places: usize,
}

impl Task for Meets<'_> {
    type Output = (Vec<u32>, Vec<u32>);

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Self::Output {
        let (mut table, mut unmet) = (vec![u32::MAX; self.places], Vec::new());
        self.turns.iter().for_each(|links| kernel.unmet(&mut table, links, 500, &mut unmet));
        (table, unmet)
    }
}

proptest! {
    #[test]
    fn every_instruction_set_meets_the_same_rows(
        turns in prop::collection::vec(prop::collection::vec(0_u32..600, 0..40), 0..20),
        bits in 1_u32..8,
    ) {
        let meets = || Meets { turns: &turns, places: 1 << bits };
        let expected = meets().run(Portable);
        let new = |links: &[u32]| links.iter().all(|link| *link < 500);
        prop_assert!(new(&expected.1));
        for isa in Isa::available() {
            let (table, unmet) = run(isa, meets());
            prop_assert_eq!(&unmet, &expected.1, "{:?}", isa);
            // Two of one group may share a place: which of them holds it is the last in order.
            prop_assert_eq!(&table, &expected.0, "{:?}", isa);
        }
    }
}
