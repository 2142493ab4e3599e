//! The HTTP server: HTTP/1.1 on a socket, for containers and for development. TLS ends before it.

use super::{Door, Seen, signature};
use crate::http::{BodyError, Caller, MAX_BODY_BYTES, Problem, Request, path};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
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
use serde::Deserialize;
use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
};

/// How long a client may take to send its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open requests may take to finish after a signal to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// Connections open at the same time; others wait in the listener's queue. Half of the 1,024 file
/// descriptors that a process usually has: the rest is for connections to DynamoDB.
const MAX_CONNECTIONS: usize = 512;

/// How clients are authenticated.
#[derive(Clone)]
pub enum Access {
    /// Not at all: every client may do everything. For loopback only.
    Open,
    /// By bearer tokens that one of these keys signed.
    Tokens(Arc<Keys>),
}

/// The keys of a JWKS file, and the issuer whose tokens they sign.
pub struct Keys {
    file: PathBuf,
    issuer: String,
    by_id: RwLock<HashMap<String, DecodingKey>>,
}

/// A bearer token's claims, as Cognito's access tokens have them.
#[derive(Deserialize)]
struct Claims {
    token_use: String,
    scope: String,
    client_id: String,
}

impl Access {
    /// Access by tokens of `issuer` that a key of a JWKS file verifies.
    ///
    /// # Errors
    /// The file cannot be read, is no such document, or holds no key for RS256, which is what
    /// Cognito signs with.
    pub fn by_jwks(file: PathBuf, issuer: String) -> Result<Self, String> {
        let by_id = RwLock::new(read_keys(&file)?);
        let _ = signature::PROVIDER.install_default(); // An error says that it is installed.
        Ok(Self::Tokens(Arc::new(Keys {
            file,
            issuer,
            by_id,
        })))
    }

    /// The caller, or `None` without a valid token.
    fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let Self::Tokens(keys) = self else {
            return Some(Caller::new(None, Some("movies/write")));
        };
        let (scheme, token) = headers
            .get(header::AUTHORIZATION)?
            .to_str()
            .ok()?
            .split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        // There may be more than one space (RFC 9110, section 11.4).
        let token = token.trim_start_matches(' ');
        let key = keys.find(&decode_header(token).ok()?.kid?)?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_aud = false; // Access tokens of client credentials have no audience.
        validation.validate_nbf = true;
        validation.set_issuer(&[&keys.issuer]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        let claims = decode::<Claims>(token, &key, &validation).ok()?.claims;
        (claims.token_use == "access")
            .then(|| Caller::new(Some(claims.client_id), Some(&claims.scope)))
    }
}

impl Keys {
    /// Returns the key of an id. An unknown id has the file read again, because keys are rotated.
    /// That costs less than verifying a signature, so an invented id costs no more than an invented
    /// signature.
    fn find(&self, id: &str) -> Option<DecodingKey> {
        let known = || {
            self.by_id
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(id)
                .cloned()
        };
        known().or_else(|| {
            match read_keys(&self.file) {
                Ok(keys) => *self.by_id.write().unwrap_or_else(PoisonError::into_inner) = keys,
                // The file may be half written at this moment, so the known keys stay in use.
                Err(error) => tracing::warn!(error, "the JWKS file could not be read again"),
            }
            known()
        })
    }
}

