//! The health of a database: every stored row read, every index held against storage.
//!
//! Cost: one pass over everything, so minutes for large databases. Answers are exact only while nobody writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use index::fields::PartFields;
use index::sparse::PartSparse;
use index::{Body, Lookups};
use query::View;
use types::{Condition, Filter, Predicate, Result, Scalar, Slot, Version};

use crate::Database;
use crate::derived::texts;
use crate::engine::Shared;
use crate::loading;

/// What the doctor found.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Collections looked at.
    pub collections: usize,
    /// Points that exist.
    pub points: u64,
    /// Vectors read.
    pub vectors: u64,
    /// Segments whose files were read.
    pub segments: usize,
    /// Keyword documents compared.
    pub keyword_documents: u64,
    /// What is wrong; empty when all is well.
    pub faults: Vec<Fault>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The collection.
    pub collection: String,
    /// `storage`, `segments`, `vectors`, `sparse`, `fields` or `keyword`.
    pub part: &'static str,
    /// What is wrong.
    pub message: String,
}

impl Fault {
    /// Whether rebuilding mends it: everything but storage is derived.
    pub fn is_mendable(&self) -> bool {
        self.part != "storage"
    }
}

impl Database {
    /// Verifies every checksum, and that storage, segments, fields and keywords agree.
    ///
    /// # Errors
    /// When storage cannot be read at all; damage is reported, not returned.
    pub fn verify(&self) -> Result<Health> {
        let stored = self.engine.store.verify()?;
        let mut health = Health {
            collections: stored.collections,
            points: stored.points,
            vectors: stored.vectors,
            ..Health::default()
        };
        let fault = |fault: storage::Fault| Fault {
            collection: fault.collection,
            part: "storage",
            message: fault.message,
        };
        health.faults.extend(stored.faults.into_iter().map(fault));
        for shared in self.engine.all() {
            let view = shared.view.load_full();
            let mut examination = Examination { view: &view, shared: &shared, health: &mut health };
            if let Err(error) = examination.run() {
                examination.fault("storage", error.to_string());
            }
        }
        Ok(health)
    }

    /// Makes every index anew from storage. Segments are made of the rows afterwards, in the background; on the way,
    /// where more rows would wait than may.
    ///
    /// # Errors
    /// When storage cannot be read, or index files not be written.
    pub fn rebuild(&self) -> Result<()> {
        let all = self.engine.all();
        all.iter().try_for_each(|shared| loading::reload(&self.engine, shared))
    }
}

struct Examination<'a> {
    view: &'a Arc<View>,
    shared: &'a Shared,
    health: &'a mut Health,
}

