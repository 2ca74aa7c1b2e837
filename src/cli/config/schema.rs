//! Every setting there is: its name, what it takes, its class, its default, what it means.

use super::kind::Kind;

/// Whether a setting decides on what is written, or only on how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// It enters fingerprints: another value makes other results.
    #[cfg_attr(not(test), expect(dead_code, reason = "so far recipes alone say what is written"))]
    Identity,
    /// It never does: whatever it is, results are the same.
    Execution,
}

impl Class {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Execution => "execution",
        }
    }
}

/// A setting.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its path with points; `*` stands for a name that the user chooses.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) class: Class,
    /// What holds if nothing is said; nothing where it is not set then.
    pub(crate) default: Option<&'static str>,
    /// Who reads it.
    pub(crate) read_by: ReadBy,
    pub(crate) meaning: &'static str,
}

/// Who reads a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadBy {
    /// Every command that reaches stores or runs jobs.
    All,
    /// Jobs on threads of this process.
    Direct,
    /// Jobs on workers: local processes, AWS Batch.
    Workers,
    /// Jobs on a runner of Apache Beam.
    Beam,
}

impl ReadBy {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::All => "every command that reaches stores or runs jobs",
            Self::Direct => "bake, rechunk, plan, demo and verify, in this process",
            Self::Workers => "runs on workers (runners procs and batch)",
            Self::Beam => "runs on a runner of Apache Beam (runner beam)",
        }
    }
}

impl Key {
    /// Whether a path is one of this setting.
    pub(crate) fn is_at(&self, path: &[String]) -> bool {
        let mut parts = self.name.split('.');
        let fits =
            path.iter().all(|own| parts.next().is_some_and(|part| part == "*" || part == own));
        fits && parts.next().is_none()
    }

    /// Whether a path is that of a table above this setting.
    pub(crate) fn is_below(&self, path: &[String]) -> bool {
        let parts: Vec<&str> = self.name.split('.').collect();
        let fits = |(own, part): (&String, &&str)| *part == "*" || *part == own;
        path.len() < parts.len() && path.iter().zip(&parts).all(fits)
    }

    /// The variable of the environment that sets it; names that users choose have none.
    pub(crate) fn variable(&self) -> Option<String> {
        let has_name = self.name.contains('*');
        (!has_name).then(|| format!("LEVAIN_{}", self.name.replace('.', "__").to_uppercase()))
    }
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    read_by: ReadBy,
    meaning: &'static str,
) -> Key {
    Key { name, kind, class: Class::Execution, default, read_by, meaning }
}

use ReadBy::{All, Beam, Direct, Workers};

