//! The points of grids on a plane: where a projection puts them on the globe.

use super::earth::Earth;
use super::layout::{Scan, Shape};

/// A grid of rows and columns on the plane of a projection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Projected {
    projection: Projection,
    /// Where every point of a row is on the plane.
    columns: Vec<f64>,
    /// Where every row is.
    rows: Vec<f64>,
}

/// A place on the globe, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
}

impl Projected {
    /// A grid from its first point on, with steps in metres; `None` where no plane holds that point.
    pub(crate) fn from_first(
        projection: Projection,
        first: Place,
        steps: (f64, f64),
        shape: Shape,
        scan: Scan,
    ) -> Option<Self> {
        let Shape::Rows { ni, nj } = shape else { return None };
        let (x, y) = projection.plane(first);
        let line = |start: f64, step: f64, is_back: bool, count: u64| -> Vec<f64> {
            let step = if is_back { -step } else { step };
            (0..count).map(|index| start + step * index as f64).collect()
        };
        let is_sound = x.is_finite() && y.is_finite() && steps.0 > 0.0 && steps.1 > 0.0;
        is_sound.then(|| Self {
            projection,
            columns: line(x, steps.0, scan.is_west, ni),
            rows: line(y, steps.1, !scan.is_north, nj),
        })
    }

    /// A grid of rotated longitudes and latitudes.
    pub(crate) fn rotated(rotation: Rotation, columns: Vec<f64>, rows: Vec<f64>) -> Self {
        Self { projection: Projection::Rotated(rotation), columns, rows }
    }

    /// Rows and columns.
    pub(crate) fn shape(&self) -> [u64; 2] {
        [self.rows.len() as u64, self.columns.len() as u64]
    }

    /// The point of a row and a column, both within the shape.
    pub(crate) fn place(&self, row: usize, column: usize) -> Place {
        self.projection.place(self.columns[column], self.rows[row])
    }
}

/// How a plane lies on the globe.
///
/// Source: Snyder 1987, "Map projections: a working manual", USGS Professional Paper 1395; equations of the
/// ellipsoid, which are those of the sphere where it is one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Projection {
    Conic(Conic),
    Mercator(Mercator),
    EqualArea(EqualArea),
    Rotated(Rotation),
}

impl Projection {
    /// The place of a point on the plane. Longitudes are from 0 to 360; those of a rotated grid from -180 to
    /// 180, as ecCodes has them.
    fn place(&self, x: f64, y: f64) -> Place {
        let (latitude, longitude) = match self {
            Self::Conic(conic) => conic.inverse(x, y),
            Self::Mercator(mercator) => mercator.inverse(x, y),
            Self::EqualArea(equal_area) => equal_area.inverse(x, y),
            Self::Rotated(rotation) => return rotation.inverse(x, y),
        };
        // What is a hair below zero would become 360 itself.
        let longitude = longitude.to_degrees().rem_euclid(360.0);
        let longitude = if longitude < 360.0 { longitude } else { 0.0 };
        Place { latitude: latitude.to_degrees(), longitude }
    }

    /// Where a place is on the plane.
    fn plane(&self, place: Place) -> (f64, f64) {
        let (latitude, longitude) = (place.latitude.to_radians(), place.longitude.to_radians());
        match self {
            Self::Conic(conic) => conic.forward(latitude, longitude),
            Self::Mercator(mercator) => mercator.forward(latitude, longitude),
            Self::EqualArea(equal_area) => equal_area.forward(latitude, longitude),
            Self::Rotated(_) => (place.longitude, place.latitude),
        }
    }
}

/// The difference of two longitudes in radians, from -pi to pi.
fn between(longitude: f64, central: f64) -> f64 {
    use std::f64::consts::{PI, TAU};
    (longitude - central + PI).rem_euclid(TAU) - PI
}

/// Lambert's conformal conic (Snyder, chapter 15), and polar stereographic (chapter 21), which is its limit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Conic {
    earth: Earth,
    central: f64,
    /// The constant of the cone; 1 and -1 are planes on the poles.
    n: f64,
    scale: f64,
}

impl Conic {
    /// Lambert's, with two standard parallels in degrees; `None` where they make a cylinder or no cone.
    pub(crate) fn lambert(earth: Earth, central: f64, parallels: [f64; 2]) -> Option<Self> {
        let [first, second] = parallels.map(f64::to_radians);
        let n = if (first - second).abs() < 1e-9 {
            first.sin()
        } else {
            (earth.m(first).ln() - earth.m(second).ln())
                / (earth.t(first).ln() - earth.t(second).ln())
        };
        let scale = earth.radius * earth.m(first) / (n * earth.t(first).powf(n));
        let is_cone = n.abs() > 1e-9 && scale.is_finite() && scale != 0.0;
        is_cone.then(|| Self { earth, central: central.to_radians(), n, scale })
    }

