//! The data stream of one endpoint, shared by all bundles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::memory::{MemoryBudget, Reservation};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::incremental::Messages;
use crate::proto::fn_api::{DATA, Data, Elements};
use crate::rpc::{Rpc, queue};

/// Messages on their way out: whoever makes more waits.
const OUTBOUND_ROOM: usize = 16;
/// Kibibytes that may wait for a bundle that has not begun, or has no more of the budget.
const EARLY_KIB: u32 = 1 << 10;
/// Kibibytes that may wait for one bundle before the stream waits for it, where the budget has them.
const INBOUND_KIB: u32 = 64 << 10;
/// What part of the budget may wait for one bundle.
const INBOUND_PART: u64 = 16;
/// Bundles that have ended and are remembered, so that what still comes for them is dropped.
const ENDED_LIMIT: usize = 10_000;

/// The data stream of one endpoint.
#[derive(Debug)]
pub(super) struct DataPlane {
    url: String,
    outbound: mpsc::Sender<Elements>,
    inbound: Arc<Inbound>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Inbound(Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    open: BTreeMap<String, Queue>,
    ended: BTreeSet<String>,
    order: VecDeque<String>,
    /// Why nothing comes any more.
    closed: Option<Error>,
}

/// What waits for one bundle, which may not have begun.
#[derive(Debug)]
struct Queue {
    sender: mpsc::UnboundedSender<Chunk>,
    receiver: Option<mpsc::UnboundedReceiver<Chunk>>,
    room: Arc<Semaphore>,
    room_kib: u32,
}

impl Default for Queue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(EARLY_KIB as usize));
        Self { sender, receiver: Some(receiver), room, room_kib: EARLY_KIB }
    }
}

impl Queue {
    /// Lets more wait, as the budget allows.
    fn widen(&mut self, budget: &MemoryBudget) -> Reservation {
        let mut granted = budget.hold();
        let part_kib = budget.limit_bytes() / INBOUND_PART / 1024;
        let room_kib = u32::try_from(part_kib).map_or(INBOUND_KIB, |part| part.min(INBOUND_KIB));
        if room_kib > EARLY_KIB && granted.try_grow(u64::from(room_kib) * 1024) {
            self.room.add_permits((room_kib - EARLY_KIB) as usize);
            self.room_kib = room_kib;
        }
        granted
    }
}

/// A message for one source of one bundle.
#[derive(Debug)]
struct Chunk {
    transform_id: String,
    data: Bytes,
    is_last: bool,
    /// Given back when it was read.
    _room: OwnedSemaphorePermit,
}

impl DataPlane {
    /// Opens the stream of an endpoint.
    pub(super) fn open(rpc: Rpc, url: &str, runtime: &Handle) -> Self {
        let (outbound, messages) = queue(OUTBOUND_ROOM);
        let inbound = Arc::new(Inbound::default());
        let reader = Arc::clone(&inbound);
        let task = runtime.spawn(async move {
            let ended = match rpc.stream::<Elements, Elements>(DATA, messages).await {
                Ok(mut stream) => loop {
                    match rpc.next(DATA, &mut stream).await {
                        Ok(Some(elements)) => reader.deal(elements).await,
                        Ok(None) => break closed("the runner has closed the data stream"),
                        Err(error) => break error,
                    }
                },
                Err(error) => error,
            };
            reader.close(ended);
        });
        Self { url: url.to_owned(), outbound, inbound, task }
    }

    /// Sends a message of a sink; waits while many are on their way.
    ///
    /// # Errors
    /// A stream that has ended.
    pub(super) fn send(
        &self,
        instruction_id: &str,
        transform_id: &str,
        data: Vec<u8>,
        is_last: bool,
    ) -> Result<()> {
        let data = Data {
            instruction_id: instruction_id.to_owned(),
            transform_id: transform_id.to_owned(),
            data: data.into(),
            is_last,
        };
        let sent = self.outbound.blocking_send(Elements { data: vec![data], timers: Vec::new() });
        sent.map_err(|_| {
            let closed = self.inbound.lock().closed.clone();
            closed.unwrap_or_else(|| closed_stream().at("endpoint", &self.url))
        })
    }