/// All settings, table by table.
pub(crate) const KEYS: &[Key] = &[
    key(
        "store.url",
        Kind::Url,
        None,
        All,
        "where runs are kept: records, reports, failures; each destination gets a folder below. Not set: DST.levain beside the destination",
    ),
    key(
        "store.endpoint",
        Kind::Url,
        None,
        All,
        "URL of the service of object stores, where it is not that of the cloud; http:// without TLS needs a loopback address, or store.allow_http",
    ),
    key("store.region", Kind::Text, None, All, "region of the buckets (S3)"),
    key(
        "store.allow_http",
        Kind::Flag,
        Some("false"),
        All,
        "whether an endpoint that is not on this machine may be reached without TLS",
    ),
    key(
        "run.on_error",
        Kind::Choice(&["stop", "finish", "continue", "quarantine"]),
        Some("stop"),
        All,
        "what a failure does: stop ends what runs, finish lets it end, continue runs what does not need it, quarantine leaves elements out (a bake: files that cannot be read) and exits with 3",
    ),
    key(
        "run.max_failures",
        Kind::Count(0),
        Some("100"),
        All,
        "with on_error = \"quarantine\": the most elements that are left out; one more fails the run",
    ),
    key(
        "run.retries",
        Kind::Count(0),
        Some("2"),
        All,
        "attempts of a task after the first one, where errors come in passing",
    ),
    key(
        "run.verify",
        Kind::Choice(&["none", "chunks", "digests", "readback"]),
        Some("chunks"),
        Direct,
        "how a store is checked after it was written: chunks (each was committed, which costs nothing), digests (each is read and is the one that was written), readback (each decodes as well); none is chunks",
    ),
    key(
        "limits.mem",
        Kind::Size,
        None,
        Direct,
        "the greatest resident memory of the process; not set: 60 % of what is free. Flag --mem",
    ),
    key(
        "limits.max_wall",
        Kind::Duration,
        None,
        All,
        "the longest that a run may take; it is then stopped with exit code 9 and can be resumed",
    ),
    key(
        "limits.max_cost",
        Kind::Number,
        None,
        All,
        "the most that a command may cost, in the currency of the prices, by the time of its threads or workers, its memory and what workers ask of stores, over all its parts; it is then stopped with exit code 9 and can be resumed",
    ),
    key(
        "direct.threads",
        Kind::Count(0),
        Some("0"),
        Direct,
        "threads that compute; 0: all cores. Flag --threads",
    ),
    key(
        "direct.scratch",
        Kind::Path,
        None,
        Direct,
        "the folder under which spilled data goes; not set: that of the system",
    ),
    key(
        "beam.endpoint",
        Kind::Text,
        None,
        Beam,
        "where the job server of a runner of Apache Beam listens, as HOST:PORT. Flag --endpoint",
    ),
    key(
        "beam.environment",
        Kind::Choice(&["loopback", "external", "process", "docker"]),
        Some("loopback"),
        Beam,
        "where its workers run: threads of the driver, a pool (beam.pool), processes that it starts on its machines (beam.command), containers (beam.image). Flag --environment",
    ),
    key(
        "beam.payload",
        Kind::Choice(&["store", "shuffle"]),
        Some("store"),
        Beam,
        "how chunks travel between workers that go through several: through the folder of the run, or through the shuffle of the runner. Flag --payload",
    ),
    key(
        "beam.image",
        Kind::Text,
        None,
        Beam,
        "the image of workers in containers, whose entry point is this program. Flag --beam-image",
    ),
    key(
        "beam.pool",
        Kind::Text,
        None,
        Beam,
        "the pool of workers, as HOST:PORT, that every machine of the runner reaches; `beam-pool` is one. Flag --beam-pool",
    ),
    key(
        "beam.command",
        Kind::Path,
        None,
        Beam,
        "the program on the machines of the runner that it starts as a worker; not set: this program, where it lies. Flag --worker-command",
    ),
    key(
        "beam.kind",
        Kind::Choice(&["python", "prism", "flink", "spark", "dataflow"]),
        None,
        Beam,
        "which runner it is, so that what it cannot do is refused before anything runs; not set: what its job server says. Flag --beam-kind",
    ),
    key(
        "beam.options.*",
        Kind::Text,
        None,
        Beam,
        "an option of the runner, by its name in snake case, as beam.options.parallelism. Flag --beam-option",
    ),
    key(
        "batch.queue",
        Kind::Resources("job-queue"),
        None,
        Workers,
        "job queues: jobs go to the first, and to the next where that has no capacity",
    ),
    key(
        "batch.job_definition",
        Kind::Resource("job-definition"),
        None,
        Workers,
        "the job definition of workers; without one, batch.image says what is registered",
    ),
    key(
        "batch.image",
        Kind::Text,
        None,
        Workers,
        "the image of workers, for job definitions that are registered here",
    ),
    key(
        "batch.platform",
        Kind::Choice(&["EC2", "FARGATE"]),
        Some("EC2"),
        Workers,
        "on what workers run, for job definitions that are registered here",
    ),
    key("batch.job_role", Kind::Resource("role"), None, Workers, "the role that workers have"),
    key(
        "batch.execution_role",
        Kind::Resource("role"),
        None,
        Workers,
        "the role that pulls images and writes logs",
    ),
    key(
        "batch.log_group",
        Kind::Text,
        None,
        Workers,
        "the log group, where it is not that of the job definition or /aws/batch/job",
    ),
    key("batch.workers", Kind::Count(1), Some("16"), Workers, "the most workers at once"),
    key("batch.vcpus", Kind::Number, Some("2"), Workers, "virtual cores of a worker"),
    key("batch.gpus", Kind::Count(0), Some("0"), Workers, "GPUs of a worker"),
    key(
        "batch.memory_ladder",
        Kind::Sizes,
        Some("4 GiB,8 GiB,16 GiB"),
        Workers,
        "memory of a worker; the next size after one was proven too small, the last one again and again",
    ),
    key(
        "batch.attempts",
        Kind::Count(1),
        Some("5"),
        Workers,
        "how often Batch itself starts a worker that it has lost, 1 to 10",
    ),
    key(
        "batch.timeout",
        Kind::Duration,
        Some("24h"),
        Workers,
        "after so long a worker is ended, whatever it does; at least a minute",
    ),
    key(
        "batch.idle",
        Kind::Duration,
        Some("60s"),
        Workers,
        "after so long without work a worker ends",
    ),
    key(
        "batch.startup",
        Kind::Duration,
        Some("10m"),
        Workers,
        "a job of which no worker has said a word so long after it began to start is ended and submitted again",
    ),
    key(
        "batch.tasks_max",
        Kind::Count(0),
        Some("0"),
        Workers,
        "tasks after which a worker ends, to start anew; 0: no limit",
    ),
    key(
        "batch.runnable_warn",
        Kind::Duration,
        Some("2m"),
        Workers,
        "how long jobs may wait for a machine before the reason is told",
    ),
    key(
        "batch.runnable_fail",
        Kind::Duration,
        Some("15m"),
        Workers,
        "how long jobs may wait for a machine before the run stops with exit code 6, to be resumed",
    ),
    key(
        "batch.lease",
        Kind::Duration,
        Some("1h"),
        Workers,
        "workers whose driver has been silent for so long end as soon as they have nothing to do",
    ),
    key(
        "batch.share_identifier",
        Kind::Text,
        None,
        Workers,
        "the share identifier, which queues with a scheduling policy need",
    ),
    key("batch.priority", Kind::Count(0), None, Workers, "the priority within a share, 0 to 9999"),
    key("batch.tags.*", Kind::Text, None, Workers, "a tag of jobs, by its name"),
    key(
        "batch.region",
        Kind::Text,
        None,
        Workers,
        "the region; not set: that of the environment or of the AWS profile",
    ),
    key(
        "batch.profile",
        Kind::Text,
        None,
        Workers,
        "the profile of ~/.aws with the credentials; not set: the standard chain",
    ),
    key(
        "batch.endpoint",
        Kind::Url,
        None,
        Workers,
        "URL of the Batch service, where it is not that of AWS",
    ),
    key(
        "batch.credential_wait",
        Kind::Duration,
        None,
        Workers,
        "how long a run waits for new credentials when those that it has have ended; not set: for as long as it takes",
    ),
    key(
        "batch.requests_per_second",
        Kind::Number,
        Some("5"),
        Workers,
        "requests in a second to the services of AWS, all together",
    ),
    key(
        "batch.fail_fast_launch",
        Kind::Flag,
        Some("false"),
        Workers,
        "whether the first submission that is refused ends the run, with its whole error; else it is tried again, and three in a row end a run that nobody works on",
    ),
    key(
        "steps.*.retries",
        Kind::Count(0),
        None,
        All,
        "run.retries for this step; the name of a composite stands for all steps in it",
    ),
    key(
        "steps.*.place",
        Kind::Choice(&["local", "remote", "auto"]),
        None,
        Workers,
        "where this step runs: local (with the driver), remote (on workers; steps that are not named stay with the driver then), auto (as the others)",
    ),
    key(
        "credentials.*.profile",
        Kind::Text,
        None,
        All,
        "the profile of ~/.aws for what lies below this URL",
    ),
    key(
        "credentials.*.anonymous",
        Kind::Flag,
        None,
        All,
        "whether requests for what lies below this URL go unsigned",
    ),
    key(
        "prices.vcpu_hour",
        Kind::Number,
        None,
        All,
        "what an hour of a vCPU costs; without a price, cost is shown in units only",
    ),
    key("prices.gib_hour", Kind::Number, None, All, "what an hour of a GiB of memory costs"),
    key("prices.s3_put_1k", Kind::Number, None, All, "what 1000 requests cost that write or list"),
    key("prices.s3_get_1k", Kind::Number, None, All, "what 1000 requests cost that read"),
];

