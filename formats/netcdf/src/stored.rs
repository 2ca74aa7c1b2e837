//! One stored array as the house reads arrays: fetch what regions need, then decode it.
//!
//! An array may be longer than what was stored of it: along an unlimited dimension, another
//! variable of the file may have been written further. What lies outside is the fill value.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use array::error::{Error, Result};
use array::{
    ArraySource, BoxCopy, ChunkGrid, EncodedChunks, Fetched, Placement, Region, Scalar,
    SourceFacts, Storage,
};
use bytes::Bytes;
use objects::Pending;

use crate::element::{Element, TextForm};
use crate::encoded::StoredChunks;
use crate::flat::Flat;
use crate::hdf5::{ChunkPlan, Chunked};
use crate::target::Target;
use objects::FileBytes;

/// An array of a file, ready to be read.
pub(crate) struct StoredArray {
    parts: Arc<Parts>,
    facts: SourceFacts,
}

/// What a [`StoredArray`] is made of, known from metadata alone.
pub(crate) struct Parts {
    /// The name of the variable.
    pub(crate) variable: String,
    /// The element.
    pub(crate) element: Element,
    /// The shape that readers see.
    pub(crate) shape: Vec<u64>,
    /// What readers see of an element that was never written.
    pub(crate) fill: Scalar,
    /// How elements lie, in the words of the house.
    pub(crate) storage: Storage,
    /// Elements that are stored along every dimension of storage.
    pub(crate) extent: Vec<u64>,
    /// One stored element, little endian, for what lies outside of the extent.
    pub(crate) outside: Vec<u8>,
    /// Where the stored elements lie.
    pub(crate) layout: Layout,
    /// The file.
    pub(crate) bytes: Arc<FileBytes>,
}

/// Where the elements of an array lie.
#[derive(Debug)]
pub(crate) enum Layout {
    /// As they are, in the file.
    Flat(Flat),
    /// As they are, among the metadata, which were read already.
    Inline(Flat, Bytes),
    /// In chunks.
    Chunked(Box<Chunked>),
    /// Nowhere: none was ever written.
    Nowhere,
}

impl StoredArray {
    /// Reads what must be known before regions can be fetched: the index of chunks, if there is
    /// one, which is kept.
    ///
    /// # Errors
    /// An index that is damaged.
    pub(crate) fn open(parts: &Arc<Parts>) -> Result<Self> {
        let encoded_ratio = match &parts.layout {
            Layout::Chunked(chunked) => {
                let encoded = chunked.encoded_bytes().map_err(|error| parts.name(error))?;
                let items = parts.shape.iter().product::<u64>();
                let decoded = items * parts.element.dtype.estimated_bytes();
                if decoded == 0 { 1.0 } else { encoded as f64 / decoded as f64 }
            }
            _ => 1.0,
        };
        let Parts { element, shape, storage, fill, .. } = &**parts;
        let facts = SourceFacts {
            dtype: element.dtype,
            grid: ChunkGrid::regular(shape, storage.chunk_shape.as_ref().unwrap_or(shape)),
            is_random_access: storage.chunk_shape.is_none(),
            codecs: storage.codecs.clone(),
            encoded_ratio,
            recode_bytes: 0,
            fill: fill.clone(),
        };
        Ok(Self { parts: Arc::clone(parts), facts })
    }
}

impl fmt::Debug for StoredArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredArray({} of {})", self.parts.variable, self.parts.bytes.name())
    }
}

impl ArraySource for StoredArray {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let parts = &self.parts;
        regions.iter().try_for_each(|region| parts.check(region))?;
        let wanted: Vec<Wanted> = regions.iter().map(|region| parts.want(region)).collect();
        let (plan, pending) = parts.plan(&wanted).map_err(|error| parts.name(error))?;
        Ok(Box::new(Arrival { parts: Arc::clone(parts), wanted, plan, pending }))
    }

    fn encoded(&self) -> Result<Arc<dyn EncodedChunks>> {
        let chunks = StoredChunks::new(&self.parts).map_err(|error| self.parts.name(error))?;
        Ok(Arc::new(chunks))
    }
}

