//! What a user says of AWS Batch: the keys of `[batch]` in a configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dataflow::error::Result;
use serde::{Deserialize, Deserializer, Serialize};

use crate::aws::fargate::check_fargate;
use crate::aws::names::{check_image, check_name, check_role, check_tags};
use crate::aws::units::{Mebibytes, Seconds, invalid};

/// Where and how workers run on AWS Batch. The names of the fields are those of the keys.
///
/// What is left out has its default; a key that is not known is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchSettings {
    /// Queues by name or ARN: jobs go to the first; the next is tried when that has no capacity.
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub queue: Vec<String>,
    /// A job definition that is there: a name, `name:revision` or an ARN. Without one, `image` says
    /// what is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_definition: Option<String>,
    /// Whether a definition that is missing is registered without being asked for by a command.
    pub register_job_definition: bool,
    /// The image of the workers, for definitions that are registered here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// On what workers run, for definitions that are registered here.
    pub platform: Platform,
    /// ARN of the role that workers have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_role: Option<String>,
    /// ARN of the role that pulls images and writes logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_role: Option<String>,
    /// The log group, where it is not that of the job definition or `/aws/batch/job`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_group: Option<String>,
    /// Workers at once, at the most.
    pub workers: u32,
    /// Virtual cores of a worker.
    pub vcpus: f64,
    /// GPUs of a worker.
    pub gpus: u32,
    /// Memory of a worker: the first, and what follows after each that did not suffice.
    pub memory_ladder: Vec<Mebibytes>,
    /// How often Batch itself starts a worker again that it has lost, 1 to 10.
    pub attempts: u32,
    /// After so long a worker is ended, whatever it does; at least a minute.
    pub timeout: Seconds,
    /// After so long without work a worker ends.
    pub idle: Seconds,
    /// A job of which no worker has said a word so long after it began to start is ended, and submitted
    /// again.
    pub startup: Seconds,
    /// Tasks after which a worker ends, to start anew; 0 for no limit.
    pub tasks_max: u32,
    /// After so long without a start the reason is told.
    pub runnable_warn: Seconds,
    /// After so long without a start the run is ended, to be resumed.
    pub runnable_fail: Seconds,
    /// Workers whose driver has been silent for so long end as soon as they have nothing to do.
    pub lease: Seconds,
    /// The share identifier, which queues with a scheduling policy need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_identifier: Option<String>,
    /// The priority within a share, 0 to 9999.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Tags of jobs, besides our own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The region; without one, that of the environment or of the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The profile of `~/.aws` with the credentials; without one, the standard chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// URL of the service, where it is not that of AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Requests a second to the services of AWS, all together.
    pub requests_per_second: f64,
    /// How long a run waits for new credentials when its own have ended; without end if it is left
    /// out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_wait: Option<Seconds>,
    /// Whether the first submission that is refused ends the run, with its whole error.
    pub fail_fast_launch: bool,
}

/// On what workers run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Platform {
    /// Machines of EC2, also spot.
    #[default]
    #[serde(alias = "ec2")]
    Ec2,
    /// Fargate, also Fargate spot.
    #[serde(alias = "fargate")]
    Fargate,
}

impl Platform {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Fargate => "FARGATE",
        }
    }
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            queue: Vec::new(),
            job_definition: None,
            register_job_definition: false,
            image: None,
            platform: Platform::Ec2,
            job_role: None,
            execution_role: None,
            log_group: None,
            workers: 16,
            vcpus: 2.0,
            gpus: 0,
            memory_ladder: [4096, 8192, 16_384].map(Mebibytes).to_vec(),
            attempts: 5,
            timeout: Seconds(24 * 3600),
            idle: Seconds(60),
            startup: Seconds(600),
            tasks_max: 0,
            runnable_warn: Seconds(120),
            runnable_fail: Seconds(900),
            lease: Seconds(3600),
            share_identifier: None,
            priority: None,
            tags: BTreeMap::new(),
            region: None,
            profile: None,
            endpoint: None,
            requests_per_second: 5.0,
            credential_wait: None,
            fail_fast_launch: false,
        }
    }
}

