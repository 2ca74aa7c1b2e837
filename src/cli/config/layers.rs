//! Where settings come from, and which of them holds.
//!
//! From the strongest to the weakest: flags, the environment, the profile of the project's
//! `levain.toml`, the rest of it, the profile of the user's file, the rest of it, what is built in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use levain::dataflow::error::{Error, Result, redact};

use super::file::{FileSettings, refuse, unknown};
use super::kind::Value;
use super::schema::{KEYS, Key, find, parse_path, path_text};

/// The file of a project, in the folder in which the command runs.
pub(crate) const PROJECT_FILE: &str = "levain.toml";
/// Variables that were there before settings had a schema.
const SHORT_VARIABLES: [(&str, &str); 3] = [
    ("LEVAIN_MEM", "limits.mem"),
    ("LEVAIN_STORE", "store.url"),
    ("LEVAIN_THREADS", "direct.threads"),
];

/// Which settings are used.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigArgs {
    /// The file of settings that is read in place of the project's levain.toml
    #[arg(long, value_name = "FILE", global = true, env = "LEVAIN_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// The profile of settings that is used: [profile.NAME] of a file
    #[arg(long, value_name = "NAME", global = true, env = "LEVAIN_PROFILE")]
    pub(crate) profile: Option<String>,

    /// Where runs are kept: the setting store.url [default: DST.levain]
    #[arg(id = "run_store", long = "store", value_name = "URL", global = true)]
    pub(crate) store: Option<String>,

    /// Sets any setting, over all files and variables; may be given again
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    pub(crate) set: Vec<String>,
}

/// Where a setting was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) layer: &'static str,
    /// The flag, the variable, or `FILE:LINE`.
    pub(crate) place: Option<String>,
}

/// A setting, with what holds.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) key: &'static Key,
    pub(crate) path: Vec<String>,
    /// Nothing where it is not set.
    pub(crate) value: Option<Value>,
    pub(crate) origin: Origin,
}

/// The settings that hold.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    settings: BTreeMap<Vec<String>, Setting>,
    pub(crate) profile: Option<String>,
    /// The files that were read, the weakest first.
    pub(crate) files: Vec<String>,
}

/// What settings are looked for in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// The folder in which the command runs.
    pub(crate) folder: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let own = std::env::vars_os();
        let variables = own.filter(|(name, _)| {
            let name = name.to_string_lossy();
            name.starts_with("LEVAIN_") || name == "HOME" || name == "XDG_CONFIG_HOME"
        });
        Self { variables: variables.collect(), folder: PathBuf::new() }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        let found = self.variables.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| PathBuf::from(value))
    }

    /// The file of the user, whether or not it is there.
    pub(crate) fn user_file(&self) -> Option<PathBuf> {
        let home = || self.path("HOME").map(|home| home.join(".config"));
        let folder =
            self.path("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(home)?;
        Some(folder.join("levain").join("config.toml"))
    }
}

/// The settings that hold for this process.
///
/// # Errors
/// Files that cannot be read or are wrong, variables and flags that are wrong, a profile that no
/// file has.
pub(crate) fn load(args: &ConfigArgs) -> Result<Config> {
    Config::gather(args, &Surroundings::of_process())
}

impl Config {
    /// Those of flags alone, over what is built in.
    ///
    /// # Errors
    /// Flags that are wrong.
    pub(crate) fn of_flags(args: &ConfigArgs) -> Result<Self> {
        let mut config = Self { settings: built_in(), profile: None, files: Vec::new() };
        config.apply_flags(args)?;
        Ok(config)
    }

    /// The settings that hold, of all layers.
    ///
    /// # Errors
    /// As [`load`].
    pub(crate) fn gather(args: &ConfigArgs, around: &Surroundings) -> Result<Self> {
        let user = around.user_file().map(|path| read(&path)).transpose()?.flatten();
        let project = match &args.config {
            Some(path) => Some(read(&around.folder.join(path))?.ok_or_else(|| {
                refuse(
                    "there is no such file of settings".to_owned(),
                    "name one that is there: --config FILE",
                )
                .at("file", path.display())
            })?),
            None => read(&around.folder.join(PROJECT_FILE))?,
        };
        let files = [("user", "user profile", user), ("project", "project profile", project)];
        let read: Vec<&(String, FileSettings)> =
            files.iter().filter_map(|(_, _, file)| file.as_ref()).collect();
        if let Some(profile) = &args.profile {
            check_profile(profile, &read)?;
        }
        let names = read.iter().map(|(name, _)| name.clone()).collect();
        let mut config = Self { settings: built_in(), profile: args.profile.clone(), files: names };
        for (base, profiled, file) in &files {
            let Some((name, file)) = file else { continue };
            config.apply_file(name, file, None, base);
            if let Some(profile) = args.profile.as_deref() {
                config.apply_file(name, file, Some(profile), profiled);
            }
        }
        config.apply_variables(&around.variables)?;
        config.apply_flags(args)?;
        Ok(config)
    }

