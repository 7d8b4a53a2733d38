//! What is said of the index of a payload field beside its kind, and what of it decides the words of a text field.
//!
//! The words are Qdrant's. Most of it is about the memory and the speed of another engine: it is kept, to be told
//! again. The options of a text field decide which texts match.

use crate::{Error, FieldKind, Language, Payload, Result, Value};

/// How a text field's words are made; what is not said is as Qdrant has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// Where words begin and end.
    pub tokenizer: Tokenizer,
    /// Shorter words are dropped.
    pub min_chars: Option<usize>,
    /// Longer words are dropped.
    pub max_chars: Option<usize>,
    /// Whether `A` is another letter than `a`.
    pub keeps_case: bool,
    /// Whether `é` is `e`.
    pub folds: bool,
    /// Words of these languages that say nothing are dropped.
    pub stop_languages: Vec<Language>,
    /// These are, too.
    pub stop_words: Vec<String>,
    /// Words are brought to their stems.
    pub stemmer: Option<Language>,
}

/// Where words begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tokenizer {
    /// Runs of letters and digits.
    #[default]
    Word,
    /// What stands between spaces.
    Whitespace,
    /// All beginnings of runs of letters and digits, of the least to the greatest length.
    Prefix,
    /// As words, accents left out, and every sign of a script that is written without spaces by itself.
    Multilingual,
}

const FLAGS: [&str; 2] = ["on_disk", "enable_hnsw"];
const MEMORY: &str = "memory";
const TEXT: [&str; 8] = [
    "tokenizer",
    "min_token_len",
    "max_token_len",
    "lowercase",
    "ascii_folding",
    "phrase_matching",
    "stopwords",
    "stemmer",
];

/// Checks what is said of an index of a kind, `type` among it. Members that are null count as absent.
///
/// # Errors
/// `InvalidArgument`, naming the member.
pub fn check_params(kind: FieldKind, params: &Payload) -> Result<()> {
    let own: &[&str] = match kind {
        FieldKind::Keyword => &["is_tenant", "prefix"],
        FieldKind::Uuid => &["is_tenant"],
        FieldKind::Integer => &["lookup", "range", "is_principal"],
        FieldKind::Float | FieldKind::Datetime => &["is_principal"],
        FieldKind::Text => &TEXT,
        FieldKind::Bool | FieldKind::Geo => &[],
    };
    for (member, value) in params.iter().filter(|(_, value)| !value.is_null()) {
        if member == "type" {
            continue;
        }
        if !FLAGS.contains(&member.as_str()) && member != MEMORY && !own.contains(&member.as_str()) {
            let known = [&FLAGS[..], &[MEMORY], own].concat().join(", ");
            return Err(Error::invalid(member, format!("is no option of a {kind} index; it has {known}")));
        }
        if member == MEMORY {
            placement(value)?;
        } else if kind != FieldKind::Text || FLAGS.contains(&member.as_str()) {
            flag(member, value)?;
        }
    }
    let is_off = |member: &str| params.get(member).and_then(Value::as_bool) == Some(false);
    if is_off("lookup") && is_off("range") {
        return Err(Error::invalid("lookup", "is false, and so is `range`: the index would be for nothing"));
    }
    if kind == FieldKind::Text { TextOptions::of(params).map(drop) } else { Ok(()) }
}

impl TextOptions {
    /// The options in what is said of a text field.
    ///
    /// # Errors
    /// As for [`check_params`].
    pub fn of(params: &Payload) -> Result<Self> {
        let given = |member: &str| params.get(member).filter(|value| !value.is_null());
        let number = |member: &str| {
            let length = |value: &Value| value.as_u64().and_then(|length| usize::try_from(length).ok());
            given(member)
                .map(|value| length(value).ok_or_else(|| Error::invalid(member, "must be a length")))
                .transpose()
        };
        let is_set = |member: &str| given(member).map(|value| flag(member, value)).transpose();
        is_set("phrase_matching")?;
        let (stop_languages, stop_words) =
            given("stopwords").map(stop_words).transpose()?.unwrap_or_default();
        Ok(Self {
            tokenizer: given("tokenizer").map(tokenizer).transpose()?.unwrap_or_default(),
            min_chars: number("min_token_len")?,
            max_chars: number("max_token_len")?,
            keeps_case: is_set("lowercase")? == Some(false),
            folds: is_set("ascii_folding")? == Some(true),
            stop_languages,
            stop_words,
            stemmer: given("stemmer").map(stemmer).transpose()?.flatten(),
        })
    }
}

fn placement(value: &Value) -> Result<()> {
    match value.as_str() {
        Some("cold" | "cached" | "pinned") => Ok(()),
        _ => Err(Error::invalid(MEMORY, "must be one of cold, cached, pinned")),
    }
}

fn flag(member: &str, value: &Value) -> Result<bool> {
    value.as_bool().ok_or_else(|| Error::invalid(member, "must be true or false"))
}

