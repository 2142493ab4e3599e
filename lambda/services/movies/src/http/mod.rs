//! The API: routes, status codes and documents, as `openapi.yaml` has them.

pub mod body;
mod consumer;
mod cors;
pub mod path;
mod precondition;
mod problem;
mod query;
mod service;

pub use consumer::{Consumer, Consumers};
pub use problem::Problem;
pub use service::Links;

use crate::{
    domain::{Cursor, ETag, Movie, MovieId},
    store::{
        Cause, Consistency, CreateOutcome, Fault, IdempotencyKey, Put, Store, StoredMovie, policy,
        retry::WRITE_ATTEMPTS,
    },
    trace,
};
use ::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use precondition::{Current, Decision, Preconditions};
use serde::Serialize;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A body may be this long, in bytes. (WAF inspects as much; the gateway's rule says the same.)
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The headers that an answer may depend on; a door need bring no others.
pub const HEADERS: [&str; 7] = [
    "cache-control",
    "content-encoding",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "origin",
];

/// A request, whichever door it came in by.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as the client sent it, percent-encoded, without the stage.
    pub path: String,
    /// The query's names and values, decoded.
    pub query: Vec<(String, String)>,
    /// The headers; of [`HEADERS`] all.
    pub headers: HeaderMap,
    /// The body, or what kept it from being read.
    pub body: Result<Bytes, BodyError>,
    /// When it came.
    pub time: SystemTime,
    /// What the logs find it by.
    pub id: String,
    /// What its token allows.
    pub caller: Caller,
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than [`MAX_BODY_BYTES`].
    TooLong,
    /// Not what its transfer encoding says.
    Garbled,
    /// It did not arrive in time.
    TimedOut,
}

/// Who calls, as the verified token says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The client's id, for the log.
    pub client_id: Option<String>,
    /// Whether it may read.
    pub may_read: bool,
    /// Whether it may write.
    pub may_write: bool,
}

impl Caller {
    /// Reads the token's `scope` claim. Write implies read; without a claim nothing is allowed.
    #[must_use]
    pub fn new(client_id: Option<String>, scope: Option<&str>) -> Self {
        let has = |wanted: &str| {
            scope.is_some_and(|scopes| scopes.split_ascii_whitespace().any(|scope| scope == wanted))
        };
        let may_write = has("movies/write");
        Self {
            client_id,
            may_read: may_write || has("movies/read"),
            may_write,
        }
    }
}

/// The service: its table and what it says of itself.
#[derive(Debug)]
pub struct Api {
    store: Store,
    cors_origins: Vec<String>,
    consumers: Consumers,
    links: Links,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Service,
    Contract,
    Movies,
    Movie { year: &'a str, title: &'a str },
    Health,
    Version,
}

impl<'a> Route<'a> {
    /// The route of a path. Everything after the year is the title, slashes included.
    fn of(path: &'a str) -> Option<Self> {
        match path {
            "/" => Some(Self::Service),
            "/openapi.json" => Some(Self::Contract),
            "/movies" => Some(Self::Movies),
            "/health" => Some(Self::Health),
            "/version" => Some(Self::Version),
            _ => {
                let (year, title) = path.strip_prefix("/movies/")?.split_once('/')?;
                (!year.is_empty() && !title.is_empty()).then_some(Self::Movie { year, title })
            }
        }
    }

    /// The path in the contract.
    fn template(self) -> &'static str {
        match self {
            Self::Service => "/",
            Self::Contract => "/openapi.json",
            Self::Movies => "/movies",
            Self::Movie { .. } => "/movies/{year}/{title}",
            Self::Health => "/health",
            Self::Version => "/version",
        }
    }

    fn allows(self, method: &Method) -> bool {
        self.methods()
            .split(", ")
            .any(|allowed| allowed == method.as_str())
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Movies => "GET, HEAD, POST, PUT, PATCH, DELETE",
            Self::Movie { .. } => "GET, HEAD, PUT, PATCH, DELETE",
            Self::Service | Self::Contract | Self::Health | Self::Version => "GET, HEAD",
        }
    }
}

/// The contract's path for a request's, for logs and metrics: a title has no place there.
#[must_use]
pub fn route_template(path: &str) -> &'static str {
    Route::of(path).map_or("none", Route::template)
}

/// What a handler gives.
type Answer = Result<Response<String>, Failure>;

