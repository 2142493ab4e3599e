//! The API: routes, status codes and documents, as `openapi.yaml` has them.

pub mod body;
mod cors;
mod path;
mod precondition;
mod problem;
mod query;

pub use problem::Problem;

use crate::{
    domain::{Cursor, ETag, Movie, MovieId, Precondition},
    store::{Deleted, Fault, Put, Store},
    trace,
};
use ::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;

/// A body may be this long, in bytes. (WAF inspects as much; the gateway's rule says the same.)
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How often a patch is tried on a movie that others keep changing.
const PATCH_ATTEMPTS: usize = 3;

/// A request, whichever door it came in by.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as the client sent it, percent-encoded, without the stage.
    pub path: String,
    /// The query's names and values, decoded.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, or what kept it from being read.
    pub body: Result<Bytes, BodyError>,
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
        let has = |wanted: &str| scope.is_some_and(|scopes| scopes.split_ascii_whitespace().any(|scope| scope == wanted));
        let may_write = has("movies/write");
        Self { client_id, may_read: may_write || has("movies/read"), may_write }
    }
}

/// The service: its table and what it says of itself.
#[derive(Debug)]
pub struct Api {
    store: Store,
    cors_origins: Vec<String>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Movies,
    Movie { year: &'a str, title: &'a str },
    Health,
    Version,
}

impl<'a> Route<'a> {
    /// The route of a path. All that follows the year is the title, slashes included.
    fn of(path: &'a str) -> Option<Self> {
        match path {
            "/movies" => Some(Self::Movies),
            "/health" => Some(Self::Health),
            "/version" => Some(Self::Version),
            _ => path.strip_prefix("/movies/")?.split_once('/').map(|(year, title)| Self::Movie { year, title }),
        }
    }

    /// The path in the contract.
    fn template(self) -> &'static str {
        match self {
            Self::Movies => "/movies",
            Self::Movie { .. } => "/movies/{year}/{title}",
            Self::Health => "/health",
            Self::Version => "/version",
        }
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Movies => "GET, HEAD, POST",
            Self::Movie { .. } => "GET, HEAD, PUT, PATCH, DELETE",
            Self::Health | Self::Version => "GET, HEAD",
        }
    }
}

/// The contract's path for a request's, for logs and metrics: a title has no place there.
#[must_use]
pub fn route_template(path: &str) -> &'static str {
    Route::of(path).map_or("none", Route::template)
}

/// What a handler gives: an answer, or a problem that the caller is told of.
type Answer = Result<Response<String>, Problem>;

impl Api {
    /// A service on a table.
    #[must_use]
    pub fn new(store: Store, cors_origins: Vec<String>) -> Self {
        Self { store, cors_origins }
    }

    /// Answers a request. It always does: a panic, too, is answered (500) and leaves the next request unharmed.
    pub async fn answer(self: &Arc<Self>, request: Request) -> Response<String> {
        let id = request.id.clone();
        let origin = request.headers.get(header::ORIGIN).cloned();
        let head = request.method == Method::HEAD;

        // A task of its own is what a panic ends in.
        let api = Arc::clone(self);
        let answer = tokio::spawn(trace::inherited(async move { api.handle(request).await })).await.unwrap_or_else(|panic| {
            tracing::error!(request_id = %id, error = %panic, "a handler panicked");
            Err(Problem::internal())
        });
        let mut response = answer.unwrap_or_else(|problem| problem.into_response(&id));
        if head {
            response.body_mut().clear();
        }
        cors::allow(&self.cors_origins, origin, response.headers_mut());
        complete(response, &id)
    }

    async fn handle(&self, request: Request) -> Answer {
        let Some(route) = Route::of(&request.path) else { return Err(Problem::route_not_found()) };
        if request.method == Method::OPTIONS && !self.cors_origins.is_empty() {
            return Ok(cors::preflight(route.methods()));
        }
        let method = if request.method == Method::HEAD { Method::GET } else { request.method.clone() };
        if !route.methods().split(", ").any(|allowed| allowed == method.as_str()) {
            return Err(Problem::method_not_allowed(route.methods()));
        }
        // The gateway has looked already. Should it be wired wrongly one day, nothing is open here.
        if !(request.caller.may_write || request.caller.may_read && method == Method::GET) {
            return Err(Problem::forbidden());
        }
        let known: &[&str] = if route == Route::Movies && method == Method::GET { query::NAMES } else { &[] };
        query::refuse_unknown(&request.query, known)?;

        match route {
            Route::Health => Ok(json(StatusCode::OK, &body::HealthBody { status: "ok" })),
            Route::Version => Ok(json(StatusCode::OK, &body::VersionBody::CURRENT)),
            Route::Movies if method == Method::POST => self.create(&request).await,
            Route::Movies => self.list(&request).await,
            Route::Movie { year, title } => {
                let id = path::movie_id(year, title)?;
                match method {
                    Method::GET => self.get(&request, &id).await,
                    Method::PUT => self.put(&request, id).await,
                    Method::PATCH => self.patch(&request, &id).await,
                    _ => self.delete(&request, &id).await,
                }
            }
        }
    }

