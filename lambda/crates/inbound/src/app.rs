use crate::{
    Consumers, Failure, Function, Problem, RequestContext, Scopes, access_log, auth,
    body::MAX_BODY_BYTES, cors, deadline, log::Log, outcome::Outcome,
};
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, atomic::AtomicBool},
};
use tower::{
    Layer, Service,
    util::{BoxCloneSyncService, MapRequestLayer},
};
use tower_http::catch_panic::CatchPanicLayer;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The configuration of the layers around a service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the service in logs.
    pub service: &'static str,
    /// The scopes of its operations.
    pub scopes: Scopes,
    /// The web origins whose pages may call the service.
    pub cors_origins: Vec<String>,
    /// The configured consumers.
    pub consumers: Consumers,
    /// The URL of the API reference; each 401 links to it.
    pub documentation_url: Option<String>,
    /// The Lambda function. Without one, the lines of the access log have no metrics.
    pub function: Option<Function>,
    /// The destination of access log lines.
    pub log: Arc<Log>,
}

impl Settings {
    /// Creates the settings of a service without origins, consumers, documentation and function.
    #[must_use]
    pub fn new(service: &'static str, scopes: Scopes, log: Arc<Log>) -> Self {
        Self {
            service,
            scopes,
            cors_origins: Vec::new(),
            consumers: Consumers::default(),
            documentation_url: None,
            function: None,
            log,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// True after this process has served a request.
    pub(crate) warm: AtomicBool,
}

/// A service's router with the layers around it.
#[derive(Clone)]
pub struct App {
    service: BoxCloneSyncService<Request, Response, Infallible>,
    shared: Arc<Shared>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Adds the layers to a router. Its operations are authorized; its fallbacks are problems.
    #[must_use]
    pub fn new(router: Router, settings: Settings) -> Self {
        let shared = Arc::new(Shared {
            settings,
            warm: AtomicBool::new(false),
        });
        let with = || Arc::clone(&shared);
        let authenticating = with();
        // The fallback for methods is set after the layer of the operations, so that it is not in
        // it.
        let router = router
            .route_layer(from_fn_with_state(with(), auth::layer))
            .method_not_allowed_fallback(method_not_allowed)
            .fallback(async || Problem::route_not_found())
            .layer((
                MapRequestLayer::new(record_route),
                from_fn(deadline::layer),
                DefaultBodyLimit::max(MAX_BODY_BYTES),
                MapRequestLayer::new(move |request| auth::authenticate(&authenticating, request)),
            ));
        let service = CatchPanicLayer::custom(|_| panicked()).layer(router);
        let service = from_fn_with_state(with(), cors::layer).layer(service);
        let service = from_fn_with_state(with(), complete).layer(service);
        let service = from_fn_with_state(with(), access_log::layer).layer(service);
        Self {
            service: BoxCloneSyncService::new(service),
            shared,
        }
    }

    /// Handles a request. It needs a [`RequestContext`] as an extension.
    pub async fn handle(&self, request: Request) -> Response {
        let Ok(response) = self.service.clone().call(request).await;
        response
    }

    /// Rejects an event that is not a request.
    pub(crate) fn reject(&self, context: RequestContext) -> Response {
        let mut response = finish(
            &self.shared,
            &context,
            &Method::GET,
            Problem::malformed().into_response(),
        );
        access_log::Entry::unreadable(Arc::clone(&self.shared), context).finish(&mut response);
        response
    }

    /// Logs a request that hyper rejected itself.
    pub(crate) fn log_unreadable(&self, context: RequestContext, status: StatusCode) {
        access_log::Entry::unreadable(Arc::clone(&self.shared), context).finish_with(status);
    }
}

async fn method_not_allowed(context: RequestContext) -> Problem {
    match context.route() {
        Some(_) => Problem::method_not_allowed(),
        None => Problem::route_not_found(),
    }
}

/// Records the route that the router has matched. Rejects an empty parameter, which the router
/// accepts and the contract does not.
fn record_route(request: Request) -> Request {
    let extensions = request.extensions();
    if let (Some(context), Some(route)) = (
        extensions.get::<RequestContext>(),
        extensions.get::<MatchedPath>(),
    ) {
        let segments = route
            .as_str()
            .split('/')
            .zip(request.uri().path().split('/'));
        let mut parameters = segments.take_while(|(name, _)| !name.starts_with("{*"));
        if !parameters.any(|(name, value)| name.starts_with('{') && value.is_empty()) {
            context.set_route(route.clone());
        }
    }
    request
}

/// Responds to a panic, which the panic hook has logged. The message is dropped, because it can
/// contain request data.
fn panicked() -> Response {
    Failure::defect("a handler panicked").into_response()
}

/// Formats the router's list of methods, `GET,HEAD`, as `GET, HEAD`.
pub(crate) fn allowed_methods(headers: &HeaderMap) -> Option<HeaderValue> {
    let methods = headers.get(header::ALLOW)?.to_str().ok()?;
    HeaderValue::try_from(methods.replace(',', ", ")).ok()
}

/// The layer with the request id. It adds the headers of every response, writes problem documents
/// and logs failures.
async fn complete(
    State(shared): State<Arc<Shared>>,
    context: RequestContext,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let response = next.run(request).await;
    finish(&shared, &context, &method, response)
}

fn finish(
    shared: &Shared,
    context: &RequestContext,
    method: &Method,
    mut response: Response,
) -> Response {
    if let Some(outcome) = response.extensions_mut().get_mut::<Outcome>() {
        if let Some(failure) = &outcome.failure {
            tracing::error!(
                request_id = context.id(),
                cause = failure.kind(),
                error = %failure,
                "the request failed"
            );
        }
        if let Some(problem) = outcome.problem.take() {
            let documentation = shared.settings.documentation_url.as_deref();
            let document = problem.into_document(context.id(), documentation);
            let is_head = method == Method::HEAD;
            *response.body_mut() = if is_head {
                Body::empty()
            } else {
                document.into()
            };
            let problem = HeaderValue::from_static("application/problem+json");
            response.headers_mut().insert(header::CONTENT_TYPE, problem);
            response.headers_mut().remove(header::CONTENT_LENGTH); // of the empty body
        }
    }
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Some(methods) = allowed_methods(response.headers())
    {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    if response.status() == StatusCode::NOT_FOUND {
        response.headers_mut().remove(header::ALLOW); // of a route with an empty parameter
    }
    let is_empty = matches!(
        response.status(),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    let headers = response.headers_mut();
    if is_empty {
        headers.remove(header::CONTENT_LENGTH);
    }
    if let Ok(id) = HeaderValue::from_str(context.id()) {
        headers.insert(X_REQUEST_ID, id);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Authentication,
        deadline::{MIN_REMAINING, SHUTDOWN_MARGIN},
    };
    use axum::routing::get;
    use http_body_util::BodyExt;
    use serde_json::Value;
    use std::{io, sync::Mutex, time::Duration};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Buffer {
        /// Method, route and status of each line of the access log.
        fn lines(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let fields = |line: &str| {
                let line: Value = serde_json::from_str(line).unwrap();
                serde_json::json!([line["method"], line["route"], line["status"]])
            };
            text.lines().map(fields).collect()
        }
    }

    #[allow(clippy::panic, reason = "it is what is tested")]
    async fn panics() -> &'static str {
        panic!("a canary")
    }

    fn app(origins: &[&str]) -> (App, Buffer) {
        let router = Router::new()
            .route("/ok", get(async || "ok"))
            .route("/panic", get(panics))
            .route(
                "/silent",
                get(std::future::pending::<()>).post(async || "ok"),
            )
            .route("/{year}/{*title}", get(async || "ok"));
        let log = Buffer::default();
        let settings = Settings {
            cors_origins: origins.iter().map(ToString::to_string).collect(),
            ..Settings::new(
                "test",
                crate::scopes!("test"),
                Arc::new(Log::direct(log.clone())),
            )
        };
        (App::new(router, settings), log)
    }

    fn request(method: &str, path: &str, remaining: Option<Duration>) -> Request {
        Request::builder()
            .method(method)
            .uri(path)
            .extension(RequestContext::new("r".into(), remaining))
            .extension(Authentication::Disabled)
            .body(Body::empty())
            .unwrap()
    }

    async fn status(app: &App, method: &str, path: &str) -> u16 {
        app.handle(request(method, path, None))
            .await
            .status()
            .as_u16()
    }

    /// Runs with the access log enabled.
    fn logging() -> tracing::subscriber::DefaultGuard {
        let subscriber = crate::log::subscriber(&[], tracing::Level::INFO, io::sink, None);
        tracing::subscriber::set_default(subscriber)
    }

    /// Fault F29.
    #[tokio::test]
    async fn panic_is_500_and_the_next_request_is_served() {
        let (_guard, (app, log)) = (logging(), app(&["https://a.example"]));
        let mut request = request("GET", "/panic", None);
        let origin = HeaderValue::from_static("https://a.example");
        request.headers_mut().insert(header::ORIGIN, origin.clone());
        let response = app.handle(request).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN],
            origin
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&body["code"], &body["request_id"]),
            (&"internal_error".into(), &"r".into())
        );
        assert_eq!(status(&app, "GET", "/ok").await, 200);
        let line = |route: &str, status: u16| serde_json::json!(["GET", route, status]);
        assert_eq!(log.lines(), [line("/panic", 500), line("/ok", 200)]);
    }

