//! A database that is open in this process.
//!
//! Invariant: no call of the engine holds the interpreter's lock, and none runs in a process that only inherited the
//! database by a fork: its threads are not there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kithdb::{Database, Error, ErrorKind, Health, Options, PointId, Result};
use numpy::{PyArray1, PyArray2, PyArrayMethods as _, PyReadonlyArray1, PyReadonlyArray2};
use parking_lot::RwLock;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use pythonize::pythonize;
use rag::{Embedder, Engine, IngestOptions, Reranker};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use server::door::{Answer, Door, Question};
use server::{Keys, ServeOptions, Server};

use crate::arrays::{Ids, Rows, points};
use crate::elsewhere::Elsewhere;
use crate::failure::{closed, forked, invalid, raised};
use crate::schemas::Schemas;
use crate::serving::Serving;
use crate::streaming::Pieces;
use crate::{embedding, engine, health, hits, ingesting, reembedding, reranking};

/// Between two looks for signals.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Between two looks for calls that still run.
const PAUSE: Duration = Duration::from_millis(1);

/// Questions by the row in a first step; how many come in a later one follows from the time that the last one took.
const QUESTIONS: usize = 16;

/// What `model` may say instead of a path: the model that is found, if a collection belongs to one.
const AUTO: &str = "auto";

/// What a route answered: status, kind and field of an error, body.
pub(crate) type Answered<'py> = (u16, Option<String>, Option<String>, Bound<'py, PyBytes>);

/// Ids, scores, and how many hits each row has.
type Ranked<'py> = (Bound<'py, PyAny>, Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<u32>>);

/// A database that is open in this process.
#[pyclass(frozen, module = "kithdb._kithdb")]
pub(crate) struct Embedded {
    pid: u32,
    /// Shared with the calls that run.
    open: RwLock<Option<Arc<Open>>>,
}

struct Open {
    door: Door,
    schemas: Schemas,
    /// What writes answers, here and where it is served.
    engine: Option<Arc<Engine>>,
    /// What ranks passages for them.
    reranker: Option<Arc<Reranker>>,
    /// What works questions by the row out: as many as the process had cores when the database was opened, whatever the
    /// first call that needs them is held to.
    threads: ThreadPool,
}

impl Open {
    fn new(
        path: Option<&Path>,
        durability: &str,
        model: Option<&str>,
        elsewhere: &[u8],
        memory_limit: Option<usize>,
    ) -> Result<Self> {
        let Elsewhere { embedding, engine, rerank } = Elsewhere::read(elsewhere)?;
        let engine = engine.map(engine::open).transpose()?;
        let reranker = rerank.map(reranking::open).transpose()?;
        let durability = durability.parse().map_err(|error: Error| error.with_field("durability"))?;
        let options = Options { durability, ..Options::default() };
        let options = match memory_limit {
            Some(bytes) => options.within(bytes),
            None => options,
        };
        let db = match path {
            Some(path) => Database::open_with(path, options)?,
            None => Database::in_memory_with(options)?,
        };
        let embedder = match embedding {
            Some(settings) => Some(embedding::connect(settings)?),
            None => embedder(&db, model)?,
        };
        let threads = ThreadPoolBuilder::new().thread_name(|at| format!("kithdb-rows-{at}")).build();
        let threads = threads.map_err(|error| {
            Error::new(ErrorKind::Io, format!("there are no threads to be had: {error}")).with_source(error)
        })?;
        let beside =
            ServeOptions { engine: engine.clone(), reranker: reranker.clone(), ..ServeOptions::default() };
        let door = Door::with(db, embedder, beside)?;
        Ok(Self { door, schemas: Schemas::default(), engine, reranker, threads })
    }

    fn db(&self) -> &Database {
        self.door.state().database()
    }

    fn embedder(&self) -> Option<&Embedder> {
        self.door.state().embedder()
    }
}