/// A region in the dimensions of storage.
struct Wanted {
    region: Region,
    /// The part of it that is stored.
    stored: Option<Region>,
}

/// What was fetched, by layout.
enum Plan {
    /// For every region with a stored part: where each of its pieces begins.
    Flat(Vec<Vec<u64>>),
    None,
    Chunked(ChunkPlan),
}

struct Arrival {
    parts: Arc<Parts>,
    wanted: Vec<Wanted>,
    plan: Plan,
    pending: Pending<Vec<Bytes>>,
}

impl Parts {
    /// Says in an error which variable of which file it is about.
    pub(crate) fn name(&self, error: Error) -> Error {
        error.at("file", self.bytes.name()).at("variable", &self.variable)
    }

    fn check(&self, region: &Region) -> Result<()> {
        let is_inside = region.rank() == self.shape.len()
            && region.ranges().zip(&self.shape).all(|(range, &length)| range.end <= length);
        if is_inside {
            return Ok(());
        }
        let message = format!("region {region} is not within an array of {:?}", self.shape);
        Err(self.name(Error::internal(message)))
    }

    fn want(&self, region: &Region) -> Wanted {
        let joined = self.element.joined.map(|length| 0..length.max(1));
        let region = Region::new(region.ranges().chain(joined));
        let stored = match self.layout {
            Layout::Nowhere => None,
            _ => region.intersection(&Region::whole(&self.extent)),
        };
        Wanted { region, stored }
    }

    fn plan(&self, wanted: &[Wanted]) -> Result<(Plan, Pending<Vec<Bytes>>)> {
        let stored: Vec<&Region> = wanted.iter().filter_map(|w| w.stored.as_ref()).collect();
        match &self.layout {
            Layout::Nowhere | Layout::Inline(..) => Ok((Plan::None, Pending::ready(Vec::new()))),
            Layout::Flat(flat) => {
                let ranges: Vec<Vec<Range<u64>>> =
                    stored.iter().map(|part| flat.plan(part)).collect();
                let starts = |ranges: &Vec<Range<u64>>| ranges.iter().map(|r| r.start).collect();
                let plan = Plan::Flat(ranges.iter().map(starts).collect());
                Ok((plan, self.bytes.fetch(ranges.into_iter().flatten().collect())?))
            }
            Layout::Chunked(chunked) => {
                let (plan, ranges) = chunked.plan(&stored)?;
                Ok((Plan::Chunked(plan), self.bytes.fetch(ranges)?))
            }
        }
    }

