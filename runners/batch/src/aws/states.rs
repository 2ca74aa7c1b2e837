//! The states and the reasons of AWS Batch, in words that help.

use crate::launch::Cause;

/// The states of a job, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BatchState {
    /// Accepted.
    Submitted,
    /// Waiting for jobs it depends on; of an array, also while its children run.
    Pending,
    /// Waiting for a machine.
    Runnable,
    /// A machine was found.
    Starting,
    /// Its program runs.
    Running,
    /// Its program has ended with 0.
    Succeeded,
    /// It has ended otherwise.
    Failed,
}

impl BatchState {
    /// All, in their order.
    pub const ALL: [Self; 7] = [
        Self::Submitted,
        Self::Pending,
        Self::Runnable,
        Self::Starting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
    ];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Pending => "PENDING",
            Self::Runnable => "RUNNABLE",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }

    /// The state of this name, in any case.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name().eq_ignore_ascii_case(name))
    }

    /// Whether a job in it has not ended.
    pub const fn is_active(self) -> bool {
        !matches!(self, Self::Succeeded | Self::Failed)
    }

    /// Whether a job that was seen in this state may be seen in another one next.
    ///
    /// Looks are far apart, so that states are skipped; an attempt that is repeated waits again.
    pub fn may_become(self, next: Self) -> bool {
        let waits_again = self >= Self::Runnable && next >= Self::Runnable;
        self.is_active() && (next >= self || waits_again) || self == next
    }

    /// What it means, in a line.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Submitted => "AWS has accepted the job and looks at it",
            Self::Pending => {
                "the job waits for others, or is an array whose children are under way"
            }
            Self::Runnable => "the job waits for a machine; minutes are normal, more has a reason",
            Self::Starting => "a machine was found; the image is pulled and the container starts",
            Self::Running => "the program runs",
            Self::Succeeded => "the program has ended well",
            Self::Failed => "the program has ended with an error, or was ended",
        }
    }
}

/// What a reason of AWS means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// How the reason begins.
    pub reason: &'static str,
    /// What it means, in a line.
    pub is: &'static str,
    /// What to do about it.
    pub mend: &'static str,
    /// Whether waiting may help.
    pub may_pass: bool,
}

macro_rules! meanings {
    ($($reason:literal: $is:literal, $mend:literal, $may_pass:literal;)+) => {
        /// Every reason that is known; the first that fits holds.
        pub const MEANINGS: &[Meaning] = &[$(Meaning {
            reason: $reason, is: $is, mend: $mend, may_pass: $may_pass,
        }),+];
    };
}

meanings! {
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY":
        "AWS has no machine of the allowed types at the moment",
        "wait, allow more instance types or subnets, or name a second queue in batch.queue", true;
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE":
        "the job needs more vCPUs than the compute environment may ever have",
        "raise maxvCpus of the compute environment, or lower batch.vcpus", false;
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT":
        "no instance type of the compute environment is large enough for the job",
        "ask for less memory or fewer vCPUs, or add a larger instance type: a host of 16 GiB has about 15 GiB for jobs", false;
    "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED":
        "the compute environment has instance types or images that do not go together",
        "use instance types of the architecture of the image, or `optimal`", false;
    "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS":
        "the service role of the compute environment may not start machines",
        "give it AWSBatchServiceRole, or use the service-linked role", false;
    "ACTION_REQUIRED":
        "AWS asks for something to be done in the account",
        "do what the reason says, in the console of the service that it names", false;
    "UNDETERMINED":
        "the job is blocked, and AWS does not say by what",
        "look whether machines start and join the cluster: subnets, routes, public addresses, security groups, instance role", false;
    "Host EC2":
        "the machine was taken away, as spot machines are",
        "nothing: the work is done again; too often, use on-demand capacity", true;
    "Your Spot Task":
        "the Fargate Spot capacity was taken away",
        "nothing: the work is done again; too often, use Fargate", true;
    "Task stopped during instance draining":
        "the machine was drained", "nothing: the work is done again", true;
    "Task failed to start":
        "the container did not start",
        "look at the reason of the container: image, registry, roles, disk", false;
    "CannotPullContainerError":
        "the image cannot be pulled",
        "check its name and tag, that the machine reaches the registry, and that the execution role may pull", false;
    "CannotStartContainerError":
        "the program of the container cannot be started",
        "check the command: the program must be in the image and executable", false;
    "CannotCreateContainerError":
        "the container cannot be made", "check the definition: mounts, volumes, user", false;
    "DockerTimeoutError":
        "the machine was too slow to start the container",
        "nothing: it is tried again; too often, use faster disks", true;
    "ResourceInitializationError":
        "what the container needs was not there: secrets, logs or network",
        "check the execution role, the log group, and the route to ECR, S3 and CloudWatch", false;
    "OutOfMemoryError":
        "the program took more memory than the job was given",
        "climb the memory ladder (batch.memory_ladder), or lower --mem", false;
    "Job attempt duration exceeded timeout":
        "the attempt ran for longer than batch.timeout", "raise batch.timeout, or make tasks smaller", false;
    "Essential container in task exited":
        "the program has ended by itself", "look at its exit code and its log", false;
    "Array Child Job failed":
        "a child of the array has failed", "look at the children: `levain batch job ID`", false;
    "Dependent Job failed":
        "a job that this one depends on has failed", "look at that job", false;
}

