//! Which files a user means: a file, a folder, or a pattern of names.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use glob::{MatchOptions, Pattern};

use crate::location::{Location, Scheme};
use crate::objects::Objects;
use crate::options::StoreOptions;

/// Finds the files of a path, URL or glob, in natural order of their names (`a2` before `a10`).
///
/// `*`, `?` and `[..]` match within a part of the path, `**` any number of parts. A glob gives
/// files, or folders where it matches no file (`*.zarr`); a folder stands for the files directly
/// in it, so that a caller for whom a folder is one thing asks for that first. Names that begin
/// with a dot are found only by patterns that begin with one. A path that exists as it stands is
/// never a pattern. HTTP has no listing: its URLs are taken as they are.
///
/// Cost: one listing for each folder that the pattern reaches.
///
/// # Errors
/// Nothing matches, a pattern that is none, or a store that fails or cannot list.
pub fn expand(source: &str, options: &StoreOptions) -> Result<Vec<Location>> {
    let location = Location::parse(source)?;
    if location.scheme() == Scheme::Http {
        return Ok(vec![location]);
    }
    let mut found = match literal(&location, options)? {
        Some(found) => found,
        None if is_pattern(source) => matches_of(source, &location, options)?,
        None => Vec::new(),
    };
    if found.is_empty() {
        let message = format!("nothing matches `{location}`");
        return Err(Error::new(ErrorCode::NOTHING_MATCHES, ErrorKind::NotFound, message)
            .mend("check the path; a pattern in quotes is expanded by levain, not by the shell"));
    }
    found.sort_by(|a, b| natural_order(&a.to_string(), &b.to_string()));
    Ok(found)
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The file of this very name, or the files in the folder of this name; `None` if there is none.
fn literal(location: &Location, options: &StoreOptions) -> Result<Option<Vec<Location>>> {
    let objects = Objects::open(location, options)?;
    if !location.key()?.is_empty() {
        match objects.facts("") {
            Ok(_) => return Ok(Some(vec![location.clone()])),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let (_, files) = objects.list_folder("")?;
    let files = files.iter().filter(|file| !file.key.starts_with('.'));
    let files: Vec<_> = files.map(|file| location.join(&file.key)).collect();
    Ok((!files.is_empty()).then_some(files))
}

fn matches_of(source: &str, location: &Location, options: &StoreOptions) -> Result<Vec<Location>> {
    // The parts before the first pattern are the root, so that no more than needed is listed.
    let mut root = location.clone();
    let mut parts: Vec<String> = Vec::new();
    while is_pattern(&root.to_string()) {
        parts.push(root.file_name().to_owned());
        root = match root.parent() {
            Some(parent) => parent,
            None => break,
        };
    }
    parts.reverse();
    let objects = Objects::open(&root, options)?;
    let parts = parts.iter().map(|part| part_of(part, source)).collect::<Result<Vec<_>>>()?;
    let mut found = Found::default();
    walk(&objects, "", &parts, &mut found)?;
    let keys = if found.files.is_empty() { found.folders } else { found.files };
    Ok(keys.iter().map(|key| root.join(key)).collect())
}

enum Part {
    AnyDepth,
    Names(Pattern),
}

fn part_of(part: &str, source: &str) -> Result<Part> {
    if part == "**" {
        return Ok(Part::AnyDepth);
    }
    Pattern::new(part).map(Part::Names).map_err(|why| {
        let message = format!("`{source}` is no pattern: {}", why.msg);
        Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
    })
}

#[derive(Default)]
struct Found {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

fn walk(objects: &Objects, folder: &str, parts: &[Part], found: &mut Found) -> Result<()> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    match part {
        Part::AnyDepth if rest.is_empty() => {
            let files = objects.list(folder)?.into_iter().map(|file| file.key);
            found.files.extend(files.filter(|key| !is_hidden_below(key, folder)));
        }
        Part::AnyDepth => {
            walk(objects, folder, rest, found)?;
            let (folders, _) = objects.list_folder(folder)?;
            for folder in folders.iter().filter(|folder| !name_of(folder).starts_with('.')) {
                walk(objects, folder, parts, found)?;
            }
        }
        Part::Names(pattern) => {
            let rule = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
            let is_match = |key: &String| pattern.matches_with(name_of(key), rule);
            let (folders, files) = objects.list_folder(folder)?;
            let folders = folders.into_iter().filter(is_match);
            if !rest.is_empty() {
                return folders.into_iter().try_for_each(|f| walk(objects, &f, rest, found));
            }
            found.folders.extend(folders);
            found.files.extend(files.into_iter().map(|file| file.key).filter(is_match));
        }
    }
    Ok(())
}

fn name_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

fn is_hidden_below(key: &str, folder: &str) -> bool {
    let below = key.strip_prefix(folder).unwrap_or(key);
    below.split('/').any(|part| part.starts_with('.'))
}

/// Orders texts as people do: runs of digits count as numbers.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    loop {
        let (digits_a, digits_b) = (leading_digits(rest_a), leading_digits(rest_b));
        if !digits_a.is_empty() && !digits_b.is_empty() {
            let (number_a, number_b) =
                (digits_a.trim_start_matches('0'), digits_b.trim_start_matches('0'));
            let order = number_a.len().cmp(&number_b.len()).then(number_a.cmp(number_b));
            if order.is_ne() {
                return order;
            }
            (rest_a, rest_b) = (&rest_a[digits_a.len()..], &rest_b[digits_b.len()..]);
            continue;
        }
        let (mut chars_a, mut chars_b) = (rest_a.chars(), rest_b.chars());
        match (chars_a.next(), chars_b.next()) {
            // Numbers that differ in leading zeros only: the plain order decides.
            (None, None) => return a.cmp(b),
            (from_a, from_b) if from_a == from_b => {
                (rest_a, rest_b) = (chars_a.as_str(), chars_b.as_str());
            }
            (from_a, from_b) => return from_a.cmp(&from_b),
        }
    }
}

fn leading_digits(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests;
