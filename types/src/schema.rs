//! The schema of a collection: its vector spaces, its keyword index, its indexed payload fields.
//!
//! ```
//! use kithdb_types::{Codes, Datatype, Metric, Schema, VectorSpec};
//!
//! // Half the bytes on disk, an eighth of the codes in memory, and a query that says nothing finds 95 %.
//! let space = VectorSpec::new(768, Metric::Cosine).stored_as(Datatype::Float16).found_by(Codes::Bits1);
//! let schema = Schema::new().named_vector("text", space).recall(0.95);
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::payload::{self, Payload};
use crate::vector::DEFAULT_VECTOR;
use crate::{
    Error, ErrorKind, FieldPath, HybridWeights, Language, Limits, Metric, Result, SparseSpec, TextOptions,
    Vector, VectorSpec,
};

/// What a collection holds and which indexes are kept over it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// Vector spaces by name; the unnamed one is [`DEFAULT_VECTOR`].
    pub vectors: BTreeMap<String, VectorSpec>,
    /// Spaces of sparse vectors by name; a name is that of one space only.
    pub sparse: BTreeMap<String, SparseSpec>,
    /// Spaces of multivectors by name, each row of which is a vector of the space. No graph is built over them.
    pub multi: BTreeMap<String, VectorSpec>,
    /// The keyword index, if there is one.
    pub keyword: Option<KeywordField>,
    /// Indexed payload fields.
    pub fields: BTreeMap<FieldPath, FieldKind>,
    /// What was said of these indexes beside their kinds, `type` included, as it was said.
    pub params: BTreeMap<FieldPath, Payload>,
    /// The part of the true hits, above 0 and at most 1, that a query should find which asks for no other.
    pub recall: Option<f32>,
    /// What words weigh in an adaptive fusion that says nothing of it; set, or learned from judgements.
    pub hybrid: Option<HybridWeights>,
    /// Seconds for which past states can be read; 0 keeps none.
    pub history_s: u32,
    /// What a door was told that decides nothing here, and that it tells again; by names of its own.
    pub settings: Payload,
}

/// The keyword index of a collection: the texts at these paths, taken together, ranked by BM25.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeywordField {
    /// Where the texts lie in the payload. Strings and arrays of strings count.
    pub paths: Vec<FieldPath>,
    /// Decides stemming and stop words.
    pub language: Language,
}

/// The kind of an indexed payload field: which values its index holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// Strings, for `match`.
    Keyword,
    /// Integers, for `match` and `range`.
    Integer,
    /// Numbers, for `range`.
    Float,
    /// Booleans, for `match`.
    Bool,
    /// Times, for ranges of them.
    Datetime,
    /// UUIDs, for `match`. As a keyword, but for the spellings of one UUID, which are the same (see
    /// [`uuids`](crate::uuids)).
    Uuid,
    /// Places, for areas.
    Geo,
    /// The words of strings, for `match` of `text`, `text_any` and `phrase`.
    Text,
}

impl Schema {
    /// A schema without vectors, keywords or fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the unnamed vector space.
    #[must_use]
    pub fn vector(self, dim: usize, metric: Metric) -> Self {
        self.named_vector(DEFAULT_VECTOR, VectorSpec::new(dim, metric))
    }

    /// Adds a named vector space.
    #[must_use]
    pub fn named_vector(mut self, name: &str, spec: VectorSpec) -> Self {
        self.vectors.insert(name.to_owned(), spec);
        self
    }

    /// Adds a named space of sparse vectors.
    #[must_use]
    pub fn sparse_vector(mut self, name: &str, spec: SparseSpec) -> Self {
        self.sparse.insert(name.to_owned(), spec);
        self
    }

    /// Adds a named space of multivectors.
    #[must_use]
    pub fn multi_vector(mut self, name: &str, spec: VectorSpec) -> Self {
        self.multi.insert(name.to_owned(), spec);
        self
    }

    /// Adds a keyword index over the texts at `paths`.
    #[must_use]
    pub fn keyword(mut self, paths: impl IntoIterator<Item = FieldPath>, language: Language) -> Self {
        self.keyword = Some(KeywordField { paths: paths.into_iter().collect(), language });
        self
    }

    /// What queries find of the true hits that name no recall and no window: above 0, at most 1, which is exact.
    #[must_use]
    pub fn recall(self, recall: f32) -> Self {
        Self { recall: Some(recall), ..self }
    }

    /// What words weigh in an adaptive fusion that says nothing of it.
    #[must_use]
    pub fn hybrid(self, weights: HybridWeights) -> Self {
        Self { hybrid: Some(weights), ..self }
    }

    /// Past states can be read for so many seconds.
    #[must_use]
    pub fn history(self, history_s: u32) -> Self {
        Self { history_s, ..self }
    }

