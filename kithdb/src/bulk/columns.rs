//! What each column of an import is: the ids, a vector, payload.
//!
//! Decided once, from types, names and options, before a row is read.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use types::{DEFAULT_VECTOR, Error, Limits, Result, Schema};

use super::lists::element;
use super::vectors::{Form, unfit};
use super::{
    BY_OPTIONS, ID, IdColumn, ImportOptions, MARKED_KEY, PAYLOAD, VECTOR, VECTOR_KEY, ids, payloads,
};

/// The columns of an import, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    /// Where the ids are; nothing: they are given.
    pub(super) id: Option<usize>,
    /// Whether they are names, which are payload too.
    pub(super) is_named: bool,
    /// Each with the name of its vector.
    pub(super) vectors: Vec<(usize, String)>,
    /// Each a key.
    pub(super) payload: Vec<usize>,
    /// JSON objects whose keys join the payload.
    pub(super) object: Option<usize>,
}

impl Columns {
    /// Of batches of a schema, into a collection of a schema, or into one that is made.
    ///
    /// # Errors
    /// `InvalidArgument` naming the column: it is there twice, or not at all, or has a type that does not do;
    /// `LimitExceeded`.
    pub(super) fn of(
        columns: &ArrowSchema,
        options: &ImportOptions,
        known: Option<&Schema>,
        limits: &Limits,
    ) -> Result<Self> {
        let fields = columns.fields();
        if fields.len() > limits.columns_max {
            return Err(Error::limit("columns", "the number of columns", fields.len(), limits.columns_max));
        }
        let mut names = HashSet::new();
        if let Some(twice) = fields.iter().find(|field| !names.insert(field.name())) {
            return Err(Error::invalid(twice.name(), "is the name of two columns; give each its own"));
        }
        let id = id(columns, &options.id)?;
        if options.is_named {
            check_names(columns, id)?;
        }
        let object = match &options.payload {
            Some(name) => Some(position(columns, name)?),
            None => fields.iter().position(|field| field.name() == PAYLOAD && payloads::is_json(field)),
        };
        let vectors = vectors(columns, options, known, id)?;
        let is_free = |at: &usize| {
            let is_id = id == Some(*at) && !options.is_named;
            !is_id && object != Some(*at) && vectors.iter().all(|(other, _)| other != at)
        };
        let payload = (0..fields.len()).filter(is_free).collect();
        Ok(Self { id, is_named: options.is_named, vectors, payload, object })
    }
}

fn position(columns: &ArrowSchema, name: &str) -> Result<usize> {
    columns.fields().iter().position(|field| field.name() == name).ok_or_else(|| {
        let known: Vec<_> =
            columns.fields().iter().take(20).map(|field| format!("`{}`", field.name())).collect();
        Error::invalid(name, format!("is no column; there are {}", known.join(", ")))
    })
}

fn id(columns: &ArrowSchema, wanted: &IdColumn) -> Result<Option<usize>> {
    match wanted {
        IdColumn::Given => Ok(None),
        IdColumn::Guessed => {
            Ok(columns.fields().iter().position(|field| field.name() == ID && ids::can_be(field.data_type())))
        }
        IdColumn::Named(name) => {
            let at = position(columns, name)?;
            let kind = columns.field(at).data_type();
            if ids::can_be(kind) {
                return Ok(Some(at));
            }
            let message = format!("has the type {kind}; ids are integers, UUIDs as text, or 16 bytes");
            Err(Error::invalid(name, message))
        }
    }
}

/// Refuses names that are none.
fn check_names(columns: &ArrowSchema, id: Option<usize>) -> Result<()> {
    match id.map(|at| columns.field(at)) {
        Some(field) if ids::can_be_names(field.data_type()) => Ok(()),
        Some(field) => {
            let message = format!("has the type {}; names are texts", field.data_type());
            Err(Error::invalid(field.name(), message))
        }
        None => Err(Error::invalid(ID, "is no column here, and names are wanted; say which column has them")),
    }
}

fn vectors(
    columns: &ArrowSchema,
    options: &ImportOptions,
    known: Option<&Schema>,
    id: Option<usize>,
) -> Result<Vec<(usize, String)>> {
    let is_decided = columns.metadata.get(MARKED_KEY).is_some_and(|by| by == BY_OPTIONS);
    let named = if options.vectors.is_empty() || is_decided {
        found(columns, known, id)
    } else {
        let is_alone = options.vectors.len() == 1;
        let named = |(column, name): &(String, Option<String>)| {
            let at = position(columns, column)?;
            let field = columns.field(at);
            let form = Form::of(field.data_type()).ok_or_else(|| unfit(column, field.data_type()))?;
            let name = name.clone().or_else(|| marked(field));
            Ok((at, name.unwrap_or_else(|| name_of(column, form, is_alone, known))))
        };
        options.vectors.iter().map(named).collect::<Result<_>>()?
    };
    let mut names = HashSet::new();
    match named.iter().find(|(_, name)| !names.insert(name.as_str())) {
        Some((at, name)) => {
            let message = format!("is the second column of the vector `{name}`; each vector has one");
            Err(Error::invalid(columns.field(*at).name(), message))
        }
        None => Ok(named),
    }
}

