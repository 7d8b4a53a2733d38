//! The derived state of one collection in memory, as the writer holds it: columns over slots, and the indexes.
//!
//! Invariant: it is what applying the journal to the empty state gives. Every step is deterministic; a slot is never
//! reused; an old version's slot dies in the same step in which the new one is born.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use index::{Alive, Fields, Head, KeywordIndex, Rows};
use query::View;
use storage::{CatalogEntry, CollectionState, Store};
use types::{KeywordField, Payload, Point, PointId, Value, Version};

/// What one operation of a commit does to derived state.
#[derive(Debug)]
pub(crate) struct Effect {
    /// The new version, if the point was put.
    pub(crate) new: Option<(Version, Point)>,
    /// The version that is no longer current.
    pub(crate) old: Option<Version>,
}

/// The writer's half of a collection.
pub(crate) struct Derived {
    pub(crate) store: Arc<Store>,
    pub(crate) entry: Arc<CatalogEntry>,
    pub(crate) state: CollectionState,
    pub(crate) rows: Arc<Rows>,
    pub(crate) alive: Alive,
    pub(crate) heads: Arc<BTreeMap<String, Arc<Head>>>,
    pub(crate) fields: Fields,
    pub(crate) keyword: Option<Arc<KeywordIndex>>,
}

impl Derived {
    /// The state of a collection without points; `keyword` must be empty too.
    pub(crate) fn empty(
        store: Arc<Store>,
        entry: Arc<CatalogEntry>,
        state: CollectionState,
        rows: Arc<Rows>,
        keyword: Option<Arc<KeywordIndex>>,
    ) -> Self {
        let spaces = entry.schema.vectors.iter();
        let heads = spaces.map(|(name, spec)| (name.clone(), Arc::new(Head::new(spec.dim, spec.metric))));
        Self {
            heads: Arc::new(heads.collect()),
            fields: Fields::new(&entry.schema.fields),
            alive: Alive::new(),
            store,
            entry,
            state,
            rows,
            keyword,
        }
    }

    /// Applies the effects of one commit, in order.
    pub(crate) fn apply(&mut self, effects: &[Effect], state: CollectionState) {
        let first = self.rows.len();
        let mut payloads: Vec<&Payload> = Vec::new();
        for effect in effects {
            if let Some(old) = effect.old {
                self.bury(old);
            }
            if let Some((version, point)) = &effect.new {
                let vector = |name: &str| point.vector_named(name);
                self.append(*version, point.id, vector, &point.payload);
                payloads.push(&point.payload);
            }
        }
        self.fields.append(types::Slot(first), &payloads);
        self.state = state;
    }

    /// Appends one version to every column but the fields.
    pub(crate) fn append<'a>(
        &mut self,
        version: Version,
        id: PointId,
        vector: impl Fn(&str) -> Option<&'a [f32]>,
        payload: &Payload,
    ) {
        let slot = self.rows.append(version, id);
        for (name, head) in self.heads.iter() {
            head.append(vector(name));
        }
        self.alive.insert(slot);
        if let (Some(keyword), Some(field)) = (&self.keyword, &self.entry.schema.keyword) {
            keyword.add(version, &texts(field, payload));
        }
    }

    fn bury(&mut self, old: Version) {
        if let Some(slot) = self.rows.slot_of(old) {
            self.alive.remove(slot);
        }
        if let Some(keyword) = &self.keyword {
            keyword.remove(old);
        }
    }

    /// The state as readers see it.
    pub(crate) fn view(&self) -> View {
        View {
            seqno: self.state.seqno,
            entry: Arc::clone(&self.entry),
            store: Arc::clone(&self.store),
            rows: Arc::clone(&self.rows),
            alive: self.alive.clone(),
            slots_end: self.rows.len(),
            heads: Arc::clone(&self.heads),
            fields: self.fields.clone(),
            keyword: self.keyword.as_ref().map(|keyword| keyword.publish()),
            universe: OnceLock::new(),
        }
    }
}

/// The texts of a payload that belong to the keyword index.
pub(crate) fn texts<'a>(field: &KeywordField, payload: &'a Payload) -> Vec<&'a str> {
    let values = field.paths.iter().flat_map(|path| path.values(payload));
    let mut texts = Vec::new();
    for value in values {
        match value {
            Value::String(text) => texts.push(text.as_str()),
            Value::Array(items) => texts.extend(items.iter().filter_map(Value::as_str)),
            _ => {}
        }
    }
    texts
}
