//! What the header of a classic file says, read and not yet believed.

use array::{AttributeValue, DType, Scalar};

use super::cursor::{Cursor, Fault, Field, damaged};
use crate::sniff::Generation;
use crate::text::{self, Text};

const TAG_DIMENSIONS: u32 = 0x0A;
const TAG_VARIABLES: u32 = 0x0B;
const TAG_ATTRIBUTES: u32 = 0x0C;
/// The C library knows no variable of more dimensions.
const MOST_DIMENSIONS: u64 = 1024;

/// The header of a classic file.
#[derive(Debug)]
pub(super) struct Header {
    /// Records written; `None` where the writer never came to say so.
    pub(super) record_count: Option<u64>,
    /// In the order of their ids.
    pub(super) dimensions: Vec<Dimension>,
    /// Of the file itself.
    pub(super) attributes: Vec<Attribute>,
    /// In the order of the file.
    pub(super) variables: Vec<Variable>,
    /// Bytes of the header.
    pub(super) length: u64,
}

/// A dimension; zero length means that records run along it.
#[derive(Debug)]
pub(super) struct Dimension {
    pub(super) name: Text,
    pub(super) length: u64,
}

/// An attribute.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) name: Text,
    pub(super) value: AttributeValue,
    /// Whether its text is not UTF-8.
    pub(super) is_latin1: bool,
}

/// A variable.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: Text,
    pub(super) dimension_ids: Vec<usize>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) kind: Kind,
    pub(super) begin: u64,
}

/// A type of the classic format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Characters.
    Char,
    /// Numbers.
    Number(DType),
}

impl Kind {
    /// Bytes of one element.
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::Char => 1,
            Self::Number(dtype) => dtype.item_bytes().map_or(1, |bytes| bytes as u64),
        }
    }
}

/// Reads a header out of the beginning of a file.
///
/// # Errors
/// [`Fault::Short`] if `head` ends before the header does.
pub(super) fn parse(head: &[u8], generation: Generation, file_length: u64) -> Field<Header> {
    let is_wide = generation == Generation::Data64;
    let mut cursor = Cursor::new(head, 4, file_length, is_wide);
    let record_count = if is_wide {
        Some(cursor.u64("the number of records")?).filter(|&count| count != u64::MAX)
    } else {
        let count = Some(cursor.u32("the number of records")?);
        count.filter(|&count| count != u32::MAX).map(u64::from)
    };
    let dimensions = list(&mut cursor, TAG_DIMENSIONS, 8, "dimensions", |cursor, index| {
        let name = cursor.name(&format!("the name of dimension {index}"))?;
        let length = cursor.count(&format!("the length of dimension `{}`", name.value))?;
        Ok(Dimension { name, length })
    })?;
    let attributes = attributes(&mut cursor, "the file")?;
    let variables = list(&mut cursor, TAG_VARIABLES, 28, "variables", |cursor, index| {
        variable(cursor, generation, index)
    })?;
    let length = cursor.position();
    Ok(Header { record_count, dimensions, attributes, variables, length })
}

fn list<'a, T>(
    cursor: &mut Cursor<'a>,
    tag: u32,
    least_bytes: u64,
    what: &str,
    mut item: impl FnMut(&mut Cursor<'a>, u64) -> Field<T>,
) -> Field<Vec<T>> {
    let found = cursor.u32(&format!("the tag of the list of {what}"))?;
    let count = cursor.count_of(least_bytes, &format!("the number of {what}"))?;
    if found != tag && (found != 0 || count != 0) {
        return Err(damaged(format!("the list of {what} begins with tag {found}, not {tag}")));
    }
    (0..count).map(|index| item(cursor, index)).collect()
}

fn attributes(cursor: &mut Cursor<'_>, owner: &str) -> Field<Vec<Attribute>> {
    list(cursor, TAG_ATTRIBUTES, 12, &format!("attributes of {owner}"), |cursor, index| {
        let name = cursor.name(&format!("the name of attribute {index} of {owner}"))?;
        let field = format!("attribute `{}` of {owner}", name.value);
        let kind = kind(cursor, &field)?;
        let count = cursor.count_of(kind.bytes(), &format!("the number of values of {field}"))?;
        let bytes = cursor.take_padded(count * kind.bytes(), &field)?;
        let (value, is_latin1) = value(kind, bytes)?;
        Ok(Attribute { name, value, is_latin1 })
    })
}

fn value(kind: Kind, bytes: &[u8]) -> Field<(AttributeValue, bool)> {
    let Kind::Number(dtype) = kind else {
        let text = text::decode(text::without_padding(bytes));
        return Ok((AttributeValue::Text(text.value), text.is_latin1));
    };
    let units = bytes.chunks_exact(kind.bytes() as usize);
    let scalars = units.map(|unit| {
        let little_endian: Vec<u8> = unit.iter().rev().copied().collect();
        Scalar::new(dtype, little_endian).map_err(Fault::Damaged)
    });
    Ok((AttributeValue::Numbers(scalars.collect::<Field<_>>()?), false))
}

fn variable(cursor: &mut Cursor<'_>, generation: Generation, index: u64) -> Field<Variable> {
    let name = cursor.name(&format!("the name of variable {index}"))?;
    let owner = format!("variable `{}`", name.value);
    let rank = cursor.count(&format!("the number of dimensions of {owner}"))?;
    if rank > MOST_DIMENSIONS {
        return Err(damaged(format!("{owner} has {rank} dimensions")));
    }
    let ids = (0..rank).map(|axis| cursor.count(&format!("dimension {axis} of {owner}")));
    let dimension_ids = ids.map(|id| id.map(|id| id as usize)).collect::<Field<_>>()?;
    let attributes = attributes(cursor, &owner)?;
    let kind = kind(cursor, &owner)?;
    // Stored sizes are redundant, and wrong by design for the largest variables of CDF-1 and 2.
    cursor.count(&format!("vsize of {owner}"))?;
    let field = format!("begin of {owner}");
    let begin = match generation {
        Generation::Classic => i64::from(cursor.u32(&field)?.cast_signed()),
        Generation::Offset64 | Generation::Data64 => cursor.u64(&field)?.cast_signed(),
    };
    let Ok(begin) = u64::try_from(begin) else {
        return Err(damaged(format!("{field} is negative ({begin})")));
    };
    Ok(Variable { name, dimension_ids, attributes, kind, begin })
}

fn kind(cursor: &mut Cursor<'_>, owner: &str) -> Field<Kind> {
    let number = cursor.u32(&format!("the type of {owner}"))?;
    Ok(Kind::Number(match number {
        2 => return Ok(Kind::Char),
        1 => DType::Int8,
        3 => DType::Int16,
        4 => DType::Int32,
        5 => DType::Float32,
        6 => DType::Float64,
        7 => DType::UInt8,
        8 => DType::UInt16,
        9 => DType::UInt32,
        10 => DType::Int64,
        11 => DType::UInt64,
        _ => return Err(damaged(format!("the type of {owner} is {number}, not 1 to 11"))),
    }))
}
