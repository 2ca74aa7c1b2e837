//! The part of TOML that manifests and lock files of this house are written in.
//!
//! What it does not understand is an error, so that no rule can be passed by writing otherwise.

/// A table: its header without brackets, and its entries with their values as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) entries: Vec<(String, String)>,
}

/// A dependency of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) is_dev: bool,
    /// Everything that is said of it, as entries of an inline table.
    pub(crate) fields: Vec<(String, String)>,
}

/// The tables of a file, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Manifest(Vec<Table>);

impl Manifest {
    /// Reads the tables; the error is the line that was not understood.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut tables = vec![Table::default()];
        let mut lines = text.lines().map(without_comment);
        while let Some(line) = lines.next() {
            let line = line.trim();
            if let Some(name) = header(line) {
                tables.push(Table { name: name.to_owned(), entries: Vec::new() });
            } else if let Some((key, value)) = line.split_once('=') {
                let mut value = value.trim().to_owned();
                while open_brackets(&value) > 0 {
                    value.push_str(lines.next().ok_or(line)?.trim());
                }
                let entry = (unquoted(key).to_owned(), value);
                tables.last_mut().ok_or(line)?.entries.push(entry);
            } else if !line.is_empty() {
                return Err(line.to_owned());
            }
        }
        Ok(Self(tables))
    }

    /// All tables of this name: several where it names an array.
    pub(crate) fn tables<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Table> + use<'a> {
        let name = name.to_owned();
        self.0.iter().filter(move |table| table.name == name)
    }

    /// The string under `key` of the table `table`.
    pub(crate) fn string(&self, table: &str, key: &str) -> Option<&str> {
        self.tables(table).find_map(|table| table.string(key))
    }

    /// The dependencies of all kinds and targets.
    pub(crate) fn dependencies(&self) -> Vec<Dependency> {
        let mut found: Vec<Dependency> = Vec::new();
        for table in self.0.iter().filter(|table| table.name != "workspace.dependencies") {
            let Some((kind, name)) = dependency_table(&table.name) else { continue };
            for (key, value) in &table.entries {
                let (name, field) = match name {
                    Some(name) => (name, Some(key.as_str())),
                    None => key.split_once('.').map_or((key.as_str(), None), |(n, f)| (n, Some(f))),
                };
                let fields = match field {
                    Some(field) => vec![(field.to_owned(), value.clone())],
                    None => inline_fields(value),
                };
                let is_dev = kind == "dev-dependencies";
                match found.iter_mut().find(|d| d.name == name && d.is_dev == is_dev) {
                    Some(dependency) => dependency.fields.extend(fields),
                    None => found.push(Dependency { name: name.to_owned(), is_dev, fields }),
                }
            }
        }
        found
    }
}

impl Table {
    /// The string under `key`.
    pub(crate) fn string(&self, key: &str) -> Option<&str> {
        self.value(key).map(unquoted)
    }

    /// The strings of the list under `key`.
    pub(crate) fn strings(&self, key: &str) -> Vec<&str> {
        self.value(key).map(strings).unwrap_or_default()
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

impl Dependency {
    /// What is said under `field`, as it is written.
    pub(crate) fn field(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
    }
}

/// All strings in a value.
pub(crate) fn strings(value: &str) -> Vec<&str> {
    value.split('"').skip(1).step_by(2).collect()
}

/// The fields of an inline table; a lone string is a version.
pub(crate) fn inline_fields(value: &str) -> Vec<(String, String)> {
    let Some(body) = value.strip_prefix('{').and_then(|body| body.strip_suffix('}')) else {
        return vec![("version".to_owned(), value.to_owned())];
    };
    let mut fields: Vec<String> = vec![String::new()];
    for part in body.split_inclusive(',') {
        let last = fields.last_mut().expect("there is always one field");
        last.push_str(part);
        if open_brackets(last) == 0 {
            fields.push(String::new());
        }
    }
    let pairs = fields.iter().filter_map(|field| field.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), trimmed(value).to_owned())).collect()
}

fn trimmed(value: &str) -> &str {
    value.trim().trim_end_matches(',').trim_end()
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches('"')
}

fn header(line: &str) -> Option<&str> {
    let name = line.strip_prefix('[')?.strip_suffix(']')?;
    Some(name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name))
}

/// The kind of dependencies that a table lists, and the one that it is about.
fn dependency_table(table: &str) -> Option<(&'static str, Option<&str>)> {
    // The longer names first: each ends with the last one.
    for kind in ["dev-dependencies", "build-dependencies", "dependencies"] {
        if table == kind || table.ends_with(&format!(".{kind}")) {
            return Some((kind, None));
        }
        let above = format!("{kind}.");
        if let Some(name) = table.strip_prefix(&above) {
            return Some((kind, Some(name)));
        }
        if let Some((_, name)) = table.split_once(&format!(".{above}")) {
            return Some((kind, Some(name)));
        }
    }
    None
}

fn without_comment(line: &str) -> &str {
    let mut is_string = false;
    let comment = line.find(|character| {
        is_string ^= character == '"';
        character == '#' && !is_string
    });
    &line[..comment.unwrap_or(line.len())]
}

fn open_brackets(value: &str) -> i32 {
    let mut is_string = false;
    let mut depth = 0;
    for character in value.chars() {
        match character {
            '"' => is_string = !is_string,
            '[' | '{' if !is_string => depth += 1,
            ']' | '}' if !is_string => depth -= 1,
            _ => {}
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[(&str, bool, &str)]) {
        let found = Manifest::parse(text).expect("a manifest").dependencies();
        let found: Vec<(String, bool, String)> = found
            .into_iter()
            .map(|d| {
                let fields: Vec<String> =
                    d.fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
                (d.name, d.is_dev, fields.join(" "))
            })
            .collect();
        let want: Vec<(String, bool, String)> =
            want.iter().map(|(n, d, f)| ((*n).to_owned(), *d, (*f).to_owned())).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn dependencies_are_found_however_they_are_written() {
        check("[dependencies]\na.workspace = true # why", &[("a", false, "workspace=true")]);
        check("[dev-dependencies]\na = \"1\"", &[("a", true, "version=\"1\"")]);
        check(
            "[dependencies]\na = { path = \"p\",\n features = [\"x\", \"y\"] }",
            &[("a", false, "path=\"p\" features=[\"x\", \"y\"]")],
        );
        check("[dependencies.a]\npath = \"p\"", &[("a", false, "path=\"p\"")]);
        check("[target.'cfg(unix)'.dependencies]\na = \"1\"", &[("a", false, "version=\"1\"")]);
        check("[target.x.dev-dependencies.a]\npath = \"p\"", &[("a", true, "path=\"p\"")]);
        check("[workspace.dependencies]\na = \"1\"", &[]);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert_eq!(Manifest::parse("[a]\nwhat"), Err("what".to_owned()));
    }
}
