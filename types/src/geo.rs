//! Places on the earth, and areas of it.
//!
//! A place is an object with `lon` and `lat` in degrees. Distances are those on a sphere of the earth's mean radius
//! (haversine), up to half a percent from those on the ellipsoid. Edges are outside of what they are the edge of, and
//! those of a hole are outside of the polygon.

use crate::payload::Value;
use crate::{Error, Result};

/// A place.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct GeoPoint {
    /// Degrees east, -180 to 180.
    pub lon: f64,
    /// Degrees north, -90 to 90.
    pub lat: f64,
}

/// A part of the earth.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum GeoArea {
    /// Between two corners. Where the left one lies east of the right one, it crosses the date line; where it
    /// lies south of it, nothing lies between them.
    Box {
        /// The corner in the north-west.
        top_left: GeoPoint,
        /// The corner in the south-east.
        bottom_right: GeoPoint,
    },
    /// Nearer to a place than a distance.
    Circle {
        /// The place.
        center: GeoPoint,
        /// The distance, in metres.
        radius_m: f64,
    },
    /// Inside of a ring and of no inner one. Rings are closed: their last place is their first.
    Polygon {
        /// The outer ring.
        exterior: Vec<GeoPoint>,
        /// Holes.
        interiors: Vec<Vec<GeoPoint>>,
    },
}

/// The mean radius of the earth, in metres.
const RADIUS_M: f64 = 6_371_008.8;

/// Places of the smallest ring.
const RING_MIN: usize = 4;

impl GeoPoint {
    /// The place that a value of a payload is, if it is one.
    pub fn of(value: &Value) -> Option<Self> {
        let (lon, lat) = (value.get("lon")?.as_f64()?, value.get("lat")?.as_f64()?);
        let is_place = (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat);
        is_place.then_some(Self { lon, lat })
    }

    /// Metres between two places.
    pub fn distance_m(self, other: Self) -> f64 {
        let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let cosines = self.lat.to_radians().cos() * other.lat.to_radians().cos();
        let square = half(other.lat - self.lat) + cosines * half(other.lon - self.lon);
        2.0 * RADIUS_M * square.sqrt().min(1.0).asin()
    }

    /// Checks that it is on the earth.
    ///
    /// # Errors
    /// `InvalidArgument` naming `lon` or `lat`.
    pub fn check(self) -> Result<()> {
        if !(-180.0..=180.0).contains(&self.lon) {
            return Err(Error::invalid("lon", format!("is {}; it must be from -180 to 180", self.lon)));
        }
        if !(-90.0..=90.0).contains(&self.lat) {
            return Err(Error::invalid("lat", format!("is {}; it must be from -90 to 90", self.lat)));
        }
        Ok(())
    }
}

impl GeoArea {
    /// Whether a place lies in it.
    pub fn contains(&self, place: GeoPoint) -> bool {
        match self {
            Self::Box { top_left, bottom_right } => {
                let is_between = if top_left.lon > bottom_right.lon {
                    place.lon > top_left.lon || place.lon < bottom_right.lon
                } else {
                    place.lon > top_left.lon && place.lon < bottom_right.lon
                };
                is_between && place.lat < top_left.lat && place.lat > bottom_right.lat
            }
            Self::Circle { center, radius_m } => center.distance_m(place) < *radius_m,
            Self::Polygon { exterior, interiors } => {
                let is_outside = |ring: &Vec<GeoPoint>| side(ring, place) == Side::Outside;
                side(exterior, place) == Side::Inside && interiors.iter().all(is_outside)
            }
        }
    }

