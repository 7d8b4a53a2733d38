//! JSON, an object a line: points as HTTP takes them, or rows of a table.
//!
//! `id` is the id; `vector` (or the keys that the options name) has vectors: a list of numbers, a list of lists, an
//! object with `indices` and `values`, or an object of these by name; `payload` is an object whose keys join the
//! payload, as all other keys do.
//!
//! Cost: JSON is parsed line by line, and payload written and parsed once more on its way. This is for what others
//! wrote; columns are several times faster.

use std::collections::VecDeque;
use std::io::{BufRead, Read as _, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchReader};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use serde_json::{Map, json};
use types::{DEFAULT_VECTOR, Error, Limits, Payload, Point, PointId, Result, SparseVector, Value, Vector};

use super::malformed;
use crate::bulk::columns::Columns;
use crate::bulk::read::{self, Given};
use crate::bulk::{BY_OPTIONS, ID, IdColumn, ImportOptions, MARKED_KEY, PAYLOAD, VECTOR, VECTOR_KEY};
use crate::bulk::{arrays, vectors};

/// Lines of a batch, at most, their bytes, and those of the values that they become.
const LINES_MAX: usize = 4_096;
const BYTES_MAX: usize = 8 << 20;
const TREES_BYTES_MAX: usize = 64 << 20;

/// A line may become so many times the bytes that it may have: lists of short values become up to 90 times theirs.
const TREE_MAX: usize = 4;

/// Batches of lines.
pub(super) struct Lines<R> {
    from: R,
    layout: Layout,
    schema: SchemaRef,
    /// The first lines, which say what the columns are.
    ahead: VecDeque<(Payload, Size)>,
    /// Lines that were read, and those that became rows, for errors.
    line: u64,
    row: u64,
    line_bytes_max: usize,
}

/// Bytes of lines.
#[derive(Clone, Copy, Default)]
struct Size {
    text: usize,
    /// Of the values that they become.
    tree: usize,
}

impl Size {
    fn add(&mut self, line: Self) {
        self.text += line.text;
        self.tree += line.tree;
    }

    /// Whether there may be a further line.
    fn fits(self) -> bool {
        self.text < BYTES_MAX && self.tree < TREES_BYTES_MAX
    }
}

/// Bytes of the values that a text becomes, about and before any is made: a list has room for four at first.
fn tree_bytes(text: &[u8]) -> usize {
    let opens = text.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    let further = text.iter().filter(|byte| **byte == b',').count();
    (4 * opens + further).saturating_mul(size_of::<Value>())
}

/// What is where in a line.
#[derive(Default)]
struct Layout {
    id: Option<String>,
    /// The keys of vectors, each with the name of its vector; nothing: the unnamed one, or an object of them by name.
    keys: Vec<(String, Option<String>)>,
    /// A column for each: its vector and form, in the order of the columns.
    spaces: Vec<(String, Form)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Dense,
    Sparse,
    Multi,
}

impl Form {
    /// Of a value; nothing if it is no vector.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Array(items) if items.first().is_some_and(Value::is_array) => Some(Self::Multi),
            Value::Array(_) => Some(Self::Dense),
            Value::Object(fields) if fields.contains_key(vectors::INDICES) => Some(Self::Sparse),
            _ => None,
        }
    }

    /// The vector that a value is; nothing if it is none of this form.
    fn read(self, value: &Value) -> Option<Vector> {
        match self {
            Self::Dense => floats(value).map(Vector::Dense),
            Self::Multi => value.as_array()?.iter().map(floats).collect::<Option<_>>().map(Vector::Multi),
            Self::Sparse => sparse(value).map(Vector::Sparse),
        }
    }

    fn kind(self) -> DataType {
        let list = |element| DataType::List(Arc::new(Field::new_list_field(element, true)));
        match self {
            Self::Dense => list(DataType::Float32),
            Self::Sparse => arrays::sparse_kind(),
            Self::Multi => list(list(DataType::Float32)),
        }
    }
}

