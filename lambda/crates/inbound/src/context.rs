use crate::{Failure, Principal, deadline::Deadline};
use axum::extract::{FromRequestParts, MatchedPath};
use http::request::Parts;
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

/// Properties of a request that are not part of HTTP. Entry points add them as an extension. Clones
/// share them.
#[derive(Clone, Debug)]
pub struct RequestContext(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    id: String,
    time: SystemTime,
    begin: Instant,
    deadline: Deadline,
    principal: OnceLock<Principal>,
    route: OnceLock<MatchedPath>,
}

impl RequestContext {
    /// Creates the context of a request that arrives now, with the id for logs. `remaining` is the
    /// time until Lambda ends the function, if Lambda runs it.
    #[must_use]
    pub fn new(id: String, remaining: Option<Duration>) -> Self {
        let begin = Instant::now();
        Self(Arc::new(Shared {
            id,
            time: SystemTime::now(),
            begin,
            deadline: Deadline::new(begin, remaining),
            principal: OnceLock::new(),
            route: OnceLock::new(),
        }))
    }

    /// Sets the sender. Without a principal the response is 401.
    pub fn authenticate(&self, principal: Principal) {
        let _ = self.0.principal.set(principal); // A request is authenticated once.
    }

    /// The id, for logs and for the caller.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The time of arrival.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.0.time
    }

    /// The sender, if it is authenticated.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.0.principal.get()
    }

    /// The client's id, if it is authenticated.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.principal()?.client_id.as_deref()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.begin.elapsed()
    }

    pub(crate) fn deadline(&self) -> &Deadline {
        &self.0.deadline
    }

    pub(crate) fn set_route(&self, route: MatchedPath) {
        let _ = self.0.route.set(route); // A route is matched once.
    }

    pub(crate) fn route(&self) -> Option<&MatchedPath> {
        self.0.route.get()
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let missing = || Failure::defect("the entry point set no request context");
        parts.extensions.get().cloned().ok_or_else(missing)
    }
}
