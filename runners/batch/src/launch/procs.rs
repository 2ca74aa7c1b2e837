//! Workers as processes of this machine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use super::{
    Cause, Diagnosis, JobId, JobState, JobStatus, Launcher, LogLine, StateCounts, Submission,
    Submitted, WorkerEnd, WorkerId,
};

/// Is set for a worker that is to go home as soon as its standard input ends.
pub const STAY_VARIABLE: &str = "LEVAIN_STAY_WITH_INPUT";
/// Exit codes with which a worker asks to be started again.
const AGAIN: std::ops::RangeInclusive<i32> = 200..=209;
/// Bytes at the end of a log that are looked at for its last lines.
const LOG_TAIL_BYTES: u64 = 256 << 10;

/// Starts workers as processes of this machine; they end with the process that has started them.
///
/// The name of a job is its id. Each worker writes its output to `<folder>/<job>-<index>.log`,
/// its n-th start to `<folder>/<job>-<index>.<n>.log`.
#[derive(Debug)]
pub struct ProcessLauncher {
    folder: PathBuf,
    jobs: Mutex<BTreeMap<String, Job>>,
}

#[derive(Debug)]
struct Job {
    submission: Submission,
    workers: Vec<Worker>,
}

/// One worker, which is started anew as often as it may.
#[derive(Debug)]
struct Worker {
    child: Option<Child>,
    attempts: u32,
    end: Option<(Cause, String)>,
    is_stopped: bool,
}

impl ProcessLauncher {
    /// A launcher whose workers write their logs into this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), jobs: Mutex::default() }
    }

    fn log_path(&self, job: &str, index: usize, attempt: u32) -> PathBuf {
        self.folder.join(match attempt {
            1 => format!("{job}-{index}.log"),
            later => format!("{job}-{index}.{later}.log"),
        })
    }

    fn start(&self, submission: &Submission, index: usize, attempt: u32) -> Result<Child> {
        let cannot = |error: std::io::Error| {
            Error::from(error)
                .context("cannot start a worker")
                .at("command", submission.command.join(" "))
        };
        let [program, arguments @ ..] = submission.command.as_slice() else {
            let message = "a worker has no command";
            return Err(Error::new(ErrorCode::LAUNCH_REFUSED, ErrorKind::InvalidInput, message));
        };
        fs::create_dir_all(&self.folder).map_err(cannot)?;
        let path = self.log_path(&submission.name, index, attempt);
        let log = File::options().create(true).append(true).open(path).map_err(cannot)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(&submission.environment)
            .env("AWS_BATCH_JOB_ATTEMPT", attempt.to_string())
            // It ends when this process does, however that ends.
            .env(STAY_VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(cannot)?)
            .stderr(log)
            // A terminal that interrupts the driver leaves it to the driver to stop its workers.
            .process_group(0);
        if submission.workers.get() > 1 {
            command.env(submission.index_variable, index.to_string());
        }
        command.spawn().map_err(cannot)
    }

    /// Looks at every process, and starts those again that ask for it.
    fn reap(&self, jobs: &mut BTreeMap<String, Job>) -> Result<()> {
        for job in jobs.values_mut() {
            for index in 0..job.workers.len() {
                let worker = &mut job.workers[index];
                let Some(child) = &mut worker.child else { continue };
                let Some(status) = child.try_wait().map_err(Error::from)? else { continue };
                worker.child = None;
                let (cause, reason) = cause_of(status);
                let asks = matches!(cause, Cause::Exit(code) if AGAIN.contains(&code));
                let is_again = (asks || cause == Cause::Killed)
                    && !worker.is_stopped
                    && worker.attempts < job.submission.attempts.get();
                if is_again {
                    worker.attempts += 1;
                    let attempt = worker.attempts;
                    let child = self.start(&job.submission, index, attempt)?;
                    job.workers[index].child = Some(child);
                    continue;
                }
                let cause = if worker.is_stopped { Cause::Stopped } else { cause };
                worker.end = Some((cause, reason));
            }
        }
        Ok(())
    }

    fn jobs(&self) -> Result<MutexGuard<'_, BTreeMap<String, Job>>> {
        // A thread that panicked has left each job as it was or as it is.
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        self.reap(&mut jobs)?;
        Ok(jobs)
    }
}

/// Why a process has ended, and how that is said.
fn cause_of(status: ExitStatus) -> (Cause, String) {
    let cause = match (status.code(), status.signal()) {
        (Some(code), _) => Cause::Exit(code),
        (None, Some(libc::SIGKILL)) => Cause::Killed,
        (None, Some(libc::SIGTERM)) => Cause::Stopped,
        _ => Cause::Other,
    };
    (cause, status.to_string())
}

