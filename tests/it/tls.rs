//! Servers behind TLS: certificates are checked, whatever is asked, and those of one's own are honoured.
//!
//! `tls/` holds a certificate of `localhost`, its key, and that of the authority that has signed it.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::command::{Ran, command, ran};
use crate::http::{Absent, answer};
use crate::made::{Folder, day};

const CERTIFICATE: &[u8] = include_bytes!("tls/server.pem");
const KEY: &[u8] = include_bytes!("tls/server.key");

/// Serves the files of a folder on loopback; the port.
fn serve(root: &Path) -> u16 {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they belong together");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let root = root.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, root) = (Arc::clone(&config), root.clone());
            std::thread::spawn(move || {
                let connection = ServerConnection::new(config).expect("a connection");
                let mut stream = StreamOwned::new(connection, stream);
                // A client that refuses the certificate has gone.
                drop(answer(&mut stream, &root, "", Absent::Listed));
                stream.conn.send_close_notify();
                drop(stream.flush());
            });
        }
    });
    port
}

/// Runs the command with these variables alone, of those that reach AWS or certificates.
fn with(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = command(arguments);
    let own = std::env::vars_os().map(|(name, _)| name);
    let is_ours = |name: &str| name.starts_with("AWS_") || name.starts_with("SSL_CERT");
    for variable in own.filter(|it| is_ours(&it.to_string_lossy())) {
        command.env_remove(variable);
    }
    let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    command.envs(keys).env("AWS_REGION", "us-east-1").envs(variables.iter().copied());
    ran(command.output().expect("the command can be started"))
}

/// D75: of a web server, of a store and of Batch.
#[test]
fn certificates_are_checked_and_those_of_ones_own_are_honoured() {
    let folder = Folder::new();
    let file = folder.put("bucket/a.nc", &day("days since 2000-01-01", &[0.0], 0.0));
    let want = ran(command(&["inspect", &file]).output().expect("started"));
    want.check_done();
    let port = serve(folder.root());
    let url = format!("https://localhost:{port}");
    let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls/ca.pem");
    let own = [("SSL_CERT_FILE", authority.to_str().expect("UTF-8"))];
    let store = [("AWS_ENDPOINT_URL_S3", url.as_str())];
    let reckless = [
        ("AWS_ALLOW_INVALID_CERTIFICATES", "true"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ENDPOINT_URL_S3", url.as_str()),
    ];
    let page = format!("{url}/bucket/a.nc");
    for (source, variables) in
        [(page.as_str(), &[][..]), ("s3://bucket/a.nc", &store), ("s3://bucket/a.nc", &reckless)]
    {
        let refused = with(&["inspect", source], variables);
        assert_ne!(refused.exit, Some(0), "{source}: {}", refused.stdout);
        assert!(refused.stderr.contains("certificate"), "{source}: {}", refused.stderr);
        let taken = with(&["inspect", source], &[variables, &own].concat());
        taken.check_done();
        let same = |it: &Ran| it.stdout.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(same(&taken), same(&want), "{source}");
    }
    let batch = ["batch", "jobs", "--queue", "q", "--set", &format!("batch.endpoint={url}")];
    let refused = with(&batch, &[]);
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    let taken = with(&batch, &own);
    assert!(!taken.stderr.contains("certificate"), "{}", taken.stderr);
}
