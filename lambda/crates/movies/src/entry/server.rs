//! The door that everything else uses: HTTP/1.1 on a socket, for containers and for development. TLS ends before it.

use super::{Door, signature};
use crate::http::{BodyError, Caller, MAX_BODY_BYTES, Problem, Request, refuse};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{JwkSet, KeyAlgorithm},
};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::net::TcpListener;

/// How long a client may take to send its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open requests may take to finish after a signal to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Who may do what.
#[derive(Clone)]
pub enum Access {
    /// Whoever reaches the socket may do everything: on loopback only.
    Open,
    /// What the bearer token allows that one of these keys signed.
    Tokens(Arc<JwkSet>),
}

/// A bearer token's claims, as Cognito's access tokens have them.
#[derive(Deserialize)]
struct Claims {
    token_use: String,
    scope: String,
    client_id: String,
}

impl Access {
    /// Access by tokens that the keys of a JWKS document verify.
    ///
    /// # Errors
    /// The text is no such document, or holds no key for RS256, which is what Cognito signs with.
    pub fn by_jwks(text: &str) -> Result<Self, String> {
        let mut keys: JwkSet = serde_json::from_str(text).map_err(|error| format!("this is no JWKS document: {error}"))?;
        // The key says which algorithm, never the token: a token cannot choose a weaker one.
        keys.keys.retain(|key| key.common.key_algorithm == Some(KeyAlgorithm::RS256));
        if keys.keys.is_empty() {
            return Err("this JWKS document holds no key for RS256".into());
        }
        let _ = signature::PROVIDER.install_default(); // An error says that it is installed.
        Ok(Self::Tokens(Arc::new(keys)))
    }

    /// The caller, or `None` without a valid token.
    fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let Self::Tokens(keys) = self else { return Some(Caller::new(None, Some("movies/write"))) };
        let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let key = keys.find(&decode_header(token).ok()?.kid?)?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_aud = false; // Access tokens of client credentials have no audience.
        let claims = decode::<Claims>(token, &DecodingKey::from_jwk(key).ok()?, &validation).ok()?.claims;
        (claims.token_use == "access").then(|| Caller::new(Some(claims.client_id), Some(&claims.scope)))
    }
}

/// Serves until `stop` comes true, then lets open requests finish.
///
/// # Errors
/// The socket cannot be read from.
pub async fn run(door: Arc<Door>, listener: TcpListener, access: Access, stop: impl Future<Output = ()>) -> std::io::Result<()> {
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // Out of file descriptors, or the client was gone already: the next may do better.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let (door, access) = (Arc::clone(&door), access.clone());
        let service = service_fn(move |request| {
            let (door, access) = (Arc::clone(&door), access.clone());
            async move { Ok::<_, Infallible>(serve(&door, &access, request, peer).await.map(Full::<Bytes>::from)) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests still open");
    }
    Ok(())
}

async fn serve(door: &Door, access: &Access, request: http::Request<Incoming>, peer: SocketAddr) -> Response<String> {
    let (parts, body) = request.into_parts();
    let id = new_id(peer);
    let caller = match access.caller(&parts.headers) {
        Some(caller) => caller,
        // A browser asks before its request, without a token; whoever may do nothing gets that answer alone.
        None if parts.method == Method::OPTIONS => Caller::default(),
        None => return refuse(Problem::unauthorized(), &id),
    };
    let Some(query) = query_of(parts.uri.query().unwrap_or_default()) else { return refuse(Problem::malformed(), &id) };
    let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Ok(Err(_)) | Err(_) => Err(BodyError::Garbled),
    };
    let path = parts.uri.path().to_owned();
    let request = Request { method: parts.method, path, query, headers: parts.headers, body, time: SystemTime::now(), id, caller };
    door.pass(request, None).await
}

/// The parameters of a query, decoded as API Gateway does. `None` for one that is not UTF-8.
fn query_of(query: &str) -> Option<Vec<(String, String)>> {
    let text = |text: &str| Some(percent_decode_str(&text.replace('+', " ")).decode_utf8().ok()?.into_owned());
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .map(|(name, value)| Some((text(name)?, text(value)?)))
        .collect()
}

/// An id for the logs: unique in this process's life, and across restarts by the clock.
fn new_id(peer: SocketAddr) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}-{:x}", now.as_micros(), peer.port(), NEXT.fetch_add(1, Ordering::Relaxed))
}