/// The columns that have vectors where nobody named any.
fn found(columns: &ArrowSchema, known: Option<&Schema>, id: Option<usize>) -> Vec<(usize, String)> {
    let fields = columns.fields().iter().enumerate().filter(|(at, _)| Some(*at) != id);
    let formed: Vec<_> =
        fields.filter_map(|(at, field)| Some((at, field, Form::of(field.data_type())?))).collect();
    let marked: Vec<_> = formed.iter().filter_map(|(at, field, _)| Some((*at, marked(field)?))).collect();
    if !marked.is_empty() || is_marked(columns) {
        return marked;
    }
    if let Some(schema) = known {
        let named = formed.iter().filter_map(|(at, field, form)| {
            let name = name_of(field.name(), *form, false, known);
            schema.check_name(&name).is_ok().then_some((*at, name))
        });
        let named: Vec<_> = named.collect();
        if !named.is_empty() {
            return named;
        }
    }
    let typical: Vec<_> = formed.iter().filter(|(_, field, _)| is_typical(field.data_type())).collect();
    let is_alone = typical.len() == 1;
    let name = |(at, field, form): &&(usize, &Arc<Field>, Form)| {
        (*at, name_of(field.name(), *form, is_alone, known))
    };
    let named = typical.iter().copied().map(|found| name(&found));
    // What a collection has no vector for is payload.
    named.filter(|(_, name)| known.is_none_or(|schema| schema.check_name(name).is_ok())).collect()
}

/// Whether every column with a vector says so.
pub(super) fn is_marked(columns: &ArrowSchema) -> bool {
    columns.metadata.get(MARKED_KEY).is_some()
}

/// The vector that an export says the column has.
fn marked(field: &Field) -> Option<String> {
    field.metadata().get(VECTOR_KEY).cloned()
}

/// The name of the vector in a column.
fn name_of(column: &str, form: Form, is_alone: bool, known: Option<&Schema>) -> String {
    let is_unnamed = match known {
        Some(schema) if schema.names().any(|name| name == column) => false,
        Some(schema) => {
            schema.check_name(DEFAULT_VECTOR).is_ok()
                && (column == VECTOR || is_alone && schema.names().count() == 1)
        }
        None => form != Form::Sparse && (column == VECTOR || is_alone),
    };
    if is_unnamed { DEFAULT_VECTOR.to_owned() } else { column.to_owned() }
}

/// Whether a column of this type has hardly anything but vectors. A list of numbers may be payload as well; one that
/// says its size, of floats, is made for vectors.
fn is_typical(kind: &DataType) -> bool {
    let is_sized = |kind: &DataType| match kind {
        DataType::FixedSizeList(element, _) => element.data_type().is_floating(),
        _ => false,
    };
    is_sized(kind)
        || element(kind).is_some_and(|element| is_sized(element.data_type()))
        || Form::of(kind) == Some(Form::Sparse)
}

#[cfg(test)]
mod tests {
    use types::{ErrorKind, Metric, SparseSpec};

    use super::*;

    fn sized(name: &str) -> Field {
        Field::new_fixed_size_list(name, Field::new_list_field(DataType::Float32, true), 4, true)
    }

    fn listed(name: &str) -> Field {
        Field::new_list(name, Field::new_list_field(DataType::Float64, true), true)
    }

    fn of(fields: &[Field], options: &ImportOptions, known: Option<&Schema>) -> Result<Columns> {
        let columns = ArrowSchema::new(fields.iter().cloned().map(Arc::new).collect::<Vec<_>>());
        Columns::of(&columns, options, known, &Limits { columns_max: 4, ..Limits::default() })
    }

    fn vectors(fields: &[Field], known: Option<&Schema>) -> Vec<(usize, String)> {
        of(fields, &ImportOptions::default(), known).expect("columns").vectors
    }

    #[test]
    fn types_and_names_say_where_vectors_are() {
        let text = Field::new("text", DataType::Utf8, true);
        assert_eq!(vectors(&[text.clone(), sized("emb")], None), [(1, String::new())]);
        let two = [sized("vector"), sized("image")];
        assert_eq!(vectors(&two, None), [(0, String::new()), (1, "image".to_owned())]);
        assert_eq!(vectors(&[listed("emb")], None), []);
        let plain = Schema::new().vector(4, Metric::Dot);
        assert_eq!(vectors(&[listed("vector"), sized("other")], Some(&plain)), [(0, String::new())]);
        assert_eq!(vectors(&[text, sized("emb")], Some(&plain)), [(1, String::new())]);
        let named = plain.sparse_vector("words", SparseSpec::default());
        assert_eq!(vectors(&[sized("emb")], Some(&named)), []);
    }

    #[test]
    fn options_decide_before_names_do() {
        let named = |column: &str, name: Option<&str>| ImportOptions {
            vectors: vec![(column.to_owned(), name.map(str::to_owned))],
            id: IdColumn::Given,
            ..ImportOptions::default()
        };
        let fields = [Field::new("id", DataType::Int64, true), listed("a"), sized("vector")];
        let columns = of(&fields, &named("a", Some("text")), None).expect("columns");
        assert_eq!((columns.id, columns.vectors), (None, vec![(1, "text".to_owned())]));
        assert_eq!(columns.payload, [0, 2]);
        assert_eq!(of(&fields, &named("a", None), None).expect("columns").vectors, [(1, String::new())]);
        for (column, expected) in [("id", "has the type"), ("x", "is no column")] {
            let error = of(&fields, &named(column, None), None).expect_err(expected);
            assert!(error.field() == Some(column) && error.message().contains(expected), "{error}");
        }
    }

    #[test]
    fn columns_are_there_once_and_not_too_many() {
        let twice = of(&[sized("a"), sized("a")], &ImportOptions::default(), None).expect_err("twice");
        assert_eq!(twice.field(), Some("a"));
        let many: Vec<Field> = (0..5).map(|n| sized(&n.to_string())).collect();
        let error = of(&many, &ImportOptions::default(), None).expect_err("many");
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("columns")));
    }
}
