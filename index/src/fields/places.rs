//! The places of a column, by latitude.
//!
//! An area is looked up in the places between its latitudes, each of which is compared exactly.
//! Cost: 24 bytes a place; of a look-up a comparison for each place of the same latitudes, wherever its longitude.

use roaring::RoaringBitmap;
use types::{GeoArea, GeoPoint};

use super::column::moved_row;
use super::keys::set_of;

/// (latitude, longitude, row), sorted.
#[derive(Clone, Default)]
pub(super) struct Places(Vec<(f64, f64, u32)>);

impl Places {
    /// Sorted places.
    pub(super) fn over(places: Vec<(f64, f64, u32)>) -> Self {
        Self(places)
    }

    pub(super) fn entries(&self) -> &[(f64, f64, u32)] {
        &self.0
    }

    pub(super) fn push(&mut self, place: GeoPoint, row: u32) {
        self.0.push((place.lat, place.lon, row));
    }

    pub(super) fn sort(&mut self) {
        self.0.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
    }

    pub(super) fn merge(&self, next: &Self) -> Self {
        let mut merged = Self([&self.0[..], &next.0[..]].concat());
        merged.sort();
        merged
    }

    pub(super) fn moved(&self, moves: &[u32]) -> Self {
        let moved = |(lat, lon, row): &(f64, f64, u32)| Some((*lat, *lon, moved_row(*row, moves)?));
        Self(self.0.iter().filter_map(moved).collect())
    }

    /// Rows with a place in the area.
    pub(super) fn within(&self, area: &GeoArea) -> RoaringBitmap {
        let (least, most) = area.latitudes();
        let start = self.0.partition_point(|(lat, ..)| *lat < least);
        let near = self.0[start..].iter().take_while(|(lat, ..)| *lat <= most);
        let inside = near.filter(|(lat, lon, _)| area.contains(GeoPoint { lon: *lon, lat: *lat }));
        set_of(inside.map(|(.., row)| *row))
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len() * size_of::<(f64, f64, u32)>()
    }
}