fn read_keys(file: &PathBuf) -> Result<HashMap<String, DecodingKey>, String> {
    let at_file = |error: String| format!("{}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(|error| at_file(error.to_string()))?;
    let set: JwkSet = serde_json::from_str(&text)
        .map_err(|error| at_file(format!("this is no JWKS document: {error}")))?;
    // The algorithm is the key's, never the token's: a token cannot choose a weaker one.
    let usable = set
        .keys
        .iter()
        .filter(|key| key.common.key_algorithm == Some(KeyAlgorithm::RS256));
    let keys: HashMap<_, _> = usable
        .filter_map(|key| Some((key.common.key_id.clone()?, DecodingKey::from_jwk(key).ok()?)))
        .collect();
    if keys.is_empty() {
        Err(at_file("this JWKS document holds no key for RS256".into()))
    } else {
        Ok(keys)
    }
}

/// Serves until `stop` resolves, then waits for open requests.
pub async fn run(
    door: Arc<Door>,
    listener: TcpListener,
    access: Access,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Each open request holds a sender. The channel closes when the last one is dropped.
    let (open, mut closed) = mpsc::channel::<()>(1);
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            listener
                .accept()
                .await
                .map(|(stream, peer)| (stream, peer, permit))
        };
        let (stream, peer, permit) = tokio::select! {
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                // Out of file descriptors, or the client has disconnected: the next attempt may
                // succeed.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let (unreadable, open) = (Arc::clone(&door), open.clone());
        let (door, access) = (Arc::clone(&door), access.clone());
        let service = service_fn(move |request| {
            let (door, access, open) = (Arc::clone(&door), access.clone(), open.clone());
            // Spawned, because hyper drops this future when the client disconnects: a write that
            // has begun is finished, and every request is logged.
            let handled = tokio::spawn(async move {
                let response = serve(&door, &access, request, peer).await;
                drop(open);
                response
            });
            async move {
                handled
                    .await
                    .map(|response| response.map(Full::<Bytes>::from))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .half_close(true) // A client may close its sending side after the request and wait for the response.
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let ended = connection.await;
            drop(permit);
            let Err(error) = ended else { return };
            tracing::debug!(%error, "a connection ended early");
            // hyper itself responds to what it cannot parse.
            if error.is_parse() {
                let too_large = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                let status = if error.is_parse_too_large() {
                    too_large
                } else {
                    StatusCode::BAD_REQUEST
                };
                unreadable.write(&Seen::unreadable(&new_id(peer)), status, None, 0);
            }
        });
    }
    drop((listener, open));
    let drained = async {
        graceful.shutdown().await;
        closed.recv().await;
    };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("stopped with requests still open");
    }
}

async fn serve(
    door: &Door,
    access: &Access,
    request: http::Request<Incoming>,
    peer: SocketAddr,
) -> Response<String> {
    let (parts, body) = request.into_parts();
    let (id, path) = (new_id(peer), parts.uri.path().to_owned());
    let seen = Seen::new(&id, &parts.method, &path);
    let origin = parts.headers.get(header::ORIGIN).cloned();
    let caller = match access.caller(&parts.headers) {
        Some(caller) => caller,
        // CORS preflight requests carry no token. Unknown paths and methods need none: the
        // response is 404 or 405.
        None if parts.method == Method::OPTIONS
            || !door.api.has_operation(&parts.method, &path) =>
        {
            Caller::default()
        }
        None => return door.refuse(&seen, Problem::unauthorized(), origin),
    };
    let Some(query) = query_of(parts.uri.query().unwrap_or_default()) else {
        return door.refuse(
            &Seen {
                client_id: caller.client_id,
                ..seen
            },
            Problem::malformed(),
            origin,
        );
    };
    let (method, headers, time) = (parts.method, parts.headers, SystemTime::now());
    let mut request = Request {
        method,
        path,
        query,
        headers,
        body: Ok(Bytes::new()),
        time,
        id,
        caller,
    };
    if door.api.needs_body(&request) {
        request.body = read_body(body).await;
        request.time = SystemTime::now();
    }
    door.pass(request, None).await
}

async fn read_body(body: Incoming) -> Result<Bytes, BodyError> {
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Ok(Err(_)) => Err(BodyError::Garbled),
        Err(_) => Err(BodyError::TimedOut),
    }
}

/// Returns the parameters of a query, decoded as API Gateway decodes them. `None` for an invalid
/// escape or invalid UTF-8.
fn query_of(query: &str) -> Option<Vec<(String, String)>> {
    let text = |text: &str| path::decode(&text.replace('+', " "));
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
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "{:x}-{:x}-{:x}",
        now.as_micros(),
        peer.port(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
