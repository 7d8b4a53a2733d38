//! An answer with proof: passages are found, a model writes, what it wrote is held against them.
//!
//! The path of a question: where that is asked for, it is made to stand by itself (`rewrite`). [`retrieve()`] finds
//! passages, as who asks may see them; where there is a reranker, it ranks them; where that is asked for, they grow
//! to whole sections (`sections`). When nothing speaks for an answer being among them, that is said and no model is
//! asked. Otherwise they are packed into the model's context, fenced as data (`prompt`), and each sentence that comes
//! back is cited or marked before it goes out (`check`). Without a serving engine, or when that is asked for, the
//! answer is made of quotes (`extract`), and says so.
//!
//! Invariants: a citation names bytes of a document that is stored with the hash that it names. What documents say
//! never stands in the place of instructions. For an answer a model is asked at most twice: the second time with less,
//! when the engine says that its context was too small; before it once, where the question is to be rewritten.
//! Cost: the engine's time. Before it a search, the sources of its hits, and a few questions to the engine's
//! tokenizer.
//! When not to use: for a conversation without documents.

mod check;
mod extract;
mod pack;
mod passage;
mod prompt;
mod retrieve;
mod rewrite;
mod sections;
mod shown;
mod words;

use std::ops::{ControlFlow, Range};

use kithdb::{Collection, Database, Error, ErrorKind, PointId, Result};

use crate::engine::{Cancel, Chat, Engine, Failure, FailureKind, Finish, Message, Reranker, Role, Usage};
use crate::{Embedder, Mode};
use check::Checker;
pub use check::{Citation, UNSUPPORTED};
pub use extract::EXTRACTIVE;
pub(crate) use passage::hash as text_hash;
pub use passage::{About, Document, Passage, document};
pub use prompt::{Asked, fence};
pub use retrieve::{ACCESS_FIELD, Evidence, QUESTION, Reranked, Retrieval, Retrieved, retrieve, sources_of};
pub use shown::inert;

/// Said when nothing speaks for an answer being in the documents.
pub const NOTHING_FOUND: &str = "I found nothing in the documents that answers this question.";

/// What questions are answered from, and with.
#[derive(Clone, Copy)]
pub struct Library<'a> {
    /// The database.
    pub db: &'a Database,
    /// The chunks of the documents.
    pub chunks: &'a Collection,
    /// The model of the chunks.
    pub embedder: Option<&'a Embedder>,
    /// What writes answers.
    pub engine: Option<&'a Engine>,
    /// What ranks passages.
    pub reranker: Option<&'a Reranker>,
}

/// How an answer is made.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How passages are looked for.
    pub retrieval: Retrieval,
    /// What must speak for an answer being there.
    pub relevance: Relevance,
    /// Tokens of the prompt, documents included; as many as the model has room for, up to [`PROMPT_TOKENS_MAX`], if
    /// absent.
    pub prompt_tokens_max: Option<usize>,
    /// Tokens of the answer; the engine's setting, if absent.
    pub answer_tokens_max: Option<usize>,
    /// How freely tokens are chosen.
    pub temperature: Option<f32>,
    /// The share of likely tokens that are chosen from.
    pub top_p: Option<f32>,
    /// What ends an answer.
    pub stop: Vec<String>,
    /// Equal seeds answer alike, where the engine can do that.
    pub seed: Option<i64>,
    /// Quotes only, also where there is a serving engine.
    pub is_extractive: bool,
    /// A question that follows others is first rewritten so that it stands by itself, and searched with as that.
    pub is_rewritten: bool,
    /// Whether sentences that nothing supports are marked in the text itself.
    pub marks_unsupported: bool,
}

/// What must speak for an answer being there: less is none.
///
/// Near misses are the hard part: passages on the subject that do not have the answer. What thresholds refuse, rightly
/// and wrongly, `benches/answers/refusal.py` measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relevance {
    /// The cosine of the question and the nearest chunk, where there is a model.
    pub similarity_min: f32,
    /// The share of the question's words that one passage has, where there is none.
    pub coverage_min: f32,
}

/// What becomes of a question, as it does.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// The documents in the order of their numbers.
    Documents(&'a [Passage]),
    /// The next sentences, and what they cite.
    Text(&'a str, &'a [Citation]),
}

