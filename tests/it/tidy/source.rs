//! Rust text with all that is not code blanked out: enough to find names, items and lengths.
//!
//! Comments, strings and characters become spaces and lines stay where they are, so that a word
//! in a comment is no name and a brace in a string closes nothing. Nothing here knows a rule.

use std::ops::Range;

/// One file of Rust.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    code: String,
    test_items: Vec<Range<usize>>,
}

/// A function and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) line_count: usize,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let code = blank_all_but_code(text);
        let test_items = test_items(&code);
        Self { code, test_items }
    }

    /// The code, items for tests included.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// The code without items that only tests see.
    pub(crate) fn shipped_code(&self) -> String {
        let mut code = self.code.clone().into_bytes();
        for item in &self.test_items {
            blank(&mut code[item.clone()]);
        }
        String::from_utf8(code).expect("only whole characters were blanked")
    }

    /// Lines, comments included, outside of items that only tests see.
    pub(crate) fn shipped_line_count(&self) -> usize {
        let in_tests = self.test_items.iter().map(|item| line_count(&self.code[item.clone()]));
        self.code.lines().count() - in_tests.sum::<usize>()
    }

    /// Whether the module `name` is declared for tests alone.
    pub(crate) fn declares_for_tests(&self, name: &str) -> bool {
        let declaration = format!("mod {name};");
        self.test_items.iter().any(|item| self.code[item.clone()].ends_with(&declaration))
    }

    /// All functions that have a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        functions(&self.code)
    }

    /// The functions outside of items that only tests see.
    pub(crate) fn shipped_functions(&self) -> Vec<Function> {
        functions(&self.shipped_code())
    }
}

fn functions(code: &str) -> Vec<Function> {
    let function = |at: usize| {
        let signature = &code[at..];
        let name = ident(signature["fn".len()..].trim_start());
        let item = &signature[..item_length(signature)];
        let has_body = !name.is_empty() && item.ends_with('}');
        let (line, line_count) = (line_of(code, at), line_count(item));
        has_body.then(|| Function { name: name.to_owned(), line, line_count })
    };
    words(code, "fn").filter_map(function).collect()
}

/// Where `word` stands by itself.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let stands_alone = move |at: &usize| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_ident) && !after.is_some_and(is_ident)
    };
    code.match_indices(word).map(|(at, _)| at).filter(stands_alone)
}

/// The line on which a byte stands, counted from 1.
pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// What follows `root::` everywhere in the code: one name, or each name of a group.
///
/// The names are those of the first level alone: `root::{a::{b, c}, d}` gives `a` and `d`.
pub(crate) fn names_below<'a>(code: &'a str, root: &'a str) -> Vec<(usize, &'a str)> {
    let is_root = |at: &usize| {
        let before = code[..*at].trim_end();
        let path = before.strip_suffix("::").unwrap_or("");
        !path.chars().next_back().is_some_and(|c| is_ident(c) || c == '>')
    };
    let mut names = Vec::new();
    for at in words(code, root).filter(is_root) {
        let rest = &code[at + root.len()..];
        if let Some(rest) = rest.trim_start().strip_prefix("::") {
            let line = line_of(code, at);
            names.extend(first_names(rest.trim_start()).into_iter().map(|name| (line, name)));
        }
    }
    names
}

/// The identifier at the front of the text; empty if there is none.
pub(crate) fn ident(text: &str) -> &str {
    let end = text.find(|c| !is_ident(c)).unwrap_or(text.len());
    &text[..end]
}

