//! On which level a message lies: what kind of surface or layer, and where.
//!
//! Kinds have the names that ecCodes gives as `typeOfLevel`. A pair of surfaces that has none gets
//! a name of its numbers.

use std::borrow::Cow;

use array::error::Result;

use crate::octets::Octets;
use crate::parameters::{Keys, NCEP};

/// The level of a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Level {
    /// Its kind: `isobaricInhPa`.
    pub(crate) kind: Cow<'static, str>,
    /// Where the surface lies, or the first surface of the layer.
    pub(crate) first: f64,
    /// Where the second surface of a layer lies.
    pub(crate) second: Option<f64>,
    /// The unit of both, where the kind has one.
    pub(crate) units: Option<&'static str>,
}

/// What CF says of a kind of level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LevelWords {
    /// A standard name of CF.
    pub(crate) standard_name: Option<&'static str>,
    /// For people.
    pub(crate) long_name: Option<&'static str>,
    /// `up` or `down`.
    pub(crate) positive: Option<&'static str>,
    /// Whether values are listed from high to low, as peers list pressures.
    pub(crate) is_descending: bool,
}

/// The words for a kind of level.
pub(crate) fn words(kind: &str) -> LevelWords {
    let (standard_name, long_name, positive) = match kind {
        "isobaricInhPa" | "isobaricInPa" | "isobaricLayer" => ("air_pressure", "pressure", "down"),
        "heightAboveGround" | "heightAboveGroundLayer" => {
            ("height", "height above the surface", "up")
        }
        "heightAboveSea" | "heightAboveSeaLayer" => {
            ("altitude", "height above mean sea level", "up")
        }
        "depthBelowLand" | "depthBelowLandLayer" => ("depth", "soil depth", "down"),
        "depthBelowSea" | "depthBelowSeaLayer" => ("depth", "depth below the sea surface", "down"),
        "hybrid" => ("atmosphere_hybrid_sigma_pressure_coordinate", "hybrid level", "down"),
        _ => ("", "", ""),
    };
    let told = |text: &'static str| (!text.is_empty()).then_some(text);
    LevelWords {
        standard_name: told(standard_name),
        long_name: told(long_name),
        positive: told(positive),
        is_descending: matches!(kind, "isobaricInhPa" | "isobaricInPa"),
    }
}

/// Kinds of level of edition 1, and whether their two octets are two surfaces; table 3.
const EDITION_1: &[(u8, &str, Form, Option<&str>)] = &[
    (1, "surface", Form::Surface, None),
    (2, "cloudBase", Form::Surface, None),
    (3, "cloudTop", Form::Surface, None),
    (4, "isothermZero", Form::Surface, None),
    (5, "adiabaticCondensation", Form::Surface, None),
    (6, "maxWind", Form::Surface, None),
    (7, "tropopause", Form::Surface, None),
    (8, "nominalTop", Form::Surface, None),
    (9, "seaBottom", Form::Surface, None),
    (100, "isobaricInhPa", Form::Surface, Some("hPa")),
    (101, "isobaricLayer", Form::Layer, None),
    (102, "meanSea", Form::Surface, None),
    (103, "heightAboveSea", Form::Surface, Some("m")),
    (104, "heightAboveSeaLayer", Form::Layer, Some("hm")),
    (105, "heightAboveGround", Form::Surface, Some("m")),
    (106, "heightAboveGroundLayer", Form::Layer, Some("hm")),
    (107, "sigma", Form::Surface, Some("1e-4")),
    (108, "sigmaLayer", Form::Layer, Some("1e-2")),
    (109, "hybrid", Form::Surface, Some("1")),
    (110, "hybridLayer", Form::Layer, Some("1")),
    (111, "depthBelowLand", Form::Surface, Some("cm")),
    (112, "depthBelowLandLayer", Form::Layer, Some("cm")),
    (113, "theta", Form::Surface, Some("K")),
    (114, "thetaLayer", Form::Layer, None),
    (115, "pressureFromGround", Form::Surface, Some("hPa")),
    (116, "pressureFromGroundLayer", Form::Layer, Some("hPa")),
    (117, "potentialVorticity", Form::Surface, None),
    (119, "eta", Form::Surface, Some("1e-4")),
    (120, "etaLayer", Form::Layer, Some("1e-2")),
    (121, "isobaricLayerHighPrecision", Form::Layer, None),
    (125, "heightAboveGroundHighPrecision", Form::Surface, Some("cm")),
    (128, "sigmaLayerHighPrecision", Form::Layer, None),
    (141, "isobaricLayerMixedPrecision", Form::Layer, None),
    (160, "depthBelowSea", Form::Surface, Some("m")),
    (200, "entireAtmosphere", Form::Surface, None),
    (201, "entireOcean", Form::Surface, None),
    (202, "abstractSingleLevel", Form::Surface, None),
    (203, "abstractMultipleLevels", Form::Surface, None),
    (210, "isobaricInPa", Form::Surface, Some("Pa")),
    (211, "oceanWave", Form::Surface, None),
    (212, "oceanMixedLayer", Form::Surface, None),
];

