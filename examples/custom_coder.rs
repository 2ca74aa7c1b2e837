//! How does a type of my own become bytes in a way that I choose, so that it can be a key?
//!
//! `cargo run --example custom_coder`

use levain::dataflow::coder::{Coder, CoderKind, Context, Preview, put_prefixed, take_prefixed};
use levain::prelude::*;

/// A place on the globe, to a hundredth of a degree. Floats could not be a key: equal places might
/// have different bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    latitude_centidegrees: i16,
    longitude_centidegrees: i16,
}

impl Place {
    fn at(latitude: f64, longitude: f64) -> Self {
        let centi = |degrees: f64| (degrees * 100.0).round() as i16;
        Self { latitude_centidegrees: centi(latitude), longitude_centidegrees: centi(longitude) }
    }
}

/// Encodes a place in four bytes.
#[derive(Debug, Clone)]
pub(crate) struct PlaceCoder;

impl Element for Place {
    type Coder = PlaceCoder;

    fn coder() -> PlaceCoder {
        PlaceCoder
    }
}

impl Coder<Place> for PlaceCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque("place".to_owned())
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, place: &Place, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            out.extend_from_slice(&place.latitude_centidegrees.to_be_bytes());
            out.extend_from_slice(&place.longitude_centidegrees.to_be_bytes());
            Ok(())
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Place> {
        let bytes = take_prefixed(context, input, "place")?;
        let [a, b, c, d] = bytes.try_into().map_err(|_| {
            let message = format!("a place has 4 bytes, not {}", bytes.len());
            Error::new(ErrorCode::CODER, ErrorKind::Corrupt, message)
        })?;
        Ok(Place {
            latitude_centidegrees: i16::from_be_bytes([a, b]),
            longitude_centidegrees: i16::from_be_bytes([c, d]),
        })
    }

    fn preview(&self, place: &Place, out: &mut Preview) {
        out.push_display(&format_args!(
            "{}/{}",
            place.latitude_centidegrees, place.longitude_centidegrees
        ));
    }
}

/// How many lightnings struck each place, sorted.
pub(crate) fn run() -> Result<Vec<(Place, u64)>> {
    let strikes = [(47.381, 8.541), (47.379, 8.539), (46.95, 7.45)];
    let pipeline = Pipeline::new();
    let strikes = pipeline.apply(Create::of(strikes.map(|(lat, lon)| Place::at(lat, lon))));
    let counts = strikes.apply(Count::per_element()).collect();
    let report = pipeline.run(&DirectRunner::new())?;
    let mut counts: Vec<_> = report.get(&counts)?.iter().collect();
    counts.sort_unstable();
    Ok(counts)
}

#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
fn main() -> Result<()> {
    for (place, count) in run()? {
        println!("{count} at {place:?}");
    }
    Ok(())
}
