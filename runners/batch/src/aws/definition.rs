//! Job definitions: the one that a run uses, found by its name or by the hash of what it says.
//!
//! What differs from job to job (command, environment, size, time) is never part of it, so that one
//! definition serves all runs with one image.

use std::fmt::Write;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::aws::api::{BatchApi, Read};
use crate::aws::settings::{BatchSettings, Platform};
use crate::aws::shapes::JobDefinition;
use crate::aws::units::invalid;

/// The tag of definitions that were registered here.
pub const DEFINITION_TAG: &str = "levain:definition";
/// Bytes of the hash that the name shows.
const HASH_BYTES: usize = 6;

/// A definition that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct DefinitionRequest {
    /// Its name.
    pub name: String,
    /// The request that registers it.
    pub json: Value,
}

/// What came of ensuring a definition.
#[derive(Debug, Clone, PartialEq)]
pub enum Ensured {
    /// It is there as it is wanted.
    Found(Read<JobDefinition>),
    /// It was registered; what is different from the revision before: field, old, new.
    Registered(Read<JobDefinition>, Vec<(String, String, String)>),
}

impl DefinitionRequest {
    /// What the settings want, under this name or one that is made of the hash of what it says.
    ///
    /// # Errors
    /// No image, or a size that the platform does not offer.
    pub fn new(settings: &BatchSettings, name: Option<&str>) -> Result<Self> {
        settings.check()?;
        let image = settings.image.as_deref().ok_or_else(|| {
            invalid("no image is named").mend("set batch.image or --image, or name a job definition that is there (batch.job_definition)")
        })?;
        let is_fargate = settings.platform == Platform::Fargate;
        if is_fargate && settings.execution_role.is_none() {
            return Err(invalid("Fargate needs an execution role")
                .mend("set batch.execution_role; `levain infra print` makes one"));
        }
        let mut container = json!({
            "image": image,
            "command": [],
            "resourceRequirements": resources(settings.vcpus, settings.memory_ladder[0].0, 0),
            "logConfiguration": { "logDriver": "awslogs", "options": {} },
        });
        if let Some(group) = &settings.log_group {
            container["logConfiguration"]["options"]["awslogs-group"] = group.as_str().into();
        }
        if let Some(role) = &settings.job_role {
            container["jobRoleArn"] = role.as_str().into();
        }
        if let Some(role) = &settings.execution_role {
            container["executionRoleArn"] = role.as_str().into();
        }
        if is_fargate {
            // Without it a container in a public subnet reaches nobody.
            container["networkConfiguration"] = json!({ "assignPublicIp": "ENABLED" });
        }
        let hash = hash_of(&container, settings.platform);
        let name = name.map_or_else(|| format!("levain-{hash}"), str::to_owned);
        let json = json!({
            "jobDefinitionName": name,
            "type": "container",
            "containerProperties": container,
            "platformCapabilities": [settings.platform.name()],
            "propagateTags": true,
            "tags": { DEFINITION_TAG: hash },
        });
        Ok(Self { name, json })
    }

    /// Finds the definition, or registers it.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses.
    pub fn ensure(&self, api: &BatchApi) -> Result<Ensured> {
        let differences = match api.definitions(Some(&self.name), true)?.into_iter().next() {
            None => Vec::new(),
            Some(newest) => {
                let differences = self.differences(&newest.json);
                if differences.is_empty() {
                    return Ok(Ensured::Found(newest));
                }
                differences
            }
        };
        Ok(Ensured::Registered(api.register(&self.json)?, differences))
    }