    fn apply_file(
        &mut self,
        name: &str,
        file: &FileSettings,
        profile: Option<&str>,
        layer: &'static str,
    ) {
        for entry in file.entries.iter().filter(|entry| entry.profile.as_deref() == profile) {
            let origin = Origin { layer, place: Some(format!("{name}:{}", entry.line)) };
            self.put(entry.key, entry.path.clone(), entry.value.clone(), origin);
        }
    }

    fn apply_variables(&mut self, variables: &[(OsString, OsString)]) -> Result<()> {
        let text = |name: &OsString| name.to_str().map(str::to_owned);
        let mut named = Vec::new();
        for (name, value) in variables {
            let Some(name) = text(name) else { continue };
            let short = SHORT_VARIABLES.iter().find(|(short, _)| *short == name);
            let path = match (short, name.strip_prefix("LEVAIN_")) {
                (Some((_, path)), _) => (*path).to_owned(),
                (None, Some(rest)) if rest.contains("__") => rest.to_lowercase().replace("__", "."),
                _ => continue,
            };
            let value = value.to_str().map(str::to_owned);
            named.push((short.is_none(), name, path, value));
        }
        // The full name of a setting holds over its short one.
        named.sort();
        for (_, name, path, value) in named {
            let of_variable = |error: Error| error.at("variable", &name);
            let value = value.ok_or_else(|| {
                of_variable(refuse(
                    "a variable is no UTF-8".to_owned(),
                    "set it to a text, or unset it",
                ))
            })?;
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            let origin = Origin { layer: "environment", place: Some(name.clone()) };
            self.put_text(path, &value, origin).map_err(of_variable)?;
        }
        Ok(())
    }

    fn apply_flags(&mut self, args: &ConfigArgs) -> Result<()> {
        let origin = |flag: &str| Origin { layer: "flag", place: Some(flag.to_owned()) };
        for set in &args.set {
            let of_flag = |error: Error| error.at("flag", "--set");
            let (name, value) = set.split_once('=').unwrap_or((set, ""));
            let path = parse_path(name).filter(|_| set.contains('='));
            let path = path.ok_or_else(|| {
                of_flag(refuse(
                    "a flag sets nothing".to_owned(),
                    "write --set KEY=VALUE, as --set batch.workers=4",
                ))
            })?;
            self.put_text(path, value, origin("--set")).map_err(of_flag)?;
        }
        if let Some(url) = &args.store {
            let path = ["store", "url"].map(str::to_owned).to_vec();
            self.put_text(path, url, origin("--store"))
                .map_err(|error| error.at("flag", "--store"))?;
        }
        Ok(())
    }

    fn put_text(&mut self, path: Vec<String>, text: &str, origin: Origin) -> Result<()> {
        let Some(key) = find(&path) else { return Err(unknown(&path)) };
        let is_unset = text.trim().is_empty() && key.default.is_none();
        let value = if is_unset { None } else { Some(key.kind.read(text)) };
        let value = value.transpose().map_err(|why| {
            refuse(format!("`{}` is not set to what it takes", path_text(&path)), why)
        })?;
        self.put(key, path, value, origin);
        Ok(())
    }

    fn put(&mut self, key: &'static Key, path: Vec<String>, value: Option<Value>, origin: Origin) {
        self.settings.insert(path.clone(), Setting { key, path, value, origin });
    }

    /// All settings, by their path.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.settings.values()
    }

    /// The setting of a plain name.
    pub(crate) fn setting(&self, name: &str) -> Option<&Setting> {
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        self.settings.get(&path)
    }

    /// What a setting of a plain name is set to.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        debug_assert!(KEYS.iter().any(|key| key.name == name), "{name} is no setting");
        self.setting(name)?.value.as_ref()
    }
}

/// A value as it may be shown: URLs without what may be secret.
pub(crate) fn shown(value: &Value) -> String {
    redact(&value.to_string())
}

fn built_in() -> BTreeMap<Vec<String>, Setting> {
    let plain = KEYS.iter().filter(|key| !key.name.contains('*'));
    let settings = plain.map(|key| {
        let path: Vec<String> = key.name.split('.').map(str::to_owned).collect();
        // The tests of the schema read every default.
        let value = key.default.and_then(|text| key.kind.read(text).ok());
        let origin = Origin { layer: "built-in", place: None };
        (path.clone(), Setting { key, path, value, origin })
    });
    settings.collect()
}

/// A file of settings and its name, if it is there.
fn read(path: &Path) -> Result<Option<(String, FileSettings)>> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((name.clone(), FileSettings::parse(&text, &name)?))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("a file of settings cannot be read: {error}");
            Err(refuse(message, "make it readable, or remove it").at("file", name))
        }
    }
}

fn check_profile(profile: &str, files: &[&(String, FileSettings)]) -> Result<()> {
    let mut known: Vec<&str> =
        files.iter().flat_map(|(_, file)| &file.profiles).map(String::as_str).collect();
    if known.contains(&profile) {
        return Ok(());
    }
    known.sort_unstable();
    known.dedup();
    let mend = match known.as_slice() {
        [] => format!("write [profile.{profile}] in {PROJECT_FILE}"),
        known => format!("there are: {}", known.join(", ")),
    };
    Err(refuse(format!("there is no profile `{profile}`"), mend))
}

#[cfg(test)]
mod tests;
