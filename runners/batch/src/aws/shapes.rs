//! What AWS Batch says, read leniently: what is left out, null, a number in another form or unknown
//! never fails.
//!
//! Source: the service model of AWS Batch, 2016-08-10.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A value, or its default where it is null or has another type than it should.
fn lax<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + for<'any> Deserialize<'any>,
    D: Deserializer<'de>,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// A whole number, which may be written as `2.0` or `"2"`.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_i64().or(number.as_f64().map(|it| it as i64)),
        Value::String(text) => text.parse::<f64>().ok().map(|it| it as i64),
        _ => None,
    })
}

macro_rules! shape {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[$field_meta:meta])+ $field:ident: $type:ty,)* }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Default, PartialEq, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        #[non_exhaustive]
        pub struct $name { $($(#[$field_meta])+ pub $field: $type,)* }
    };
}

shape! {
    /// A job, as DescribeJobs tells it.
    JobDetail {
        /// Its ARN.
        #[serde(deserialize_with = "lax")]
        job_arn: String,
        /// Its name.
        #[serde(deserialize_with = "lax")]
        job_name: String,
        /// Its id; children of arrays are `PARENT:INDEX`.
        #[serde(deserialize_with = "lax")]
        job_id: String,
        /// The ARN of its queue.
        #[serde(deserialize_with = "lax")]
        job_queue: String,
        /// One of the seven states.
        #[serde(deserialize_with = "lax")]
        status: String,
        /// What AWS says about that.
        #[serde(deserialize_with = "lax")]
        status_reason: String,
        /// Its attempts that have ended.
        #[serde(deserialize_with = "lax")]
        attempts: Vec<AttemptDetail>,
        /// Milliseconds since 1970.
        #[serde(deserialize_with = "whole")]
        created_at: Option<i64>,
        /// Milliseconds since 1970.
        #[serde(deserialize_with = "whole")]
        started_at: Option<i64>,
        /// Milliseconds since 1970.
        #[serde(deserialize_with = "whole")]
        stopped_at: Option<i64>,
        /// The ARN of its definition.
        #[serde(deserialize_with = "lax")]
        job_definition: String,
        /// Its container.
        #[serde(deserialize_with = "lax")]
        container: ContainerDetail,
        /// If it is an array, or of one.
        #[serde(deserialize_with = "lax")]
        array_properties: Option<ArrayProperties>,
        /// Its tags.
        #[serde(deserialize_with = "lax")]
        tags: BTreeMap<String, String>,
        /// Whether it was asked to end before it has started.
        #[serde(deserialize_with = "lax")]
        is_cancelled: bool,
        /// Whether it was asked to end.
        #[serde(deserialize_with = "lax")]
        is_terminated: bool,
    }
}

shape! {
    /// An attempt of a job.
    AttemptDetail {
        /// Its container.
        #[serde(deserialize_with = "lax")]
        container: ContainerDetail,
        /// What AWS says about its end.
        #[serde(deserialize_with = "lax")]
        status_reason: String,
        /// Milliseconds since 1970.
        #[serde(deserialize_with = "whole")]
        started_at: Option<i64>,
        /// Milliseconds since 1970.
        #[serde(deserialize_with = "whole")]
        stopped_at: Option<i64>,
    }
}

shape! {
    /// The container of a job or of an attempt.
    ContainerDetail {
        /// The image.
        #[serde(deserialize_with = "lax")]
        image: String,
        /// The program and its arguments.
        #[serde(deserialize_with = "lax")]
        command: Vec<String>,
        /// How it has ended.
        #[serde(deserialize_with = "whole")]
        exit_code: Option<i64>,
        /// What the container service says.
        #[serde(deserialize_with = "lax")]
        reason: String,
        /// Where its output is.
        #[serde(deserialize_with = "lax")]
        log_stream_name: String,
        /// Where its machine is.
        #[serde(deserialize_with = "lax")]
        container_instance_arn: String,
        /// What it may use.
        #[serde(deserialize_with = "lax")]
        resource_requirements: Vec<ResourceRequirement>,
        /// Where its output goes.
        #[serde(deserialize_with = "lax")]
        log_configuration: LogConfiguration,
        /// The role that the job has.
        #[serde(deserialize_with = "lax")]
        job_role_arn: String,
    }
}

/// A resource and how much of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ResourceRequirement {
    /// `VCPU`, `MEMORY` (MiB) or `GPU`.
    #[serde(rename = "type", deserialize_with = "lax")]
    pub kind: String,
    /// A number, as text.
    #[serde(deserialize_with = "lax")]
    pub value: String,
}

