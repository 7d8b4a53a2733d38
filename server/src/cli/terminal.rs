//! What is said on the terminal.

use std::io::Write as _;

use console::{measure_text_width, style};
use kithdb::{Error, Result};

/// Prints what was asked for. A reader that has gone away (`| head`) is no error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A text of the command line; of standard input, if it is `-`.
///
/// # Errors
/// `InvalidArgument` on a field, when there is nothing in it or it is no text.
pub(super) fn given(text: String, field: &'static str) -> Result<String> {
    if text.trim().is_empty() {
        return Err(Error::invalid(field, "is empty"));
    }
    if text != "-" {
        return Ok(text);
    }
    let read = std::io::read_to_string(std::io::stdin()).map_err(|error| {
        Error::invalid(field, format!("cannot be read from standard input: {error}")).with_source(error)
    })?;
    match read.trim() {
        "" => Err(Error::invalid(field, "is `-`, and nothing came on standard input")),
        read => Ok(read.to_owned()),
    }
}

/// Says something beside it, a line.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A number with its digits in groups of three.
pub(super) fn grouped(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The number and the noun, in the plural unless it is one.
pub(super) fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(number))
}

/// Names and values, the values under each other.
pub(super) fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("  {name:width$}  {value}\n")).collect()
}

/// Rows under their heads; a column of numbers stands to the right.
pub(super) fn columns(heads: &[&str], rows: &[Vec<String>]) -> String {
    let is_number = |cell: &String| cell.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.'));
    let column = |at: usize| rows.iter().filter_map(move |row| row.get(at));
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(at, head)| column(at).map(|cell| measure_text_width(cell)).max().unwrap_or(0).max(head.len()))
        .collect();
    let line = |cells: Vec<&str>| {
        let cells = cells.into_iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            let room = " ".repeat(width.saturating_sub(measure_text_width(cell)));
            match column(at).all(is_number) {
                true => format!("  {room}{cell}"),
                false => format!("  {cell}{room}"),
            }
        });
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    let mut text = style(line(heads.to_vec())).dim().to_string();
    text.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(0_u64), "0");
        assert_eq!(grouped(999_usize), "999");
        assert_eq!(grouped(1_234_567_u64), "1,234,567");
        assert_eq!(counted(1_usize, "point"), "1 point");
        assert_eq!(counted(2_usize, "point"), "2 points");
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [["a", "1,000"], ["long", "2"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&["name", "n"], &rows), "  name      n\n  a     1,000\n  long      2\n");
    }

    /// A checksum that begins with a digit had its head to the right, and another one to the left.
    #[test]
    fn what_begins_with_a_digit_is_no_number_yet() {
        let rows = ["3391e13f6c19", "0b1f"].map(|cell| vec![cell.to_owned()]);
        assert_eq!(columns(&["sha256"], &rows), "  sha256\n  3391e13f6c19\n  0b1f\n");
    }

    #[test]
    fn a_text_that_is_empty_is_refused() {
        assert_eq!(given(" why? ".into(), "question").expect("a text"), " why? ");
        for empty in ["", " \n"] {
            let error = given(empty.into(), "question").expect_err("nothing");
            assert_eq!(error.field(), Some("question"), "{error}");
        }
    }

    #[test]
    fn values_stand_under_each_other() {
        assert_eq!(table(&[("a", "1".into()), ("bcd", "2".into())]), "  a    1\n  bcd  2\n");
    }
}
