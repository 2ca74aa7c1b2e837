//! Names and ARNs of resources of AWS, checked by their shape: nothing is asked.

/// What a resource of this type is written as, for people.
pub(super) fn expects(resource: &str) -> String {
    match resource {
        "role" => "a role of IAM by its ARN, arn:aws:iam::ACCOUNT:role/NAME".to_owned(),
        _ => format!("a {resource} by its name, or arn:aws:batch:REGION:ACCOUNT:{resource}/NAME"),
    }
}

/// Checks a name or an ARN.
///
/// # Errors
/// What part of it is wrong.
pub(super) fn check(resource: &str, text: &str) -> Result<(), String> {
    let Some(arn) = text.strip_prefix("arn:") else {
        if resource == "role" || !is_name(resource, text) {
            return Err(format!("it takes {}", expects(resource)));
        }
        return Ok(());
    };
    let parts: Vec<&str> = arn.splitn(5, ':').collect();
    let [partition, service, region, account, path] = parts[..] else {
        return Err(format!("this ARN has too few parts; it takes {}", expects(resource)));
    };
    let wrong = |part: &str| {
        Err(format!("the {part} of this ARN is wrong; it takes {}", expects(resource)))
    };
    let (own_service, has_region) =
        if resource == "role" { ("iam", false) } else { ("batch", true) };
    if !["aws", "aws-cn", "aws-us-gov"].contains(&partition) {
        return wrong("partition");
    }
    if service != own_service {
        return wrong("service");
    }
    if has_region != is_region(region) || !has_region && !region.is_empty() {
        return wrong("region");
    }
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return wrong("account");
    }
    match path.split_once('/') {
        Some((kind, name)) if kind == resource && is_name(resource, name) => Ok(()),
        Some((kind, _)) if kind != resource => wrong("type"),
        _ => wrong("name"),
    }
}

/// Whether a region has the form of one: `eu-west-1`, `us-gov-east-1`.
pub(super) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_lowercase());
    match parts.as_slice() {
        [words @ .., number] if words.len() >= 2 => {
            let is_number = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
            words.iter().all(is_word) && is_number
        }
        _ => false,
    }
}

fn is_name(resource: &str, text: &str) -> bool {
    let (name, revision) = match text.split_once(':') {
        Some((name, revision)) if resource == "job-definition" => (name, Some(revision)),
        _ => (text, None),
    };
    let is_revision = revision.is_none_or(|it| it.parse::<u32>().is_ok_and(|it| it > 0));
    if resource == "role" {
        // A role may lie below a path.
        let is_role = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&byte);
        return !name.is_empty() && !name.ends_with('/') && name.bytes().all(is_role);
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins && name.len() <= 128 && name.bytes().all(is_name) && is_revision
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arns_are_told_from_what_is_none() {
        let good = [
            ("job-queue", "bakery-spot"),
            ("job-queue", "arn:aws:batch:eu-west-1:123456789012:job-queue/bakery-spot"),
            ("job-queue", "arn:aws-us-gov:batch:us-gov-east-1:123456789012:job-queue/q"),
            ("job-definition", "levain-worker"),
            ("job-definition", "levain-worker:7"),
            ("job-definition", "arn:aws:batch:eu-west-1:123456789012:job-definition/w:7"),
            ("role", "arn:aws:iam::123456789012:role/team/worker"),
        ];
        for (resource, text) in good {
            assert_eq!(check(resource, text), Ok(()), "{text}");
        }
        let bad = [
            ("job-queue", "", "by its name"),
            ("job-queue", "-spot", "by its name"),
            ("job-queue", "bakery spot", "by its name"),
            ("job-queue", "bakery:7", "by its name"),
            ("job-queue", "arn:aws:batch:eu-west-1", "too few parts"),
            ("job-queue", "arn:amazon:batch:eu-west-1:123456789012:job-queue/q", "partition"),
            ("job-queue", "arn:aws:ecs:eu-west-1:123456789012:job-queue/q", "service"),
            ("job-queue", "arn:aws:batch::123456789012:job-queue/q", "region"),
            ("job-queue", "arn:aws:batch:west:123456789012:job-queue/q", "region"),
            ("job-queue", "arn:aws:batch:eu-west-1:1234:job-queue/q", "account"),
            ("job-queue", "arn:aws:batch:eu-west-1:123456789012:job-definition/q", "type"),
            ("job-queue", "arn:aws:batch:eu-west-1:123456789012:job-queue/", "name"),
            ("job-definition", "w:0", "by its name"),
            ("role", "worker", "by its ARN"),
            ("role", "arn:aws:iam:eu-west-1:123456789012:role/w", "region"),
        ];
        for (resource, text, why) in bad {
            let refused = check(resource, text).expect_err(text);
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
