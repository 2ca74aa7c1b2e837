//! The state stream of one endpoint, shared by all bundles.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::incremental::Messages;
use crate::proto::fn_api::{STATE, StateGetRequest, StateKey, StateRequest, StateResponse};
use crate::rpc::{Rpc, queue};

const OUTBOUND_ROOM: usize = 64;

/// The state stream of one endpoint.
#[derive(Debug)]
pub(super) struct StatePlane {
    outbound: mpsc::Sender<StateRequest>,
    pending: Arc<Pending>,
    next_id: AtomicU64,
    task: JoinHandle<()>,
}

/// Who waits for the answer to which request.
#[derive(Debug, Default)]
struct Pending(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    answers: BTreeMap<String, oneshot::Sender<StateResponse>>,
    closed: Option<Error>,
}

impl StatePlane {
    /// Opens the stream of an endpoint.
    pub(super) fn open(rpc: Rpc, runtime: &Handle) -> Self {
        let (outbound, messages) = queue(OUTBOUND_ROOM);
        let pending = Arc::new(Pending::default());
        let reader = Arc::clone(&pending);
        let task = runtime.spawn(async move {
            let ended = match rpc.stream::<StateRequest, StateResponse>(STATE, messages).await {
                Ok(mut stream) => loop {
                    match rpc.next(STATE, &mut stream).await {
                        Ok(Some(response)) => reader.answer(response),
                        Ok(None) => break failed("the runner has closed the state stream"),
                        Err(error) => break error,
                    }
                },
                Err(error) => error,
            };
            reader.close(ended);
        });
        Self { outbound, pending, next_id: AtomicU64::new(0), task }
    }

    /// One page of state, and the token of the next, which is empty after the last.
    fn get(
        &self,
        instruction_id: &str,
        key: &StateKey,
        continuation_token: Vec<u8>,
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed).to_string();
        let (sender, answer) = oneshot::channel();
        {
            let mut waiting = self.pending.lock();
            if let Some(error) = &waiting.closed {
                return Err(error.clone());
            }
            waiting.answers.insert(id.clone(), sender);
        }
        let request = StateRequest {
            id,
            instruction_id: instruction_id.to_owned(),
            state_key: Some(key.clone()),
            get: Some(StateGetRequest { continuation_token }),
        };
        let sent = self.outbound.blocking_send(request).ok();
        let answer = sent.and_then(|()| answer.blocking_recv().ok());
        let Some(answer) = answer else {
            let closed = self.pending.lock().closed.clone();
            return Err(closed.unwrap_or_else(|| failed("the state stream has ended")));
        };
        if !answer.error.is_empty() {
            return Err(failed(&format!("the runner has no such state: {}", answer.error)));
        }
        let page = answer.get.unwrap_or_default();
        Ok((page.data, page.continuation_token))
    }

    /// Lets all bundles know that nothing comes any more.
    pub(super) fn close(&self, why: Error) {
        self.pending.close(why);
        self.task.abort();
    }
}

impl Drop for StatePlane {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pending {
    fn answer(&self, response: StateResponse) {
        let waits = self.lock().answers.remove(&response.id);
        if let Some(sender) = waits {
            // A bundle that has failed meanwhile does not wait any more.
            drop(sender.send(response));
        }
    }

    fn close(&self, why: Error) {
        let mut waiting = self.lock();
        waiting.answers.clear();
        waiting.closed.get_or_insert(why);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The values under one key, page by page.
pub(super) struct StatePages<'a> {
    plane: &'a StatePlane,
    instruction_id: &'a str,
    key: StateKey,
    token: Option<Vec<u8>>,
}

impl<'a> StatePages<'a> {
    pub(super) fn new(plane: &'a StatePlane, instruction_id: &'a str, key: StateKey) -> Self {
        Self { plane, instruction_id, key, token: Some(Vec::new()) }
    }
}

impl Messages for StatePages<'_> {
    fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(token) = self.token.take() else { return Ok(None) };
        let (data, next) = self.plane.get(self.instruction_id, &self.key, token)?;
        self.token = (!next.is_empty()).then_some(next);
        Ok(Some(data.into()))
    }
}

fn failed(why: &str) -> Error {
    Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::ResourceExhausted, why)
}
