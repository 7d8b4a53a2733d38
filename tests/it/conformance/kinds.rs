//! Kinds of query in the form they have in HTTP, for the embedded door.

use kithdb::formula::{Decay, DecayKind, Expression, Formula, Unary};
use kithdb::{
    Examples, Feedback, Fragment, Fragments, Fusion, Fuzzy, GeoPoint, Highlight, HybridWeights, Input,
    KeywordQuery, Operator, Order, OrderValue, Pair, PointId, Query, Recommend, Result, Value, datetime,
};

use serde_json::json;

use super::embedded::{filter_of, id_of, vector_of};

fn feedback_of(tree: &Value, using: String) -> Result<Query> {
    let number = |tree: &Value| tree.as_f64().expect("a number") as f32;
    let naive = &tree["strategy"]["naive"];
    let weights =
        Feedback { target: number(&naive["a"]), confidence: number(&naive["b"]), pair: number(&naive["c"]) };
    let scored = tree["feedback"].as_array().expect("a list").iter();
    let scored = scored.map(|one| Ok((input(&one["example"])?, number(&one["score"]))));
    Ok(Query::Feedback {
        target: input(&tree["target"])?,
        scored: scored.collect::<Result<_>>()?,
        weights,
        using,
    })
}

/// The query of an object with one name.
pub(super) fn query_of(with: &Value, using: String) -> Result<Query> {
    if let Value::Object(_) = &with["mmr"] {
        let diversity = with["mmr"]["diversity"].as_f64().unwrap_or(0.5) as f32;
        let candidates = with["mmr"]["candidates_limit"].as_u64().map(|limit| limit as usize);
        return Ok(Query::Diverse { vector: input(&with["nearest"])?, using, diversity, candidates });
    }
    let (name, inner) = with.as_object().and_then(|object| object.iter().next()).expect("a kind of query");
    Ok(match name.as_str() {
        "nearest" => Query::Nearest { vector: input(inner)?, using },
        "recommend" => {
            let examples =
                Examples { positive: inputs(&inner["positive"])?, negative: inputs(&inner["negative"])? };
            let strategy = match inner["strategy"].as_str() {
                Some("best_score") => Recommend::BestScore,
                Some("sum_scores") => Recommend::SumScores,
                _ => Recommend::AverageVector,
            };
            Query::Recommend { examples, strategy, using }
        }
        "discover" => {
            Query::Discover { target: input(&inner["target"])?, context: pairs(&inner["context"])?, using }
        }
        "context" => Query::Context { pairs: pairs(inner)?, using },
        "relevance_feedback" => feedback_of(inner, using)?,
        "order_by" => Query::Order(Order {
            path: inner["key"].as_str().unwrap_or_default().parse()?,
            is_descending: inner["direction"] == "desc",
            from: OrderValue::of(&inner["start_from"]),
        }),
        "fusion" => Query::Fuse(match inner.as_str() {
            Some("dbsf") => Fusion::Dbsf,
            Some("adaptive") => Fusion::adaptive(),
            _ => Fusion::rrf(2.0),
        }),
        "adaptive" => Query::Fuse(Fusion::Adaptive { weights: Some(hybrid_weights(inner)) }),
        "rrf" => {
            let k = inner["k"].as_f64().unwrap_or(2.0) as f32;
            Query::Fuse(Fusion::Rrf { k, weights: weights(inner) })
        }
        "relative_score" => Query::Fuse(Fusion::RelativeScore { weights: weights(inner) }),
        "sample" => Query::Sample { seed: None },
        "formula" => {
            let mut formula = Formula::new(expression(inner)?);
            for (name, value) in with["defaults"].as_object().into_iter().flatten() {
                match variable(name)? {
                    Expression::Score(leg) => drop(formula.scores.insert(leg, value.as_f64().unwrap_or(0.0))),
                    Expression::Field(path) => drop(formula.fields.insert(path, value.clone())),
                    other => panic!("no variable: {other:?}"),
                }
            }
            Query::Formula(formula)
        }
        other => panic!("no kind of query: {other}"),
    })
}

/// Words: a text, or an object in the form of HTTP.
pub(super) fn keyword_of(with: &Value) -> Result<KeywordQuery> {
    if let Some(text) = with.as_str() {
        return Ok(text.into());
    }
    let mut query = KeywordQuery::new(with["text"].as_str().unwrap_or_default());
    for path in with["fields"].as_array().into_iter().flatten() {
        query = query.field(path.as_str().unwrap_or_default().parse()?, 1.0);
    }
    for (path, weight) in with["fields"].as_object().into_iter().flatten() {
        query = query.field(path.parse()?, weight.as_f64().unwrap_or(1.0) as f32);
    }
    query.operator = if with["operator"] == "all" { Operator::All } else { Operator::Any };
    query.phrase_slop = with["phrase_slop"].as_u64().map(|slop| slop as u32);
    query.is_prefix = with["prefix"] == true;
    query.fuzzy = with["fuzzy"].as_object().map(|fuzzy| Fuzzy {
        distance: fuzzy.get("distance").and_then(Value::as_u64).unwrap_or(1) as u8,
        prefix_chars: fuzzy.get("prefix_chars").and_then(Value::as_u64).unwrap_or(0) as usize,
    });
    query.boost = with["boost"].as_f64().map_or(1.0, |boost| boost as f32);
    Ok(query)
}

