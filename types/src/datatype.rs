//! What an element of a vector is, by what codes a segment finds vectors, and where the vectors themselves are
//! while it is searched: three choices of a vector space.
//!
//! Invariant: an element that [`Datatype::admit`] has passed is a value of the type, so that writing and reading it
//! changes nothing: everywhere above storage and segments elements are `f32`.

use std::fmt;
use std::str::FromStr;

use half::f16;

use crate::{Error, ErrorKind, Metric, Result};

/// The type of the elements of stored vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Datatype {
    /// 4 bytes.
    #[default]
    Float32,
    /// 2 bytes: elements are rounded to 11 significant bits.
    Float16,
    /// 1 byte: whole numbers from 0 to 255.
    Uint8,
}

/// What searches of a segment read instead of vectors. Whatever it is, hits have their exact distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codes {
    /// A byte an element: finds nearly what vectors find.
    #[default]
    Bits8,
    /// A bit an element: an eighth of the memory; more vectors are read to make up for it.
    Bits1,
    /// The vectors themselves: no quantisation.
    Off,
}

/// Where the vectors of a segment are while it is searched; its codes and its graph are in memory whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Memory {
    /// In the file: the few that a search needs are read, 0.6 µs each while the system keeps them.
    #[default]
    Cold,
    /// Mapped, and read ahead: searches are faster, and the vectors count among the memory of the process.
    Cached,
}

impl Datatype {
    /// All of them, for messages.
    pub const ALL: [Self; 3] = [Self::Float32, Self::Float16, Self::Uint8];

    /// The name on the wire and on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Uint8 => "uint8",
        }
    }

    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Float16 => 2,
            Self::Uint8 => 1,
        }
    }

    /// Whether vectors of this type can be compared by a metric.
    ///
    /// # Errors
    /// `InvalidArgument` on `datatype`: whole numbers cannot have length 1, which vectors under cosine are scaled to.
    pub fn check(self, metric: Metric) -> Result<()> {
        match (self, metric) {
            (Self::Uint8, Metric::Cosine) => {
                let message = "is uint8, and under Cosine vectors are scaled to length 1; use float16, or Dot or \
                               Euclid over the numbers as they are";
                Err(Error::invalid("datatype", message))
            }
            _ => Ok(()),
        }
    }

    /// Makes elements values of this type. Floats are rounded; for whole numbers, as the dialect does, fractions are
    /// cut off, and what lies outside becomes the nearest end.
    ///
    /// # Errors
    /// `InvalidArgument` naming the first element that is too large for a float.
    pub fn admit(self, elements: &mut [f32]) -> Result<()> {
        match self {
            Self::Float32 => {}
            Self::Float16 => {
                elements.iter_mut().for_each(|element| *element = f16::from_f32(*element).to_f32());
                if let Some(position) = elements.iter().position(|element| !element.is_finite()) {
                    let why = "has a size above 65504, the largest that float16 holds";
                    return Err(Error::invalid(format!("[{position}]"), why));
                }
            }
            Self::Uint8 => elements.iter_mut().for_each(|element| *element = f32::from(*element as u8)),
        }
        Ok(())
    }

    /// Appends elements as bytes, little-endian.
    pub fn encode(self, elements: &[f32], bytes: &mut Vec<u8>) {
        let start = bytes.len();
        // Places of a known size are filled many at a time; bytes that are appended one by one are not.
        bytes.resize(start + elements.len() * self.bytes(), 0);
        let places = &mut bytes[start..];
        match self {
            Self::Float32 => {
                let places = places.as_chunks_mut::<4>().0.iter_mut();
                places.zip(elements).for_each(|(place, element)| *place = element.to_le_bytes());
            }
            Self::Float16 => {
                let halves = elements.iter().map(|element| f16::from_f32(*element).to_le_bytes());
                places.as_chunks_mut::<2>().0.iter_mut().zip(halves).for_each(|(place, half)| *place = half);
            }
            Self::Uint8 => {
                places.iter_mut().zip(elements).for_each(|(place, element)| *place = *element as u8);
            }
        }
    }

    /// Appends the elements in bytes.
    ///
    /// # Errors
    /// `Corrupted` when the bytes end inside of an element.
    pub fn decode(self, bytes: &[u8], elements: &mut Vec<f32>) -> Result<()> {
        if !bytes.len().is_multiple_of(self.bytes()) {
            let message = format!("a vector is damaged: it ends inside of an element of {self}");
            return Err(Error::new(ErrorKind::Corrupted, message));
        }
        match self {
            Self::Float32 => {
                elements.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            Self::Float16 => {
                elements.extend(bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()));
            }
            Self::Uint8 => elements.extend(bytes.iter().map(|byte| f32::from(*byte))),
        }
        Ok(())
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Datatype {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|datatype| datatype.name() == name)
            .ok_or_else(|| Error::invalid("datatype", format!("`{name}` is none of float32, float16, uint8")))
    }
}

