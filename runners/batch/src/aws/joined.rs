//! Which machines of a compute environment have joined its cluster, subnet by subnet.
//!
//! Batch starts them by an Auto Scaling group whose name begins with that of the environment.

use std::collections::{BTreeMap, BTreeSet};

use dataflow::error::Result;
use serde_json::{Value, json};

use crate::aws::api::BatchApi;
use crate::aws::operations::{DESCRIBE_INSTANCES, DESCRIBE_MACHINES, LIST_INSTANCES};

/// Machines that are looked at, at the most.
const MOST: usize = 100;

/// The machines of a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) subnet: String,
    /// Machines that run.
    pub(super) started: u32,
    /// Those of them that have joined the cluster.
    pub(super) joined: u32,
}

/// The machines of a compute environment, by subnet.
///
/// Cost: three requests.
///
/// # Errors
/// AWS cannot be asked, or refuses.
pub(super) fn joined(api: &BatchApi, environment: &str, cluster: &str) -> Result<Vec<Joined>> {
    let request = json!({
        "Filter.1.Name": "tag:aws:autoscaling:groupName",
        "Filter.1.Value.1": format!("{environment}-asg-*"),
        "Filter.2.Name": "instance-state-name",
        "Filter.2.Value.1": "running",
    });
    let answer = api.ask(&DESCRIBE_MACHINES, &request)?;
    let started = machines_of(answer.as_str().unwrap_or_default());
    if started.is_empty() {
        return Ok(Vec::new());
    }
    let list = json!({ "cluster": cluster, "maxResults": MOST });
    let arns = api.ask(&LIST_INSTANCES, &list)?["containerInstanceArns"].clone();
    let has_some = arns.as_array().is_some_and(|arns| !arns.is_empty());
    let members = if has_some {
        let request = json!({ "cluster": cluster, "containerInstances": arns });
        members_of(&api.ask(&DESCRIBE_INSTANCES, &request)?)
    } else {
        BTreeSet::new()
    };
    let mut subnets: BTreeMap<String, Joined> = BTreeMap::new();
    for (machine, subnet) in started {
        let new = || Joined { subnet: subnet.clone(), started: 0, joined: 0 };
        let own = subnets.entry(subnet.clone()).or_insert_with(new);
        own.started += 1;
        own.joined += u32::from(members.contains(&machine));
    }
    Ok(subnets.into_values().collect())
}

/// Machines and their subnets, in the XML of EC2.
fn machines_of(xml: &str) -> Vec<(String, String)> {
    let mut pieces = xml.split("<instanceId>");
    pieces.next();
    let machine = |piece: &str| {
        let (id, rest) = piece.split_once('<')?;
        // The first is that of the machine itself; those of its interfaces follow.
        let (_, subnet) = rest.split_once("<subnetId>")?;
        Some((id.to_owned(), subnet.split_once('<')?.0.to_owned()))
    };
    pieces.filter_map(machine).collect()
}

fn members_of(answer: &Value) -> BTreeSet<String> {
    let instances = answer["containerInstances"].as_array().cloned().unwrap_or_default();
    let id = |it: &Value| it["ec2InstanceId"].as_str().map(str::to_owned);
    instances.iter().filter_map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::tests::{ok, stub};
    use crate::loopback::Answer;

    /// E41, E44: what was started and what has joined, by subnet.
    #[test]
    fn machines_are_counted_by_subnet() {
        let (server, api) = stub(|seen, _| match seen.header("x-amz-target") {
            None => {
                let machine = |id: &str, subnet: &str| {
                    format!(
                        "<item><instanceId>{id}</instanceId><subnetId>{subnet}</subnetId>\
                         <networkInterfaceSet><item><subnetId>other</subnetId></item>\
                         </networkInterfaceSet></item>"
                    )
                };
                let all = [("i-1", "a"), ("i-2", "b"), ("i-3", "a"), ("i-4", "b")];
                let text: String = all.iter().map(|(id, subnet)| machine(id, subnet)).collect();
                Answer { body: text.into_bytes(), ..Answer::status(200) }
            }
            Some(target) if target.ends_with(".ListContainerInstances") => {
                ok(&json!({ "containerInstanceArns": ["x", "y"] }))
            }
            Some(_) => ok(&json!({ "containerInstances":
                [{ "ec2InstanceId": "i-1" }, { "ec2InstanceId": "i-3" }] })),
        });
        let found = joined(&api, "ce-spot", "cluster").expect("answered");
        let (a, b) = (("a", 2, 2), ("b", 2, 0));
        let told: Vec<_> =
            found.iter().map(|it| (it.subnet.as_str(), it.started, it.joined)).collect();
        assert_eq!(told, [a, b]);
        let asked = &server.seen()[0].body;
        assert!(asked.starts_with("Action=DescribeInstances&Version=2016-11-15&"), "{asked}");
        assert!(asked.contains("Filter.1.Value.1=ce-spot-asg-*"), "{asked}");
    }
}
