//! `levain config show`: the settings that hold, and where each was set.

use clap::Args;
use levain::dataflow::error::{Result, redact};
use serde_json::{Map, Value as Json, json};

use super::layers::{Config, Setting, shown};
use super::schema::path_text;
use crate::cli::out::Out;

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ShowArgs {
    /// Also says where each was set: the layer, and the file with its line
    #[arg(long)]
    pub(crate) origin: bool,
}

/// Prints the settings that hold.
pub(crate) fn show(args: ShowArgs, config: &Config, out: &Out) -> Result<()> {
    let mut lines = Vec::new();
    for setting in config.settings() {
        let name = path_text(&setting.path);
        let line = match &setting.value {
            Some(value) => format!("{name} = {}", shown(value)),
            None => format!("# {name} is not set"),
        };
        lines.push(match args.origin {
            true if setting.value.is_some() => format!("{line:<46}  # {}", origin_text(setting)),
            true => format!("{line:<46}  ({})", origin_text(setting)),
            false => line,
        });
    }
    out.result(&lines.join("\n"), &document(config, args.origin))
}

/// Where a setting was set, in words.
pub(super) fn origin_text(setting: &Setting) -> String {
    let origin = &setting.origin;
    match &origin.place {
        Some(place) => format!("{}: {place}", origin.layer),
        None => origin.layer.to_owned(),
    }
}

fn document(config: &Config, has_origins: bool) -> Json {
    let settings: Map<String, Json> = config
        .settings()
        .map(|setting| {
            let value = setting.value.as_ref().map(|value| masked(value.json()));
            let value = json!(value);
            let name = path_text(&setting.path);
            if !has_origins {
                return (name, value);
            }
            let origin = &setting.origin;
            let class = setting.key.class.name();
            (name, json!({ "value": value, "layer": origin.layer, "place": origin.place, "class": class }))
        })
        .collect();
    json!({ "v": 1, "profile": config.profile, "files": config.files, "settings": settings })
}

/// What was set by somebody, with where, for the record of a run.
pub(crate) fn config_json(config: &Config) -> Map<String, Json> {
    let set = config.settings().filter(|it| it.origin.layer != "built-in" && it.value.is_some());
    set.map(|setting| {
        let value = setting.value.as_ref().map(|value| masked(value.json()));
        let origin = &setting.origin;
        let value = json!({ "value": value, "layer": origin.layer, "place": origin.place });
        (path_text(&setting.path), value)
    })
    .collect()
}

/// A value without what may be secret in its URLs.
fn masked(value: Json) -> Json {
    match value {
        Json::String(text) => Json::String(redact(&text)),
        Json::Array(items) => items.into_iter().map(masked).collect(),
        other => other,
    }
}
