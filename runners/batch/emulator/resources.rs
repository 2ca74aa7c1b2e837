//! vCPUs, memory and GPUs of a job, and what Batch accepts of them.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;

/// What a container may use, as texts of the request; where they are missing, nothing was said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resources {
    vcpu: Option<String>,
    memory: Option<String>,
    gpu: Option<String>,
}

/// vCPUs and the memory that goes with them on Fargate: from, to, and in steps of so many GiB.
///
/// Source: the table of Nextflow's executor for Batch.
const FARGATE_GIB: [(&str, u64, u64, u64); 5] =
    [("1", 2, 8, 1), ("2", 4, 16, 1), ("4", 8, 30, 1), ("8", 16, 60, 4), ("16", 32, 120, 8)];
/// Memory for parts of a vCPU, in MiB.
const FARGATE_PARTS: [(&str, &[u64]); 2] =
    [("0.25", &[512, 1024, 2048]), ("0.5", &[1024, 2048, 3072, 4096])];

impl Resources {
    pub(crate) fn parse(ask: Ask<'_>) -> Answer<Self> {
        let mut resources = Self::default();
        for requirement in ask.objects("resourceRequirements")? {
            let value = Some(requirement.text("value")?.to_owned());
            match requirement.text("type")? {
                "VCPU" => resources.vcpu = value,
                "MEMORY" => resources.memory = value,
                "GPU" => resources.gpu = value,
                other => {
                    let message = format!("{other} is no type of resource: VCPU, MEMORY, GPU");
                    return Err(Refusal::client(message));
                }
            }
        }
        Ok(resources)
    }

    /// These, and those of the definition for what is not said here.
    pub(crate) fn over(self, definition: &Self) -> Self {
        let definition = definition.clone();
        Self {
            vcpu: self.vcpu.or(definition.vcpu),
            memory: self.memory.or(definition.memory),
            gpu: self.gpu.or(definition.gpu),
        }
    }

    /// Refuses what a container cannot be given.
    pub(crate) fn check(&self, is_fargate: bool) -> Answer<()> {
        let (Some(vcpu), Some(memory)) = (&self.vcpu, &self.memory) else {
            let message = "Container properties must have resourceRequirements VCPU and MEMORY";
            return Err(Refusal::client(message));
        };
        let refused = |what: &str| {
            let platform = if is_fargate { "Fargate" } else { "EC2" };
            Err(Refusal::client(format!(
                "Error executing request, Exception : {what} for {platform} (VCPU {vcpu}, MEMORY {memory})"
            )))
        };
        let Ok(memory_mib) = memory.parse::<u64>() else {
            return refused("MEMORY is no whole number of MiB");
        };
        if memory_mib < 4 {
            return refused("MEMORY must be at least 4 MiB");
        }
        if let Some(gpu) = &self.gpu
            && gpu.parse::<u32>().is_err()
        {
            return refused("GPU is no whole number");
        }
        if is_fargate {
            return if fits_fargate(vcpu, memory_mib) {
                Ok(())
            } else {
                refused("VCPU and MEMORY do not go together")
            };
        }
        // On EC2 the service refuses even "2.0".
        match vcpu.parse::<u32>() {
            Ok(1..) => Ok(()),
            _ => refused("VCPU is no whole number"),
        }
    }

    /// Thousandths of vCPUs; 0 if nothing was said.
    pub(crate) fn milli_vcpus(&self) -> u64 {
        let vcpus: f64 = self.vcpu.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        (vcpus * 1000.0) as u64
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        let mib = self.memory.as_deref().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        mib.saturating_mul(1 << 20)
    }

    pub(crate) fn to_json(&self) -> Value {
        let all = [("VCPU", &self.vcpu), ("MEMORY", &self.memory), ("GPU", &self.gpu)];
        let said = all.into_iter().filter_map(|(kind, value)| {
            value.as_ref().map(|value| json!({"type": kind, "value": value}))
        });
        said.collect()
    }
}

fn fits_fargate(vcpu: &str, memory_mib: u64) -> bool {
    let whole = FARGATE_GIB.iter().any(|(count, low, high, step)| {
        let gib = memory_mib / 1024;
        *count == vcpu
            && memory_mib.is_multiple_of(1024)
            && (*low..=*high).contains(&gib)
            && (gib - low).is_multiple_of(*step)
    });
    whole
        || FARGATE_PARTS.iter().any(|(count, sizes)| *count == vcpu && sizes.contains(&memory_mib))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(vcpu: &str, memory: &str, is_fargate: bool, want: bool) {
        let resources =
            Resources { vcpu: Some(vcpu.to_owned()), memory: Some(memory.to_owned()), gpu: None };
        assert_eq!(resources.check(is_fargate).is_ok(), want);
    }

    #[test]
    fn what_a_platform_cannot_give_is_refused() {
        check("2", "500", false, true);
        check("2.0", "500", false, false);
        check("0", "500", false, false);
        check("1", "3", false, false);
        check("1", "2048", true, true);
        check("1", "9216", true, false);
        check("8", "20480", true, true);
        check("8", "21504", true, false);
        check("0.25", "512", true, true);
    }
}
