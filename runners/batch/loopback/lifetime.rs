//! A server tells where it listens, and ends with whoever started it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Prints the one line that says where the server listens.
pub(crate) fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on http://{address}")?;
    stdout.flush()
}

/// Waits until stdin ends, or for SIGTERM or SIGINT.
///
/// A parent that dies, however, closes the pipe that it held: nothing is left over.
pub(crate) fn wait_for_end() -> io::Result<()> {
    let (ended, end) = mpsc::channel();
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let by_signal = ended.clone();
    std::thread::spawn(move || {
        signals.forever().next();
        by_signal.send(()).unwrap_or_default();
    });
    std::thread::spawn(move || {
        let mut ignored = [0; 256];
        while io::stdin().lock().read(&mut ignored).is_ok_and(|length| length > 0) {}
        ended.send(()).unwrap_or_default();
    });
    end.recv().unwrap_or_default();
    Ok(())
}
