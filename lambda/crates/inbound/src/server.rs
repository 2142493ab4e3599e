//! The entry point for containers and for development: HTTP/1.1 on a socket. TLS ends in front of
//! it. (`axum::serve` limits neither the time for headers nor the number of connections.)

use crate::{
    App, Authentication, RequestContext,
    deadline::{DRAIN_TIMEOUT, HEADER_TIMEOUT},
};
use axum::body::Body;
use http::{Request, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{
    fmt::Display,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{Semaphore, mpsc},
};

/// Maximum number of open connections; others wait in the queue of the listener. Half of the 1,024
/// file descriptors that a process usually has: the rest is for connections to dependencies.
const MAX_CONNECTIONS: usize = 512;
/// Maximum number of connections in the queue of the listener.
const BACKLOG: u32 = 1024;
/// Time between two checks whether the service is ready.
const READINESS_INTERVAL: Duration = Duration::from_secs(1);

/// Binds the first address that is available, without accepting connections yet.
///
/// # Errors
/// None of them is, and why.
pub fn bind(addresses: &[SocketAddr]) -> Result<TcpSocket, String> {
    let bind = |address: &SocketAddr| {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(*address).map(|()| socket)
    };
    let mut failed = "there is no address to listen on".to_owned();
    for address in addresses {
        match bind(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => failed = format!("{address}: {error}"),
        }
    }
    Err(failed)
}

/// Opens the socket after the first successful check: an open socket is what readiness probes look
/// for.
///
/// # Errors
/// The socket cannot be opened.
pub async fn listen_when_ready<E: Display>(
    socket: TcpSocket,
    check: impl AsyncFn() -> Result<(), E>,
) -> io::Result<TcpListener> {
    while let Err(error) = check().await {
        tracing::warn!(%error, "the service is not ready, so the socket is not open yet");
        tokio::time::sleep(READINESS_INTERVAL).await;
    }
    socket.listen(BACKLOG)
}

/// Serves until `stop` resolves, then waits for open requests.
pub async fn run(
    app: Arc<App>,
    listener: TcpListener,
    authentication: Authentication,
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
        let (unreadable, open) = (Arc::clone(&app), open.clone());
        let (app, authentication) = (Arc::clone(&app), authentication.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request
                .extensions_mut()
                .insert(RequestContext::new(new_id(peer), None));
            request.extensions_mut().insert(authentication.clone());
            let (app, open) = (Arc::clone(&app), open.clone());
            // Spawned, because hyper drops this future when the client disconnects: a write that
            // has begun is finished, and every request is logged.
            tokio::spawn(async move {
                let response = app.handle(request.map(Body::new)).await;
                drop(open);
                response
            })
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            // A client may close its sending side after the request and wait for the response.
            .half_close(true)
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
                unreadable.log_unreadable(RequestContext::new(new_id(peer), None), status);
            }
        });
    }
    drop((listener, open));
    let drained = async {
        graceful.shutdown().await;
        closed.recv().await;
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!("stopped with requests still open");
    }
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