impl Examination<'_> {
    fn fault(&mut self, part: &'static str, message: String) {
        self.health.faults.push(Fault { collection: self.shared.name.clone(), part, message });
    }

    fn run(&mut self) -> Result<()> {
        let view = Arc::clone(self.view);
        self.files();
        let mut with_text = BTreeSet::new();
        let mut seen = 0;
        view.store.for_each_point(&view.entry, &mut |stored| {
            seen += 1;
            match view.rows.slot_of(stored.version).filter(|slot| view.alive.contains(*slot)) {
                Some(slot) => self.compare(slot, &stored),
                None => self.fault("vectors", format!("point {} is stored but not indexed", stored.id)),
            }
            if let Some(field) = &view.entry.schema.keyword
                && texts(field, &stored.payload).iter().any(|texts| !texts.is_empty())
            {
                with_text.insert(stored.version);
            }
            Ok(())
        })?;
        if seen != view.points() {
            self.fault("vectors", format!("{} points are indexed, {seen} are stored", view.points()));
        }
        self.compare_keywords(&with_text);
        Ok(())
    }

    /// Every checksum of every file of a segment.
    fn files(&mut self) {
        let view = Arc::clone(self.view);
        for sparse in view.sparse.parts() {
            if let PartSparse::Stored(stored) = sparse
                && let Err(error) = stored.verify()
            {
                self.fault("sparse", error.to_string());
            }
        }
        for (part, fields) in view.rows.parts().iter().zip(view.fields.parts()) {
            if let Body::Segment(segment) = &part.body {
                self.health.segments += 1;
                if let Err(error) = segment.verify() {
                    self.fault("segments", error.to_string());
                }
            }
            if let PartFields::Stored(stored) = fields
                && let Err(error) = stored.verify()
            {
                self.fault("fields", error.to_string());
            }
        }
    }

    fn compare(&mut self, slot: Slot, stored: &storage::StoredPoint) {
        let view = Arc::clone(self.view);
        let id = stored.id;
        if view.id(slot) != id {
            self.fault("vectors", format!("point {id} is indexed as {}", view.id(slot)));
        }
        self.compare_sparse(slot, stored);
        for name in view.entry.schema.vectors.keys() {
            let kept = stored.vectors.iter().find(|(other, _)| other == name);
            let kept = kept.and_then(|(_, vector)| vector.dense());
            match view.rows.vector(slot, name) {
                Ok(vector) if vector.as_deref() == kept => {}
                Ok(_) => self.fault("vectors", format!("vector `{name}` of point {id} differs from storage")),
                Err(error) => self.fault("vectors", error.to_string()),
            }
        }
        for path in view.fields.kinds().keys() {
            let scalars = path.values(&stored.payload).into_iter().filter_map(Scalar::of);
            for scalar in scalars {
                let condition = Condition::Field(path.clone(), Predicate::Any(vec![scalar]));
                let one = std::iter::once(slot.0).collect();
                let lookups = Lookups { ids: &|_| Default::default(), vectors: &|_| Default::default() };
                let bounds = view.fields.bounds(&Filter::must(condition), &one, &lookups);
                if bounds.upper.is_empty() {
                    self.fault("fields", format!("field `{path}` of point {id} is not found by its value"));
                }
            }
        }
    }

    fn compare_sparse(&mut self, slot: Slot, stored: &storage::StoredPoint) {
        let view = Arc::clone(self.view);
        let parts = view.rows.parts();
        let Some(number) = parts.iter().rposition(|part| part.base <= slot.0) else { return };
        for name in view.entry.schema.sparse.keys() {
            let kept = stored.vectors.iter().find(|(other, _)| other == name);
            let kept = kept.and_then(|(_, vector)| vector.sparse());
            // What cannot be read is a fault of its file.
            if view.sparse.holds(number, name, slot.0 - parts[number].base, kept) == Some(false) {
                let message = format!("sparse vector `{name}` of point {} differs from storage", stored.id);
                self.fault("sparse", message);
            }
        }
    }

    fn compare_keywords(&mut self, stored: &BTreeSet<Version>) {
        let keyword = self.shared.derived.lock().keyword.clone();
        let Some(keyword) = keyword else {
            if self.view.entry.schema.keyword.is_some() && self.shared.check_exists().is_ok() {
                self.fault("keyword", "it is missing, since it could not be made anew".to_owned());
            }
            return;
        };
        if let Err(error) = keyword.verify() {
            self.fault("keyword", error.to_string());
            return;
        }
        let held: BTreeSet<Version> = keyword.versions().into_iter().collect();
        self.health.keyword_documents += held.len() as u64;
        let missing = stored.difference(&held).count();
        let extra = held.difference(stored).count();
        if missing + extra > 0 {
            self.fault(
                "keyword",
                format!("{missing} documents are missing, {extra} are of points that are gone"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{Language, Schema};

    use super::*;

    /// As a rebuild leaves it that fails.
    #[test]
    fn a_keyword_index_that_is_missing_is_a_fault() {
        let db = Database::in_memory().expect("a database");
        let schema = Schema::new().keyword(["text".parse().expect("a path")], Language::English);
        let notes = db.create_collection("notes", schema).expect("a collection");
        notes.shared.derived.lock().keyword = None;
        let faults = db.verify().expect("a walk").faults;
        assert!(matches!(&faults[..], [one] if one.part == "keyword"), "{faults:?}");
        db.rebuild().expect("made anew");
        assert_eq!(db.verify().expect("a walk").faults, []);
    }
}