fn embedder(db: &Database, model: Option<&str>) -> Result<Option<Embedder>> {
    let is_bound = |db: &Database| {
        db.collections()
            .iter()
            .any(|collection| collection.schema().vectors.values().any(|spec| spec.model.is_some()))
    };
    let found = match model {
        None => None,
        Some(AUTO) if !is_bound(db) => None,
        Some(AUTO) => rag::model::find(None)?,
        Some(path) => rag::model::find(Some(Path::new(path)))?,
    };
    found.map(|path| Embedder::open(&path)).transpose()
}

impl Embedded {
    /// Runs a call of the engine, without the interpreter's lock.
    fn with<T: Send>(&self, py: Python<'_>, call: impl FnOnce(&Open) -> Result<T> + Send) -> PyResult<T> {
        let open = self.opened(py)?;
        // It may be the last to let go of the database, which then closes.
        py.detach(move || call(&open)).map_err(|error| raised(py, &error))
    }

    fn opened(&self, py: Python<'_>) -> PyResult<Arc<Open>> {
        self.check_process(py)?;
        self.open.read().clone().ok_or_else(|| closed(py))
    }

    fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        if self.pid == std::process::id() { Ok(()) } else { Err(forked(py, self.pid)) }
    }
}

#[pymethods]
#[expect(clippy::needless_pass_by_value, reason = "what comes from Python is owned")]
impl Embedded {
    /// Opens the database in a directory, or one in memory without a path. `elsewhere` is JSON: what is asked
    /// outside of this process.
    #[new]
    #[pyo3(signature = (path, durability, model, elsewhere, memory_limit))]
    fn new(
        py: Python<'_>,
        path: Option<PathBuf>,
        durability: &str,
        model: Option<&str>,
        elsewhere: &[u8],
        memory_limit: Option<usize>,
    ) -> PyResult<Self> {
        let opened = py.detach(|| Open::new(path.as_deref(), durability, model, elsewhere, memory_limit));
        let open = opened.map_err(|error| raised(py, &error))?;
        Ok(Self { pid: std::process::id(), open: RwLock::new(Some(Arc::new(open))) })
    }

