//! Networks of their own, with nothing in them, and relays by which alone one is reached from another.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use crate::command::say;

/// From where to where a relay goes.
const RELAY: &str = "LEVAIN_TEST_RELAY";
const RELAY_TEST: &str = "batch::networks::a_relay_passes_bytes_on";
/// A socket that listens, in the tables of the kernel.
const LISTENING: &str = "0A";

/// A network that has no way out; it ends with the test.
#[derive(Debug)]
pub(super) struct Network(Child);

impl Network {
    /// A new one; nothing, and a line that says so, where that is not allowed.
    pub(super) fn open() -> Option<Self> {
        let script = "ip link set lo up && echo up && exec cat";
        let holder = Command::new("unshare")
            .args(["-n", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let opened = holder.ok().and_then(|mut holder| {
            let mut line = String::new();
            BufReader::new(holder.stdout.take()?).read_line(&mut line).ok()?;
            (line == "up\n").then_some(Self(holder))
        });
        if opened.is_none() {
            dataflow::testing::skip("closed networks: `unshare -n` is not allowed here");
        }
        opened
    }

    /// The same command within.
    pub(super) fn within(&self, command: &Command) -> Command {
        let mut within = Command::new("nsenter");
        within.args(["-t", &self.0.id().to_string(), "-n", "--"]);
        within.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => within.env(name, value),
                None => within.env_remove(name),
            };
        }
        within
    }

    /// The ports on which somebody listens.
    pub(super) fn listeners(&self) -> BTreeSet<u16> {
        let table = |name: &str| {
            std::fs::read_to_string(format!("/proc/{}/net/{name}", self.0.id())).expect("a table")
        };
        let tables = table("tcp") + &table("tcp6");
        let rows = tables.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        let listening = rows.filter(|row| row.get(3) == Some(&LISTENING));
        let port = |row: Vec<&str>| u16::from_str_radix(row[1].rsplit(':').next()?, 16).ok();
        listening.filter_map(port).collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// Passes bytes from one address to another; it ends with the test.
#[derive(Debug)]
pub(super) struct Relay {
    child: Child,
    /// Where it listens: a path, or a host and a port.
    pub(super) address: String,
}

impl Relay {
    /// Listens at `from`, a path or any port of loopback (`tcp`), and connects to `to`, a path or a host
    /// and a port; within a network, or where the test is.
    pub(super) fn start(network: Option<&Network>, from: &str, to: &str) -> Self {
        let mut plain = Command::new(std::env::current_exe().expect("a path"));
        plain.args([RELAY_TEST, "--exact", "--nocapture"]).env(RELAY, format!("{from} {to}"));
        let mut command = match network {
            Some(network) => network.within(&plain),
            None => plain,
        };
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.expect("a relay can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let said = lines.find_map(|line| Some(line.ok()?.split_once("relay at ")?.1.to_owned()));
        Self { child, address: said.expect("a relay says where it listens") }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn port(&self) -> u16 {
        let port = self.address.rsplit(':').next().expect("a port");
        port.parse().expect("a number")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// A connection of either kind.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn connect(to: &str) -> io::Result<Self> {
        match to.starts_with('/') {
            true => UnixStream::connect(to).map(Self::Unix),
            false => TcpStream::connect(to).map(Self::Tcp),
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    /// Copies to the end, and passes the end on.
    fn copy_to(self, to: Self) -> io::Result<u64> {
        let copied = match (self, &to) {
            (Self::Tcp(mut from), Self::Tcp(to)) => io::copy(&mut from, &mut &*to),
            (Self::Tcp(mut from), Self::Unix(to)) => io::copy(&mut from, &mut &*to),
            (Self::Unix(mut from), Self::Tcp(to)) => io::copy(&mut from, &mut &*to),
            (Self::Unix(mut from), Self::Unix(to)) => io::copy(&mut from, &mut &*to),
        };
        match to {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write)?,
            Self::Unix(stream) => stream.shutdown(Shutdown::Write)?,
        }
        copied
    }
}

fn pass(client: Stream, to: &str) -> io::Result<()> {
    let server = Stream::connect(to)?;
    let (back, client_end) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || back.copy_to(client_end));
    client.copy_to(server).map(drop)
}

/// The relay: no test unless another one has started it.
#[test]
#[expect(clippy::disallowed_methods, reason = "a relay is told by its environment what to do")]
fn a_relay_passes_bytes_on() {
    let Ok(told) = std::env::var(RELAY) else { return };
    let (from, to) = told.split_once(' ').expect("two addresses");
    let to = to.to_owned();
    let serve = move |client: Stream| {
        let to = to.clone();
        std::thread::spawn(move || pass(client, &to));
    };
    if from == "tcp" {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        say(&format!("relay at {}", listener.local_addr().expect("bound")));
        std::thread::spawn(move || listener.incoming().flatten().map(Stream::Tcp).for_each(serve));
    } else {
        let listener = UnixListener::bind(from).expect("a socket");
        say(&format!("relay at {from}"));
        std::thread::spawn(move || listener.incoming().flatten().map(Stream::Unix).for_each(serve));
    }
    let mut nothing = Vec::new();
    io::stdin().read_to_end(&mut nothing).expect("the end of the test");
}
