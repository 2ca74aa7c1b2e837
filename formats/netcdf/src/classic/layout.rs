//! Where the variables of a classic file lie, checked: a header that lies is refused.

use array::error::Result;

use super::header::{Header, Variable};
use crate::fault::corrupt;

/// Where all variables lie.
#[derive(Debug)]
pub(super) struct Layout {
    /// Records in the file.
    pub(super) record_count: u64,
    /// Bytes from one record to the next.
    pub(super) record_stride: u64,
    /// The dimension that records run along.
    pub(super) record_dimension: Option<usize>,
    /// In the order of the variables.
    pub(super) slabs: Vec<Slab>,
}

/// Where a variable lies, or what one record holds of it.
#[derive(Debug)]
pub(super) struct Slab {
    /// The shape of the variable, records included.
    pub(super) shape: Vec<u64>,
    /// Whether there is one slab in every record.
    pub(super) is_record: bool,
    /// Where it begins, in the first record if there is one in each.
    begin: u64,
    /// Bytes without padding.
    pub(super) bytes: u64,
}

impl Layout {
    /// Works out where variables lie and checks that against the header and the file.
    ///
    /// # Errors
    /// A begin inside of the header or of another variable, or bytes beyond the end of the file;
    /// the error names the field.
    pub(super) fn of(header: &Header, file_length: u64) -> Result<Self> {
        let record_dimension = record_dimension(header)?;
        let slabs =
            header.variables.iter().map(|variable| slab(header, record_dimension, variable));
        let slabs: Vec<Slab> = slabs.collect::<Result<_>>()?;
        let record_stride = record_stride(&slabs)
            .ok_or_else(|| damaged("records take more bytes than can be counted"))?;
        let mut layout = Self { record_count: 0, record_stride, record_dimension, slabs };
        layout.record_count = layout.count_records(header, file_length);
        for slab in layout.slabs.iter_mut().filter(|slab| slab.is_record) {
            slab.shape[0] = layout.record_count;
        }
        layout.check(header, file_length)?;
        Ok(layout)
    }

    fn count_records(&self, header: &Header, file_length: u64) -> u64 {
        // A writer that streams never comes back to say how many records it wrote.
        header.record_count.unwrap_or_else(|| {
            let records = self.slabs.iter().filter(|slab| slab.is_record);
            let first = records.map(|slab| slab.begin).min().unwrap_or(file_length);
            file_length.saturating_sub(first).checked_div(self.record_stride).unwrap_or(0)
        })
    }

    fn check(&self, header: &Header, file_length: u64) -> Result<()> {
        let mut last: Option<(u64, &str)> = None;
        let mut order: Vec<usize> = (0..self.slabs.len()).collect();
        order.retain(|&index| self.slabs[index].bytes > 0);
        order.retain(|&index| !self.slabs[index].is_record || self.record_count > 0);
        order.sort_by_key(|&index| (self.slabs[index].is_record, self.slabs[index].begin));
        for &index in &order {
            let (slab, name) = (&self.slabs[index], &header.variables[index].name.value);
            let begin = slab.begin;
            if begin < header.length {
                let message = format!("begin of `{name}` is {begin}, inside of the header");
                return Err(damaged(&message).at("variable", name));
            }
            if let Some((end, before)) = last.filter(|(end, _)| begin < *end) {
                let message = format!(
                    "begin of `{name}` is {begin}, inside of `{before}`, which ends at {end}"
                );
                return Err(damaged(&message).at("variable", name));
            }
            let repeats = if slab.is_record { self.record_count - 1 } else { 0 };
            let end = repeats
                .checked_mul(self.record_stride)
                .and_then(|offset| begin.checked_add(offset)?.checked_add(slab.bytes));
            if end.is_none_or(|end| end > file_length) {
                let field = if slab.is_record { "the number of records" } else { "begin or shape" };
                let message = format!(
                    "by {field} of `{name}` its data end beyond the file, which has {file_length} bytes"
                );
                return Err(damaged(&message).at("variable", name));
            }
            last = Some((begin + slab.bytes, name));
        }
        self.check_records(header, &order)
    }

    fn check_records(&self, header: &Header, order: &[usize]) -> Result<()> {
        let mut records = order.iter().filter(|&&index| self.slabs[index].is_record);
        let Some(&first) = records.next() else { return Ok(()) };
        let last = records.next_back().copied().unwrap_or(first);
        let used = self.slabs[last].begin + self.slabs[last].bytes - self.slabs[first].begin;
        if used <= self.record_stride {
            return Ok(());
        }
        let name = &header.variables[last].name.value;
        let stride = self.record_stride;
        let message = format!("begin of `{name}` is beyond the first record of {stride} bytes");
        Err(damaged(&message).at("variable", name))
    }
}

fn damaged(message: &str) -> array::error::Error {
    corrupt(format!("the header is damaged: {message}"))
}

fn record_dimension(header: &Header) -> Result<Option<usize>> {
    let mut records = header.dimensions.iter().enumerate().filter(|(_, d)| d.length == 0);
    let first = records.next();
    match records.next() {
        Some((_, second)) => {
            let message = format!("dimension `{}` is a second one for records", second.name.value);
            Err(damaged(&message))
        }
        None => Ok(first.map(|(index, _)| index)),
    }
}

fn slab(header: &Header, record_dimension: Option<usize>, variable: &Variable) -> Result<Slab> {
    let name = &variable.name.value;
    let mut shape = Vec::with_capacity(variable.dimension_ids.len());
    for (axis, &id) in variable.dimension_ids.iter().enumerate() {
        let Some(dimension) = header.dimensions.get(id) else {
            let message = format!("dimension {axis} of `{name}` has id {id}, which there is not");
            return Err(damaged(&message).at("variable", name));
        };
        if Some(id) == record_dimension && axis > 0 {
            let message =
                format!("records run along dimension {axis} of `{name}`, not along its first");
            return Err(damaged(&message).at("variable", name));
        }
        shape.push(dimension.length);
    }
    let is_record = record_dimension.is_some_and(|id| variable.dimension_ids.first() == Some(&id));
    let row = &shape[usize::from(is_record)..];
    let bytes = row.iter().try_fold(variable.kind.bytes(), |bytes, &n| bytes.checked_mul(n));
    let bytes = bytes.filter(|&bytes| bytes <= i64::MAX as u64 - 3).ok_or_else(|| {
        damaged(&format!("the shape of `{name}` is {shape:?}")).at("variable", name)
    })?;
    Ok(Slab { shape, is_record, begin: variable.begin, bytes })
}

/// Every variable is padded to four bytes in a record, unless it is the only one.
fn record_stride(slabs: &[Slab]) -> Option<u64> {
    let mut records = slabs.iter().filter(|slab| slab.is_record);
    match (records.next(), records.next()) {
        (None, _) => Some(0),
        (Some(only), None) => Some(only.bytes),
        _ => {
            let mut records = slabs.iter().filter(|slab| slab.is_record);
            records.try_fold(0u64, |sum, slab| sum.checked_add(slab.bytes.next_multiple_of(4)))
        }
    }
}
