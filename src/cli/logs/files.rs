//! Logs of processes of this machine: a file for each start of a worker.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use chrono::DateTime;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use super::chosen::Place;
use super::printed::{Line, Reader};

/// Reads what was appended to files since it looked last.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// How far each file was read, and the time of its last line that has one.
    seen: BTreeMap<PathBuf, (u64, Option<i64>)>,
}

impl Files {
    /// The logs in this folder.
    ///
    /// # Errors
    /// No such folder.
    pub(super) fn open(folder: PathBuf) -> Result<Self> {
        if folder.is_dir() {
            return Ok(Self { folder, seen: BTreeMap::new() });
        }
        let message = "there are no logs of this run on this machine";
        Err(Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, message)
            .at("folder", folder.display())
            .mend("worker processes write their logs where they run: look there"))
    }

    /// The files of a place, the first start first.
    fn files_of(&self, place: &Place) -> Vec<(u32, PathBuf)> {
        let stem = format!("{}-{}", place.job, place.index);
        let of = |attempt: u32| match attempt {
            1 => self.folder.join(format!("{stem}.log")),
            later => self.folder.join(format!("{stem}.{later}.log")),
        };
        (1..).map(|attempt| (attempt, of(attempt))).take_while(|(_, path)| path.exists()).collect()
    }

    /// The files of drivers of this run that have no terminal.
    fn files_of_drivers(&self, run: &str) -> Result<Vec<PathBuf>> {
        let start = format!("driver-{run}-");
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(Error::from)? {
            let path = entry.map_err(Error::from)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(&start) && name.ends_with(".log") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn read(
        &mut self,
        path: &Path,
        (worker, attempt): (&str, u32),
        is_last: bool,
        each: &mut dyn FnMut(Line) -> Result<()>,
    ) -> Result<()> {
        let located = |error: std::io::Error| Error::from(error).at("log", path.display());
        let (from, mut at_ms) = self.seen.get(path).copied().unwrap_or_default();
        let mut file = File::open(path).map_err(located)?;
        file.seek(SeekFrom::Start(from)).map_err(located)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(located)?;
        // A line is told when it is whole, or when nobody writes any more.
        let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
            _ if is_last => bytes.len(),
            Some(last) => last + 1,
            None => 0,
        };
        let text = String::from_utf8_lossy(&bytes[..whole]);
        for text in text.lines() {
            at_ms = time_of(text).or(at_ms);
            let (worker, text) = (worker.to_owned(), text.to_owned());
            each(Line { worker, attempt, at_ms, text })?;
        }
        self.seen.insert(path.to_owned(), (from + whole as u64, at_ms));
        Ok(())
    }
}

impl Reader for Files {
    fn read(
        &mut self,
        places: &[Place],
        attempt: Option<u32>,
        is_last: bool,
        each: &mut dyn FnMut(Line) -> Result<()>,
    ) -> Result<()> {
        for place in places {
            for (number, path) in self.files_of(place) {
                if attempt.is_none_or(|wanted| wanted == number) {
                    self.read(&path, (&place.short_name(), number), is_last, each)?;
                }
            }
        }
        Ok(())
    }

    fn read_drivers(
        &mut self,
        run: &str,
        is_last: bool,
        each: &mut dyn FnMut(Line) -> Result<()>,
    ) -> Result<()> {
        for path in self.files_of_drivers(run)? {
            self.read(&path, ("driver", 1), is_last, each)?;
        }
        Ok(())
    }
}

/// When a line was written, if it begins with that.
fn time_of(line: &str) -> Option<i64> {
    let (word, _) = line.trim_start().split_once(' ')?;
    DateTime::parse_from_rfc3339(word).ok().map(|time| time.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::time_of;

    #[test]
    fn lines_begin_with_their_time_or_have_none() {
        assert_eq!(time_of("1970-01-01T00:00:01.500Z  WARN levain: x"), Some(1500));
        assert_eq!(time_of("a line of somebody's own"), None);
    }
}