/// Why it gives no answer of the kind that was hoped for.
enum Failure {
    /// The caller is told of it: an answer too.
    Problem(Problem),
    /// We failed. What the caller is told of that is decided in one place.
    Fault(Fault),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// How many malformed items an answer was made of: an extension of the answer, for the metrics, as
/// a [`Cause`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged(pub usize);

impl Api {
    /// A service on a table.
    #[must_use]
    pub fn new(store: Store, cors_origins: Vec<String>) -> Self {
        Self {
            store,
            cors_origins,
            consumers: Consumers::default(),
            links: Links::default(),
        }
    }

    /// Sets what `GET /` and `GET /openapi.json` link to.
    #[must_use]
    pub fn with_links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }

    /// Sets whose each client is, and until when.
    #[must_use]
    pub fn with_consumers(mut self, consumers: Consumers) -> Self {
        self.consumers = consumers;
        self
    }

    /// The consumer that a client belongs to, if the environment knows it.
    pub(crate) fn consumer(&self, client_id: Option<&str>) -> Option<&Consumer> {
        self.consumers.of(client_id)
    }

    /// Answers a request within `left`. It always does: with a problem when the time is over, or too short to begin; a panic,
    /// too, is answered (500) and leaves the next request unharmed.
    pub async fn answer(self: &Arc<Self>, request: Request, left: Duration) -> Response<String> {
        let id = request.id.clone();
        let origin = request.headers.get(header::ORIGIN).cloned();
        let head = request.method == Method::HEAD;

        let api = Arc::clone(self);
        let mut response = // Boxed: the compiler gives up on a future of so many within each other.
        match in_time(left, Box::pin(async move { api.handle(request).await })).await {
            Ok(response) => response,
            Err(Failure::Problem(problem)) => problem.into_response(&id),
            Err(Failure::Fault(fault)) => report(&fault, &id),
        };
        if head {
            response.body_mut().clear();
        }
        cors::allow(&self.cors_origins, origin, response.headers_mut());
        complete(response, &id)
    }

    /// Rejects what never became a [`Request`]. Pages of a named origin can read the response. A 401
    /// links to the API reference: its client may not know the API yet.
    pub(crate) fn refuse(
        &self,
        problem: Problem,
        id: &str,
        origin: Option<HeaderValue>,
    ) -> Response<String> {
        let documentation = self
            .links
            .documentation_url
            .as_deref()
            .filter(|_| problem.is_unauthorized());
        let mut response = problem.into_response_with(id, documentation);
        cors::allow(&self.cors_origins, origin, response.headers_mut());
        complete(response, id)
    }

    /// Returns whether the contract has this operation. Without one the response is 404 or 405, and
    /// depends on no token.
    pub(crate) fn has_operation(&self, method: &Method, path: &str) -> bool {
        Route::of(path).is_some_and(|route| route.allows(method))
    }

    /// Returns whether the response depends on the body. It does not if the request is rejected
    /// anyway.
    pub(crate) fn needs_body(&self, request: &Request) -> bool {
        let has_body = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
        has_body && Route::of(&request.path).is_some_and(|route| self.admit(request, route).is_ok())
    }

    /// Checks method, scope and query, and returns the method to perform.
    fn admit(&self, request: &Request, route: Route<'_>) -> Result<Method, Problem> {
        let method = if request.method == Method::HEAD {
            Method::GET
        } else {
            request.method.clone()
        };
        if !route.allows(&method) {
            return Err(Problem::method_not_allowed(route.methods()));
        }
        if self
            .consumer(request.caller.client_id.as_deref())
            .is_some_and(|consumer| consumer.has_expired(request.time))
        {
            return Err(Problem::consumer_expired());
        }
        // The gateway checks scopes too. Its catch-all needs no token: without this check, a path that the gateway does not
        // know and this service does would be open.
        if !(request.caller.may_write || request.caller.may_read && method == Method::GET) {
            return Err(Problem::forbidden(method == Method::GET));
        }
        match (route, &method) {
            (Route::Movies, &Method::GET) => {} // The list reads its parameters itself.
            (Route::Movies, &(Method::PUT | Method::PATCH | Method::DELETE)) => {
                drop(query::movie_id(&request.query)?)
            }
            _ => query::refuse_all(&request.query)?,
        }
        Ok(method)
    }

