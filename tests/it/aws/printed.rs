//! What is printed for an account: policies, templates, a Dockerfile.

use serde_json::Value;
use yaml_rust2::YamlLoader;

use crate::command::levain;

/// The least policies: what they hold is checked where they are made.
#[test]
fn policies_are_documents_of_iam() {
    let policy = |who: &str| {
        let ran = levain(&[
            "infra",
            "policy",
            "--for",
            who,
            "--store",
            "s3://bakery/runs",
            "--queue",
            "q",
        ]);
        ran.check_done();
        serde_json::from_str::<Value>(&ran.stdout).expect("JSON")
    };
    let (driver, worker) = (policy("driver"), policy("worker"));
    assert_eq!(driver["Version"], "2012-10-17");
    assert!(driver.to_string().contains("arn:aws:s3:::bakery/runs/*"), "{driver}");
    assert!(driver.to_string().contains("job-queue/q"), "{driver}");
    assert!(!worker.to_string().contains("batch:"), "{worker}");
    let ran = levain(&["infra", "policy", "--store", "/tmp/x"]);
    ran.check_refused("E601", 5, &["`/tmp/x`", "s3://BUCKET"]);
}

/// E09, E10: a template with no more than a run needs.
#[test]
fn templates_are_small() {
    let print = |format: &str| {
        let ran = levain(&["infra", "print", "--format", format]);
        ran.check_done();
        ran.stdout
    };
    let text = print("cloudformation");
    let yaml = &YamlLoader::load_from_str(&text).expect("YAML")[0];
    let resources = yaml["Resources"].as_hash().expect("resources");
    assert!((1..=8).contains(&resources.len()), "{} resources", resources.len());
    for (name, resource) in resources {
        let kind = resource["Type"].as_str().expect("a type");
        assert!(kind.starts_with("AWS::"), "{name:?} {kind}");
        assert!(resource["Properties"].as_hash().is_some(), "{name:?}");
    }
    // Whatever is referred to is there.
    let names = [&yaml["Resources"], &yaml["Parameters"]].map(|it| it.as_hash().expect("names"));
    let is_known =
        |name: &str| names.iter().any(|it| it.keys().any(|key| key.as_str() == Some(name)));
    for line in text.lines().filter_map(|line| line.trim().strip_prefix("Ref: ")) {
        assert!(is_known(line), "nothing is called {line}");
    }
    let text = print("terraform");
    let count = text.lines().filter(|line| line.starts_with("resource ")).count();
    assert!((1..=8).contains(&count), "{count} resources");
    assert_eq!(text.matches('{').count(), text.matches('}').count());
}

/// D07, D08: a file of four lines, on any image below or on none.
#[test]
fn a_dockerfile_has_four_lines() {
    let print = |flags: &[&str]| {
        let ran = levain(&[&["image", "print-dockerfile"], flags].concat());
        ran.check_done();
        assert_eq!(ran.stdout.lines().count(), 4, "{}", ran.stdout);
        ran.stdout
    };
    assert!(print(&[]).starts_with("FROM debian:stable-slim\n"));
    let own = print(&["--binary", "target/release/eobs", "--base", "scratch"]);
    assert!(own.contains("COPY target/release/eobs /usr/local/bin/eobs\n"), "{own}");
    let beam = levain(&["image", "print-dockerfile", "--beam", "--base", "scratch"]);
    assert!(beam.stdout.ends_with("ENTRYPOINT [\"/usr/local/bin/levain\"]\n"), "{}", beam.stdout);
    levain(&["image", "print-dockerfile", "--base", "A B"]).check_refused("E601", 5, &["`A B`"]);
}