    /// What is not as it is wanted: field, as it is, as it should be.
    fn differences(&self, there: &Value) -> Vec<(String, String, String)> {
        let fields = [
            ("image", "/containerProperties/image"),
            ("job role", "/containerProperties/jobRoleArn"),
            ("execution role", "/containerProperties/executionRoleArn"),
            ("log group", "/containerProperties/logConfiguration/options/awslogs-group"),
            ("platform", "/platformCapabilities/0"),
        ];
        let shown = |json: &Value, pointer: &str| {
            json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let compared = fields.into_iter().map(|(field, pointer)| {
            (field.to_owned(), shown(there, pointer), shown(&self.json, pointer))
        });
        compared.filter(|(_, old, new)| old != new).collect()
    }
}

/// The definition that jobs of these settings are submitted with; asks AWS only if it must.
///
/// # Errors
/// None is named and none is there: nothing is registered unless the settings say so.
pub(super) fn definition_of(settings: &BatchSettings, api: &BatchApi) -> Result<String> {
    if let Some(named) = &settings.job_definition {
        return Ok(named.clone());
    }
    let wanted = DefinitionRequest::new(settings, None)?;
    if settings.register_job_definition {
        return Ok(match wanted.ensure(api)? {
            Ensured::Found(found) | Ensured::Registered(found, _) => whole_name(&found.value),
        });
    }
    match api.definitions(Some(&wanted.name), true)?.first() {
        Some(found) => Ok(whole_name(&found.value)),
        None => {
            let message = format!("there is no job definition `{}` for this image", wanted.name);
            Err(Error::new(ErrorCode::UNKNOWN_JOB, ErrorKind::NotFound, message).mend(
                "run `levain batch jobdef ensure` once with the same settings, or name one that is there (batch.job_definition)",
            ))
        }
    }
}

/// `name:revision`.
pub fn whole_name(definition: &JobDefinition) -> String {
    match definition.revision {
        Some(revision) => format!("{}:{revision}", definition.job_definition_name),
        None => definition.job_definition_name.clone(),
    }
}

/// What a job may use, as AWS takes it.
pub(super) fn resources(vcpus: f64, memory_mib: u64, gpus: u32) -> Value {
    let mut resources = vec![
        json!({ "type": "VCPU", "value": vcpus.to_string() }),
        json!({ "type": "MEMORY", "value": memory_mib.to_string() }),
    ];
    if gpus > 0 {
        resources.push(json!({ "type": "GPU", "value": gpus.to_string() }));
    }
    resources.into()
}

/// Hash of what tells definitions apart; sizes do not, since every job brings its own.
fn hash_of(container: &Value, platform: Platform) -> String {
    let mut canonical = container.clone();
    if let Some(fields) = canonical.as_object_mut() {
        fields.shift_remove("resourceRequirements");
        fields.sort_keys();
    }
    let digest = Sha256::digest(format!("{}{canonical}", platform.name()));
    digest.iter().take(HASH_BYTES).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every text");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: Value) -> BatchSettings {
        serde_json::from_value(json).expect("settings")
    }

    /// D20: the request, as it goes out.
    #[test]
    fn the_request_is_this() {
        let role = "arn:aws:iam::123456789012:role/x";
        let said = settings(json!({"image": "ghcr.io/me/levain:1", "job_role": role}));
        let request = DefinitionRequest::new(&said, Some("levain")).expect("a request");
        let hash = request.json["tags"][DEFINITION_TAG].as_str().expect("a hash").to_owned();
        assert_eq!(hash.len(), 12);
        let want = json!({
            "jobDefinitionName": "levain",
            "type": "container",
            "containerProperties": {
                "image": "ghcr.io/me/levain:1",
                "command": [],
                "resourceRequirements": [
                    {"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"},
                ],
                "logConfiguration": {"logDriver": "awslogs", "options": {}},
                "jobRoleArn": role,
            },
            "platformCapabilities": ["EC2"],
            "propagateTags": true,
            "tags": {"levain:definition": hash},
        });
        assert_eq!(request.json, want);
    }

    #[test]
    fn names_follow_from_what_tells_definitions_apart() {
        let name = |json: Value| DefinitionRequest::new(&settings(json), None).expect("ok").name;
        let plain = name(json!({"image": "a"}));
        assert!(plain.starts_with("levain-") && plain.len() == 19, "{plain}");
        assert_eq!(plain, name(json!({"image": "a", "vcpus": 4.0, "workers": 3})));
        assert_ne!(plain, name(json!({"image": "b"})));
        assert_ne!(plain, name(json!({"image": "a", "log_group": "/x"})));
        let refused = DefinitionRequest::new(&settings(json!({})), None).expect_err("no image");
        assert!(refused.to_string().contains("batch.image"), "{refused}");
    }
}
