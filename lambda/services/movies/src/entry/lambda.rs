//! The door that AWS Lambda uses: API Gateway's REST proxy events.
//!
//! The event is read into a struct of the few members that are needed. `lambda_http`'s own conversion builds a URL
//! from the `Host` header and panics when that is none, puts the stage into the path, and takes most of the time of a
//! warm request.

use super::{Door, Seen};
use crate::{
    http::{BodyError, Caller, HEADERS, MAX_BODY_BYTES, Problem, Request},
    trace::Tracer,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use lambda_http::lambda_runtime::{
    self, LambdaEvent, Runtime, layers::TracingLayer, service_fn, tower::util::MapFutureLayer,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    time::{Duration, SystemTime},
};

/// The Runtime API may fail this often in a row. Then the process ends, and Lambda begins with a new one.
const FAILURES: u32 = 5;
/// How long it is left alone when it has failed.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves events until Lambda ends the process.
///
/// # Errors
/// The Runtime API fails again and again.
pub async fn run(door: Arc<Door>, tracer: Tracer) -> Result<(), lambda_runtime::Error> {
    let (tracer, failures) = (Arc::new(tracer), Arc::new(AtomicU32::new(0)));
    loop {
        let mut serving = Box::pin(serve(
            Arc::clone(&door),
            Arc::clone(&tracer),
            Arc::clone(&failures),
        ));
        // The runtime ends at an answer that does not come, and panics at one without its headers.
        let ended = poll_fn(|context| {
            let polled = catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(context)));
            polled.unwrap_or_else(|_| Poll::Ready(Err("it panicked".into())))
        });
        let Err(failed) = ended.await else {
            return Ok(());
        };
        tracing::error!(error = %failed, "the Runtime API failed");
        if failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
            return Err(failed);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn serve(
    door: Arc<Door>,
    tracer: Arc<Tracer>,
    failures: Arc<AtomicU32>,
) -> Result<(), lambda_runtime::Error> {
    let watching = Arc::clone(&tracer);
    let serve = service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        failures.store(0, Ordering::Relaxed);
        let (door, tracer) = (Arc::clone(&door), Arc::clone(&watching));
        async move {
            let answer = invoke(
                &door,
                event.payload.get(),
                &event.context.request_id,
                Some(event.context.deadline()),
            );
            Ok::<_, Infallible>(
                tracer
                    .watch(event.context.xray_trace_id.as_deref(), answer)
                    .await,
            )
        }
    });
    // When this future comes true Lambda has the answer, and has not yet been asked for the next event: it cannot freeze us.
    let then_hand_over = MapFutureLayer::new(move |answering| {
        let tracer = Arc::clone(&tracer);
        async move {
            let answered = answering.await;
            tracer.hand_over().await;
            answered
        }
    });
    Runtime::new(serve)
        .layer(TracingLayer::new())
        .layer(then_hand_over)
        .run()
        .await
}

/// Answers one event, before `deadline`: what Lambda does then is no answer. One that no gateway sends is answered 400: a direct invocation opens nothing.
pub async fn invoke(
    door: &Door,
    event: &str,
    invocation_id: &str,
    deadline: Option<SystemTime>,
) -> ProxyResponse {
    let response = match request(event, invocation_id) {
        Some(request) => door.pass(request, deadline).await,
        None => {
            tracing::warn!(
                request_id = invocation_id,
                "the event is no request of a REST API"
            );
            door.refuse(&Seen::unreadable(invocation_id), Problem::malformed(), None)
        }
    };
    ProxyResponse::from(response)
}

/// The request that an event is; `None` if it is none.
#[must_use]
pub fn request(event: &str, invocation_id: &str) -> Option<Request> {
    serde_json::from_str::<ProxyEvent<'_>>(event)
        .ok()?
        .into_request(invocation_id)
}

type Single<'a> = Option<&'a RawValue>;
type Multi<'a> = Option<BTreeMap<Name<'a>, &'a RawValue>>;

