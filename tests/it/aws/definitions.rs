//! Job definitions: registered, found again, shown, taken out of use.

use serde_json::json;

use super::emulator::Emulator;

/// D18, D19, D25, E07: ensured twice is registered once; another image is another revision.
#[test]
fn ensuring_is_idempotent() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    let ensure =
        |image: &str| emulator.json(&["batch", "jobdef", "ensure", "levain", "--image", image]);
    let first = ensure("alpine:3.20");
    assert_eq!((&first["outcome"], &first["revision"]), (&json!("registered"), &json!(1)));
    let arn = first["arn"].as_str().expect("an ARN");
    assert!(arn.ends_with("job-definition/levain:1"), "{arn}");
    assert_eq!(ensure("alpine:3.20")["outcome"], "found");
    assert_eq!(emulator.called("RegisterJobDefinition"), 1);
    let ran = emulator.levain(&["batch", "jobdef", "ensure", "levain", "--image", "alpine:3.21"]);
    ran.check_done();
    assert!(ran.stdout.starts_with("registered levain:2  arn:aws:batch:"), "{}", ran.stdout);
    assert!(ran.stdout.contains("image: alpine:3.20 → alpine:3.21"), "{}", ran.stdout);
    // Without a name, it is made of what the definition says.
    let named = emulator.json(&["batch", "jobdef", "ensure", "--image", "alpine:3.20"]);
    assert!(named["name"].as_str().expect("a name").starts_with("levain-"), "{named}");
}

/// D26, D27, D28: past and current revisions, or those in use.
#[test]
fn revisions_are_described() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    for image in ["a", "b", "c"] {
        let register =
            ["batch", "jobdef", "register", "many", "--image", image, "--memory", "8GiB"];
        emulator.levain(&register).check_done();
    }
    emulator.levain(&["batch", "jobdef", "deregister", "many:2", "--yes"]).check_done();
    let revisions = |flags: &[&str]| {
        let found = emulator.json(&[&["batch", "jobdef", "describe", "many"], flags].concat());
        let found = found["job_definitions"].as_array().expect("revisions").clone();
        found.iter().map(|it| it["revision"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(revisions(&["--active"]), [3, 1]);
    assert_eq!(revisions(&[]), [3, 2, 1]);
    let one = emulator.json(&["batch", "jobdef", "describe", "many:1"]);
    let one = &one["job_definitions"][0];
    for field in ["status", "type", "containerProperties", "tags", "platformCapabilities"] {
        assert!(!one[field].is_null(), "{field} in {one}");
    }
    let text = emulator.levain(&["batch", "jobdef", "list", "--active"]).stdout;
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(rows.len(), 1, "{text}");
    assert!(rows[0].contains("many") && rows[0].contains("8192 MiB"), "{text}");
    let none = emulator.levain(&["batch", "jobdef", "describe", "none"]);
    none.check_refused("E510", 6, &["`none`"]);
}

/// D29, D30: the newest in use, echoed before anything is done, and only if it was confirmed.
#[test]
fn the_newest_is_deregistered_when_that_is_confirmed() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    for image in ["a", "b"] {
        emulator.levain(&["batch", "jobdef", "register", "old", "--image", image]).check_done();
    }
    let asked = emulator.levain(&["batch", "jobdef", "deregister", "old"]);
    assert_eq!(asked.exit, Some(5), "{}", asked.stderr);
    let (echo, rest) = asked.stderr.split_once('\n').expect("lines");
    assert!(echo.contains("old:2") && rest.contains("--yes"), "{}", asked.stderr);
    assert_eq!(emulator.called("DeregisterJobDefinition"), 0);
    let done = emulator.json(&["batch", "jobdef", "deregister", "old", "--yes"]);
    assert_eq!(done["name"], "old:2");
    let arn = done["arn"].as_str().expect("an ARN").replace("old:2", "old:1");
    assert_eq!(emulator.json(&["batch", "jobdef", "deregister", &arn, "--yes"])["name"], "old:1");
}

/// D21, D22, D23: what AWS would refuse is refused here, with what there is.
#[test]
fn sizes_and_names_are_checked_before_aws_is_asked() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    let check = |flags: &[&str], words: &[&str]| {
        let ran = emulator.levain(&[&["batch", "jobdef", "register", "x"], flags].concat());
        ran.check_refused("E601", 5, words);
    };
    check(&[], &["no image", "--image"]);
    check(&["--image", "Al pine"], &["`Al pine`", "ghcr.io"]);
    check(&["--image", "a", "--memory", "8"], &["`8`", "8GiB", "--memory"]);
    let role = "arn:aws:iam::123456789012:role/x";
    let fargate = ["--image", "a", "--platform", "fargate", "--execution-role", role];
    check(&[&fargate[..], &["--vcpus", "1", "--memory", "512MiB"]].concat(), &["2048 to 8192 MiB"]);
    check(&["--image", "a", "--platform", "fargate"], &["execution role"]);
    check(&["--image", "a", "--job-role", "me"], &["`me`", "arn:aws:iam::"]);
    assert_eq!(emulator.calls(), []);
}
