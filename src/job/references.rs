//! References in place of a store: where they go, and how they are written.

use std::sync::Arc;

use ::bake::{BakePlan, References, WrittenAs};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::memory::MemoryBudget;
use objects::{Edge, Location, Objects};
use r#virtual::{RECORD_SIZE, WrittenReferences, write_json, write_parquet};

use crate::job::bake::Bake;
use crate::job::destination::Destination;
use crate::job::write::OPEN_FILES_DIVISOR;

/// Bytes at the head of a JSON object that are enough to tell references.
const HEAD_BYTES: u64 = 256;

/// The form in which references are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One JSON object.
    Json,
    /// A folder of Parquet files.
    Parquet,
}

impl Form {
    fn of(location: &Location) -> Result<Self> {
        let name = location.file_name();
        let has = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        match () {
            () if has(&[".json"]) => Ok(Self::Json),
            () if has(&[".parquet", ".parq"]) => Ok(Self::Parquet),
            () => {
                let message = format!("`{name}` does not say in which form references are written");
                let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
                let error = error.at("destination", location);
                Err(error.mend("call it NAME.json, or NAME.parquet for many references"))
            }
        }
    }
}

impl Bake {
    /// Whether references are written, and no store.
    pub(super) fn is_of_references(&self) -> bool {
        self.options.written_as == WrittenAs::Kerchunk
    }

    /// Refuses what references do not have, and a destination that may not be written.
    pub(super) fn check_references(&self, sources: &[Location]) -> Result<()> {
        let mistake = match () {
            () if self.is_into_store() => Some("references are not appended to: write them anew"),
            () if self.pyramid.is_some() => Some("references have no coarser levels"),
            () if !self.group.is_root() => Some("references have no groups"),
            () if !self.checks.is_empty() => Some("references are not validated, copies are"),
            () if self.may_resume => Some("references are written at once: nothing is resumed"),
            () => None,
        };
        if let Some(mistake) = mistake {
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, mistake);
            return Err(error.mend("leave that out, or bake copies"));
        }
        let destination = Destination::new(&self.destination, &self.root, &self.store)?;
        destination.check_apart(sources)?;
        match Form::of(&self.destination)? {
            Form::Json => self.check_json(),
            Form::Parquet => self.check_parquet().map(drop),
        }
    }

    fn check_json(&self) -> Result<()> {
        if self.destination.is_local_path().is_some_and(std::path::Path::is_dir) {
            return Err(self.exists(false));
        }
        let objects = Objects::open(&self.destination, &self.store)?;
        let Some(head) = objects.edge("", Edge::First(HEAD_BYTES)).wait()? else { return Ok(()) };
        let head = String::from_utf8_lossy(&head.bytes);
        let is_ours = head.starts_with('{') && head.contains("\"refs\"");
        if is_ours && self.may_overwrite { Ok(()) } else { Err(self.exists(is_ours)) }
    }

    /// The objects that are there and may be replaced.
    fn check_parquet(&self) -> Result<Vec<String>> {
        let objects = Objects::open(&self.destination, &self.store)?;
        if self.destination.is_local_path().is_some_and(std::path::Path::is_file) {
            return Err(self.exists(false));
        }
        let keys: Vec<String> = objects.list("")?.into_iter().map(|facts| facts.key).collect();
        let is_rows = |key: &String| {
            let name = key.rsplit_once('/').map(|(_, name)| name);
            let record = name.and_then(|it| it.strip_prefix("refs.")?.strip_suffix(".parq"));
            record.is_some_and(|record| record.parse::<u64>().is_ok())
        };
        let is_ours = keys.iter().all(|key| key == ".zmetadata" || is_rows(key));
        let is_finished = keys.iter().any(|key| key == ".zmetadata");
        // Rows alone are what a run has left that died: no reader opens them.
        match is_ours {
            true if !is_finished || self.may_overwrite => Ok(keys),
            is_ours => Err(self.exists(is_ours)),
        }
    }

    fn exists(&self, are_references: bool) -> Error {
        let (message, mend) = match are_references {
            true => ("the destination exists", "use --overwrite to replace it, or write elsewhere"),
            false => (
                "the destination exists and holds no references",
                "write somewhere else; --overwrite replaces references only",
            ),
        };
        let error = Error::new(ErrorCode::DESTINATION_EXISTS, ErrorKind::AlreadyExists, message);
        error.at("destination", &self.destination).mend(mend)
    }

    /// Looks up the chunks of all files; writes nothing.
    pub(super) fn collect_references(
        &self,
        plan: &BakePlan,
        sources: &[Location],
    ) -> Result<Arc<References>> {
        let budget = MemoryBudget::new(self.memory.accounted_bytes()?, 0);
        let open_files_bytes = self.memory.size().0 / OPEN_FILES_DIVISOR;
        let places = (sources, &self.destination);
        let references = References::collect(plan, places, &self.store, open_files_bytes, &budget)?;
        Ok(Arc::new(references))
    }

    /// Writes references; nobody can open them before they are whole.
    pub(super) fn write_references(
        &self,
        references: &References,
        sources: &[Location],
    ) -> Result<WrittenReferences> {
        self.check_references(sources)?;
        let objects = Objects::open(&self.destination, &self.store)?;
        if Form::of(&self.destination)? == Form::Json {
            return write_json(references, &objects, "");
        }
        // What opens them goes first.
        let mut keys = self.check_parquet()?;
        keys.sort_by_key(|key| key != ".zmetadata");
        keys.iter().try_for_each(|key| objects.delete(key))?;
        objects.sweep("")?;
        let written = write_parquet(references, &objects, RECORD_SIZE);
        if written.is_err() {
            // The error that matters is the first one; rows alone are replaced by the next run.
            drop(objects.delete_all(""));
        }
        written
    }
}
