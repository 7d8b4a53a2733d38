//! Tables (CSV, TSV) and lines of JSON: each record becomes a part of the text, and its fields become payload.
//!
//! The text that is stored, embedded and cited is `name: value` lines with an empty line between records: a row without
//! the names of its columns says nothing.
//!
//! Invariants: records are in order, and each is a byte range of the text. A record that cannot be read makes the whole
//! file malformed, since what is missing would not be noticed.

use std::ops::Range;

use csv::ReaderBuilder;
use kithdb::{Payload, Value};

use super::TEXT_BYTES_MAX;
use crate::{Skip, Source};

/// A record and where it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Byte range in the text.
    pub range: Range<usize>,
    /// What it holds.
    pub fields: Payload,
}

/// Records of a file.
const RECORDS_MAX: usize = 50_000;

/// Columns of a table, fields of an object.
const FIELDS_MAX: usize = 1_000;

/// Levels of objects and lists in a field that becomes payload.
const DEPTH_MAX: usize = 8;

/// A table whose first line names its columns.
pub(crate) fn read_table(text: &str, path: &str) -> Result<Source, Skip> {
    let malformed = |error: csv::Error| Skip::Malformed(error.to_string());
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter(text, path)).flexible(true).from_reader(text.as_bytes());
    let names: Vec<String> =
        reader.headers().map_err(malformed)?.iter().map(|name| name.trim().to_owned()).collect();
    if names.len() > FIELDS_MAX {
        return Err(Skip::Malformed(format!("it has {} columns, {FIELDS_MAX} are allowed", names.len())));
    }
    let mut writer = Writer::default();
    for row in reader.records() {
        let row = row.map_err(malformed)?;
        let field = |(at, cell): (usize, &str)| {
            let name = names.get(at).filter(|name| !name.is_empty());
            let name = name.cloned().unwrap_or_else(|| format!("column {}", at + 1));
            (!cell.trim().is_empty()).then(|| (name, of_cell(cell.trim())))
        };
        writer.record(row.iter().take(FIELDS_MAX).enumerate().filter_map(field).collect())?;
    }
    Ok(writer.finish())
}

/// A JSON value a line; one that is no object has the field `value`.
pub(crate) fn read_lines(text: &str) -> Result<Source, Skip> {
    let mut writer = Writer::default();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let value: Value = serde_json::from_str(line).map_err(|error| no_json(number, &error))?;
        let fields = match value {
            Value::Object(fields) => fields,
            value => Payload::from_iter([("value".to_owned(), value)]),
        };
        if fields.len() > FIELDS_MAX {
            let why = format!("line {number} has {} fields, {FIELDS_MAX} are allowed", fields.len());
            return Err(Skip::Malformed(why));
        }
        writer.record(fields)?;
    }
    Ok(writer.finish())
}

/// Where it stands: to the parser, each line is the first.
fn no_json(number: usize, error: &serde_json::Error) -> Skip {
    let told = error.to_string();
    let told = told.split(" at line ").next().unwrap_or_default();
    Skip::Malformed(format!("line {number} is no JSON: {told}, at column {}", error.column()))
}

