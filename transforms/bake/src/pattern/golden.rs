//! Golden vectors of pangeo-forge-recipes 0.10.8: what its patterns are for the same input.

use std::num::NonZeroU64;

use dataflow::testing::shared_file;
use serde_json::{Value, json};

use crate::pattern::{
    CombineDim, FilePattern, FileStarts, Index, IndexedPosition, Keys, Place, QuerySecrets,
    Resumption, Selection,
};

/// The cases of a file, or none where the vectors do not lie beside the project.
fn cases(file: &str) -> Vec<Value> {
    let Some(path) = shared_file(&format!("golden/{file}")) else { return Vec::new() };
    let text = std::fs::read_to_string(path).expect("the file is there");
    let mut root: Value = serde_json::from_str(&text).expect("vectors are JSON");
    let cases = root["cases"].take().as_array().expect("vectors have cases").clone();
    assert_eq!(Some(cases.len() as u64), root["n_cases"].as_u64());
    cases
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(text).collect()
}

fn dim(described: &Value) -> CombineDim {
    let keys = Keys::texts(texts(&described["keys"])).expect("keys");
    let name = text(&described["name"]);
    match (text(&described["op"]), described["nitems_per_file"].as_u64()) {
        ("merge", None) => CombineDim::merge(name, keys),
        ("concat", None) => CombineDim::concat(name, keys),
        ("concat", Some(nitems)) => CombineDim::concat(name, keys)
            .with_nitems_per_file(NonZeroU64::new(nitems).expect("not zero"))
            .expect("a length"),
        other => panic!("unknown {other:?}"),
    }
}

fn index(index: &Index) -> Value {
    let position = |it: &crate::pattern::Position| {
        let Place::File(value) = it.place else { panic!("{index} is in files") };
        json!({ "dim": &*it.dim, "op": it.op.to_string(), "value": value, "indexed": false })
    };
    index.positions().iter().map(position).collect()
}

