//! The Runtime, Extensions and Telemetry APIs. All state is one [`State`] in a watch channel.
//! Pending requests wait for a condition on it.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::watch;

/// The end of an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvocationOutcome {
    /// The function's response.
    Response(Bytes),
    /// The error that the function reported.
    Error(Bytes),
    /// The function's process exited with this status.
    Exited(String),
    /// The deadline passed.
    TimedOut,
}

/// A fault that a function's poll for an event gets instead of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextFault {
    /// A response with this status and an error document.
    Status(u16),
    /// A closed connection.
    HangUp,
}

/// An event that the function has not taken yet.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) id: String,
    pub(crate) body: Bytes,
    pub(crate) deadline_ms: u64,
    pub(crate) trace: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Extension {
    name: String,
    event_types: Vec<String>,
    is_polling: bool,
    events: VecDeque<Value>,
    /// The URL of the telemetry subscriber, and the buffering time.
    telemetry: Option<(String, Duration)>,
    buffered: Vec<Value>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) extensions: BTreeMap<String, Extension>,
    pub(crate) function_is_polling: bool,
    pub(crate) pending: Option<Pending>,
    /// The id of the invocation that the function has taken.
    current: Option<String>,
    pub(crate) outcome: Option<(InvocationOutcome, Instant)>,
    /// The `init/error` or `exit/error` that a process reported.
    pub(crate) failure: Option<String>,
    pub(crate) next_faults: VecDeque<NextFault>,
}

impl State {
    /// Returns whether the function and all extensions poll for the next event and none is pending.
    /// Lambda then freezes the environment.
    pub(crate) fn idle(&self) -> bool {
        self.function_is_polling
            && self.pending.is_none()
            && self
                .extensions
                .values()
                .all(|extension| extension.is_polling && extension.events.is_empty())
    }

    pub(crate) fn has_registered(&self, name: &str) -> bool {
        self.extensions
            .values()
            .any(|extension| extension.name == name)
    }

    pub(crate) fn notify_extensions(&mut self, kind: &str, event: &Value) {
        for extension in self.extensions.values_mut() {
            if extension
                .event_types
                .iter()
                .any(|subscribed| subscribed == kind)
            {
                extension.events.push_back(event.clone());
            }
        }
    }
}

/// The state of the three APIs, and the client that delivers telemetry.
#[derive(Clone, Debug)]
pub(crate) struct Platform(
    pub(crate) Arc<watch::Sender<State>>,
    Client<HttpConnector, Full<Bytes>>,
);

impl Platform {
    pub(crate) fn new() -> Self {
        Self(
            Arc::new(watch::Sender::new(State::default())),
            Client::builder(TokioExecutor::new()).build_http(),
        )
    }

    pub(crate) async fn respond(self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let path = request.uri().path().trim_end_matches('/').to_owned();
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let extension = header("lambda-extension-identifier");
        let body = request.body().clone();
        match (
            request.method().as_str(),
            path.trim_start_matches('/')
                .splitn(3, '/')
                .collect::<Vec<_>>()[..]
                .as_ref(),
        ) {
            ("GET", ["2018-06-01", "runtime", "invocation/next"]) => self.next_invocation().await,
            ("POST", ["2018-06-01", "runtime", "init/error"]) => Some(self.fail("function", &body)),
            ("POST", ["2018-06-01", "runtime", rest]) => Some(self.finish(rest, body)),
            ("POST", ["2020-01-01", "extension", "register"]) => {
                Some(self.register(header("lambda-extension-name"), &body))
            }
            ("GET", ["2020-01-01", "extension", "event/next"]) => self.next_event(&extension).await,
            ("POST", ["2020-01-01", "extension", "init/error" | "exit/error"]) => {
                Some(self.fail(&extension, &body))
            }
            ("PUT", ["2022-07-01", "telemetry"]) => Some(self.subscribe(&extension, &body)),
            _ => Some(reject(StatusCode::NOT_FOUND, "no such path")),
        }
    }

