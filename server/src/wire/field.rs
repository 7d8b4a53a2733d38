//! `PUT collections/{name}/index`: the index of a payload field, and what is said of it.

use kithdb::{Error, FieldKind, FieldPath, Payload, Result, Value};
use serde::Deserialize;
use utoipa::ToSchema;

use super::shapes;
use crate::error::invalid;

/// The body.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateFieldIndex)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateField {
    field_name: String,
    #[serde(alias = "field_type")]
    #[schema(schema_with = shapes::field_schema)]
    field_schema: Value,
}

impl CreateField {
    /// The field, its kind, and what is said of it beside that.
    ///
    /// # Errors
    /// `InvalidArgument` on `field_name` or `field_schema`, saying which kinds there are.
    pub(crate) fn into_field(self) -> Result<(FieldPath, FieldKind, Payload)> {
        let path = self.field_name.parse().map_err(|error: Error| error.with_field("field_name"))?;
        let name = match &self.field_schema {
            Value::Object(params) => params.get("type").and_then(Value::as_str),
            other => other.as_str(),
        };
        match name {
            Some(name) => {
                let kind: FieldKind = name.parse()?;
                let Value::Object(mut params) = self.field_schema else {
                    return Ok((path, kind, Payload::new()));
                };
                params.retain(|_, value| !value.is_null());
                check_uses(kind, &params)?;
                Ok((path, kind, params))
            }
            None => {
                let known = FieldKind::ALL.map(FieldKind::name).join(", ");
                Err(Error::invalid("field_schema", format!("names no type; one of {known} does")))
            }
        }
    }
}

/// Refuses an index of integers that is for nothing, in the words of the dialect.
fn check_uses(kind: FieldKind, params: &Payload) -> Result<()> {
    let is_off = |member: &str| params.get(member).and_then(Value::as_bool) == Some(false);
    match kind == FieldKind::Integer && is_off("lookup") && is_off("range") {
        true => {
            let why = "Validation error: the 'lookup' and 'range' capabilities can't be both disabled";
            Err(invalid("field_schema", why))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Refusal;

    #[test]
    fn a_field_is_named_or_described() {
        let field = |schema: Value| {
            CreateField { field_name: "a.b".into(), field_schema: schema }
                .into_field()
                .map(|(_, kind, _)| kind)
        };
        assert_eq!(field(json!("integer")).expect("a name"), FieldKind::Integer);
        let params = json!({"type": "keyword", "is_tenant": true});
        assert_eq!(field(params).expect("an object"), FieldKind::Keyword);
        for bad in [json!("texts"), json!({"type": "place"}), json!(null), json!({})] {
            let error = field(bad).expect_err("refused");
            assert!(error.field() == Some("field_schema") && error.message().contains("keyword"), "{error}");
        }
    }

    #[test]
    fn an_index_of_integers_is_for_something() {
        let field = |lookup: bool, range: bool| {
            let field_schema = json!({"type": "integer", "lookup": lookup, "range": range});
            CreateField { field_name: "n".into(), field_schema }.into_field().map(drop)
        };
        field(true, false).expect("for values");
        field(false, true).expect("for ranges");
        let error = field(false, false).expect_err("for nothing");
        assert_eq!((Refusal::behind(&error), error.field()), (Some(Refusal::Body), Some("field_schema")));
    }
}
