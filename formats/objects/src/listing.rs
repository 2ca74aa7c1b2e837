//! Lists of objects, whose answers may break off in the middle.
//!
//! `object_store` repeats requests, but not what comes after the head of an answer: a list is asked
//! for again as a whole. What it has repeated in vain is not repeated here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dataflow::error::Result;
use futures::{StreamExt, TryStreamExt};
use object_store::{ListResult, ObjectMeta, ObjectStore};

use crate::failure::{failed, has_broken_off};
use crate::requests::Object;

/// The wait before the first repetition; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// All objects below a folder, in no order.
pub(crate) async fn list(folder: &Object, retry_count: usize) -> Result<Vec<ObjectMeta>> {
    let ask = || async move {
        let _permit = folder.client.permit().await;
        folder.client.store.list(Some(&folder.path)).try_collect().await
    };
    let listed = repeated(retry_count, ask).await;
    listed.map_err(|error| failed("list", &folder.shown, &error))
}

/// Folders and objects directly below a folder, in no order.
pub(crate) async fn list_folder(folder: &Object, retry_count: usize) -> Result<ListResult> {
    let ask = || async move {
        let _permit = folder.client.permit().await;
        folder.client.store.list_with_delimiter(Some(&folder.path)).await
    };
    let listed = repeated(retry_count, ask).await;
    listed.map_err(|error| failed("list", &folder.shown, &error))
}

/// Deletes all objects below a folder; how many there were.
pub(crate) async fn delete_all(folder: &Object, retry_count: usize) -> Result<u64> {
    let deleted_count = &AtomicU64::new(0);
    let ask = || async move {
        let _permit = folder.client.permit().await;
        let store = &folder.client.store;
        let found = store.list(Some(&folder.path)).map_ok(|meta| meta.location).boxed();
        let deleted = store.delete_stream(found).try_for_each(async |_| {
            deleted_count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        deleted.await
    };
    let deleted = repeated(retry_count, ask).await;
    deleted.map_err(|error| failed("delete", &folder.shown, &error))?;
    Ok(deleted_count.load(Ordering::Relaxed))
}

/// Asks again, at the most so often, while answers break off.
async fn repeated<T, F: Future<Output = object_store::Result<T>>>(
    retry_count: usize,
    ask: impl Fn() -> F,
) -> object_store::Result<T> {
    let mut wait = FIRST_WAIT;
    for _ in 0..retry_count {
        match ask().await {
            Err(error) if has_broken_off(&error) => {}
            done => return done,
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    ask().await
}
