//! One vector space of a collection: what its vectors are, what they are found by, and where they are kept.
//!
//! Invariant: a vector that [`VectorSpec::admit`] passed is read again as it is then.

use crate::{Codes, Datatype, Error, ErrorKind, Limits, Memory, Metric, Result, Vector};

/// One vector space.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSpec {
    /// Elements of each vector.
    pub dim: usize,
    /// The measure of nearness.
    pub metric: Metric,
    /// What the elements are stored as.
    pub datatype: Datatype,
    /// What searches of segments read.
    pub codes: Codes,
    /// Where they are while segments are searched.
    pub memory: Memory,
    /// The model that made the vectors, if the collection is bound to one.
    pub model: Option<ModelIdentity>,
}

/// Which embedding model a vector space belongs to. Vectors of two models cannot be compared, so text embedded
/// by any other model is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelIdentity {
    /// The model's name, for people.
    pub name: String,
    /// What identity is decided by: SHA-256, in hexadecimal, of the weights and the tokenizer; of a model that a server
    /// has, of everything else here.
    pub revision: String,
    /// Elements of an embedding.
    pub dim: usize,
    /// Tokens of a text that the model sees; the rest is cut.
    pub tokens_max: usize,
    /// Put before a query when it is embedded.
    pub query_prefix: String,
    /// Put before a document when it is embedded.
    pub document_prefix: String,
    /// Whether embeddings have length 1.
    pub is_normalised: bool,
}

impl VectorSpec {
    /// A space of `f32`, found by codes of eight bits, of no model.
    pub fn new(dim: usize, metric: Metric) -> Self {
        let (datatype, codes, memory) = (Datatype::default(), Codes::default(), Memory::default());
        Self { dim, metric, datatype, codes, memory, model: None }
    }

    /// Stores elements as another type.
    #[must_use]
    pub fn stored_as(self, datatype: Datatype) -> Self {
        Self { datatype, ..self }
    }

    /// Finds vectors by other codes.
    #[must_use]
    pub fn found_by(self, codes: Codes) -> Self {
        Self { codes, ..self }
    }

    /// Keeps vectors elsewhere.
    #[must_use]
    pub fn kept(self, memory: Memory) -> Self {
        Self { memory, ..self }
    }

    /// Whether vectors of both are stored alike and mean the same.
    pub fn is_stored_as(&self, other: &Self) -> bool {
        let of = |spec: &Self| (spec.dim, spec.metric, spec.datatype);
        of(self) == of(other) && self.model == other.model
    }

    /// Checks a vector that is to be stored and makes it what will be read again: of length 1 under cosine, of values
    /// of its type.
    ///
    /// # Errors
    /// `InvalidArgument` naming the element, as [`vector::check`](crate::vector::check) and [`Datatype::admit`] do.
    pub fn admit(&self, elements: &mut [f32]) -> Result<()> {
        crate::vector::check(elements, self.dim, self.metric)?;
        self.datatype.admit(elements)
    }

    /// As [`admit`](Self::admit), every row of a multivector.
    ///
    /// # Errors
    /// As for [`admit`](Self::admit), on `[row]`; `LimitExceeded` for too many rows.
    pub fn admit_rows(&self, vector: &mut Vector, limits: &Limits) -> Result<()> {
        self.each_row(vector, limits, |row| self.admit(row))
    }

    /// Checks every row of a multivector that is asked with, and under cosine scales it to length 1.
    ///
    /// # Errors
    /// As for [`admit_rows`](Self::admit_rows).
    pub fn check_rows(&self, vector: &mut Vector, limits: &Limits) -> Result<()> {
        self.each_row(vector, limits, |row| crate::vector::check(row, self.dim, self.metric))
    }

    fn each_row(
        &self,
        vector: &mut Vector,
        limits: &Limits,
        check: impl Fn(&mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let invalid = |message: &str| Err(Error::new(ErrorKind::InvalidArgument, message));
        let Some(rows) = vector.as_multi() else {
            return invalid("is a sparse vector; a list of dense ones is needed here");
        };
        match rows.len() {
            0 => return invalid("has no row; a multivector has at least one"),
            count if count > limits.multi_rows_max => {
                let message = format!("has {count} rows, the limit is {}", limits.multi_rows_max);
                return Err(Error::new(ErrorKind::LimitExceeded, message));
            }
            _ => {}
        }
        for (row, elements) in rows.iter_mut().enumerate() {
            check(elements).map_err(|error| error.within(&format!("[{row}]")))?;
        }
        Ok(())
    }

    pub(crate) fn check(&self, limits: &Limits) -> Result<()> {
        if self.dim == 0 {
            return Err(Error::invalid("size", "is 0; a vector has at least 1 element"));
        }
        if self.dim > limits.dim_max {
            return Err(Error::limit("size", "the dimension", self.dim, limits.dim_max));
        }
        self.datatype.check(self.metric)?;
        match &self.model {
            Some(model) if model.dim != self.dim => {
                let message = format!("is {}, but the model `{}` makes {}", self.dim, model.name, model.dim);
                Err(Error::invalid("size", message))
            }
            _ => Ok(()),
        }
    }
}