/// The setting at a path.
pub(crate) fn find(path: &[String]) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.is_at(path))
}

/// The setting with the name that is most like this one, if one is like it at all.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let names = KEYS.iter().map(|key| key.name);
    let scored = names.map(|known| (strsim::damerau_levenshtein(name, known), known));
    // A last word that is right under a wrong table is near as well.
    let (distance, best) = scored.min()?;
    let last = |text: &str| text.rsplit('.').next().map(str::to_owned);
    let same_word = KEYS.iter().map(|key| key.name).find(|known| last(known) == last(name));
    if distance <= 1 + name.len() / 4 { Some(best) } else { same_word }
}

/// A path as users write it: names with other signs than letters stand between quotes.
pub(crate) fn path_text(path: &[String]) -> String {
    let is_bare = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-*".contains(&it))
    };
    let parts = path.iter().map(|part| match is_bare(part) {
        true => part.clone(),
        false => serde_json::Value::String(part.clone()).to_string(),
    });
    parts.collect::<Vec<_>>().join(".")
}

/// A path as users write it, in its parts; `None` where quotes do not match.
pub(crate) fn parse_path(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, tail) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        parts.push(part.trim().to_owned());
        match tail.strip_prefix('.') {
            Some(more) => rest = more,
            None if tail.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_class_a_meaning_and_a_default_that_it_takes() {
        let identity: Vec<&str> =
            KEYS.iter().filter(|key| key.class == Class::Identity).map(|key| key.name).collect();
        // Whoever adds a setting decides here whether it changes results.
        assert_eq!(identity, [""; 0]);
        assert_eq!(KEYS.len(), 57);
        for key in KEYS {
            assert!(key.meaning.len() > 10, "{}", key.name);
            if let Some(default) = key.default {
                assert!(key.kind.read(default).is_ok(), "{}: {default}", key.name);
            }
        }
        let names: std::collections::BTreeSet<&str> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), KEYS.len(), "each is there once");
    }

    #[test]
    fn the_page_of_settings_has_all_of_them() {
        let page = include_str!("../../../docs/configuration.md");
        let row = |key: &Key| format!("| `{}` | ", key.name);
        let missing: Vec<&str> =
            KEYS.iter().filter(|key| !page.contains(&row(key))).map(|key| key.name).collect();
        assert_eq!(missing, Vec::<&str>::new(), "levain config explain --output json has the rows");
    }

    #[test]
    fn the_nearest_setting_is_found() {
        assert_eq!(nearest("batch.que"), Some("batch.queue"));
        assert_eq!(nearest("batch.queues"), Some("batch.queue"));
        assert_eq!(nearest("limits.threads"), Some("direct.threads"));
        assert_eq!(nearest("xyzzy"), None);
    }

    #[test]
    fn paths_are_read_as_they_are_written() {
        for text in ["batch.queue", "steps.Open.retries", "credentials.\"s3://b.c/\".anonymous"] {
            let path = parse_path(text).expect(text);
            assert_eq!(path_text(&path), text);
            assert!(find(&path).is_some(), "{text}");
        }
        assert_eq!(parse_path("steps.\"Open"), None);
    }
}
