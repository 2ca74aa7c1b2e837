//! What the processes of a job on a runner of Beam share, as objects in the folder of their run.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use ::beam::SharedStore;
use bytes::Bytes;
use dataflow::blob::{BlobStore, FetchedBlobs};
use dataflow::error::Result;
use objects::{Location, Objects, Pending, StoreOptions};

/// The folder of payloads that go around the shuffle.
const PAYLOADS: &str = "payloads";

/// A folder of the run.
#[derive(Debug, Clone)]
pub(super) struct RunShare {
    objects: Objects,
}

impl RunShare {
    pub(super) fn open(place: &Location, store: &StoreOptions) -> Result<Self> {
        Ok(Self { objects: Objects::open(place, store)? })
    }
}

impl SharedStore for RunShare {
    fn put(&self, name: &str, body: Bytes) -> Result<()> {
        self.objects.put(name, body).wait()
    }

    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let mut names: Vec<String> =
            self.objects.list(&format!("{folder}/"))?.into_iter().map(|it| it.key).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn get(&self, name: &str) -> Result<Bytes> {
        self.objects.get(name)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.objects.delete(name)
    }

    fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::new(self.clone())
    }

    fn clear(&self) -> Result<()> {
        self.objects.delete_all("").map(drop)
    }
}

/// A payload is there when it was put: a bundle that has ended has left all that others read.
impl BlobStore for RunShare {
    fn put(&self, key: &str, parts: &[Bytes]) -> Result<()> {
        self.objects.put_pieces(&payload(key), parts.to_vec()).wait()
    }

    fn fetch(&self, key: &str, ranges: &[Range<u64>]) -> Result<Box<dyn FetchedBlobs>> {
        Ok(Box::new(Fetching(self.objects.fetch(&payload(key), ranges.to_vec()))))
    }
}

fn payload(key: &str) -> String {
    format!("{PAYLOADS}/{key}")
}

struct Fetching(Pending<Vec<Bytes>>);

impl FetchedBlobs for Fetching {
    fn wait(self: Box<Self>) -> Result<Vec<Bytes>> {
        self.0.wait()
    }
}

impl fmt::Debug for Fetching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetching").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_process_puts_the_others_find() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Location::parse(&folder.path().join("run/beam").display().to_string());
        let place = place.expect("a location");
        let open = || RunShare::open(&place, &StoreOptions::default()).expect("opens");
        let (driver, worker) = (open(), open());
        assert_eq!(driver.names("results").expect("nothing yet"), Vec::<String>::new());
        for name in ["results/1/0/b/end", "results/1/0/a/end", "late/x"] {
            SharedStore::put(&worker, name, Bytes::from("body")).expect("kept");
        }
        let names = driver.names("results").expect("listed");
        assert_eq!(names, ["results/1/0/a/end", "results/1/0/b/end"]);
        assert_eq!(driver.get("late/x").expect("there"), "body");
        let parts = [Bytes::from("pay"), Bytes::from("load")];
        worker.blobs().put("seg/0", &parts).expect("kept");
        let range = [Range { start: 2, end: 5 }];
        let read = driver.blobs().fetch("seg/0", &range).and_then(FetchedBlobs::wait);
        assert_eq!(read.expect("there"), ["ylo"]);
        driver.clear().expect("removed");
        assert_eq!(worker.names("late").expect("listed"), Vec::<String>::new());
    }
}