#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What is read of a proxy event (payload format 1.0). Any map may be null. The gateway sends each twice: the multi-value one holds
/// all, the single one only the last of each name, and is left as it is unless there is no other. So are the headers that nobody here
/// asks for: most of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProxyEvent<'a> {
    http_method: String,
    /// As the client sent it, percent-encoded; without the stage.
    path: String,
    #[serde(borrow)]
    headers: Single<'a>,
    #[serde(borrow)]
    multi_value_headers: Multi<'a>,
    #[serde(borrow)]
    query_string_parameters: Single<'a>,
    #[serde(borrow)]
    multi_value_query_string_parameters: Multi<'a>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    request_context: RequestContext,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    request_id: Option<String>,
    authorizer: Option<Authorizer>,
}

#[derive(Deserialize)]
struct Authorizer {
    claims: Option<Claims>,
}

#[derive(Deserialize)]
struct Claims {
    scope: Option<String>,
    client_id: Option<String>,
}

impl ProxyEvent<'_> {
    fn into_request(self, invocation_id: &str) -> Option<Request> {
        let claims = self
            .request_context
            .authorizer
            .and_then(|authorizer| authorizer.claims);
        let caller = claims
            .map(|claims| Caller::new(claims.client_id, claims.scope.as_deref()))
            .unwrap_or_default();
        let mut headers = HeaderMap::new();
        let is_read = |name: &str| {
            HEADERS
                .iter()
                .any(|header| header.eq_ignore_ascii_case(name))
        };
        for (name, value) in pairs(self.multi_value_headers, self.headers, is_read)? {
            // What is no header in HTTP cannot have come through the gateway.
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                // It takes 24 thousand at the most; the gateway lets a hundredth of that pass.
                headers.try_append(name, value).ok()?;
            }
        }
        let body = self.body.unwrap_or_default();
        Some(Request {
            method: Method::from_bytes(self.http_method.as_bytes()).ok()?,
            path: self.path,
            query: pairs(
                self.multi_value_query_string_parameters,
                self.query_string_parameters,
                |_| true,
            )?,
            headers,
            body: if self.is_base64_encoded == Some(true) {
                decoded(&body)
            } else {
                Ok(Bytes::from(body))
            },
            time: SystemTime::now(),
            id: self
                .request_context
                .request_id
                .filter(|id| is_quotable(id))
                .unwrap_or_else(|| invocation_id.to_owned()),
            caller,
        })
    }
}

/// Whether an id can stand in a header and a log. The gateway's can; a direct invocation may say anything.
fn is_quotable(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn decoded(body: &str) -> Result<Bytes, BodyError> {
    // Not decoded at all when it cannot fit.
    if body.len() / 4 * 3 > MAX_BODY_BYTES + 3 {
        return Err(BodyError::TooLong);
    }
    STANDARD
        .decode(body)
        .map(Bytes::from)
        .map_err(|_| BodyError::Garbled)
}

/// What a map holds under the names that are wanted; `None` if it is no map of texts.
fn pairs(
    multi: Multi<'_>,
    single: Single<'_>,
    wanted: fn(&str) -> bool,
) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    if let Some(multi) = multi.filter(|multi| !multi.is_empty()) {
        for (Name(name), values) in multi.iter().filter(|(Name(name), _)| wanted(name)) {
            let values: Option<Vec<String>> = serde_json::from_str(values.get()).ok()?;
            pairs.extend(
                values
                    .unwrap_or_default()
                    .into_iter()
                    .map(|value| (name.to_string(), value)),
            );
        }
    } else if let Some(single) = single {
        let single: BTreeMap<String, Option<String>> = serde_json::from_str(single.get()).ok()?;
        pairs.extend(
            single
                .into_iter()
                .filter(|(name, _)| wanted(name))
                .filter_map(|(name, value)| Some((name, value?))),
        );
    }
    Some(pairs)
}

/// What the gateway takes for an answer. Every body of this API is text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyResponse {
    status_code: u16,
    #[serde(serialize_with = "texts")]
    headers: HeaderMap,
    body: String,
    is_base64_encoded: bool,
}

impl From<Response<String>> for ProxyResponse {
    fn from(response: Response<String>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status_code: parts.status.as_u16(),
            headers: parts.headers,
            body,
            is_base64_encoded: false,
        }
    }
}

/// No header is sent twice, so that the single-value map holds all.
fn texts<S: Serializer>(headers: &HeaderMap, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))),
    )
}