    async fn next_invocation(&self) -> Option<Response<Bytes>> {
        let mut fault = None;
        self.0.send_modify(|state| {
            fault = state.next_faults.pop_front();
            state.function_is_polling = fault.is_none();
        });
        match fault {
            Some(NextFault::HangUp) => return None,
            Some(NextFault::Status(status)) => {
                return Some(reject(
                    StatusCode::from_u16(status).unwrap_or_default(),
                    "as scripted",
                ));
            }
            None => {}
        }
        self.0
            .subscribe()
            .wait_for(|state| state.pending.is_some())
            .await
            .ok()?;
        let mut event = None;
        self.0.send_modify(|state| {
            event = state.pending.take();
            state.current = event.as_ref().map(|event| event.id.clone());
            state.function_is_polling = false;
        });
        let event = event?;
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", event.id)
            .header("lambda-runtime-deadline-ms", event.deadline_ms)
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-west-1:000000000000:function:emulated",
            );
        let response = event.trace.into_iter().fold(response, |response, trace| {
            response.header("lambda-runtime-trace-id", trace)
        });
        response.body(event.body).ok()
    }

    /// Records the outcome of an invocation. `rest` is `invocation/ID/response` or
    /// `invocation/ID/error`.
    fn finish(&self, rest: &str, body: Bytes) -> Response<Bytes> {
        let at = Instant::now();
        let [_, id, how] = rest.splitn(3, '/').collect::<Vec<_>>()[..] else {
            return reject(StatusCode::NOT_FOUND, "no such path");
        };
        let known = self.0.send_if_modified(|state| {
            let known = state.current.take_if(|current| current == id).is_some();
            if known {
                let outcome = if how == "response" {
                    InvocationOutcome::Response(body)
                } else {
                    InvocationOutcome::Error(body)
                };
                state.outcome = Some((outcome, at));
            }
            known
        });
        if known {
            reply(StatusCode::ACCEPTED, &json!({ "status": "OK" }))
        } else {
            reject(StatusCode::BAD_REQUEST, "not the current invocation")
        }
    }

    fn register(&self, name: String, body: &Bytes) -> Response<Bytes> {
        let subscription: Value = serde_json::from_slice(body).unwrap_or_default();
        let event_types = subscription["events"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|event| event.as_str().map(ToOwned::to_owned))
            .collect();
        let mut id = String::new();
        self.0.send_modify(|state| {
            id = format!("extension-{}", state.extensions.len() + 1);
            state.extensions.insert(
                id.clone(),
                Extension {
                    name,
                    event_types,
                    ..Default::default()
                },
            );
        });
        let mut response = reply(
            StatusCode::OK,
            &json!({ "functionName": "emulated", "functionVersion": "$LATEST", "handler": "bootstrap" }),
        );
        if let Ok(id) = id.try_into() {
            response
                .headers_mut()
                .insert("lambda-extension-identifier", id);
        }
        response
    }

    async fn next_event(&self, id: &str) -> Option<Response<Bytes>> {
        let known = self.0.send_if_modified(|state| {
            state
                .extensions
                .get_mut(id)
                .map(|extension| extension.is_polling = true)
                .is_some()
        });
        if !known {
            return Some(reject(StatusCode::FORBIDDEN, "not registered"));
        }
        let has_event = |state: &State| {
            state
                .extensions
                .get(id)
                .is_some_and(|extension| !extension.events.is_empty())
        };
        self.0.subscribe().wait_for(has_event).await.ok()?;
        let mut event = None;
        self.0.send_modify(|state| {
            if let Some(extension) = state.extensions.get_mut(id) {
                event = extension.events.pop_front();
                extension.is_polling = false;
            }
        });
        Some(reply(StatusCode::OK, &event?))
    }

    fn subscribe(&self, id: &str, body: &Bytes) -> Response<Bytes> {
        let subscription: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(address) = subscription["destination"]["URI"].as_str() else {
            return reject(StatusCode::BAD_REQUEST, "no destination");
        };
        // Lambda's name for the host of the environment.
        let address = address.replace("sandbox.localdomain", "127.0.0.1");
        let buffering = Duration::from_millis(
            subscription["buffering"]["timeoutMs"]
                .as_u64()
                .unwrap_or(1000),
        );
        let known = self.0.send_if_modified(|state| {
            state
                .extensions
                .get_mut(id)
                .map(|extension| extension.telemetry = Some((address, buffering)))
                .is_some()
        });
        if known {
            reply(StatusCode::OK, &json!("OK"))
        } else {
            reject(StatusCode::FORBIDDEN, "not registered")
        }
    }

    fn fail(&self, process: &str, body: &Bytes) -> Response<Bytes> {
        self.0.send_modify(|state| {
            state.failure = Some(format!("{process}: {}", String::from_utf8_lossy(body)))
        });
        reply(StatusCode::ACCEPTED, &json!({ "status": "OK" }))
    }

    /// Sends a telemetry event to every subscriber after its buffering time, in one batch with the
    /// other events of that time.
    pub(crate) fn emit(&self, kind: &str, record: &Value) {
        let time = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default();
        let event = json!({ "time": time, "type": kind, "record": record });
        self.0.send_if_modified(|state| {
            for (id, extension) in &mut state.extensions {
                let Some((_, buffering)) = extension.telemetry else {
                    continue;
                };
                extension.buffered.push(event.clone());
                if extension.buffered.len() == 1 {
                    tokio::spawn(self.clone().deliver(id.clone(), buffering));
                }
            }
            false
        });
    }

    async fn deliver(self, id: String, buffering: Duration) {
        tokio::time::sleep(buffering).await;
        let mut request = None;
        self.0.send_if_modified(|state| {
            if let Some(extension) = state.extensions.get_mut(&id) {
                let events =
                    Bytes::from(Value::from(std::mem::take(&mut extension.buffered)).to_string());
                let address = extension
                    .telemetry
                    .as_ref()
                    .map(|(address, _)| address.clone())
                    .unwrap_or_default();
                request = Request::post(address)
                    .header("content-type", "application/json")
                    .body(Full::new(events))
                    .ok();
            }
            false
        });
        if let Some(request) = request {
            // Events for a subscriber that does not listen are lost, as in Lambda.
            let Ok(response) = self.1.request(request).await else {
                return;
            };
            let _ = response.into_body().collect().await;
        }
    }

    /// Waits until `condition` holds.
    pub(crate) async fn until(&self, condition: impl FnMut(&State) -> bool) -> Result<()> {
        self.0.subscribe().wait_for(condition).await?;
        Ok(())
    }
}

fn reply(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response
}

fn reject(status: StatusCode, why: &str) -> Response<Bytes> {
    reply(
        status,
        &json!({ "errorType": "Emulator.Rejected", "errorMessage": why }),
    )
}
