//! Finds the messages of a file by their lengths, and what is between them.

use array::error::{Error, ErrorKind, Result};

use super::edition1;
use super::edition2;
use super::grids::Grids;
use super::window::Window;
use crate::fault::{at_message, corrupt, of_the_file, unsupported};
use crate::field::Field;
use crate::grid::Grid;
use crate::sniff::{END, MOST_PADDING_BYTES, SIGNATURE, is_start};
use objects::FileBytes;

/// Bytes that are searched at once for the next message.
const SEARCH_BYTES: u64 = 1 << 20;
/// Bytes by which a message is told: its signature, its edition.
const START_BYTES: u64 = 8;

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// In the order of the file.
    pub(crate) fields: Vec<Field>,
    /// The grids of the fields.
    pub(crate) grids: Vec<Grid>,
    /// Broken messages that were passed over.
    pub(crate) broken: Vec<(u64, Error)>,
    /// Whole messages with features that this reader does not offer.
    pub(crate) unread: Vec<(u64, Error)>,
    /// The number of messages, broken ones not counted.
    pub(crate) message_count: u64,
}

/// Reads the headers of all messages; nothing is read of their values.
///
/// Messages are found one after the other, as each tells where the next begins: a request for each
/// that is larger than 16 KiB. `refuse_damage` makes the first broken one an error.
///
/// # Errors
/// No message at all, or a broken one.
pub(crate) fn scan(bytes: &FileBytes, refuse_damage: bool) -> Result<Scanned> {
    let mut scan = Scan {
        window: Window::new(bytes),
        grids: Grids::default(),
        found: Scanned::default(),
        refuse_damage,
    };
    let mut at = 0;
    while let Some(start) = scan.next_start(at)? {
        at = match of_the_file(scan.message(start))? {
            Ok(end) => end,
            Err(error) => {
                scan.note_broken(start, error)?;
                scan.search(start + SIGNATURE.len() as u64)?.unwrap_or(bytes.length())
            }
        };
    }
    let Scan { grids, mut found, .. } = scan;
    if found.message_count == 0 && found.broken.is_empty() {
        let length = bytes.length();
        return Err(corrupt(format!("there is no GRIB message in a file of {length} bytes")));
    }
    found.grids = grids.into_all();
    Ok(found)
}

struct Scan<'a> {
    window: Window<'a>,
    grids: Grids,
    found: Scanned,
    refuse_damage: bool,
}

impl Scan<'_> {
    /// Where the next message begins, at this place or behind padding.
    fn next_start(&mut self, at: u64) -> Result<Option<u64>> {
        let length = self.window.file_length();
        if at + SIGNATURE.len() as u64 <= length {
            let head = self.window.read(at..(at + START_BYTES).min(length))?;
            // The edition is not asked here, so that one that nobody knows can be named.
            if head.starts_with(&SIGNATURE) {
                return Ok(Some(at));
            }
        }
        let next = self.search(at)?;
        let end = next.unwrap_or(length);
        if end - at > MOST_PADDING_BYTES && !self.is_blank(at, end)? {
            let count = end - at;
            self.note_broken(at, corrupt(format!("{count} bytes belong to no message")))?;
        }
        Ok(next)
    }

    /// Where a message begins next, wherever that is.
    fn search(&mut self, from: u64) -> Result<Option<u64>> {
        let length = self.window.file_length();
        let mut at = from;
        while at + START_BYTES <= length {
            let end = (at + SEARCH_BYTES).min(length);
            let block = self.window.read(at..end)?;
            let found = block.windows(START_BYTES as usize).position(is_start);
            if let Some(place) = found {
                return Ok(Some(at + place as u64));
            }
            at = end - START_BYTES + 1;
        }
        Ok(None)
    }

    fn is_blank(&mut self, start: u64, end: u64) -> Result<bool> {
        let mut at = start;
        while at < end {
            let block = self.window.read(at..(at + SEARCH_BYTES).min(end))?;
            if block.iter().any(|byte| !matches!(byte, 0 | b' ' | b'\r' | b'\n')) {
                return Ok(false);
            }
            at += block.len() as u64;
        }
        Ok(true)
    }

    fn note_broken(&mut self, start: u64, error: Error) -> Result<()> {
        let error = at_message(error, start);
        if self.refuse_damage {
            return Err(error);
        }
        self.found.broken.push((start, error));
        Ok(())
    }

    /// Reads the headers of the message that begins here; where it ends.
    fn message(&mut self, start: u64) -> Result<u64> {
        let length = self.window.file_length();
        let head = self.window.read(start..(start + 16).min(length))?;
        let edition = head.get(7).copied();
        let told = match (edition, head.len()) {
            (Some(1), _) => edition1::length(&mut self.window, start)?,
            (Some(2), 16) => head[8..].iter().fold(0u64, |n, &byte| n << 8 | u64::from(byte)),
            (Some(other @ (0 | 3..)), _) => {
                let message = format!("edition {other} of GRIB; there are editions 1 and 2");
                return Err(corrupt(message));
            }
            _ => return Err(corrupt("the file ends inside of the first section of a message")),
        };
        let end = start.checked_add(told).filter(|end| *end <= length).ok_or_else(|| {
            let left = length - start;
            corrupt(format!("the message has {told} bytes by its header, the file {left} more"))
        })?;
        if told < 20 {
            return Err(corrupt(format!("the message has {told} bytes by its header")));
        }
        self.window.expect_messages_of(told);
        // Before the headers are left behind.
        let fields = match edition {
            Some(1) => {
                let field = edition1::parse(&mut self.window, &mut self.grids, start, end);
                vec![of_the_file(field)?]
            }
            _ => edition2::parse(&mut self.window, &mut self.grids, start, end)?,
        };
        if *self.window.read(end - END.len() as u64..end)? != END {
            let message = format!("the message does not end where its header says, at byte {end}");
            return Err(corrupt(message));
        }
        self.keep(start, fields)?;
        Ok(end)
    }

    fn keep(&mut self, start: u64, fields: Vec<Result<Field>>) -> Result<()> {
        self.found.message_count += 1;
        for field in fields {
            match field {
                Ok(field) => self.found.fields.push(field),
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    self.found.unread.push((start, at_message(error, start)));
                }
                Err(error) => self.note_broken(start, error)?,
            }
        }
        Ok(())
    }
}

/// Refuses packed values that are fewer than their count and width say.
///
/// # Errors
/// Fewer bytes, or integers that are too wide.
pub(super) fn check_length(count: u64, width: u32, bytes: u64) -> Result<()> {
    if width > 32 {
        return Err(unsupported(format!("integers of {width} bits")));
    }
    let bits = count.saturating_mul(u64::from(width));
    if bits.div_ceil(8) > bytes {
        let message = format!("{count} values of {width} bits in {bytes} bytes");
        return Err(corrupt(message));
    }
    Ok(())
}
