//! What a pattern must be before anything is asked of it.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result, redact};

use crate::pattern::dim::CombineDim;
use crate::pattern::file_pattern::FilePattern;
use crate::pattern::keys::{Key, invalid, nearest};
use crate::pattern::url_template::{UrlTemplate, unknown_field};

/// So many keys of a dimension are looked at for two that give one URL.
const COMPARED_KEYS: u64 = 4_096;

pub(super) fn check_fields(template: &UrlTemplate, dims: &[CombineDim]) -> Result<()> {
    for field in template.fields() {
        if !dims.iter().any(|dim| dim.name() == field) {
            return Err(unknown_field(field, template, dims.iter().map(CombineDim::name)));
        }
    }
    for dim in dims {
        if dim.count() > 1 && !template.fields().any(|field| field == dim.name()) {
            let message = format!("the template does not have `{{{}}}`", dim.name());
            let error = Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message);
            return Err(error
                .at("template", template)
                .mend("write where the key stands: all its files have one URL without it"));
        }
    }
    Ok(())
}

pub(super) fn check_list(files: &[String], dims: &[CombineDim]) -> Result<()> {
    if files.is_empty() {
        return Err(invalid("a list of files is empty").mend("name at least one file"));
    }
    let mut sorted: Vec<&String> = files.iter().collect();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        let error = invalid("a file is listed twice").at("file", redact(twice[0]));
        return Err(error.mend("name every file once"));
    }
    match dims {
        [] if files.len() > 1 => {
            let message = format!("{} files are listed, and no dimension joins them", files.len());
            Err(invalid(message).mend("name the dimension along which they follow each other"))
        }
        [] => Ok(()),
        [dim] => {
            let is_number =
                |key| matches!(dim.keys().get(key), Some(Key::Integer(it)) if it as u64 == key);
            let last = files.len() as u64 - 1;
            if dim.keys().count() == last + 1 && is_number(0) && is_number(last) {
                return Ok(());
            }
            Err(invalid("the keys of a list are the numbers of its files"))
        }
        _ => Err(invalid("a list of files has one dimension").mend("write a template")),
    }
}

/// Refuses keys that a field cannot write, and keys of one dimension that give one URL.
pub(super) fn check_keys(template: &UrlTemplate, pattern: &FilePattern) -> Result<()> {
    for (place, dim) in pattern.dims().iter().enumerate() {
        let mut files = vec![0; pattern.shape().len()];
        let mut urls: Vec<(String, u64)> = Vec::new();
        for file in 0..pattern.shape()[place].min(COMPARED_KEYS) {
            files[place] = file;
            urls.push((template.fill(|name| pattern.key_at(name, &files))?, file));
        }
        urls.sort_unstable();
        if let Some(twice) = urls.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let key = |file| dim.key(file).map(|key| key.to_string()).unwrap_or_default();
            let (one, other) = (key(twice[0].1), key(twice[1].1));
            let message = format!("the keys {one} and {other} of `{}` give one URL", dim.name());
            let error = invalid(message).at("url", redact(&twice[0].0)).at("template", template);
            return Err(error.mend("let the template write all that tells keys apart"));
        }
    }
    Ok(())
}

/// The error for a dimension that is not among those known.
pub(super) fn unknown_dim<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    let message = format!("the pattern has no dimension `{name}`");
    let error = Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message);
    error.mend(nearest(name, known))
}