shape! {
    /// Where output goes.
    LogConfiguration {
        /// The driver.
        #[serde(deserialize_with = "lax")]
        log_driver: String,
        /// Its options.
        #[serde(deserialize_with = "lax")]
        options: BTreeMap<String, String>,
    }
}

shape! {
    /// What makes a job an array, or a child of one.
    ArrayProperties {
        /// The number of children.
        #[serde(deserialize_with = "whole")]
        size: Option<i64>,
        /// The place of a child.
        #[serde(deserialize_with = "whole")]
        index: Option<i64>,
        /// How many children are in which state.
        #[serde(deserialize_with = "lax")]
        status_summary: BTreeMap<String, u32>,
    }
}

shape! {
    /// A job, as ListJobs tells it.
    JobSummary {
        /// Its id.
        #[serde(deserialize_with = "lax")]
        job_id: String,
        /// Its name.
        #[serde(deserialize_with = "lax")]
        job_name: String,
        /// Its ARN.
        #[serde(deserialize_with = "lax")]
        job_arn: String,
        /// One of the seven states.
        #[serde(deserialize_with = "lax")]
        status: String,
        /// What AWS says about that.
        #[serde(deserialize_with = "lax")]
        status_reason: String,
        /// Milliseconds since 1970.
        #[serde(deserialize_with = "whole")]
        created_at: Option<i64>,
        /// Milliseconds since 1970.
        #[serde(deserialize_with = "whole")]
        started_at: Option<i64>,
        /// Milliseconds since 1970.
        #[serde(deserialize_with = "whole")]
        stopped_at: Option<i64>,
        /// The ARN of its definition.
        #[serde(deserialize_with = "lax")]
        job_definition: String,
        /// If it is an array, or of one.
        #[serde(deserialize_with = "lax")]
        array_properties: Option<ArrayProperties>,
        /// Its container.
        #[serde(deserialize_with = "lax")]
        container: ContainerDetail,
    }
}

shape! {
    /// A revision of a job definition.
    JobDefinition {
        /// Its name.
        #[serde(deserialize_with = "lax")]
        job_definition_name: String,
        /// Its ARN, with the revision.
        #[serde(deserialize_with = "lax")]
        job_definition_arn: String,
        /// The revision.
        #[serde(deserialize_with = "whole")]
        revision: Option<i64>,
        /// `ACTIVE` or `INACTIVE`.
        #[serde(deserialize_with = "lax")]
        status: String,
        /// Its container.
        #[serde(deserialize_with = "lax")]
        container_properties: ContainerDetail,
        /// `EC2` or `FARGATE`.
        #[serde(deserialize_with = "lax")]
        platform_capabilities: Vec<String>,
        /// Its tags.
        #[serde(deserialize_with = "lax")]
        tags: BTreeMap<String, String>,
    }
}

shape! {
    /// A queue.
    JobQueue {
        /// Its name.
        #[serde(deserialize_with = "lax")]
        job_queue_name: String,
        /// Its ARN.
        #[serde(deserialize_with = "lax")]
        job_queue_arn: String,
        /// `ENABLED` or `DISABLED`.
        #[serde(deserialize_with = "lax")]
        state: String,
        /// `VALID`, `INVALID`...
        #[serde(deserialize_with = "lax")]
        status: String,
        /// What AWS says about that.
        #[serde(deserialize_with = "lax")]
        status_reason: String,
        /// Its scheduling policy, which asks for share identifiers.
        #[serde(deserialize_with = "lax")]
        scheduling_policy_arn: String,
        /// Its compute environments, the first first.
        #[serde(deserialize_with = "lax")]
        compute_environment_order: Vec<EnvironmentOrder>,
    }
}

shape! {
    /// A compute environment of a queue.
    EnvironmentOrder {
        /// Its place.
        #[serde(deserialize_with = "whole")]
        order: Option<i64>,
        /// Its ARN or name.
        #[serde(deserialize_with = "lax")]
        compute_environment: String,
    }
}