/// What is shown of texts, in the form of HTTP.
pub(super) fn highlight_of(with: &Value) -> Result<Option<Highlight>> {
    if with.is_null() {
        return Ok(None);
    }
    let mut highlight = Highlight::default();
    for path in with["fields"].as_array().into_iter().flatten() {
        highlight.fields.push(path.as_str().unwrap_or_default().parse()?);
    }
    let number = |member: &str, default: usize| with[member].as_u64().map_or(default, |given| given as usize);
    highlight.fragments = number("fragments", highlight.fragments);
    highlight.fragment_chars = number("fragment_chars", highlight.fragment_chars);
    if let (Some(pre), Some(post)) = (with["pre_tag"].as_str(), with["post_tag"].as_str()) {
        (highlight.pre_tag, highlight.post_tag) = (pre.to_owned(), post.to_owned());
    }
    Ok(Some(highlight))
}

pub(super) fn tree_of_fragments(fragments: &Fragments) -> Value {
    let mut tree = json!({});
    for (path, fragments) in fragments {
        let fragment = |fragment: &Fragment| {
            let spans: Vec<[usize; 2]> = fragment.spans.iter().map(|span| [span.start, span.end]).collect();
            json!({"text": fragment.text, "value": fragment.value, "start": fragment.start, "spans": spans})
        };
        tree[path.to_string()] = fragments.iter().map(fragment).collect();
    }
    tree
}

fn input(with: &Value) -> Result<Input> {
    match with {
        Value::Array(_) | Value::Object(_) => Ok(Input::from(vector_of(with)?)),
        other => id_of(other).map(|id: PointId| Input::Point(id)),
    }
}

fn inputs(with: &Value) -> Result<Vec<Input>> {
    with.as_array().into_iter().flatten().map(input).collect()
}

fn pairs(with: &Value) -> Result<Vec<Pair>> {
    let pair =
        |with: &Value| Ok(Pair { positive: input(&with["positive"])?, negative: input(&with["negative"])? });
    match with {
        Value::Array(pairs) => pairs.iter().map(pair).collect(),
        Value::Null => Ok(Vec::new()),
        one => Ok(vec![pair(one)?]),
    }
}

pub(super) fn hybrid_weights(with: &Value) -> HybridWeights {
    let given = |name: &str, default: f32| with[name].as_f64().map_or(default, |weight| weight as f32);
    HybridWeights { words_least: given("words_least", 0.3), words_most: given("words_most", 1.0) }
}

fn weights(with: &Value) -> Vec<f32> {
    with["weights"].as_array().into_iter().flatten().filter_map(Value::as_f64).map(|w| w as f32).collect()
}

fn expression(with: &Value) -> Result<Expression> {
    let list = |with: &Value| -> Result<Vec<Expression>> {
        with.as_array().into_iter().flatten().map(expression).collect()
    };
    let boxed = |with: &Value| expression(with).map(Box::new);
    let object = match with {
        Value::Number(number) => return Ok(Expression::Constant(number.as_f64().unwrap_or(f64::NAN))),
        Value::String(name) => return variable(name),
        Value::Object(object) => object,
        other => panic!("no expression: {other}"),
    };
    let (name, inner) = object.iter().next().expect("an operation");
    Ok(match name.as_str() {
        "sum" => Expression::Sum(list(inner)?),
        "mult" => Expression::Mult(list(inner)?),
        "neg" => Expression::Unary(Unary::Neg, boxed(inner)?),
        "sqrt" => Expression::Unary(Unary::Sqrt, boxed(inner)?),
        "div" => Expression::Div {
            left: boxed(&inner["left"])?,
            right: boxed(&inner["right"])?,
            by_zero: inner["by_zero_default"].as_f64(),
        },
        "datetime" => {
            let micros = datetime::parse(inner.as_str().unwrap_or_default(), "datetime")?;
            Expression::Constant(micros as f64 / 1e6)
        }
        "datetime_key" => Expression::TimeField(inner.as_str().unwrap_or_default().parse()?),
        "geo_distance" => Expression::GeoDistance {
            origin: GeoPoint::of(&inner["origin"]).expect("a place"),
            to: inner["to"].as_str().unwrap_or_default().parse()?,
        },
        "gauss_decay" => Expression::Decay(Box::new(Decay {
            kind: DecayKind::Gauss,
            x: expression(&inner["x"])?,
            target: if inner["target"].is_null() { None } else { Some(expression(&inner["target"])?) },
            midpoint: inner["midpoint"].as_f64(),
            scale: inner["scale"].as_f64(),
        })),
        _ => {
            let filter = filter_of(&serde_json::json!({ "must": [with] }))?;
            Expression::Condition(Box::new(filter.must.into_iter().next().expect("a condition")))
        }
    })
}

fn variable(name: &str) -> Result<Expression> {
    match name {
        "$score" => Ok(Expression::Score(0)),
        "$score[1]" => Ok(Expression::Score(1)),
        path => Ok(Expression::Field(path.parse()?)),
    }
}