fn tokenizer(value: &Value) -> Result<Tokenizer> {
    Ok(match value.as_str() {
        Some("word") => Tokenizer::Word,
        Some("whitespace") => Tokenizer::Whitespace,
        Some("prefix") => Tokenizer::Prefix,
        Some("multilingual") => Tokenizer::Multilingual,
        _ => return Err(Error::invalid("tokenizer", "is none of word, whitespace, prefix, multilingual")),
    })
}

/// A language, or `{languages, custom}`.
fn stop_words(value: &Value) -> Result<(Vec<Language>, Vec<String>)> {
    let wrong =
        || Error::invalid("stopwords", "must be a language, or an object with `languages` and `custom`");
    let texts = |value: &Value| -> Result<Vec<String>> {
        let items = value.as_array().ok_or_else(wrong)?.iter();
        items.map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    };
    let (mut languages, mut custom) = (Vec::new(), Vec::new());
    match value {
        Value::String(name) => languages.push(stopped(name)?),
        Value::Object(set) => {
            for (member, value) in set.iter().filter(|(_, value)| !value.is_null()) {
                match member.as_str() {
                    "languages" => {
                        languages = texts(value)?.iter().map(|name| stopped(name)).collect::<Result<_>>()?;
                    }
                    "custom" => custom = texts(value)?,
                    _ => return Err(wrong()),
                }
            }
        }
        _ => return Err(wrong()),
    }
    Ok((languages, custom))
}

/// A language with stop words.
fn stopped(name: &str) -> Result<Language> {
    let language = name.parse::<Language>().ok().filter(|language| language.has_stop_words());
    language.ok_or_else(|| {
        let known = Language::NAMES.iter().filter(|(language, _)| language.has_stop_words());
        let known: Vec<&str> = known.map(|(_, name)| *name).collect();
        Error::invalid("stopwords", format!("`{name}` is none of {}", known.join(", ")))
    })
}

/// `{type: snowball, language}` or `{type: none}`.
fn stemmer(value: &Value) -> Result<Option<Language>> {
    let wrong = |why: String| Error::invalid("stemmer", why);
    let language = match (value["type"].as_str(), value["language"].as_str()) {
        (Some("none"), None) => return Ok(None),
        (Some("snowball"), Some(language)) => language,
        _ => {
            return Err(wrong(
                "must be {\"type\": \"snowball\", \"language\": …} or {\"type\": \"none\"}".to_owned(),
            ));
        }
    };
    match language.parse::<Language>() {
        Ok(language) if language != Language::None => Ok(Some(language)),
        _ => {
            let known: Vec<&str> = Language::NAMES[1..].iter().map(|(_, name)| *name).collect();
            Err(wrong(format!("`{language}` is none of {}", known.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: FieldKind, params: &Value) -> Result<()> {
        check_params(kind, params.as_object().expect("an object"))
    }

    #[test]
    fn options_of_a_kind_are_known_and_others_are_refused_by_name() {
        let text = json!({
            "type": "text", "tokenizer": "prefix", "min_token_len": 2, "max_token_len": 9, "lowercase": false,
            "ascii_folding": true, "phrase_matching": true, "stopwords": {"languages": ["english"], "custom": ["x"]},
            "stemmer": {"type": "snowball", "language": "german"}, "on_disk": true, "enable_hnsw": null,
        });
        check(FieldKind::Text, &text).expect("all of them");
        check(FieldKind::Keyword, &json!({"type": "keyword", "is_tenant": true})).expect("a tenant");
        check(FieldKind::Integer, &json!({"lookup": false, "range": true})).expect("ranges");
        let cases = [
            (FieldKind::Keyword, json!({"tokenizer": "word"}), "tokenizer"),
            (FieldKind::Integer, json!({"lookup": 1}), "lookup"),
            (FieldKind::Integer, json!({"lookup": false, "range": false}), "lookup"),
            (FieldKind::Text, json!({"is_tenant": true}), "is_tenant"),
            (FieldKind::Text, json!({"tokenizer": "words"}), "tokenizer"),
            (FieldKind::Text, json!({"min_token_len": -1}), "min_token_len"),
            (FieldKind::Text, json!({"lowercase": "no"}), "lowercase"),
            (FieldKind::Text, json!({"phrase_matching": 1}), "phrase_matching"),
            (FieldKind::Text, json!({"stopwords": "greek"}), "stopwords"),
            (FieldKind::Text, json!({"stopwords": {"words": []}}), "stopwords"),
            (FieldKind::Text, json!({"stemmer": {"type": "snowball", "language": "latin"}}), "stemmer"),
            (FieldKind::Text, json!({"stemmer": "english"}), "stemmer"),
        ];
        for (kind, params, field) in cases {
            assert_eq!(check(kind, &params).expect_err(field).field(), Some(field), "{params}");
        }
    }
}
