//! Authentication and authorization. API Gateway's authorizer verifies tokens and puts the claims
//! into the event. The HTTP server verifies tokens itself, see [`Authentication`].

mod jwt;
mod signature;

pub use jwt::Keys;

use crate::{Problem, RequestContext, app::Shared};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use headers::{Authorization, HeaderMap, HeaderMapExt, authorization::Bearer};
use http::Method;
use std::{path::PathBuf, sync::Arc};

/// The sender of a request, from the verified token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// The client's id, for logs and metrics.
    pub client_id: Option<String>,
    /// The token's scopes, separated by spaces.
    pub scope: String,
}

impl Principal {
    /// Returns whether the token has a scope.
    #[must_use]
    pub fn has(&self, scope: &str) -> bool {
        self.scope
            .split_ascii_whitespace()
            .any(|given| given == scope)
    }
}

/// The OAuth scopes of a service, and the error messages that name them. [`crate::scopes`] creates
/// them.
#[derive(Clone, Copy, Debug)]
pub struct Scopes {
    /// The scope for GET and HEAD, such as `movies/read`.
    pub read: &'static str,
    /// The scope for all methods, such as `movies/write`.
    pub write: &'static str,
    /// The detail of a 401.
    pub unauthorized: &'static str,
    /// The challenge of a 401.
    pub challenge: &'static str,
    /// The detail of a 403 to a read, and its challenge.
    pub no_read: (&'static str, &'static str),
    /// The detail of a 403 to another method, and its challenge.
    pub no_write: (&'static str, &'static str),
}

/// The [`Scopes`] `SERVICE/read` and `SERVICE/write`, for the name of a service. A macro, because a
/// [`Problem`] has only static strings.
#[macro_export]
macro_rules! scopes {
    ($service:expr) => {
        $crate::Scopes {
            read: concat!($service, "/read"),
            write: concat!($service, "/write"),
            unauthorized: concat!(
                "A valid access token is required. GET and HEAD need the scope ",
                $service,
                "/read, all other methods ",
                $service,
                "/write."
            ),
            challenge: concat!("Bearer realm=\"", $service, "\""),
            no_read: (
                concat!(
                    "This operation needs an access token with the scope ",
                    $service,
                    "/read."
                ),
                concat!(
                    "Bearer realm=\"",
                    $service,
                    "\", error=\"insufficient_scope\", scope=\"",
                    $service,
                    "/read\""
                ),
            ),
            no_write: (
                concat!(
                    "This operation needs an access token with the scope ",
                    $service,
                    "/write."
                ),
                concat!(
                    "Bearer realm=\"",
                    $service,
                    "\", error=\"insufficient_scope\", scope=\"",
                    $service,
                    "/write\""
                ),
            ),
        }
    };
}

/// The HTTP server's way to authenticate clients, an extension of each of its requests.
#[derive(Clone)]
pub enum Authentication {
    /// No authentication: every client may do everything. For loopback only.
    Disabled,
    /// Bearer tokens that one of these keys signed.
    Jwt(Arc<Keys>),
}

impl Authentication {
    /// Authenticates by tokens of `issuer` that a key of a JWKS file verifies.
    ///
    /// # Errors
    /// The file cannot be read, is not a JWKS document, or has no key for RS256, the algorithm of
    /// Cognito's tokens.
    pub fn from_jwks(file: PathBuf, issuer: String) -> Result<Self, String> {
        Ok(Self::Jwt(Arc::new(Keys::read(file, issuer)?)))
    }

    /// Returns the sender of a request, or `None` without a valid token.
    fn principal(&self, headers: &HeaderMap, scopes: &Scopes) -> Option<Principal> {
        match self {
            Self::Disabled => Some(Principal {
                client_id: None,
                scope: scopes.write.to_owned(),
            }),
            Self::Jwt(keys) => keys.verify(headers.typed_get::<Authorization<Bearer>>()?.token()),
        }
    }
}

/// Authenticates a request to the HTTP server. A request without a valid token is passed on,
/// because responses of 404 and 405 need no token.
pub(crate) fn authenticate(shared: &Shared, request: Request) -> Request {
    let extensions = request.extensions();
    if let (Some(context), Some(authentication)) = (
        extensions.get::<RequestContext>(),
        extensions.get::<Authentication>(),
    ) && let Some(principal) =
        authentication.principal(request.headers(), &shared.settings.scopes)
    {
        context.authenticate(principal);
    }
    request
}

/// The layer that authorizes the requests of each operation.
pub(crate) async fn layer(
    State(shared): State<Arc<Shared>>,
    context: RequestContext,
    request: Request,
    next: Next,
) -> Response {
    if context.route().is_none() {
        return Problem::route_not_found().into_response();
    }
    match admit(&shared, &context, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Checks token, consumer and scope. The gateway checks scopes too, but its catch-all needs no
/// token. Without this check, a path that only the service routes would be open.
fn admit(shared: &Shared, context: &RequestContext, request: &Request) -> Result<(), Problem> {
    let scopes = &shared.settings.scopes;
    let principal = context
        .principal()
        .ok_or_else(|| Problem::unauthorized(scopes))?;
    let consumer = shared.settings.consumers.of(context.client_id());
    if consumer.is_some_and(|consumer| consumer.has_expired(context.time())) {
        return Err(Problem::consumer_expired());
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if principal.has(scopes.write) || is_read && principal.has(scopes.read) {
        Ok(())
    } else {
        Err(Problem::forbidden(scopes, is_read))
    }
}
