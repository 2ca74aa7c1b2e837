//! Errors on their way through a runner: as text, among whatever the runner writes around it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dataflow::error::Error;

/// Begins and ends an error within a text.
const BEGIN: &str = "[levain-error:";
const END: char = ']';

/// The text of an error: for people, and then whole.
pub(crate) fn to_text(error: &Error) -> String {
    let whole = serde_json::to_vec(error).unwrap_or_default();
    format!("{error}\n{BEGIN}{}{END}", URL_SAFE_NO_PAD.encode(whole))
}

/// The error within a text, if there is one.
pub(crate) fn of_text(text: &str) -> Option<Error> {
    let (_, rest) = text.split_once(BEGIN)?;
    let (whole, _) = rest.split_once(END)?;
    // Runners may break long lines.
    let whole: String = whole.chars().filter(|c| !c.is_whitespace()).collect();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(whole).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use dataflow::error::{ErrorCode, ErrorKind};

    use super::*;

    #[test]
    fn an_error_is_found_whole_in_the_stack_of_another_language() {
        let error = Error::new(ErrorCode::USER_ERROR, ErrorKind::User, "no such [word]")
            .at("step", "Count/Split")
            .mend("mend it");
        let text = format!("java.lang.RuntimeException: {}\n\tat java.lang", to_text(&error));
        assert_eq!(of_text(&text), Some(error));
        assert_eq!(of_text("java.lang.RuntimeException"), None);
        assert_eq!(of_text("[levain-error:????]"), None);
    }
}
