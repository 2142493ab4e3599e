//! What comes in: the function's spans, and Lambda's word that the function is done.

use crate::buffer::Buffer;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::{convert::Infallible, rc::Rc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::spawn_local};

/// A document may be this long, in bytes; Lambda's may be the longest.
const MAX_BYTES: usize = 512 * 1024;

/// Answers every request by a status, for as long as the process lives.
pub(crate) fn listen(
    listener: TcpListener,
    answer: impl Fn(Request<Bytes>) -> StatusCode + 'static,
) {
    let answer = Rc::new(answer);
    spawn_local(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of file descriptors: the next may do better.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let answer = Rc::clone(&answer);
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = Rc::clone(&answer);
                async move {
                    let (parts, body) = request.into_parts();
                    let status = match Limited::new(body, MAX_BYTES).collect().await {
                        Ok(body) => answer(Request::from_parts(parts, body.to_bytes())),
                        Err(_) => StatusCode::PAYLOAD_TOO_LARGE,
                    };
                    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
                    *response.status_mut() = status;
                    Ok::<_, Infallible>(response)
                }
            });
            spawn_local(async move {
                // Whoever hangs up has lost interest in the answer.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
}

/// Takes OTLP as JSON: parts of documents can be put together without knowing what is in them.
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

/// Takes Lambda's events, and tells which request the function is done with.
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