    /// Indexes a payload field.
    #[must_use]
    pub fn field(mut self, path: FieldPath, kind: FieldKind) -> Self {
        self.fields.insert(path, kind);
        self
    }

    /// Checks the schema itself.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] or `LimitExceeded`, naming the part at fault.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        let count = self.names().count();
        if count > limits.vectors_max {
            return Err(Error::limit("vectors", "the number of vectors", count, limits.vectors_max));
        }
        let chars = self.names().map(|name| name.chars().count()).max().unwrap_or(0);
        if chars > limits.name_chars_max {
            // A segment would have no room for it.
            return Err(Error::limit(
                "vectors",
                "the length of a vector's name",
                chars,
                limits.name_chars_max,
            ));
        }
        for (name, spec) in self.vectors.iter().chain(&self.multi) {
            spec.check(limits).map_err(|error| {
                error.within(&if name.is_empty() { "vectors".to_owned() } else { format!("vectors.{name}") })
            })?;
        }
        if let Some(name) = self.multi.keys().find(|name| self.vectors.contains_key(*name)) {
            let message = "is the name of a vector of one row too; a name is that of one vector";
            return Err(Error::invalid(format!("vectors.{name}"), message));
        }
        let is_dense = |name: &&String| self.vectors.contains_key(*name) || self.multi.contains_key(*name);
        if let Some(name) = self.sparse.keys().find(is_dense) {
            let message = format!(
                "Wrong input: Dense and sparse vector names must be unique - duplicate found with '{name}'"
            );
            return Err(Error::invalid(format!("sparse_vectors.{name}"), message));
        }
        if self.recall.is_some_and(|recall| !(recall > 0.0 && recall <= 1.0)) {
            return Err(Error::invalid("recall", "must be above 0 and at most 1"));
        }
        if let Some(weights) = self.hybrid {
            weights.check().map_err(|error| error.within("hybrid_weights"))?;
        }
        let settings_bytes = payload::bytes(&self.settings);
        if settings_bytes > limits.payload_bytes_max {
            let what = "the size of all settings in bytes";
            return Err(Error::limit("settings", what, settings_bytes, limits.payload_bytes_max));
        }
        match &self.keyword {
            Some(keyword) if keyword.paths.is_empty() => {
                Err(Error::invalid("keyword", "names no payload path; name at least one, such as `text`"))
            }
            _ => Ok(()),
        }
    }

    /// How the words of a text field are made, if it is indexed and anything was said.
    pub fn text_options(&self, path: &FieldPath) -> Option<TextOptions> {
        let params = self.params.get(path).filter(|_| self.fields.get(path) == Some(&FieldKind::Text))?;
        // What is kept was checked before.
        TextOptions::of(params).ok().filter(|options| *options != TextOptions::default())
    }

    /// The space of dense vectors of a name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`], listing the names that exist.
    pub fn space(&self, name: &str) -> Result<&VectorSpec> {
        let other =
            |kind| Error::invalid("using", format!("`{name}` is a {kind}; a dense vector is needed here"));
        self.vectors.get(name).ok_or_else(|| match () {
            () if self.sparse.contains_key(name) => other("sparse vector"),
            () if self.multi.contains_key(name) => other("multivector"),
            () => self.unknown(name),
        })
    }

    /// The space of sparse vectors of a name.
    ///
    /// # Errors
    /// As for [`space`](Self::space).
    pub fn sparse_space(&self, name: &str) -> Result<&SparseSpec> {
        self.sparse.get(name).ok_or_else(|| match self.check_name(name) {
            Ok(()) => {
                Error::invalid("using", format!("`{name}` is a dense vector; a sparse one is needed here"))
            }
            Err(error) => error,
        })
    }

    /// Whether both have the same vectors, as far as what is stored of them depends on it.
    pub fn has_vectors_of(&self, other: &Self) -> bool {
        let are_same = |a: &BTreeMap<String, VectorSpec>, b: &BTreeMap<String, VectorSpec>| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && a.1.is_stored_as(b.1))
        };
        are_same(&self.vectors, &other.vectors)
            && are_same(&self.multi, &other.multi)
            && self.sparse.keys().eq(other.sparse.keys())
    }

    /// The names of all vectors: of the dense ones, of the sparse ones, of the multivectors.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.vectors.keys().chain(self.sparse.keys()).chain(self.multi.keys())
    }

    /// Checks a vector that is to be stored under a name, and makes it what will be read again.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that does not exist, a vector of another kind, or what [`VectorSpec::admit`] and
    /// [`SparseVector::check`](crate::SparseVector::check) refuse; only the latter name a place in the vector.
    pub fn admit(&self, name: &str, vector: &mut Vector, limits: &Limits) -> Result<()> {
        if let Some(spec) = self.multi.get(name) {
            return spec.admit_rows(vector, limits);
        }
        match vector {
            Vector::Multi(_) if self.vectors.contains_key(name) => {
                let message = "is a list of vectors, and this vector has one row; see multivector_config";
                Err(Error::new(ErrorKind::InvalidArgument, message))
            }
            Vector::Multi(_) => {
                let space = self.sparse_space(name).err();
                let message =
                    space.map_or("is no sparse vector".to_owned(), |error| error.message().to_owned());
                Err(Error::new(ErrorKind::InvalidArgument, message))
            }
            Vector::Dense(elements) => {
                let spec = self.space(name).map_err(|error| Error::new(error.kind(), error.message()))?;
                spec.admit(elements)
            }
            Vector::Sparse(vector) => {
                self.sparse_space(name).map_err(|error| Error::new(error.kind(), error.message()))?;
                vector.check(limits)
            }
        }
    }

    /// Whether there is a vector of a name, of any kind.
    ///
    /// # Errors
    /// As for [`space`](Self::space).
    pub fn check_name(&self, name: &str) -> Result<()> {
        if self.names().any(|known| known == name) { Ok(()) } else { Err(self.unknown(name)) }
    }

    fn unknown(&self, name: &str) -> Error {
        Error::invalid("using", format!("Wrong input: Not existing vector name error: {name}"))
    }
}