    /// On the north or the south pole, true to scale at a latitude in degrees.
    pub(crate) fn polar(earth: Earth, central: f64, true_at: f64, is_south: bool) -> Option<Self> {
        let n = if is_south { -1.0 } else { 1.0 };
        let latitude = true_at.abs().to_radians();
        let is_at_pole = (latitude - std::f64::consts::FRAC_PI_2).abs() < 1e-9;
        let of_radius =
            if is_at_pole { earth.polar_scale() } else { earth.m(latitude) / earth.t(latitude) };
        let scale = n * earth.radius * of_radius;
        (scale.is_finite() && scale != 0.0).then(|| Self {
            earth,
            central: central.to_radians(),
            n,
            scale,
        })
    }

    fn forward(&self, latitude: f64, longitude: f64) -> (f64, f64) {
        let distance = self.scale * self.earth.t(latitude).powf(self.n);
        let angle = self.n * between(longitude, self.central);
        (distance * angle.sin(), -distance * angle.cos())
    }

    fn inverse(&self, x: f64, y: f64) -> (f64, f64) {
        let sign = self.n.signum();
        let angle = (sign * x).atan2(-sign * y);
        let t = (sign * x.hypot(y) / self.scale).powf(1.0 / self.n);
        (self.earth.latitude_of_t(t), self.central + angle / self.n)
    }
}

/// Mercator (chapter 7).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mercator {
    earth: Earth,
    scale: f64,
}

impl Mercator {
    /// True to scale at a latitude in degrees.
    pub(crate) fn new(earth: Earth, true_at: f64) -> Option<Self> {
        let scale = earth.radius * earth.m(true_at.to_radians());
        (scale > 1.0).then_some(Self { earth, scale })
    }

    fn forward(&self, latitude: f64, longitude: f64) -> (f64, f64) {
        (self.scale * longitude, -self.scale * self.earth.t(latitude).ln())
    }

    fn inverse(&self, x: f64, y: f64) -> (f64, f64) {
        (self.earth.latitude_of_t((-y / self.scale).exp()), x / self.scale)
    }
}

/// Lambert's azimuthal equal-area projection (chapter 24).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EqualArea {
    earth: Earth,
    central: f64,
    /// Sine and cosine of the authalic latitude of the centre.
    centre: (f64, f64),
    /// The radius of the sphere of the same area.
    radius: f64,
    /// Corrects the scale for the centre.
    d: f64,
}

impl EqualArea {
    /// Around a centre.
    pub(crate) fn new(earth: Earth, centre: Place) -> Self {
        let latitude = centre.latitude.to_radians();
        let radius = earth.radius * (earth.q_of_pole() / 2.0).sqrt();
        let centre_sin_cos = earth.authalic(latitude).sin_cos();
        let is_pole = centre_sin_cos.1.abs() < 1e-9;
        let d = if is_pole {
            1.0
        } else {
            earth.radius * earth.m(latitude) / (radius * centre_sin_cos.1)
        };
        Self { earth, central: centre.longitude.to_radians(), centre: centre_sin_cos, radius, d }
    }

    fn forward(&self, latitude: f64, longitude: f64) -> (f64, f64) {
        let ((sin, cos), (sin_1, cos_1)) = (self.earth.authalic(latitude).sin_cos(), self.centre);
        let (sin_l, cos_l) = between(longitude, self.central).sin_cos();
        let b = self.radius * (2.0 / (1.0 + sin_1 * sin + cos_1 * cos * cos_l)).sqrt();
        (b * self.d * cos * sin_l, b / self.d * (cos_1 * sin - sin_1 * cos * cos_l))
    }

    fn inverse(&self, x: f64, y: f64) -> (f64, f64) {
        let ((sin_1, cos_1), d) = (self.centre, self.d);
        let distance = (x / d).hypot(d * y);
        if distance == 0.0 {
            return (self.earth.latitude_of_authalic(sin_1), self.central);
        }
        let (sin_c, cos_c) = (2.0 * (distance / (2.0 * self.radius)).asin()).sin_cos();
        let sine = cos_c * sin_1 + d * y * sin_c * cos_1 / distance;
        let east = (x * sin_c).atan2(d * distance * cos_1 * cos_c - d * d * y * sin_1 * sin_c);
        (self.earth.latitude_of_authalic(sine), self.central + east)
    }
}

/// A globe whose poles were moved.
///
/// Source: manual on codes of the WMO, I.2, template 3.1: where the south pole lies, then a turn about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rotation {
    /// Where the south pole of the rotated globe is.
    pub(crate) south_pole: Place,
    /// By how many degrees it is turned about that pole.
    pub(crate) angle: f64,
}

