//! Windows and stamps as bytes, between our own stages.
//!
//! Bytes compare as what they encode, so that records of a key ascend by window, and within it by
//! time. The global window is the encoding of an interval that cannot be.

use crate::coder::{Coder, CoderKind, Context, Preview, put_prefixed, take, take_prefixed};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::time::Timestamp;
use crate::window::{PaneInfo, Stamp, Window};

/// Bytes of an encoded window.
pub const WINDOW_BYTES: usize = 16;
/// Bytes of an encoded stamp.
pub const STAMP_BYTES: usize = WINDOW_BYTES + TIME_BYTES + 1;

const GLOBAL: [u8; WINDOW_BYTES] = [0; WINDOW_BYTES];

/// Bytes of an encoded timestamp.
pub(crate) const TIME_BYTES: usize = 8;

/// The sign bit is flipped, so that negative times come first.
fn time_bytes(timestamp: Timestamp) -> [u8; 8] {
    (timestamp.millis() ^ i64::MIN).to_be_bytes()
}

pub(crate) fn encode_time(timestamp: Timestamp, out: &mut Vec<u8>) {
    out.extend_from_slice(&time_bytes(timestamp));
}

/// The timestamp of [`TIME_BYTES`] bytes.
pub(crate) fn decode_time(bytes: &[u8]) -> Timestamp {
    let bytes = bytes.try_into().expect("callers take as many bytes");
    Timestamp::from_millis(i64::from_be_bytes(bytes) ^ i64::MIN)
}

pub(crate) fn encode_window(window: Window, out: &mut Vec<u8>) {
    match window {
        Window::Global => out.extend_from_slice(&GLOBAL),
        Window::Interval { start, end } => {
            encode_time(start, out);
            encode_time(end, out);
        }
    }
}

/// Takes a window off the front of `input`.
///
/// # Errors
/// Too few bytes.
pub fn decode_window(input: &mut &[u8]) -> Result<Window> {
    let bytes = take(input, WINDOW_BYTES, "window")?;
    if bytes == GLOBAL {
        return Ok(Window::Global);
    }
    Ok(Window::Interval { start: decode_time(&bytes[..8]), end: decode_time(&bytes[8..]) })
}

/// Appends a stamp.
pub fn encode_stamp(stamp: Stamp, out: &mut Vec<u8>) {
    encode_window(stamp.window, out);
    encode_time(stamp.timestamp, out);
    out.push(match stamp.pane {
        PaneInfo::NoFiring => 0,
        PaneInfo::OnTime => 1,
    });
}

/// Takes a stamp off the front of `input`.
///
/// # Errors
/// Too few bytes, or a pane that is not known.
pub fn decode_stamp(input: &mut &[u8]) -> Result<Stamp> {
    let window = decode_window(input)?;
    let timestamp = decode_time(take(input, TIME_BYTES, "timestamp")?);
    let pane = match take(input, 1, "pane")? {
        [0] => PaneInfo::NoFiring,
        [1] => PaneInfo::OnTime,
        other => {
            let message = format!("{other:?} is no pane");
            return Err(Error::new(ErrorCode::CODER, ErrorKind::Corrupt, message));
        }
    };
    Ok(Stamp { timestamp, window, pane })
}

/// Encodes a [`Window`] in sixteen bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowCoder;

impl Element for Window {
    type Coder = WindowCoder;

    fn coder() -> WindowCoder {
        WindowCoder
    }
}

impl Coder<Window> for WindowCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque("window".to_owned())
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, window: &Window, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            encode_window(*window, out);
            Ok(())
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Window> {
        decode_window(&mut take_prefixed(context, input, "window")?)
    }

    fn preview(&self, window: &Window, out: &mut Preview) {
        out.push_display(window);
    }
}

/// Encodes a [`Timestamp`] in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampCoder;

impl Element for Timestamp {
    type Coder = TimestampCoder;

    fn coder() -> TimestampCoder {
        TimestampCoder
    }
}

impl Coder<Timestamp> for TimestampCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque("timestamp".to_owned())
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, timestamp: &Timestamp, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            encode_time(*timestamp, out);
            Ok(())
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Timestamp> {
        let mut bytes = take_prefixed(context, input, "timestamp")?;
        Ok(decode_time(take(&mut bytes, TIME_BYTES, "timestamp")?))
    }

    fn preview(&self, timestamp: &Timestamp, out: &mut Preview) {
        out.push_display(timestamp);
    }
}