    /// What comes for an instruction, by the transforms of its sources. What waits is of this budget.
    ///
    /// # Errors
    /// A stream that has ended, or an instruction that runs already.
    pub(super) fn receive(&self, instruction_id: &str, budget: &MemoryBudget) -> Result<Inlet> {
        Inbound::receive(&self.inbound, instruction_id, budget)
    }

    /// Lets all bundles know that nothing comes any more.
    pub(super) fn close(&self, why: Error) {
        self.inbound.close(why);
        self.task.abort();
    }

    /// Drops what still comes for an instruction.
    pub(super) fn end(&self, instruction_id: &str) {
        let mut queues = self.inbound.lock();
        if let Some(queue) = queues.open.remove(instruction_id) {
            queue.room.close();
        }
        if queues.ended.insert(instruction_id.to_owned()) {
            queues.order.push_back(instruction_id.to_owned());
        }
        while queues.order.len() > ENDED_LIMIT {
            if let Some(oldest) = queues.order.pop_front() {
                queues.ended.remove(&oldest);
            }
        }
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inbound {
    fn receive(inbound: &Arc<Self>, instruction_id: &str, budget: &MemoryBudget) -> Result<Inlet> {
        let mut queues = inbound.lock();
        if let Some(error) = &queues.closed {
            return Err(error.clone());
        }
        let queue = queues.open.entry(instruction_id.to_owned()).or_default();
        let receiver = queue.receiver.take();
        let receiver = receiver.ok_or_else(|| closed("an instruction came twice"))?;
        let granted = queue.widen(budget);
        let inbound = Arc::clone(inbound);
        Ok(Inlet { receiver, inbound, first: None, waiting: BTreeMap::new(), _granted: granted })
    }

    /// Hands messages to the bundles that they are for, before these begin or while they run.
    async fn deal(&self, elements: Elements) {
        for Data { instruction_id, transform_id, data, is_last } in elements.data {
            let Some((sender, room, room_kib)) = self.queue_of(&instruction_id) else { continue };
            // One that is larger than the room has it for itself.
            let kib = u32::try_from(data.len() / 1024 + 1).map_or(room_kib, |it| it.min(room_kib));
            // It is closed when the bundle ends, and what comes then is for nobody.
            let Ok(room) = room.acquire_many_owned(kib).await else { continue };
            let chunk = Chunk { transform_id, data, is_last, _room: room };
            // A bundle that has ended meanwhile reads no more.
            drop(sender.send(chunk));
        }
    }

    fn queue_of(&self, id: &str) -> Option<(mpsc::UnboundedSender<Chunk>, Arc<Semaphore>, u32)> {
        let mut queues = self.lock();
        if queues.ended.contains(id) {
            return None;
        }
        let queue = queues.open.entry(id.to_owned()).or_default();
        Some((queue.sender.clone(), Arc::clone(&queue.room), queue.room_kib))
    }

    /// Lets all bundles know that nothing comes any more.
    fn close(&self, why: Error) {
        let mut queues = self.lock();
        queues.open.clear();
        queues.closed.get_or_insert(why);
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes for one bundle.
#[derive(Debug)]
pub(super) struct Inlet {
    receiver: mpsc::UnboundedReceiver<Chunk>,
    inbound: Arc<Inbound>,
    /// What came before it was asked for.
    first: Option<Chunk>,
    /// What came for sources that are read later.
    waiting: BTreeMap<String, VecDeque<(Bytes, bool)>>,
    _granted: Reservation,
}

impl Inlet {
    /// The next message of a source; `None` after its last one.
    fn next(&mut self, transform_id: &str, is_only: bool) -> Result<(Bytes, bool)> {
        if let Some(message) = self.waiting.get_mut(transform_id).and_then(VecDeque::pop_front) {
            return Ok(message);
        }
        loop {
            let chunk = match self.first.take() {
                Some(chunk) => chunk,
                None => self.receive()?,
            };
            let message = (chunk.data, chunk.is_last);
            // Runners name the source, or what reads it: where there is one source, it is meant.
            if is_only || chunk.transform_id == transform_id {
                return Ok(message);
            }
            self.waiting.entry(chunk.transform_id).or_default().push_back(message);
        }
    }

    /// Waits until the runner has sent anything, be it that nothing comes.
    ///
    /// # Errors
    /// A stream that has ended.
    pub(super) fn wait(&mut self) -> Result<()> {
        if self.first.is_none() && self.waiting.is_empty() {
            self.first = Some(self.receive()?);
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Chunk> {
        let chunk = self.receiver.blocking_recv();
        chunk.ok_or_else(|| self.inbound.lock().closed.clone().unwrap_or_else(closed_stream))
    }
}

/// The messages of one source of a bundle.
pub(super) struct SourceMessages {
    pub(super) inlet: Arc<Mutex<Inlet>>,
    pub(super) transform_id: String,
    pub(super) is_only: bool,
    pub(super) is_over: bool,
}

impl Messages for SourceMessages {
    fn next(&mut self) -> Result<Option<Bytes>> {
        if self.is_over {
            return Ok(None);
        }
        let mut inlet = lock(&self.inlet);
        let (data, is_last) = inlet.next(&self.transform_id, self.is_only)?;
        self.is_over = is_last;
        Ok(Some(data).filter(|data| !data.is_empty() || !is_last))
    }
}

/// What comes for a bundle, whoever else reads it.
pub(super) fn lock(inlet: &Mutex<Inlet>) -> MutexGuard<'_, Inlet> {
    inlet.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed_stream() -> Error {
    closed("the data stream has ended")
}

fn closed(why: &str) -> Error {
    Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::Cancelled, why)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const MESSAGE_BYTES: usize = 1 << 20;

    fn messages(count: usize) -> Elements {
        let message = || Data {
            instruction_id: "bundle".to_owned(),
            transform_id: "source".to_owned(),
            data: vec![7; MESSAGE_BYTES - 1].into(),
            is_last: false,
        };
        Elements { data: (0..count).map(|_| message()).collect(), timers: Vec::new() }
    }

    #[test]
    fn as_much_waits_for_a_bundle_as_its_budget_grants() {
        let inbound = Arc::new(Inbound::default());
        let budget = MemoryBudget::new(3 * INBOUND_PART * MESSAGE_BYTES as u64, 0);
        let mut dealing = std::pin::pin!(inbound.deal(messages(9)));
        assert!(
            dealing.as_mut().now_or_never().is_none(),
            "one message waits before the bundle begins"
        );
        let mut inlet = Inbound::receive(&inbound, "bundle", &budget).expect("it begins");
        assert_eq!(budget.peak_bytes(), 3 * MESSAGE_BYTES as u64);
        assert!(dealing.as_mut().now_or_never().is_none());
        assert_eq!(inlet.receiver.len(), 3);
        drop(inlet.next("source", true).expect("a message"));
        assert!(dealing.as_mut().now_or_never().is_none());
        assert_eq!(inlet.receiver.len(), 3, "what was read makes room for one more");
        drop(inlet);
        assert!(budget.try_start(budget.limit_bytes()).is_some(), "all is given back");
    }

    #[test]
    fn one_message_waits_where_the_budget_has_no_more() {
        let inbound = Arc::new(Inbound::default());
        let budget = MemoryBudget::new(3 * INBOUND_PART * MESSAGE_BYTES as u64, 0);
        let _all = budget.try_start(budget.limit_bytes()).expect("nothing is in use");
        let mut dealing = std::pin::pin!(inbound.deal(messages(3)));
        let mut inlet = Inbound::receive(&inbound, "bundle", &budget).expect("it begins");
        for _ in 0..2 {
            assert!(dealing.as_mut().now_or_never().is_none());
            assert_eq!(inlet.receiver.len(), 1);
            drop(inlet.next("source", true).expect("a message"));
        }
        assert!(dealing.as_mut().now_or_never().is_some());
    }
}
