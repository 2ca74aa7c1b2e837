//! `levain explain`: what an error code means, why it comes, and how to mend it.

use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Value, json};

use crate::cli::args::ExplainArgs;
use crate::cli::codes::{PAGES, Page};
use crate::cli::out::Out;
use crate::cli::table::Table;

/// Prints the page of a code, or a line for each code.
pub(crate) fn explain(args: &ExplainArgs, out: &Out) -> Result<()> {
    let Some(text) = &args.code else {
        let mut table = Table::new(["CODE", "EXIT", "MEANING"]);
        for (code, meaning) in ErrorCode::ALL {
            table.row([code.to_string(), code.exit_code().to_string(), meaning.trim().to_owned()]);
        }
        let codes: Vec<Value> =
            ErrorCode::ALL.iter().map(|(code, _)| json!(code.to_string())).collect();
        return out.result(&table.to_string(), &json!({ "v": 1, "codes": codes }));
    };
    let number = text.trim().trim_start_matches(['E', 'e']);
    let known = ErrorCode::ALL.iter().find(|(code, _)| code.number().to_string() == number);
    let page = PAGES.iter().find(|page| known.is_some_and(|(code, _)| page.code == *code));
    let (Some((code, meaning)), Some(page)) = (known, page) else {
        let message = format!("there is no error code `{text}`");
        let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
        return Err(error.mend("`levain explain` lists all codes, as E201"));
    };
    let Page { why, mend, .. } = page;
    let (meaning, exit) = (meaning.trim(), code.exit_code());
    let document = json!({
        "v": 1, "code": code.to_string(), "meaning": meaning, "why": why, "mend": mend, "exit": exit,
    });
    let text = format!("{code}: {meaning}\n\nwhy    {why}\n\nmend   {mend}\n\nexit   {exit}");
    out.result(&wrapped(&text), &document)
}

/// The text in lines of at most 96 signs, what goes on indented as its first line.
fn wrapped(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent = if line.len() > 7 && line[..7].ends_with(' ') { 7 } else { 0 };
        let mut current = String::new();
        for word in line.split(' ') {
            if current.trim_end().chars().count() + word.chars().count() >= 96
                && !current.trim().is_empty()
            {
                lines.push(current.trim_end().to_owned());
                current = " ".repeat(indent);
            }
            current.push_str(word);
            current.push(' ');
        }
        lines.push(current.trim_end().to_owned());
    }
    lines.join("\n")
}