    async fn handle(&self, request: Request) -> Answer {
        let Some(route) = Route::of(&request.path) else {
            return Err(Problem::route_not_found().into());
        };
        if request.method == Method::OPTIONS && !self.cors_origins.is_empty() {
            return Ok(cors::preflight(route.methods()));
        }
        let method = self.admit(&request, route)?;
        let preconditions = Preconditions::read(&request.headers)?;

        match (route, method) {
            (Route::Movie { year, title }, method) => {
                let id = path::movie_id(year, title)?;
                match method {
                    Method::GET => self.get(&request, &preconditions, &id).await,
                    method => self.change(&request, &preconditions, &method, id).await,
                }
            }
            (Route::Movies, Method::GET) => self.list(&request, &preconditions).await,
            (Route::Movies, method @ (Method::PUT | Method::PATCH | Method::DELETE)) => {
                let id = query::movie_id(&request.query)?;
                self.change(&request, &preconditions, &method, id).await
            }
            (route, method) => match preconditions.evaluate(&method, Current::Untagged) {
                Decision::Failed => Err(Problem::precondition_failed().into()),
                Decision::NotModified => Ok(empty(StatusCode::NOT_MODIFIED)),
                Decision::Perform if route == Route::Service => Ok(json(
                    StatusCode::OK,
                    &service::ServiceBody::new(&self.links),
                )),
                Decision::Perform if route == Route::Contract => {
                    Ok(json_text(StatusCode::OK, service::contract(&self.links)))
                }
                Decision::Perform if route == Route::Health => {
                    Ok(json(StatusCode::OK, &body::HealthBody { status: "ok" }))
                }
                Decision::Perform if route == Route::Version => {
                    Ok(json(StatusCode::OK, &body::VersionBody::CURRENT))
                }
                Decision::Perform => self.create(&request).await,
            },
        }
    }

    async fn change(
        &self,
        request: &Request,
        preconditions: &Preconditions,
        method: &Method,
        id: MovieId,
    ) -> Answer {
        match *method {
            Method::PUT => self.put(request, preconditions, id).await,
            Method::PATCH => self.patch(request, preconditions, &id).await,
            _ => self.delete(preconditions, &id).await,
        }
    }

    async fn get(&self, request: &Request, preconditions: &Preconditions, id: &MovieId) -> Answer {
        let found = self
            .store
            .get(id, precondition::consistency(&request.headers))
            .await?;
        let found = found.ok_or_else(Problem::movie_not_found)?;
        let mut response = match preconditions.evaluate(&Method::GET, Current::Tagged(&found.etag))
        {
            Decision::Failed => return Err(Problem::precondition_failed().into()),
            Decision::NotModified => empty(StatusCode::NOT_MODIFIED),
            Decision::Perform => json(StatusCode::OK, &body::MovieBody::from(&found.movie)),
        };
        cacheable(&mut response, &found);
        Ok(response)
    }

