//! Ctrl-C and SIGTERM: the first asks the run to stop and tidy up, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use levain::dataflow::cancel::CancelToken;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What signals have asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    cancel: CancelToken,
    last: Arc<AtomicU8>,
}

impl Watched {
    /// The token that is cancelled by the first signal.
    pub(crate) fn token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// Waits, unless a signal asks for the end.
    ///
    /// # Errors
    /// A signal came.
    #[expect(clippy::disallowed_methods, reason = "the command itself computes nothing")]
    pub(crate) fn wait(
        &self,
        duration: std::time::Duration,
    ) -> levain::dataflow::error::Result<()> {
        let began = std::time::Instant::now();
        while began.elapsed() < duration {
            self.cancel.check()?;
            let left = duration.saturating_sub(began.elapsed());
            std::thread::sleep(left.min(std::time::Duration::from_millis(50)));
        }
        self.cancel.check()
    }

    /// The number of the signal that came, now or later; 0 as long as none did.
    pub(crate) fn number(&self) -> Arc<AtomicU8> {
        Arc::clone(&self.last)
    }

    /// The signal that came, if any did.
    pub(crate) fn last(&self) -> Option<u8> {
        match self.last.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal),
        }
    }
}

/// Watches for signals from now on.
pub(crate) fn watch() -> Watched {
    let watched = Watched::default();
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return watched };
    let shared = watched.clone();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let number = u8::try_from(signal).unwrap_or(0);
            if shared.last.swap(number, Ordering::Relaxed) != 0 {
                signal_hook::low_level::exit(128 + signal);
            }
            shared.cancel.cancel();
        }
    });
    watched
}
