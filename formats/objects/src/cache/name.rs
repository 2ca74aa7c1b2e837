//! What a file is called in a cache. Pure.
//!
//! Names are those of pangeo-forge-recipes 0.10, `CacheFSSpecTarget`: caches can be looked through
//! by people who know it.

use md5::{Digest, Md5};
use unicode_normalization::UnicodeNormalization;
use url::form_urlencoded;

use crate::hex::hex;
use crate::location::Location;

/// Bytes that the name of a file can have in the file systems of today.
const NAME_BYTES: usize = 255;
/// Bytes that are left for what is put behind a name: `.json`.
const SUFFIX_BYTES: usize = 8;

/// Parts of the names of parameters that carry a secret, or what changes with it.
const SECRET_WORDS: [&str; 12] = [
    "auth",
    "credential",
    "expires",
    "key",
    "password",
    "passwd",
    "pwd",
    "secret",
    "sig",
    "token",
    "x-amz-",
    "x-goog-",
];
/// The other parameters of a signature of Azure.
const AZURE_WORDS: [&str; 11] =
    ["se", "ske", "skoid", "sks", "skt", "sktid", "skv", "sp", "spr", "sr", "st"];

/// The name of a URL in a cache: its MD5, a dash, and what of its slug fits.
///
/// ```
/// let name = objects::cache_name("https://host/a b.nc");
/// assert!(name.ends_with("-https_host_a-b.nc"), "{name}");
/// ```
pub fn cache_name(url: &str) -> String {
    name_with(url, url, NAME_BYTES)
}

fn name_with(identity: &str, shown: &str, most_bytes: usize) -> String {
    let prefix = format!("{}-", hex(&Md5::digest(identity.as_bytes())));
    let slug = slug(shown);
    // What tells files apart stands at the end.
    let start = slug.len().saturating_sub(most_bytes - prefix.len());
    format!("{prefix}{}", &slug[start..])
}

/// A text in small letters, digits, dots, dashes and underscores.
///
/// Letters with marks lose the marks (NFKD), other signs become `_`, white space and dashes `-`;
/// several in a row become one.
pub fn slug(text: &str) -> String {
    let plain = text.nfkd().filter(char::is_ascii).map(|sign| sign.to_ascii_lowercase());
    let mut slug = String::new();
    let mut last_joint = None;
    for sign in plain {
        let joint = match sign {
            '-' | ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1f' => Some('-'),
            '.' | '_' | 'a'..='z' | '0'..='9' => None,
            _ => Some('_'),
        };
        match joint {
            Some(_) if joint == last_joint => {}
            Some(joint) => slug.push(joint),
            None => slug.push(sign),
        }
        last_joint = joint;
    }
    slug
}

/// The name of what lies at a place. No secret is part of it, nor of what is hashed for it.
pub(super) fn name_of(place: &Location) -> String {
    const MOST_BYTES: usize = NAME_BYTES - SUFFIX_BYTES;
    let Some(query) = place.query() else {
        let shown = place.to_string();
        return name_with(&shown, &shown, MOST_BYTES);
    };
    let names = form_urlencoded::parse(query.as_bytes());
    let is_azure = names.clone().any(|(name, _)| name == "sig");
    let mut told = form_urlencoded::Serializer::new(String::new());
    for (name, value) in names {
        let lower = name.to_ascii_lowercase();
        let is_secret = SECRET_WORDS.iter().any(|word| lower.contains(word))
            || is_azure && AZURE_WORDS.contains(&lower.as_str());
        if !is_secret {
            told.append_pair(&name, &value);
        }
    }
    let shown = place.without_query().to_string();
    let told = told.finish();
    let mark = if told.is_empty() { "" } else { "?" };
    name_with(&format!("{shown}{mark}{told}"), &shown, MOST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_a_file_system() {
        let name = cache_name(&format!("https://host/{}/end.nc", "x".repeat(400)));
        assert_eq!(name.len(), 255);
        assert!(name.ends_with("x_end.nc"), "{name}");
        assert_eq!(name.as_bytes()[32], b'-');
    }

    #[track_caller]
    fn check(url: &str, other: &str, is_same: bool) {
        let name = |url: &str| name_of(&Location::parse(url).expect("a location"));
        assert_eq!(name(url) == name(other), is_same, "{} {}", name(url), name(other));
        assert!(!name(url).contains("hidden"), "{}", name(url));
    }

    #[test]
    fn secrets_are_no_part_of_a_name() {
        check("https://h/a.nc?token=hidden", "https://h/a.nc", true);
        check("https://h/a.nc?sig=hidden&se=1&sv=2", "https://h/a.nc?sig=x&se=3&sv=2", true);
        check("https://u:hidden@h/a.nc", "https://u:other@h/a.nc", true);
        check("https://h/a?X-Amz-Signature=hidden&X-Amz-Date=1", "https://h/a", true);
    }

    #[test]
    fn what_asks_for_something_else_is_called_something_else() {
        check("https://h/get?file=hidden", "https://h/get?file=other", false);
        check("https://h/a.nc", "https://h/b.nc", false);
        check("s3://b/a.nc", "gs://b/a.nc", false);
    }
}
