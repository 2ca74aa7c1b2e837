//! Patterns of names: `*` stands for any text, everything else for itself.

/// Whether the pattern describes the whole text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or("");
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        let cases = [
            ("*", "", true),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*/c/*.json", "x/c/s0/1.json", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*ab", "ab", false),
            ("a", "ab", false),
        ];
        for (pattern, text, want) in cases {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
    }
}
