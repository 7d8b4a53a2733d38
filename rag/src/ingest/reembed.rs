//! A library moved to another model: a second one is made beside it, chunk by chunk, while the first is read and
//! written; a gate compares both on the questions about the first; an alias moves from one to the other in one commit.
//!
//! Invariants: the first library is not touched. A document is copied in one commit, and its copy says of which
//! version it is: a run that was broken off goes on, and a later run takes up what changed meanwhile. What was written
//! into the new library itself is nobody's copy, and left alone. The alias moves only if the gate lets it, and only in
//! a commit before which nothing came into the first library that was not copied: else what came is copied first.
//! When not to use: where chunks should be cut anew by the tokens of the other model; ingest the sources again for
//! that. Points of a library that belong to none of its documents are not moved.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use kithdb::{
    AliasChange, Change, Collection, DEFAULT_VECTOR, Database, Error, ErrorKind, Filter, Op, Payload, Point,
    PointId, Result, Select, Selection, Transaction, Value,
};
use serde_json::json;

use super::library::{self, Library};
use super::{Progress, SOURCES_SUFFIX};
use crate::collections::{PAGE_POINTS, all, or_create};
use crate::eval::{self, Config, Question, Run};
use crate::{Embedder, Mode};

/// What to move where.
#[derive(Clone, Debug)]
pub struct Move {
    /// The collection of the library.
    pub from: String,
    /// The collection of the new one; made if it does not exist.
    pub to: String,
    /// What points to the new one in the end, if the gate lets it.
    pub alias: Option<String>,
    /// The gate: nDCG may fall by so much. Without it nothing is asked.
    pub loss_max: Option<f64>,
}

/// What was moved.
#[derive(Clone, Debug, Default)]
pub struct MoveReport {
    /// Documents copied by this run.
    pub documents: usize,
    /// Documents that had been copied as they are.
    pub unchanged: usize,
    /// Documents that are gone.
    pub removed: usize,
    /// Documents that were written into the new library itself, and are left as they are.
    pub own: usize,
    /// Chunks that had been changed by themselves since their document was copied: their labels, say.
    pub retouched: usize,
    /// Chunks embedded.
    pub chunks: usize,
    /// Of them, those that the model does not see to their end.
    pub cut: usize,
    /// How the questions went before and after, by meaning alone.
    pub gate: Option<(Run, Run)>,
    /// Whether the alias points to the new library.
    pub is_switched: bool,
}

/// Passages of the gate's answers.
const GATE_LIMIT: usize = 10;

/// So often what came meanwhile is copied before the alias moves.
const PASSES_MAX: usize = 20;

/// The key of a copy's source that says which version it is a copy of.
const COPY_OF: &str = "copy_of";

/// Moves a library, or goes on with it. `old` is the model of the first, which the gate asks with.
///
/// # Errors
/// `InvalidArgument` on `to`, `gate`, `model` or `questions`; `Busy` when the library is written to all the time, so
/// that the alias cannot move; what the database and the model return.
pub fn reembed(
    db: &Database,
    order: &Move,
    old: Option<&Embedder>,
    new: &Embedder,
    progress: &dyn Fn(Progress) -> ControlFlow<()>,
) -> Result<MoveReport> {
    if order.loss_max.is_some_and(|loss| !loss.is_finite()) {
        return Err(Error::invalid("gate", "must be a finite number"));
    }
    let from = Library::existing(db, &order.from)?;
    let to = target(db, &from, &order.to, new)?;
    let mut report = MoveReport::default();
    let mut copier = Copier { db, from: &from, to: &to, new, report: &mut report };
    if copier.documents(progress)?.is_break() {
        return Ok(report);
    }
    // A vector that a question brings is of the old model.
    let questions = eval::load(db, &order.from)?.into_iter();
    let questions: Vec<Question> = questions.map(|question| Question { vector: None, ..question }).collect();
    // The new library is measured by the same ones from now on.
    eval::store(db, to.chunks.name(), &questions)?;
    if let Some(loss_max) = order.loss_max {
        let config = Config {
            name: "before".to_owned(),
            mode: Mode::Vector,
            limit: GATE_LIMIT,
            filter: Filter::default(),
            deadline: None,
        };
        let before = eval::run(&from.chunks, old, &questions, &config, None)?;
        let config = Config { name: "after".to_owned(), ..config };
        let after = eval::run(&to.chunks, Some(new), &questions, &config, None)?;
        let is_worse = after.mean.ndcg < before.mean.ndcg - loss_max;
        report.gate = Some((before, after));
        if is_worse {
            return Ok(report);
        }
    }
    if let Some(alias) = &order.alias {
        let unchanged = report.unchanged;
        let mut copier = Copier { db, from: &from, to: &to, new, report: &mut report };
        let is_switched = copier.switch(alias, progress)?.is_continue();
        (report.unchanged, report.is_switched) = (unchanged, is_switched);
    }
    Ok(report)
}

