//! Rows of the catalog in `meta`, format version 1: one entry a collection.
//!
//! ```text
//!  body: JSON text of an object
//!    name      the collection's name
//!    vectors   name -> {space, dim, metric, datatype?, codes?, memory?, model?}     space: the number in the keys of
//!    `vectors`
//!    keyword   {paths, language} or null
//!    fields    path -> kind
//!    sparse?   name -> {space, modifier?, index?: {full_scan_threshold?, on_disk?, datatype?}}
//!    multi?    as `vectors`: the spaces of multivectors
//!    params?   path -> what was said of its index beside the kind, to be told again; decides the words of texts
//!    history_s? seconds for which past states can be read: an integer above 0
//!    recall?   what queries find that ask for nothing else: a number above 0, at most 1
//!    hybrid?   {words_least, words_most}: what words weigh in an adaptive fusion, numbers from 0 to 1
//!    settings? any object: what a door was told, to be told again
//!  datatype: float32, float16, uint8; codes: bits8, bits1, off; memory: cold, cached; the first of them where the
//!  member is missing
//!  modifier: none, idf; index: what was said of it, to be told again
//!  model: {name, revision, dim, tokens_max, query_prefix, document_prefix, is_normalised}
//! ```
//!
//! JSON, because the entry is small, rare, and gains optional members with later versions. A member that this version
//! does not know is refused: it may change the meaning of the data. A member with a mark is written only when it says
//! something, so that older code reads what it understands.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use types::{
    Codes, CollectionId, Datatype, Error, FieldPath, HybridWeights, KeywordField, Memory, ModelIdentity,
    Result, Schema, SparseOptions, SparseSpec, VectorSpec,
};

use super::point::Space;

/// A collection as the catalog knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogEntry {
    /// Its number.
    pub id: CollectionId,
    /// Its name.
    pub name: String,
    /// What it holds.
    pub schema: Schema,
    /// The number of each vector space in keys.
    pub spaces: BTreeMap<String, u16>,
}

impl CatalogEntry {
    /// A new entry; spaces are numbered in the order of their names, the sparse ones behind the others.
    pub fn new(id: CollectionId, name: &str, schema: Schema) -> Self {
        let spaces = schema.names().cloned().zip(0_u16..).collect();
        Self { id, name: name.to_owned(), schema, spaces }
    }

    /// The entry with another schema: vectors that both have keep their numbers. The number of a vector that goes is
    /// free from the next commit on: its rows are there until this one.
    ///
    /// # Errors
    /// `LimitExceeded` when there is no further number.
    pub fn with(&self, schema: Schema) -> Result<Self> {
        let mut spaces = self.spaces.clone();
        let next = spaces.values().max().map_or(0, |number| usize::from(*number) + 1);
        spaces.retain(|name, _| schema.names().any(|other| other == name));
        for (number, name) in (next..).zip(schema.names().filter(|name| !self.spaces.contains_key(*name))) {
            let number = u16::try_from(number).map_err(|_| {
                Error::limit("vectors", "the number of vectors", number, usize::from(u16::MAX))
            })?;
            spaces.insert(name.clone(), number);
        }
        Ok(Self { id: self.id, name: self.name.clone(), schema, spaces })
    }

    /// A vector space: its number in keys, and what it holds.
    pub fn space(&self, name: &str) -> Option<(u16, Space<'_>)> {
        let number = *self.spaces.get(name)?;
        match self.schema.vectors.get(name) {
            Some(spec) => Some((number, Space::Dense(spec))),
            None if self.schema.sparse.contains_key(name) => Some((number, Space::Sparse)),
            None => self.schema.multi.get(name).map(|spec| (number, Space::Multi(spec))),
        }
    }
}

