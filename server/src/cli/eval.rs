//! `kithdb eval`: questions whose answers are known are asked of a collection, to measure what is found and answered,
//! or to learn what words weigh.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Args;
use kithdb::{Collection, Database, Error, ErrorKind, Filter, Result};
use rag::answer::{Library, Manner, Retrieval};
use rag::eval::{self, AnswerRun, Comparison, Config, Learned, Lesson, Question, Run};
use rag::{Embedder, Mode, feedback};
use serde::Serialize;

use super::engine::EngineArgs;
use super::judge::JudgeArgs;
use super::open::{DataArgs, ModelArgs};
use super::rerank::RerankArgs;
use super::search::{ModeArg, filter, with_names};
use super::terminal::{counted, print, say, table};
use crate::wire;
use crate::wire::eval::{LIMIT, LearnedOut, ReportOut};

/// Ask questions with known answers.
#[derive(Args)]
pub(super) struct Eval {
    /// The collection
    #[arg(long, short, value_name = "NAME", default_value = "documents")]
    collection: String,
    /// Store these questions first, a JSON object a line: {"question": "…", "expected": [{"path": "guide.md"}]};
    /// `-` is standard input
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,
    /// Drop the questions that were stored before; without --questions, that is all that is done
    #[arg(long)]
    clear: bool,
    /// How to ask
    #[arg(long, value_enum, default_value_t = ModeArg::Hybrid)]
    mode: ModeArg,
    /// How to ask the second time, to be compared with the first
    #[arg(long, value_enum)]
    versus: Option<ModeArg>,
    /// Passages of an answer
    #[arg(short = 'k', long, value_name = "N", default_value_t = LIMIT)]
    limit: usize,
    /// Passages of an answer the second time, if not as many
    #[arg(long, value_name = "N", requires = "versus")]
    versus_limit: Option<usize>,
    /// Only among passages where a filter holds (docs/filters.md)
    #[arg(long = "where", value_name = "FILTER")]
    condition: Option<String>,
    /// The commit that is read, within the time that the collection keeps past states
    #[arg(long, value_name = "SEQNO")]
    as_of: Option<u64>,
    /// Learn what words weigh in hybrid searches, and keep it with the collection if it is better than the default
    #[arg(long, conflicts_with_all = ["mode", "versus", "limit", "as_of", "html"])]
    learn: bool,
    /// Learn also from what was said of answers (docs/answers.md)
    #[arg(long, requires = "learn")]
    feedback: bool,
    /// Write a report to be looked at
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Have the questions answered too, as `kithdb ask` would, and measure the answers
    #[arg(long, conflicts_with = "as_of")]
    answers: bool,
    /// Print JSON, with every question
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    rerank: RerankArgs,
    #[command(flatten)]
    judge: JudgeArgs,
}