/// The new library: the schema of the old one, with vectors of the other model.
fn target(db: &Database, from: &Library, name: &str, new: &Embedder) -> Result<Library> {
    if name == from.chunks.name() {
        return Err(Error::invalid("to", "is the collection that is moved; name another one"));
    }
    let make = || {
        let mut schema = from.chunks.schema();
        let model = new.identity().clone();
        let spec = schema.vectors.get_mut(DEFAULT_VECTOR).ok_or_else(|| {
            let message =
                format!("collection `{}` has keywords only; ingest it with a model", from.chunks.name());
            Error::invalid("from", message)
        })?;
        spec.dim = model.dim;
        spec.model = Some(model);
        // What words weigh was learned beside the vectors of the other model.
        schema.hybrid = None;
        Ok(schema)
    };
    let chunks = or_create(db, name, make)?;
    library::check_same_model(&chunks, Some(new))?;
    let sources = format!("{}{SOURCES_SUFFIX}", chunks.name());
    let sources = or_create(db, &sources, || Ok(from.sources.schema()))?;
    Ok(Library { chunks, sources })
}

struct Copier<'a> {
    db: &'a Database,
    from: &'a Library,
    to: &'a Library,
    new: &'a Embedder,
    report: &'a mut MoveReport,
}

impl Copier<'_> {
    /// Copies what changed meanwhile, and moves the alias in a commit before which nothing else came.
    fn switch(
        &mut self,
        alias: &str,
        progress: &dyn Fn(Progress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        for _ in 0..PASSES_MAX {
            // As it is before anything is looked at: what comes later is seen by the pass, or not.
            let seen = |collection: &Collection| -> Result<AliasChange> {
                let seqno = collection.reading()?.seqno();
                Ok(AliasChange::Require { collection: collection.name().to_owned(), seqno })
            };
            let mut changes = vec![seen(&self.from.chunks)?, seen(&self.from.sources)?];
            if self.documents(progress)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let collection = self.to.chunks.name().to_owned();
            changes.push(AliasChange::Set { alias: alias.to_owned(), collection });
            match self.db.change_aliases(changes) {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                switched => return switched.map(|()| ControlFlow::Continue(())),
            }
        }
        let message = format!(
            "`{}` was written to during each of {PASSES_MAX} passes, so `{alias}` was left where it was; stop writing \
             to it, and move it again: only what changed is copied",
            self.from.chunks.name()
        );
        Err(Error::new(ErrorKind::Busy, message))
    }

    fn documents(&mut self, progress: &dyn Fn(Progress) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let wanted = versions(&self.from.sources, &VERSION, version)?;
        let mut there = versions(&self.to.sources, &[COPY_OF], |payload| payload.get(COPY_OF).cloned())?;
        let is_own = |(id, copy_of): (&PointId, &Option<Value>)| copy_of.is_none().then(|| id.to_string());
        let own: HashSet<String> = there.iter().filter_map(is_own).collect();
        self.report.own = own.len();
        let mut ids: Vec<&PointId> = wanted.keys().collect();
        ids.sort();
        for (done, id) in ids.into_iter().enumerate() {
            match there.remove(id) {
                Some(None) => {}
                Some(Some(copied)) if Some(&copied) == wanted.get(id) => self.report.unchanged += 1,
                _ => self.copy(*id)?,
            }
            let told =
                Progress { documents: done + 1, documents_total: wanted.len(), chunks: self.report.chunks };
            if progress(told).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        for (id, _) in there.into_iter().filter(|(_, copy_of)| copy_of.is_some()) {
            self.db.commit(self.to.removal(id)?)?;
            self.report.removed += 1;
        }
        // Once it is asked by an alias, what was changed there is newer than what it is a copy of.
        let name = self.to.chunks.name();
        if !self.db.aliases().values().any(|known| known == name) {
            self.retouch(&own)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Gives chunks that were changed by themselves the payloads that they have now, and another vector where that was
    /// made of another text. Those of the new library's own documents are not looked at.
    fn retouch(&mut self, own: &HashSet<String>) -> Result<()> {
        let mut from = None;
        loop {
            let page = self.from.chunks.scroll(&Filter::default(), from, PAGE_POINTS, &Select::default())?;
            let ids: Vec<PointId> = page.points.iter().map(|chunk| chunk.id).collect();
            let copies = self.to.chunks.get(&ids, &Select::default())?;
            let copies: HashMap<PointId, Point> = copies.into_iter().map(|copy| (copy.id, copy)).collect();
            let (mut ops, mut texts, mut anew) = (Vec::new(), Vec::new(), Vec::new());
            for chunk in page.points {
                let Some(copy) = copies.get(&chunk.id) else { continue };
                if copy.payload == chunk.payload || own.contains(library::text(&chunk, "source")) {
                    continue;
                }
                let text = library::text_to_embed(&chunk);
                if text == library::text_to_embed(copy) {
                    let selection = Selection::Ids(vec![chunk.id]);
                    ops.push(Op::Change(selection, Change::OverwritePayload(chunk.payload)));
                } else {
                    texts.push(text);
                    anew.push(chunk);
                }
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let vectors = self.new.embed_documents(&texts, &|_| ())?;
            let put = |(chunk, vector): (Point, Vec<f32>)| Op::Upsert(chunk.vector(vector));
            ops.extend(anew.into_iter().zip(vectors).map(put));
            if !ops.is_empty() {
                self.report.retouched += ops.len();
                self.db.commit(Transaction::new().on_collection(&self.to.chunks, ops))?;
            }
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Copies a document: its chunks as they are, with vectors of the other model.
    fn copy(&mut self, id: PointId) -> Result<()> {
        // Removed since it was listed: the next run sees it.
        let Some(mut source) = self.from.sources.get(&[id], &Select::default())?.pop() else { return Ok(()) };
        let chunks = self.from.points_of(id)?;
        let texts: Vec<String> = chunks.iter().map(library::text_to_embed).collect();
        let room = self.new.document_tokens_max();
        self.report.cut += texts.iter().filter(|text| self.new.tokens(text) > room).count();
        let vectors =
            self.new.embed_documents(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &|_| ())?;
        let version = version(&source.payload);
        if let Some(fingerprint) = version.as_str() {
            source.payload.insert("fingerprint".to_owned(), self.of_new(fingerprint).into());
        }
        source.payload.insert(COPY_OF.to_owned(), version);
        let stale = self.to.removal(id)?;
        let put = |(chunk, vector): (Point, Vec<f32>)| {
            Op::Upsert(Point::new(chunk.id).payload(chunk.payload).vector(vector))
        };
        self.report.documents += 1;
        self.report.chunks += vectors.len();
        let transaction = stale
            .on_collection(&self.to.chunks, chunks.into_iter().zip(vectors).map(put).collect())
            .on_collection(&self.to.sources, vec![Op::Upsert(source)]);
        self.db.commit(transaction).map(drop)
    }

    /// A fingerprint as the other model would have made it, so that a later ingestion finds nothing changed.
    fn of_new(&self, fingerprint: &str) -> String {
        let revision = &self.new.identity().revision;
        let parts = fingerprint.split('/').enumerate();
        let parts = parts.map(|(at, part)| if at == 1 { revision.as_str() } else { part });
        parts.collect::<Vec<_>>().join("/")
    }
}

/// What a version is told by.
const VERSION: [&str; 4] = ["fingerprint", "hash", "attributes", "chunking"];

/// Which version a document is: its fingerprint, or, of a file of a store, all that may change of it.
fn version(payload: &Payload) -> Value {
    let [fingerprint, rest @ ..] = VERSION.map(|key| payload.get(key));
    fingerprint.cloned().unwrap_or_else(|| json!(rest))
}

/// What is read of each source.
fn versions<T>(
    sources: &Collection,
    keys: &[&str],
    read: impl Fn(&Payload) -> T,
) -> Result<HashMap<PointId, T>> {
    let points = all(sources, &Filter::default(), &library::only(keys)?)?;
    Ok(points.into_iter().map(|point| (point.id, read(&point.payload))).collect())
}
