//! Every setting in every layer: the strongest that says something holds.

use std::ffi::OsString;
use std::path::PathBuf;

use super::*;
use crate::cli::config::kind::Kind;

/// The layers from the weakest to the strongest.
const LAYERS: [&str; 7] =
    ["built-in", "user", "user profile", "project", "project profile", "environment", "flag"];

/// The text of a value of a kind that differs from layer to layer as far as it can; as in a file,
/// and as behind a flag.
fn value(kind: Kind, layer: usize) -> (String, String) {
    let quoted = |text: String| (format!("\"{text}\""), text);
    let plain = |text: String| (text.clone(), text);
    match kind {
        Kind::Text | Kind::Path => quoted(format!("text-{layer}")),
        Kind::Url => quoted(format!("https://host-{layer}")),
        Kind::Flag => plain((layer % 2 == 1).to_string()),
        Kind::Count(_) => plain((10 + layer).to_string()),
        Kind::Number => plain(format!("{layer}.5")),
        Kind::Size => quoted(format!("{} GiB", 1 + layer)),
        Kind::Sizes => (format!("[\"{} GiB\"]", 1 + layer), format!("{} GiB", 1 + layer)),
        Kind::Duration => quoted(format!("{}s", 1 + layer)),
        Kind::Choice(words) => quoted(words[layer % words.len()].to_owned()),
        Kind::Resource("role") => quoted(format!("arn:aws:iam::123456789012:role/worker-{layer}")),
        Kind::Resource(_) => quoted(format!("name-{layer}")),
        Kind::Resources(_) => (format!("[\"name-{layer}\"]"), format!("name-{layer}")),
    }
}

/// Sets a key in all layers up to this one.
struct Setup {
    folder: tempfile::TempDir,
    variables: Vec<(OsString, OsString)>,
    args: ConfigArgs,
}

impl Setup {
    fn new(key: &Key, path: &[String], top: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let name = path_text(path);
        let file = |base: usize, profiled: usize| {
            let mut text = String::new();
            if top >= base {
                text.push_str(&format!("{name} = {}\n", value(key.kind, base).0));
            }
            text.push_str("[profile.p]\n");
            if top >= profiled {
                text.push_str(&format!("{name} = {}\n", value(key.kind, profiled).0));
            }
            text
        };
        std::fs::create_dir_all(folder.path().join("home/levain")).expect("a home");
        let write = |path: &str, text: String| {
            std::fs::write(folder.path().join(path), text).expect("a file");
        };
        write("home/levain/config.toml", file(1, 2));
        write("levain.toml", file(3, 4));
        let home: PathBuf = folder.path().join("home");
        let mut variables = vec![("XDG_CONFIG_HOME".into(), home.into_os_string())];
        if let Some(variable) = key.variable().filter(|_| top >= 5) {
            variables.push((variable.into(), value(key.kind, 5).1.into()));
        }
        let set = (top >= 6).then(|| format!("{name}={}", value(key.kind, 6).1));
        let args = ConfigArgs {
            profile: Some("p".to_owned()),
            set: set.into_iter().collect(),
            ..ConfigArgs::default()
        };
        Self { folder, variables, args }
    }

    fn gather(&self) -> Result<Config> {
        let (variables, folder) = (self.variables.clone(), self.folder.path().to_owned());
        Config::gather(&self.args, &Surroundings { variables, folder })
    }
}

#[test]
fn of_every_setting_the_strongest_layer_holds_and_is_named() {
    for key in KEYS {
        let path = parse_path(&key.name.replace('*', "\"s3://b.c/\"")).expect("a path");
        let has_variable = key.variable().is_some();
        for (top, layer) in LAYERS.iter().enumerate() {
            if *layer == "environment" && !has_variable {
                continue;
            }
            let config = Setup::new(key, &path, top).gather().expect("settings");
            let setting = config.settings().find(|setting| setting.path == path);
            if top == 0 {
                assert_eq!(setting.is_some(), has_variable, "{}", key.name);
                continue;
            }
            let setting = setting.expect("it is set");
            assert_eq!(setting.origin.layer, *layer, "{}", key.name);
            let want = key.kind.read(&value(key.kind, top).1).expect("it takes this");
            assert_eq!(setting.value.as_ref(), Some(&want), "{} in {layer}", key.name);
            let place = setting.origin.place.as_deref().unwrap_or_default();
            let ends = match top {
                1 => "config.toml:1".to_owned(),
                2 => "config.toml:3".to_owned(),
                3 => "levain.toml:1".to_owned(),
                4 => "levain.toml:3".to_owned(),
                5 => key.variable().expect("just seen"),
                _ => "--set".to_owned(),
            };
            assert!(place.ends_with(&ends), "{}: {place}", key.name);
        }
    }
}

#[track_caller]
fn check_refused(setup: &Setup, words: &[&str]) {
    let report = setup.gather().expect_err("no settings").to_string();
    for word in words {
        assert!(report.contains(word), "`{word}` is not in\n{report}");
    }
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    let plain = || Setup::new(&KEYS[0], &["store".to_owned(), "url".to_owned()], 0);
    let with = |name: &str, value: &str| {
        let mut setup = plain();
        setup.variables.push((name.into(), value.into()));
        setup
    };
    check_refused(
        &with("LEVAIN_BATCH__QUE", "hidden"),
        &["`batch.que`", "LEVAIN_BATCH__QUE", "batch.queue"],
    );
    check_refused(&with("LEVAIN_LIMITS__MEM", "8"), &["E601", "LEVAIN_LIMITS__MEM", "8 GiB"]);
    check_refused(&with("LEVAIN_MEM", "8"), &["E601", "variable LEVAIN_MEM"]);
    let mut setup = plain();
    setup.args.profile = Some("prod".to_owned());
    check_refused(&setup, &["no profile `prod`", "there are: p"]);
    setup.args = ConfigArgs { set: vec!["batch.workers".to_owned()], ..ConfigArgs::default() };
    check_refused(&setup, &["--set", "KEY=VALUE"]);
    setup.args.set = vec!["batch.workers=none".to_owned()];
    check_refused(&setup, &["--set", "`batch.workers`", "whole number"]);
    setup.args = ConfigArgs { config: Some("gone.toml".into()), ..ConfigArgs::default() };
    check_refused(&setup, &["no such file of settings", "gone.toml"]);
}

#[test]
fn short_variables_and_flags_of_old_are_settings_too() {
    let mut setup = Setup::new(&KEYS[0], &["store".to_owned(), "url".to_owned()], 0);
    setup.variables.push(("LEVAIN_THREADS".into(), "3".into()));
    setup.variables.push(("LEVAIN_MEM".into(), "3 GiB".into()));
    setup.variables.push(("LEVAIN_LIMITS__MEM".into(), "4 GiB".into()));
    setup.args.store = Some("memory://runs".to_owned());
    let config = setup.gather().expect("settings");
    assert_eq!(config.value("direct.threads"), Some(&Value::Count(3)));
    assert_eq!(config.value("limits.mem"), Some(&Value::Size(4 << 30)), "the full name holds");
    assert_eq!(config.value("store.url"), Some(&Value::Text("memory://runs".to_owned())));
    // An empty variable sets nothing, whatever lies below.
    setup.variables.retain(|(name, _)| name != "LEVAIN_LIMITS__MEM");
    setup.variables.push(("LEVAIN_LIMITS__MEM".into(), "".into()));
    let config = setup.gather().expect("settings");
    assert_eq!(config.value("limits.mem"), None);
}
