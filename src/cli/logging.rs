//! The log on stderr, without secrets: libraries log URLs as they are.

use std::io::{IsTerminal, Write};

use levain::dataflow::error::redact;

/// Starts to log on stderr, the more the more often it was asked for.
pub(crate) fn start(verbose: u8, is_suite: bool) {
    let level = match verbose {
        // The suite makes things go wrong to see what comes of it.
        0 if is_suite => "off",
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("LEVAIN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    // Files and pipes get no codes of terminals.
    let is_terminal = std::io::stderr().is_terminal();
    let logging = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal);
    let logging = logging.with_writer(|| Masked);
    // Somebody who has set a subscriber before knows what they want.
    drop(logging.try_init());
}

/// Stderr, with what may be secret in URLs masked; an event is written at once.
#[derive(Debug)]
struct Masked;

impl Write for Masked {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        let text = redact(&String::from_utf8_lossy(event));
        std::io::stderr().lock().write_all(text.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().lock().flush()
    }
}
