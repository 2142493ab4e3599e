//! HTTP and HTTPS servers on loopback whose responses come from a closure.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{fs, net::SocketAddr, sync::Arc};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, rustls};

/// A certificate authority for tests.
#[derive(Debug)]
pub struct TestCa {
    tls: Arc<rustls::ServerConfig>,
    certificate: NamedTempFile,
    bundle: NamedTempFile,
}

impl TestCa {
    /// Creates an authority that has issued a certificate for `localhost` and `127.0.0.1`.
    ///
    /// # Errors
    /// The key cannot be generated, or the file cannot be written.
    pub fn new() -> Result<Self> {
        let key = rcgen::KeyPair::generate()?;
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // The name must differ from the leaf's: OpenSSL treats a certificate with its issuer's name
        // as self-signed.
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, "lambda-emulator test CA");
        let root = parameters.self_signed(&key)?;
        let leaf_key = rcgen::KeyPair::generate()?;
        let leaf = rcgen::CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?
            .signed_by(&leaf_key, &rcgen::Issuer::new(parameters, key))?;
        let tls = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(leaf_key.serialize_der()).into(),
        )?;

        let certificate = NamedTempFile::with_suffix(".pem")?;
        fs::write(certificate.path(), root.pem())?;
        let with_roots = NamedTempFile::with_suffix(".pem")?;
        let bundle = [
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/cert.pem",
        ];
        let bundle = bundle
            .iter()
            .find_map(|path| fs::read_to_string(path).ok())
            .unwrap_or_default();
        fs::write(with_roots.path(), format!("{bundle}\n{}", root.pem()))?;
        Ok(Self {
            tls: Arc::new(tls),
            certificate,
            bundle: with_roots,
        })
    }

    /// Returns the path of the certificate (PEM), for a client whose roots are compiled in. The
    /// file is deleted when `self` is dropped.
    #[must_use]
    pub fn file(&self) -> String {
        self.certificate.path().display().to_string()
    }

    /// Returns the path of the certificate and this machine's roots (PEM), for a client that reads
    /// the machine's roots at its start. The file is deleted when `self` is dropped.
    #[must_use]
    pub fn bundle(&self) -> String {
        self.bundle.path().display().to_string()
    }
}

/// A server whose responses come from a closure. It stops when dropped.
#[derive(Debug)]
pub struct Server {
    url: String,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// Serves plain HTTP. The future of `respond` may take any time. `None` closes the connection
    /// without a response.
    ///
    /// # Errors
    /// No loopback port is available.
    pub async fn http<F, A>(respond: F) -> Result<Self>
    where
        F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
        A: Future<Output = Option<Response<Bytes>>> + Send + 'static,
    {
        Self::start(None, "127.0.0.1:0", respond).await
    }

    /// Serves HTTPS with the certificate of `authority`.
    ///
    /// # Errors
    /// No loopback port is available.
    pub async fn https<F, A>(authority: &TestCa, respond: F) -> Result<Self>
    where
        F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
        A: Future<Output = Option<Response<Bytes>>> + Send + 'static,
    {
        Self::start(
            Some(TlsAcceptor::from(Arc::clone(&authority.tls))),
            "127.0.0.1:0",
            respond,
        )
        .await
    }

    /// Returns the URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn start<F, A>(tls: Option<TlsAcceptor>, address: &str, respond: F) -> Result<Self>
    where
        F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
        A: Future<Output = Option<Response<Bytes>>> + Send + 'static,
    {
        let listener = TcpListener::bind(address)
            .await
            .context("no loopback port is available")?;
        let local: SocketAddr = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let respond = Arc::new(respond);
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (respond, tls) = (Arc::clone(&respond), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, respond).await,
                        Some(tls) => {
                            // A failed handshake is reported by the client.
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, respond).await;
                            }
                        }
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            url: format!("{scheme}://{local}"),
            accepting,
        })
    }
}

async fn serve<F, A>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, respond: Arc<F>)
where
    F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
    A: Future<Output = Option<Response<Bytes>>> + Send + 'static,
{
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let respond = Arc::clone(&respond);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let response = respond(Request::from_parts(parts, body)).await;
            // hyper closes the connection after an error.
            response
                .map(|response| response.map(Full::new))
                .context("the closure returned no response")
        }
    });
    // Errors are ignored: tests half-close connections and disconnect clients on purpose.
    let _ = http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
