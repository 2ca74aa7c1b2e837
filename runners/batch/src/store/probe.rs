//! Whether a store keeps the one promise that correctness needs.

use std::thread;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::random;
use crate::store::RunStore;

/// Writers of one key at once.
const WRITERS: usize = 8;

/// Creates one object from many threads at once, and refuses a store where that does not give
/// exactly one winner.
///
/// Cost: a create and at most one read for each writer, and a delete.
///
/// # Errors
/// E401 for a store that cannot create once; what it fails with otherwise.
pub fn probe(store: &RunStore) -> Result<()> {
    let key = format!("probe/{}", random::hex());
    let create = |writer: usize| store.create(&key, &writer);
    let answers: Vec<Result<bool>> = thread::scope(|scope| {
        let writers = (0..WRITERS).map(|writer| scope.spawn(move || create(writer)));
        let writers: Vec<_> = writers.collect();
        let broken = || Err(Error::internal("a thread of the probe panicked"));
        writers.into_iter().map(|writer| writer.join().unwrap_or_else(|_| broken())).collect()
    });
    let kept: Option<usize> = store.read(&key)?;
    store.delete(&key)?;
    let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
    let winners: Vec<usize> = (0..WRITERS).filter(|&writer| answers[writer]).collect();
    if let [winner] = winners[..]
        && kept == Some(winner)
    {
        return Ok(());
    }
    let message = format!(
        "the store does not create objects once: {} of {WRITERS} writers of one key were told that it \
         is theirs",
        winners.len()
    );
    Err(Error::new(ErrorCode::STORE_FAILED, ErrorKind::Unsupported, message)
        .at("store", store.root())
        .mend("use S3 itself, or a server that honours `If-None-Match: *` on PUT"))
}
