//! Why a point is not in an answer: the level, and the reason there.
//!
//! Cost: that of the request, and of an exact ranking of everything at the levels that did not find the point.

use std::fmt::Write as _;
use std::time::Instant;

use index::{Gauge, Shown};
use roaring::RoaringBitmap;
use types::{Condition, Filter, Metric, PointId, Result, Slot, Subject};

use super::watch::Watch;
use super::{Level, Ranked};
use crate::View;
use crate::plan::{Plan, Step, plan};
use crate::request::{Query, Request};

/// What became of a point at one level of a request, and at its legs.
#[derive(Clone, Debug, PartialEq)]
pub struct WhyNot {
    /// What became of it.
    pub why: Why,
    /// The same for each leg.
    pub legs: Vec<WhyNot>,
}

/// What became of a point at one level.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// It is a hit.
    Hit(Rank),
    /// It is among the best, but they are passed over.
    Offset(Rank),
    /// It is not there, or not yet.
    NoPoint,
    /// The filter shuts it out: these of its conditions, each negated if it stands under `must_not`.
    Filtered(Vec<Failed>),
    /// It has no vector in this space.
    NoVector,
    /// No leg found it.
    NoCandidate,
    /// The query gives it no score: it has none of the words or indices, or no value to be ordered by, or was not
    /// drawn.
    NoScore,
    /// Its score does not pass the threshold.
    Threshold(f32),
    /// It should be a hit, and the walk through the graph did not come by it.
    NotReached(Rank),
    /// It should be a hit, and the codes that estimate distances mistook it.
    Mistaken(Rank),
    /// Others are better.
    Outranked(Rank),
}

/// Where a point stands, from 1, and with which score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rank {
    /// Its rank among all that match.
    pub rank: usize,
    /// Its score.
    pub score: f32,
}

/// A part of a filter that shuts a point out.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// Where it stands: `must[0]`, `must_not[2]`, `should`, `min_should`.
    pub place: String,
    /// The condition that must hold and does not, or must not and does; or those of which too few hold.
    pub conditions: Vec<Condition>,
}

/// Says why a point is not in the answer to a request, which must have passed [`Request::check`]. Until a deadline, if
/// there is one: what was looked at in part gives no reason.
///
/// # Errors
/// As for [`execute()`](super::execute()).
pub fn why_not(view: &View, request: Request, id: PointId, deadline: Option<Instant>) -> Result<WhyNot> {
    let request = request.resolved(view)?;
    let watch = Watch::until(deadline);
    let level = Level::prepare(view, &request, &watch)?;
    let plan = plan(&request, &level.statistics());
    let told = match view.slots(&[id])?.pop().flatten() {
        Some(slot) => level.why(&plan, slot)?,
        None => WhyNot { why: Why::NoPoint, legs: Vec::new() },
    };
    watch.verdict()?;
    Ok(told)
}

impl WhyNot {
    /// What became of it, for people: a line, and one for each leg below it.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.draw(&mut text, "");
        text
    }

    fn draw(&self, text: &mut String, indent: &str) {
        text.push_str(&self.why.to_text());
        for (at, leg) in self.legs.iter().enumerate() {
            let indent = format!("{indent}  ");
            let _ = write!(text, "\n{indent}leg {at}: ");
            leg.draw(text, &indent);
        }
    }
}

impl Why {
    fn to_text(&self) -> String {
        let ranked = |what: &str, rank: &Rank| format!("{what} (rank {}, score {})", rank.rank, rank.score);
        match self {
            Self::Hit(rank) => ranked("it is a hit", rank),
            Self::Offset(rank) => ranked("it is passed over by the offset", rank),
            Self::NoPoint => "there is no such point".to_owned(),
            Self::Filtered(failed) => {
                let told = failed.iter().map(|failed| format!("{}: {}", failed.place, failed.to_text()));
                format!("the filter shuts it out ({})", told.collect::<Vec<_>>().join("; "))
            }
            Self::NoVector => "it has no vector in the space that is asked".to_owned(),
            Self::NoCandidate => "no leg found it".to_owned(),
            Self::NoScore => "it gets no score".to_owned(),
            Self::Threshold(score) => format!("its score is beyond the threshold (score {score})"),
            Self::NotReached(rank) => ranked("the graph did not reach it; ask for more recall", rank),
            Self::Mistaken(rank) => ranked("its codes put it too far away; ask for more recall", rank),
            Self::Outranked(rank) => ranked("others are better", rank),
        }
    }
}

/// Characters of a condition that are told: a list in it may be long.
const TEXT_CHARS_MAX: usize = 240;

