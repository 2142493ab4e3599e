use crate::domain::FieldError;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::ser::Formatter;
use std::{borrow::Cow, io};

/// What a caller is told of a failure: an RFC 9457 problem document.
///
/// It holds fixed texts and the caller's own field names. A cause does not fit into it, so none can leak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
    header: Option<(header::HeaderName, &'static str)>,
    errors: Vec<FieldError>,
}

/// More offending fields than this are not listed: a body of nothing but wrong names must not be echoed whole.
const MAX_ERRORS: usize = 100;
/// Longer field names are cut, in characters.
const MAX_FIELD: usize = 100;

#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldErrorBody>,
}

#[derive(Serialize)]
struct FieldErrorBody {
    field: String,
    message: Cow<'static, str>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            code,
            detail,
            header: None,
            errors: Vec::new(),
        }
    }

    pub(super) fn invalid(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "One or more fields are invalid; see errors.",
            )
        }
    }

    pub(super) fn invalid_field(
        field: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::invalid(vec![FieldError::new(field, message)])
    }

    /// A request without a method, path and query that could be read.
    pub(crate) fn malformed() -> Self {
        Self::invalid_field("request", "is malformed")
    }

    pub(crate) fn unauthorized() -> Self {
        Self {
            header: Some((header::WWW_AUTHENTICATE, r#"Bearer realm="movies""#)),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "A valid access token is required. GET and HEAD need the scope movies/read, all other methods movies/write.",
            )
        }
    }

    pub(super) fn is_unauthorized(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// A token without the scope that reading, or writing, needs.
    pub(super) fn forbidden(reads: bool) -> Self {
        let (challenge, detail) = if reads {
            (
                r#"Bearer realm="movies", error="insufficient_scope", scope="movies/read""#,
                "This operation needs an access token with the scope movies/read.",
            )
        } else {
            (
                r#"Bearer realm="movies", error="insufficient_scope", scope="movies/write""#,
                "This operation needs an access token with the scope movies/write.",
            )
        };
        Self {
            header: Some((header::WWW_AUTHENTICATE, challenge)),
            ..Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
        }
    }

    pub(super) fn consumer_expired() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "consumer_expired",
            "The access of this client has ended. Ask the operators of this API to renew it.",
        )
    }

    pub(super) fn route_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "route_not_found",
            "No such route. See the API reference.",
        )
    }

    pub(super) fn movie_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "movie_not_found",
            "No movie with this year and title.",
        )
    }

    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        Self {
            header: Some((header::ALLOW, allowed)),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This method is not allowed here. See the Allow header.",
            )
        }
    }

    pub(super) fn request_timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "The body did not arrive in time. Retry the request.",
        )
    }

    pub(super) fn movie_exists() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "movie_exists",
            "A movie with this year and title exists. Use PUT to replace it.",
        )
    }

    pub(super) fn edit_conflict() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "edit_conflict",
            "The movie was modified concurrently. Retry the request.",
        )
    }

    pub(super) fn precondition_failed() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            "The precondition in If-Match or If-None-Match was not met.",
        )
    }

    pub(super) fn idempotency_key_used() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_used",
            "This Idempotency-Key was used for another movie. Use a new one.",
        )
    }

    pub(super) fn payload_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            "The request body exceeds 65,536 bytes.",
        )
    }

    pub(super) fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The body must be uncompressed JSON in UTF-8, with the Content-Type application/json (PATCH also takes application/merge-patch+json).",
        )
    }

    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Internal error. Quote request_id when reporting it.",
        )
    }

    pub(super) fn unavailable() -> Self {
        Self {
            header: Some((header::RETRY_AFTER, "1")),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Service temporarily unavailable. Retry after the time given in Retry-After.",
            )
        }
    }

    /// Returns the problem document.
    pub(super) fn into_response(self, request_id: &str) -> Response<String> {
        self.into_response_with(request_id, None)
    }

    /// Returns the problem document with a link to the API reference.
    pub(super) fn into_response_with(
        self,
        request_id: &str,
        documentation: Option<&str>,
    ) -> Response<String> {
        let more = self.errors.len().saturating_sub(MAX_ERRORS);
        let mut errors: Vec<_> = self
            .errors
            .into_iter()
            .take(MAX_ERRORS)
            .map(|error| FieldErrorBody {
                field: error.field.chars().take(MAX_FIELD).collect(),
                message: error.message,
            })
            .collect();
        if more > 0 {
            errors.push(FieldErrorBody {
                field: "…".into(),
                message: format!("and {more} more").into(),
            });
        }
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            request_id,
            documentation,
            errors,
        };
        let mut text = Vec::new();
        // Nothing in it can fail to be written, and what is written is ASCII.
        let _ = body.serialize(&mut serde_json::Serializer::with_formatter(
            &mut text, Plain,
        ));
        let mut response = Response::new(String::from_utf8(text).unwrap_or_default());
        *response.status_mut() = self.status;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some((name, value)) = self.header {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// JSON in printable ASCII without `<`, `>` and `&`: a refusal names what was sent, and must mean nothing to whatever shows it.
struct Plain;

impl Formatter for Plain {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for character in fragment.chars() {
            if matches!(character, ' '..='~') && !matches!(character, '<' | '>' | '&') {
                write!(writer, "{character}")?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_comes_back_as_text_and_nothing_else() {
        let sent = "<script>&\"\\\u{0}\n\u{7f}é\u{2028}\u{202e}😀";
        let response = Problem::invalid_field(sent, "is not a field of a movie").into_response("r");
        assert!(
            response
                .body()
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~') && !b"<>&".contains(&byte)),
            "{}",
            response.body()
        );
        let body: serde_json::Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(body["errors"][0]["field"], sent);
    }
}
