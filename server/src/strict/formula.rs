//! Formulas under strict mode: the fields that they read.

use kithdb::formula::{Decay, Expression};
use kithdb::{Filter, Result, Schema};

use super::filter::{all_indexed, check_indexed};

/// How an error says where the field stands.
const OF: &str = " in formula expression";

/// Checks that every field has an index.
///
/// # Errors
/// Bad request, naming the field.
pub(super) fn check(schema: &Schema, expression: &Expression) -> Result<()> {
    match expression {
        Expression::Constant(_) | Expression::Score(_) => Ok(()),
        Expression::Field(path) | Expression::TimeField(path) | Expression::GeoDistance { to: path, .. } => {
            check_indexed(schema, path, OF)
        }
        Expression::Condition(condition) => all_indexed(schema, &Filter::must((**condition).clone()), ""),
        Expression::Sum(all) | Expression::Mult(all) | Expression::Max(all) | Expression::Min(all) => {
            all.iter().try_for_each(|one| check(schema, one))
        }
        Expression::Unary(_, of) => check(schema, of),
        Expression::Div { left, right, .. } | Expression::Pow { base: left, exponent: right } => {
            check(schema, left)?;
            check(schema, right)
        }
        Expression::Decay(decay) => {
            let Decay { x, target, .. } = &**decay;
            check(schema, x)?;
            target.as_ref().map_or(Ok(()), |target| check(schema, target))
        }
    }
}