    async fn get(&self, request: &Request, id: &MovieId) -> Answer {
        let found = if precondition::wants_latest(&request.headers) { self.store.get_latest(id).await } else { self.store.get(id).await };
        let found = found.map_err(|fault| report(request, &fault))?.ok_or_else(Problem::movie_not_found)?;
        let fresh = match &found.etag {
            Some(etag) => precondition::not_modified(&request.headers, etag)?,
            None => false,
        };
        let mut response = if fresh { empty(StatusCode::NOT_MODIFIED) } else { movie(StatusCode::OK, &found.movie, None) };
        if let Some(etag) = &found.etag {
            tag(response.headers_mut(), etag);
        }
        // A copy may be kept, but is to be asked about each time.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        Ok(response)
    }

    async fn list(&self, request: &Request) -> Answer {
        let (movies, next) = match query::read(&request.query)? {
            query::List::One(id) => {
                let found = self.store.get(&id).await.map_err(|fault| report(request, &fault))?;
                (found.into_iter().map(|found| found.movie).collect(), None)
            }
            query::List::Page(asked) => {
                let page = self.store.list(&asked).await.map_err(|fault| report(request, &fault))?;
                (page.movies, page.last.map(|last| Cursor::encode(&asked.scope, &last)))
            }
        };
        let link = next.as_ref().map(|next| format!("<{}>; rel=\"next\"", query::next_page(&request.query, next)));
        let mut response = json(StatusCode::OK, &body::PageBody::new(&movies, next));
        if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
            response.headers_mut().insert(header::LINK, link);
        }
        Ok(response)
    }

    async fn create(&self, request: &Request) -> Answer {
        let movie_given = body::movie(body::text(request, &["application/json"])?, None)?;
        match self.store.put(&movie_given, &Precondition::Absent).await.map_err(|fault| report(request, &fault))? {
            Put::Refused => Err(Problem::movie_exists()),
            Put::Created(etag) | Put::Replaced(etag) => {
                let mut response = movie(StatusCode::CREATED, &movie_given, Some(&etag));
                if let Ok(location) = HeaderValue::from_str(&path::location(movie_given.id())) {
                    response.headers_mut().insert(header::LOCATION, location);
                }
                Ok(response)
            }
        }
    }

    async fn put(&self, request: &Request, id: MovieId) -> Answer {
        let precondition = precondition::of_put(&request.headers)?;
        let movie_given = body::movie(body::text(request, &["application/json"])?, Some(id))?;
        match self.store.put(&movie_given, &precondition).await.map_err(|fault| report(request, &fault))? {
            Put::Created(etag) => Ok(movie(StatusCode::CREATED, &movie_given, Some(&etag))),
            Put::Replaced(etag) => Ok(movie(StatusCode::OK, &movie_given, Some(&etag))),
            Put::Refused => Err(Problem::precondition_failed()),
        }
    }

    async fn patch(&self, request: &Request, id: &MovieId) -> Answer {
        let precondition = precondition::if_match(&request.headers)?;
        let text = body::text(request, &["application/merge-patch+json", "application/json"])?;
        // What is wrong with the patch is told whether the movie exists or not.
        body::patched(text, &Movie::stored(id.clone(), Default::default()))?;

        for _ in 0..PATCH_ATTEMPTS {
            let found = self.store.get_latest(id).await.map_err(|fault| report(request, &fault))?.ok_or_else(Problem::movie_not_found)?;
            if !precondition::holds(&precondition, found.etag.as_ref()) {
                return Err(Problem::precondition_failed());
            }
            let changed = body::patched(text, &found.movie)?;
            // Written only onto the very version that was read.
            let unchanged = found.etag.map_or(Precondition::Unversioned, |etag| Precondition::OneOf(vec![etag]));
            match self.store.put(&changed, &unchanged).await.map_err(|fault| report(request, &fault))? {
                Put::Created(etag) | Put::Replaced(etag) => return Ok(movie(StatusCode::OK, &changed, Some(&etag))),
                Put::Refused => {}
            }
        }
        Err(Problem::edit_conflict())
    }

    async fn delete(&self, request: &Request, id: &MovieId) -> Answer {
        let precondition = precondition::if_match(&request.headers)?;
        match self.store.delete(id, &precondition).await.map_err(|fault| report(request, &fault))? {
            Deleted::Done => Ok(empty(StatusCode::NO_CONTENT)),
            Deleted::Absent => Err(Problem::movie_not_found()),
            Deleted::Refused => Err(Problem::precondition_failed()),
        }
    }
}

/// Refuses what never became a [`Request`].
pub(crate) fn refuse(problem: Problem, id: &str) -> Response<String> {
    complete(problem.into_response(id), id)
}

/// Adds the headers that every answer has.
fn complete(mut response: Response<String>, id: &str) -> Response<String> {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Logs a fault, once, here at the boundary, and gives what the caller may know of it.
fn report(request: &Request, fault: &Fault) -> Problem {
    tracing::error!(request_id = %request.id, transient = fault.transient, error = %fault, "the table failed");
    if fault.transient { Problem::unavailable() } else { Problem::internal() }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<String> {
    // The bodies are structs of texts and numbers: nothing in them can fail to be written.
    let mut response = Response::new(serde_json::to_string(body).unwrap_or_default());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn movie(status: StatusCode, movie: &Movie, etag: Option<&ETag>) -> Response<String> {
    let mut response = json(status, &body::MovieBody::from(movie));
    if let Some(etag) = etag {
        tag(response.headers_mut(), etag);
    }
    response
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
