//! Ctrl-C and SIGTERM: the first asks the run to stop and tidy up, the second ends the process.
//!
//! Of a run with workers, the first Ctrl-C at a terminal asks what is meant: the run can also go on
//! without the terminal. The second one stops it, the third one ends the process.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use levain::dataflow::cancel::CancelToken;
use levain::objects::Location;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::out::say;

/// There is nothing to choose.
const NO_CHOICE: u8 = 0;
/// The next Ctrl-C asks.
const OFFERED: u8 = 1;
/// It was asked, and there is no answer yet.
const ASKED: u8 = 2;

/// What signals have asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    cancel: CancelToken,
    leave: CancelToken,
    last: Arc<AtomicU8>,
    choice: Arc<AtomicU8>,
    /// The records of the run that may be left to another driver.
    run: Arc<Mutex<Option<Location>>>,
}

impl Watched {
    /// The token that is cancelled by the first signal.
    pub(crate) fn token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// The token that is cancelled when a run with workers is to go on without this process.
    pub(crate) fn leave(&self) -> CancelToken {
        self.leave.clone()
    }

    /// Lets the next Ctrl-C ask whether the run of these records is to go on without this process.
    pub(crate) fn offer_choice(&self, run: &Location) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run.clone());
        self.choice.store(OFFERED, Ordering::Relaxed);
    }

    /// The records of the run that is to go on without this process, if it was asked for that.
    pub(crate) fn left(&self) -> Option<Location> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.clone().filter(|_| self.leave.is_cancelled())
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

    fn take(&self, signal: i32) {
        let is_first =
            self.choice.compare_exchange(OFFERED, ASKED, Ordering::Relaxed, Ordering::Relaxed);
        if signal == SIGINT && is_first.is_ok() {
            let asking = self.clone();
            // Further signals must be seen while nobody answers.
            std::thread::spawn(move || asking.ask());
            return;
        }
        self.stop(signal);
    }

    fn stop(&self, signal: i32) {
        self.choice.store(NO_CHOICE, Ordering::Relaxed);
        let number = u8::try_from(signal).unwrap_or(0);
        if self.last.swap(number, Ordering::Relaxed) != 0 {
            signal_hook::low_level::exit(128 + signal);
        }
        self.cancel.cancel();
    }

    /// Asks at the terminal what is meant, and does it.
    fn ask(&self) {
        say(
            "\n[d]etach: the run goes on without this terminal   [s]top it   [c]ontinue   (Ctrl-C: stop)",
        );
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        // A second Ctrl-C has decided meanwhile.
        if self.choice.load(Ordering::Relaxed) != ASKED {
            return;
        }
        match (read, answer.trim().to_ascii_lowercase().as_str()) {
            (Ok(1..), "d" | "detach") => {
                self.choice.store(NO_CHOICE, Ordering::Relaxed);
                self.leave.cancel();
            }
            (Ok(1..), "" | "c" | "continue") => self.choice.store(OFFERED, Ordering::Relaxed),
            (Ok(1..), "s" | "stop") | (Ok(0) | Err(_), _) => self.stop(SIGINT),
            (Ok(_), other) => {
                say(&format!("`{other}` is none of d, s, c: the run goes on"));
                self.choice.store(OFFERED, Ordering::Relaxed);
            }
        }
    }
}

/// Watches for signals from now on.
pub(crate) fn watch() -> Watched {
    let watched = Watched::default();
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return watched };
    let shared = watched.clone();
    std::thread::spawn(move || signals.forever().for_each(|signal| shared.take(signal)));
    watched
}
