//! TLS: the certificate and the key of a server, from PEM files.
//!
//! By rustls with ring: TLS 1.2 and 1.3, no old ciphers. The files are read at the start; a new certificate needs a new
//! start.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use kithdb::{Error, Result};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What connections are encrypted by.
#[derive(Clone)]
pub struct Tls {
    pub(crate) acceptor: TlsAcceptor,
}

impl Tls {
    /// The certificate, with those above it, and its private key, each from a file in PEM.
    ///
    /// # Errors
    /// `InvalidArgument` on `tls_cert` or `tls_key`, when a file is not there, holds no such thing, or they do not
    /// belong together.
    pub fn open(cert: &Path, key: &Path) -> Result<Self> {
        let at_fault = |field: &'static str, path: &Path, why: String| {
            Error::invalid(field, format!("{}: {why}", path.display()))
        };
        let chain =
            CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
        let chain =
            chain.map_err(|error| at_fault("tls_cert", cert, error.to_string()).with_source(error))?;
        if chain.is_empty() {
            return Err(at_fault("tls_cert", cert, "holds no certificate in PEM".to_owned()));
        }
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| at_fault("tls_key", key, error.to_string()).with_source(error))?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| {
            Error::invalid("tls_cert", format!("TLS cannot be set up: {error}")).with_source(error)
        })?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, private).map_err(|error| {
            let why = format!("does not go with the certificate in {}: {error}", cert.display());
            at_fault("tls_key", key, why).with_source(error)
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::PathBuf;

    use kithdb::Database;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::runtime::Runtime;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::*;
    use crate::{ServeOptions, Server};

    /// A certificate for localhost and its key, as files.
    fn files(folder: &Path, name: &str) -> (PathBuf, PathBuf, CertificateDer<'static>) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (cert_path, key_path) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        std::fs::write(&cert_path, cert.pem()).expect("written");
        std::fs::write(&key_path, signing_key.serialize_pem()).expect("written");
        (cert_path, key_path, cert.der().clone())
    }

    /// What a client gets that trusts this certificate.
    async fn ask(address: SocketAddr, trusted: CertificateDer<'static>) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted).expect("a certificate");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = builder.with_safe_default_protocol_versions().expect("versions");
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TcpStream::connect(address).await?;
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[test]
    fn a_client_that_trusts_the_certificate_is_answered_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let (cert, key, trusted) = files(folder.path(), "own");
        let (_, _, foreign) = files(folder.path(), "other");
        let options = ServeOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: Some(Tls::open(&cert, &key).expect("both files")),
            ..ServeOptions::default()
        };
        let db = Database::in_memory().expect("a database");
        let server = Server::start(db, None, &options).expect("a server");
        let client = Runtime::new().expect("a runtime");
        let answer = client.block_on(ask(server.address(), trusted.clone())).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("passed"), "{answer}");
        client.block_on(ask(server.address(), foreign)).expect_err("who is that?");
        // Who speaks plain HTTP gets no answer, and harms nobody.
        let plain = client.block_on(async {
            let mut stream = TcpStream::connect(server.address()).await.expect("a connection");
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
            let mut answer = Vec::new();
            // It is closed, or reset.
            let _ = stream.read_to_end(&mut answer).await;
            answer
        });
        assert!(!String::from_utf8_lossy(&plain).contains("HTTP"), "{plain:?}");
        client.block_on(ask(server.address(), trusted)).expect("the next");
        server.stop().expect("stopped");
    }

    #[test]
    fn files_that_do_not_fit_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let ((cert, key, _), (_, other, _)) = (files(folder.path(), "a"), files(folder.path(), "b"));
        let (none, empty) = (folder.path().join("none"), folder.path().join("empty"));
        std::fs::write(&empty, "").expect("written");
        for (cert, key, field) in [
            (&none, &key, "tls_cert"),
            (&empty, &key, "tls_cert"),
            (&key, &key, "tls_cert"),
            (&cert, &none, "tls_key"),
            (&cert, &cert, "tls_key"),
            (&cert, &other, "tls_key"),
        ] {
            let error = Tls::open(cert, key).expect_err("refused");
            assert_eq!(error.field(), Some(field), "{error}");
        }
    }
}