    #[tokio::test]
    async fn request_without_a_response_in_time_is_503() {
        let (_guard, (app, log)) = (logging(), app(&[]));
        let left = SHUTDOWN_MARGIN + MIN_REMAINING;
        for (path, remaining) in [
            ("/silent", left + Duration::from_millis(50)),
            ("/ok", left - Duration::from_millis(1)),
        ] {
            let response = app.handle(request("GET", path, Some(remaining))).await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        }
        let line = |route: &str| serde_json::json!(["GET", route, 503]);
        assert_eq!(log.lines(), [line("/silent"), line("/ok")]);
    }

    #[tokio::test]
    async fn cancelled_request_is_logged_as_499() {
        let (_guard, (app, log)) = (logging(), app(&[]));
        let silent = app.handle(request("GET", "/silent", None));
        assert!(
            tokio::time::timeout(Duration::from_millis(20), silent)
                .await
                .is_err()
        );
        assert_eq!(log.lines(), [serde_json::json!(["GET", "/silent", 499])]);
    }

    #[tokio::test]
    async fn methods_of_a_route_are_the_routers() {
        let (app, _) = app(&["https://a.example"]);
        let response = app.handle(request("PUT", "/silent", None)).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], "GET, HEAD, POST");
        let response = app.handle(request("OPTIONS", "/silent", None)).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let methods = &response.headers()[header::ACCESS_CONTROL_ALLOW_METHODS];
        assert_eq!(methods, "GET, HEAD, POST");
        assert!(!response.headers().contains_key(header::ALLOW));
        assert_eq!(status(&app, "OPTIONS", "/nothing").await, 404);
    }

    #[tokio::test]
    async fn empty_path_parameter_is_404() {
        let (app, _) = app(&[]);
        for (method, path, expected) in [
            ("GET", "/2013/a", 200),
            ("GET", "/2013//a", 200),
            ("GET", "//a", 404),
            ("PUT", "//a", 404),
            ("GET", "/2013/", 404),
        ] {
            assert_eq!(
                status(&app, method, path).await,
                expected,
                "{method} {path}"
            );
        }
        let response = app.handle(request("PUT", "//a", None)).await;
        assert!(!response.headers().contains_key(header::ALLOW));
    }

    /// An extension of the request: the entry points set both, and neither may be forgotten.
    #[tokio::test]
    async fn request_without_a_principal_is_401() {
        let (app, _) = app(&[]);
        let mut anonymous = request("GET", "/ok", None);
        anonymous.extensions_mut().remove::<Authentication>();
        assert_eq!(
            app.handle(anonymous).await.status(),
            StatusCode::UNAUTHORIZED
        );
    }
}
