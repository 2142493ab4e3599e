//! HTTP servers for the function's spans and for Lambda's platform events.

use crate::buffer::Buffer;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::{convert::Infallible, rc::Rc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::spawn_local};

/// Maximum size of a request body. Lambda's event documents are the largest.
const MAX_BODY_BYTES: usize = 512 * 1024;

/// Serves requests until the process ends. `handle` returns the status of each response.
pub(crate) fn listen(
    listener: TcpListener,
    handle: impl Fn(Request<Bytes>) -> StatusCode + 'static,
) {
    let handle = Rc::new(handle);
    spawn_local(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Usually out of file descriptors. Wait before the next attempt.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let handle = Rc::clone(&handle);
            let service = service_fn(move |request: Request<Incoming>| {
                let handle = Rc::clone(&handle);
                async move {
                    let (parts, body) = request.into_parts();
                    let status = match Limited::new(body, MAX_BODY_BYTES).collect().await {
                        Ok(body) => handle(Request::from_parts(parts, body.to_bytes())),
                        Err(_) => StatusCode::PAYLOAD_TOO_LARGE,
                    };
                    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
                    *response.status_mut() = status;
                    Ok::<_, Infallible>(response)
                }
            });
            spawn_local(async move {
                // A client that disconnects does not need the response.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
}

/// Stores the spans of an OTLP document. JSON is required, because parts of JSON documents can be
/// combined without interpreting them.
pub(crate) fn take_spans(buffer: &Buffer, request: &Request<Bytes>) -> StatusCode {
    match buffer.push(request.body()) {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    record: serde_json::Value,
}

/// Receives platform events and publishes the id of the request that the function has completed.
pub(crate) fn take_events(
    finished: &watch::Sender<String>,
    request: &Request<Bytes>,
) -> StatusCode {
    let events: Vec<Event> = serde_json::from_slice(request.body()).unwrap_or_default();
    let done = events
        .iter()
        .rev()
        .find(|event| event.kind == "platform.runtimeDone");
    if let Some(id) = done.and_then(|event| event.record["requestId"].as_str()) {
        finished.send_replace(id.to_owned());
    }
    StatusCode::OK
}