impl Job {
    fn status(&self) -> JobStatus {
        let mut workers = StateCounts::default();
        for worker in &self.workers {
            match &worker.end {
                None => workers.running += 1,
                Some((Cause::Exit(0), _)) => workers.succeeded += 1,
                Some(_) => workers.failed += 1,
            }
        }
        let state = match (workers.running, workers.failed) {
            (0, 0) => JobState::Succeeded,
            (0, _) => JobState::Failed,
            _ => JobState::Running,
        };
        let name = self.submission.name.clone();
        JobStatus { id: JobId(name.clone()), name, state, reason: String::new(), workers }
    }
}

impl Launcher for ProcessLauncher {
    fn name(&self) -> &'static str {
        "procs"
    }

    fn lag(&self) -> Duration {
        Duration::ZERO
    }

    fn submit(&self, submission: &Submission) -> Result<Submitted> {
        let mut jobs = self.jobs()?;
        let mut job = Job { submission: submission.clone(), workers: Vec::new() };
        for index in 0..submission.workers.get() as usize {
            let child = Some(self.start(submission, index, 1)?);
            job.workers.push(Worker { child, attempts: 1, end: None, is_stopped: false });
        }
        jobs.insert(submission.name.clone(), job);
        Ok(Submitted::As(JobId(submission.name.clone())))
    }

    fn find(&self, name: &str) -> Result<Vec<JobId>> {
        Ok(self.jobs()?.contains_key(name).then(|| JobId(name.to_owned())).into_iter().collect())
    }

    fn find_live(&self, prefix: &str) -> Result<Vec<JobId>> {
        let jobs = self.jobs()?;
        let live = jobs.values().map(Job::status).filter(|it| !it.state.has_ended());
        Ok(live.map(|it| it.id).filter(|id| id.0.starts_with(prefix)).collect())
    }

    fn describe(&self, ids: &[JobId]) -> Result<Vec<JobStatus>> {
        let jobs = self.jobs()?;
        Ok(ids.iter().filter_map(|id| jobs.get(&id.0)).map(Job::status).collect())
    }

    fn failed_workers(&self, id: &JobId) -> Result<Vec<WorkerEnd>> {
        let jobs = self.jobs()?;
        let workers = jobs.get(&id.0).map_or(&[][..], |job| job.workers.as_slice());
        let ended = workers.iter().enumerate().filter_map(|(index, worker)| {
            let (cause, reason) =
                worker.end.clone().filter(|(cause, _)| *cause != Cause::Exit(0))?;
            let worker_id = WorkerId { job: id.clone(), index: index as u32 };
            Some(WorkerEnd { worker: worker_id, attempts: worker.attempts, cause, reason })
        });
        Ok(ended.collect())
    }

    fn stop(&self, ids: &[JobId], _: &str) -> Result<()> {
        let mut jobs = self.jobs()?;
        for id in ids {
            let workers = jobs.get_mut(&id.0).map(|job| job.workers.as_mut_slice());
            for worker in workers.unwrap_or_default() {
                worker.is_stopped = true;
                if let Some(child) = &mut worker.child {
                    child.kill().map_err(Error::from)?;
                    child.wait().map_err(Error::from)?;
                    worker.child = None;
                    worker.end = Some((Cause::Stopped, "stopped".to_owned()));
                }
            }
        }
        Ok(())
    }

    fn logs(&self, worker: &WorkerId, line_limit: usize) -> Result<Vec<LogLine>> {
        let index = worker.index as usize;
        let attempt = self
            .jobs()?
            .get(&worker.job.0)
            .and_then(|job| job.workers.get(index))
            .map(|it| it.attempts);
        let path = self.log_path(&worker.job.0, index, attempt.unwrap_or(1));
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::from(error).at("log", path.display())),
        };
        let located = |error: std::io::Error| Error::from(error).at("log", path.display());
        let length = file.metadata().map_err(located)?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES))).map_err(located)?;
        let mut bytes = Vec::new();
        file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes).map_err(located)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(line_limit)..];
        let line = |text: &&str| LogLine { at_ms: 0, text: (*text).to_owned() };
        Ok(last.iter().map(line).collect())
    }

    fn diagnose(&self, _: &JobId) -> Result<Option<Diagnosis>> {
        // A process starts at once or not at all.
        Ok(None)
    }
}

impl Drop for ProcessLauncher {
    fn drop(&mut self) {
        let jobs = self.jobs.get_mut().unwrap_or_else(PoisonError::into_inner);
        for worker in jobs.values_mut().flat_map(|job| &mut job.workers) {
            if let Some(child) = &mut worker.child {
                // One that has just ended by itself cannot be killed, which is as well.
                drop(child.kill());
                drop(child.wait());
            }
        }
    }
}
