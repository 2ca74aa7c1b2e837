//! Object headers: the messages of which a group or a dataset is made.
//!
//! Messages are cut out, not understood: each is decoded where it is needed, so that one that
//! cannot be read costs itself only.

use std::collections::{BTreeSet, VecDeque};

use array::error::Result;
use hdf5_reader::checksum::jenkins_lookup3;
use hdf5_reader::io::Cursor;
use hdf5_reader::messages as message;
use hdf5_reader::messages::shared::{self, SharedMessage};

use super::file::Hdf5;
use super::guard::guarded;
use crate::fault::{corrupt, unsupported};

/// Bytes before the messages of a version 1 header.
const PREFIX_V1_BYTES: usize = 16;
/// No header has more; one that does runs in circles.
const MOST_HEADER_BYTES: u64 = 64 << 20;
/// Committed types refer to headers that do not refer further.
const FLAG_SHARED: u8 = 0x02;

/// The kinds of messages that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Dataspace,
    LinkInfo,
    Datatype,
    OldFill,
    Fill,
    Link,
    ExternalFiles,
    Layout,
    Filters,
    Attribute,
    SymbolTable,
    AttributeInfo,
}

impl Kind {
    fn id(self) -> u16 {
        match self {
            Self::Dataspace => message::MSG_DATASPACE,
            Self::LinkInfo => message::MSG_LINK_INFO,
            Self::Datatype => message::MSG_DATATYPE,
            Self::OldFill => message::MSG_FILL_VALUE_OLD,
            Self::Fill => message::MSG_FILL_VALUE,
            Self::Link => message::MSG_LINK,
            Self::ExternalFiles => message::MSG_EXTERNAL_FILES,
            Self::Layout => message::MSG_DATA_LAYOUT,
            Self::Filters => message::MSG_FILTER_PIPELINE,
            Self::Attribute => message::MSG_ATTRIBUTE,
            Self::SymbolTable => message::MSG_SYMBOL_TABLE,
            Self::AttributeInfo => message::MSG_ATTRIBUTE_INFO,
        }
    }
}

/// The messages of an object.
#[derive(Debug, Default)]
pub(crate) struct Header {
    messages: Vec<Message>,
}

#[derive(Debug)]
struct Message {
    id: u16,
    is_shared: bool,
    /// Order of creation; in version 1 headers and where it is not tracked, order of the header.
    order: u64,
    body: Vec<u8>,
}

impl Header {
    /// Reads the messages of the object at `address`.
    ///
    /// # Errors
    /// A header that is no header, fails its checksum, or continues beyond the file.
    pub(crate) fn read(file: &Hdf5, address: u64) -> Result<Self> {
        let mut walk = Walk { file, header: Self::default(), parts: VecDeque::new(), visited: 0 };
        let signature = file.read(address, 4)?;
        if signature.as_ref() == b"OHDR" {
            walk.version2(address)?;
        } else {
            walk.version1(address)?;
        }
        // The order is that of creation where it is tracked; sorting is stable elsewhere.
        walk.header.messages.sort_by_key(|message| message.order);
        Ok(walk.header)
    }

    /// Whether there is a message of this kind.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.messages.iter().any(|message| message.id == kind.id())
    }

    /// The first message of this kind, followed to where it is if it is shared.
    ///
    /// # Errors
    /// A shared message that cannot be found.
    pub(crate) fn find(&self, file: &Hdf5, kind: Kind) -> Result<Option<Vec<u8>>> {
        self.all(file, kind).next().transpose()
    }

    /// The messages of this kind, in order of creation where that is known.
    pub(crate) fn all(&self, file: &Hdf5, kind: Kind) -> impl Iterator<Item = Result<Vec<u8>>> {
        let found = self.messages.iter().filter(move |message| message.id == kind.id());
        found.map(move |message| match message.is_shared {
            false => Ok(message.body.clone()),
            true => follow(file, kind, &message.body),
        })
    }
}

/// The message that a reference to a shared one stands for.
///
/// # Errors
/// A reference into the table of shared messages, which is not offered, or to an object without
/// such a message.
pub(super) fn follow(file: &Hdf5, kind: Kind, reference: &[u8]) -> Result<Vec<u8>> {
    let parsed = guarded(|| {
        let mut cursor = Cursor::new(reference);
        let (offset, length) = (file.offset_bytes(), file.length_bytes());
        shared::parse(&mut cursor, kind.id(), offset, length, reference.len())
    })?;
    let SharedMessage::SharedInOhdr { address, .. } = parsed else {
        return Err(unsupported("messages in the table of shared messages are not supported"));
    };
    let target = Header::read(file, address)?;
    let found = target.messages.into_iter().find(|m| m.id == kind.id() && !m.is_shared);
    found.map(|message| message.body).ok_or_else(|| {
        corrupt(format!("the object at {address} holds no message that another shares"))
    })
}

struct Walk<'a> {
    file: &'a Hdf5,
    header: Header,
    /// Continuations that are still to be read: address and length.
    parts: VecDeque<(u64, u64)>,
    visited: u64,
}