/// How an answer came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A model wrote it.
    Generated,
    /// It is made of quotes.
    Extractive,
    /// There was nothing to answer from.
    NothingFound,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// How it came about.
    pub outcome: Outcome,
    /// Its text, with markers `[1]` for its citations.
    pub text: String,
    /// The documents that it was made from, in the order of their numbers.
    pub documents: Vec<Passage>,
    /// Its citations.
    pub citations: Vec<Citation>,
    /// The sentences that no document supports, in characters of the text.
    pub unsupported: Vec<Range<usize>>,
    /// What spoke for it.
    pub evidence: Evidence,
    /// How passages were looked for in the end.
    pub mode: Mode,
    /// What came of ranking them by a reranker, if one was asked.
    pub reranked: Option<Reranked>,
    /// Why it ended.
    pub finish: Finish,
    /// What was searched with, if the question was rewritten.
    pub rewritten: Option<String>,
    /// What it took of a model, to rewrite the question included; nothing of quotes.
    pub usage: Option<Usage>,
    /// The model that wrote it.
    pub model: Option<String>,
}

/// So much of a question's words in one passage speaks for it, whatever its vector says.
const COVERAGE_ENOUGH: f32 = 0.8;

/// Tokens of a prompt unless it is said otherwise, where the model has room for more.
pub const PROMPT_TOKENS_MAX: usize = 8_192;

/// The room that a model has which tells nothing of it.
const CONTEXT_TOKENS: usize = 4_096;

/// Kept free for what templates add.
const SPARE_TOKENS: usize = 16;

/// A question with fewer words that matter is looked for together with the one before it.
const QUESTION_WORDS_MIN: usize = 3;

/// Characters of that one, the last: models see a few hundred tokens, and the question itself must be among them.
const BEFORE_CHARS_MAX: usize = 1_000;

impl Default for Manner {
    fn default() -> Self {
        Self {
            retrieval: Retrieval::default(),
            relevance: Relevance::default(),
            prompt_tokens_max: None,
            answer_tokens_max: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            seed: None,
            is_extractive: false,
            is_rewritten: false,
            marks_unsupported: true,
        }
    }
}

impl Outcome {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Extractive => "extractive",
            Self::NothingFound => "nothing_found",
        }
    }
}

impl Default for Relevance {
    fn default() -> Self {
        Self { similarity_min: 0.5, coverage_min: 0.34 }
    }
}

impl Relevance {
    /// Whether enough speaks for an answer being there.
    pub fn is_met(&self, evidence: &Evidence) -> bool {
        match evidence.similarity {
            // Identifiers are found by words: no model knows them.
            Some(similarity) => similarity >= self.similarity_min || evidence.coverage >= COVERAGE_ENOUGH,
            None => evidence.coverage >= self.coverage_min,
        }
    }
}

/// Answers a question. `tell` gets the answer as it comes, and may break it off.
///
/// # Errors
/// As for [`retrieve()`]; those of the serving engine and of the reranker have a [`Failure`] as their source.
pub fn answer(
    library: &Library<'_>,
    asked: &Asked,
    manner: &Manner,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Told<'_>) -> ControlFlow<()>,
) -> Result<Answer> {
    let rewritten = match manner.is_rewritten {
        true => rewrite::rewritten(library.engine, asked, cancel)?,
        false => None,
    };
    let searched = rewritten.as_ref().map_or_else(|| looked_for(asked), |own| own.question.clone());
    let engine = library.engine.filter(|_| !manner.is_extractive);
    let how = within_room(&manner.retrieval, engine, manner);
    let mut retrieved = retrieve(library, &searched, &how, cancel)?;
    distinct(&mut retrieved.passages);
    let made = if retrieved.passages.is_empty() || !manner.relevance.is_met(&retrieved.evidence) {
        // Who breaks it off now has all of it.
        let _ = tell(Told::Text(NOTHING_FOUND, &[]));
        Answer::of(Outcome::NothingFound, NOTHING_FOUND.to_owned(), &retrieved)
    } else if let Some(engine) = engine {
        Writing { library, engine, asked, manner, cancel }.answer(&retrieved, tell)?
    } else {
        let question = rewritten.as_ref().map_or(&asked.question, |own| &own.question);
        extractive(question, &retrieved, tell)
    };
    let Some(rewritten) = rewritten else { return Ok(made) };
    let usage = made.usage.into_iter().chain(rewritten.usage).reduce(Usage::and);
    Ok(Answer { rewritten: Some(rewritten.question), usage, ..made })
}