/// What the two octets of a level of edition 1 say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One number.
    Surface,
    /// Top and bottom.
    Layer,
}

/// The level of a message of edition 1: octets 10 to 12 of section 1.
///
/// # Errors
/// A section that ends before.
pub(crate) fn of_edition_1(section: &Octets<'_>) -> Result<Level> {
    let kind = section.octet(10)?;
    let known = EDITION_1.iter().find(|(code, ..)| *code == kind);
    let Some(&(_, name, form, units)) = known else {
        let first = section.unsigned(11, 2)? as f64;
        return Ok(Level {
            kind: format!("level_{kind}").into(),
            first,
            second: None,
            units: None,
        });
    };
    let kind = Cow::Borrowed(name);
    Ok(match form {
        Form::Surface => {
            let first = section.present(11, 2)?.unwrap_or(0) as f64;
            Level { kind, first, second: None, units }
        }
        Form::Layer => {
            let first = section.octet(11)?.into();
            // The lowest layer may have no lower end.
            let second = section.present(12, 1)?.map_or(f64::NAN, |bottom| bottom as f64);
            Level { kind, first, second: Some(second), units }
        }
    })
}

/// Kinds of level of edition 2, by the types of their surfaces; code table 4.5.
const EDITION_2: &[([u8; 2], &str)] = &[
    ([1, 255], "surface"),
    ([1, 7], "troposphere"),
    ([1, 8], "entireAtmosphere"),
    ([1, 9], "entireOcean"),
    ([1, 162], "entireLake"),
    ([2, 255], "cloudBase"),
    ([3, 255], "cloudTop"),
    ([4, 255], "isothermZero"),
    ([5, 255], "adiabaticCondensation"),
    ([6, 255], "maxWind"),
    ([7, 255], "tropopause"),
    ([7, 36], "stratosphere"),
    ([8, 255], "nominalTop"),
    ([9, 255], "seaBottom"),
    ([10, 255], "atmosphere"),
    ([11, 255], "cumulonimbusBase"),
    ([12, 255], "cumulonimbusTop"),
    ([14, 255], "freeConvection"),
    ([15, 255], "convectiveCondensation"),
    ([16, 255], "neutralBuoyancy"),
    ([17, 255], "mostUnstableParcel"),
    ([18, 255], "mixedLayerParcel"),
    ([19, 255], "lowestLevelOfCloudCoverExceedance"),
    ([20, 255], "isothermal"),
    ([100, 100], "isobaricLayer"),
    ([101, 255], "meanSea"),
    ([102, 255], "heightAboveSea"),
    ([102, 102], "heightAboveSeaLayer"),
    ([103, 255], "heightAboveGround"),
    ([103, 103], "heightAboveGroundLayer"),
    ([104, 255], "sigma"),
    ([104, 104], "sigmaLayer"),
    ([105, 255], "hybrid"),
    ([105, 105], "hybridLayer"),
    ([106, 255], "depthBelowLand"),
    ([106, 106], "depthBelowLandLayer"),
    ([107, 255], "theta"),
    ([107, 107], "thetaLayer"),
    ([108, 255], "pressureFromGround"),
    ([108, 108], "pressureFromGroundLayer"),
    ([109, 255], "potentialVorticity"),
    ([111, 255], "eta"),
    ([114, 255], "snow"),
    ([114, 114], "snowLayer"),
    ([117, 255], "mixedLayerDepthGeneric"),
    ([118, 255], "hybridHeight"),
    ([119, 255], "hybridPressure"),
    ([151, 255], "soil"),
    ([151, 151], "soilLayer"),
    ([152, 255], "seaIce"),
    ([152, 152], "seaIceLayer"),
    ([160, 255], "depthBelowSea"),
    ([160, 160], "depthBelowSeaLayer"),
    ([160, 9], "oceanSurfaceToBottom"),
    ([162, 255], "lakeBottom"),
    ([166, 255], "mixingLayer"),
    ([168, 255], "oceanModel"),
    ([168, 168], "oceanModelLayer"),
    ([169, 255], "mixedLayerDepthByDensity"),
    ([170, 255], "mixedLayerDepthByTemperature"),
    ([171, 255], "mixedLayerDepthByDiffusivity"),
    ([173, 255], "snowTopOverIceOnWater"),
    ([173, 175], "snowLayerOverIceOnWater"),
    ([174, 255], "iceTopOnWater"),
    ([174, 176], "iceLayerOnWater"),
    ([175, 255], "iceTopUnderSnowOnWater"),
    ([175, 176], "iceLayerUnderSnowOnWater"),
    ([176, 255], "iceBottomOnWater"),
    ([177, 255], "indefiniteSoilDepth"),
    ([1, 151], "totalSoilLayer"),
    ([1, 167], "rootZone"),
    ([185, 255], "roof"),
    ([186, 255], "wall"),
    ([187, 255], "road"),
    ([187, 185], "urbanCanyon"),
    ([188, 255], "meltPondTop"),
    ([189, 255], "meltPondBottom"),
    ([191, 255], "abstractMultipleLevels"),
];

