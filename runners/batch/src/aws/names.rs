//! Names, ARNs, images and tags: their shapes, checked before AWS is asked.

use std::collections::BTreeMap;

use dataflow::error::{Error, Result};

use crate::aws::units::invalid;

/// The most letters of a name of a job.
const NAME_LETTERS: usize = 128;

/// Checks a name or an ARN of a `kind` (`job-queue`, `job-definition`, `compute-environment`), and
/// gives the name that it means.
///
/// # Errors
/// A shape that AWS would refuse, or an ARN of something else.
pub fn check_name<'a>(kind: &str, text: &'a str) -> Result<&'a str> {
    let wrong = |what: String| {
        let example = format!("arn:aws:batch:eu-west-1:123456789012:{kind}/NAME");
        invalid(what).mend(format!("give a name of letters, digits, - and _, or {example}"))
    };
    let name = match text.strip_prefix("arn:") {
        None => text,
        Some(arn) => match arn.splitn(5, ':').collect::<Vec<_>>()[..] {
            [partition, "batch", region, account, resource]
                if partition.starts_with("aws") && !region.is_empty() && is_account(account) =>
            {
                match resource.split_once('/') {
                    Some((found, name)) if found == kind => name,
                    Some((found, _)) => {
                        return Err(wrong(format!("`{text}` is a {found}, not a {kind}")));
                    }
                    None => return Err(wrong(format!("`{text}` names nothing"))),
                }
            }
            _ => return Err(wrong(format!("`{text}` is no ARN of AWS Batch"))),
        },
    };
    let (plain, revision) = match name.split_once(':') {
        Some((plain, revision)) if kind == "job-definition" => (plain, Some(revision)),
        _ => (name, None),
    };
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|c| c.is_ascii_digit());
    if !is_plain_name(plain) {
        return Err(wrong(format!("`{text}` is no name of a {kind}")));
    }
    if revision.is_some_and(|it| !is_number(it)) {
        return Err(wrong(format!("`{text}` has a revision that is no number")));
    }
    Ok(name)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|c| c.is_ascii_digit())
}

fn is_plain_name(text: &str) -> bool {
    let is_inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(is_inner)
        && text.len() <= NAME_LETTERS
}

/// Checks the ARN of a role.
///
/// # Errors
/// What is no `arn:aws:iam::ACCOUNT:role/NAME`.
pub fn check_role(text: &str) -> Result<()> {
    let is_right = match text.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", partition, "iam", "", account, role] => {
            partition.starts_with("aws")
                && is_account(account)
                && role.strip_prefix("role/").is_some_and(|name| !name.is_empty())
        }
        _ => false,
    };
    if is_right {
        return Ok(());
    }
    Err(invalid(format!("`{text}` is no ARN of a role"))
        .mend("give it as arn:aws:iam::123456789012:role/NAME"))
}

/// Checks the name of an image: `alpine`, `ghcr.io/me/it:1`, or one of ECR, also by digest.
///
/// # Errors
/// A shape that no registry has.
pub fn check_image(text: &str) -> Result<()> {
    let is_word = |it: &str| {
        let is_sign = |c: u8| matches!(c, b'.' | b'_' | b'-');
        !it.is_empty()
            && it.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || is_sign(c))
            && it.bytes().next().is_some_and(|c| !is_sign(c))
    };
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match rest[slash..].rfind(':') {
        Some(colon) => (&rest[..slash + colon], Some(&rest[slash + colon + 1..])),
        None => (rest, None),
    };
    let mut parts: Vec<&str> = path.split('/').collect();
    // The first is a host if it could be none of a repository.
    if parts.len() > 1 && (parts[0].contains(['.', ':']) || parts[0] == "localhost") {
        let (host, port) = parts[0].split_once(':').unwrap_or((parts[0], "0"));
        let is_host = is_word(host) && port.parse::<u16>().is_ok();
        parts[0] = if is_host { "host" } else { "" };
    }
    let is_tag = |it: &str| {
        let is_inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        !it.is_empty() && it.len() <= 128 && it.bytes().all(is_inner)
    };
    let is_digest = |it: &str| {
        let hex = it.strip_prefix("sha256:").unwrap_or_default();
        hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_hexdigit())
    };
    if parts.iter().all(|it| is_word(it)) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
    {
        return Ok(());
    }
    let example = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/levain:1";
    Err(invalid(format!("`{text}` is no name of an image"))
        .mend(format!("write for example alpine, ghcr.io/me/levain:1 or {example}")))
}

/// Checks tags: at most 50 in all, and none that AWS keeps for itself.
///
/// # Errors
/// Tags that AWS would refuse.
pub fn check_tags(tags: &BTreeMap<String, String>) -> Result<()> {
    // Five are ours, and definitions may have some of their own.
    const MOST: usize = 40;
    let wrong = |what: String| -> Result<(), Error> {
        Err(invalid(what)
            .mend("give at most 40 tags, keys of 1 to 128 letters, values of up to 256"))
    };
    if tags.len() > MOST {
        return wrong(format!("{} tags are too many", tags.len()));
    }
    let is_wrong = |(key, value): &(&String, &String)| {
        let length = key.chars().count();
        !(1..=128).contains(&length)
            || value.chars().count() > 256
            || key.to_ascii_lowercase().starts_with("aws:")
    };
    match tags.iter().find(is_wrong) {
        Some((key, _)) => wrong(format!("the tag `{key}` cannot be set")),
        None => Ok(()),
    }
}