/// Leaves each text once: a copy takes room from others, and says nothing that was not said. Under another title or
/// other headings the same words say something else: what a thing costs, of another thing. Of copies it is always the
/// same that stays, so that prompts on the same documents begin alike.
fn distinct(passages: &mut Vec<Passage>) {
    fn said(passage: &Passage) -> (&str, &str, &str) {
        (&passage.text, &passage.about.heading, passage.title())
    }
    for passage in std::mem::take(passages) {
        match passages.iter_mut().find(|own| said(own) == said(&passage)) {
            None => passages.push(passage),
            Some(own) if (passage.source, passage.span.start) < (own.source, own.span.start) => {
                *own = Passage { score: own.score, similarity: own.similarity, ..passage };
            }
            Some(_) => {}
        }
    }
}

/// How passages are looked for, so that sections do not grow beyond what the engine has room for.
fn within_room(how: &Retrieval, engine: Option<&Engine>, manner: &Manner) -> Retrieval {
    let mut how = how.clone();
    if let (Some(tokens_max), Some(engine)) = (how.sections_tokens_max, engine) {
        // What keeps the engine from telling is met again when it is to write.
        let room = Room::of(engine, manner).map_or(tokens_max, |room| room.prompt);
        how.sections_tokens_max = Some(tokens_max.min(room));
    }
    how
}

/// What a model has room for, in tokens.
struct Room {
    model: String,
    prompt: usize,
    answer: usize,
}

impl Room {
    fn of(engine: &Engine, manner: &Manner) -> Result<Self> {
        let known = engine.known()?;
        let context = known.context_tokens.unwrap_or(CONTEXT_TOKENS);
        let wanted = manner.answer_tokens_max.unwrap_or(engine.options().answer_tokens_max);
        let answer = wanted.clamp(1, (context / 2).max(1));
        let room = context.saturating_sub(answer + SPARE_TOKENS);
        let prompt = room.min(manner.prompt_tokens_max.unwrap_or(PROMPT_TOKENS_MAX));
        Ok(Self { model: known.model, prompt, answer })
    }
}

/// What is looked for: a short question that follows another is meant with it.
fn looked_for(asked: &Asked) -> String {
    let before = asked.history.iter().rev().find(|turn| turn.role == Role::User);
    match before {
        Some(before) if words::count(&asked.question) < QUESTION_WORDS_MIN => {
            let behind = before.text.chars().count().saturating_sub(BEFORE_CHARS_MAX);
            let before: String = before.text.chars().skip(behind).collect();
            format!("{before} {}", asked.question)
        }
        _ => asked.question.clone(),
    }
}

fn extractive(
    question: &str,
    retrieved: &Retrieved,
    tell: &mut dyn FnMut(Told<'_>) -> ControlFlow<()>,
) -> Answer {
    let (text, citations) = extract::extract(question, &retrieved.passages);
    let documents = retrieved.passages.clone();
    if tell(Told::Documents(&documents)).is_continue() {
        // As above.
        let _ = tell(Told::Text(&text, &citations));
    }
    Answer { documents, citations, ..Answer::of(Outcome::Extractive, text, retrieved) }
}

/// An answer that a model writes.
struct Writing<'a> {
    library: &'a Library<'a>,
    engine: &'a Engine,
    asked: &'a Asked,
    manner: &'a Manner,
    cancel: &'a Cancel,
}

