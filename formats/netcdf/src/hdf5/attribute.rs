//! Attributes, one by one: what cannot be read of one costs no other.

use array::error::{Error, Result};
use array::{AttributeValue, Scalar};
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::attribute_info;
use hdf5_reader::messages::dataspace::DataspaceType;

use super::datatype::Datatype;
use super::file::Hdf5;
use super::guard::guarded;
use super::header::{Header, Kind, follow};
use super::heap::TextHeap;
use super::links::dense_objects;
use super::space::{self, Space};
use crate::fault::{corrupt, of_the_file, sentence, unsupported};
use crate::text::{self, Text};

const FLAG_SHARED_TYPE: u8 = 0x01;
const FLAG_SHARED_SPACE: u8 = 0x02;

/// An attribute as it is stored.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// Its name.
    pub(crate) name: Text,
    /// Its type, or why that cannot be understood.
    datatype: Result<Datatype>,
    space: Result<Space>,
    /// Its elements.
    bytes: Vec<u8>,
}

/// The attributes of an object, in the order in which they were made if that is known.
///
/// What is damaged becomes a sentence about `owner` in `warnings`.
///
/// # Errors
/// A store that fails.
pub(crate) fn read_attributes(
    file: &Hdf5,
    header: &Header,
    owner: &str,
    warnings: &mut Vec<String>,
) -> Result<Vec<Attribute>> {
    let mut found: Vec<Result<Vec<u8>>> = header.all(file, Kind::Attribute).collect();
    match of_the_file(dense(file, header))? {
        Ok(dense) => found.extend(dense),
        Err(error) => {
            let why = sentence(&error);
            warnings.push(format!("attributes of {owner} cannot be read: {why}"));
        }
    }
    let mut attributes = Vec::new();
    for body in found {
        match of_the_file(body.and_then(|body| Attribute::parse(file, &body)))? {
            Ok(attribute) => attributes.push(attribute),
            Err(error) => {
                let why = sentence(&error);
                warnings.push(format!("an attribute of {owner} cannot be read: {why}"));
            }
        }
    }
    Ok(attributes)
}

fn dense(file: &Hdf5, header: &Header) -> Result<Vec<Result<Vec<u8>>>> {
    let Some(body) = header.find(file, Kind::AttributeInfo)? else { return Ok(Vec::new()) };
    let (offset, length) = (file.offset_bytes(), file.length_bytes());
    let info =
        guarded(|| attribute_info::parse(&mut Cursor::new(&body), offset, length, body.len()))?;
    if file.is_undefined(info.fractal_heap_address) {
        return Ok(Vec::new());
    }
    let (heap, index) = (info.fractal_heap_address, info.btree_name_index_address);
    let mut objects = dense_objects(file, heap, index)?;
    if info.creation_order_tracked {
        objects.sort_by_key(|(order, _)| *order);
    }
    Ok(objects.into_iter().map(|(_, object)| object).collect())
}

impl Attribute {
    fn parse(file: &Hdf5, body: &[u8]) -> Result<Self> {
        let parts = guarded(|| Parts::cut(&mut Cursor::new(body)))?;
        let [version, flags] = [parts.version, parts.flags];
        if !(1..=3).contains(&version) {
            return Err(unsupported(format!("attribute message version {version}")));
        }
        // Version 1 has a reserved byte in place of the flags.
        let is_shared = |flag| version > 1 && flags & flag != 0;
        let resolve = |flag, kind, bytes: &[u8]| match is_shared(flag) {
            true => follow(file, kind, bytes),
            false => Ok(bytes.to_vec()),
        };
        let datatype = resolve(FLAG_SHARED_TYPE, Kind::Datatype, parts.datatype);
        let space = resolve(FLAG_SHARED_SPACE, Kind::Dataspace, parts.space);
        Ok(Self {
            name: text::decode(text::until_zero(parts.name)),
            datatype: of_the_file(datatype.and_then(|body| Datatype::parse(file, &body)))?,
            space: of_the_file(space.and_then(|body| space::parse(file, &body)))?,
            bytes: parts.bytes.to_vec(),
        })
    }

