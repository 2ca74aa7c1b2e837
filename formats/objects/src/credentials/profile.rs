//! Profiles: what the files of `~/.aws` say, and in which line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::credentials::Surroundings;

/// What a profile says.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// Its name.
    pub(crate) name: String,
    /// The files that were read, and when each was written.
    pub(crate) files: Vec<(PathBuf, Option<SystemTime>)>,
    values: BTreeMap<String, Said>,
}

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    value: String,
    place: String,
}

/// How a profile gives credentials.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Way<'a> {
    /// These keys, which stand at this place.
    Keys { id: &'a str, secret: &'a str, token: Option<&'a str>, place: &'a str },
    /// What a command prints.
    Process { command: &'a str, place: &'a str },
    /// What the command of AWS knows to do: SSO, roles; the setting that says so.
    Export(&'static str),
    /// Not at all.
    Nothing,
}

/// Settings that only the command of AWS understands, before keys are looked for.
const EXPORTED: [&str; 4] = ["role_arn", "sso_session", "sso_start_url", "login_session"];

impl Profile {
    /// Reads a profile, or that of the variables, or `default`.
    pub(crate) fn load(surroundings: &Surroundings, named: Option<&str>) -> Self {
        let own = surroundings.profile_name();
        let name = named.or(own.as_deref()).unwrap_or("default");
        let mut profile = Self { name: name.to_owned(), ..Self::default() };
        let config = surroundings.aws_file("AWS_CONFIG_FILE", "config");
        profile.read(config, &[&format!("profile {name}"), name]);
        let keys = surroundings.aws_file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        profile.read(keys, &[name]);
        profile
    }

    /// Adds what a file says; later files hold over earlier ones.
    fn read(&mut self, path: Option<PathBuf>, names: &[&str]) {
        let Some(path) = path else { return };
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        self.values.extend(section(&text, names, &path));
        let written = written_at(&path);
        self.files.push((path, written));
    }

    /// A setting, unless it is empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|said| said.value.as_str()).filter(|value| !value.is_empty())
    }

    fn place(&self, key: &str) -> &str {
        self.values.get(key).map_or("", |said| said.place.as_str())
    }

    /// How it gives credentials.
    pub(crate) fn way(&self) -> Way<'_> {
        if let Some(way) = EXPORTED.iter().find(|way| self.get(way).is_some()) {
            return Way::Export(way);
        }
        if let (Some(id), Some(secret)) =
            (self.get("aws_access_key_id"), self.get("aws_secret_access_key"))
        {
            let (token, place) = (self.get("aws_session_token"), self.place("aws_access_key_id"));
            return Way::Keys { id, secret, token, place };
        }
        match self.get("credential_process") {
            Some(command) => Way::Process { command, place: self.place("credential_process") },
            None => Way::Nothing,
        }
    }
}

/// When a file was written; nothing if it is not there.
pub(crate) fn written_at(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|it| it.modified()).ok()
}

/// The settings of the sections of these names in a file of `~/.aws`; later ones win.
fn section(text: &str, names: &[&str], path: &Path) -> BTreeMap<String, Said> {
    let mut values = BTreeMap::new();
    let mut is_inside = false;
    for (index, line) in text.lines().enumerate() {
        // Indented lines belong to a nested setting of the line above.
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) || is_nested {
            continue;
        }
        match line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            Some((header, _)) => is_inside = names.contains(&header.trim()),
            None if is_inside => {
                if let Some((key, value)) = line.split_once('=') {
                    let place = format!("{}:{}", path.display(), index + 1);
                    let said = Said { value: value.trim().to_owned(), place };
                    values.insert(key.trim().to_ascii_lowercase(), said);
                }
            }
            None => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "[default]\naws_access_key_id = A\naws_secret_access_key=B\n\
        # a comment\n[work]\naws_access_key_id=C\naws_secret_access_key=D\naws_session_token=E\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\ns3 =\n  region = nested\n\
        [profile work]\nregion=us-west-2\nendpoint_url=https://e\n[profile sso]\nsso_session = x\n\
        [profile tool]\ncredential_process = /bin/tool --for me\n";

    fn load(named: Option<&str>) -> Profile {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join(".aws");
        std::fs::create_dir(&home).expect("a folder");
        std::fs::write(home.join("credentials"), CREDENTIALS).expect("written");
        std::fs::write(home.join("config"), CONFIG).expect("written");
        let home = folder.path().to_str().expect("UTF-8");
        Profile::load(&Surroundings::of(&[("HOME", home)]), named)
    }

    #[test]
    fn profiles_join_both_files() {
        let default = load(None);
        let Way::Keys { id, secret, token, place } = default.way() else { panic!("no keys") };
        assert_eq!((id, secret, token), ("A", "B", None));
        assert!(place.ends_with("/.aws/credentials:2"), "{place}");
        assert_eq!((default.get("region"), default.get("endpoint_url")), (Some("eu-west-1"), None));
        let work = load(Some("work"));
        let Way::Keys { id, token, .. } = work.way() else { panic!("no keys") };
        assert_eq!((id, token), ("C", Some("E")));
        assert_eq!(work.get("endpoint_url"), Some("https://e"));
    }

    #[test]
    fn other_ways_are_told_apart() {
        assert_eq!(load(Some("sso")).way(), Way::Export("sso_session"));
        assert_eq!(load(Some("missing")).way(), Way::Nothing);
        let tool = load(Some("tool"));
        assert!(matches!(tool.way(), Way::Process { command: "/bin/tool --for me", .. }));
    }
}