impl Failed {
    /// What must hold, as filters are written; of `min_should` what is counted. A long text is cut, with `...` behind.
    pub fn to_text(&self) -> String {
        let one = |condition: &Condition| Filter::must(condition.clone()).to_string();
        let text = match self.place.as_str() {
            "should" => Filter { should: self.conditions.clone(), ..Filter::default() }.to_string(),
            place if place.starts_with("must_not") => {
                Filter { must_not: self.conditions.clone(), ..Filter::default() }.to_string()
            }
            _ => self.conditions.iter().map(one).collect::<Vec<_>>().join(", "),
        };
        match text.char_indices().nth(TEXT_CHARS_MAX) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text,
        }
    }
}

impl Level<'_> {
    fn why(&self, plan: &Plan, slot: Slot) -> Result<WhyNot> {
        let legs: Result<Vec<WhyNot>> =
            self.legs.iter().zip(&plan.legs).map(|(leg, plan)| leg.why(plan, slot)).collect();
        Ok(WhyNot { why: self.why_here(plan, slot)?, legs: legs? })
    }

    fn why_here(&self, plan: &Plan, slot: Slot) -> Result<Why> {
        let place = |hits: &[Ranked]| {
            let at = hits.iter().position(|hit| hit.slot == slot)?;
            Some(Rank { rank: at + 1, score: hits[at].score })
        };
        if let Some(rank) = place(&self.best_of(plan)?) {
            return Ok(if rank.rank > self.request.offset { Why::Hit(rank) } else { Why::Offset(rank) });
        }
        let payload = self.view.payloads(&[slot])?.pop().unwrap_or_default();
        let filter = &self.request.filter;
        let tested = crate::analysed(filter.clone(), &self.view.entry.schema);
        let failed = |subject: &Subject<'_>| Ok(failed(filter, &tested, subject));
        let failed = self.view.subject(slot, &payload, failed)?;
        if !failed.is_empty() {
            return Ok(Why::Filtered(failed));
        }
        let candidates = self.candidates(plan)?;
        if candidates.as_ref().is_some_and(|candidates| !candidates.contains(slot.0)) {
            return Ok(Why::NoCandidate);
        }
        if let Some(using) = self.request.query.space()
            && self.view.vectors(using, &[slot])?.iter().all(Option::is_none)
        {
            return Ok(Why::NoVector);
        }
        if let Query::Nearest { vector, using } = &self.request.query
            && vector.sparse().is_none()
            && vector.multi().is_none()
        {
            return self.why_far(plan, slot, vector.elements(), using, candidates.as_ref());
        }
        let free = Request { score_threshold: None, ..self.request.clone() };
        // In an order a point may come more than once.
        let is_order = matches!(self.request.query, Query::Order(_));
        let most = if is_order { usize::MAX } else { self.view.points().max(plan.count) };
        let all = Plan { count: most, ..plan.clone() };
        let unbound = Level::prepare(self.view, &free, self.watch)?;
        let metric = self.multi_metric();
        // Ratings that look near to their examples find them by the graph.
        let is_probed = matches!(plan.step, Step::Rate { probes: 1.., .. });
        Ok(match place(&unbound.best_of(&all)?) {
            None => Why::NoScore,
            Some(rank) if !self.passes(metric, rank.score) => Why::Threshold(rank.score),
            Some(rank) if is_probed && rank.rank <= plan.count => Why::NotReached(rank),
            Some(rank) => Why::Outranked(rank),
        })
    }

    /// What the legs found.
    fn candidates(&self, plan: &Plan) -> Result<Option<RoaringBitmap>> {
        if self.legs.is_empty() {
            return Ok(None);
        }
        let mut found = RoaringBitmap::new();
        for (leg, plan) in self.legs.iter().zip(&plan.legs) {
            found.extend(leg.run(plan)?.iter().map(|ranked| ranked.slot.0));
        }
        Ok(Some(found))
    }

    /// Of a vector that is not among the nearest that were found.
    fn why_far(
        &self,
        plan: &Plan,
        slot: Slot,
        vector: &[f32],
        using: &str,
        candidates: Option<&RoaringBitmap>,
    ) -> Result<Why> {
        let metric = self.view.entry.schema.space(using)?.metric;
        let accept = self.accept(candidates);
        let shown = Shown { alive: &self.view.alive, accept: accept.as_ref() };
        let goes_on = |work| self.watch.has_time_after(work);
        let gauge = Gauge::new(if self.watch.is_bound() { Some(&goes_on) } else { None });
        let mut distances = Vec::new();
        for part in self.view.rows.parts() {
            part.each(using, shown, &gauge, &mut |slot, other| {
                distances.push((slot, index::kernels::distance(metric, vector, other)));
            })?;
        }
        let own = distances.iter().find(|(other, _)| *other == slot).map_or(f32::INFINITY, |near| near.1);
        let nearer = |(other, distance): &(Slot, f32)| (*distance, *other) < (own, slot);
        let mut before: Vec<Slot> = distances.into_iter().filter(nearer).map(|(slot, _)| slot).collect();
        before.sort_unstable();
        let before = self.matching.first(before, |slot| *slot, usize::MAX)?.len();
        let rank = Rank { rank: before + 1, score: metric.score(own) };
        if !self.passes(metric, rank.score) {
            return Ok(Why::Threshold(rank.score));
        }
        if rank.rank > plan.count {
            return Ok(Why::Outranked(rank));
        }
        for part in self.view.rows.parts() {
            let near = part.scan_codes(using, vector, shown, plan.count, &gauge)?;
            if near.iter().any(|near| near.slot == slot) {
                return Ok(Why::NotReached(rank));
            }
        }
        Ok(Why::Mistaken(rank))
    }

    /// What scores are compared by, where all of them are ranked: those of a multivector may be distances.
    fn multi_metric(&self) -> Metric {
        let using = self.request.query.space();
        let spec = using.and_then(|using| self.view.entry.schema.multi.get(using));
        spec.map_or(Metric::Dot, |spec| spec.metric)
    }

    fn passes(&self, metric: Metric, score: f32) -> bool {
        self.request.score_threshold.is_none_or(|threshold| metric.passes(score, threshold))
    }
}

