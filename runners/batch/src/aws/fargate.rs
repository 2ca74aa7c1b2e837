//! The sizes that Fargate offers: cores and memory go together.

use dataflow::error::Result;

use crate::aws::units::{Mebibytes, invalid};

/// Virtual cores, and the memory that goes with them: the least, the most, and the step, in MiB.
///
/// Source: AWS, "Task CPU and memory" of Fargate.
const SIZES: [(f64, u64, u64, u64); 7] = [
    (0.25, 512, 2048, 512),
    (0.5, 1024, 4096, 1024),
    (1.0, 2048, 8192, 1024),
    (2.0, 4096, 16_384, 1024),
    (4.0, 8192, 30_720, 1024),
    (8.0, 16_384, 61_440, 4096),
    (16.0, 32_768, 122_880, 8192),
];

/// Checks that Fargate offers this size.
///
/// # Errors
/// One that it does not offer, with what it does.
pub fn check_fargate(vcpus: f64, memory: Mebibytes) -> Result<()> {
    let Some((_, least, most, step)) = SIZES.iter().find(|size| size.0 == vcpus) else {
        let all = SIZES.map(|size| size.0.to_string()).join(", ");
        let message = format!("Fargate offers no {vcpus} vCPU");
        return Err(invalid(message).mend(format!("it offers {all}")));
    };
    // A quarter of a core comes with 512, 1024 or 2048 alone.
    let is_gap = vcpus == 0.25 && memory.0 == 1536;
    if (*least..=*most).contains(&memory.0) && memory.0.is_multiple_of(*step) && !is_gap {
        return Ok(());
    }
    let message = format!("Fargate offers no {vcpus} vCPU with {memory}");
    let mend = format!("with {vcpus} vCPU it offers {least} to {most} MiB in steps of {step} MiB");
    Err(invalid(message).mend(mend))
}

/// Which kinds of machines a worker of this size fits, for people.
pub fn fitting_classes(vcpus: f64, memory: Mebibytes, gpus: u32) -> Vec<&'static str> {
    let mut classes = vec!["EC2", "EC2 spot"];
    if gpus == 0 && check_fargate(vcpus, memory).is_ok() {
        classes.extend(["Fargate", "Fargate spot"]);
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D22, E50.
    #[test]
    fn cores_and_memory_go_together() {
        let check = |vcpus: f64, memory: u64, want: Option<&str>| {
            let said = check_fargate(vcpus, Mebibytes(memory)).err().map(|it| it.to_string());
            assert_eq!(said.is_some(), want.is_some(), "{vcpus} {memory}: {said:?}");
            assert!(want.is_none_or(|word| said.is_some_and(|it| it.contains(word))));
        };
        check(1.0, 2048, None);
        check(4.0, 30_720, None);
        check(8.0, 20_480, None);
        check(1.0, 512, Some("2048 to 8192 MiB"));
        check(8.0, 17_408, Some("steps of 4096"));
        check(3.0, 8192, Some("0.25, 0.5, 1, 2, 4, 8, 16"));
        check(0.25, 1536, Some("512"));
        let gpu = fitting_classes(1.0, Mebibytes(2048), 1);
        assert_eq!(gpu, ["EC2", "EC2 spot"]);
        assert_eq!(fitting_classes(1.0, Mebibytes(2048), 0).len(), 4);
    }
}
