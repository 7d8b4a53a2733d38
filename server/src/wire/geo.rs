//! Places and areas on the wire.

use kithdb::{GeoArea, GeoPoint};
use serde::Deserialize;
use utoipa::ToSchema;

/// A place.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = GeoPoint)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceIn {
    lon: f64,
    lat: f64,
}

/// `geo_bounding_box`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = GeoBoundingBox)]
#[serde(deny_unknown_fields)]
pub(crate) struct BoxIn {
    top_left: PlaceIn,
    bottom_right: PlaceIn,
}

/// `geo_radius`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = GeoRadius)]
#[serde(deny_unknown_fields)]
pub(crate) struct CircleIn {
    center: PlaceIn,
    /// Metres.
    radius: f64,
}

/// `geo_polygon`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = GeoPolygon)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolygonIn {
    exterior: RingIn,
    interiors: Option<Vec<RingIn>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = GeoLine)]
#[serde(deny_unknown_fields)]
struct RingIn {
    points: Vec<PlaceIn>,
}

impl From<PlaceIn> for GeoPoint {
    fn from(PlaceIn { lon, lat }: PlaceIn) -> Self {
        Self { lon, lat }
    }
}

impl BoxIn {
    pub(crate) fn into_area(self) -> GeoArea {
        GeoArea::Box { top_left: self.top_left.into(), bottom_right: self.bottom_right.into() }
    }
}

impl CircleIn {
    pub(crate) fn into_area(self) -> GeoArea {
        GeoArea::Circle { center: self.center.into(), radius_m: self.radius }
    }
}

impl PolygonIn {
    pub(crate) fn into_area(self) -> GeoArea {
        let ring = |ring: RingIn| ring.points.into_iter().map(GeoPoint::from).collect();
        let interiors = self.interiors.unwrap_or_default().into_iter().map(ring).collect();
        GeoArea::Polygon { exterior: ring(self.exterior), interiors }
    }
}
