//! The entry point for AWS Lambda: proxy events of an API Gateway REST API.
//!
//! The runtime and the event types are lambda_http's. `lambda_http::run` is not used: it prefixes
//! the path with the stage, normalises `%2e%2e`, keeps only the last of repeated headers, lets
//! `Host` change the path, and panics on five kinds of event.

use crate::{
    App, Principal, Query, RequestContext,
    body::{BodyError, MAX_BODY_BYTES},
    trace::Tracer,
};
use axum::{body::Body, extract::Request, response::Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    Uri, header,
    uri::{InvalidUri, PathAndQuery},
};
use http_body_util::BodyExt;
use lambda_http::{
    Body as EventBody,
    aws_lambda_events::apigw::{
        ApiGatewayProxyRequest, ApiGatewayProxyResponse, ApiGatewayRequestAuthorizer,
    },
    lambda_runtime::{
        self, LambdaEvent, Runtime, layers::TracingLayer, service_fn, tower::util::MapFutureLayer,
    },
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, value::RawValue};
use std::{
    collections::HashMap,
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
use tracing::Instrument;

/// Maximum number of consecutive failures of the Runtime API. The process then ends, and Lambda
/// starts another.
const MAX_FAILURES: u32 = 5;
/// Pause after a failure of the Runtime API.
const FAILURE_BACKOFF: Duration = Duration::from_millis(50);
/// Maximum number of headers.
const MAX_HEADERS: usize = 20_000;
/// Maximum length of a path. A URI has at most 65,534 bytes, and the gateway passes on fewer.
const MAX_PATH: usize = 60_000;
/// Characters that a path may contain and a URI may not. They are encoded here and decoded with the
/// rest of the path.
const NOT_IN_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`');

/// Serves events until Lambda ends the process.
///
/// # Errors
/// The Runtime API fails repeatedly.
pub async fn run(app: Arc<App>, tracer: Tracer) -> Result<(), lambda_runtime::Error> {
    let (tracer, failures) = (Arc::new(tracer), Arc::new(AtomicU32::new(0)));
    loop {
        let mut serving = Box::pin(serve(
            Arc::clone(&app),
            Arc::clone(&tracer),
            Arc::clone(&failures),
        ));
        // The runtime ends when a response does not arrive, and panics when one has no headers.
        let ended = poll_fn(|context| {
            let polled = catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(context)));
            polled.unwrap_or_else(|_| Poll::Ready(Err("it panicked".into())))
        });
        let Err(failed) = ended.await else {
            return Ok(());
        };
        tracing::error!(error = %failed, "the Runtime API failed");
        if failures.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_FAILURES {
            return Err(failed);
        }
        tokio::time::sleep(FAILURE_BACKOFF).await;
    }
}

async fn serve(
    app: Arc<App>,
    tracer: Arc<Tracer>,
    failures: Arc<AtomicU32>,
) -> Result<(), lambda_runtime::Error> {
    let spans = Arc::clone(&tracer);
    let serve = service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        failures.store(0, Ordering::Relaxed);
        let (app, tracer) = (Arc::clone(&app), Arc::clone(&spans));
        async move {
            let LambdaEvent { payload, context } = event;
            let response = invoke(
                &app,
                payload.get(),
                &context.request_id,
                Some(context.deadline()),
            );
            let span = tracer.span(context.xray_trace_id.as_deref());
            Ok::<_, Infallible>(response.instrument(span).await)
        }
    });
    // Runs after the response was posted and before the next event is requested: Lambda cannot
    // freeze the process here.
    let then_flush = MapFutureLayer::new(move |handled| {
        let tracer = Arc::clone(&tracer);
        async move {
            let handled = handled.await;
            tracer.flush().await;
            handled
        }
    });
    Runtime::new(serve)
        .layer(TracingLayer::new())
        .layer(then_flush)
        .run()
        .await
}

/// Handles one event and responds before `deadline`, when Lambda ends the function. An event that
/// is not a request of a REST API, such as a direct invocation, gets 400.
pub async fn invoke(
    app: &App,
    event: &str,
    invocation_id: &str,
    deadline: Option<SystemTime>,
) -> ApiGatewayProxyResponse {
    let remaining = deadline.map(|deadline| {
        deadline
            .duration_since(SystemTime::now())
            .unwrap_or_default()
    });
    let response = match request(event, invocation_id, remaining) {
        Some(request) => app.handle(request).await,
        None => {
            let request_id = invocation_id;
            tracing::warn!(request_id, "the event is not a request of a REST API");
            app.reject(RequestContext::new(invocation_id.to_owned(), remaining))
        }
    };
    proxy_response(response).await
}

/// Converts an event to a request. `None` if it is not a request.
#[must_use]
pub fn request(event: &str, invocation_id: &str, remaining: Option<Duration>) -> Option<Request> {
    if has_too_many_headers(event) {
        return None;
    }
    let event: ApiGatewayProxyRequest = serde_json::from_str(event).ok()?;
    let id = event
        .request_context
        .request_id
        .filter(|id| is_quotable(id));
    let context = RequestContext::new(id.unwrap_or_else(|| invocation_id.to_owned()), remaining);
    context.authenticate(principal(event.request_context.authorizer));

    let mut request = Request::default();
    *request.method_mut() = event.http_method;
    *request.uri_mut() = uri(&event.path?).ok()?;
    // API Gateway sends each map twice. The multi-value map has every value, the other map the
    // last.
    let is_multi = !event.multi_value_headers.is_empty();
    *request.headers_mut() = if is_multi {
        event.multi_value_headers
    } else {
        event.headers
    };
    let multi = event.multi_value_query_string_parameters;
    let query = if multi.is_empty() {
        event.query_string_parameters
    } else {
        multi
    };
    let mut query: Vec<_> = query
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    query.sort_by(|(a, _), (b, _)| a.cmp(b)); // The map has no order.
    request.extensions_mut().insert(Query(query));
    request.extensions_mut().insert(context);
    let body = event.body.unwrap_or_default();
    match if event.is_base64_encoded {
        decode(&body)
    } else {
        Ok(Bytes::from(body))
    } {
        Ok(body) => *request.body_mut() = Body::from(body),
        Err(error) => drop(request.extensions_mut().insert(error)),
    }
    Some(request)
}

/// `ApiGatewayProxyRequest` appends headers to a map that panics beyond 24,576 of them. API Gateway
/// passes on a hundredth of that, but a direct invocation may have any number.
fn has_too_many_headers(event: &str) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Headers {
        headers: Option<HashMap<String, IgnoredAny>>,
        multi_value_headers: Option<HashMap<String, IgnoredAny>>,
    }
    // A member has at least 5 bytes, so that no event of the gateway is parsed twice.
    if event.len() < MAX_HEADERS * 5 {
        return false;
    }
    serde_json::from_str::<Headers>(event).is_ok_and(|headers| {
        let maps = [headers.headers, headers.multi_value_headers];
        maps.into_iter()
            .flatten()
            .any(|map| map.len() > MAX_HEADERS)
    })
}

/// Returns the claims of the gateway's authorizer. Without claims, no operation is allowed.
fn principal(mut authorizer: ApiGatewayRequestAuthorizer) -> Principal {
    let mut claims = authorizer.fields.remove("claims").unwrap_or_default();
    let mut claim = |name| match claims.get_mut(name).map(Value::take) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    Principal {
        client_id: claim("client_id"),
        scope: claim("scope").unwrap_or_default(),
    }
}

/// Returns the path as the client sent it. A question mark in it does not begin a query.
fn uri(path: &str) -> Result<Uri, InvalidUri> {
    if !path.starts_with('/') {
        return Ok(Uri::from_static("*")); // No route matches this.
    }
    let mut path = utf8_percent_encode(path, NOT_IN_URI).to_string();
    path.truncate(MAX_PATH);
    Ok(Uri::from(PathAndQuery::try_from(path)?))
}

/// Returns whether an id is valid in a header and a log. The gateway's ids are. A direct invocation
/// can have any string.
fn is_quotable(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn decode(body: &str) -> Result<Bytes, BodyError> {
    // A body that is too long is not decoded.
    if body.len() / 4 * 3 > MAX_BODY_BYTES + 3 {
        return Err(BodyError::TooLong);
    }
    STANDARD
        .decode(body)
        .map(Bytes::from)
        .map_err(|_| BodyError::Malformed)
}

async fn proxy_response(response: Response) -> ApiGatewayProxyResponse {
    let (parts, body) = response.into_parts();
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = parts.status.as_u16().into();
    response.headers = parts.headers;
    response.headers.remove(header::CONTENT_LENGTH); // The gateway would rename it.
    if response.headers.len() > response.headers.keys_len() {
        response.multi_value_headers = response.headers.clone();
    }
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    response.body = Some(match String::from_utf8(body.into()) {
        Ok(text) => EventBody::Text(text),
        Err(binary) => {
            response.is_base64_encoded = true;
            EventBody::Binary(binary.into_bytes())
        }
    });
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(path: &str) -> Value {
        json!({ "httpMethod": "GET", "path": path, "requestContext": { "httpMethod": "GET" } })
    }

    fn path_of(path: &str) -> String {
        let request = request(&event(path).to_string(), "i", None).unwrap();
        assert_eq!(request.uri().query(), None, "{path}");
        request.uri().path().to_owned()
    }

    #[test]
    fn path_is_taken_as_it_was_sent() {
        for path in [
            "/",
            "//movies",
            "/movies/2013/%2e%2e/a%2Fb",
            "/%zz",
            "/a//b/",
            "/a/../b",
        ] {
            assert_eq!(path_of(path), path);
        }
    }

    #[test]
    fn characters_that_no_uri_has_are_encoded() {
        assert_eq!(
            path_of("/a?b#c d<é>`\"\u{7f}"),
            "/a%3Fb%23c%20d%3C%C3%A9%3E%60%22%7F"
        );
        for path in ["", "movies", "http://x/movies", "?"] {
            assert_eq!(path_of(path), "*", "{path}");
        }
    }

    #[test]
    fn any_character_in_a_path_is_a_request() {
        for character in (0..=0x2ff_u32).filter_map(char::from_u32) {
            assert!(
                path_of(&format!("/a{character}b")).starts_with("/a"),
                "{character:?}"
            );
        }
    }

    #[test]
    fn path_that_is_too_long_for_a_uri_is_cut() {
        let path = format!("/movies/2013/{}", "x".repeat(1_000_000));
        assert!(path_of(&path).starts_with("/movies/2013/xxx"));
    }

    #[test]
    fn event_with_more_headers_than_a_map_holds_is_not_a_request() {
        let mut event = event("/");
        for map in ["headers", "multiValueHeaders"] {
            event[map] = (0..40_000)
                .map(|n| (format!("h{n}"), json!(["x"])))
                .collect();
            assert!(request(&event.to_string(), "i", None).is_none(), "{map}");
            event[map] = Value::Null;
        }
    }

    /// API Gateway cannot have received such a header.
    #[test]
    fn event_with_an_invalid_header_is_not_a_request() {
        for (name, value) in [("x y", "z"), ("x", "a\r\nSet-Cookie: a=b"), ("", "a")] {
            let mut event = event("/");
            event["headers"] = json!({ name: value });
            assert!(request(&event.to_string(), "i", None).is_none(), "{name:?}");
        }
    }

    #[test]
    fn repeated_headers_and_parameters_are_all_kept() {
        let mut event = event("/");
        event["multiValueHeaders"] = json!({ "If-Match": ["\"a\"", "\"b\""] });
        event["headers"] = json!({ "If-Match": "\"b\"" });
        event["multiValueQueryStringParameters"] = json!({ "b": ["2", "1"], "a": ["3"] });
        event["queryStringParameters"] = json!({ "b": "1", "a": "3" });
        let request = request(&event.to_string(), "i", None).unwrap();
        let tags: Vec<_> = request.headers().get_all("if-match").iter().collect();
        assert_eq!(tags, ["\"a\"", "\"b\""]);
        let Query(query) = request.extensions().get().unwrap();
        let pairs = query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        assert_eq!(
            pairs.collect::<Vec<_>>(),
            [("a", "3"), ("b", "2"), ("b", "1")]
        );
    }

    #[tokio::test]
    async fn response_has_repeated_headers_and_binary_bodies() {
        let mut response = Response::new(Body::from(vec![0xff]));
        for value in ["a=1", "b=2"] {
            response
                .headers_mut()
                .append(header::SET_COOKIE, value.parse().unwrap());
        }
        let response = serde_json::to_value(proxy_response(response).await).unwrap();
        assert_eq!(
            response["multiValueHeaders"]["set-cookie"],
            json!(["a=1", "b=2"])
        );
        assert_eq!(
            (&response["body"], &response["isBase64Encoded"]),
            (&json!("/w=="), &json!(true))
        );
    }
}