impl Walk<'_> {
    /// Accounts for the bytes of a header before they are read.
    fn spend(&mut self, bytes: u64) -> Result<usize> {
        self.visited = self.visited.saturating_add(bytes);
        let most = MOST_HEADER_BYTES.min(self.file.bytes.length());
        if self.visited > most {
            let visited = self.visited;
            return Err(corrupt(format!("an object header of {visited} bytes cannot be")));
        }
        Ok(bytes as usize)
    }

    fn version1(&mut self, address: u64) -> Result<()> {
        let prefix = self.file.read(address, PREFIX_V1_BYTES)?;
        let (version, size) = guarded(|| {
            let mut cursor = Cursor::new(&prefix);
            let version = cursor.read_u8()?;
            cursor.skip(7)?;
            Ok((version, cursor.read_u32_le()?))
        })?;
        if version != 1 {
            return Err(corrupt(format!("there is no object header at {address}")));
        }
        self.parts.push_back((address.saturating_add(PREFIX_V1_BYTES as u64), u64::from(size)));
        let mut seen = BTreeSet::new();
        while let Some((address, length)) = self.parts.pop_front() {
            if !seen.insert(address) {
                return Err(corrupt(format!("an object header continues at {address} twice")));
            }
            let length = self.spend(length)?;
            let part = self.file.read(address, length)?;
            self.messages(&part, Envelope::V1)?;
        }
        Ok(())
    }

    fn version2(&mut self, address: u64) -> Result<()> {
        let flags = guarded(|| {
            let fixed = self.file.storage().read_range(address, 6)?;
            let mut cursor = Cursor::new(&fixed);
            cursor.skip(4)?;
            Ok((cursor.read_u8()?, cursor.read_u8()?))
        })?;
        let (2, flags) = flags else {
            return Err(corrupt(format!("object header version {} is not known", flags.0)));
        };
        // Times, then the limits of attribute storage, then the size of the first part.
        let times = if flags & 0x20 != 0 { 16 } else { 0 };
        let limits = if flags & 0x10 != 0 { 4 } else { 0 };
        let width = 1usize << (flags & 0x03);
        let start = 6 + times + limits + width;
        let prefix = self.file.read(address, start)?;
        let size = guarded(|| Cursor::new(&prefix[start - width..]).read_uvar(width))?;
        let envelope = Envelope::V2 { has_order: flags & 0x04 != 0 };
        let whole = self.spend(size.saturating_add(start as u64 + 4))?;
        let first = self.file.read(address, whole)?;
        self.messages(&checked(&first)?[start..], envelope)?;
        let mut seen = BTreeSet::new();
        while let Some((address, length)) = self.parts.pop_front() {
            if !seen.insert(address) {
                return Err(corrupt(format!("an object header continues at {address} twice")));
            }
            let length = self.spend(length)?;
            let part = self.file.read(address, length)?;
            let Some(messages) = checked(&part)?.strip_prefix(b"OCHK") else {
                return Err(corrupt(format!("no object header continues at {address}")));
            };
            self.messages(messages, envelope)?;
        }
        Ok(())
    }

    fn messages(&mut self, part: &[u8], envelope: Envelope) -> Result<()> {
        let mut cursor = Cursor::new(part);
        while cursor.remaining() >= envelope.bytes() {
            let (id, flags, order, body) = guarded(|| envelope.read(&mut cursor))?;
            match id {
                message::MSG_NIL => {}
                message::MSG_CONTINUATION => {
                    let (offset, length) = (self.file.offset_bytes(), self.file.length_bytes());
                    let mut cursor = Cursor::new(body);
                    self.parts.push_back(guarded(|| {
                        Ok((cursor.read_offset(offset)?, cursor.read_length(length)?))
                    })?);
                }
                _ => self.header.messages.push(Message {
                    id,
                    is_shared: flags & FLAG_SHARED != 0,
                    order: order.unwrap_or(0),
                    body: body.to_vec(),
                }),
            }
        }
        Ok(())
    }
}

/// What stands before each message.
#[derive(Debug, Clone, Copy)]
enum Envelope {
    V1,
    V2 { has_order: bool },
}

impl Envelope {
    fn bytes(self) -> u64 {
        match self {
            Self::V1 => 8,
            Self::V2 { has_order } => 4 + 2 * u64::from(has_order),
        }
    }

    fn read<'a>(
        self,
        cursor: &mut Cursor<'a>,
    ) -> hdf5_reader::error::Result<(u16, u8, Option<u64>, &'a [u8])> {
        let (id, size, flags, order) = match self {
            Self::V1 => {
                let (id, size) = (cursor.read_u16_le()?, cursor.read_u16_le()?);
                let flags = cursor.read_u8()?;
                cursor.skip(3)?;
                (id, size, flags, None)
            }
            Self::V2 { has_order } => {
                let (id, size) = (u16::from(cursor.read_u8()?), cursor.read_u16_le()?);
                let flags = cursor.read_u8()?;
                let order = if has_order { Some(u64::from(cursor.read_u16_le()?)) } else { None };
                (id, size, flags, order)
            }
        };
        Ok((id, flags, order, cursor.read_bytes(usize::from(size))?))
    }
}

/// A part of a version 2 header without the checksum at its end, which must be right.
fn checked(part: &[u8]) -> Result<&[u8]> {
    let (body, sum) = part
        .split_last_chunk::<4>()
        .ok_or_else(|| corrupt("a part of an object header is too short"))?;
    let (stored, found) = (u32::from_le_bytes(*sum), jenkins_lookup3(body));
    if stored != found {
        return Err(corrupt(format!("an object header has checksum {found:#x}, not {stored:#x}")));
    }
    Ok(body)
}