shape! {
    /// A compute environment.
    ComputeEnvironment {
        /// Its name.
        #[serde(deserialize_with = "lax")]
        compute_environment_name: String,
        /// Its ARN.
        #[serde(deserialize_with = "lax")]
        compute_environment_arn: String,
        /// Its cluster of ECS.
        #[serde(deserialize_with = "lax")]
        ecs_cluster_arn: String,
        /// `ENABLED` or `DISABLED`.
        #[serde(deserialize_with = "lax")]
        state: String,
        /// `VALID`, `INVALID`...
        #[serde(deserialize_with = "lax")]
        status: String,
        /// What AWS says about that.
        #[serde(deserialize_with = "lax")]
        status_reason: String,
        /// What it is made of.
        #[serde(deserialize_with = "lax")]
        compute_resources: ComputeResources,
    }
}

shape! {
    /// What a compute environment is made of.
    ComputeResources {
        /// `EC2`, `SPOT`, `FARGATE` or `FARGATE_SPOT`.
        #[serde(rename = "type", deserialize_with = "lax")]
        kind: String,
        /// The most virtual cores.
        #[serde(rename = "maxvCpus", deserialize_with = "whole")]
        max_vcpus: Option<i64>,
        /// The virtual cores that it wants now.
        #[serde(rename = "desiredvCpus", deserialize_with = "whole")]
        desired_vcpus: Option<i64>,
        /// Its types of machines, or `optimal`.
        #[serde(deserialize_with = "lax")]
        instance_types: Vec<String>,
        /// Its subnets.
        #[serde(deserialize_with = "lax")]
        subnets: Vec<String>,
        /// Its security groups.
        #[serde(deserialize_with = "lax")]
        security_group_ids: Vec<String>,
        /// The role of its machines.
        #[serde(deserialize_with = "lax")]
        instance_role: String,
    }
}

shape! {
    /// A cluster of ECS.
    Cluster {
        /// Its ARN.
        #[serde(deserialize_with = "lax")]
        cluster_arn: String,
        /// Machines that have joined it.
        #[serde(deserialize_with = "whole")]
        registered_container_instances_count: Option<i64>,
    }
}

shape! {
    /// A page of a log.
    LogPage {
        /// Its lines.
        #[serde(deserialize_with = "lax")]
        events: Vec<LogEvent>,
        /// Where the next page is; the same again at the end.
        #[serde(deserialize_with = "lax")]
        next_forward_token: String,
        /// Where the page before is; the same again at the start.
        #[serde(deserialize_with = "lax")]
        next_backward_token: String,
    }
}

/// A line of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct LogEvent {
    /// When it was written, in milliseconds since 1970.
    #[serde(deserialize_with = "lax")]
    pub timestamp: i64,
    /// The text.
    #[serde(deserialize_with = "lax")]
    pub message: String,
    /// When AWS has got it, in milliseconds since 1970.
    #[serde(deserialize_with = "lax")]
    pub ingestion_time: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// D28: optional fields that are not there, are null or new never break anything.
    #[test]
    fn jobs_are_read_whatever_they_lack() {
        let job: JobDetail = serde_json::from_value(json!({})).expect("empty");
        assert_eq!(job, JobDetail::default());
        let odd = json!({
            "jobId": "j", "status": null, "createdAt": 12.0, "startedAt": "7", "attempts": null,
            "container": {"exitCode": "137", "vcpus": 1.0, "resourceRequirements": [{"type": "GPU"}]},
            "arrayProperties": {"size": 3.0, "statusSummary": {"RUNNING": 2}},
            "tags": {"a": 1}, "somethingNew": [{}],
        });
        let job: JobDetail = serde_json::from_value(odd).expect("odd, and read");
        assert_eq!((job.created_at, job.started_at), (Some(12), Some(7)));
        assert_eq!(job.container.exit_code, Some(137));
        let array = job.array_properties.expect("an array");
        assert_eq!((array.size, array.status_summary["RUNNING"]), (Some(3), 2));
    }

    #[test]
    fn definitions_queues_and_environments_are_read() {
        let definition = json!({"jobDefinitionName": "d", "revision": 3, "nodeProperties": {}});
        let definition: JobDefinition = serde_json::from_value(definition).expect("read");
        assert_eq!(definition.revision, Some(3));
        let environment = json!({"computeResources": {"type": "SPOT", "maxvCpus": 64}});
        let environment: ComputeEnvironment = serde_json::from_value(environment).expect("read");
        assert_eq!(environment.compute_resources.max_vcpus, Some(64));
    }
}