impl Writing<'_> {
    fn answer(
        &self,
        retrieved: &Retrieved,
        tell: &mut dyn FnMut(Told<'_>) -> ControlFlow<()>,
    ) -> Result<Answer> {
        let Room { model, prompt: room, answer: answer_tokens } = Room::of(self.engine, self.manner)?;
        match self.attempt(retrieved, room, answer_tokens, &model, tell) {
            Err(error) => match Failure::of(&error).map(|failure| failure.kind) {
                Some(FailureKind::ContextOverflow { prompt, context }) => {
                    let share = prompt
                        .zip(context)
                        .map_or(0.5, |(prompt, context)| context as f64 / prompt.max(1) as f64);
                    let less = (room as f64 * share.clamp(0.1, 0.9) * 0.9) as usize;
                    tracing::debug!(room, less, "the model's context is smaller than was told");
                    self.attempt(retrieved, less, answer_tokens.min(less.max(1)), &model, tell)
                }
                _ => Err(error),
            },
            made => made,
        }
    }

    fn attempt(
        &self,
        retrieved: &Retrieved,
        room: usize,
        answer_tokens: usize,
        model: &str,
        tell: &mut dyn FnMut(Told<'_>) -> ControlFlow<()>,
    ) -> Result<Answer> {
        let asked = recent(self.asked, room / 4, &|text| self.engine.count(text).tokens);
        let documents =
            pack::packed(&retrieved.passages, room, &|text| self.engine.count(text).tokens, &|passages| {
                self.engine.count_messages(&prompt::messages(&asked, passages)).tokens
            });
        if documents.is_empty() {
            let message = format!(
                "{room} tokens are left for the prompt, and no document fits; allow more, or ask for less"
            );
            return Err(Error::new(ErrorKind::LimitExceeded, message).with_field("rag.prompt_tokens"));
        }
        if tell(Told::Documents(&documents)).is_break() {
            return Err(Failure::new(FailureKind::Cancelled, "nobody waits for it").into());
        }
        let sources = sources_of(self.library.db, self.library.chunks)?;
        let is_stored = |source: PointId, hash: &str| passage::is_stored(&sources, source, hash);
        let mut checker = Checker::new(&documents, &is_stored, self.manner.marks_unsupported);
        let (mut text, mut told) = (String::new(), 0);
        let mut pass_on = |checker: &Checker<'_>, out: &str, text: &mut String| {
            text.push_str(out);
            let new = &checker.citations[told..];
            told = checker.citations.len();
            if out.is_empty() { ControlFlow::Continue(()) } else { tell(Told::Text(out, new)) }
        };
        let chat = self.chat(&asked, &documents, answer_tokens);
        let generated = self.engine.chat(&chat, self.cancel, &mut |piece| {
            let out = checker.take(piece);
            pass_on(&checker, &out, &mut text)
        })?;
        let out = checker.end();
        // Who breaks it off now has nearly all of it.
        let _ = pass_on(&checker, &out, &mut text);
        // Who is cut short, or names what ends an answer, is told that by the reason; here the model had its say.
        if text.trim().is_empty() && generated.finish == Finish::Stop && self.manner.stop.is_empty() {
            let said = "it ended without a word, as models do that call a tool, or only think";
            return Err(Failure::new(FailureKind::Garbled, said).into());
        }
        let Checker { citations, unsupported, .. } = checker;
        Ok(Answer {
            citations,
            unsupported,
            finish: generated.finish,
            usage: generated.usage,
            model: Some(model.to_owned()),
            ..Answer::of(Outcome::Generated, text, retrieved).with_documents(documents)
        })
    }

    fn chat(&self, asked: &Asked, documents: &[Passage], answer_tokens_max: usize) -> Chat {
        let Manner { temperature, top_p, seed, .. } = *self.manner;
        let messages = prompt::messages(asked, documents);
        Chat { messages, answer_tokens_max, temperature, top_p, seed, stop: self.manner.stop.clone() }
    }
}

/// The question with as many of the last turns before it as there is room for. Pairs stay together, so that roles
/// alternate.
fn recent(asked: &Asked, room: usize, count: &dyn Fn(&str) -> usize) -> Asked {
    let (mut left, mut from) = (room, asked.history.len());
    for (position, turn) in asked.history.iter().enumerate().rev() {
        let tokens = count(&turn.text);
        if tokens > left {
            break;
        }
        left -= tokens;
        if turn.role == Role::User {
            from = position;
        }
    }
    Asked { history: alternating(&asked.history[from..]), ..asked.clone() }
}

/// Turns of which a question follows an answer and the other way round: templates of chats refuse others.
fn alternating(turns: &[Message]) -> Vec<Message> {
    let mut kept: Vec<Message> = Vec::new();
    for turn in turns.iter().filter(|turn| turn.role != Role::System) {
        match kept.last_mut().filter(|last| last.role == turn.role) {
            Some(last) => {
                last.text.push_str("\n\n");
                last.text.push_str(&turn.text);
            }
            None => kept.push(turn.clone()),
        }
    }
    if kept.last().is_some_and(|last| last.role == Role::User) {
        kept.push(Message::new(Role::Assistant, "…"));
    }
    kept
}

impl Answer {
    fn of(outcome: Outcome, text: String, retrieved: &Retrieved) -> Self {
        Self {
            outcome,
            text,
            documents: Vec::new(),
            citations: Vec::new(),
            unsupported: Vec::new(),
            evidence: retrieved.evidence,
            mode: retrieved.mode,
            reranked: retrieved.reranked.clone(),
            finish: Finish::Stop,
            rewritten: None,
            usage: None,
            model: None,
        }
    }

    fn with_documents(self, documents: Vec<Passage>) -> Self {
        Self { documents, ..self }
    }

    /// The documents that are cited, each once, with their numbers: what a client shows that knows no citations.
    pub fn cited(&self) -> Vec<(usize, &Passage)> {
        let is_cited = |number: usize| self.citations.iter().any(|citation| citation.passage == number);
        (0..self.documents.len())
            .filter(|number| is_cited(*number))
            .map(|number| (number + 1, &self.documents[number]))
            .collect()
    }
}
