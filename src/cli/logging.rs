//! The log, on stderr and with the runner of Beam that a thread works for, without secrets: libraries log
//! URLs as they are.

use std::fmt::{self, Write as _};
use std::io::{IsTerminal, Write};

use levain::beam::log_to_runner;
use levain::dataflow::error::redact;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

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
    let on_stderr = tracing_subscriber::fmt::layer().with_ansi(is_terminal).with_writer(|| Masked);
    let logging = tracing_subscriber::registry().with(filter).with(on_stderr).with(ToRunner);
    // Somebody who has set a subscriber before knows what they want.
    drop(logging.try_init());
}

/// What threads that run bundles for a runner of Beam say, in the log of that runner.
#[derive(Debug)]
struct ToRunner;

impl<S: Subscriber> Layer<S> for ToRunner {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        log_to_runner(*about.level(), about.target(), || {
            let mut text = Text::default();
            event.record(&mut text);
            redact(text.0.trim_end())
        });
    }
}

/// The message of an event and its fields, as on stderr.
#[derive(Debug, Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?} "),
            name => write!(self.0, "{name}={value:?} "),
        };
        written.unwrap_or_else(|fmt::Error| self.0.push('?'));
    }
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