    /// What a condition on it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Box { .. } => "geo_bounding_box",
            Self::Circle { .. } => "geo_radius",
            Self::Polygon { .. } => "geo_polygon",
        }
    }

    /// The latitudes that it lies between, for a first look.
    pub fn latitudes(&self) -> (f64, f64) {
        match self {
            Self::Box { top_left, bottom_right } => (bottom_right.lat, top_left.lat),
            Self::Circle { center, radius_m } => {
                // A little more, for what rounding takes.
                let degrees = (radius_m / RADIUS_M).to_degrees() * (1.0 + 1e-9) + 1e-9;
                (center.lat - degrees, center.lat + degrees)
            }
            Self::Polygon { exterior, .. } => {
                let latitudes = || exterior.iter().map(|place| place.lat);
                (latitudes().fold(f64::INFINITY, f64::min), latitudes().fold(f64::NEG_INFINITY, f64::max))
            }
        }
    }

    /// Checks its places, its radius, its rings.
    ///
    /// # Errors
    /// `InvalidArgument` naming the part at fault.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Box { top_left, bottom_right } => {
                top_left.check().map_err(|error| error.within("top_left"))?;
                bottom_right.check().map_err(|error| error.within("bottom_right"))
            }
            Self::Circle { center, radius_m } => {
                center.check().map_err(|error| error.within("center"))?;
                if radius_m.is_finite() && *radius_m >= 0.0 {
                    return Ok(());
                }
                Err(Error::invalid("radius", "must be a number of metres that is not negative"))
            }
            Self::Polygon { exterior, interiors } => {
                check_ring(exterior).map_err(|error| error.within("exterior"))?;
                for (at, ring) in interiors.iter().enumerate() {
                    check_ring(ring).map_err(|error| error.within(&format!("interiors[{at}]")))?;
                }
                Ok(())
            }
        }
    }
}

fn check_ring(ring: &[GeoPoint]) -> Result<()> {
    if ring.len() < RING_MIN || ring.first() != ring.last() {
        let message = "must have at least 4 places, of which the last is the first again";
        return Err(Error::invalid("points", message));
    }
    for (at, place) in ring.iter().enumerate() {
        place.check().map_err(|error| error.within(&format!("points[{at}]")))?;
    }
    Ok(())
}

/// Where a place lies beside a ring.
#[derive(Debug, PartialEq, Eq)]
enum Side {
    Inside,
    Edge,
    Outside,
}