/// The body of an entry.
pub fn encode(entry: &CatalogEntry) -> Vec<u8> {
    let vectors: Map<String, Value> =
        entry.schema.vectors.iter().map(|(name, spec)| (name.clone(), space(entry, name, spec))).collect();
    let keyword = entry.schema.keyword.as_ref().map(|keyword| {
        let paths: Vec<String> = keyword.paths.iter().map(ToString::to_string).collect();
        json!({"paths": paths, "language": keyword.language.name()})
    });
    let fields: Map<String, Value> =
        entry.schema.fields.iter().map(|(path, kind)| (path.to_string(), kind.name().into())).collect();
    let mut tree = json!({"name": entry.name, "vectors": vectors, "keyword": keyword, "fields": fields});
    if !entry.schema.sparse.is_empty() {
        let sparse = entry.schema.sparse.iter();
        let sparse: Map<String, Value> =
            sparse.map(|(name, spec)| (name.clone(), sparse_space(entry, name, spec))).collect();
        tree["sparse"] = sparse.into();
    }
    if !entry.schema.multi.is_empty() {
        let multi = entry.schema.multi.iter();
        let multi: Map<String, Value> =
            multi.map(|(name, spec)| (name.clone(), space(entry, name, spec))).collect();
        tree["multi"] = multi.into();
    }
    if !entry.schema.params.is_empty() {
        let params = entry.schema.params.iter();
        let params: Map<String, Value> =
            params.map(|(path, params)| (path.to_string(), params.clone().into())).collect();
        tree["params"] = params.into();
    }
    if let Some(recall) = entry.schema.recall {
        tree["recall"] = f64::from(recall).into();
    }
    if let Some(HybridWeights { words_least, words_most }) = entry.schema.hybrid {
        tree["hybrid"] = json!({"words_least": f64::from(words_least), "words_most": f64::from(words_most)});
    }
    if entry.schema.history_s > 0 {
        tree["history_s"] = entry.schema.history_s.into();
    }
    if !entry.schema.settings.is_empty() {
        tree["settings"] = entry.schema.settings.clone().into();
    }
    tree.to_string().into_bytes()
}

fn space(entry: &CatalogEntry, name: &str, spec: &VectorSpec) -> Value {
    let mut tree = json!({"space": entry.spaces.get(name), "dim": spec.dim, "metric": spec.metric.name()});
    if spec.datatype != Datatype::default() {
        tree["datatype"] = spec.datatype.name().into();
    }
    if spec.codes != Codes::default() {
        tree["codes"] = spec.codes.name().into();
    }
    if spec.memory != Memory::default() {
        tree["memory"] = spec.memory.name().into();
    }
    if let Some(model) = &spec.model {
        tree["model"] = json!({
            "name": model.name,
            "revision": model.revision,
            "dim": model.dim,
            "tokens_max": model.tokens_max,
            "query_prefix": model.query_prefix,
            "document_prefix": model.document_prefix,
            "is_normalised": model.is_normalised,
        });
    }
    tree
}

fn sparse_space(entry: &CatalogEntry, name: &str, spec: &SparseSpec) -> Value {
    let mut tree = json!({"space": entry.spaces.get(name)});
    if let Some(modifier) = spec.modifier {
        tree["modifier"] = modifier.name().into();
    }
    if let Some(SparseOptions { full_scan_threshold, on_disk, datatype }) = spec.index {
        let members = [
            ("full_scan_threshold", full_scan_threshold.map(Value::from)),
            ("on_disk", on_disk.map(Value::from)),
            ("datatype", datatype.map(|datatype| datatype.name().into())),
        ];
        let said = members.into_iter().filter_map(|(member, value)| Some((member.to_owned(), value?)));
        tree["index"] = said.collect::<Map<String, Value>>().into();
    }
    tree
}

/// The entry in a body.
///
/// # Errors
/// `Corrupted` when it does not parse, naming the member.
pub fn decode(id: CollectionId, body: &[u8]) -> Result<CatalogEntry> {
    let damaged = |why: String| Error::corrupted(format!("the catalog entry of collection {}", id.0), why);
    let tree: Value = serde_json::from_slice(body).map_err(|source| damaged(source.to_string()))?;
    parse(id, &tree).map_err(|error| damaged(error.to_string()))
}

