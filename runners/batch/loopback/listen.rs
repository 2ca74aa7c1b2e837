//! Accepts connections, each on a thread of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// Room for what a connection's thread calls; a thousand of them are cheap.
const STACK_BYTES: usize = 512 << 10;

/// Listens on a port of 127.0.0.1, any free one for 0, and serves connections until the process ends.
pub(crate) fn listen(
    port: u16,
    serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let address = listener.local_addr()?;
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            // A client that has gone needs no answer; without a thread the connection is closed.
            drop(thread.spawn(move || {
                drop(stream.set_nodelay(true));
                drop(serve(stream));
            }));
        }
    });
    Ok(address)
}