/// What a reason means, if it is known.
pub fn meaning_of(reason: &str) -> Option<&'static Meaning> {
    MEANINGS.iter().find(|meaning| reason.starts_with(meaning.reason))
}

/// How a reason begins that this program has given itself when it stopped a job.
pub const STOP_REASON: &str = "levain: ";

/// Why a worker has ended, by what is said of its last attempt.
///
/// 137 is what every SIGKILL gives: only the reason tells a lack of memory.
pub fn cause_of(end: &crate::aws::end::End<'_>) -> Cause {
    let begins = |text: &str, heads: &[&str]| heads.iter().any(|head| text.starts_with(head));
    if end.was_stopped || begins(end.status_reason, &[STOP_REASON]) {
        return Cause::Stopped;
    }
    let reclaimed = ["Host EC2", "Your Spot Task", "Task stopped during instance draining"];
    let no_start = ["Cannot", "DockerTimeoutError", "ResourceInitializationError"];
    if begins(end.status_reason, &reclaimed) {
        Cause::Reclaimed
    } else if begins(end.reason, &["OutOfMemoryError"]) {
        Cause::OutOfMemory
    } else if begins(end.status_reason, &["Job attempt duration exceeded timeout"]) {
        Cause::Timeout
    } else if begins(end.status_reason, &["Task failed to start"]) || begins(end.reason, &no_start)
    {
        Cause::CannotStart
    } else {
        match end.exit_code {
            Some(137) => Cause::Killed,
            Some(code) => Cause::Exit(i32::try_from(code).unwrap_or(i32::MAX)),
            None => Cause::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::end::End;

    /// D06.
    #[test]
    fn every_state_and_every_reason_is_explained() {
        for state in BatchState::ALL {
            assert!(state.meaning().len() > 10, "{state:?}");
            assert_eq!(BatchState::of(&state.name().to_lowercase()), Some(state));
        }
        let listed = [
            "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfil the capacity",
            "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - x",
            "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
            "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED",
            "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS",
            "ACTION_REQUIRED - Service",
            "UNDETERMINED - Batch job is blocked, root cause is undetermined.",
            "Host EC2 (instance i-0) terminated.",
            "CannotPullContainerError: no basic auth",
            "Job attempt duration exceeded timeout",
        ];
        for reason in listed {
            let meaning = meaning_of(reason).expect(reason);
            assert!(!meaning.is.is_empty() && !meaning.mend.is_empty());
            assert!(!meaning.is.contains("unknown"), "{meaning:?}");
        }
        assert_eq!(meaning_of("something new"), None);
    }

    /// D41: whatever a job goes through, looks at it see only what may follow.
    #[test]
    fn looks_at_a_job_see_legal_sequences() {
        use BatchState::{Failed, Pending, Runnable, Running, Starting, Submitted, Succeeded};
        let whole = [Submitted, Pending, Runnable, Starting, Running, Runnable, Starting, Running];
        for end in [Succeeded, Failed] {
            let life: Vec<BatchState> = whole.into_iter().chain([end]).collect();
            // Every choice of moments at which somebody looks, also twice at one.
            for seen in 0u32..1 << life.len() {
                let looked = life.iter().enumerate().filter(|(at, _)| seen & (1 << at) != 0);
                let states: Vec<BatchState> = looked.flat_map(|(_, it)| [*it, *it]).collect();
                assert!(states.windows(2).all(|it| it[0].may_become(it[1])), "{states:?}");
            }
        }
        assert!(!Succeeded.may_become(Running) && !Failed.may_become(Succeeded));
        assert!(!Runnable.may_become(Submitted) && !Running.may_become(Pending));
    }

    #[test]
    fn ends_have_their_causes() {
        let check = |status_reason: &str, reason: &str, exit_code: Option<i64>, want: Cause| {
            let end = End { status_reason, reason, exit_code, was_stopped: false };
            assert_eq!(cause_of(&end), want, "{status_reason} {reason} {exit_code:?}");
        };
        let ended = "Essential container in task exited";
        let memory = "OutOfMemoryError: Container killed due to memory usage";
        check("Host EC2 (instance i-0) terminated.", "", None, Cause::Reclaimed);
        check("Your Spot Task was interrupted.", "", None, Cause::Reclaimed);
        check(ended, memory, Some(137), Cause::OutOfMemory);
        check(ended, "", Some(137), Cause::Killed);
        check(ended, "", Some(14), Cause::Exit(14));
        check(ended, "", Some(0), Cause::Exit(0));
        check("Task failed to start", "CannotPullContainerError: x", None, Cause::CannotStart);
        check("Task failed to start", "DockerTimeoutError: x", None, Cause::CannotStart);
        check("Job attempt duration exceeded timeout", "", Some(137), Cause::Timeout);
        check("levain: stopped by user", "", Some(143), Cause::Stopped);
        check("", "", None, Cause::Other);
        let end = End { status_reason: ended, reason: "", exit_code: Some(1), was_stopped: true };
        assert_eq!(cause_of(&end), Cause::Stopped);
    }
}