impl<R: BufRead> Lines<R> {
    /// Reads the first lines.
    ///
    /// # Errors
    /// `InvalidArgument` for a line that is no JSON object; what the source says.
    pub(super) fn new(from: R, options: &ImportOptions, limits: &Limits) -> Result<Self> {
        let line_bytes_max = limits.body_bytes_max;
        let (schema, layout) = (Arc::new(ArrowSchema::empty()), Layout::default());
        let ahead = VecDeque::new();
        let mut lines = Self { from, layout, schema, ahead, line: 0, row: 0, line_bytes_max };
        let mut size = Size::default();
        while lines.ahead.len() < LINES_MAX && size.fits() {
            let Some((object, line)) = lines.next_line()? else { break };
            lines.ahead.push_back((object, line));
            size.add(line);
        }
        let ahead: Vec<&Payload> = lines.ahead.iter().map(|(object, _)| object).collect();
        lines.layout = Layout::of(&ahead, options).map_err(malformed)?;
        lines.schema = Arc::new(lines.layout.schema());
        Ok(lines)
    }

    /// The next line that is not empty, and its size.
    fn next_line(&mut self) -> Result<Option<(Payload, Size)>> {
        let mut text = Vec::new();
        loop {
            text.clear();
            let mut bounded = self.from.by_ref().take(self.line_bytes_max as u64 + 1);
            let bytes = bounded.read_until(b'\n', &mut text).map_err(broken)?;
            self.line += 1;
            if bytes == 0 {
                return Ok(None);
            }
            if bytes > self.line_bytes_max {
                let message = format!("is longer than the limit body_bytes_max, {}", self.line_bytes_max);
                return Err(self.wrong(&message));
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            let size = Size { text: bytes, tree: tree_bytes(&text) };
            let tree_bytes_max = self.line_bytes_max.saturating_mul(TREE_MAX);
            if size.tree > tree_bytes_max {
                let message = format!(
                    "becomes more than {tree_bytes_max} bytes of memory, {TREE_MAX} times the limit \
                     body_bytes_max; make it several lines"
                );
                return Err(self.wrong(&message));
            }
            return match serde_json::from_slice(text.trim_ascii_end()) {
                Ok(Value::Object(object)) => Ok(Some((object, size))),
                Ok(_) => Err(self.wrong("is no JSON object")),
                Err(error) => Err(self.wrong(&no_json(&error))),
            };
        }
    }

    fn wrong(&self, message: &str) -> Error {
        Error::invalid(format!("line {}", self.line), message)
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let (mut rows, mut size, first) = (self.layout.rows(), Size::default(), self.row);
        while self.row - first < LINES_MAX as u64 && size.fits() {
            let (object, line) = match self.ahead.pop_front() {
                Some(line) => line,
                None => match self.next_line()? {
                    Some(line) => line,
                    None => break,
                },
            };
            let row = self.row;
            let wrong = |message: String| Error::invalid(format!("rows[{row}]"), message);
            rows.take(&self.layout, object).map_err(wrong)?;
            size.add(line);
            self.row = row + 1;
        }
        if self.row == first {
            return Ok(None);
        }
        rows.into_batch(&self.layout, &self.schema).map(Some).map_err(super::refused)
    }
}

/// Where in its line: to the parser, each is the first.
fn no_json(error: &serde_json::Error) -> String {
    let told = error.to_string();
    let told = told.split(" at line ").next().unwrap_or_default();
    format!("is no JSON: {told}, at column {}", error.column())
}

fn broken(error: std::io::Error) -> Error {
    super::refused(error.into())
}

impl Layout {
    fn of(lines: &[&Payload], options: &ImportOptions) -> std::result::Result<Self, String> {
        let has_id = || lines.first().is_some_and(|line| line.contains_key(ID));
        let id = match &options.id {
            IdColumn::Guessed => has_id().then(|| ID.to_owned()),
            IdColumn::Named(name) => Some(name.clone()),
            IdColumn::Given => None,
        };
        let is_alone = options.vectors.len() == 1;
        let own = |key: &String| (!is_alone && key != VECTOR).then(|| key.clone());
        let mut keys: Vec<_> = options
            .vectors
            .iter()
            .map(|(key, name)| (key.clone(), name.clone().or_else(|| own(key))))
            .collect();
        if keys.is_empty() {
            keys.push((VECTOR.to_owned(), None));
        }
        let mut layout = Self { id, keys, spaces: Vec::new() };
        for line in lines {
            for (key, name) in &layout.keys {
                for (name, value) in line.get(key).into_iter().flat_map(|value| parts(name.as_deref(), value))
                {
                    let Some(form) = Form::of(value) else { continue };
                    match layout.spaces.iter().find(|(known, _)| known == name) {
                        Some((_, known)) if *known != form => {
                            return Err(format!("has vectors `{name}` of several kinds"));
                        }
                        Some(_) => {}
                        None => layout.spaces.push((name.to_owned(), form)),
                    }
                }
            }
        }
        let is_missing = |key: &str| !lines.is_empty() && !lines.iter().any(|line| line.contains_key(key));
        match options.vectors.iter().find(|(key, _)| is_missing(key)) {
            Some((key, _)) => Err(format!("has no `{key}`, which is to have vectors, in its first lines")),
            None => Ok(layout),
        }
    }