    /// Takes no more calls, waits for those that run, makes every write durable, and closes the database.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process(py)?;
        let Some(mut open) = self.open.write().take() else { return Ok(()) };
        loop {
            open = match Arc::try_unwrap(open) {
                Ok(open) => {
                    let flushed = py.detach(move || open.db().flush());
                    return flushed.map_err(|error| raised(py, &error));
                }
                Err(shared) => shared,
            };
            py.detach(|| std::thread::sleep(PAUSE));
            // Whoever waits no longer leaves it to the last call that runs.
            py.check_signals()?;
        }
    }

    /// Sends a request to a route.
    fn call<'py>(&self, py: Python<'py>, method: &str, path: &str, body: Vec<u8>) -> PyResult<Answered<'py>> {
        let open = self.opened(py)?;
        let answer = answered(py, &open.door, method, path, body);
        // As in `with`.
        py.detach(move || drop(open));
        answer
    }

    /// Sends a request to a route, whose answer is taken as it comes.
    fn stream(&self, py: Python<'_>, method: &str, path: &str, body: Vec<u8>) -> PyResult<Pieces> {
        self.with(py, |open| open.door.stream(method, path, body)).map(Pieces::new)
    }

    /// Answers a question: what the route does, with a vector where its body has an empty one.
    #[pyo3(signature = (collection, body, vector))]
    fn query<'py>(
        &self,
        py: Python<'py>,
        collection: &str,
        body: &[u8],
        vector: Option<PyReadonlyArray1<'py, f32>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let vector = vector.map(|vector| vector.as_array().to_vec());
        let found = self.with(py, |open| open.door.question(collection, body)?.answer(vector.as_deref()))?;
        hits::told(py, &found)
    }

    /// Answers a question for each row of a matrix, on all cores: ids, scores, and how many hits each row has.
    fn query_rows<'py>(
        &self,
        py: Python<'py>,
        collection: &str,
        body: &[u8],
        matrix: PyReadonlyArray2<'py, f32>,
        width: usize,
    ) -> PyResult<Ranked<'py>> {
        let matrix = matrix.as_array();
        let question = self.with(py, |open| open.door.question(collection, body))?;
        let mut found: Vec<Vec<(PointId, f32)>> = Vec::with_capacity(matrix.nrows());
        let mut step = QUESTIONS;
        while found.len() < matrix.nrows() {
            let (began, first) = (Instant::now(), found.len());
            let rows = first..matrix.nrows().min(first + step);
            let rows: Vec<(usize, Vec<f32>)> = rows.map(|at| (at, matrix.row(at).to_vec())).collect();
            found.extend(self.with(py, |open| open.threads.install(|| ranked(&question, &rows)))?);
            py.check_signals()?;
            step = if began.elapsed() < TICK { step * 2 } else { QUESTIONS.max(step / 2) };
        }
        let counts: Vec<u32> = found.iter().map(|row| row.len() as u32).collect();
        let scores = columns(&found, width, f32::NAN, |(_, score)| *score);
        let scores = PyArray1::from_vec(py, scores).reshape([found.len(), width])?;
        Ok((ids(py, &found, width)?, scores, PyArray1::from_vec(py, counts)))
    }

    /// Writes points, whose ids, vectors and payloads are columns, in one commit; its number. The body is that of an
    /// upsert without points.
    #[pyo3(signature = (collection, body, ids, vectors, payloads))]
    fn upsert<'py>(
        &self,
        py: Python<'py>,
        collection: &str,
        body: &[u8],
        ids: Ids<'py>,
        vectors: &Bound<'py, PyDict>,
        payloads: Option<Vec<Bound<'py, PyAny>>>,
    ) -> PyResult<u64> {
        let column = |(name, rows): (Bound<'py, PyAny>, Bound<'py, PyAny>)| {
            Ok((name.extract::<String>()?, rows.extract::<Rows<'py>>()?))
        };
        let columns = vectors.iter().map(column).collect::<PyResult<Vec<_>>>()?;
        let points = points(py, &ids, &columns, payloads.as_deref())?;
        let receipt = self.with(py, |open| open.door.upsert(collection, body, points))?;
        Ok(receipt.seqno.0)
    }

    /// The vectors of texts, by the model that the database was opened with: of questions, or of what is asked for.
    fn embed<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
        is_question: bool,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let rows = self.with(py, |open| {
            let embedder = open.embedder().ok_or_else(|| {
                let message = "is not open; name its directory, or \"auto\", when opening the database";
                Error::invalid("model", message)
            })?;
            if is_question {
                texts.iter().map(|text| embedder.embed_query(text)).collect()
            } else {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                embedder.embed_documents(&texts, &|_| ())
            }
        })?;
        PyArray2::from_vec2(py, &rows).map_err(|error| invalid(py, "model", &error.to_string()))
    }

    /// Brings a collection in step with a folder of documents; what was done. `said` is JSON: how they become points,
    /// and what is said of all of them.
    #[pyo3(signature = (path, collection, said, time_max_s, progress))]
    fn ingest<'py>(
        &self,
        py: Python<'py>,
        path: PathBuf,
        collection: &str,
        said: &[u8],
        time_max_s: Option<f64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let time_max = time_max_s.map(Duration::try_from_secs_f64).transpose();
        let time_max = time_max.map_err(|_| invalid(py, "time_max_s", "must be seconds, from 0 on"))?;
        let said = ingesting::options(said).map_err(|error| raised(py, &error))?;
        let options = IngestOptions { collection: collection.to_owned(), time_max, ..said };
        let (report, broken_off) = self.with(py, |open| {
            ingesting::ingest(open.db(), open.embedder(), &path, &options, progress.as_ref())
        })?;
        broken_off.map_or_else(|| ingesting::told(py, &report), Err)
    }

    /// Moves documents to another model; what was moved. The order is JSON.
    #[pyo3(signature = (order, progress))]
    fn reembed<'py>(
        &self,
        py: Python<'py>,
        order: &[u8],
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (report, broken_off) =
            self.with(py, |open| reembedding::reembed(open.db(), open.embedder(), order, progress.as_ref()))?;
        broken_off.map_or_else(|| reembedding::told(py, &report), Err)
    }

    /// The model, if there is one, as a new collection names the one that it is bound to.
    fn model<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let model = self.with(py, |open| Ok(open.door.model()))?;
        Ok(model.map(|model| pythonize(py, &model)).transpose()?)
    }

    /// A number that another schema of the collection has not.
    fn schema_mark(&self, py: Python<'_>, collection: &str) -> PyResult<u64> {
        self.with(py, |open| Ok(open.schemas.mark(collection, open.db().collection(collection)?.schema())))
    }

    /// What opening it read, and what had to be rebuilt.
    fn start<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let start = self.with(py, |open| Ok(open.db().start().clone()))?;
        let rebuilt = start.rebuilt.iter().map(|rebuilt| {
            format!("{} index of `{}`: {}", rebuilt.index, rebuilt.collection, rebuilt.reason)
        });
        let told = PyDict::new(py);
        told.set_item("collections", start.collections)?;
        told.set_item("points", start.points)?;
        told.set_item("seqno", start.seqno.0)?;
        told.set_item("elapsed_ms", start.elapsed_ms)?;
        told.set_item("rebuilt", PyList::new(py, rebuilt.collect::<Vec<String>>())?)?;
        Ok(told)
    }

    /// Holds everything that is stored against its checksums, and every index against what is stored; where that is
    /// wanted, after all indexes were made anew.
    fn verify<'py>(&self, py: Python<'py>, is_rebuilt: bool) -> PyResult<Bound<'py, PyDict>> {
        let open = self.opened(py)?;
        let work = move || -> Result<Health> {
            if is_rebuilt {
                open.db().rebuild()?;
            }
            open.db().verify()
        };
        let working = std::thread::Builder::new().name("kithdb-doctor".to_owned()).spawn(work);
        let working = working.map_err(|error| raised(py, &error.into()))?;
        while !working.is_finished() {
            py.detach(|| std::thread::sleep(PAUSE));
            // Whoever waits no longer leaves it to end by itself, as what closes the database then waits for.
            py.check_signals()?;
        }
        let broken = "the doctor was broken off; please report it";
        let found = working.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, broken)));
        health::told(py, &found.map_err(|error| raised(py, &error))?)
    }

    /// Makes every acknowledged write durable.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |open| open.db().flush())
    }

    /// Where a snapshot of a collection, or of everything, lies.
    #[pyo3(signature = (collection, name))]
    fn snapshot_path(&self, py: Python<'_>, collection: Option<&str>, name: &str) -> PyResult<PathBuf> {
        self.with(py, |open| open.db().snapshot_path(collection, name))
    }

    /// Makes a collection of what a snapshot holds.
    #[pyo3(signature = (collection, path, checksum))]
    fn recover(
        &self,
        py: Python<'_>,
        collection: &str,
        path: PathBuf,
        checksum: Option<&str>,
    ) -> PyResult<()> {
        self.with(py, |open| open.db().recover_collection(collection, &path, checksum))
    }

    /// Serves the database over HTTP, from this process. With a key only who shows it is answered.
    #[pyo3(signature = (listen, is_open_to_all, api_key))]
    fn serve(
        &self,
        py: Python<'_>,
        listen: &str,
        is_open_to_all: bool,
        api_key: Option<&str>,
    ) -> PyResult<Serving> {
        let listen: SocketAddr = listen.parse().map_err(|_| {
            invalid(py, "listen", &format!("`{listen}` is no address and port, such as 127.0.0.1:6333"))
        })?;
        let keys = match api_key {
            Some(key) => Keys::new().full(key).map_err(|error| raised(py, &error))?,
            None => Keys::new(),
        };
        // Where there is a key nothing else has to guard it.
        let is_open_to_all = is_open_to_all && keys.is_empty();
        let serve = |open: &Open| {
            let (engine, reranker) = (open.engine.clone(), open.reranker.clone());
            let usual = ServeOptions::default();
            let options = ServeOptions { listen, keys, is_open_to_all, engine, reranker, ..usual };
            Server::start_beside(open.door.state(), &options)
        };
        self.with(py, serve).map(Serving::new)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let open = self.open.get_mut().take();
        if self.pid != std::process::id() {
            // Closing would wait for threads that a fork has left behind.
            std::mem::forget(open);
        } else if open.is_some() {
            // Closing waits for threads; the interpreter need not. It may be on its way out itself.
            Python::try_attach(|py| py.detach(move || drop(open)));
        }
    }
}

