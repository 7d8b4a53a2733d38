//! Which rows a filter lets through: exactly where the field indexes know, between two bounds where they do not.
//!
//! Rows between the bounds are decided by their payload, and only as many as needed: ranked candidates are verified in
//! rank order, so an unindexed filter that most points pass costs little.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use index::fields::Kinds;
use index::{Bounds, Lookups};
use roaring::RoaringBitmap;
use types::{Condition, FieldKind, FieldPath, Filter, PointId, Result, Slot};

use crate::View;
use crate::execute::watch::Watch;
use crate::pace::Pace;
use crate::stages::Stage;

/// Rows that are looked at between two looks at the time.
const ROWS: usize = 1024;

/// The rows that may match a filter in one view.
pub(crate) struct Matching<'a> {
    view: &'a View,
    /// In normal form: two spellings of a filter have the same bounds, and so the same plan.
    filter: Cow<'a, Filter>,
    /// `None`: everything matches.
    bounds: Option<Bounds>,
    /// No more payloads are read once its time has passed.
    watch: &'a Watch,
    pace: Pace,
    payloads_read: Cell<usize>,
}

impl<'a> Matching<'a> {
    pub(crate) fn new(view: &'a View, filter: &'a Filter, watch: &'a Watch) -> Result<Self> {
        let over = |filter: Cow<'a, Filter>, bounds: Option<Bounds>| {
            let (pace, payloads_read) = (Pace::default(), Cell::new(0));
            Self { view, filter, bounds, watch, pace, payloads_read }
        };
        if filter.is_empty() {
            return Ok(over(Cow::Borrowed(filter), None));
        }
        let filter = crate::analysed(filter.normalised(), &view.entry.schema);
        if filter.is_empty() {
            return Ok(over(Cow::Owned(filter), None));
        }
        let (failure, is_cut) = (std::cell::RefCell::new(None), Cell::new(false));
        let ids = |ids: &[PointId]| match view.slots(ids) {
            Ok(slots) => slots.into_iter().flatten().map(|slot| slot.0).collect(),
            Err(error) => {
                failure.replace(Some(error));
                RoaringBitmap::new()
            }
        };
        let vectors = |name: &str| match with_vector(view, name, watch) {
            Ok(Some(slots)) => slots,
            Ok(None) => {
                is_cut.set(true);
                RoaringBitmap::new()
            }
            Err(error) => {
                failure.replace(Some(error));
                RoaringBitmap::new()
            }
        };
        let lookups = Lookups { ids: &ids, vectors: &vectors };
        let bounds = view.fields.bounds(&filter, view.universe(), &lookups);
        match failure.into_inner() {
            Some(error) => Err(error),
            // Who was not looked at may be one that the filter refuses.
            None if is_cut.get() => {
                let (lower, upper) = Default::default();
                Ok(over(Cow::Owned(filter), Some(Bounds { lower, upper })))
            }
            None => Ok(over(Cow::Owned(filter), Some(bounds))),
        }
    }

    /// Payloads that were read to decide what matches.
    pub(crate) fn payloads_read(&self) -> usize {
        self.payloads_read.get()
    }

    /// How many rows match at least, and at most.
    pub(crate) fn estimate(&self) -> (usize, usize) {
        match &self.bounds {
            None => (self.view.points(), self.view.points()),
            Some(bounds) => (bounds.lower.len() as usize, bounds.upper.len() as usize),
        }
    }

    /// The fields without an index whose payloads decide, and what kind of index would know.
    pub(crate) fn unindexed(&self) -> BTreeMap<FieldPath, FieldKind> {
        let mut found = BTreeMap::new();
        if !self.is_exact() {
            add_unindexed(&self.filter, None, self.view.fields.kinds(), &mut found);
        }
        found
    }

    /// The rows worth ranking; `None` is all of them.
    pub(crate) fn accept(&self) -> Option<&RoaringBitmap> {
        self.bounds.as_ref().map(|bounds| &bounds.upper)
    }

    /// Whether no payload needs to be read.
    pub(crate) fn is_exact(&self) -> bool {
        self.bounds.as_ref().is_none_or(Bounds::is_exact)
    }

    /// Of candidates in rank order, the first `count` that match.
    pub(crate) fn first<T>(
        &self,
        candidates: Vec<T>,
        slot: impl Fn(&T) -> Slot,
        count: usize,
    ) -> Result<Vec<T>> {
        let Some(bounds) = self.bounds.as_ref().filter(|bounds| !bounds.is_exact()) else {
            let mut candidates = candidates;
            candidates.truncate(count);
            return Ok(candidates);
        };
        let mut kept = Vec::new();
        let mut rest = candidates.into_iter().peekable();
        while kept.len() < count && rest.peek().is_some() && self.watch.has_time() {
            let most = self.pace.rows().min((count - kept.len()).saturating_mul(2));
            let block: Vec<T> = rest.by_ref().take(most).collect();
            let unsure: Vec<Slot> =
                block.iter().map(&slot).filter(|slot| !bounds.lower.contains(slot.0)).collect();
            let read = if self.filter.reads_payload() { unsure.len() } else { 0 };
            self.payloads_read.set(self.payloads_read.get() + read);
            self.watch.read(read);
            let holds: RoaringBitmap = unsure
                .iter()
                .zip(self.verify(&unsure)?)
                .filter_map(|(slot, holds)| holds.then_some(slot.0))
                .collect();
            let is_match = |slot: Slot| bounds.lower.contains(slot.0) || holds.contains(slot.0);
            kept.extend(block.into_iter().filter(|candidate| is_match(slot(candidate))));
        }
        kept.truncate(count);
        Ok(kept)
    }

    fn verify(&self, slots: &[Slot]) -> Result<Vec<bool>> {
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        self.watch.during(Stage::Filter, |_| self.view.verify(&self.filter, slots, &self.pace))
    }

    /// Every row that matches; of those that the time was enough for.
    pub(crate) fn all(&self) -> Result<RoaringBitmap> {
        let Some(bounds) = &self.bounds else { return Ok(self.view.universe().clone()) };
        let unsure: Vec<Slot> = (&bounds.upper - &bounds.lower).iter().map(Slot).collect();
        let mut all = bounds.lower.clone();
        let mut rest = &unsure[..];
        while let Some(block) = self.pace.block(&mut rest)
            && self.watch.has_time()
        {
            let holds = self.verify(block)?;
            all.extend(block.iter().zip(holds).filter_map(|(slot, holds)| holds.then_some(slot.0)));
        }
        Ok(all)
    }
}

