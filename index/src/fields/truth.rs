//! Three-valued logic over sets of slots: what certainly holds, and what may hold besides.

use roaring::RoaringBitmap;

use super::bounds::Bounds;
use crate::bitmap::raised;

/// What is known about a condition. `Between` has the slots where it certainly holds and the slots where it may,
/// the certain ones included.
pub(super) enum Truth {
    Exact(RoaringBitmap),
    Between(RoaringBitmap, RoaringBitmap),
}

impl Truth {
    /// Certain slots, and slots that may be added to them.
    pub(super) fn between(certain: RoaringBitmap, maybe: RoaringBitmap) -> Self {
        if maybe.is_subset(&certain) {
            Self::Exact(certain)
        } else {
            let upper = maybe | &certain;
            Self::Between(certain, upper)
        }
    }

    pub(super) fn lower(&self) -> &RoaringBitmap {
        match self {
            Self::Exact(slots) | Self::Between(slots, _) => slots,
        }
    }

    pub(super) fn upper(&self) -> &RoaringBitmap {
        match self {
            Self::Exact(slots) | Self::Between(_, slots) => slots,
        }
    }

    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }

    pub(super) fn and(self, other: &Self) -> Self {
        match self {
            Self::Exact(slots) if other.is_exact() => Self::Exact(slots & other.lower()),
            Self::Exact(slots) => Self::pair(&slots & other.lower(), slots & other.upper()),
            Self::Between(lower, upper) => Self::pair(lower & other.lower(), upper & other.upper()),
        }
    }

    pub(super) fn or(self, other: &Self) -> Self {
        match self {
            Self::Exact(slots) if other.is_exact() => Self::Exact(slots | other.lower()),
            Self::Exact(slots) => Self::pair(&slots | other.lower(), slots | other.upper()),
            Self::Between(lower, upper) => Self::pair(lower | other.lower(), upper | other.upper()),
        }
    }

    pub(super) fn not(&self, universe: &RoaringBitmap) -> Self {
        match self {
            Self::Exact(slots) => Self::Exact(universe - slots),
            Self::Between(lower, upper) => Self::Between(universe - upper, universe - lower),
        }
    }

    /// The same of rows that lie above a base.
    pub(super) fn raised(self, base: u32) -> Self {
        match self {
            Self::Exact(rows) => Self::Exact(raised(rows, base)),
            Self::Between(lower, upper) => Self::Between(raised(lower, base), raised(upper, base)),
        }
    }

    pub(super) fn into_bounds(self) -> Bounds {
        match self {
            Self::Exact(slots) => Bounds { lower: slots.clone(), upper: slots },
            Self::Between(lower, upper) => Bounds { lower, upper },
        }
    }

    /// Unknowns may cancel out: where both sets are as large, they are the same.
    fn pair(lower: RoaringBitmap, upper: RoaringBitmap) -> Self {
        if lower.len() == upper.len() { Self::Exact(upper) } else { Self::Between(lower, upper) }
    }
}