/// Kinds of level that the US National Weather Service has added, by the type of the first surface.
const NCEP_EDITION_2: &[(u8, &str)] = &[
    (200, "atmosphereSingleLayer"),
    (201, "oceanSingleLayer"),
    (204, "highestTroposphericFreezing"),
    (206, "gridScaleCloudBottom"),
    (207, "gridScaleCloudTop"),
    (209, "boundaryLayerCloudBottom"),
    (210, "boundaryLayerCloudTop"),
    (211, "boundaryLayerCloudLayer"),
    (212, "lowCloudBottom"),
    (213, "lowCloudTop"),
    (214, "lowCloudLayer"),
    (215, "cloudCeiling"),
    (220, "planetaryBoundaryLayer"),
    (221, "layerBetween2Hybrids"),
    (222, "middleCloudBottom"),
    (223, "middleCloudTop"),
    (224, "middleCloudLayer"),
    (232, "highCloudBottom"),
    (233, "highCloudTop"),
    (234, "highCloudLayer"),
    (235, "oceanIsotherm"),
    (240, "oceanMixedLayer"),
    (241, "orderedSequenceData"),
    (242, "convectiveCloudBottom"),
    (243, "convectiveCloudTop"),
    (244, "convectiveCloudLayer"),
    (245, "lowestLevelWetBulb0"),
    (247, "equilibrium"),
    (248, "shallowConvectiveCloudBottom"),
    (249, "shallowConvectiveCloudTop"),
    (251, "deepConvectiveCloudBottom"),
    (252, "deepConvectiveCloudTop"),
];

/// The level of a message of edition 2.
pub(crate) fn of_edition_2(keys: &Keys) -> Level {
    let [first_type, second_type] = keys.surfaces;
    let value = |index: usize| match keys.values[index] {
        Some(value) => scaled(value, keys.scales[index].unwrap_or(0)),
        None => 0.0,
    };
    let (mut first, mut second) = (value(0), (second_type != 255).then(|| value(1)));
    if first_type == 109 {
        // As peers count potential vorticity.
        (first, second) = (first * 1e9, second.map(|value| value * 1e9));
    }
    let mut units = units_of(first_type);
    let kind = match keys.surfaces {
        // Pressures below 1 hPa stay Pa, as peers have them.
        [100, 255] if first < 100.0 => "isobaricInPa",
        [100, 255] => {
            (first, units) = (first / 100.0, Some("hPa"));
            "isobaricInhPa"
        }
        [100, 100] => {
            (first, second, units) = (first / 100.0, second.map(|v| v / 100.0), Some("hPa"));
            "isobaricLayer"
        }
        surfaces => {
            let local = NCEP_EDITION_2.iter().filter(|_| keys.centre == NCEP);
            let local = local.map(|(code, name)| (*code == first_type).then_some(*name));
            let known = EDITION_2.iter().map(|(types, name)| (*types == surfaces).then_some(*name));
            match known.chain(local).flatten().next() {
                Some(name) => name,
                None => {
                    let kind = format!("level_{first_type}_{second_type}").into();
                    return Level { kind, first, second, units };
                }
            }
        }
    };
    if first_type != second_type {
        second = None;
    }
    Level { kind: kind.into(), first, second, units }
}

fn units_of(surface: u8) -> Option<&'static str> {
    Some(match surface {
        20 | 107 => "K",
        100 | 108 => "Pa",
        102 | 103 | 106 | 117 | 118 | 160 => "m",
        104 | 105 | 111 | 168 => "1",
        109 => "1e-9 K m2 kg-1 s-1",
        _ => return None,
    })
}

/// A value with a decimal scale: division keeps 0.1 what it is.
fn scaled(value: i64, scale: i64) -> f64 {
    let factor = 10f64.powi(scale.unsigned_abs().min(127) as i32);
    if scale < 0 { value as f64 * factor } else { value as f64 / factor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(surfaces: [u8; 2], value: i64, scale: i64, want: (&str, f64, Option<&str>)) {
        let keys = Keys {
            place: [0, 0, 0],
            centre: 0,
            versions: [30, 0],
            is_early: false,
            processing: None,
            surfaces,
            scales: [Some(scale), Some(scale)],
            values: [Some(value), Some(value)],
            process: 0,
            range_length: None,
            range_unit: None,
        };
        let level = of_edition_2(&keys);
        assert_eq!((&*level.kind, level.first, level.units), want);
    }

    #[test]
    fn pressures_are_hectopascals_unless_they_are_small() {
        check([100, 255], 85_000, 0, ("isobaricInhPa", 850.0, Some("hPa")));
        check([100, 255], 850, -2, ("isobaricInhPa", 850.0, Some("hPa")));
        check([100, 255], 150, 0, ("isobaricInhPa", 1.5, Some("hPa")));
        check([100, 255], 10, 0, ("isobaricInPa", 10.0, Some("Pa")));
    }

    #[test]
    fn scales_and_pairs_of_surfaces() {
        check([103, 255], 2, 0, ("heightAboveGround", 2.0, Some("m")));
        check([106, 106], 7, 2, ("depthBelowLandLayer", 0.07, Some("m")));
        check([77, 3], 7, 0, ("level_77_3", 7.0, None));
    }
}
