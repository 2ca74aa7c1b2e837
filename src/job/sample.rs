//! Sample files: a week or two of made-up hourly temperature, one NetCDF file a day.
//!
//! They are as unlike each other as files of real archives are: classic and NetCDF-4 in turns, and
//! each counts time from its own day.

use std::path::{Path, PathBuf};

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use netcdf_writer::{
    DimensionId, NcAttrValue, NcFileBuilder, NcWriteFormat, NcWriteOptions, VariableId,
};

const HOURS: usize = 24;
const LATITUDES: usize = 181;
const LONGITUDES: usize = 360;

/// The formats of sample files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    /// NetCDF classic, in one piece.
    Classic,
    /// NetCDF-4, one hour a chunk, shuffled and deflated.
    Nc4,
    /// Both, in turns, as in archives that have seen a few years.
    InTurns,
}

/// Sample files that were written.
#[derive(Debug, Clone)]
pub struct SampleFiles {
    /// Where they lie, one a day.
    pub paths: Vec<PathBuf>,
    /// Bytes of all of them.
    pub size_bytes: u64,
}

/// Writes files of together at least `size_bytes` into `folder`.
///
/// The same call writes the same bytes. Memory: one file.
///
/// # Errors
/// A folder that cannot be written.
pub fn write_sample_files(
    folder: &Path,
    size_bytes: u64,
    format: SampleFormat,
) -> Result<SampleFiles> {
    std::fs::create_dir_all(folder)?;
    let mut files = SampleFiles { paths: Vec::new(), size_bytes: 0 };
    let field = Field::new();
    while files.size_bytes < size_bytes {
        let day = files.paths.len();
        let is_classic = match format {
            SampleFormat::Classic => true,
            SampleFormat::Nc4 => false,
            SampleFormat::InTurns => day.is_multiple_of(2),
        };
        let body = sample_file(&field, day, is_classic).map_err(|why| {
            let message = format!("cannot make a sample file: {why}");
            Error::new(ErrorCode::ENGINE_BUG, ErrorKind::Internal, message)
        })?;
        let path = folder.join(format!("t2m_{day:04}.nc"));
        std::fs::write(&path, &body)
            .map_err(|error| Error::from(error).at("file", path.display()))?;
        files.size_bytes += body.len() as u64;
        files.paths.push(path);
    }
    Ok(files)
}

fn sample_file(
    field: &Field,
    day: usize,
    is_classic: bool,
) -> Result<Vec<u8>, netcdf_writer::Error> {
    let mut file = NcFileBuilder::new();
    let time = file.add_unlimited_dimension("time")?;
    let latitude = file.add_dimension("lat", LATITUDES as u64)?;
    let longitude = file.add_dimension("lon", LONGITUDES as u64)?;
    file.add_attribute("title", text("made-up hourly temperature"))?;
    file.add_attribute("Conventions", text("CF-1.11"))?;
    let hours: Vec<f64> = (0..HOURS).map(|hour| hour as f64).collect();
    // Days of one month each, so that a date needs no calendar.
    let (year, month, day) = (2026 + day / 336, day / 28 % 12 + 1, day % 28 + 1);
    let units = format!("hours since {year}-{month:02}-{day:02} 00:00:00");
    coordinate(&mut file, "time", time, &hours, &units, "time")?;
    let degrees: Vec<f64> = (0..LATITUDES).map(|row| 90.0 - row as f64).collect();
    coordinate(&mut file, "lat", latitude, &degrees, "degrees_north", "latitude")?;
    let degrees: Vec<f64> = (0..LONGITUDES).map(|column| column as f64).collect();
    coordinate(&mut file, "lon", longitude, &degrees, "degrees_east", "longitude")?;
    let variable = file.add_variable::<f32>("t2m", &[time, latitude, longitude])?;
    describe(&mut file, variable, "K", "air_temperature")?;
    if !is_classic {
        file.set_variable_chunking(variable, [1, LATITUDES as u64, LONGITUDES as u64])?;
        file.set_variable_deflate(variable, Some(1), true)?;
    }
    file.write_variable(variable, &field.day(day))?;
    let format = if is_classic { NcWriteFormat::Classic } else { NcWriteFormat::Nc4 };
    Ok(file.to_vec(NcWriteOptions { format })?.1)
}

pub(super) fn coordinate(
    file: &mut NcFileBuilder,
    name: &str,
    dimension: DimensionId,
    values: &[f64],
    units: &str,
    standard_name: &str,
) -> Result<(), netcdf_writer::Error> {
    let variable = file.add_variable::<f64>(name, &[dimension])?;
    describe(file, variable, units, standard_name)?;
    file.write_variable(variable, values)
}

pub(super) fn describe(
    file: &mut NcFileBuilder,
    variable: VariableId,
    units: &str,
    standard_name: &str,
) -> Result<(), netcdf_writer::Error> {
    file.add_variable_attribute(variable, "units", text(units))?;
    file.add_variable_attribute(variable, "standard_name", text(standard_name))
}

pub(super) fn text(text: &str) -> NcAttrValue {
    NcAttrValue::Chars(text.to_owned())
}

/// A temperature that is smooth in space, has a daily wave, a little noise, and steps of 5 mK.
struct Field {
    base: Vec<f32>,
}

impl Field {
    fn new() -> Self {
        let cell = |row: usize, column: usize| {
            let (y, x) = (row as f32 / LATITUDES as f32, column as f32 / LONGITUDES as f32);
            280.0 + 15.0 * ((3.0 * y).sin() + (12.0 * x).cos() * (6.0 * y).sin())
        };
        let rows =
            (0..LATITUDES).flat_map(|row| (0..LONGITUDES).map(move |column| cell(row, column)));
        Self { base: rows.collect() }
    }

    fn day(&self, day: usize) -> Vec<f32> {
        let mut noise = 0x2545_f491_u32.wrapping_mul(day as u32 + 1);
        let mut values = Vec::with_capacity(HOURS * self.base.len());
        for hour in 0..HOURS {
            let wave = 4.0 * (hour as f32 / HOURS as f32 * std::f32::consts::TAU).sin();
            values.extend(self.base.iter().map(|base| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let jitter = (noise >> 24) as f32 / 2560.0;
                ((base + wave + jitter) * 200.0).round() / 200.0
            }));
        }
        values
    }
}
