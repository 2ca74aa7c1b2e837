//! Whether every unit of a store is there and decodes.
//!
//! A unit is one object: a chunk, or a shard. Checking one needs no more memory than its bytes and
//! one decoded chunk; callers check many at once if they like.

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, Result};

use crate::read::ZarrArray;
use crate::source::ZarrSource;

/// One object that a finished store has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unit {
    /// The variable.
    pub variable: String,
    /// The index in the grid of units.
    pub index: Vec<u64>,
    /// The key, from the root of the store.
    pub key: String,
}

/// What became of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnitState {
    /// It is there, and every chunk of it decodes if that was asked.
    Sound {
        /// Bytes of the object.
        encoded_bytes: u64,
        /// CRC-32C of the object.
        crc32c: u32,
    },
    /// It is there; it was not read.
    Found,
    /// There is no such object; readers see the fill value.
    Missing,
    /// It is there and is not what it should be, for this reason.
    Damaged(Error),
}

impl ZarrSource {
    /// All units of all variables, in the order of the variables and then in C order.
    ///
    /// Cost: nothing is read.
    pub fn units(&self) -> impl Iterator<Item = Unit> + '_ {
        use array::DatasetSource;
        let variables = self.dataset().variables.iter();
        let arrays = variables.filter_map(|variable| self.zarr_array(&variable.name).ok());
        arrays.flat_map(|array| {
            (0..array.units.chunk_count()).map(move |linear| {
                let index = array.units.index_of(linear);
                Unit { variable: array.name.clone(), key: array.key(&index), index }
            })
        })
    }

    /// Asks whether one unit is there, without reading it.
    ///
    /// # Errors
    /// A store that fails.
    pub fn find(&self, unit: &Unit) -> Result<UnitState> {
        match self.objects.facts(&unit.key) {
            Ok(_) => Ok(UnitState::Found),
            Err(error) if error.code() == ErrorCode::STORE_NOT_FOUND => Ok(UnitState::Missing),
            Err(error) => Err(error),
        }
    }

    /// Reads one unit, for its length and checksum, and does not decode it.
    ///
    /// # Errors
    /// A store that fails.
    pub fn digest(&self, unit: &Unit) -> Result<UnitState> {
        let Some(body) = self.objects.try_get(&unit.key)? else { return Ok(UnitState::Missing) };
        let (encoded_bytes, crc32c) = (body.len() as u64, crc32c::crc32c(&body));
        Ok(UnitState::Sound { encoded_bytes, crc32c })
    }

    /// Reads one unit and decodes every chunk of it.
    ///
    /// Memory: the encoded unit and one decoded chunk.
    ///
    /// # Errors
    /// A store that fails. What is wrong with the unit is no error but its state.
    pub fn check(&self, unit: &Unit) -> Result<UnitState> {
        let array = self.zarr_array(&unit.variable)?;
        let Some(body) = self.objects.try_get(&unit.key)? else { return Ok(UnitState::Missing) };
        let (encoded_bytes, crc32c) = (body.len() as u64, crc32c::crc32c(&body));
        Ok(match check_body(array, unit, &body) {
            Ok(()) => UnitState::Sound { encoded_bytes, crc32c },
            Err(error) => UnitState::Damaged(error),
        })
    }
}

fn check_body(array: &ZarrArray, unit: &Unit, body: &Bytes) -> Result<()> {
    let chain = &array.header.chain;
    let Some(sharding) = &array.header.sharding else {
        let decoded = chain.decode(body.clone()).map(drop);
        let whole = 0..body.len() as u64;
        return decoded.map_err(|why| array.damaged_chunk(&unit.index, &unit.index, &whole, &why));
    };
    let index = sharding.index_in(body);
    let index = index.map_err(|why| array.damaged_shard(&unit.index, &why))?;
    for place in 0..sharding.chunk_count() as usize {
        // A chunk that is not in the index is one that was never written, and reads as fill.
        let Some(range) = index.range(place) else { continue };
        let decoded = chain.decode(body.slice(range.start as usize..range.end as usize));
        decoded.map_err(|why| {
            let chunk = sharding.chunk_at(&unit.index, place);
            array.damaged_chunk(&chunk, &unit.index, &range, &why)
        })?;
    }
    Ok(())
}
