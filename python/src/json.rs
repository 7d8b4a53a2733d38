//! Python's values as JSON, by the rules of `kithdb/_json.py`, which makes bodies of requests.
//!
//! Beside what JSON has: what can say itself in the form of ISO 8601 (dates and times) and UUIDs become strings,
//! decimals numbers, scalars and columns of NumPy, pandas, polars and pyarrow what they hold. Not a number is null, as
//! JSON has none, and so is what pandas puts in the place of a missing value.

use kithdb::{Payload, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple,
};

use crate::failure::invalid;

/// Nesting beyond every limit of payloads: what refers to itself ends here.
const DEPTH_MAX: usize = 256;

/// What stands for a missing value in frames of pandas.
const MISSING: [&str; 2] = ["NAType", "NaTType"];

/// How a series, an array or a scalar gives values of Python.
const WAYS: [&str; 4] = ["tolist", "to_list", "to_pylist", "as_py"];

/// 2^53: up to here floats are as exact as integers.
const EXACT: f64 = 9_007_199_254_740_992.0;

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
        return Err(invalid(given.py(), place, &format!("is nested more than {DEPTH_MAX} deep")));
    }
    if let Ok(text) = given.cast::<PyString>() {
        return string(text, place);
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

fn string(given: &Bound<'_, PyString>, place: &str) -> PyResult<Value> {
    let read = given.to_str().map(Value::from);
    read.map_err(|_| {
        invalid(given.py(), place, "has half of a character (a lone surrogate), which is no text")
    })
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
    if name == "Decimal" {
        return decimal(given);
    }
    if given.hasattr(intern!(py, "isoformat"))? {
        return Ok(given.call_method0(intern!(py, "isoformat"))?.extract::<String>()?.into());
    }
    if let Some(held) = held(given)? {
        return value(&held, place, depth + 1);
    }
    if let Ok(mapping) = given.cast::<PyMapping>() {
        let items = mapping.items()?;
        return items
            .iter()
            .map(|pair| member(&pair.get_item(0)?, &pair.get_item(1)?, place, depth))
            .collect();
    }
    let is_bytes = given.is_instance_of::<PyBytes>() || given.is_instance_of::<PyByteArray>();
    if !is_bytes && given.cast::<PySequence>().is_ok() {
        return list(given, place, depth);
    }
    if name == "UUID" {
        return Ok(given.str()?.extract::<String>()?.into());
    }
    Err(invalid(
        py,
        place,
        &format!("is a {name}, which JSON has no form for; give text, numbers, lists or dicts"),
    ))
}

/// What a series, an array or a scalar holds, as values of Python; nothing if it is none.
fn held<'py>(given: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    for way in WAYS {
        if given.hasattr(way)? {
            // Of nanoseconds NumPy itself makes integers.
            let read = match is_time_of_numpy(given)? {
                true => given.call_method1("astype", ("datetime64[us]",))?.call_method0(way)?,
                false => given.call_method0(way)?,
            };
            return Ok(Some(read));
        }
    }
    Ok(None)
}

fn is_time_of_numpy(given: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(given.get_type().module()? == "numpy" && given.getattr("dtype")?.getattr("kind")?.eq("M")?)
}

/// The integer that a decimal is, or the nearest number.
fn decimal(given: &Bound<'_, PyAny>) -> PyResult<Value> {
    let number = given.call_method0("__float__")?.extract::<f64>()?;
    if number.abs() < EXACT && number.fract() == 0.0 {
        let whole = given.call_method0("__int__")?;
        if whole.eq(given)? {
            return Ok(whole.extract::<i64>()?.into());
        }
    }
    Ok(number.into())
}