    /// The value, as the C library gives it, and whether a text of it is not UTF-8.
    ///
    /// # Errors
    /// A type that attributes of the house cannot hold, or a value that is cut short.
    pub(crate) fn value(&self, heap: &TextHeap) -> Result<(AttributeValue, bool)> {
        let units = self.units()?;
        match self.datatype.as_ref().map_err(Error::clone)? {
            Datatype::Number { dtype, is_big_endian } => {
                if self.space()?.dimensions.len() > 1 {
                    let rank = self.space()?.dimensions.len();
                    return Err(unsupported(format!("it has {rank} dimensions")));
                }
                let scalars = units.into_iter().map(|unit| {
                    let mut unit = unit.to_vec();
                    if *is_big_endian {
                        unit.reverse();
                    }
                    Scalar::new(*dtype, unit)
                });
                Ok((AttributeValue::Numbers(scalars.collect::<Result<_>>()?), false))
            }
            Datatype::Field { padding, .. } => {
                Ok(self.texts(units.into_iter().map(|unit| text::decode(padding.strip(unit)))))
            }
            Datatype::HeapText { .. } => {
                let texts = units.into_iter().map(|unit| {
                    heap.resolve(unit).map(|bytes| text::decode(text::until_zero(&bytes)))
                });
                Ok(self.texts(texts.collect::<Result<Vec<_>>>()?.into_iter()))
            }
            other => {
                let feature = other.refusal().unwrap_or_default();
                Err(unsupported(format!("{feature} are not supported")))
            }
        }
    }

    /// Small integers, as internal attributes hold them.
    ///
    /// # Errors
    /// A value of another type.
    pub(crate) fn integers(&self, heap: &TextHeap) -> Result<Vec<i64>> {
        let (AttributeValue::Numbers(numbers), _) = self.value(heap)? else {
            return Err(corrupt(format!("attribute `{}` holds no numbers", self.name.value)));
        };
        let wide = numbers.iter().filter_map(Scalar::as_int);
        Ok(wide.filter_map(|number| i64::try_from(number).ok()).collect())
    }

    /// For every element, the objects that it refers to.
    ///
    /// # Errors
    /// A value of another type, or references that lead nowhere.
    pub(crate) fn object_lists(&self, heap: &TextHeap) -> Result<Vec<Vec<u64>>> {
        let units = self.units()?;
        match self.datatype.as_ref().map_err(Error::clone)? {
            Datatype::ObjectLists { .. } => {
                units.into_iter().map(|unit| heap.addresses(unit)).collect()
            }
            _ => Err(corrupt(format!("attribute `{}` lists no objects", self.name.value))),
        }
    }

    fn space(&self) -> Result<&Space> {
        self.space.as_ref().map_err(Error::clone)
    }

    fn units(&self) -> Result<Vec<&[u8]>> {
        let datatype = self.datatype.as_ref().map_err(Error::clone)?;
        let count = self.space()?.element_count()?;
        let bytes = usize::try_from(count).ok().and_then(|n| n.checked_mul(datatype.bytes()));
        let bytes = bytes.and_then(|bytes| self.bytes.get(..bytes)).ok_or_else(|| {
            let held = self.bytes.len();
            corrupt(format!("it holds {held} bytes, not {count} elements of {}", datatype.bytes()))
        })?;
        Ok(bytes.chunks_exact(datatype.bytes()).collect())
    }

    fn texts(&self, texts: impl Iterator<Item = Text>) -> (AttributeValue, bool) {
        let texts: Vec<Text> = texts.collect();
        let is_latin1 = texts.iter().any(|text| text.is_latin1);
        let mut texts: Vec<String> = texts.into_iter().map(|text| text.value).collect();
        let is_null = self.space.as_ref().is_ok_and(|space| space.kind == DataspaceType::Null);
        let value = match texts.len() {
            // The C library does not tell a text from a list of one text.
            1 => AttributeValue::Text(texts.remove(0)),
            0 if is_null => AttributeValue::Text(String::new()),
            _ => AttributeValue::Texts(texts),
        };
        (value, is_latin1)
    }
}

/// The fields of an attribute message.
struct Parts<'a> {
    version: u8,
    flags: u8,
    name: &'a [u8],
    datatype: &'a [u8],
    space: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Parts<'a> {
    fn cut(cursor: &mut Cursor<'a>) -> hdf5_reader::error::Result<Self> {
        let (version, flags) = (cursor.read_u8()?, cursor.read_u8()?);
        let sizes = [cursor.read_u16_le()?, cursor.read_u16_le()?, cursor.read_u16_le()?];
        if version == 3 {
            // The character set of the name: UTF-8 is tried first, whatever it says.
            cursor.skip(1)?;
        }
        let mut field = |size: u16| {
            let bytes = cursor.read_bytes(usize::from(size))?;
            // Version 1 pads every field to eight bytes.
            let padding = usize::from(size).next_multiple_of(8) - usize::from(size);
            if version == 1 {
                cursor.skip(padding.min(cursor.remaining() as usize))?;
            }
            Ok::<_, hdf5_reader::error::Error>(bytes)
        };
        let (name, datatype, space) = (field(sizes[0])?, field(sizes[1])?, field(sizes[2])?);
        let bytes = cursor.read_bytes(cursor.remaining() as usize)?;
        Ok(Self { version, flags, name, datatype, space, bytes })
    }
}