    /// The columns: the id, the vectors, the payload as JSON.
    fn schema(&self) -> ArrowSchema {
        let id = self.id.as_ref().map(|name| Field::new(name, DataType::Utf8, true));
        let vector = |(at, (name, form)): (usize, &(String, Form))| {
            let mut field = Field::new(format!("{VECTOR}.{at}"), form.kind(), true);
            field.metadata_mut().insert(VECTOR_KEY, name.clone());
            field
        };
        let vectors = self.spaces.iter().enumerate().map(vector);
        let fields: Vec<Field> = id.into_iter().chain(vectors).chain([arrays::json_field(PAYLOAD)]).collect();
        ArrowSchema::new(fields).with_metadata([(MARKED_KEY, BY_OPTIONS)])
    }

    fn rows(&self) -> Rows {
        Rows { ids: Vec::new(), vectors: vec![Vec::new(); self.spaces.len()], payloads: Vec::new() }
    }
}

/// The rows of a batch on its way.
struct Rows {
    ids: Vec<Value>,
    vectors: Vec<Vec<Option<Vector>>>,
    payloads: Vec<Value>,
}

impl Rows {
    /// Takes a line; the error says what is wrong with it.
    fn take(&mut self, layout: &Layout, mut line: Payload) -> std::result::Result<(), String> {
        if let Some(key) = &layout.id {
            let text = match line.remove(key) {
                Some(Value::String(text)) => text,
                Some(Value::Number(number)) => number.to_string(),
                Some(_) => return Err(format!("has a `{key}` that is neither a number nor a text")),
                None => return Err(format!("has no `{key}`")),
            };
            self.ids.push(text.into());
        }
        self.vectors.iter_mut().for_each(|vectors| vectors.push(None));
        for (key, name) in &layout.keys {
            let Some(value) = line.remove(key) else { continue };
            for (name, value) in parts(name.as_deref(), &value).filter(|(_, value)| !value.is_null()) {
                let found = layout.spaces.iter().position(|(known, _)| known == name);
                let at =
                    found.ok_or_else(|| format!("has a vector `{name}` as no line near the first has"))?;
                let vector = layout.spaces[at].1.read(value);
                let wrong =
                    || format!("has a vector `{name}` that is none, or not of the kind of those before");
                if let Some(row) = self.vectors[at].last_mut() {
                    *row = Some(vector.ok_or_else(wrong)?);
                }
            }
        }
        if line.get(PAYLOAD).is_some_and(Value::is_object)
            && let Some(Value::Object(payload)) = line.remove(PAYLOAD)
        {
            line.extend(payload);
        }
        self.payloads.push(Value::Object(line));
        Ok(())
    }

