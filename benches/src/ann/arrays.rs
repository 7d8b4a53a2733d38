//! Arrays in files: what the peers' harness leaves (`.fbin`, `.npy`, `.u32`), and what one process leaves for another.
//!
//! Everything is little-endian and read once from start to end, into memory of the right size and no more: a process
//! whose memory is measured reads with it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use kithdb::{Error, ErrorKind, Result};

/// Numbers in rows of equal length.
#[derive(Debug, PartialEq)]
pub(super) struct Array<T> {
    pub(super) columns: usize,
    pub(super) values: Vec<T>,
}

/// Vectors: number of rows, number of elements, then the elements, row after row.
///
/// # Errors
/// `Io`; `Corrupted` when there are fewer or more than it says.
pub(super) fn read_fbin(path: &Path) -> Result<Array<f32>> {
    let (mut file, bytes) = open(path)?;
    let (rows, columns) = (word(&mut file)? as usize, word(&mut file)? as usize);
    if columns == 0 || bytes != 8 + rows as u64 * columns as u64 * 4 {
        return Err(Error::corrupted(path.display(), "it has another length than its head says"));
    }
    Ok(Array { columns, values: read_numbers(&mut file, rows * columns, f32::from_le_bytes)? })
}

/// The whole file as unsigned numbers.
///
/// # Errors
/// `Io`.
pub(super) fn read_words(path: &Path) -> Result<Vec<u32>> {
    let (mut file, bytes) = open(path)?;
    read_numbers(&mut file, (bytes / 4) as usize, u32::from_le_bytes)
}

/// The whole file as floats.
///
/// # Errors
/// `Io`.
pub(super) fn read_floats(path: &Path) -> Result<Vec<f32>> {
    let (mut file, bytes) = open(path)?;
    read_numbers(&mut file, (bytes / 4) as usize, f32::from_le_bytes)
}

/// Every row of a file of floats, one after another and with its number: for who cannot hold them twice.
///
/// # Errors
/// `Io`.
pub(super) fn read_rows(path: &Path, columns: usize, mut take: impl FnMut(u32, &[f32])) -> Result<()> {
    let (mut file, bytes) = open(path)?;
    let rows = bytes / 4 / columns as u64;
    for row in 0..rows as u32 {
        take(row, &read_numbers(&mut file, columns, f32::from_le_bytes)?);
    }
    Ok(())
}

/// # Errors
/// `Io`.
pub(super) fn write_words(path: &Path, words: &[u32]) -> Result<()> {
    write(path, words.iter().map(|word| word.to_le_bytes()))
}

/// # Errors
/// `Io`.
pub(super) fn write_floats(path: &Path, floats: &[f32]) -> Result<()> {
    write(path, floats.iter().map(|float| float.to_le_bytes()))
}

/// An array of `int32` with one or two dimensions, in version 1 of NumPy's format and the order of C.
///
/// # Errors
/// `Io`; `UnsupportedFormat` for any other; `Corrupted` when its length is another than it says.
pub(super) fn read_npy(path: &Path) -> Result<Array<i32>> {
    let (mut file, bytes) = open(path)?;
    let unsupported = || {
        let message = format!("{}: not an .npy of version 1 with int32 in the order of C", path.display());
        Error::new(ErrorKind::UnsupportedFormat, message)
    };
    let mut head = [0; 10];
    file.read_exact(&mut head)?;
    let (magic, length) = head.split_at(8);
    if magic != b"\x93NUMPY\x01\x00" {
        return Err(unsupported());
    }
    let mut description = vec![0; usize::from(u16::from_le_bytes([length[0], length[1]]))];
    file.read_exact(&mut description)?;
    let shape = std::str::from_utf8(&description).ok().and_then(shape).ok_or_else(unsupported)?;
    let count = shape.iter().product::<usize>();
    if bytes != (head.len() + description.len() + count * 4) as u64 {
        return Err(Error::corrupted(path.display(), "it has another length than its head says"));
    }
    let columns = shape.get(1).copied().unwrap_or(1);
    Ok(Array { columns, values: read_numbers(&mut file, count, i32::from_le_bytes)? })
}