    fn decode(&self, plan: Plan, pieces: Vec<Bytes>, targets: &mut [Target<'_>]) -> Result<()> {
        match (&self.layout, plan) {
            (Layout::Nowhere, Plan::None) => Ok(()),
            (Layout::Inline(flat, held), Plan::None) => {
                let held = [(flat.begin, held.clone())];
                targets.iter_mut().try_for_each(|target| flat.decode(&held, target))
            }
            (Layout::Flat(flat), Plan::Flat(starts)) => {
                let mut pieces = pieces.into_iter();
                targets.iter_mut().zip(starts).try_for_each(|(target, starts)| {
                    let own: Vec<(u64, Bytes)> = starts.into_iter().zip(&mut pieces).collect();
                    flat.decode(&own, target)
                })
            }
            (Layout::Chunked(chunked), Plan::Chunked(plan)) => {
                chunked.decode(plan, pieces, targets)
            }
            _ => Err(Error::internal("a plan of another layout")),
        }
    }
}

impl Arrival {
    fn into_places(self, places: &mut [Placement<'_>]) -> Result<()> {
        let Self { parts, wanted, plan, pending } = self;
        if places.len() != wanted.len() {
            let (places, regions) = (places.len(), wanted.len());
            return Err(Error::internal(format!("{places} places for {regions} regions")));
        }
        for (place, wanted) in places.iter().zip(&wanted) {
            let shape = wanted.region.shape();
            place.into.check(&place.at, parts.element.visible(&shape), parts.element.dtype)?;
        }
        let pieces = pending.wait()?;
        let mut buffers: Vec<Vec<u8>> = Vec::new();
        if parts.element.texts.is_some() {
            buffers.extend(wanted.iter().map(|wanted| parts.raw_buffer(&wanted.region)));
        }
        let mut targets = Vec::new();
        let mut raw = buffers.iter_mut();
        for (place, wanted) in places.iter_mut().zip(&wanted) {
            let mut target = match raw.next() {
                Some(buffer) => parts.raw_target(buffer, &wanted.region),
                None => parts.target(place, &wanted.region)?,
            };
            match &wanted.stored {
                Some(stored) if *stored == wanted.region => targets.push(target),
                stored => {
                    target.fill(&wanted.region, &parts.outside);
                    targets.extend(stored.as_ref().map(|stored| target.narrowed(stored)));
                }
            }
        }
        parts.decode(plan, pieces, &mut targets)?;
        drop(targets);
        let Some(form) = &parts.element.texts else { return Ok(()) };
        let filled = places.iter_mut().zip(&wanted).zip(&buffers);
        filled.into_iter().try_for_each(|((place, wanted), buffer)| {
            write_texts(form, parts.element.unit_bytes, buffer, &wanted.region, place)
        })
    }
}

impl Fetched for Arrival {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        let parts = Arc::clone(&self.parts);
        self.into_places(places).map_err(|error| parts.name(error))
    }
}

impl Parts {
    fn target<'a>(&self, place: &'a mut Placement<'_>, region: &Region) -> Result<Target<'a>> {
        let joined = self.element.joined.map(|length| length.max(1));
        let shape: Vec<u64> = place.into.shape().iter().copied().chain(joined).collect();
        let start = place.at.iter().copied().chain(joined.map(|_| 0)).collect();
        let bytes = place.into.fixed_mut().ok_or_else(|| Error::internal("texts for numbers"))?;
        let unit_bytes = self.element.unit_bytes;
        Ok(Target { bytes, shape, start, region: region.clone(), unit_bytes })
    }

    fn raw_buffer(&self, region: &Region) -> Vec<u8> {
        vec![0; region.element_count() as usize * self.element.unit_bytes]
    }

    fn raw_target<'a>(&self, bytes: &'a mut [u8], region: &Region) -> Target<'a> {
        let (shape, start) = (region.shape(), vec![0; region.rank()]);
        Target { bytes, shape, start, region: region.clone(), unit_bytes: self.element.unit_bytes }
    }
}

impl Target<'_> {
    /// The same buffer, for a part of the region.
    fn narrowed(mut self, part: &Region) -> Self {
        let within = part.offset_in(&self.region);
        self.start.iter_mut().zip(within).for_each(|(start, offset)| *start += offset);
        self.region = part.clone();
        self
    }
}

fn write_texts(
    form: &TextForm,
    unit_bytes: usize,
    raw: &[u8],
    region: &Region,
    place: &mut Placement<'_>,
) -> Result<()> {
    let shape = region.shape();
    let target_shape = place.into.shape().to_vec();
    let copy = BoxCopy {
        source_shape: &shape,
        source_start: &vec![0; shape.len()],
        target_shape: &target_shape,
        target_start: &place.at,
        extent: &shape,
    };
    let texts = place.into.texts_mut().ok_or_else(|| Error::internal("numbers for texts"))?;
    let mut outcome = Ok(());
    copy.for_each_run(|from, to, length| {
        let units = raw[from * unit_bytes..(from + length) * unit_bytes].chunks_exact(unit_bytes);
        for (out, unit) in texts[to..to + length].iter_mut().zip(units) {
            if outcome.is_ok() {
                outcome = form.text(unit).map(|text| *out = text);
            }
        }
    });
    outcome
}