/// Inside is what the ring goes round, however often it crosses itself: its winding number is not 0 there.
fn side(ring: &[GeoPoint], place: GeoPoint) -> Side {
    let is_between = |at: f64, a: f64, b: f64| a.min(b) <= at && at <= a.max(b);
    let mut turns = 0;
    for (a, b) in ring.iter().zip(ring.iter().skip(1)) {
        // Above 0 to the left of the edge, below to the right.
        let left = (b.lon - a.lon) * (place.lat - a.lat) - (b.lat - a.lat) * (place.lon - a.lon);
        let is_beside = is_between(place.lon, a.lon, b.lon) && is_between(place.lat, a.lat, b.lat);
        if left == 0.0 && is_beside {
            return Side::Edge;
        }
        if a.lat <= place.lat && place.lat < b.lat && left > 0.0 {
            turns += 1;
        }
        if b.lat <= place.lat && place.lat < a.lat && left < 0.0 {
            turns -= 1;
        }
    }
    if turns == 0 { Side::Outside } else { Side::Inside }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BERLIN: GeoPoint = GeoPoint { lon: 13.4, lat: 52.5 };

    fn place(lon: f64, lat: f64) -> GeoPoint {
        GeoPoint { lon, lat }
    }

    #[test]
    fn distances_are_those_on_a_sphere() {
        assert!((place(13.0, 52.0).distance_m(place(13.0, 52.1)) - 11_119.508).abs() < 0.01);
        assert!((place(13.0, 52.0).distance_m(BERLIN) - 61_907.52).abs() < 0.05);
        assert!((place(179.9, 0.0).distance_m(place(-179.9, 0.0)) - 22_239.0).abs() < 1.0);
    }

    #[test]
    fn areas_contain_what_lies_inside() {
        let between = |left, top, right, bottom| GeoArea::Box {
            top_left: place(left, top),
            bottom_right: place(right, bottom),
        };
        assert!(between(13.0, 53.0, 14.0, 52.0).contains(BERLIN));
        assert!(!between(13.4, 52.5, 14.0, 52.0).contains(BERLIN), "an edge is outside");
        assert!(between(170.0, 53.0, 14.0, -1.0).contains(BERLIN), "over the date line");
        assert!(!between(170.0, 53.0, 13.0, -1.0).contains(BERLIN));
        let circle = |radius_m| GeoArea::Circle { center: place(13.41, 52.51), radius_m };
        assert!(circle(5000.0).contains(BERLIN) && !circle(500.0).contains(BERLIN));
        let square = |least: f64, most: f64| {
            [(least, least), (most, least), (most, most), (least, most), (least, least)]
                .map(|(lon, lat)| place(lon, lat))
                .to_vec()
        };
        let ring = GeoArea::Polygon { exterior: square(0.0, 9.0), interiors: vec![square(4.0, 6.0)] };
        assert!(ring.contains(place(2.0, 2.0)) && !ring.contains(place(5.0, 5.0)));
        assert!(!ring.contains(place(10.0, 5.0)));
        ring.check().expect("closed rings");
    }

    /// As Qdrant's engine answers (qdrant-edge 0.9.0).
    #[test]
    fn edges_of_polygons_are_outside_and_what_a_ring_goes_round_twice_is_inside() {
        let ring = |places: &[(f64, f64)]| -> Vec<GeoPoint> {
            places.iter().map(|(lon, lat)| place(*lon, *lat)).collect()
        };
        let square = |least: f64, most: f64| {
            ring(&[(least, least), (most, least), (most, most), (least, most), (least, least)])
        };
        let polygon = |exterior, interiors| GeoArea::Polygon { exterior, interiors };
        let inside = |area: &GeoArea| {
            let places = [
                (0.0, 0.0),
                (0.0, 5.0),
                (5.0, 0.0),
                (10.0, 5.0),
                (5.0, 10.0),
                (10.0, 10.0),
                (5.0, 5.0),
                (4.0, 5.0),
                (5.0, 4.0),
                (6.0, 5.0),
                (5.0, 6.0),
                (2.0, 2.0),
            ];
            let found = places.iter().enumerate().filter(|(_, (lon, lat))| area.contains(place(*lon, *lat)));
            found.map(|(at, _)| at).collect::<Vec<usize>>()
        };
        assert_eq!(inside(&polygon(square(0.0, 10.0), vec![])), [6, 7, 8, 9, 10, 11]);
        assert_eq!(inside(&polygon(square(0.0, 10.0), vec![square(4.0, 6.0)])), [11]);
        let triangle = ring(&[(0.0, 0.0), (10.0, 10.0), (0.0, 10.0), (0.0, 0.0)]);
        assert_eq!(inside(&polygon(triangle, vec![])), [7, 10]);
        // Round (3, 4) it goes twice.
        let twice =
            ring(&[(4.0, 2.0), (0.0, 1.0), (4.0, 6.0), (2.0, 0.0), (0.0, 5.0), (8.0, 5.0), (4.0, 2.0)]);
        assert!(polygon(twice, vec![]).contains(place(3.0, 4.0)));
    }

    #[test]
    fn latitudes_leave_nothing_out() {
        for degrees in 0..360 {
            let angle = f64::from(degrees).to_radians();
            let near = place(BERLIN.lon + 0.1 * angle.sin(), BERLIN.lat + 0.1 * angle.cos());
            let circle = GeoArea::Circle { center: BERLIN, radius_m: BERLIN.distance_m(near) + 1e-6 };
            let (least, most) = circle.latitudes();
            assert!(circle.contains(near) && (least..=most).contains(&near.lat), "{degrees}");
        }
    }

    #[test]
    fn what_is_nowhere_is_refused_by_name() {
        let open = vec![place(0.0, 0.0), place(1.0, 0.0), place(1.0, 1.0), place(0.0, 1.0)];
        let cases = [
            (GeoArea::Circle { center: place(200.0, 0.0), radius_m: 1.0 }, "center.lon"),
            (GeoArea::Circle { center: BERLIN, radius_m: f64::NAN }, "radius"),
            (GeoArea::Polygon { exterior: open, interiors: vec![] }, "exterior.points"),
            (GeoArea::Box { top_left: place(0.0, 91.0), bottom_right: place(1.0, 1.0) }, "top_left.lat"),
        ];
        for (area, field) in cases {
            assert_eq!(area.check().expect_err(field).field(), Some(field));
        }
        assert_eq!(GeoPoint::of(&json!({"lon": 13.4, "lat": 52.5})), Some(BERLIN));
        assert_eq!(GeoPoint::of(&json!({"lon": 13.4, "lat": 95})), None);
    }
}
