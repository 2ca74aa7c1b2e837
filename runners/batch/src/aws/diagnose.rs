//! Why a job does not start: what is looked at, and what follows from it.
//!
//! Collecting asks AWS, and does without what it may not see; judging is a pure function of what was
//! seen.

use dataflow::error::{ErrorCode, Result};

use crate::aws::api::{BatchApi, Listing};
use crate::aws::joined::{Joined, joined};
use crate::aws::machines::largest;
use crate::aws::shapes::{Cluster, ComputeEnvironment, JobDetail, JobQueue};
use crate::aws::states::{BatchState, meaning_of};
use crate::launch::Diagnosis;

/// Foreign jobs at the front of a queue, from which on they are the reason.
const MANY_AHEAD: usize = 100;

/// What was seen of a job that waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    pub(super) job: JobDetail,
    pub(super) queue: Option<JobQueue>,
    pub(super) environments: Vec<ComputeEnvironment>,
    pub(super) clusters: Vec<Cluster>,
    /// How many machines were started in each subnet, and how many of them have joined.
    pub(super) joined: Vec<Joined>,
    /// Jobs of others at the front of the queue.
    pub(super) ahead: usize,
    /// What may not be looked at.
    pub(super) denied: Vec<String>,
}

/// Why a job does not start, as far as can be seen; nothing for one that does.
///
/// # Errors
/// AWS cannot be asked about the job itself.
pub fn diagnose(api: &BatchApi, job: &str) -> Result<Option<Diagnosis>> {
    let Some(found) = api.describe_jobs(&[job])?.into_iter().next() else { return Ok(None) };
    let mut evidence = Evidence { job: found.value, ..Evidence::default() };
    let state = BatchState::of(&evidence.job.status);
    let is_array = evidence.job.array_properties.as_ref().is_some_and(|it| it.size.is_some());
    if state.is_none_or(|it| !it.is_active() || it > BatchState::Runnable) {
        return Ok(None);
    }
    if is_array {
        // Reasons stand at the children.
        let state = BatchState::Runnable.name();
        let listing = Listing::Children { array: job, state };
        let waiting = see(api.list_jobs(&listing, 1), &mut evidence.denied)?;
        let Some(first) = waiting.into_iter().next() else { return Ok(None) };
        let child = see(api.describe_jobs(&[&first.value.job_id]), &mut evidence.denied)?;
        if let Some(child) = child.into_iter().next() {
            evidence.job = child.value;
        }
    }
    collect(api, &mut evidence)?;
    Ok(judge(&evidence))
}