    async fn list(&self, request: &Request, preconditions: &Preconditions) -> Answer {
        let (query, consistency) = (
            query::read(&request.query)?,
            precondition::consistency(&request.headers),
        );
        let found = match &query {
            query::List::One(id) => self.store.get(id, consistency).await?,
            query::List::Page(_) => None,
        };
        // A list has no ETag; one of a single movie has that movie's.
        let current = match (&query, &found) {
            (query::List::Page(_), _) => Current::Untagged,
            (query::List::One(_), None) => Current::Absent,
            (query::List::One(_), Some(found)) => Current::Tagged(&found.etag),
        };
        let is_current = match preconditions.evaluate(&Method::GET, current) {
            Decision::Failed => return Err(Problem::precondition_failed().into()),
            decision => decision == Decision::NotModified,
        };
        let mut response = match query {
            _ if is_current => empty(StatusCode::NOT_MODIFIED),
            query::List::One(_) => {
                let movies: Vec<_> = found.iter().map(|found| &found.movie).collect();
                json(StatusCode::OK, &body::PageBody::new(&movies, None))
            }
            query::List::Page(asked) => {
                let page = self.store.list(&asked, consistency).await?;
                let next = page.last.map(|last| Cursor::encode(&asked.scope, &last));
                let link = next.as_ref().map(|next| {
                    format!("<{}>; rel=\"next\"", query::next_page(&request.query, next))
                });
                let mut response = json(
                    StatusCode::OK,
                    &body::PageBody::new(&page.movies.iter().collect::<Vec<_>>(), next),
                );
                if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
                    response.headers_mut().insert(header::LINK, link);
                }
                response.extensions_mut().insert(Damaged(page.malformed));
                response
            }
        };
        if let Some(found) = &found {
            cacheable(&mut response, found);
        }
        Ok(response)
    }

    async fn create(&self, request: &Request) -> Answer {
        let key = precondition::idempotency_key(&request.headers)?;
        let key = key.map(|key| IdempotencyKey {
            caller: request.caller.client_id.as_deref().unwrap_or("-"),
            key,
            now: request.time,
        });
        let movie_given = body::movie(body::text(request, &["application/json"])?, None)?;
        match self.store.create(&movie_given, key).await? {
            CreateOutcome::Exists => Err(Problem::movie_exists().into()),
            CreateOutcome::IdempotencyConflict => Err(Problem::idempotency_key_used().into()),
            // All of the answer follows from what was sent: there is nothing to be remembered but that it was done.
            CreateOutcome::Created(etag) => {
                let mut response = movie(StatusCode::CREATED, &movie_given, Some(&etag));
                if let Ok(location) = HeaderValue::from_str(&path::location(movie_given.id())) {
                    response.headers_mut().insert(header::LOCATION, location);
                }
                Ok(response)
            }
        }
    }

    async fn put(&self, request: &Request, preconditions: &Preconditions, id: MovieId) -> Answer {
        let given = body::movie(body::text(request, &["application/json"])?, Some(id))?;
        if preconditions.is_empty() {
            return Ok(match self.store.put(&given).await? {
                Put::Created(etag) => movie(StatusCode::CREATED, &given, Some(&etag)),
                Put::Replaced(etag) => movie(StatusCode::OK, &given, Some(&etag)),
            });
        }
        for _ in 0..WRITE_ATTEMPTS {
            let found = self.store.get(given.id(), Consistency::Strong).await?;
            let current = found
                .as_ref()
                .map_or(Current::Absent, |found| Current::Tagged(&found.etag));
            if preconditions.evaluate(&Method::PUT, current) != Decision::Perform {
                // The client may repeat a write whose response was lost.
                return match found {
                    Some(found)
                        if preconditions.allow_repetition() && found.is_stored_as(&given)? =>
                    {
                        Ok(movie(StatusCode::OK, &given, Some(&found.etag)))
                    }
                    _ => Err(Problem::precondition_failed().into()),
                };
            }
            if let Some(etag) = self.store.replace(found.as_ref(), &given).await? {
                let status = if found.is_some() {
                    StatusCode::OK
                } else {
                    StatusCode::CREATED
                };
                return Ok(movie(status, &given, Some(&etag)));
            }
        }
        Err(kept_changing().into())
    }

    async fn patch(
        &self,
        request: &Request,
        preconditions: &Preconditions,
        id: &MovieId,
    ) -> Answer {
        // What is wrong with the patch is told whether the movie exists or not.
        let patch = body::patch(
            body::text(
                request,
                &["application/merge-patch+json", "application/json"],
            )?,
            id,
        )?;
        for _ in 0..WRITE_ATTEMPTS {
            let found = self
                .store
                .get(id, Consistency::Strong)
                .await?
                .ok_or_else(Problem::movie_not_found)?;
            if preconditions.evaluate(&Method::PATCH, Current::Tagged(&found.etag))
                != Decision::Perform
            {
                if preconditions.allow_repetition() && found.has(&patch)? {
                    return Ok(movie(StatusCode::OK, &found.movie, Some(&found.etag)));
                }
                return Err(Problem::precondition_failed().into());
            }
            // Written only onto the very item that was read.
            if let Some(patched) = self.store.patch(&found, &patch).await? {
                return Ok(movie(StatusCode::OK, &patched.movie, Some(&patched.etag)));
            }
        }
        Err(Problem::edit_conflict().into())
    }

    async fn delete(&self, preconditions: &Preconditions, id: &MovieId) -> Answer {
        if preconditions.is_empty() {
            return match self.store.delete(id).await? {
                true => Ok(empty(StatusCode::NO_CONTENT)),
                false => Err(Problem::movie_not_found().into()),
            };
        }
        for _ in 0..WRITE_ATTEMPTS {
            let found = self
                .store
                .get(id, Consistency::Strong)
                .await?
                .ok_or_else(Problem::movie_not_found)?;
            if preconditions.evaluate(&Method::DELETE, Current::Tagged(&found.etag))
                != Decision::Perform
            {
                return Err(Problem::precondition_failed().into());
            }
            if self.store.delete_as_read(&found).await? {
                return Ok(empty(StatusCode::NO_CONTENT));
            }
        }
        Err(kept_changing().into())
    }
}