fn parse(id: CollectionId, tree: &Value) -> Result<CatalogEntry> {
    let members = [
        "name",
        "vectors",
        "keyword",
        "fields",
        "params",
        "sparse",
        "multi",
        "recall",
        "hybrid",
        "history_s",
        "settings",
    ];
    only(tree, &members)?;
    let mut entry = CatalogEntry::new(id, text(tree, "name")?, Schema::new());
    for (name, inner) in object(tree, "vectors")? {
        let space = u16::try_from(number(inner, "space")?).map_err(|_| missing("space"))?;
        entry.spaces.insert(name.clone(), space);
        entry.schema.vectors.insert(name.clone(), parse_space(inner)?);
    }
    if tree.get("sparse").is_some() {
        for (name, inner) in object(tree, "sparse")? {
            let space = u16::try_from(number(inner, "space")?).map_err(|_| missing("space"))?;
            entry.spaces.insert(name.clone(), space);
            entry.schema.sparse.insert(name.clone(), parse_sparse(inner)?);
        }
    }
    if tree.get("multi").is_some() {
        for (name, inner) in object(tree, "multi")? {
            let space = u16::try_from(number(inner, "space")?).map_err(|_| missing("space"))?;
            entry.spaces.insert(name.clone(), space);
            entry.schema.multi.insert(name.clone(), parse_space(inner)?);
        }
    }
    if let Some(inner) = tree.get("keyword").filter(|inner| !inner.is_null()) {
        entry.schema.keyword = Some(parse_keyword(inner)?);
    }
    for (path, kind) in object(tree, "fields")? {
        let kind = kind.as_str().ok_or_else(|| missing("fields"))?.parse()?;
        entry.schema.fields.insert(path.parse()?, kind);
    }
    if tree.get("params").is_some() {
        for (path, params) in object(tree, "params")? {
            let params = params.as_object().ok_or_else(|| missing("params"))?;
            entry.schema.params.insert(path.parse()?, params.clone());
        }
    }
    let recall = tree.get("recall").map(|recall| recall.as_f64().ok_or_else(|| missing("recall")));
    entry.schema.recall = recall.transpose()?.map(|recall| recall as f32);
    entry.schema.hybrid = tree.get("hybrid").map(parse_hybrid).transpose()?;
    if tree.get("history_s").is_some() {
        let seconds = u32::try_from(number(tree, "history_s")?).map_err(|_| missing("history_s"))?;
        entry.schema.history_s = seconds;
    }
    if tree.get("settings").is_some() {
        entry.schema.settings = object(tree, "settings")?.clone();
    }
    Ok(entry)
}

fn parse_space(tree: &Value) -> Result<VectorSpec> {
    only(tree, &["space", "dim", "metric", "datatype", "codes", "memory", "model"])?;
    let named = |member: &str| tree.get(member).map(|_| text(tree, member)).transpose();
    let spec = VectorSpec::new(number(tree, "dim")?, text(tree, "metric")?.parse()?);
    Ok(VectorSpec {
        datatype: named("datatype")?.map_or(Ok(Datatype::default()), str::parse)?,
        codes: named("codes")?.map_or(Ok(Codes::default()), str::parse)?,
        memory: named("memory")?.map_or(Ok(Memory::default()), str::parse)?,
        model: tree.get("model").map(parse_model).transpose()?,
        ..spec
    })
}

fn parse_sparse(tree: &Value) -> Result<SparseSpec> {
    only(tree, &["space", "modifier", "index"])?;
    let modifier = tree.get("modifier").map(|_| text(tree, "modifier")).transpose()?;
    let options = |inner: &Value| -> Result<SparseOptions> {
        only(inner, &["full_scan_threshold", "on_disk", "datatype"])?;
        let on_disk = inner.get("on_disk").map(|flag| flag.as_bool().ok_or_else(|| missing("on_disk")));
        let threshold = inner.get("full_scan_threshold").map(|_| number(inner, "full_scan_threshold"));
        let datatype = inner.get("datatype").map(|_| text(inner, "datatype")?.parse());
        Ok(SparseOptions {
            full_scan_threshold: threshold.transpose()?,
            on_disk: on_disk.transpose()?,
            datatype: datatype.transpose()?,
        })
    };
    let index = tree.get("index").map(options);
    Ok(SparseSpec { modifier: modifier.map(str::parse).transpose()?, index: index.transpose()? })
}