impl Eval {
    pub(super) fn run(self) -> Result<ExitCode> {
        let embedder = self.model.open()?;
        let db = self.data.open_existing()?;
        let collection = db.collection(&self.collection).map_err(|error| with_names(error, &db))?;
        if self.clear {
            let were_there = eval::clear(&db, &self.collection)?;
            if self.questions.is_none() {
                print(&self.cleared(were_there));
                return Ok(ExitCode::SUCCESS);
            }
        }
        if let Some(path) = &self.questions {
            eval::store(&db, &self.collection, &read(path)?)?;
        }
        let mut questions = eval::load(&db, &self.collection)?;
        if self.learn {
            if self.feedback {
                questions = feedback::beside(&db, &self.collection, questions)?;
            }
            let lesson = Lesson { filter: self.filter()?, ..Lesson::default() };
            let learned = eval::learn(&collection, embedder.as_ref(), &questions, &lesson)?;
            let told = if self.json { json(&LearnedOut::from(learned))? } else { self.learned(&learned) };
            print(&told);
            return Ok(ExitCode::SUCCESS);
        }
        let runs: Vec<Run> = self
            .configs()?
            .iter()
            .map(|config| eval::run(&collection, embedder.as_ref(), &questions, config, self.as_of))
            .collect::<Result<_>>()?;
        let answers = self.answered(&db, &collection, embedder.as_ref(), &questions)?;
        if let Some(path) = &self.html {
            let page = eval::html(&self.collection, &runs.iter().collect::<Vec<_>>(), answers.as_ref());
            fs::write(path, page).map_err(|error| {
                let message = format!("{} cannot be written: {error}", path.display());
                Error::new(ErrorKind::Io, message).with_field("html").with_source(error)
            })?;
            say(&format!("report: {}", path.display()));
        }
        if self.json {
            let mut report = serde_json::to_value(ReportOut::new(&runs, true)).map_err(no_json)?;
            if let Some(answers) = &answers {
                report["answers"] = wire::answers::told(answers, true);
            }
            print(&json(&report)?);
        } else {
            print(&self.to_text(&runs));
            print(&answers.as_ref().map_or_else(String::new, answers_text));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn cleared(&self, were_there: bool) -> String {
        match (self.json, were_there) {
            (true, _) => format!("{}\n", serde_json::json!({ "cleared": were_there })),
            (false, true) => format!("dropped the questions about `{}`\n", self.collection),
            (false, false) => format!("there were no questions about `{}`\n", self.collection),
        }
    }

    fn filter(&self) -> Result<Filter> {
        filter(&[], self.condition.as_deref())
    }

    fn learned(&self, learned: &Learned) -> String {
        let Learned { questions, folds, keyword, vector, default, learned: held_out, interval, p, .. } =
            *learned;
        let (least, most) = (learned.weights.words_least, learned.weights.words_most);
        let gain = held_out - default;
        let rows = [
            ("by keyword", format!("{keyword:.4}")),
            ("by vector", format!("{vector:.4}")),
            ("by both", format!("{default:.4}")),
            (
                "by both, learned",
                format!("{held_out:.4}  {gain:+.4} ({:+.4} to {:+.4}), p {p:.4}", interval.0, interval.1),
            ),
        ];
        let kept =
            if learned.is_adopted { "kept with the collection" } else { "no better than chance, not kept" };
        format!(
            "{questions} questions about `{}`, nDCG@10, learned weights on the part of {folds} that did not choose them\n\
             {}words weigh {least:.1} to {most:.1}: {kept}\n",
            self.collection,
            table(&rows),
        )
    }

    fn configs(&self) -> Result<Vec<Config>> {
        let filter = self.filter()?;
        let config = |mode: ModeArg, limit: usize| {
            let mode = Mode::from(mode);
            let name = format!("{} {limit}", mode.name());
            Config { name, mode, limit, filter: filter.clone(), deadline: None }
        };
        let second = self.versus.map(|mode| config(mode, self.versus_limit.unwrap_or(self.limit)));
        Ok(std::iter::once(config(self.mode, self.limit)).chain(second).collect())
    }

    /// Answers to the questions, if they are wanted: as the first configuration finds passages.
    fn answered(
        &self,
        db: &Database,
        chunks: &Collection,
        embedder: Option<&Embedder>,
        questions: &[Question],
    ) -> Result<Option<AnswerRun>> {
        if !self.answers {
            return Ok(None);
        }
        let (engine, reranker, judge) = (self.engine.open()?, self.rerank.open()?, self.judge.open()?);
        let (engine, reranker) = (engine.as_deref(), reranker.as_deref());
        let library = Library { db, chunks, embedder, engine, reranker };
        let mut manner = Manner::default();
        if let Some(config) = self.configs()?.into_iter().next() {
            let Config { mode, limit, filter, .. } = config;
            manner.retrieval = Retrieval { mode, limit, filter, ..manner.retrieval };
        }
        eval::run_answers(&library, questions, &manner, judge.as_deref(), None).map(Some)
    }

    fn to_text(&self, runs: &[Run]) -> String {
        let mut text = String::new();
        if let Some(first) = runs.first() {
            let count = counted(first.rows.len(), "question");
            text = format!("{count} about `{}`, at commit {}\n", self.collection, first.seqno);
        }
        if let [a, b] = runs {
            let row = |one: &Comparison| {
                let values = format!(
                    "{:.4}  {:.4}  {:+.4} ({:+.4} to {:+.4}), p {:.4}, {} better, {} worse",
                    one.a,
                    one.b,
                    one.b - one.a,
                    one.interval.0,
                    one.interval.1,
                    one.p,
                    one.wins,
                    one.losses
                );
                (one.measure, values)
            };
            text.push_str(&format!("{} beside {}\n", a.config.name, b.config.name));
            return text + &table(&eval::compare(a, b).iter().map(row).collect::<Vec<_>>());
        }
        for run in runs {
            text.push_str(&format!("{}\n", run.config.name));
            let rows: Vec<_> =
                run.means().into_iter().map(|(name, mean)| (name, format!("{mean:.4}"))).collect();
            text.push_str(&table(&rows));
        }
        text
    }
}

/// The questions of a file, or of standard input.
fn read(path: &Path) -> Result<Vec<Question>> {
    let read =
        if path == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    let text = read.map_err(|error| {
        Error::invalid("questions", format!("{} cannot be read: {error}", path.display())).with_source(error)
    })?;
    Question::read_lines(&text)
}

fn answers_text(run: &AnswerRun) -> String {
    let refused = format!(
        "{} answers; of {} questions that expect nothing {} were refused, of the others {}\n",
        run.rows.len(),
        run.unanswerable,
        run.refused_rightly,
        run.refused_wrongly
    );
    let rows: Vec<_> = run.means().into_iter().map(|(name, mean)| (name, format!("{mean:.4}"))).collect();
    refused + &table(&rows)
}

fn json(told: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(told).map(|told| format!("{told}\n")).map_err(no_json)
}

fn no_json(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "the report is no JSON").with_source(error)
}
