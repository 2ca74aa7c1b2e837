//! What references cannot say, refused before files are looked at again.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::options::{BakeOptions, WrittenAs};
use crate::plan::BakePlan;
use crate::recode::Recode;
use crate::schema::{FilePlace, Schema};

impl BakePlan {
    /// Refuses options that references do not have, and variables whose values would have to be
    /// written anew, unless they are few enough to be held.
    ///
    /// # Errors
    /// Those; the error names two files that differ.
    pub(crate) fn check_references(&self, schema: &Schema) -> Result<()> {
        if self.options.written_as == WrittenAs::Zarr {
            return Ok(());
        }
        check_options(&self.options)?;
        if let Some(dim) = self.aligned.first() {
            let message = format!(
                "the files have different `{}`, and references leave elements where they are",
                dim.name
            );
            let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
            return Err(error.mend("bake copies, or refer to the files of each grid apart"));
        }
        for variable in &self.variables {
            let Some(recode) = variable.assembly.recode() else { continue };
            let target = self.template.expect_variable(&variable.name)?;
            if target.decoded_bytes() <= self.options.inline_limit.0 {
                continue;
            }
            return Err(differs(schema, &variable.name, recode));
        }
        Ok(())
    }
}

fn check_options(options: &BakeOptions) -> Result<()> {
    let is_codec_given = options.codec != BakeOptions::default().codec;
    let given = [
        ("chunks", !options.chunks.is_empty()),
        ("chunk-ratio", !options.chunk_ratio.is_empty()),
        ("shards", !options.shards.is_empty()),
        ("codec", is_codec_given),
        ("encoding", !options.encodings.is_empty()),
    ];
    let Some((word, _)) = given.iter().find(|(_, is_given)| *is_given) else { return Ok(()) };
    let message = format!("references keep chunks and codecs of the files; {word} is given");
    let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
    Err(error.mend(format!("leave {word} out, or bake copies")))
}

#[cold]
fn differs(schema: &Schema, name: &str, recode: &Recode) -> Error {
    let variable = schema.variables.get(name);
    let (code, what) = match recode {
        Recode::Times(_) | Recode::Stored(_) => (ErrorCode::TIMES_DIFFER, "counts times"),
        Recode::Values(_) | Recode::Packed(_) => (ErrorCode::PACKINGS_DIFFER, "is packed or typed"),
    };
    let places: Option<[FilePlace; 2]> = variable.and_then(|it| {
        let packing = it.packing.conflict().map(|[(a, _), (b, _)]| [a, b]);
        let dtype = || it.dtype.conflict().map(|[(a, _), (b, _)]| [a, b]);
        let time = || it.time.conflict().map(|[(a, _), (b, _)]| [a, b]);
        packing.or_else(dtype).or_else(time)
    });
    let message = match places {
        Some(_) => format!("`{name}` {what} differently, and references leave values as they are"),
        None => format!("`{name}` is missing in some places, which its elements cannot say"),
    };
    let mut error = Error::new(code, ErrorKind::Conflict, message).at("variable", name);
    for (place, role) in places.into_iter().flatten().zip(["file 1", "file 2"]) {
        error = error.at(role, schema.location(place));
    }
    error.mend("bake copies, which are written anew, or leave the variable out with --vars")
}
