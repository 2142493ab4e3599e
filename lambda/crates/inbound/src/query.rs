use crate::{FieldError, Problem, percent};
use axum::extract::FromRequestParts;
use http::request::Parts;

/// The query's names and values, decoded, in the order of the request.
///
/// API Gateway decodes them; the Lambda entry point passes them on as an extension of this type.
/// The HTTP server leaves them in the URI. An invalid escape or invalid UTF-8 there is 400.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(pub Vec<(String, String)>);

impl Query {
    fn parse(query: &str) -> Option<Self> {
        percent::decode(query)?; // form_urlencoded itself replaces what is invalid.
        Some(Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        ))
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.extensions.get::<Self>() {
            Some(query) => Ok(query.clone()),
            None => {
                Self::parse(parts.uri.query().unwrap_or_default()).ok_or_else(Problem::malformed)
            }
        }
    }
}

/// The query of an operation without parameters: each one is an error.
#[derive(Clone, Copy, Debug)]
pub struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(mut query) = Query::from_request_parts(parts, state).await?;
        let mut seen = std::collections::HashSet::new();
        query.retain(|(name, _)| seen.insert(name.clone()));
        let error = |name| FieldError::new(name, "is not a parameter of this operation");
        let errors: Vec<_> = query.into_iter().map(|(name, _)| error(name)).collect();
        if errors.is_empty() {
            Ok(Self)
        } else {
            Err(Problem::invalid(errors))
        }
    }
}
