//! The figure of the earth, as grids state it, and its auxiliary latitudes.
//!
//! Source of the equations: Snyder 1987, "Map projections: a working manual", chapter 3.

use array::error::Result;

use crate::octets::Octets;

/// An ellipsoid of revolution, or a sphere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Earth {
    /// The radius of its equator, in metres.
    pub(crate) radius: f64,
    /// How far it is from a sphere; 0 is one.
    pub(crate) eccentricity: f64,
}

/// An iteration that has not ended by then goes on for rounding alone.
const MOST_ROUNDS: usize = 20;
const ENOUGH: f64 = 1e-13;

impl Earth {
    fn sphere(radius: f64) -> Option<Self> {
        (radius > 1.0).then_some(Self { radius, eccentricity: 0.0 })
    }

    fn ellipsoid(major: f64, minor: f64) -> Option<Self> {
        let is_flat = minor > 1.0 && minor <= major;
        let eccentricity = (1.0 - (minor / major).powi(2)).sqrt();
        is_flat.then_some(Self { radius: major, eccentricity })
    }

    /// The figure that section 2 of a message of edition 1 states.
    ///
    /// # Errors
    /// A section that is too short.
    pub(super) fn of_edition_1(section: &Octets<'_>) -> Result<Option<Self>> {
        Ok(match section.octet(17)? & 0x40 {
            0 => Self::sphere(6_367_470.0),
            _ => Self::ellipsoid(6_378_160.0, 6_356_775.0),
        })
    }

    /// The figure that section 3 of a message of edition 2 states, by code table 3.2; `None` where that makes
    /// no sense or is not known.
    ///
    /// # Errors
    /// A section that is too short.
    pub(super) fn of_edition_2(section: &Octets<'_>) -> Result<Option<Self>> {
        let stated = |factor_octet: usize| -> Result<f64> {
            let factor = section.signed(factor_octet, 1)? as i32;
            Ok(section.unsigned(factor_octet + 1, 4)? as f64 / 10f64.powi(factor))
        };
        let axes = || -> Result<(f64, f64)> { Ok((stated(21)?, stated(26)?)) };
        Ok(match section.octet(15)? {
            0 => Self::sphere(6_367_470.0),
            1 => Self::sphere(stated(16)?),
            2 => Self::ellipsoid(6_378_160.0, 6_356_775.0),
            3 => {
                let (major, minor) = axes()?;
                Self::ellipsoid(1000.0 * major, 1000.0 * minor)
            }
            4 => Self::ellipsoid(6_378_137.0, 6_356_752.314),
            5 => Self::ellipsoid(6_378_137.0, 6_356_752.314_245),
            6 => Self::sphere(6_371_229.0),
            7 => {
                let (major, minor) = axes()?;
                Self::ellipsoid(major, minor)
            }
            8 => Self::sphere(6_371_200.0),
            9 => Self::ellipsoid(6_377_563.396, 6_356_256.909),
            _ => None,
        })
    }

    /// The radius of a parallel, in radii of the equator: equation 14-15.
    pub(super) fn m(self, latitude: f64) -> f64 {
        latitude.cos() / (1.0 - (self.eccentricity * latitude.sin()).powi(2)).sqrt()
    }

    fn flattening(self, latitude: f64) -> f64 {
        let e_sin = self.eccentricity * latitude.sin();
        ((1.0 - e_sin) / (1.0 + e_sin)).powf(self.eccentricity / 2.0)
    }

    /// The tangent of half the conformal colatitude: equation 15-9.
    pub(super) fn t(self, latitude: f64) -> f64 {
        (std::f64::consts::FRAC_PI_4 - latitude / 2.0).tan() / self.flattening(latitude)
    }

    /// Undoes [`Earth::t`]: equation 7-9.
    pub(super) fn latitude_of_t(self, t: f64) -> f64 {
        let of = |factor: f64| std::f64::consts::FRAC_PI_2 - 2.0 * (t * factor).atan();
        let mut latitude = of(1.0);
        for _ in 0..MOST_ROUNDS {
            let next = of(self.flattening(latitude));
            let change = (next - latitude).abs();
            latitude = next;
            if change < ENOUGH {
                break;
            }
        }
        latitude
    }

    /// The distance from the pole over `t`, in radii, of a plane that is true to scale there: equation 21-33.
    pub(super) fn polar_scale(self) -> f64 {
        let e = self.eccentricity;
        2.0 / ((1.0 + e).powf(1.0 + e) * (1.0 - e).powf(1.0 - e)).sqrt()
    }

    /// Twice the sine of the latitude, on a sphere: equation 3-12.
    fn q(self, latitude: f64) -> f64 {
        let (e, sin) = (self.eccentricity, latitude.sin());
        if e == 0.0 {
            return 2.0 * sin;
        }
        let logarithm = ((1.0 - e * sin) / (1.0 + e * sin)).ln();
        (1.0 - e * e) * (sin / (1.0 - (e * sin).powi(2)) - logarithm / (2.0 * e))
    }

    /// The same at the pole.
    pub(super) fn q_of_pole(self) -> f64 {
        self.q(std::f64::consts::FRAC_PI_2)
    }

    /// The latitude on the sphere of the same area: equation 3-11.
    pub(super) fn authalic(self, latitude: f64) -> f64 {
        (self.q(latitude) / self.q_of_pole()).clamp(-1.0, 1.0).asin()
    }

    /// Undoes [`Earth::authalic`], of whose latitude this is the sine: equation 3-16.
    pub(super) fn latitude_of_authalic(self, sine: f64) -> f64 {
        let sine = sine.clamp(-1.0, 1.0);
        let mut latitude = sine.asin();
        let (e, q) = (self.eccentricity, sine * self.q_of_pole());
        if e == 0.0 || 1.0 - sine.abs() < ENOUGH {
            return latitude;
        }
        for _ in 0..MOST_ROUNDS {
            let slope = (1.0 - (e * latitude.sin()).powi(2)).powi(2) / (2.0 * latitude.cos());
            let change = slope * (q - self.q(latitude)) / (1.0 - e * e);
            latitude += change;
            if change.abs() < ENOUGH {
                break;
            }
        }
        latitude
    }
}
