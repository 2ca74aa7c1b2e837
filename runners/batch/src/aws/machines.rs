//! Types of machines of EC2, as far as their names tell their size.

/// A type and its size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) vcpus: f64,
    pub(super) memory_mib: u64,
}

/// GiB of memory for each vCPU, by the letter of the family.
const MEMORY_PER_VCPU: [(char, u64); 4] = [('c', 2), ('m', 4), ('r', 8), ('z', 8)];

impl Machine {
    /// What the name tells; nothing for families that follow no rule.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (family, size) = name.split_once('.')?;
        let vcpus = match size {
            "medium" => 1,
            "large" => 2,
            "xlarge" => 4,
            _ => 4 * size.strip_suffix("xlarge")?.parse::<u64>().ok()?,
        };
        let letters: String = family.chars().take_while(char::is_ascii_alphabetic).collect();
        let per_vcpu = MEMORY_PER_VCPU.iter().find(|(letter, _)| letters == letter.to_string())?.1;
        let memory_mib = vcpus * per_vcpu * 1024;
        Some(Self { name: name.to_owned(), vcpus: vcpus as f64, memory_mib })
    }

    /// Memory that jobs may have: the system and the agent keep some for themselves.
    pub(super) fn usable_mib(&self) -> u64 {
        self.memory_mib * 94 / 100
    }
}

/// The type with the most memory; nothing if one of them is a family or not understood.
pub(super) fn largest(names: &[String]) -> Option<Machine> {
    let all: Option<Vec<Machine>> = names.iter().map(|name| Machine::of(name)).collect();
    all?.into_iter().max_by_key(|machine| machine.memory_mib)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_from_names() {
        let check = |name: &str, want: Option<(f64, u64)>| {
            let got = Machine::of(name).map(|it| (it.vcpus, it.memory_mib));
            assert_eq!(got, want, "{name}");
        };
        check("m5.xlarge", Some((4.0, 16_384)));
        check("c6gn.4xlarge", Some((16.0, 32_768)));
        check("x2gd.large", None);
        check("r7.large", Some((2.0, 16_384)));
        check("optimal", None);
        check("m5", None);
        check("p3.2xlarge", None);
        let names = ["m5.large", "r5.large"].map(str::to_owned);
        assert_eq!(largest(&names).map(|it| it.name), Some("r5.large".to_owned()));
        assert_eq!(largest(&["m5.large".to_owned(), "optimal".to_owned()]), None);
    }
}
