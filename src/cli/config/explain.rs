//! `levain config explain`: what a setting means, what it takes, who reads it.

use levain::dataflow::error::Result;
use serde_json::{Value as Json, json};

use super::file::unknown;
use super::layers::{Config, Setting, shown};
use super::schema::{KEYS, Key, find, parse_path};
use super::show::origin_text;
use crate::cli::out::Out;
use crate::cli::table::Table;

/// Prints what a setting means, or a line for each if none is named.
pub(crate) fn explain(name: Option<&str>, config: &Config, out: &Out) -> Result<()> {
    let Some(name) = name else {
        let mut table = Table::new(["SETTING", "CLASS", "TAKES", "DEFAULT"]);
        for key in KEYS {
            let default = key.default.unwrap_or("-").to_owned();
            table.row([
                key.name.to_owned(),
                key.class.name().to_owned(),
                key.kind.expects(),
                default,
            ]);
        }
        let keys: Vec<Json> = KEYS.iter().map(|key| json_of(key, None)).collect();
        return out.result(&table.to_string(), &json!({ "v": 1, "settings": keys }));
    };
    let path = parse_path(name).unwrap_or_else(|| vec![name.to_owned()]);
    let own = config.settings().find(|setting| setting.path == path);
    let Some(key) = find(&path) else { return Err(unknown(&path)) };
    let mut document = json_of(key, own);
    if let Some(document) = document.as_object_mut() {
        document.insert("v".to_owned(), 1.into());
    }
    out.result(&text_of(key, own), &document)
}

fn text_of(key: &Key, own: Option<&Setting>) -> String {
    let row = |name: &str, value: &str| format!("\n  {name:<9} {value}");
    let mut text = format!("{}: {}", key.name, key.meaning);
    text.push_str(&row("takes", &key.kind.expects()));
    text.push_str(&row("default", key.default.unwrap_or("not set")));
    let class = match key.class.name() {
        "identity" => "identity: another value makes other results",
        _ => "execution: results are the same whatever it is",
    };
    text.push_str(&row("class", class));
    text.push_str(&row("read by", key.read_by.text()));
    if let Some(variable) = key.variable() {
        text.push_str(&row("variable", &variable));
    }
    text.push_str(&row("flag", &format!("--set {}=VALUE", key.name)));
    if let Some(own) = own {
        let value = own.value.as_ref().map_or("not set".to_owned(), shown);
        text.push_str(&row("now", &format!("{value}   ({})", origin_text(own))));
    }
    text
}

fn json_of(key: &Key, own: Option<&Setting>) -> Json {
    json!({
        "name": key.name,
        "takes": key.kind.expects(),
        "default": key.default,
        "class": key.class.name(),
        "read_by": key.read_by.text(),
        "variable": key.variable(),
        "meaning": key.meaning,
        "now": own.and_then(|own| own.value.as_ref()).map(shown),
        "origin": own.map(origin_text),
    })
}