/// The shape in the description of an array, if its elements are as we read them.
fn shape(description: &str) -> Option<Vec<usize>> {
    let is_read = description.contains("'descr': '<i4'") && description.contains("'fortran_order': False");
    let (_, after) = description.split_once("'shape': (")?;
    let (numbers, _) = after.split_once(')')?;
    let numbers = numbers.split(',').map(str::trim).filter(|number| !number.is_empty());
    let shape: Vec<usize> = numbers.map(|number| number.parse().ok()).collect::<Option<_>>()?;
    (is_read && matches!(shape.len(), 1 | 2)).then_some(shape)
}

/// A file and its length; an error names it.
fn open(path: &Path) -> Result<(BufReader<File>, u64)> {
    let named = |source: std::io::Error| {
        Error::new(ErrorKind::Io, format!("{}: {source}", path.display())).with_source(source)
    };
    let file = File::open(path).map_err(named)?;
    let bytes = file.metadata().map_err(named)?.len();
    Ok((BufReader::with_capacity(1 << 16, file), bytes))
}

fn word(file: &mut impl Read) -> Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_numbers<T>(file: &mut impl Read, count: usize, decode: fn([u8; 4]) -> T) -> Result<Vec<T>> {
    let mut numbers = Vec::with_capacity(count);
    let mut bytes = [0; 4];
    for _ in 0..count {
        file.read_exact(&mut bytes)?;
        numbers.push(decode(bytes));
    }
    Ok(numbers)
}

fn write(path: &Path, numbers: impl Iterator<Item = [u8; 4]>) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for bytes in numbers {
        file.write_all(&bytes)?;
    }
    file.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(description: &str, values: &[i32]) -> Vec<u8> {
        let length = u16::try_from(description.len()).expect("a short one");
        let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], description.as_bytes(), &values].concat()
    }

    #[test]
    fn arrays_of_numpy_are_read_or_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.npy");
        let read = |description: &str, values: &[i32]| {
            std::fs::write(&path, npy(description, values)).expect("a file");
            read_npy(&path)
        };
        let flat = "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }  \n";
        let square = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2), }\n";
        assert_eq!(read(flat, &[7, -1, 2]).expect("reads"), Array { columns: 1, values: vec![7, -1, 2] });
        assert_eq!(read(square, &[1, 2, 3, 4]).expect("reads").columns, 2);
        assert_eq!(read(square, &[1, 2, 3]).expect_err("short").kind(), ErrorKind::Corrupted);
        for wrong in
            [flat.replace("<i4", "<i8"), flat.replace("False", "True"), flat.replace("3,", "1, 1, 3")]
        {
            assert_eq!(read(&wrong, &[7, -1, 2]).expect_err(&wrong).kind(), ErrorKind::UnsupportedFormat);
        }
    }

    #[test]
    fn vectors_and_words_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let bytes =
            [&2_u32.to_le_bytes()[..], &1_u32.to_le_bytes(), &1.5_f32.to_le_bytes(), &(-2_f32).to_le_bytes()];
        std::fs::write(&path, bytes.concat()).expect("a file");
        assert_eq!(read_fbin(&path).expect("reads"), Array { columns: 1, values: vec![1.5, -2.0] });
        std::fs::write(&path, &bytes.concat()[..15]).expect("a file");
        assert_eq!(read_fbin(&path).expect_err("cut").kind(), ErrorKind::Corrupted);
        write_words(&path, &[0, u32::MAX]).expect("writes");
        assert_eq!(read_words(&path).expect("reads"), [0, u32::MAX]);
        write_floats(&path, &[0.5, -1.0]).expect("writes");
        assert_eq!(read_floats(&path).expect("reads"), [0.5, -1.0]);
        let mut rows = Vec::new();
        read_rows(&path, 1, |row, vector| rows.push((row, vector.to_vec()))).expect("reads");
        assert_eq!(rows, [(0, vec![0.5]), (1, vec![-1.0])]);
    }
}
