//! The permissions that a run needs, and no more.
//!
//! Source: "Actions, resources, and condition keys for AWS Batch", Service Authorization Reference.

use serde_json::{Value, json};

/// Who is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grantee {
    /// Whoever plans a run, starts its workers and looks on.
    Driver,
    /// The role that workers have.
    Worker,
}

/// For what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyScope {
    /// The bucket of the runs.
    pub bucket: String,
    /// What keys begin with there, without a `/` at its end; may be empty.
    pub prefix: String,
    /// The names of the queues; none for all.
    pub queues: Vec<String>,
    /// The name of the job definition, if it is not one of ours.
    pub job_definition: Option<String>,
    /// The ARNs of the roles that jobs get; none for all.
    pub roles: Vec<String>,
}

/// What may be looked at cannot be narrowed to a resource.
const LOOKS: [&str; 6] = [
    "batch:DescribeComputeEnvironments",
    "batch:DescribeJobDefinitions",
    "batch:DescribeJobQueues",
    "batch:DescribeJobs",
    "batch:GetJobQueueSnapshot",
    "batch:ListJobs",
];

/// A policy of IAM.
pub fn policy(grantee: Grantee, scope: &PolicyScope) -> Value {
    let mut statements = store(scope);
    if grantee == Grantee::Driver {
        statements.extend(driver(scope));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn store(scope: &PolicyScope) -> Vec<Value> {
    let bucket = format!("arn:aws:s3:::{}", scope.bucket);
    let below = match scope.prefix.as_str() {
        "" => "*".to_owned(),
        prefix => format!("{prefix}/*"),
    };
    let objects = json!({
        "Sid": "Objects",
        "Effect": "Allow",
        "Action": ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        "Resource": format!("{bucket}/{below}"),
    });
    let list = json!({
        "Sid": "List",
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": bucket,
        "Condition": { "StringLike": { "s3:prefix": [below] } },
    });
    vec![objects, list]
}

fn driver(scope: &PolicyScope) -> Vec<Value> {
    let of_batch = |resource: &str| format!("arn:aws:batch:*:*:{resource}");
    let queues: Vec<String> = match scope.queues.as_slice() {
        [] => vec![of_batch("job-queue/*")],
        names => names.iter().map(|name| queue_arn(name)).collect(),
    };
    let own = of_batch("job-definition/levain-*");
    let plain = scope.job_definition.as_deref().map(|name| {
        let name = name.rsplit('/').next().unwrap_or(name);
        name.split(':').next().unwrap_or(name)
    });
    let definition =
        plain.map_or_else(|| own.clone(), |name| of_batch(&format!("job-definition/{name}")));
    let definitions = vec![definition.clone(), format!("{definition}:*")];
    let submitted = [queues, definitions].concat();
    let bucket = format!("arn:aws:s3:::{}", scope.bucket);
    let mut statements = vec![
        json!({
            "Sid": "Submit",
            "Effect": "Allow",
            "Action": "batch:SubmitJob",
            "Resource": submitted,
        }),
        json!({
            "Sid": "StopOwnJobs",
            "Effect": "Allow",
            "Action": ["batch:CancelJob", "batch:TerminateJob"],
            "Resource": of_batch("job/*"),
            "Condition": { "Null": { "aws:ResourceTag/levain:run": "false" } },
        }),
        json!({
            "Sid": "Tag",
            "Effect": "Allow",
            "Action": "batch:TagResource",
            "Resource": [of_batch("job/*"), of_batch("job-definition/levain-*")],
        }),
        // Conditions on prefixes are not known to it.
        json!({
            "Sid": "Uploads",
            "Effect": "Allow",
            "Action": "s3:ListBucketMultipartUploads",
            "Resource": bucket,
        }),
        json!({ "Sid": "Look", "Effect": "Allow", "Action": LOOKS, "Resource": "*" }),
        json!({
            "Sid": "OwnDefinitions",
            "Effect": "Allow",
            "Action": ["batch:DeregisterJobDefinition", "batch:RegisterJobDefinition"],
            "Resource": [own.clone(), format!("{own}:*")],
        }),
    ];
    statements.extend(beside(scope));
    statements
}

/// What drivers need of other services.
fn beside(scope: &PolicyScope) -> Vec<Value> {
    let roles = if scope.roles.is_empty() {
        vec!["arn:aws:iam::*:role/levain-*".to_owned()]
    } else {
        scope.roles.clone()
    };
    vec![
        json!({
            "Sid": "GiveRolesToJobs",
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": roles,
            "Condition": { "StringEquals": { "iam:PassedToService": "ecs-tasks.amazonaws.com" } },
        }),
        json!({
            "Sid": "Logs",
            "Effect": "Allow",
            "Action": "logs:GetLogEvents",
            "Resource": "arn:aws:logs:*:*:log-group:/aws/batch/job:*",
        }),
        json!({
            "Sid": "Diagnose",
            "Effect": "Allow",
            "Action": [
                "ec2:DescribeInstances",
                "ecs:DescribeClusters",
                "ecs:DescribeContainerInstances",
                "ecs:ListContainerInstances",
            ],
            "Resource": "*",
        }),
    ]
}

fn queue_arn(name: &str) -> String {
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    format!("arn:aws:batch:*:*:job-queue/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(policy: &Value) -> Vec<String> {
        let statements = policy["Statement"].as_array().expect("statements");
        let of = |it: &Value| match &it["Action"] {
            Value::Array(all) => {
                all.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()
            }
            one => vec![one.as_str().expect("an action").to_owned()],
        };
        statements.iter().flat_map(of).collect()
    }

    #[test]
    fn workers_may_reach_their_prefix_and_nothing_of_batch() {
        let scope = PolicyScope {
            bucket: "bakery".to_owned(),
            prefix: "runs".to_owned(),
            ..PolicyScope::default()
        };
        let worker = policy(Grantee::Worker, &scope);
        assert!(actions(&worker).iter().all(|it| it.starts_with("s3:")), "{worker}");
        assert_eq!(worker["Statement"][0]["Resource"], "arn:aws:s3:::bakery/runs/*");
        assert_eq!(worker["Statement"][1]["Condition"]["StringLike"]["s3:prefix"][0], "runs/*");
    }

    /// E26: every operation that is called has its permission in the policy of the driver.
    #[test]
    fn drivers_may_do_what_is_called() {
        use crate::aws::operations as of;
        let scope = PolicyScope { queues: vec!["q".to_owned()], ..PolicyScope::default() };
        let driver = policy(Grantee::Driver, &scope);
        let allowed = actions(&driver);
        let called = [
            &of::SUBMIT_JOB,
            &of::DESCRIBE_JOBS,
            &of::LIST_JOBS,
            &of::CANCEL_JOB,
            &of::TERMINATE_JOB,
            &of::REGISTER,
            &of::DEREGISTER,
            &of::DESCRIBE_DEFINITIONS,
            &of::DESCRIBE_QUEUES,
            &of::DESCRIBE_ENVIRONMENTS,
            &of::QUEUE_SNAPSHOT,
            &of::GET_LOG_EVENTS,
            &of::DESCRIBE_CLUSTERS,
            &of::LIST_INSTANCES,
            &of::DESCRIBE_INSTANCES,
            &of::DESCRIBE_MACHINES,
        ];
        for operation in called {
            assert!(allowed.iter().any(|it| it == operation.action), "{}", operation.action);
        }
        assert_eq!(driver["Statement"][2]["Resource"][0], "arn:aws:batch:*:*:job-queue/q");
        assert!(!driver.to_string().contains("\"Action\":\"*\""), "{driver}");
    }
}
