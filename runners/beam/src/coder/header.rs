//! What stands before a value on the wire: its time, its windows, its pane.

use dataflow::coder::{decode_varint, encode_varint, malformed, take};
use dataflow::error::Result;
use dataflow::time::Timestamp;
use dataflow::window::{PaneInfo, Stamp, Window};

use super::WireCoder;

/// Time, windows and pane of a value that travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The time.
    pub timestamp: Timestamp,
    /// The windows; the value stands in each.
    pub windows: Vec<Window>,
    /// The pane.
    pub pane: PaneInfo,
}

impl Header {
    /// The stamps of the value, one for each window.
    pub fn stamps(&self) -> impl Iterator<Item = Stamp> + '_ {
        let Self { timestamp, pane, .. } = *self;
        self.windows.iter().map(move |&window| Stamp { timestamp, window, pane })
    }
}

/// Takes a time, the windows and the pane off the front of `input`.
///
/// # Errors
/// Too few bytes, a damaged count, or windows of a coder that is not understood.
pub fn decode_header(window: &WireCoder, input: &mut &[u8]) -> Result<Header> {
    let timestamp = decode_timestamp(input)?;
    let count = i32::from_be_bytes(take_array(input, "count of windows")?);
    let count = usize::try_from(count)
        .map_err(|_| malformed("windowed_value", &format!("{count} windows")))?;
    let mut windows = Vec::new();
    for _ in 0..count {
        windows.push(decode_window(window, input)?);
        // Global windows take no bytes, so that a damaged count is not found by their end.
        if *window == WireCoder::GlobalWindow && count > 1 {
            return Err(malformed("windowed_value", &format!("{count} global windows")));
        }
    }
    let pane = Pane::decode(input)?.into();
    Ok(Header { timestamp, windows, pane })
}

/// Appends the header of a value with this stamp.
///
/// # Errors
/// A window that the coder is not of.
pub fn encode_header(window: &WireCoder, stamp: Stamp, out: &mut Vec<u8>) -> Result<()> {
    encode_timestamp(stamp.timestamp, out);
    out.extend_from_slice(&1i32.to_be_bytes());
    encode_window(window, stamp.window, out)?;
    let pane = if stamp.pane == PaneInfo::OnTime { Pane::ON_TIME } else { Pane::NO_FIRING };
    pane.encode(out);
    Ok(())
}

/// Appends a window.
///
/// # Errors
/// A window that the coder is not of.
pub fn encode_window(coder: &WireCoder, window: Window, out: &mut Vec<u8>) -> Result<()> {
    match (coder, window) {
        // Runners have collections in the global window whose elements come out of others.
        (WireCoder::GlobalWindow, _) => Ok(()),
        (WireCoder::IntervalWindow, Window::Interval { start, end }) => {
            encode_timestamp(end, out);
            encode_varint(end.millis().abs_diff(start.millis()), out);
            Ok(())
        }
        (WireCoder::LengthPrefix(inner), window) => {
            let mut bytes = Vec::new();
            encode_window(inner, window, &mut bytes)?;
            encode_varint(bytes.len() as u64, out);
            out.extend_from_slice(&bytes);
            Ok(())
        }
        (WireCoder::CustomWindow(inner), window) => {
            encode_timestamp(window.max_timestamp(), out);
            encode_window(inner, window, out)
        }
        (coder, window) => Err(malformed(coder, &format!("{window} is no window of it"))),
    }
}

/// Takes a window off the front of `input`.
///
/// # Errors
/// Too few bytes, or a coder of windows that is not understood.
pub(super) fn decode_window(coder: &WireCoder, input: &mut &[u8]) -> Result<Window> {
    match coder {
        WireCoder::GlobalWindow => Ok(Window::Global),
        WireCoder::IntervalWindow => {
            let end = decode_timestamp(input)?;
            let span = decode_varint(input)?;
            let start = i64::try_from(span).ok().and_then(|span| end.millis().checked_sub(span));
            let start = start.ok_or_else(|| malformed(coder, &format!("it lasts {span} ms")))?;
            Ok(Window::Interval { start: Timestamp::from_millis(start), end })
        }
        WireCoder::LengthPrefix(inner) => {
            let length = usize::try_from(decode_varint(input)?).unwrap_or(usize::MAX);
            let mut bytes = take(input, length, "window")?;
            decode_window(inner, &mut bytes)
        }
        WireCoder::CustomWindow(inner) => {
            decode_timestamp(input)?;
            decode_window(inner, input)
        }
        other => Err(malformed(other, "it is no coder of windows")),
    }
}