/// A name of a job, from parts that may hold anything: other signs become `-`.
///
/// The last part stays whole, for it is what tells jobs apart.
pub fn job_name(parts: &[&str]) -> String {
    let clean = |part: &&str| {
        let keep = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        part.chars().map(keep).collect::<String>().trim_matches('-').to_owned()
    };
    let parts: Vec<String> = parts.iter().map(clean).filter(|part| !part.is_empty()).collect();
    let (head, tail) = match parts.split_last() {
        Some((tail, head)) => (head.join("-"), tail.as_str()),
        None => (String::new(), "job"),
    };
    let tail: String = tail.chars().take(NAME_LETTERS - 1).collect();
    let room = NAME_LETTERS.saturating_sub(tail.len() + 1);
    let head: String = head.chars().take(room).collect();
    let name = if head.is_empty() { tail } else { format!("{head}-{tail}") };
    // The first sign is a letter or a digit.
    match name.strip_prefix('_') {
        Some(rest) => format!("j{rest}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E30.
    #[test]
    fn names_and_arns_have_their_shapes() {
        let check = |kind: &str, text: &str, want: Option<&str>| {
            assert_eq!(check_name(kind, text).ok(), want, "{text}");
        };
        check("job-queue", "bakery-spot", Some("bakery-spot"));
        check("job-queue", "arn:aws:batch:eu-west-1:123456789012:job-queue/q", Some("q"));
        check("job-queue", "arn:aws-cn:batch:cn-north-1:123456789012:job-queue/q", Some("q"));
        check("job-definition", "levain:3", Some("levain:3"));
        let definition = "arn:aws:batch:eu-west-1:123456789012:job-definition/levain:3";
        check("job-definition", definition, Some("levain:3"));
        for wrong in [
            "",
            "my queue",
            "-q",
            "q:3",
            "arn:aws:batch:eu-west-1:123456789012:job-definition/q",
            "arn:aws:batch:eu-west-1:1234:job-queue/q",
            "arn:aws:batch::123456789012:job-queue/q",
            "arn:aws:sqs:eu-west-1:123456789012:job-queue/q",
            "arn:aws:batch:eu-west-1:123456789012:job-queue",
        ] {
            check("job-queue", wrong, None);
        }
        check("job-definition", "levain:new", None);
        let error = check_name("job-queue", definition).expect_err("another kind").to_string();
        assert!(error.contains("is a job-definition, not a job-queue"), "{error}");
    }

    #[test]
    fn roles_are_arns() {
        assert!(check_role("arn:aws:iam::123456789012:role/service/levain").is_ok());
        for wrong in ["levain", "arn:aws:iam::123456789012:user/me", "arn:aws:iam::12:role/x"] {
            assert!(check_role(wrong).is_err(), "{wrong}");
        }
    }

    /// D21.
    #[test]
    fn images_are_short_names_or_whole_ones() {
        let digest = format!("alpine@sha256:{}", "0a".repeat(32));
        for image in [
            "alpine",
            "alpine:3.20",
            "me/levain:v1.0_x-y",
            "ghcr.io/me/levain",
            "localhost:5000/levain:1",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/levain:1",
            &digest,
        ] {
            assert!(check_image(image).is_ok(), "{image}");
        }
        for wrong in
            ["", "Alpine", "alpine:", "al pine", "a//b", "https://x/y", "alpine@sha256:12", "/a"]
        {
            assert!(check_image(wrong).is_err(), "{wrong}");
        }
    }

    /// D50.
    #[test]
    fn every_name_of_a_job_is_one_that_batch_takes() {
        assert_eq!(job_name(&["eobs wind", "7k3q", "s003-1-0001"]), "eobs-wind-7k3q-s003-1-0001");
        assert_eq!(job_name(&[]), "job");
        let long = "ä".repeat(300) + "x";
        for parts in [
            vec!["", ""],
            vec!["_x"],
            vec!["---", "a/b"],
            vec![long.as_str(), "tail"],
            vec!["x", long.as_str()],
            vec!["🦀", "_"],
        ] {
            let name = job_name(&parts);
            assert!(is_plain_name(&name), "{parts:?} gives {name}");
        }
        let cut = job_name(&[&"r".repeat(200), "s003-1-0001"]);
        assert!(cut.ends_with("-s003-1-0001") && cut.len() == NAME_LETTERS, "{cut}");
    }

    #[test]
    fn tags_are_few_and_not_those_of_aws() {
        let tags = |key: &str| BTreeMap::from([(key.to_owned(), "x".to_owned())]);
        assert!(check_tags(&tags("team")).is_ok());
        assert!(check_tags(&tags("aws:x")).is_err() && check_tags(&tags("")).is_err());
        let many = (0..41).map(|n| (n.to_string(), String::new())).collect();
        assert!(check_tags(&many).is_err());
    }
}
