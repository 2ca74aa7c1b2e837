//! Sample files in a grid: two variables, two members, days, and halves of the globe.

use std::path::{Path, PathBuf};

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use netcdf_writer::{NcFileBuilder, NcWriteFormat, NcWriteOptions};

use crate::job::sample::{coordinate, describe, text};

const HOURS: usize = 24;
/// Hours of the last day that the second variable has: it ends earlier than the first.
const LAST_HOURS: usize = 18;
const DAYS: usize = 3;
const MEMBERS: usize = 2;
const LONGITUDES: usize = 36;
const HALVES: [(&str, f64); 2] = [("north", 90.0), ("south", -5.0)];
/// Latitudes of a half, 5 degrees apart.
const LATITUDES: usize = 18;
const VARIABLES: [(&str, &str); 2] = [("t2m", "air_temperature"), ("d2m", "dew_point_temperature")];

/// Writes files such as `t2m_1_20260101_north.nc` into `folder`; their paths.
///
/// The same call writes the same bytes. The second variable ends six hours before the first.
///
/// # Errors
/// A folder that cannot be written.
pub fn write_sample_tiles(folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let mut paths = Vec::new();
    for (variable, (name, _)) in VARIABLES.into_iter().enumerate() {
        for member in 1..=MEMBERS {
            for day in 1..=DAYS {
                for half in HALVES {
                    let body = tile(variable, member, day, half.1).map_err(|why| {
                        let message = format!("cannot make a sample file: {why}");
                        Error::new(ErrorCode::ENGINE_BUG, ErrorKind::Internal, message)
                    })?;
                    let path = folder.join(format!("{name}_{member}_202601{day:02}_{}.nc", half.0));
                    std::fs::write(&path, &body)
                        .map_err(|error| Error::from(error).at("file", path.display()))?;
                    paths.push(path);
                }
            }
        }
    }
    Ok(paths)
}

fn tile(
    variable: usize,
    member: usize,
    day: usize,
    first_latitude: f64,
) -> Result<Vec<u8>, netcdf_writer::Error> {
    let (name, standard_name) = VARIABLES[variable];
    let hour_count = if variable == 1 && day == DAYS { LAST_HOURS } else { HOURS };
    let mut file = NcFileBuilder::new();
    let time = file.add_unlimited_dimension("time")?;
    let latitude = file.add_dimension("lat", LATITUDES as u64)?;
    let longitude = file.add_dimension("lon", LONGITUDES as u64)?;
    file.add_attribute("title", text("made-up hourly temperatures of an ensemble"))?;
    file.add_attribute("Conventions", text("CF-1.11"))?;
    let hours: Vec<f64> = (0..hour_count).map(|hour| hour as f64).collect();
    let units = format!("hours since 2026-01-{day:02} 00:00:00");
    coordinate(&mut file, "time", time, &hours, &units, "time")?;
    let latitudes: Vec<f64> = (0..LATITUDES).map(|row| first_latitude - 5.0 * row as f64).collect();
    coordinate(&mut file, "lat", latitude, &latitudes, "degrees_north", "latitude")?;
    let longitudes: Vec<f64> = (0..LONGITUDES).map(|column| 10.0 * column as f64).collect();
    coordinate(&mut file, "lon", longitude, &longitudes, "degrees_east", "longitude")?;
    let values = file.add_variable::<f32>(name, &[time, latitude, longitude])?;
    describe(&mut file, values, "K", standard_name)?;
    let mut field = Vec::with_capacity(hour_count * LATITUDES * LONGITUDES);
    for hour in &hours {
        for row in &latitudes {
            let warmth = 250.0 + 50.0 * row.to_radians().cos() - 8.0 * variable as f64;
            let wave = (std::f64::consts::TAU * hour / HOURS as f64).sin() + 0.3 * member as f64;
            let value = warmth + wave + day as f64;
            field.extend(longitudes.iter().map(|column| (value + column / 360.0) as f32));
        }
    }
    file.write_variable(values, &field)?;
    Ok(file.to_vec(NcWriteOptions { format: NcWriteFormat::Classic })?.1)
}