fn hex(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What pangeo-forge says of a pattern, as ours says it. Whole numbers only, so that values of JSON
/// can be compared.
fn described(pattern: &FilePattern, pruned: &FilePattern) -> Value {
    let sizes = |pattern: &FilePattern| -> Value {
        let dims = pattern.dims().iter();
        Value::Object(dims.map(|dim| (dim.name().to_owned(), dim.count().into())).collect())
    };
    let concat = || pattern.concat_dims().map(|name| pattern.dim(name).expect("is there"));
    let nitems = |dim: &CombineDim| {
        (dim.name().to_owned(), dim.nitems_per_file().map(NonZeroU64::get).into())
    };
    let length = |dim: &CombineDim| {
        let length = pattern.concat_sequence_len(dim.name()).expect("fits");
        (dim.name().to_owned(), length.into())
    };
    let item = |item: dataflow::error::Result<(Index, String)>| {
        let (place, url) = item.expect("every index has a URL");
        assert_eq!(pattern.url(&place).expect("is of this pattern"), url);
        json!({ "index": index(&place), "url": url })
    };
    let url = |item: dataflow::error::Result<(Index, String)>| item.expect("has a URL").1;
    let ops = pattern.dims().iter().map(|dim| json!([dim.name(), dim.op().to_string()]));
    json!({
        "dims": sizes(pattern),
        "shape": pattern.shape(),
        "merge_dims": pattern.merge_dims().collect::<Vec<_>>(),
        "concat_dims": pattern.concat_dims().collect::<Vec<_>>(),
        "nitems_per_input": Value::Object(concat().map(nitems).collect()),
        "concat_sequence_lens": Value::Object(concat().map(length).collect()),
        "combine_dim_keys": ops.collect::<Vec<_>>(),
        "items": pattern.items().map(item).collect::<Vec<_>>(),
        "pruned_dims": sizes(pruned),
        "pruned_urls": pruned.items().map(url).collect::<Vec<_>>(),
        "merkle": pattern.merkle_hashes().map(|it| hex(it.expect("has a URL"))).collect::<Vec<_>>(),
    })
}

/// pangeo-forge hashes secrets; here nothing that is secret is hashed. Where it has secrets they
/// are given as a setting, so that the chains can be compared, and the pattern that has them as
/// secrets must have the hashes of one that has none.
#[test]
fn golden_pfr_file_pattern() {
    for case in cases("pfr_file_pattern.json") {
        let input = &case["input"];
        let dims = input["combine_dims"].as_array().expect("dimensions").iter().map(dim);
        let template = text(&input["url_template"]).parse().expect("a template");
        let mut pattern = FilePattern::new(template, dims).expect("a pattern");
        for name in ["fsspec_open_kwargs", "file_type"] {
            pattern = pattern.with_setting(name, input[name].clone());
        }
        let secrets = input["query_string_secrets"].as_object().expect("secrets");
        let values = secrets.iter().map(|(name, value)| (name.as_str(), text(value)));
        let secret = pattern.clone().with_secrets(QuerySecrets::new(values)).expect("http");
        assert_eq!(secret.sha256(), pattern.sha256(), "{}", case["id"]);
        assert!(!format!("{secret:?}").contains("abc"), "{secret:?}");
        let pattern = pattern.with_setting("query_string_secrets", secrets.clone().into());
        let nkeep = input["prune_nkeep"].as_u64().and_then(NonZeroU64::new).expect("a number");
        let got = described(&pattern, &pattern.prune(Selection::First(nkeep)));
        assert_eq!(got, case["expected"], "{}", case["id"]);
    }
}

#[test]
fn golden_pfr_cache_names() {
    for case in cases("pfr_cache_names.json") {
        let input = &case["input"];
        let got = match text(&input["op"]) {
            "slugify" => objects::slug(text(&input["value"])),
            "md5_prefix" => {
                let name = objects::cache_name(text(&input["value"]));
                name.split('-').next().expect("a name has a part").to_owned()
            }
            "add_query_string_secrets" => {
                let secrets = input["secrets"].as_object().expect("secrets");
                let values = secrets.iter().map(|(name, value)| (name.as_str(), text(value)));
                let url = QuerySecrets::new(values).add_to(text(&input["url"])).expect("http");
                // One case, of 71, differs by design: pangeo-forge drops a parameter without a
                // value. "Append each name and value of the list" (WHATWG URL, 5.2): the query of a
                // server is its own, and an empty value is one.
                if case["id"] == "9f5e5d37a48e" {
                    assert_eq!(url, "https://h/p.nc?e=&t=%C3%A9");
                    continue;
                }
                url
            }
            other => panic!("unknown {other}"),
        };
        assert_eq!(got, text(&case["expected"]), "{}", case["id"]);
    }
}

#[test]
fn golden_pfr_augment_index() {
    for case in cases("pfr_augment_index.json") {
        let input = &case["input"];
        let number = |value: &Value| value.as_u64().expect("a number");
        let lengths = input["item_lens"].as_array().expect("lengths").iter().map(number);
        let starts = FileStarts::new(lengths, number(&input["append_offset"])).expect("fits");
        let position = number(&input["position"]);
        let is_indexed = input["already_indexed"].as_bool().expect("a claim");
        let place = match is_indexed {
            true => Place::Elements(IndexedPosition { start: position, dimsize: 0 }),
            false => Place::File(position),
        };
        match starts.locate(place) {
            Ok(got) => {
                let got = json!({ "start": got.start, "dimsize": got.dimsize });
                assert_eq!(got, case["expected"], "{}", case["id"]);
            }
            Err(error) => {
                let want = text(&case["error"]["message"]).to_lowercase();
                assert!(error.message().contains(&want), "{}: {error}", case["id"]);
            }
        }
    }
}

/// pangeo-forge answers nothing both for equal patterns and for unrelated ones; here the two are
/// told apart, and each is checked against the URLs themselves.
#[test]
fn golden_pfr_start_processing_from() {
    for case in cases("pfr_start_processing_from.json") {
        let input = &case["input"];
        let pattern = |which: &str| {
            let nitems = input[format!("{which}_nitems")].as_u64().and_then(NonZeroU64::new);
            let urls = texts(&input[format!("{which}_urls")]);
            FilePattern::from_files(urls, Some("time"), nitems).expect("a list")
        };
        let (old, new) = (pattern("old"), pattern("new"));
        let old_sha256 = old.sha256().expect("has URLs");
        let got = new.start_processing_from(old_sha256).expect("has URLs");
        let is_same =
            input["old_urls"] == input["new_urls"] && input["old_nitems"] == input["new_nitems"];
        assert_eq!(got == Resumption::Nothing, is_same, "{}", case["id"]);
        let got = match got {
            Resumption::From(place) => index(&place),
            Resumption::Nothing | Resumption::Unrelated => Value::Null,
        };
        assert_eq!(got, case["expected"], "{}", case["id"]);
    }
}