/// What stands between the cells: a tab in `.tsv`, or the mark that the first line has most of.
fn delimiter(text: &str, path: &str) -> u8 {
    if path.to_ascii_lowercase().ends_with(".tsv") {
        return b'\t';
    }
    let first = text.lines().next().unwrap_or_default();
    let count = |mark: &u8| first.bytes().filter(|byte| byte == mark).count();
    // Of equals the last wins, which is the comma.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// A number where writing it again gives the same text, so that `007` and `1e400` stay what they are.
fn of_cell(cell: &str) -> Value {
    match serde_json::from_str::<serde_json::Number>(cell).map(|number| (number.to_string(), number)) {
        Ok((written, number)) if written == cell => Value::Number(number),
        _ => Value::from(cell),
    }
}

/// Bytes of the fields that become payload: each chunk of the record carries them.
const FIELDS_BYTES_MAX: usize = 16 << 10;

#[derive(Default)]
struct Writer {
    text: String,
    records: Vec<Record>,
}

impl Writer {
    fn record(&mut self, mut fields: Payload) -> Result<(), Skip> {
        if self.records.len() == RECORDS_MAX {
            return Err(Skip::Malformed(format!("it has more than {RECORDS_MAX} records; split it")));
        }
        let separator = if self.text.is_empty() { "" } else { "\n\n" };
        let start = self.text.len() + separator.len();
        let lines: Vec<String> = fields.iter().filter_map(|(name, value)| line(name, value)).collect();
        if lines.is_empty() {
            return Ok(());
        }
        self.text.push_str(separator);
        self.text.push_str(&lines.join("\n"));
        if self.text.len() > TEXT_BYTES_MAX {
            return Err(Skip::TooLarge { bytes: self.text.len() as u64, bytes_max: TEXT_BYTES_MAX as u64 });
        }
        let mut left = FIELDS_BYTES_MAX;
        fields.retain(|name, value| {
            let bytes = name.len() + value.to_string().len();
            let is_kept = bytes <= left && !value.is_null() && kithdb::payload::depth(value) <= DEPTH_MAX;
            left -= if is_kept { bytes } else { 0 };
            is_kept
        });
        self.records.push(Record { range: start..self.text.len(), fields });
        Ok(())
    }

    fn finish(self) -> Source {
        Source { text: self.text, records: self.records, ..Source::default() }
    }
}

fn line(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(format!("{name}: {}", text.trim())),
        value => Some(format!("{name}: {value}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parts(source: &Source) -> Vec<(&str, Value)> {
        let part =
            |record: &Record| (&source.text[record.range.clone()], Value::Object(record.fields.clone()));
        source.records.iter().map(part).collect()
    }

    #[test]
    fn rows_become_lines_under_the_names_of_their_columns() {
        let text = "name,age,note\n\"Smith, J\",42,\"two\nlines\"\nDoe,007,\n,,\nExtra,1,x,more\n";
        let source = read_table(text, "a.csv").expect("a table");
        let expected = [
            (
                "name: Smith, J\nage: 42\nnote: two\nlines",
                json!({"name": "Smith, J", "age": 42, "note": "two\nlines"}),
            ),
            ("name: Doe\nage: 007", json!({"name": "Doe", "age": "007"})),
            (
                "name: Extra\nage: 1\nnote: x\ncolumn 4: more",
                json!({"name": "Extra", "age": 1, "note": "x", "column 4": "more"}),
            ),
        ];
        assert_eq!(parts(&source), expected);
        let semicolons = read_table("a;b\n1;2,5\n", "a.csv").expect("a table");
        assert_eq!(semicolons.text, "a: 1\nb: 2,5");
        assert_eq!(read_table("a,b\tc\n1,2\t3\n", "a.TSV").expect("a table").text, "a,b: 1,2\nc: 3");
    }

    #[test]
    fn lines_of_json_keep_their_fields() {
        let text = "{\"q\": \"Why?\", \"n\": 1.5, \"deep\": {\"a\": [1]}, \"gone\": null}\n\n[1, 2]\n";
        let source = read_lines(text).expect("lines");
        let expected = [
            ("q: Why?\nn: 1.5\ndeep: {\"a\":[1]}", json!({"q": "Why?", "n": 1.5, "deep": {"a": [1]}})),
            ("value: [1,2]", json!({"value": [1, 2]})),
        ];
        assert_eq!(parts(&source), expected);
        let deep = format!("{{\"a\": {}1{}}}", "[".repeat(20), "]".repeat(20));
        assert!(read_lines(&deep).expect("lines").records[0].fields.is_empty());
    }

    #[test]
    fn a_field_of_megabytes_is_text_and_not_repeated_in_each_chunk() {
        let line = json!({"n": 1, "story": "word ".repeat(100_000), "z": "kept"}).to_string();
        let source = read_lines(&line).expect("a line");
        assert_eq!(parts(&source)[0].1, json!({"n": 1, "z": "kept"}));
        assert!(source.text.len() > 499_000);
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        let error = read_lines("{}\n{\"a\": }\n").expect_err("no JSON");
        assert_eq!(error.to_string(), "line 2 is no JSON: expected value, at column 7");
        assert!(matches!(read_lines(&"[".repeat(10_000)), Err(Skip::Malformed(_))));
        let wide = "x,".repeat(FIELDS_MAX + 1);
        assert!(matches!(read_table(&wide, "a.csv"), Err(Skip::Malformed(_))));
        let long = format!("a\n{}", "1\n".repeat(RECORDS_MAX + 1));
        assert!(read_table(&long, "a.csv").expect_err("too many").to_string().contains("50000"));
        assert!(read_table("", "a.csv").expect("nothing").text.is_empty());
    }
}