/// The parts of a filter that shut a point out: `tested` is the filter as its fields mean it, and told is what was
/// asked for.
fn failed(filter: &Filter, tested: &Filter, subject: &Subject<'_>) -> Vec<Failed> {
    let holds = |condition: &Condition| condition.holds(subject);
    let mut failed = Vec::new();
    for (clause, conditions, tested, wanted) in
        [("must", &filter.must, &tested.must, true), ("must_not", &filter.must_not, &tested.must_not, false)]
    {
        let both = conditions.iter().zip(tested).enumerate();
        let wrong = both.filter(|(_, (_, tested))| holds(tested) != wanted);
        failed.extend(wrong.map(|(at, (condition, _))| Failed {
            place: format!("{clause}[{at}]"),
            conditions: vec![condition.clone()],
        }));
    }
    if !tested.should.is_empty() && !tested.should.iter().any(holds) {
        failed.push(Failed { place: "should".to_owned(), conditions: filter.should.clone() });
    }
    if let (Some(least), Some(tested)) = (&filter.min_should, &tested.min_should)
        && tested.conditions.iter().filter(|condition| holds(condition)).count() < tested.count
    {
        failed.push(Failed { place: "min_should".to_owned(), conditions: least.conditions.clone() });
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shuts_a_point_out_is_told_as_filters_are_written() {
        let told = |place: &str, conditions: &[&str]| {
            let one = |text: &&str| text.parse::<Filter>().expect("a filter").must[0].clone();
            let conditions = conditions.iter().map(one).collect();
            Failed { place: place.to_owned(), conditions }.to_text()
        };
        assert_eq!(told("must[0]", &["n = 1"]), "n = 1");
        assert_eq!(told("must_not[2]", &["n = 1"]), "NOT n = 1");
        assert_eq!(told("should", &["n = 1", "n >= 7"]), "n = 1 OR n >= 7");
        assert_eq!(told("min_should", &["n = 1", "m = 'x'"]), "n = 1, m = 'x'");
        let failed = Failed { place: "must[0]".to_owned(), conditions: Vec::new() };
        let leg = |why| WhyNot { why, legs: Vec::new() };
        let legs = vec![leg(Why::Filtered(vec![failed])), leg(Why::Outranked(Rank { rank: 41, score: 0.5 }))];
        let text = WhyNot { why: Why::NoCandidate, legs }.to_text();
        let lines: Vec<&str> = text.lines().collect();
        let expected = [
            "no leg found it",
            "  leg 0: the filter shuts it out (must[0]: )",
            "  leg 1: others are better (rank 41, score 0.5)",
        ];
        assert_eq!(lines, expected);
        let ids = Condition::HasId((0..9_999).map(PointId::Num).collect());
        let long = Failed { place: "must[0]".to_owned(), conditions: vec![ids] }.to_text();
        assert!(long.starts_with("ID IN (0, 1, 2") && long.ends_with("..."), "{long}");
        assert_eq!(long.chars().count(), TEXT_CHARS_MAX + 3);
    }
}
