//! Sends elements through their coder within a stage, for runs that look for mistakes.
//!
//! What a runner may do at any place, it does here at every place: encode an element, decode it
//! elsewhere, and give it to several steps. So what breaks on some runner breaks in a test.

use crate::coder::{Coder, Context, Preview, decode_all};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::{Env, NodeId};
use crate::receiver::{Batch, Receiver};

/// Encodes and decodes every element before it goes on, and looks at it again afterwards.
pub(super) struct Checked<T: Element> {
    coder: T::Coder,
    next: Box<dyn Receiver<T>>,
    readers: Vec<NodeId>,
    env: Env,
}

impl<T: Element> Checked<T> {
    pub(super) fn new(next: Box<dyn Receiver<T>>, readers: Vec<NodeId>, env: &Env) -> Self {
        Self { coder: T::coder(), next, readers, env: env.clone() }
    }

    /// What another process would get of `element`, and its encoding.
    fn travelled(&self, element: &T) -> Result<(T, Vec<u8>)> {
        let bytes = self.encode(element, Context::Outer)?;
        if self.encode(element, Context::Outer)? != bytes {
            return Err(self.broken(element, "encodes one element in two ways"));
        }
        let nested = self.encode(element, Context::Nested)?;
        let mut rest = &nested[..];
        self.coder.decode(Context::Nested, &mut rest)?;
        if !rest.is_empty() {
            return Err(self.broken(element, "does not know where a nested encoding ends"));
        }
        let mut head = Vec::new();
        let tail = self.coder.encode_shared(element, &mut head)?;
        if [&head[..], &tail[..]].concat() != bytes {
            return Err(self.broken(element, "encodes another element when its tail is shared"));
        }
        let decoded = decode_all(&self.coder, &bytes)?;
        if self.coder.is_deterministic() && self.encode(&decoded, Context::Outer)? != bytes {
            return Err(self.broken(element, "does not decode what was encoded"));
        }
        Ok((self.coder.decode_shared(&head, tail)?, bytes))
    }

    // Once for each type, not once for each of its many calls: every element type has this code.
    #[inline(never)]
    fn encode(&self, element: &T, context: Context) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.coder.encode(element, context, &mut bytes)?;
        Ok(bytes)
    }

    fn broken(&self, element: &T, why: &str) -> Error {
        let message = format!("the coder {} {why}", self.coder.kind());
        Error::new(ErrorCode::CODER, ErrorKind::InvalidInput, message)
            .at("element", preview_of::<T>(&self.coder, element))
            .mend("equal elements must have equal encodings, and an encoding must decode to them")
    }

    fn changed(&self, before: &[u8], after: &T) -> Error {
        let names = self.readers.iter().map(|&id| self.env.step(id).name.as_str());
        let names: Vec<&str> = names.collect();
        let shown = decode_all(&self.coder, before)
            .map(|element| preview_of::<T>(&self.coder, &element))
            .unwrap_or_default();
        let message = "an element was changed that other steps share";
        Error::new(ErrorCode::USER_ERROR, ErrorKind::User, message)
            .at("element", shown)
            .at("became", preview_of::<T>(&self.coder, after))
            .at("readers", names.join(", "))
            .mend("change a copy: what lies behind an `Arc`, a lock or a cell is shared")
    }
}

fn preview_of<T: Element>(coder: &T::Coder, element: &T) -> String {
    let mut preview = Preview::default();
    coder.preview(element, &mut preview);
    preview.finish()
}

impl<T: Element> Receiver<T> for Checked<T> {
    fn push(&mut self, batch: &mut Batch<T>) -> Result<()> {
        let mut encodings = Vec::with_capacity(batch.values.len());
        for element in &mut batch.values {
            let (decoded, bytes) = self.travelled(element)?;
            *element = decoded;
            encodings.push(bytes);
        }
        let kept = batch.values.clone();
        self.next.push(batch)?;
        for (bytes, element) in encodings.iter().zip(&kept) {
            // Without a deterministic coder the decoded element has another encoding than the first.
            let is_comparable = self.coder.is_deterministic();
            if is_comparable && self.encode(element, Context::Outer)? != *bytes {
                return Err(self.changed(bytes, element));
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.next.finish()
    }
}