fn parse_keyword(tree: &Value) -> Result<KeywordField> {
    only(tree, &["paths", "language"])?;
    let paths = tree.get("paths").and_then(Value::as_array).ok_or_else(|| missing("paths"))?;
    let paths: Result<Vec<FieldPath>> =
        paths.iter().map(|path| path.as_str().ok_or_else(|| missing("paths"))?.parse()).collect();
    Ok(KeywordField { paths: paths?, language: text(tree, "language")?.parse()? })
}

fn parse_hybrid(tree: &Value) -> Result<HybridWeights> {
    only(tree, &["words_least", "words_most"])?;
    let weight = |member: &str| tree.get(member).and_then(Value::as_f64).ok_or_else(|| missing(member));
    let weights = HybridWeights {
        words_least: weight("words_least")? as f32,
        words_most: weight("words_most")? as f32,
    };
    weights.check().map(|()| weights)
}

fn parse_model(tree: &Value) -> Result<ModelIdentity> {
    only(
        tree,
        &["name", "revision", "dim", "tokens_max", "query_prefix", "document_prefix", "is_normalised"],
    )?;
    Ok(ModelIdentity {
        name: text(tree, "name")?.to_owned(),
        revision: text(tree, "revision")?.to_owned(),
        dim: number(tree, "dim")?,
        tokens_max: number(tree, "tokens_max")?,
        query_prefix: text(tree, "query_prefix")?.to_owned(),
        document_prefix: text(tree, "document_prefix")?.to_owned(),
        is_normalised: tree
            .get("is_normalised")
            .and_then(Value::as_bool)
            .ok_or_else(|| missing("is_normalised"))?,
    })
}

fn missing(member: &str) -> Error {
    Error::invalid(member, "is missing or has another type")
}

fn text<'a>(tree: &'a Value, member: &str) -> Result<&'a str> {
    tree.get(member).and_then(Value::as_str).ok_or_else(|| missing(member))
}

fn number(tree: &Value, member: &str) -> Result<usize> {
    let number = tree.get(member).and_then(Value::as_u64).ok_or_else(|| missing(member))?;
    usize::try_from(number).map_err(|_| missing(member))
}

fn object<'a>(tree: &'a Value, member: &str) -> Result<&'a Map<String, Value>> {
    tree.get(member).and_then(Value::as_object).ok_or_else(|| missing(member))
}