/// The rows with a vector of a name, some of which are read from storage; nothing where the time was not enough.
fn with_vector(view: &View, name: &str, watch: &Watch) -> Result<Option<RoaringBitmap>> {
    let mut found = RoaringBitmap::new();
    for (count, slot) in view.universe().iter().enumerate() {
        if count % ROWS == ROWS - 1 && !watch.has_time() {
            return Ok(None);
        }
        if view.has_vector(Slot(slot), name)? {
            found.insert(slot);
        }
    }
    Ok(Some(found))
}

/// `place` is where the objects are that the filter is about, if it is nested: what these hold together no index knows,
/// but where what they must have is.
fn add_unindexed(
    filter: &Filter,
    place: Option<&FieldPath>,
    kinds: &Kinds,
    found: &mut BTreeMap<FieldPath, FieldKind>,
) {
    let whole = |path: &FieldPath| place.map_or_else(|| path.clone(), |place| place.in_objects(path));
    let demanded: Vec<&Condition> = match place {
        Some(_) => filter.must.iter().chain(&filter.should).collect(),
        None => filter.conditions().collect(),
    };
    for condition in demanded {
        let (path, kind) = match condition {
            Condition::Field(path, predicate) => (whole(path), predicate.index_kind()),
            Condition::IsNull(path) => (whole(path), FieldKind::Keyword),
            Condition::IsEmpty(path) if place.is_none() => (path.clone(), FieldKind::Keyword),
            Condition::Filter(inner) => {
                add_unindexed(inner, place, kinds, found);
                continue;
            }
            Condition::Nested(path, inner) => {
                add_unindexed(inner, Some(&whole(path)), kinds, found);
                continue;
            }
            Condition::IsEmpty(_)
            | Condition::Count(..)
            | Condition::HasId(_)
            | Condition::Slice { .. }
            | Condition::HasVector(_) => continue,
        };
        if !kinds.contains_key(&path) {
            found.entry(path).or_insert(kind);
        }
    }
}