impl Codes {
    /// All of them, for messages.
    pub const ALL: [Self; 3] = [Self::Bits8, Self::Bits1, Self::Off];

    /// The name on the wire and on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bits8 => "bits8",
            Self::Bits1 => "bits1",
            Self::Off => "off",
        }
    }
}

impl FromStr for Codes {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|codes| codes.name() == name)
            .ok_or_else(|| Error::invalid("codes", format!("`{name}` is none of bits8, bits1, off")))
    }
}

impl Memory {
    /// All of them, for messages.
    pub const ALL: [Self; 2] = [Self::Cold, Self::Cached];

    /// The name on the wire and on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Cached => "cached",
        }
    }
}

impl FromStr for Memory {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|memory| memory.name() == name);
        found.ok_or_else(|| Error::invalid("memory", format!("`{name}` is none of cold, cached")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_type_cannot_hold_is_named() {
        let cases: [(Datatype, &[f32], Option<&str>); 3] = [
            (Datatype::Float32, &[1e30], None),
            (Datatype::Float16, &[1.0, 7e4], Some("[1]")),
            (Datatype::Uint8, &[7e4, -1.0], None),
        ];
        for (datatype, elements, field) in cases {
            let admitted = datatype.admit(&mut elements.to_vec());
            assert_eq!(admitted.as_ref().err().and_then(Error::field), field, "{datatype} {elements:?}");
        }
        assert_eq!(Datatype::Uint8.check(Metric::Cosine).expect_err("no length 1").field(), Some("datatype"));
        Datatype::Uint8.check(Metric::Euclid).expect("whole numbers have distances");
    }

    #[test]
    fn whole_numbers_are_those_of_the_dialect() {
        let mut elements = [-0.0, -3.5, 1.81, 255.9, 256.19];
        Datatype::Uint8.admit(&mut elements).expect("numbers");
        assert_eq!(elements, [0.0, 0.0, 1.0, 255.0, 255.0]);
        assert!(elements[0].is_sign_positive());
        Datatype::Float16.admit(&mut [-0.0]).expect("zero");
    }

    #[test]
    fn bytes_are_golden() {
        let bytes = |datatype: Datatype| {
            let mut bytes = Vec::new();
            datatype.encode(&[1.0, 2.0], &mut bytes);
            bytes
        };
        assert_eq!(bytes(Datatype::Float32), [0, 0, 128, 63, 0, 0, 0, 64]);
        assert_eq!(bytes(Datatype::Float16), [0, 60, 0, 64]);
        assert_eq!(bytes(Datatype::Uint8), [1, 2]);
        let error = Datatype::Float16.decode(&[1, 2, 3], &mut Vec::new()).expect_err("cut");
        assert_eq!(error.kind(), ErrorKind::Corrupted);
    }

    #[test]
    fn every_name_parses_to_itself() {
        for datatype in Datatype::ALL {
            assert_eq!(datatype.name().parse::<Datatype>().expect("its name"), datatype);
        }
        for codes in Codes::ALL {
            assert_eq!(codes.name().parse::<Codes>().expect("its name"), codes);
        }
        for memory in Memory::ALL {
            assert_eq!(memory.name().parse::<Memory>().expect("its name"), memory);
        }
    }

    proptest! {
        #[test]
        fn what_is_admitted_is_read_as_it_was_written(
            whole in prop::collection::vec(0_u8..=255, 0..20),
            floats in prop::collection::vec(-6e4_f32..6e4, 0..20),
        ) {
            let whole: Vec<f32> = whole.into_iter().map(f32::from).collect();
            for (datatype, elements) in
                [(Datatype::Uint8, &whole), (Datatype::Float16, &floats), (Datatype::Float32, &floats)]
            {
                let mut admitted = elements.clone();
                datatype.admit(&mut admitted).expect("in range");
                let (mut bytes, mut read) = (Vec::new(), Vec::new());
                datatype.encode(&admitted, &mut bytes);
                datatype.decode(&bytes, &mut read).expect("whole");
                prop_assert_eq!(read, admitted);
            }
        }
    }
}