fn only(tree: &Value, known: &[&str]) -> Result<()> {
    let fields = tree.as_object().ok_or_else(|| missing("the object"))?;
    match fields.keys().find(|member| !known.contains(&member.as_str())) {
        Some(unknown) => Err(Error::invalid(unknown, "is not known to this version")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{FieldKind, Language, Metric};

    fn entry() -> CatalogEntry {
        let model = ModelIdentity {
            name: "m".into(),
            revision: "00ff".into(),
            dim: 3,
            tokens_max: 256,
            query_prefix: "q: ".into(),
            document_prefix: String::new(),
            is_normalised: true,
        };
        let spec = VectorSpec { model: Some(model), ..VectorSpec::new(3, Metric::Cosine) };
        let schema = Schema::new()
            .vector(2, Metric::Dot)
            .named_vector("text", spec)
            .keyword(["a.b".parse().expect("a path")], Language::English)
            .field("n[].k".parse().expect("a path"), FieldKind::Integer);
        CatalogEntry::new(CollectionId(1), "notes", schema)
    }

    #[test]
    fn an_entry_has_its_golden_text() {
        let golden = r#"{"name":"notes","vectors":{"":{"space":0,"dim":2,"metric":"Dot"},"text":{"space":1,"dim":3,"metric":"Cosine","model":{"name":"m","revision":"00ff","dim":3,"tokens_max":256,"query_prefix":"q: ","document_prefix":"","is_normalised":true}}},"keyword":{"paths":["a.b"],"language":"english"},"fields":{"n[].k":"integer"}}"#;
        assert_eq!(String::from_utf8(encode(&entry())).expect("text"), golden);
        assert_eq!(decode(CollectionId(1), golden.as_bytes()).expect("whole"), entry());
    }

    #[test]
    fn what_is_not_the_default_is_written_and_read() {
        let spec = VectorSpec::new(2, Metric::Dot).stored_as(Datatype::Uint8).found_by(Codes::Bits1);
        let spec = spec.kept(Memory::Cached);
        let schema = Schema::new().named_vector("v", spec).recall(0.75);
        let entry = CatalogEntry::new(CollectionId(1), "c", schema);
        let golden = r#"{"name":"c","vectors":{"v":{"space":0,"dim":2,"metric":"Dot","datatype":"uint8","codes":"bits1","memory":"cached"}},"keyword":null,"fields":{},"recall":0.75}"#;
        assert_eq!(String::from_utf8(encode(&entry)).expect("text"), golden);
        assert_eq!(decode(CollectionId(1), golden.as_bytes()).expect("whole"), entry);
        let finer = Schema::new().recall(0.97).history(60);
        let entry = CatalogEntry::new(CollectionId(1), "c", finer);
        assert_eq!(decode(CollectionId(1), &encode(&entry)).expect("whole"), entry);
        for (from, to) in [
            ("\"uint8\"", "\"int8\""),
            ("\"bits1\"", "1"),
            ("\"cached\"", "\"hot\""),
            ("0.75", "\"0.75\""),
            ("\"codes\"", "\"code\""),
        ] {
            let error = decode(CollectionId(1), golden.replacen(from, to, 1).as_bytes()).expect_err(to);
            assert_eq!(error.kind(), types::ErrorKind::Corrupted);
        }
    }

    #[test]
    fn sparse_spaces_are_numbered_behind_the_others_and_say_what_was_said() {
        let options = SparseOptions {
            full_scan_threshold: Some(9),
            on_disk: Some(true),
            datatype: Some(Datatype::Float16),
        };
        let spec = SparseSpec { index: Some(options), ..SparseSpec::idf() };
        let schema = Schema::new().vector(2, Metric::Dot).sparse_vector("s", spec);
        let schema = schema.sparse_vector("plain", SparseSpec::default());
        let entry = CatalogEntry::new(CollectionId(1), "c", schema);
        let golden = r#"{"name":"c","vectors":{"":{"space":0,"dim":2,"metric":"Dot"}},"keyword":null,"fields":{},"sparse":{"plain":{"space":1},"s":{"space":2,"modifier":"idf","index":{"full_scan_threshold":9,"on_disk":true,"datatype":"float16"}}}}"#;
        assert_eq!(String::from_utf8(encode(&entry)).expect("text"), golden);
        assert_eq!(decode(CollectionId(1), golden.as_bytes()).expect("whole"), entry);
        for (from, to) in [("\"idf\"", "\"tf\""), ("true", "1"), ("9", "-9"), ("on_disk", "on_disc")] {
            let error = decode(CollectionId(1), golden.replacen(from, to, 1).as_bytes()).expect_err(to);
            assert_eq!(error.kind(), types::ErrorKind::Corrupted);
        }
    }

    #[test]
    fn a_number_is_not_given_by_the_commit_that_frees_it() {
        let schema = |names: [&str; 2]| {
            let space =
                |schema: Schema, name: &str| schema.named_vector(name, VectorSpec::new(2, Metric::Dot));
            names.into_iter().fold(Schema::new(), space)
        };
        let numbers = |entry: &CatalogEntry| entry.spaces.values().copied().collect::<Vec<u16>>();
        let before = CatalogEntry::new(CollectionId(1), "c", schema(["a", "b"]));
        let after = before.with(schema(["a", "c"])).expect("a number");
        let last = after.with(schema(["a", "d"])).expect("a number");
        assert_eq!([&before, &after, &last].map(numbers), [[0, 1], [0, 2], [0, 3]]);
    }

    #[test]
    fn settings_are_kept_as_they_are() {
        let mut schema = Schema::new();
        schema.settings.insert("metadata".into(), json!({"b": [1, 2.5, null], "a": "x"}));
        let entry = CatalogEntry::new(CollectionId(1), "c", schema);
        let golden = r#"{"name":"c","vectors":{},"keyword":null,"fields":{},"settings":{"metadata":{"b":[1,2.5,null],"a":"x"}}}"#;
        assert_eq!(String::from_utf8(encode(&entry)).expect("text"), golden);
        assert_eq!(decode(CollectionId(1), golden.as_bytes()).expect("whole"), entry);
        let other = golden.replace("{\"metadata\":{\"b\":[1,2.5,null],\"a\":\"x\"}}", "[]");
        assert_eq!(
            decode(CollectionId(1), other.as_bytes()).expect_err("no object").kind(),
            types::ErrorKind::Corrupted
        );
    }

    #[test]
    fn weights_of_words_are_kept() {
        let weights = HybridWeights { words_least: 0.25, words_most: 0.5 };
        let entry = CatalogEntry::new(CollectionId(1), "c", Schema::new().hybrid(weights));
        let golden = r#"{"name":"c","vectors":{},"keyword":null,"fields":{},"hybrid":{"words_least":0.25,"words_most":0.5}}"#;
        assert_eq!(String::from_utf8(encode(&entry)).expect("text"), golden);
        assert_eq!(decode(CollectionId(1), golden.as_bytes()).expect("whole"), entry);
        for (from, to) in [("0.5", "\"0.5\""), ("0.5", "1.5"), ("words_most", "word_most")] {
            let error = decode(CollectionId(1), golden.replacen(from, to, 1).as_bytes()).expect_err(to);
            assert_eq!(error.kind(), types::ErrorKind::Corrupted);
        }
    }

    #[test]
    fn multivectors_stand_apart() {
        let spec = VectorSpec::new(2, Metric::Dot).stored_as(Datatype::Float16);
        let entry = CatalogEntry::new(CollectionId(1), "c", Schema::new().multi_vector("m", spec));
        let golden = r#"{"name":"c","vectors":{},"keyword":null,"fields":{},"multi":{"m":{"space":0,"dim":2,"metric":"Dot","datatype":"float16"}}}"#;
        assert_eq!(String::from_utf8(encode(&entry)).expect("text"), golden);
        assert_eq!(decode(CollectionId(1), golden.as_bytes()).expect("whole"), entry);
    }

    #[test]
    fn what_was_said_of_an_index_is_kept_as_it_was_said() {
        let path: FieldPath = "t".parse().expect("a path");
        let mut schema = Schema::new().field(path.clone(), FieldKind::Text);
        let params = json!({"type": "text", "tokenizer": "prefix", "lowercase": false});
        schema.params.insert(path, params.as_object().expect("an object").clone());
        let entry = CatalogEntry::new(CollectionId(1), "c", schema);
        let golden = r#"{"name":"c","vectors":{},"keyword":null,"fields":{"t":"text"},"params":{"t":{"type":"text","tokenizer":"prefix","lowercase":false}}}"#;
        assert_eq!(String::from_utf8(encode(&entry)).expect("text"), golden);
        assert_eq!(decode(CollectionId(1), golden.as_bytes()).expect("whole"), entry);
    }

    #[test]
    fn what_it_does_not_know_it_refuses() {
        let golden = String::from_utf8(encode(&entry())).expect("text");
        for (from, to) in [
            ("\"fields\"", "\"fielts\""),
            ("\"Dot\"", "\"Dut\""),
            ("\"dim\":2", "\"dim\":\"2\""),
            ("}}", "}"),
        ] {
            let error = decode(CollectionId(1), golden.replacen(from, to, 1).as_bytes()).expect_err(to);
            assert_eq!(error.kind(), types::ErrorKind::Corrupted);
        }
    }
}