/// The conflict of a conditional write that others kept overtaking. Nothing was written.
fn kept_changing() -> Fault {
    Fault::new(
        Cause::Conflict,
        "the item changed between each read and its write",
    )
}

/// Adds the headers that every answer has.
fn complete(mut response: Response<String>, id: &str) -> Response<String> {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
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

/// Has work done in a task of its own, which is what a panic ends in, and in the time there is.
async fn in_time(left: Duration, work: impl Future<Output = Answer> + Send + 'static) -> Answer {
    if left < policy::WORTH_TRYING {
        return Err(Fault::new(
            Cause::DeadlineExceeded,
            format!("{left:?} left is not worth a try"),
        )
        .into());
    }
    match tokio::spawn(trace::inherited(tokio::time::timeout(left, work))).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => {
            Err(Fault::new(Cause::DeadlineExceeded, format!("no answer in {left:?}")).into())
        }
        // What it said is left out: it may hold what was sent. Where it was, the process's hook tells.
        Err(_) => Err(Fault::new(Cause::Defect, "a handler panicked").into()),
    }
}

/// Logs a fault, once, here at the boundary, and gives what the caller may know of it.
fn report(fault: &Fault, id: &str) -> Response<String> {
    tracing::error!(
        request_id = id,
        cause = fault.kind.as_str(),
        error = fault.report(),
        "the request could not be answered"
    );
    let problem = if fault.kind.is_transient() {
        Problem::unavailable()
    } else {
        Problem::internal()
    };
    let mut response = problem.into_response(id);
    response.extensions_mut().insert(fault.kind);
    response
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<String> {
    // The bodies are structs of texts and numbers: nothing in them can fail to be written.
    json_text(status, serde_json::to_string(body).unwrap_or_default())
}

fn json_text(status: StatusCode, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn movie(status: StatusCode, movie: &Movie, etag: Option<&ETag>) -> Response<String> {
    let mut response = json(status, &body::MovieBody::from(movie));
    if let Some(etag) = etag {
        tag(response.headers_mut(), etag);
    }
    response
}

/// Adds what a client may keep of a movie, and when, and the metric of a malformed item.
fn cacheable(response: &mut Response<String>, found: &StoredMovie) {
    tag(response.headers_mut(), &found.etag);
    // A copy may be kept, but is to be asked about each time.
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    response
        .extensions_mut()
        .insert(Damaged(usize::from(!found.is_well_formed)));
}

fn tag(headers: &mut HeaderMap, etag: &ETag) {
    if let Ok(value) = HeaderValue::from_str(&format!("\"{etag}\"")) {
        headers.insert(header::ETAG, value);
    }
}

fn empty(status: StatusCode) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(answer: Answer) -> StatusCode {
        match answer {
            Ok(response) => response.status(),
            Err(Failure::Problem(problem)) => problem.into_response("r").status(),
            Err(Failure::Fault(fault)) => report(&fault, "r").status(),
        }
    }

    /// Here and not on the binary: nothing that can be sent to it makes it panic.
    #[tokio::test]
    #[allow(clippy::panic, reason = "it is what is tested")]
    async fn f29_a_panic_is_answered_and_the_next_request_is_served() {
        let panics = in_time(policy::BUDGET, async { panic!("as it should not") }).await;
        assert_eq!(status(panics), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            status(in_time(policy::BUDGET, async { Ok(empty(StatusCode::OK)) }).await),
            StatusCode::OK
        );
    }

    #[tokio::test]
    async fn work_that_takes_too_long_or_has_no_time_is_given_up() {
        let never = in_time(Duration::from_millis(150), std::future::pending()).await;
        assert_eq!(status(never), StatusCode::SERVICE_UNAVAILABLE);
        let late = in_time(policy::WORTH_TRYING - Duration::from_millis(1), async {
            Ok(empty(StatusCode::OK))
        })
        .await;
        assert_eq!(status(late), StatusCode::SERVICE_UNAVAILABLE);
    }
}