impl FieldKind {
    /// All of them, for messages.
    pub const ALL: [Self; 8] = [
        Self::Keyword,
        Self::Integer,
        Self::Float,
        Self::Bool,
        Self::Datetime,
        Self::Uuid,
        Self::Geo,
        Self::Text,
    ];

    /// The name on the wire and on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Datetime => "datetime",
            Self::Uuid => "uuid",
            Self::Geo => "geo",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FieldKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::invalid("field_schema", format!("`{name}` is none of {known}"))
        })
    }
}

/// Checks a collection's name: 1 to `name_chars_max` characters, none of `/ \ : * ? " < > |`, no control
/// characters, not `.` or `..`.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] naming `collection_name`.
pub fn check_name(name: &str, limits: &Limits) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid("collection_name", why));
    let chars = name.chars().count();
    if chars == 0 || chars > limits.name_chars_max {
        return refuse(format!("has {chars} characters, 1 to {} are allowed", limits.name_chars_max));
    }
    if let Some(bad) = name.chars().find(|c| c.is_control() || "/\\:*?\"<>|".contains(*c)) {
        return refuse(format!("contains {bad:?}, which is not allowed in a name"));
    }
    if name == "." || name == ".." {
        return refuse(format!("`{name}` is not allowed as a name"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Datatype;

    #[test]
    fn a_bad_schema_names_its_part() {
        let limits = Limits::default();
        let zero = Schema::new().vector(0, Metric::Dot);
        assert_eq!(zero.check(&limits).expect_err("dim 0").field(), Some("vectors.size"));
        let named = VectorSpec::new(1 << 20, Metric::Dot);
        let huge = Schema::new().named_vector("a", named);
        assert_eq!(huge.check(&limits).expect_err("too large").field(), Some("vectors.a.size"));
        let whole = VectorSpec::new(4, Metric::Cosine).stored_as(Datatype::Uint8);
        let whole = Schema::new().named_vector("a", whole);
        assert_eq!(whole.check(&limits).expect_err("no length 1").field(), Some("vectors.a.datatype"));
        let named = Schema::new().named_vector(&"v".repeat(256), VectorSpec::new(2, Metric::Dot));
        assert_eq!(named.check(&limits).expect_err("too long").field(), Some("vectors"));
        let sure = Schema::new().recall(1.5);
        assert_eq!(sure.check(&limits).expect_err("above 1").field(), Some("recall"));
        let all = Schema::new().hybrid(HybridWeights { words_least: 0.0, words_most: 2.0 });
        let field = all.check(&limits).expect_err("above 1").field().map(str::to_owned);
        assert_eq!(field.as_deref(), Some("hybrid_weights.words_most"));
        let wordless = Schema::new().keyword([], Language::English);
        assert_eq!(wordless.check(&limits).expect_err("no path").field(), Some("keyword"));
    }

    #[test]
    fn names_stay_inside_the_directory() {
        let limits = Limits::default();
        for good in ["a", "Ünïcode 1", "a.b-c_d"] {
            check_name(good, &limits).expect(good);
        }
        for bad in ["", "..", "a/b", "a\\b", "a\0b", &"x".repeat(256)] {
            assert_eq!(check_name(bad, &limits).expect_err(bad).field(), Some("collection_name"));
        }
    }

    #[test]
    fn every_name_parses_to_itself() {
        for kind in FieldKind::ALL {
            assert_eq!(kind.name().parse::<FieldKind>().expect("its name"), kind);
        }
    }
}
