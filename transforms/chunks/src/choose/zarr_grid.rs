//! The chunks and shards of a Zarr store that chunks of a pipeline are written to.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use super::normalize::{BytesPer, ChunkWish, normalize_chunks};

/// What is asked of the chunks of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZarrChunks {
    /// Those of the pipeline.
    Kept,
    /// By a wish for each dimension.
    Wishes(Vec<ChunkWish>),
    /// So many in a shard along every dimension; the shard is divided evenly.
    PerShard(Vec<u64>),
}

/// The chunks of a store, and its shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZarrGrid {
    /// Elements of a chunk.
    pub chunks: Vec<u64>,
    /// Elements of a shard, if there are shards: a multiple of the chunk.
    pub shards: Option<Vec<u64>>,
}

impl ZarrGrid {
    /// The grid of a store of this shape, that chunks of a pipeline are to fill unit by unit.
    ///
    /// # Errors
    /// Shards without chunks, shards that are no multiples of chunks, or units that a chunk of the
    /// pipeline does not fill.
    ///
    /// Source: xarray-beam, `Dataset.to_zarr`, <https://xarray-beam.readthedocs.io>.
    pub fn new(
        shape: &[u64],
        pipeline: &[u64],
        chunks: &ZarrChunks,
        shards: Option<&[ChunkWish]>,
    ) -> Result<Self> {
        let normalize = |wishes: &[ChunkWish]| {
            normalize_chunks(wishes, shape, &[], BytesPer::Array, Some(pipeline))
        };
        let mut shards = shards.map(normalize).transpose()?;
        let chunks = match chunks {
            ZarrChunks::Kept if shards.is_some() => {
                let error = invalid("there are shards, and no chunks for them".to_owned());
                return Err(error.mend("say what chunks a shard has"));
            }
            ZarrChunks::Kept => pipeline.to_vec(),
            ZarrChunks::Wishes(wishes) => normalize(wishes)?,
            ZarrChunks::PerShard(counts) => {
                let shards = shards.get_or_insert_with(|| pipeline.to_vec());
                let cut = shards.iter().zip(counts).map(|(&shard, &count)| {
                    let is_even = count > 0 && shard.is_multiple_of(count) && shard > 0;
                    let uneven =
                        || invalid(format!("{count} chunks do not fill a shard of {shard}"));
                    if is_even { Ok(shard / count) } else { Err(uneven()) }
                });
                cut.collect::<Result<_>>()?
            }
        };
        if let Some(shards) = &mut shards {
            for ((shard, &chunk), &length) in shards.iter_mut().zip(&chunks).zip(shape) {
                if *shard == length {
                    *shard = shard.next_multiple_of(chunk);
                }
            }
        }
        let grid = Self { chunks, shards };
        grid.check(shape, pipeline)?;
        Ok(grid)
    }

    fn check(&self, shape: &[u64], pipeline: &[u64]) -> Result<()> {
        let units = self.shards.as_ref().unwrap_or(&self.chunks);
        for ((&unit, &chunk), &length) in units.iter().zip(pipeline).zip(shape) {
            if chunk != length && !chunk.is_multiple_of(unit) {
                let message =
                    format!("chunks of {chunk} do not divide evenly into units of {unit}");
                return Err(invalid(message).mend("rechunk before, to multiples of the unit"));
            }
        }
        let Some(shards) = &self.shards else { return Ok(()) };
        for (&shard, &chunk) in shards.iter().zip(&self.chunks) {
            if !shard.is_multiple_of(chunk) {
                let message = format!("a shard of {shard} is not made of chunks of {chunk}");
                return Err(invalid(message).mend("take a multiple of the chunk"));
            }
        }
        Ok(())
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::golden::cases;

    fn answer(input: &Value) -> Option<Value> {
        let names: Vec<&str> = input["dims"].as_array()?.iter().filter_map(Value::as_str).collect();
        let number = |table: &Value, name: &str| table[name].as_i64().or(table["..."].as_i64());
        let shape: Vec<u64> =
            names.iter().filter_map(|it| input["dim_sizes"][*it].as_u64()).collect();
        let pipeline = names.iter().zip(&shape).map(|(name, &length)| {
            let chunk = number(&input["pipeline_chunks"], name).unwrap_or(-1);
            u64::try_from(chunk).map_or(length, |chunk| chunk.min(length))
        });
        let pipeline: Vec<u64> = pipeline.collect();
        let asked = &input["to_zarr"];
        let wishes = |table: &Value| -> Vec<ChunkWish> {
            let wish = |name: &&str| match number(table, name) {
                None => ChunkWish::Kept,
                Some(length) => u64::try_from(length).map_or(ChunkWish::Whole, ChunkWish::Elements),
            };
            names.iter().map(wish).collect()
        };
        let shards = (!asked["zarr_shards"].is_null()).then(|| wishes(&asked["zarr_shards"]));
        let chunks = match (&asked["zarr_chunks"], &asked["zarr_chunks_per_shard"]) {
            (Value::Null, Value::Null) => ZarrChunks::Kept,
            (table, Value::Null) => ZarrChunks::Wishes(wishes(table)),
            (Value::Null, table) => {
                let known = |name: &String| name == "..." || names.contains(&name.as_str());
                // A dimension that is not there has no number of chunks here.
                table.as_object()?.keys().all(known).then_some(())?;
                let counts =
                    names.iter().map(|name| number(table, name).unwrap_or(1).unsigned_abs());
                ZarrChunks::PerShard(counts.collect())
            }
            // One wish of the two can be given here.
            _ => return None,
        };
        let grid = ZarrGrid::new(&shape, &pipeline, &chunks, shards.as_deref()).ok()?;
        Some(json!({ "chunks": grid.chunks, "shards": grid.shards }))
    }

    #[test]
    fn golden_xbeam_to_zarr_grid() {
        let mut passed = 0;
        for case in cases("xbeam_to_zarr_grid.json") {
            let want = case.get("expected");
            let want = want.map(|it| json!({ "chunks": it["chunks"], "shards": it["shards"] }));
            assert_eq!(answer(&case["input"]), want, "{case}");
            passed += 1;
        }
        assert!(passed == 0 || passed == 55, "{passed} of 55 passed");
    }
}