/// What a route answers. The database stays open until it has.
fn answered<'py>(
    py: Python<'py>,
    door: &Door,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> PyResult<Answered<'py>> {
    let mut answering = py.detach(|| door.ask(method, path, body)).map_err(|error| raised(py, &error))?;
    loop {
        let answer;
        (answering, answer) = py.detach(move || {
            let answer = answering.wait(TICK);
            (answering, answer)
        });
        if let Some(Answer { status, kind, field, body }) = answer.map_err(|error| raised(py, &error))? {
            return Ok((status, kind, field, PyBytes::new(py, &body)));
        }
        // What was begun goes on: a write may still be acknowledged to nobody.
        py.check_signals()?;
    }
}

/// The hits of each row, worked out on all cores.
fn ranked(question: &Question, rows: &[(usize, Vec<f32>)]) -> Result<Vec<Vec<(PointId, f32)>>> {
    let ask = |(at, row): &(usize, Vec<f32>)| {
        question.ranked(row).map_err(|error| error.within(&format!("vectors[{at}]")))
    };
    rows.par_iter().map(ask).collect()
}

/// One value of each hit, row after row, each row filled up to its width.
fn columns<T: Copy>(
    found: &[Vec<(PointId, f32)>],
    width: usize,
    missing: T,
    value: impl Fn(&(PointId, f32)) -> T,
) -> Vec<T> {
    let row = |row: &Vec<(PointId, f32)>| -> Vec<T> {
        row.iter().map(&value).chain(std::iter::repeat(missing)).take(width).collect()
    };
    found.iter().flat_map(row).collect()
}

/// The ids of hits: an array of integers if all of them are, else lists.
fn ids<'py>(py: Python<'py>, found: &[Vec<(PointId, f32)>], width: usize) -> PyResult<Bound<'py, PyAny>> {
    if found.iter().flatten().any(|(id, _)| matches!(id, PointId::Uuid(_))) {
        let text = |(id, _): &(PointId, f32)| match id {
            PointId::Num(id) => Ok(id.into_pyobject(py)?.into_any()),
            PointId::Uuid(id) => Ok(id.to_string().into_pyobject(py)?.into_any()),
        };
        let row = |row: &Vec<(PointId, f32)>| row.iter().map(text).collect::<PyResult<Vec<_>>>();
        let rows = found.iter().map(row).collect::<PyResult<Vec<_>>>()?;
        return Ok(PyList::new(py, rows)?.into_any());
    }
    let number = |(id, _): &(PointId, f32)| match id {
        PointId::Num(id) => *id,
        PointId::Uuid(_) => 0,
    };
    let ids = columns(found, width, 0, number);
    Ok(PyArray1::from_vec(py, ids).reshape([found.len(), width])?.into_any())
}