    fn into_batch(self, layout: &Layout, schema: &SchemaRef) -> std::result::Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        let all =
            |values: &[Value], kind| arrays::values(&kind, &values.iter().map(Some).collect::<Vec<_>>());
        if layout.id.is_some() {
            columns.push(all(&self.ids, crate::bulk::census::Kind::Text)?);
        }
        for ((_, form), vectors) in layout.spaces.iter().zip(&self.vectors) {
            columns.push(match form {
                Form::Dense => arrays::lists(vectors),
                Form::Sparse => arrays::sparse(vectors),
                Form::Multi => arrays::lists_of_lists(vectors),
            }?);
        }
        columns.push(all(&self.payloads, crate::bulk::census::Kind::Json)?);
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}

/// The vectors under a key, with their names.
fn parts<'a>(name: Option<&'a str>, value: &'a Value) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let named = value.as_object().filter(|object| name.is_none() && !object.contains_key(vectors::INDICES));
    let one = named.is_none().then(|| (name.unwrap_or(DEFAULT_VECTOR), value));
    let named = named.into_iter().flatten().map(|(name, value)| (name.as_str(), value));
    named.chain(one)
}

fn floats(value: &Value) -> Option<Vec<f32>> {
    value.as_array()?.iter().map(|element| element.as_f64().map(|element| element as f32)).collect()
}

fn sparse(value: &Value) -> Option<SparseVector> {
    let index = |value: &Value| u32::try_from(value.as_u64()?).ok();
    let indices = value.get(vectors::INDICES)?.as_array()?.iter().map(index).collect::<Option<_>>()?;
    Some(SparseVector { indices, values: floats(value.get(vectors::VALUES)?)? })
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().map_err(|error| ArrowError::ExternalError(Box::new(error))).transpose()
    }
}

impl<R: BufRead> RecordBatchReader for Lines<R> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Points as lines.
pub(super) struct Sink<W> {
    to: W,
    columns: Columns,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(to: W, schema: &SchemaRef) -> Result<Self> {
        let columns = Columns::of(schema, &ImportOptions::default(), None, &Limits::default())?;
        Ok(Self { to, columns })
    }
}

impl<W: Write> super::Sink for Sink<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for point in read::points(batch, &self.columns, 0, &mut Given { next: None })? {
            let mut text = serde_json::to_vec(&line(point)).map_err(|error| malformed(error.to_string()))?;
            text.push(b'\n');
            self.to.write_all(&text)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.to.flush()?;
        Ok(())
    }
}

fn line(point: Point) -> Value {
    let id = match point.id {
        PointId::Num(number) => json!(number),
        PointId::Uuid(uuid) => json!(uuid.to_string()),
    };
    let vector = |vector: Vector| match vector {
        Vector::Dense(elements) => json!(elements),
        Vector::Multi(rows) => json!(rows),
        Vector::Sparse(SparseVector { indices, values }) => json!({"indices": indices, "values": values}),
    };
    let mut line = Map::from_iter([(ID.to_owned(), id)]);
    let is_named = point.vectors.iter().any(|(name, _)| !name.is_empty());
    let mut vectors: Vec<(String, Value)> =
        point.vectors.into_iter().map(|(name, found)| (name, vector(found))).collect();
    let vectors = match vectors.len() {
        0 => None,
        1 if !is_named => vectors.pop().map(|(_, vector)| vector),
        _ => Some(Value::Object(vectors.into_iter().collect())),
    };
    line.extend(vectors.map(|vectors| (VECTOR.to_owned(), vectors)));
    line.insert(PAYLOAD.to_owned(), Value::Object(point.payload));
    Value::Object(line)
}
