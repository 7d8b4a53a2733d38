//! Python's values as JSON.
//!
//! Beside what JSON has: what can say itself in the form of ISO 8601 (dates and times) and UUIDs become strings,
//! scalars of NumPy the numbers that they hold. Not a number is null, as JSON has none, and so is what pandas puts in
//! the place of a missing value.

use kithdb::{Payload, Value};
use pyo3::exceptions::PyRecursionError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple};

use crate::failure::invalid;

/// Nesting beyond every limit of payloads: what refers to itself ends here.
const DEPTH_MAX: usize = 256;

/// What stands for a missing value in frames of pandas.
const MISSING: [&str; 2] = ["NAType", "NaTType"];

/// A payload.
///
/// # Errors
/// `InvalidArgument` naming the place when it is no mapping, or holds what JSON does not.
pub(crate) fn payload(given: &Bound<'_, PyAny>, place: &str) -> PyResult<Payload> {
    if given.is_none() {
        return Ok(Payload::new());
    }
    match value(given, place, 0)? {
        Value::Object(payload) => Ok(payload),
        _ => Err(invalid(given.py(), place, "must be a dict")),
    }
}

fn value(given: &Bound<'_, PyAny>, place: &str, depth: usize) -> PyResult<Value> {
    if depth > DEPTH_MAX {
        return Err(PyRecursionError::new_err(format!("{place}: is nested more than {DEPTH_MAX} deep")));
    }
    if let Ok(text) = given.cast::<PyString>() {
        return Ok(text.to_str()?.into());
    }
    if given.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = given.cast::<PyBool>() {
        return Ok(flag.is_true().into());
    }
    if given.is_instance_of::<PyInt>() {
        return integer(given, place);
    }
    if let Ok(number) = given.cast::<PyFloat>() {
        return Ok(number.value().into());
    }
    if let Ok(object) = given.cast::<PyDict>() {
        return object.iter().map(|(key, item)| member(&key, &item, place, depth)).collect();
    }
    if given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>() {
        return list(given, place, depth);
    }
    other(given, place, depth)
}

fn integer(given: &Bound<'_, PyAny>, place: &str) -> PyResult<Value> {
    if let Ok(number) = given.extract::<i64>() {
        return Ok(number.into());
    }
    let number = given.extract::<u64>().map(Value::from);
    number.map_err(|_| invalid(given.py(), place, "is an integer of more than 64 bits; give it as a string"))
}

fn member(
    key: &Bound<'_, PyAny>,
    item: &Bound<'_, PyAny>,
    place: &str,
    depth: usize,
) -> PyResult<(String, Value)> {
    let Ok(key) = key.extract::<String>() else {
        return Err(invalid(key.py(), place, &format!("has the key {key}; keys are strings")));
    };
    let item = value(item, &format!("{place}.{key}"), depth + 1)?;
    Ok((key, item))
}

fn list(given: &Bound<'_, PyAny>, place: &str, depth: usize) -> PyResult<Value> {
    let items = given.try_iter()?.enumerate();
    let item =
        |(at, item): (usize, PyResult<Bound<'_, PyAny>>)| value(&item?, &format!("{place}[{at}]"), depth + 1);
    items.map(item).collect::<PyResult<Vec<Value>>>().map(Value::Array)
}

fn other(given: &Bound<'_, PyAny>, place: &str, depth: usize) -> PyResult<Value> {
    let py = given.py();
    let name = given.get_type().name()?.to_string();
    if MISSING.contains(&name.as_str()) {
        return Ok(Value::Null);
    }
    if given.hasattr(intern!(py, "isoformat"))? {
        return Ok(given.call_method0(intern!(py, "isoformat"))?.extract::<String>()?.into());
    }
    if given.hasattr(intern!(py, "tolist"))? {
        return value(&given.call_method0(intern!(py, "tolist"))?, place, depth + 1);
    }
    if let Ok(mapping) = given.cast::<PyMapping>() {
        let items = mapping.items()?;
        return items
            .iter()
            .map(|pair| member(&pair.get_item(0)?, &pair.get_item(1)?, place, depth))
            .collect();
    }
    if given.cast::<PySequence>().is_ok() {
        return list(given, place, depth);
    }
    if name == "UUID" {
        return Ok(given.str()?.extract::<String>()?.into());
    }
    Err(invalid(py, place, &format!("is a {name}, which JSON has no form for; give text or numbers")))
}
