//! A file of settings, with the lines on which they stand.

use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use toml::de::{DeTable, DeValue};

use super::kind::Value;
use super::schema::{KEYS, Key, find, nearest, path_text};

/// A setting in a file.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: &'static Key,
    pub(crate) path: Vec<String>,
    /// Nothing where it is set to an empty text: it is as if no layer below had set it.
    pub(crate) value: Option<Value>,
    pub(crate) line: usize,
    /// The profile under which it stands.
    pub(crate) profile: Option<String>,
}

/// The settings of a file, and the names of its profiles.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileSettings {
    pub(crate) entries: Vec<Entry>,
    pub(crate) profiles: Vec<String>,
}

/// Refuses what is no setting, or not set to what it takes; no value of a file is ever shown.
pub(crate) fn refuse(message: String, mend: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message).mend(mend)
}

impl FileSettings {
    /// Reads a file of this name.
    ///
    /// # Errors
    /// A text that is no TOML, a setting that is not known or not set to what it takes; `FILE:LINE`
    /// is the place of each.
    pub(crate) fn parse(text: &str, name: &str) -> Result<Self> {
        let reader = Reader { text, name };
        let table = DeTable::parse(text).map_err(|error| {
            // The line itself, which other messages show, may hold a secret.
            let why = error.message().lines().next().unwrap_or("no TOML").to_owned();
            let at = error.span().map_or(0, |span| span.start);
            refuse(format!("this is no TOML: {why}"), "see docs/configuration.md")
                .at("file", reader.place(at))
        })?;
        let mut found = Self::default();
        for (name, value) in table.get_ref() {
            if name.get_ref() != "profile" {
                let path = vec![name.get_ref().to_string()];
                reader.collect(
                    path,
                    value.get_ref(),
                    name.span().start,
                    None,
                    &mut found.entries,
                )?;
                continue;
            }
            let Some(profiles) = value.get_ref().as_table() else {
                let error = refuse("`profile` is no table".to_owned(), "write [profile.NAME]");
                return Err(error.at("file", reader.place(name.span().start)));
            };
            for (profile, settings) in profiles {
                let profile_name = profile.get_ref().to_string();
                found.profiles.push(profile_name.clone());
                let DeValue::Table(settings) = settings.get_ref() else {
                    let message = format!("the profile `{profile_name}` is no table");
                    let error = refuse(message, format!("write [profile.{profile_name}]"));
                    return Err(error.at("file", reader.place(profile.span().start)));
                };
                for (name, value) in settings {
                    let path = vec![name.get_ref().to_string()];
                    let at = name.span().start;
                    let of = Some(profile_name.as_str());
                    reader.collect(path, value.get_ref(), at, of, &mut found.entries)?;
                }
            }
        }
        Ok(found)
    }
}

struct Reader<'a> {
    text: &'a str,
    name: &'a str,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text[..at.min(self.text.len())].matches('\n').count() + 1
    }

    fn place(&self, at: usize) -> String {
        format!("{}:{}", self.name, self.line(at))
    }

    fn collect(
        &self,
        path: Vec<String>,
        value: &DeValue<'_>,
        at: usize,
        profile: Option<&str>,
        entries: &mut Vec<Entry>,
    ) -> Result<()> {
        if let Some(key) = find(&path) {
            let is_empty = value.as_str() == Some("") && key.default.is_none();
            let read = if is_empty { None } else { Some(key.kind.read_toml(value)) };
            let read = read.transpose().map_err(|why| {
                let message = format!("`{}` is not set to what it takes", path_text(&path));
                refuse(message, why).at("file", self.place(at))
            })?;
            let (line, profile) = (self.line(at), profile.map(str::to_owned));
            entries.push(Entry { key, path, value: read, line, profile });
            return Ok(());
        }
        let is_table = KEYS.iter().any(|key| key.is_below(&path));
        match (value, is_table) {
            (DeValue::Table(table), true) => {
                for (name, value) in table {
                    let mut path = path.clone();
                    path.push(name.get_ref().to_string());
                    let at = name.span().start;
                    self.collect(path, value.get_ref(), at, profile, entries)?;
                }
                Ok(())
            }
            (_, true) => {
                let message = format!("`{}` is a table of settings", path_text(&path));
                Err(refuse(message, "levain config explain lists them").at("file", self.place(at)))
            }
            _ => Err(unknown(&path).at("file", self.place(at))),
        }
    }
}

/// Refuses a setting that is not known, naming the one that may be meant.
pub(crate) fn unknown(path: &[String]) -> Error {
    let name = path_text(path);
    let mend = match nearest(&path.join(".")) {
        Some(near) => format!("did you mean `{near}`?"),
        None if ["sources", "destination", "pattern"].contains(&name.as_str()) => {
            "this looks like a recipe of a bake: levain.toml is read as settings, give it another name".to_owned()
        }
        None => "`levain config explain` lists all settings".to_owned(),
    };
    refuse(format!("there is no setting `{name}`"), mend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, words: &[&str]) {
        let report = FileSettings::parse(text, "levain.toml").expect_err("no settings").to_string();
        for word in words {
            assert!(report.contains(word), "`{word}` is not in\n{report}");
        }
        assert!(!report.contains("hidden"), "{report}");
    }

    #[test]
    fn settings_are_found_with_their_lines_and_profiles() {
        let text = "[store]\nurl = \"s3://b/runs\"\nendpoint = \"\"\n\n[steps.\"Open\"]\nretries = 5\n\
            [credentials]\n\"s3://noaa/\" = { anonymous = true }\n[profile.prod]\nbatch.workers = 64\n";
        let read = FileSettings::parse(text, "f").expect("settings");
        let shown: Vec<String> = read
            .entries
            .iter()
            .map(|it| {
                let value = it.value.as_ref().map_or("-".to_owned(), ToString::to_string);
                let profile = it.profile.as_deref().unwrap_or("-");
                format!("{profile} {}={value}:{}", path_text(&it.path), it.line)
            })
            .collect();
        let mut want = vec![
            "- store.url=\"s3://b/runs\":2",
            "- store.endpoint=-:3",
            "- steps.Open.retries=5:6",
            "- credentials.\"s3://noaa/\".anonymous=true:8",
            "prod batch.workers=64:10",
        ];
        want.sort_unstable();
        let mut shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        shown.sort_unstable();
        assert_eq!(shown, want);
        assert_eq!(read.profiles, ["prod"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_never_shown() {
        check_refused(
            "[batch]\nque = \"hidden\"\n",
            &["`batch.que`", "levain.toml:2", "did you mean `batch.queue`?"],
        );
        check_refused("[limits]\n\nmem = 8\n", &["E601", "levain.toml:3", "with its unit"]);
        check_refused("[limits]\nmem = \"8\"\n", &["levain.toml:2", "8 GiB"]);
        check_refused("limits = 3\n", &["`limits` is a table", "levain.toml:1"]);
        check_refused("[batch]\nqueue = \"arn:aws:hidden\"\n", &["too few parts", ":2"]);
        check_refused(
            "[profile.prod]\nbatch.workes = 3\n",
            &["`batch.workes`", ":2", "batch.workers"],
        );
        check_refused("sources = [\"hidden\"]\n", &["looks like a recipe"]);
        check_refused("[store]\nurl = hidden\n", &["no TOML", ":2"]);
        check_refused("profile = 3\n", &["`profile` is no table"]);
    }
}
