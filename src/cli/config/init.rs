//! `levain config init`: asks for what most runs need, and writes a file of settings.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result, redact};
use serde_json::json;

use super::file::{FileSettings, refuse, unknown};
use super::kind::Value;
use super::layers::{ConfigArgs, PROJECT_FILE, Surroundings, shown};
use super::schema::{find, parse_path, path_text};
use crate::cli::out::{Out, say};

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Writes the file of the user, which all projects read, and not that of this project
    #[arg(long, conflicts_with = "config")]
    pub(crate) user: bool,

    /// A job queue, by name or ARN; may be given again: the next one where one has no capacity
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Vec<String>,

    /// The job definition of workers, by name or ARN
    #[arg(long, value_name = "NAME")]
    pub(crate) job_definition: Option<String>,

    /// The region of the queues
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// Asks nothing: what flags do not say is left out
    #[arg(long)]
    pub(crate) no_input: bool,

    /// Replaces a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// What is asked for, in this order.
const QUESTIONS: [&str; 5] =
    ["store.url", "limits.mem", "batch.region", "batch.queue", "batch.job_definition"];

type Answers = BTreeMap<Vec<String>, Value>;

/// Writes a file of settings from flags and answers.
pub(crate) fn init(
    args: &InitArgs,
    flags: &ConfigArgs,
    answers: &mut dyn BufRead,
    out: &Out,
) -> Result<()> {
    let path = place(args, flags)?;
    if path.exists() && !args.force {
        let error = Error::new(
            ErrorCode::CONFIGURATION,
            ErrorKind::AlreadyExists,
            "a file of settings is there",
        );
        return Err(error.at("file", path.display()).mend("use --force to replace it"));
    }
    let mut settings = of_flags(args, flags)?;
    if !args.no_input {
        ask(&mut settings, answers)?;
    }
    let text = text_of(&settings, flags.profile.as_deref());
    // What is written can be read.
    FileSettings::parse(&text, &path.display().to_string())?;
    write(&path, &text).map_err(|error| error.at("file", path.display()))?;
    let shown_settings: BTreeMap<String, String> =
        settings.iter().map(|(path, value)| (path_text(path), shown(value))).collect();
    let mut lines = vec![format!("wrote {}", path.display())];
    lines.extend(shown_settings.iter().map(|(name, value)| format!("  {name} = {value}")));
    let document =
        json!({ "v": 1, "file": path.display().to_string(), "settings": shown_settings });
    out.result(&lines.join("\n"), &document)
}

fn place(args: &InitArgs, flags: &ConfigArgs) -> Result<PathBuf> {
    if args.user {
        let path = Surroundings::of_process().user_file();
        return path.ok_or_else(|| {
            refuse(
                "there is no home folder".to_owned(),
                "set HOME or XDG_CONFIG_HOME, or use --config FILE",
            )
        });
    }
    Ok(flags.config.clone().unwrap_or_else(|| PathBuf::from(PROJECT_FILE)))
}

fn of_flags(args: &InitArgs, flags: &ConfigArgs) -> Result<Answers> {
    let mut settings = Answers::new();
    let queues = args.queue.join(",");
    let named = [
        ("--store", "store.url", flags.store.as_deref()),
        ("--queue", "batch.queue", Some(queues.as_str()).filter(|it| !it.is_empty())),
        ("--job-definition", "batch.job_definition", args.job_definition.as_deref()),
        ("--region", "batch.region", args.region.as_deref()),
    ];
    for set in &flags.set {
        let (name, value) = set.split_once('=').ok_or_else(|| {
            refuse("a flag sets nothing".to_owned(), "write --set KEY=VALUE").at("flag", "--set")
        })?;
        answer(&mut settings, name, value).map_err(|error| error.at("flag", "--set"))?;
    }
    for (flag, name, value) in named {
        if let Some(value) = value {
            answer(&mut settings, name, value).map_err(|error| error.at("flag", flag))?;
        }
    }
    Ok(settings)
}

fn answer(settings: &mut Answers, name: &str, text: &str) -> Result<()> {
    let path = parse_path(name).unwrap_or_else(|| vec![name.to_owned()]);
    let Some(key) = find(&path) else { return Err(unknown(&path)) };
    if redact(text) != text {
        let message = format!("`{name}` holds what may be a secret");
        return Err(refuse(
            message,
            "leave keys to the standard chain of AWS, and write the URL without them",
        ));
    }
    let value = key.kind.read(text);
    let value =
        value.map_err(|why| refuse(format!("`{name}` is not set to what it takes"), why))?;
    settings.insert(path, value);
    Ok(())
}

/// Asks for what no flag has said; an empty line leaves a setting out.
fn ask(settings: &mut Answers, answers: &mut dyn BufRead) -> Result<()> {
    for name in QUESTIONS {
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        let Some(key) = find(&path).filter(|_| !settings.contains_key(&path)) else { continue };
        loop {
            say(&format!("{name}: {}; it takes {} [not set]", key.meaning, key.kind.expects()));
            let mut line = String::new();
            let read = answers.read_line(&mut line).map_err(Error::from)?;
            if read == 0 {
                let message = format!("the answers end before `{name}`");
                return Err(refuse(
                    message,
                    "answer with an empty line to leave it out, or use --no-input",
                ));
            }
            if line.trim().is_empty() {
                break;
            }
            match answer(settings, name, line.trim()) {
                Ok(()) => break,
                Err(error) => say(&error.to_string()),
            }
        }
    }
    Ok(())
}

fn text_of(settings: &Answers, profile: Option<&str>) -> String {
    let mut text =
        String::from("# Settings of levain: `levain config explain` lists all of them.\n");
    let mut table = None;
    for (path, value) in settings {
        let Some((name, above)) = path.split_last() else { continue };
        if table != Some(above) {
            let mut header: Vec<String> = Vec::new();
            header.extend(
                profile.iter().flat_map(|profile| ["profile".to_owned(), (*profile).to_owned()]),
            );
            header.extend(above.iter().cloned());
            text.push_str(&format!("\n[{}]\n", path_text(&header)));
            table = Some(above);
        }
        text.push_str(&format!("{name} = {value}\n"));
    }
    text
}

/// Writes a file that only its owner reads, whole or not at all.
fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    Ok(())
}
