//! The short text by which a user recognises a value in an error.

use std::fmt::{self, Write as _};
use std::ops::Range;

/// A text of at most [`Preview::LIMIT_BYTES`], cut with an ellipsis.
#[derive(Debug, Default)]
pub struct Preview {
    text: String,
    is_cut: bool,
    /// Where in the text the key of a pair stands.
    key: Option<Range<usize>>,
}

impl Preview {
    /// The most that a preview holds, without the ellipsis.
    pub const LIMIT_BYTES: usize = 512;

    /// Whether more text would not be kept.
    pub fn is_full(&self) -> bool {
        self.is_cut
    }

    /// Appends `text` as far as it fits.
    pub fn push_str(&mut self, text: &str) {
        let room = Self::LIMIT_BYTES - self.text.len();
        if !self.is_cut && text.len() <= room {
            self.text.push_str(text);
        } else if !self.is_cut {
            let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
            self.text.push_str(&text[..end]);
            self.is_cut = true;
        }
    }

    /// Appends `text` in quotes, with escapes.
    pub fn push_quoted(&mut self, text: &str) {
        // Escaping makes text longer, never shorter: no more than the limit is looked at.
        let head: String = text.chars().take(Self::LIMIT_BYTES).collect();
        self.push_str(&format!("{head:?}"));
    }

    /// Appends bytes: as text where they are printable, else as hexadecimal digits.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        let head = &bytes[..bytes.len().min(Self::LIMIT_BYTES)];
        match str::from_utf8(head) {
            Ok(text) if !text.contains(|c: char| c.is_control()) => self.push_quoted(text),
            _ => {
                self.push_str("0x");
                for byte in head.iter().take(32) {
                    self.push_display(&format_args!("{byte:02x}"));
                }
                self.push_display(&format_args!(" ({} bytes)", bytes.len()));
            }
        }
    }

    /// Appends what `value` displays.
    pub fn push_display(&mut self, value: &dyn fmt::Display) {
        struct Into<'a>(&'a mut Preview);
        impl fmt::Write for Into<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.push_str(text);
                Ok(())
            }
        }
        let written = write!(Into(self), "{value}");
        debug_assert!(written.is_ok(), "appending to a preview cannot fail");
    }

    /// Appends the key of a pair; that of the outermost pair is known afterwards.
    pub fn push_key(&mut self, push: impl FnOnce(&mut Self)) {
        let start = self.text.len();
        // Before the key of the outermost pair there is nothing but its bracket.
        let is_outermost = start <= 1;
        push(self);
        if is_outermost {
            self.key = Some(start..self.text.len());
        }
    }

    /// The key, if the value is a pair.
    pub fn key(&self) -> Option<&str> {
        self.key.clone().map(|key| &self.text[key])
    }

    /// The text, with an ellipsis where it was cut.
    pub fn finish(mut self) -> String {
        if self.is_cut {
            self.text.push('…');
        }
        self.text
    }
}
