//! What AWS is asked: services, paths, and the permission that each needs.

/// One operation of a service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// The service, as signatures and hosts have it.
    pub(super) service: &'static str,
    /// The permission, as policies have it.
    pub(super) action: &'static str,
    /// The path of the URL.
    pub(super) path: &'static str,
    /// How it is asked.
    pub(super) form: Form,
    /// Whether asking twice is as good as once.
    pub(super) is_repeatable: bool,
}

/// The protocol of a service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// REST-JSON 1.1.
    Rest,
    /// JSON 1.1, with this target.
    Target(&'static str),
    /// A query, with this version; the answer is XML.
    Query(&'static str),
}

macro_rules! rest {
    ($name:ident, $action:literal, $path:literal, $is_repeatable:literal) => {
        pub(super) const $name: Operation = Operation {
            service: "batch",
            action: concat!("batch:", $action),
            path: $path,
            form: Form::Rest,
            is_repeatable: $is_repeatable,
        };
    };
}

rest!(SUBMIT_JOB, "SubmitJob", "/v1/submitjob", false);
rest!(DESCRIBE_JOBS, "DescribeJobs", "/v1/describejobs", true);
rest!(LIST_JOBS, "ListJobs", "/v1/listjobs", true);
// The bulk calls need the permissions of the singular ones.
rest!(CANCEL_JOB, "CancelJob", "/v1/canceljob", true);
rest!(CANCEL_JOBS, "CancelJob", "/v1/canceljobs", true);
rest!(TERMINATE_JOB, "TerminateJob", "/v1/terminatejob", true);
rest!(TERMINATE_JOBS, "TerminateJob", "/v1/terminatejobs", true);
rest!(REGISTER, "RegisterJobDefinition", "/v1/registerjobdefinition", false);
rest!(DEREGISTER, "DeregisterJobDefinition", "/v1/deregisterjobdefinition", true);
rest!(DESCRIBE_DEFINITIONS, "DescribeJobDefinitions", "/v1/describejobdefinitions", true);
rest!(DESCRIBE_QUEUES, "DescribeJobQueues", "/v1/describejobqueues", true);
rest!(
    DESCRIBE_ENVIRONMENTS,
    "DescribeComputeEnvironments",
    "/v1/describecomputeenvironments",
    true
);
rest!(QUEUE_SNAPSHOT, "GetJobQueueSnapshot", "/v1/getjobqueuesnapshot", true);

pub(super) const GET_LOG_EVENTS: Operation = Operation {
    service: "logs",
    action: "logs:GetLogEvents",
    path: "/",
    form: Form::Target("Logs_20140328.GetLogEvents"),
    is_repeatable: true,
};

pub(super) const DESCRIBE_CLUSTERS: Operation = Operation {
    service: "ecs",
    action: "ecs:DescribeClusters",
    path: "/",
    form: Form::Target("AmazonEC2ContainerServiceV20141113.DescribeClusters"),
    is_repeatable: true,
};

pub(super) const CALLER_IDENTITY: Operation = Operation {
    service: "sts",
    action: "sts:GetCallerIdentity",
    path: "/",
    form: Form::Query("2011-06-15"),
    is_repeatable: true,
};

pub(super) const LIST_INSTANCES: Operation = Operation {
    service: "ecs",
    action: "ecs:ListContainerInstances",
    path: "/",
    form: Form::Target("AmazonEC2ContainerServiceV20141113.ListContainerInstances"),
    is_repeatable: true,
};

pub(super) const DESCRIBE_INSTANCES: Operation = Operation {
    service: "ecs",
    action: "ecs:DescribeContainerInstances",
    path: "/",
    form: Form::Target("AmazonEC2ContainerServiceV20141113.DescribeContainerInstances"),
    is_repeatable: true,
};

pub(super) const DESCRIBE_MACHINES: Operation = Operation {
    service: "ec2",
    action: "ec2:DescribeInstances",
    path: "/",
    form: Form::Query("2016-11-15"),
    is_repeatable: true,
};