fn collect(api: &BatchApi, evidence: &mut Evidence) -> Result<()> {
    let queue = evidence.job.job_queue.clone();
    let queues = see(api.queues(&[&queue]), &mut evidence.denied)?;
    evidence.queue = queues.into_iter().next().map(|it| it.value);
    let order = evidence.queue.iter().flat_map(|it| &it.compute_environment_order);
    let names: Vec<String> = order.map(|it| it.compute_environment.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if !names.is_empty() {
        let found = see(api.environments(&names), &mut evidence.denied)?;
        evidence.environments = found.into_iter().map(|it| it.value).collect();
    }
    let own = evidence.job.job_arn.split(':').take(7).collect::<Vec<_>>().join(":");
    let front = see(api.front_of(&queue), &mut evidence.denied)?;
    evidence.ahead = front.iter().filter(|arn| !arn.starts_with(&own)).count();
    let wanting = evidence.environments.iter().filter(|it| {
        it.compute_resources.desired_vcpus.unwrap_or(0) > 0 && !it.ecs_cluster_arn.is_empty()
    });
    let arns: Vec<String> = wanting.map(|it| it.ecs_cluster_arn.clone()).collect();
    if !arns.is_empty() {
        let arns: Vec<&str> = arns.iter().map(String::as_str).collect();
        let found = see(api.clusters(&arns), &mut evidence.denied)?;
        evidence.clusters = found.into_iter().map(|it| it.value).collect();
    }
    for environment in &evidence.environments {
        if environment.compute_resources.desired_vcpus.unwrap_or(0) > 0 {
            let (name, cluster) =
                (&environment.compute_environment_name, &environment.ecs_cluster_arn);
            evidence.joined.extend(see(joined(api, name, cluster), &mut evidence.denied)?);
        }
    }
    Ok(())
}

/// What was seen, or nothing where that is refused, whatever for: an explanation is no reason to fail.
fn see<T: Default>(seen: Result<T>, denied: &mut Vec<String>) -> Result<T> {
    match seen {
        Err(error)
            if error.code() == ErrorCode::LAUNCHER_DENIED
                || error.code() == ErrorCode::LAUNCHER_FAILED && !error.is_transient() =>
        {
            denied.push(error.message().to_owned());
            Ok(T::default())
        }
        other => other,
    }
}

/// What follows from what was seen: the first reason that would do by itself.
pub(super) fn judge(evidence: &Evidence) -> Option<Diagnosis> {
    let finding = queue_is_closed(evidence)
        .or_else(|| environments_are_closed(evidence))
        .or_else(|| no_room_ever(evidence))
        .or_else(|| aws_says(evidence, false))
        .or_else(|| some_subnets_do_not_join(evidence))
        .or_else(|| nobody_joins(evidence))
        .or_else(|| aws_says(evidence, true))
        .or_else(|| others_are_first(evidence))
        .or_else(|| all_is_taken(evidence))
        .unwrap_or_else(nothing_found);
    let (finding, mend, may_pass) = finding;
    Some(Diagnosis { finding, evidence: seen(evidence), mend, may_pass })
}

type Finding = (String, String, bool);

fn queue_is_closed(evidence: &Evidence) -> Option<Finding> {
    let queue = evidence.queue.as_ref()?;
    let name = &queue.job_queue_name;
    if queue.state == "DISABLED" {
        let mend =
            format!("enable it: aws batch update-job-queue --job-queue {name} --state ENABLED");
        return Some((format!("the queue {name} is DISABLED"), mend, false));
    }
    if queue.status == "INVALID" {
        let finding = format!("the queue {name} is INVALID: {}", queue.status_reason);
        return Some((
            finding,
            "mend what the reason names, or make the queue anew".to_owned(),
            false,
        ));
    }
    (queue.compute_environment_order.is_empty()).then(|| {
        let finding = format!("the queue {name} has no compute environment");
        (finding, "attach one that is ENABLED and VALID".to_owned(), false)
    })
}

fn environments_are_closed(evidence: &Evidence) -> Option<Finding> {
    let environments = &evidence.environments;
    let faults: Vec<Finding> = environments.iter().filter_map(closed).collect();
    (!environments.is_empty() && faults.len() == environments.len())
        .then(|| faults.into_iter().next())?
}

/// What keeps a compute environment from running anything.
fn closed(environment: &ComputeEnvironment) -> Option<Finding> {
    let name = &environment.compute_environment_name;
    let resources = &environment.compute_resources;
    if environment.status == "INVALID" {
        let finding =
            format!("the compute environment {name} is INVALID: {}", environment.status_reason);
        let mend =
            "mend what the reason names: often a role that is gone, an image, or a launch template";
        return Some((finding, mend.to_owned(), false));
    }
    if environment.state == "DISABLED" {
        let mend = format!(
            "enable it: aws batch update-compute-environment --compute-environment {name} --state ENABLED"
        );
        return Some((format!("the compute environment {name} is DISABLED"), mend, false));
    }
    (resources.max_vcpus == Some(0)).then(|| {
        let mend = "raise maxvCpus of the compute environment".to_owned();
        (format!("the compute environment {name} may have no vCPUs (maxvCpus 0)"), mend, false)
    })
}

/// What the job asks for: vCPUs and MiB.
fn asked(job: &JobDetail) -> (f64, u64) {
    let amount = |kind: &str| {
        let found = job.container.resource_requirements.iter().find(|it| it.kind == kind);
        found.and_then(|it| it.value.parse::<f64>().ok()).unwrap_or(0.0)
    };
    (amount("VCPU"), amount("MEMORY") as u64)
}

fn no_room_ever(evidence: &Evidence) -> Option<Finding> {
    let (vcpus, memory_mib) = asked(&evidence.job);
    let open = evidence.environments.iter().filter(|it| closed(it).is_none());
    let mut finding = None;
    for environment in open {
        finding = Some(too_small(environment, vcpus, memory_mib)?);
    }
    finding
}

/// Why a compute environment could never run a job of this size.
fn too_small(environment: &ComputeEnvironment, vcpus: f64, memory_mib: u64) -> Option<Finding> {
    let (name, resources) = (&environment.compute_environment_name, &environment.compute_resources);
    let most = resources.max_vcpus.unwrap_or(i64::MAX);
    if vcpus > most as f64 {
        let what = format!("the job asks for {vcpus} vCPUs, and {name} may have {most} in all");
        return Some((what, "raise maxvCpus, or lower batch.vcpus".to_owned(), false));
    }
    let largest = largest(&resources.instance_types)?;
    if vcpus <= largest.vcpus && memory_mib <= largest.usable_mib() {
        return None;
    }
    let what = format!(
        "no instance type of environment {name} fits {vcpus} vCPU + {memory_mib} MiB (largest: {} {} MiB, ~{} usable)",
        largest.name,
        largest.memory_mib,
        largest.usable_mib(),
    );
    let gib = largest.usable_mib() / 1024;
    Some((what, format!("ask for at most {gib} GiB (--mem {gib}GiB), or add a larger type"), false))
}

/// What keeps a compute environment from ever running a job of this size: what is wrong, how to mend
/// it, and whether waiting helps.
pub fn environment_fault(
    environment: &ComputeEnvironment,
    vcpus: f64,
    memory_mib: u64,
) -> Option<(String, String, bool)> {
    closed(environment).or_else(|| too_small(environment, vcpus, memory_mib))
}

fn aws_says(evidence: &Evidence, even_undetermined: bool) -> Option<Finding> {
    let reason = &evidence.job.status_reason;
    let meaning = meaning_of(reason)?;
    let is_vague = meaning.reason == "UNDETERMINED";
    (!is_vague || even_undetermined)
        .then(|| (meaning.is.to_owned(), meaning.mend.to_owned(), meaning.may_pass))
}

fn nobody_joins(evidence: &Evidence) -> Option<Finding> {
    let lonely = evidence.environments.iter().find(|environment| {
        let wants = environment.compute_resources.desired_vcpus.unwrap_or(0) > 0;
        let has_nobody = |it: &&Cluster| it.registered_container_instances_count == Some(0);
        let mut clusters = evidence.clusters.iter();
        let mut own = clusters.by_ref().filter(|it| it.cluster_arn == environment.ecs_cluster_arn);
        wants && own.any(|it| has_nobody(&it))
    })?;
    let name = &lonely.compute_environment_name;
    let subnets = lonely.compute_resources.subnets.join(", ");
    let finding = format!("machines of {name} start, but none joins its cluster");
    let mend = format!(
        "most often, in this order: the subnets ({subnets}) are public but do not auto-assign public IPv4; \
         private ones have no NAT and no endpoints for ECS, ECR and S3; the security groups allow no \
         outbound HTTPS; the instance role lacks AmazonEC2ContainerServiceforEC2Role; a custom image has no \
         ECS agent\nnext: 1. look at the route tables of these subnets  2. look at the system log of one of \
         the machines  3. turn on VPC flow logs for them"
    );
    Some((finding, mend, false))
}

/// Machines of some subnets join, and those of others do not: the subnet it is.
fn some_subnets_do_not_join(evidence: &Evidence) -> Option<Finding> {
    let is_closed = |it: &&Joined| it.started > 0 && it.joined == 0;
    let closed: Vec<&Joined> = evidence.joined.iter().filter(is_closed).collect();
    let is_open = evidence.joined.iter().any(|it| it.joined > 0);
    let worst = closed.iter().max_by_key(|it| it.started).filter(|_| is_open)?;
    let names: Vec<&str> = closed.iter().map(|it| it.subnet.as_str()).collect();
    let started: u32 = closed.iter().map(|it| it.started).sum();
    let all: u32 = evidence.joined.iter().map(|it| it.started).sum();
    let finding = format!(
        "{started} of {all} machines never joined the cluster, all of them in {}",
        names.join(", ")
    );
    let mend = format!(
        "compare {} with a subnet whose machines join: its route to the internet or to a NAT, whether it \
         auto-assigns public IPv4, its network ACL; or take it out of the compute environment",
        worst.subnet
    );
    Some((finding, mend, false))
}

fn others_are_first(evidence: &Evidence) -> Option<Finding> {
    (evidence.ahead >= MANY_AHEAD).then(|| {
        let finding = format!("{} jobs of others or more are ahead in the queue", evidence.ahead);
        (finding, "wait, or use a queue of your own or a higher priority".to_owned(), true)
    })
}

fn all_is_taken(evidence: &Evidence) -> Option<Finding> {
    let open: Vec<&ComputeEnvironment> =
        evidence.environments.iter().filter(|it| closed(it).is_none()).collect();
    let is_full = |it: &&ComputeEnvironment| {
        let resources = &it.compute_resources;
        let (wanted, most) = (resources.desired_vcpus, resources.max_vcpus);
        wanted.zip(most).is_some_and(|(wanted, most)| wanted >= most)
    };
    (!open.is_empty() && open.iter().all(is_full)).then(|| {
        let finding = "all vCPUs that the compute environments may have are in use".to_owned();
        (finding, "wait, or raise maxvCpus".to_owned(), true)
    })
}

fn nothing_found() -> Finding {
    (
        "AWS names no reason, and nothing that was looked at explains it".to_owned(),
        "wait some minutes: the first machine takes 2 to 5; then look at the quota of EC2 vCPUs, at the \
         activity of the Auto Scaling group, and at the subnets"
            .to_owned(),
        true,
    )
}

/// What was seen, line by line.
fn seen(evidence: &Evidence) -> Vec<String> {
    let mut lines = Vec::new();
    let (vcpus, memory_mib) = asked(&evidence.job);
    let job = &evidence.job;
    lines.push(format!(
        "job {} is {}, asks for {vcpus} vCPU + {memory_mib} MiB",
        job.job_id, job.status
    ));
    let reason = &job.status_reason;
    lines.push(if reason.is_empty() {
        "AWS says nothing".to_owned()
    } else {
        format!("AWS says: {reason}")
    });
    if let Some(queue) = &evidence.queue {
        lines.push(format!("queue {} {}/{}", queue.job_queue_name, queue.state, queue.status));
    }
    for environment in &evidence.environments {
        let resources = &environment.compute_resources;
        let number = |it: Option<i64>| it.map_or("?".to_owned(), |it| it.to_string());
        lines.push(format!(
            "compute environment {} {}/{} {} {}/{} vCPU",
            environment.compute_environment_name,
            environment.state,
            environment.status,
            resources.kind,
            number(resources.desired_vcpus),
            number(resources.max_vcpus),
        ));
    }
    for cluster in &evidence.clusters {
        let count = cluster.registered_container_instances_count.unwrap_or(0);
        lines.push(format!("{count} machines have joined the cluster"));
    }
    for it in &evidence.joined {
        lines.push(format!("{}: {} machines started, {} joined", it.subnet, it.started, it.joined));
    }
    if evidence.ahead > 0 {
        lines.push(format!("{} jobs of others are at the front of the queue", evidence.ahead));
    }
    lines.extend(evidence.denied.iter().map(|what| format!("not looked at: {what}")));
    lines
}

#[cfg(test)]
mod tests;