/// Appends a time: the sign bit is flipped, so that earlier ones have lesser bytes.
pub(super) fn encode_timestamp(timestamp: Timestamp, out: &mut Vec<u8>) {
    out.extend_from_slice(&(timestamp.millis() ^ i64::MIN).to_be_bytes());
}

/// Takes a time off the front of `input`.
pub(super) fn decode_timestamp(input: &mut &[u8]) -> Result<Timestamp> {
    let bytes = take_array(input, "timestamp")?;
    Ok(Timestamp::from_millis(i64::from_be_bytes(bytes) ^ i64::MIN))
}

/// Takes so many bytes off the front of `input`.
pub(super) fn take_array<const N: usize>(input: &mut &[u8], what: &str) -> Result<[u8; N]> {
    let Some((bytes, rest)) = input.split_first_chunk::<N>() else {
        let why = format!("{N} bytes are needed, {} left", input.len());
        return Err(malformed(what, &why));
    };
    *input = rest;
    Ok(*bytes)
}

/// Which firing of a trigger a value is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pane {
    /// Whether it is the first.
    pub is_first: bool,
    /// Whether none follows.
    pub is_last: bool,
    /// Against the end of the window.
    pub timing: Timing,
    /// How many came before.
    pub index: i64,
    /// How many that were not early came before; -1 if this one is early.
    pub on_time_index: i64,
}

/// When a trigger has fired, against the end of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Before it.
    Early,
    /// At it.
    OnTime,
    /// After it.
    Late,
    /// No trigger has fired.
    Unknown,
}

const TIMINGS: [Timing; 4] = [Timing::Early, Timing::OnTime, Timing::Late, Timing::Unknown];
/// Nothing follows the first byte.
const FIRST: u8 = 0;
/// An index follows, from which the other one is known.
const ONE_INDEX: u8 = 1;
/// Both indices follow.
const TWO_INDICES: u8 = 2;

impl Pane {
    /// Of no trigger.
    pub const NO_FIRING: Self =
        Self { is_first: true, is_last: true, timing: Timing::Unknown, index: 0, on_time_index: 0 };
    /// Of the default trigger on bounded input.
    pub const ON_TIME: Self = Self { timing: Timing::OnTime, ..Self::NO_FIRING };

    /// Appends the pane in one to 21 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let usual = if self.timing == Timing::Early { -1 } else { self.index };
        let encoding = match (self.index, self.on_time_index) {
            (0, 0) => FIRST,
            (_, on_time) if on_time == usual => ONE_INDEX,
            _ => TWO_INDICES,
        };
        let timing = self.timing as u8;
        let flags = u8::from(self.is_last) << 1 | u8::from(self.is_first);
        out.push(encoding << 4 | timing << 2 | flags);
        if encoding != FIRST {
            encode_varint(self.index as u64, out);
        }
        if encoding == TWO_INDICES {
            encode_varint(self.on_time_index as u64, out);
        }
    }

    /// Takes a pane off the front of `input`.
    ///
    /// # Errors
    /// Too few bytes, or a form that is not known.
    pub fn decode(input: &mut &[u8]) -> Result<Self> {
        let first = take(input, 1, "pane")?[0];
        let timing = TIMINGS[usize::from(first >> 2 & 3)];
        let early = timing == Timing::Early;
        let (index, on_time_index) = match first >> 4 {
            FIRST => (0, 0),
            ONE_INDEX => {
                let index = decode_varint(input)? as i64;
                (index, if early { -1 } else { index })
            }
            TWO_INDICES => (decode_varint(input)? as i64, decode_varint(input)? as i64),
            other => return Err(malformed("pane", &format!("form {other} is not known"))),
        };
        let (is_first, is_last) = (first & 1 == 1, first >> 1 & 1 == 1);
        Ok(Self { is_first, is_last, timing, index, on_time_index })
    }
}

impl From<Pane> for PaneInfo {
    /// What we keep of it: whether it is of a firing.
    fn from(pane: Pane) -> Self {
        if pane.timing == Timing::Unknown { Self::NoFiring } else { Self::OnTime }
    }
}