fn first_names(path: &str) -> Vec<&str> {
    if !path.starts_with('{') {
        return vec![ident(path)];
    }
    let mut names = Vec::new();
    let mut depth = 0;
    for (at, character) in path.char_indices() {
        depth += nesting(character);
        let opens_name = matches!(character, '{' | ',') && depth == 1;
        if opens_name && !ident(path[at + 1..].trim_start()).is_empty() {
            names.push(ident(path[at + 1..].trim_start()));
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn is_ident(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn line_count(text: &str) -> usize {
    text.matches('\n').count() + 1
}

/// Items below `#[cfg(test)]`, from the attribute to their end.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices("#[cfg(") {
        let condition = &code[at + "#[cfg(".len()..];
        let is_for_tests = condition.starts_with("test)") || condition.starts_with("all(test");
        if is_for_tests && items.last().is_none_or(|last| last.end <= at) {
            items.push(at..at + item_length(&code[at..]));
        }
    }
    items
}

/// Bytes of the item at the front: its attributes, and all to the `;` or `}` that ends it.
fn item_length(code: &str) -> usize {
    let start = attributes_length(code);
    let is_statement = is_statement(&code[start..]);
    let mut depth = 0;
    for (at, character) in code[start..].char_indices() {
        depth += nesting(character);
        let is_end = character == ';' || (character == '}' && !is_statement);
        if depth == 0 && is_end {
            return start + at + 1;
        }
    }
    code.len()
}

/// Whether braces of the item are values or groups of names, and only a `;` ends it.
fn is_statement(item: &str) -> bool {
    let mut words = item.split(|c| !is_ident(c)).filter(|word| !word.is_empty());
    let words = (words.find(|word| !matches!(*word, "pub" | "crate" | "super")), words.next());
    matches!(words, (Some("use" | "static" | "type"), _))
        || (words.0 == Some("const") && words.1 != Some("fn"))
}

/// Bytes of the attributes at the front.
fn attributes_length(code: &str) -> usize {
    let mut depth = 0;
    for (at, character) in code.char_indices() {
        if depth == 0 && !character.is_whitespace() && !matches!(character, '#' | '[') {
            return at;
        }
        depth += nesting(character);
    }
    code.len()
}

fn nesting(character: char) -> i32 {
    match character {
        '(' | '[' | '{' => 1,
        ')' | ']' | '}' => -1,
        _ => 0,
    }
}

fn blank_all_but_code(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < text.len() {
        let length = blank_length(text, at);
        blank(&mut bytes[at..at + length]);
        at += length.max(text[at..].chars().next().map_or(1, char::len_utf8));
    }
    String::from_utf8(bytes).expect("only whole characters were blanked")
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// Bytes of the comment, string or character that begins here; 0 for code.
fn blank_length(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    let follows_ident = text[..at].chars().next_back().is_some_and(is_ident);
    match rest.as_bytes()[0] {
        b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
        b'/' if rest.starts_with("/*") => block_comment_length(rest),
        b'"' => string_length(rest),
        b'\'' => character_length(rest),
        b'r' if !follows_ident => raw_string_length(rest, 1),
        b'b' | b'c' if !follows_ident && rest[1..].starts_with('r') => raw_string_length(rest, 2),
        _ => 0,
    }
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        let (step, change) = match (rest.starts_with(b"/*"), rest.starts_with(b"*/")) {
            (true, _) => (2, 1),
            (_, true) => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character with its quotes; 0 for a lifetime.
fn character_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some(_)) => {
            characters.find(|(_, c)| *c == '\'').map_or(text.len(), |(end, _)| end + 1)
        }
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 0,
    }
}

/// A raw string whose prefix has `prefix` bytes; 0 for a name.
fn raw_string_length(text: &str, prefix: usize) -> usize {
    let hashes = text[prefix..].bytes().take_while(|byte| *byte == b'#').count();
    let open = prefix + hashes + 1;
    if !text[prefix + hashes..].starts_with('"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    text[open..].find(&close).map_or(text.len(), |at| open + at + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_no_code() {
        let text = r##"a /* b /* c */ d */ e // f
"g\"h" r#"i"j"# 'k' '\'' 'l: b"m" br"n" r#type o"##;
        let code = blank_all_but_code(text);
        let left: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(left, ["a", "e", "'l:", "b", "r#type", "o"]);
        assert_eq!(code.len(), text.len());
    }

    #[track_caller]
    fn check_names(code: &str, want: &[&str]) {
        let names: Vec<&str> = names_below(code, "crate").into_iter().map(|(_, n)| n).collect();
        assert_eq!(names, want);
    }

    #[test]
    fn names_are_found_in_paths_and_groups() {
        check_names("use crate::plan::Stage; crate::graph::f()", &["plan", "graph"]);
        check_names("use crate::{a::{b, c}, d,\n e as f};", &["a", "d", "e"]);
        check_names("pub(crate) fn f() -> ::crate::x", &["x"]);
        check_names("other::crate::x my_crate::x", &[]);
    }

    #[track_caller]
    fn check_lines(text: &str, want: usize) {
        assert_eq!(Source::new(text).shipped_line_count(), want, "{text}");
    }

    #[test]
    fn items_for_tests_are_not_counted() {
        check_lines("a\nb", 2);
        check_lines("a\n#[cfg(test)]\nmod tests {\n fn f() {}\n}\nb", 2);
        check_lines("a\n#[cfg(test)]\n#[x(y)]\nfn f(a: [u8; 2]) {\n}\nb", 2);
        check_lines("#[cfg(test)]\nuse a::{\n b};\nc", 1);
        check_lines("#[cfg(test)]\nfn f<T: I<A = B>>()\n{\n}\nb", 1);
        check_lines("#[cfg(test)]\nconst A: B = B {\n};\nb", 1);
        check_lines("#[cfg(any(test, feature = \"testing\"))]\nmod a {\n}", 3);
    }

    #[test]
    fn functions_are_measured_from_signature_to_brace() {
        let source = Source::new("\nfn a() {\n}\ntrait T {\n fn b();\n}\ntype F = fn(u8);\n");
        let want = Function { name: "a".into(), line: 2, line_count: 2 };
        assert_eq!(source.functions(), [want]);
    }
}
