//! Which operation a request is for.

use percent_encoding::percent_decode_str;

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::world::World;
use crate::{definitions, describe, list, logs, places, stop, submit, tags};

pub(crate) type Operation = fn(&mut World, Ask<'_>) -> Answer;

/// Operations of Batch by their names; a path is the name in lower case.
const OPERATIONS: [(&str, Operation); 17] = [
    ("CancelJob", stop::cancel),
    ("CancelJobs", stop::cancel_many),
    ("CreateComputeEnvironment", places::create_environment),
    ("CreateJobQueue", places::create_queue),
    ("DeregisterJobDefinition", definitions::deregister),
    ("DescribeComputeEnvironments", places::describe_environments),
    ("DescribeJobDefinitions", definitions::describe),
    ("DescribeJobQueues", places::describe_queues),
    ("DescribeJobs", describe::describe),
    ("GetJobQueueSnapshot", places::snapshot),
    ("ListJobs", list::list),
    ("RegisterJobDefinition", definitions::register),
    ("SubmitJob", submit::submit),
    ("TerminateJob", stop::terminate),
    ("TerminateJobs", stop::terminate_many),
    ("UpdateJobQueue", places::update_queue),
    ("UpdateComputeEnvironment", places::update_environment),
];

/// What a request is for.
pub(crate) enum Called {
    Operation(Operation),
    /// The path names an ARN besides.
    Tags(fn(&mut World, &str, Ask<'_>) -> Answer, String),
    /// A query of STS, as it was sent.
    Query(Vec<u8>),
}

/// The operation that a request is for, and its name as it is counted.
pub(crate) fn find(method: &str, target: &str, aim: Option<&str>) -> Answer<(String, Called)> {
    let unknown = |what: &str| {
        let status = if aim.is_some() { 400 } else { 404 };
        Refusal::new(status, "UnknownOperationException", format!("{what} is not emulated"))
    };
    if let Some(aim) = aim {
        let (name, operation): (_, Operation) = match aim {
            "Logs_20140328.GetLogEvents" => ("logs:GetLogEvents", logs::get_events),
            "AmazonEC2ContainerServiceV20141113.DescribeClusters" => {
                ("ecs:DescribeClusters", places::describe_clusters)
            }
            _ => return Err(unknown(aim)),
        };
        return Ok((name.to_owned(), Called::Operation(operation)));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if let Some(arn) = path.strip_prefix("/v1/tags/") {
        let arn = percent_decode_str(arn).decode_utf8_lossy().into_owned();
        return match method {
            "GET" => Ok(("ListTagsForResource".to_owned(), Called::Tags(tags::list, arn))),
            "POST" => Ok(("TagResource".to_owned(), Called::Tags(tags::add, arn))),
            "DELETE" => {
                // The names of what is removed stand in the query, and travel behind the ARN.
                let arn = format!("{arn}?{query}");
                Ok(("UntagResource".to_owned(), Called::Tags(tags::remove, arn)))
            }
            _ => Err(unknown(target)),
        };
    }
    let segment = path.strip_prefix("/v1/").filter(|_| method == "POST");
    let found = OPERATIONS
        .iter()
        .find(|(name, _)| segment.is_some_and(|segment| segment == name.to_ascii_lowercase()));
    let (name, operation) = found.ok_or_else(|| unknown(target))?;
    Ok(((*name).to_owned(), Called::Operation(*operation)))
}
