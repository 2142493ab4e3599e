//! The APIs that function and extensions speak to. All that is known is one [`State`] in a watch channel: whoever waits, waits
//! for a condition on it.

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

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The function's answer.
    Response(Bytes),
    /// The function's own report of a failure.
    Error(Bytes),
    /// Its process ended; how, in the system's words.
    Exited(String),
    /// The deadline passed.
    TimedOut,
}

/// What a function's next question for an event gets instead of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextFault {
    /// This status, without a body.
    Status(u16),
    /// A closed connection.
    HangUp,
}

/// An event on its way to the function.
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
    wants: Vec<String>,
    asks: bool,
    events: VecDeque<Value>,
    /// Where it takes telemetry, and how long that may be held back.
    telemetry: Option<(String, Duration)>,
    held: Vec<Value>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) extensions: BTreeMap<String, Extension>,
    pub(crate) function_asks: bool,
    pub(crate) pending: Option<Pending>,
    /// The invocation that has been handed out.
    current: Option<String>,
    pub(crate) outcome: Option<(Outcome, Instant)>,
    /// An `init/error` or `exit/error`, in the words of who reported it.
    pub(crate) broken: Option<String>,
    pub(crate) next_faults: VecDeque<NextFault>,
}

impl State {
    /// Whether everybody has asked for the next event and none is on its way: Lambda freezes an environment then.
    pub(crate) fn idle(&self) -> bool {
        self.function_asks
            && self.pending.is_none()
            && self
                .extensions
                .values()
                .all(|extension| extension.asks && extension.events.is_empty())
    }

    pub(crate) fn has_registered(&self, name: &str) -> bool {
        self.extensions
            .values()
            .any(|extension| extension.name == name)
    }

    pub(crate) fn tell_extensions(&mut self, kind: &str, event: &Value) {
        for extension in self
            .extensions
            .values_mut()
            .filter(|extension| extension.wants.iter().any(|wanted| wanted == kind))
        {
            extension.events.push_back(event.clone());
        }
    }
}

/// The three APIs.
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

    pub(crate) async fn answer(self, request: Request<Bytes>) -> Option<Response<Bytes>> {
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
            ("POST", ["2018-06-01", "runtime", "init/error"]) => {
                Some(self.broke("function", &body))
            }
            ("POST", ["2018-06-01", "runtime", rest]) => Some(self.finish(rest, body)),
            ("POST", ["2020-01-01", "extension", "register"]) => {
                Some(self.register(header("lambda-extension-name"), &body))
            }
            ("GET", ["2020-01-01", "extension", "event/next"]) => self.next_event(&extension).await,
            ("POST", ["2020-01-01", "extension", "init/error" | "exit/error"]) => {
                Some(self.broke(&extension, &body))
            }
            ("PUT", ["2022-07-01", "telemetry"]) => Some(self.subscribe(&extension, &body)),
            _ => Some(refuse(StatusCode::NOT_FOUND, "no such path")),
        }
    }

    async fn next_invocation(&self) -> Option<Response<Bytes>> {
        let mut fault = None;
        self.0.send_modify(|state| {
            fault = state.next_faults.pop_front();
            state.function_asks = fault.is_none();
        });
        match fault {
            Some(NextFault::HangUp) => return None,
            Some(NextFault::Status(status)) => {
                return Some(refuse(
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
            state.function_asks = false;
        });
        let event = event?;
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", event.id)
            .header("lambda-runtime-deadline-ms", event.deadline_ms)
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-west-1:000000000000:function:imitation",
            );
        let response = event.trace.into_iter().fold(response, |response, trace| {
            response.header("lambda-runtime-trace-id", trace)
        });
        response.body(event.body).ok()
    }

    /// `rest` is `invocation/ID/response` or `invocation/ID/error`.
    fn finish(&self, rest: &str, body: Bytes) -> Response<Bytes> {
        let at = Instant::now();
        let [_, id, how] = rest.splitn(3, '/').collect::<Vec<_>>()[..] else {
            return refuse(StatusCode::NOT_FOUND, "no such path");
        };
        let known = self.0.send_if_modified(|state| {
            let known = state.current.take_if(|current| current == id).is_some();
            if known {
                let outcome = if how == "response" {
                    Outcome::Response(body)
                } else {
                    Outcome::Error(body)
                };
                state.outcome = Some((outcome, at));
            }
            known
        });
        if known {
            reply(StatusCode::ACCEPTED, &json!({ "status": "OK" }))
        } else {
            refuse(StatusCode::BAD_REQUEST, "not the current invocation")
        }
    }

    fn register(&self, name: String, body: &Bytes) -> Response<Bytes> {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let wants = asked["events"]
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
                    wants,
                    ..Default::default()
                },
            );
        });
        let mut response = reply(
            StatusCode::OK,
            &json!({ "functionName": "imitation", "functionVersion": "$LATEST", "handler": "bootstrap" }),
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
                .map(|extension| extension.asks = true)
                .is_some()
        });
        if !known {
            return Some(refuse(StatusCode::FORBIDDEN, "not registered"));
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
                extension.asks = false;
            }
        });
        Some(reply(StatusCode::OK, &event?))
    }

    fn subscribe(&self, id: &str, body: &Bytes) -> Response<Bytes> {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(address) = asked["destination"]["URI"].as_str() else {
            return refuse(StatusCode::BAD_REQUEST, "no destination");
        };
        // In Lambda that name is the environment's own host.
        let address = address.replace("sandbox.localdomain", "127.0.0.1");
        let held = Duration::from_millis(asked["buffering"]["timeoutMs"].as_u64().unwrap_or(1000));
        let known = self.0.send_if_modified(|state| {
            state
                .extensions
                .get_mut(id)
                .map(|extension| extension.telemetry = Some((address, held)))
                .is_some()
        });
        if known {
            reply(StatusCode::OK, &json!("OK"))
        } else {
            refuse(StatusCode::FORBIDDEN, "not registered")
        }
    }

    fn broke(&self, who: &str, body: &Bytes) -> Response<Bytes> {
        self.0.send_modify(|state| {
            state.broken = Some(format!("{who}: {}", String::from_utf8_lossy(body)))
        });
        reply(StatusCode::ACCEPTED, &json!({ "status": "OK" }))
    }

    /// Tells the subscribers, each when its buffering time is over, of all that has come up by then.
    pub(crate) fn emit(&self, kind: &str, record: &Value) {
        let time = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default();
        let event = json!({ "time": time, "type": kind, "record": record });
        self.0.send_if_modified(|state| {
            for (id, extension) in &mut state.extensions {
                let Some((_, held)) = extension.telemetry else {
                    continue;
                };
                extension.held.push(event.clone());
                if extension.held.len() == 1 {
                    tokio::spawn(self.clone().deliver(id.clone(), held));
                }
            }
            false
        });
    }

    async fn deliver(self, id: String, held: Duration) {
        tokio::time::sleep(held).await;
        let mut request = None;
        self.0.send_if_modified(|state| {
            if let Some(extension) = state.extensions.get_mut(&id) {
                let events =
                    Bytes::from(Value::from(std::mem::take(&mut extension.held)).to_string());
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
            // A subscriber that does not listen misses them.
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

fn refuse(status: StatusCode, why: &str) -> Response<Bytes> {
    reply(
        status,
        &json!({ "errorType": "Imitation.Refused", "errorMessage": why }),
    )
}