impl Rotation {
    fn inverse(&self, longitude: f64, latitude: f64) -> Place {
        let ((sin_x, cos_x), (sin_y, cos_y)) =
            (longitude.to_radians().sin_cos(), latitude.to_radians().sin_cos());
        let (sin_t, cos_t) = (-90.0 - self.south_pole.latitude).to_radians().sin_cos();
        let (sin_o, cos_o) = (-self.south_pole.longitude).to_radians().sin_cos();
        let (x, y, z) = (cos_x * cos_y, sin_x * cos_y, sin_y);
        let (tilted_x, tilted_z) = (cos_t * x + sin_t * z, cos_t * z - sin_t * x);
        let (east, north) = (cos_o * tilted_x + sin_o * y, cos_o * y - sin_o * tilted_x);
        Place {
            latitude: tilted_z.clamp(-1.0, 1.0).asin().to_degrees(),
            longitude: north.atan2(east).to_degrees() - self.angle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELLIPSOID: f64 = 0.082_271_854;

    #[track_caller]
    fn check(projection: &Projection) {
        for latitude in [-60.0, -5.0, 0.0, 38.5, 71.0] {
            for longitude in [0.5, 97.5, 200.0, 359.0] {
                let place = Place { latitude, longitude };
                let (x, y) = projection.plane(place);
                let back = projection.place(x, y);
                let is_near = (back.latitude - latitude).abs() < 1e-9
                    && (back.longitude - longitude).abs() < 1e-9;
                assert!(is_near, "{projection:?}: {place:?} comes back as {back:?}");
            }
        }
    }

    #[test]
    fn places_come_back_from_the_plane() {
        for eccentricity in [0.0, ELLIPSOID] {
            let earth = Earth { radius: 6_378_206.4, eccentricity };
            for parallels in [[25.0, 25.0], [33.0, 45.0], [-20.0, -40.0]] {
                let lambert = Conic::lambert(earth, 262.5, parallels).expect("a cone");
                check(&Projection::Conic(lambert));
            }
            for (true_at, is_south) in [(60.0, false), (90.0, false), (-71.0, true)] {
                let polar = Conic::polar(earth, 249.0, true_at, is_south).expect("a plane");
                check(&Projection::Conic(polar));
            }
            check(&Projection::Mercator(Mercator::new(earth, 20.0).expect("a cylinder")));
            for latitude in [90.0, 48.0, 0.0, -30.0] {
                let centre = Place { latitude, longitude: 9.0 };
                check(&Projection::EqualArea(EqualArea::new(earth, centre)));
            }
        }
        let earth = Earth { radius: 1.0, eccentricity: 0.0 };
        assert!(Conic::lambert(earth, 0.0, [10.0, -10.0]).is_none(), "a cylinder");
    }

    /// The numerical examples of Snyder's appendix A, for Clarke's ellipsoid of 1866.
    #[test]
    fn the_examples_of_the_manual_come_out() {
        let earth = Earth { radius: 6_378_206.4, eccentricity: 0.006_768_658_f64.sqrt() };
        let near = |(x, y): (f64, f64), (x_1, y_1): (f64, f64)| {
            assert!(
                (x - x_1).abs() < 0.2 && (y - y_1).abs() < 0.2,
                "{x}, {y} and not {x_1}, {y_1}"
            );
        };
        let at = |latitude, longitude| Place { latitude, longitude };
        let lambert = Conic::lambert(earth, -96.0, [33.0, 45.0]).expect("a cone");
        let lambert = Projection::Conic(lambert);
        // Page 296; the manual counts from 23 degrees north.
        let (x_0, y_0) = lambert.plane(at(23.0, -96.0));
        let (x, y) = lambert.plane(at(35.0, -75.0));
        near((x - x_0, y - y_0), (1_894_410.9, 1_564_649.5));
        // Page 333.
        let equal_area = Projection::EqualArea(EqualArea::new(earth, at(40.0, -100.0)));
        near(equal_area.plane(at(30.0, -110.0)), (-965_932.1, -1_056_814.9));
        // Page 267; from the meridian of 180 degrees.
        let mercator = Projection::Mercator(Mercator::new(earth, 0.0).expect("a cylinder"));
        let (x_0, _) = mercator.plane(at(0.0, 180.0));
        let (x, y) = mercator.plane(at(35.0, 285.0));
        near((x - x_0, y), (11_688_673.7, 4_139_145.6));
        // Page 317, on the international ellipsoid.
        let earth = Earth { radius: 6_378_388.0, eccentricity: 0.006_722_67_f64.sqrt() };
        let polar = Conic::polar(earth, -100.0, -71.0, true).expect("a plane");
        near(Projection::Conic(polar).plane(at(-75.0, 150.0)), (-1_540_033.6, -560_526.4));
    }
}