/// Whether what is signed may go there: by TLS, or to this machine.
fn is_safe(endpoint: &str) -> bool {
    let Some(rest) = endpoint.strip_prefix("http://") else { return true };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

impl BatchSettings {
    /// Checks the shape of every name, ARN and number, without asking anybody.
    ///
    /// # Errors
    /// The first that AWS would refuse, by its key.
    pub fn check(&self) -> Result<()> {
        let keyed = |key: &str, checked: Result<()>| checked.map_err(|error| error.at("key", key));
        for queue in &self.queue {
            keyed("batch.queue", check_name("job-queue", queue).map(drop))?;
        }
        if let Some(name) = &self.job_definition {
            keyed("batch.job_definition", check_name("job-definition", name).map(drop))?;
        }
        if let Some(image) = &self.image {
            keyed("batch.image", check_image(image))?;
        }
        if let Some(role) = &self.job_role {
            keyed("batch.job_role", check_role(role))?;
        }
        if let Some(role) = &self.execution_role {
            keyed("batch.execution_role", check_role(role))?;
        }
        keyed("batch.tags", check_tags(&self.tags))?;
        if let Some(endpoint) = self.endpoint.as_ref().filter(|it| !is_safe(it)) {
            let what = format!("{endpoint} is reached without TLS, and is not on this machine");
            return Err(invalid(what).at("key", "batch.endpoint").mend("write https://"));
        }
        self.check_numbers()
    }

    fn check_numbers(&self) -> Result<()> {
        let within = |key: &str, is_right: bool, what: String, mend: &str| {
            if is_right { Ok(()) } else { Err(invalid(what).at("key", key).mend(mend)) }
        };
        let said = |number: &dyn std::fmt::Display| format!("{number} is out of bounds");
        within("batch.workers", self.workers >= 1, said(&self.workers), "give at least 1")?;
        let is_positive = self.vcpus > 0.0 && self.vcpus.is_finite();
        within("batch.vcpus", is_positive, said(&self.vcpus), "give more than 0")?;
        let has_memory = !self.memory_ladder.is_empty();
        let mend = "give at least one size, such as [\"4 GiB\", \"8 GiB\"]";
        within("batch.memory_ladder", has_memory, "no memory is given".to_owned(), mend)?;
        let is_ascending = self.memory_ladder.is_sorted();
        let what = "the sizes do not ascend".to_owned();
        within("batch.memory_ladder", is_ascending, what, "write the smallest first")?;
        let attempts = self.attempts;
        within("batch.attempts", (1..=10).contains(&attempts), said(&attempts), "give 1 to 10")?;
        let timeout = self.timeout;
        within("batch.timeout", timeout.0 >= 60, said(&timeout), "give at least 60s")?;
        let priority = self.priority.unwrap_or_default();
        within("batch.priority", priority <= 9999, said(&priority), "give 0 to 9999")?;
        let rate = self.requests_per_second;
        let is_rate = rate > 0.0 && rate.is_finite();
        within("batch.requests_per_second", is_rate, said(&rate), "give more than 0")?;
        if self.platform == Platform::Fargate {
            for memory in &self.memory_ladder {
                check_fargate(self.vcpus, *memory)
                    .map_err(|e| e.at("key", "batch.memory_ladder"))?;
            }
        }
        Ok(())
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::One(name) => vec![name],
        Names::Many(names) => names,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> serde_json::Result<BatchSettings> {
        serde_json::from_str(json)
    }

    #[test]
    fn keys_are_those_of_the_configuration() {
        let json = r#"{"queue":["spot","od"],"job_definition":"levain-worker","workers":16,
            "idle":"60s","startup":"10m","tasks_max":0,"runnable_warn":"2m","runnable_fail":"15m",
            "memory_ladder":["4 GiB","8 GiB","16 GiB"],"lease":"90s","region":"eu-west-1"}"#;
        let settings = read(json).expect("the example of the documentation");
        assert_eq!(settings.queue, ["spot", "od"]);
        assert_eq!(settings.runnable_fail, Seconds(900));
        let text = serde_json::to_string(&settings).expect("settings have JSON");
        assert_eq!(read(&text).expect("just written"), settings);
        assert_eq!(read("{}").expect("all defaults"), BatchSettings::default());
        assert_eq!(read(r#"{"queue":"q"}"#).expect("one queue").queue, ["q"]);
        let unknown = read(r#"{"worker":1}"#).expect_err("no such key").to_string();
        assert!(unknown.contains("unknown field `worker`"), "{unknown}");
        let ambiguous = read(r#"{"memory_ladder":["8"]}"#).expect_err("no unit").to_string();
        assert!(ambiguous.contains("8GiB"), "{ambiguous}");
    }

    #[test]
    fn what_aws_would_refuse_is_refused_by_its_key() {
        let check = |json: &str, want: &[&str]| {
            let said = match read(json).expect("well-formed").check() {
                Ok(()) => String::new(),
                Err(error) => error.to_string(),
            };
            assert!(want.iter().all(|word| said.contains(word)), "{json}: {said}");
            assert_eq!(said.is_empty(), want.is_empty(), "{json}: {said}");
        };
        check("{}", &[]);
        check(r#"{"queue":"my queue"}"#, &["batch.queue", "my queue"]);
        check(r#"{"workers":0}"#, &["batch.workers"]);
        check(r#"{"attempts":11}"#, &["batch.attempts", "1 to 10"]);
        check(r#"{"timeout":"30s"}"#, &["batch.timeout", "60s"]);
        check(r#"{"priority":10000}"#, &["batch.priority"]);
        check(r#"{"memory_ladder":[]}"#, &["batch.memory_ladder"]);
        check(r#"{"memory_ladder":["8GiB","4GiB"]}"#, &["smallest first"]);
        check(r#"{"endpoint":"http://127.0.0.1:4566"}"#, &[]);
        check(r#"{"endpoint":"http://[::1]:4566/batch"}"#, &[]);
        let bare = ["batch.endpoint", "http://batch.example.org", "without TLS", "https://"];
        check(r#"{"endpoint":"http://batch.example.org"}"#, &bare);
        check(r#"{"endpoint":"http://127.0.0.1.example.org"}"#, &["without TLS"]);
        let small = r#"{"platform":"FARGATE","vcpus":1.0,"memory_ladder":["512MiB"]}"#;
        check(small, &["1 vCPU", "2048"]);
    }
}
