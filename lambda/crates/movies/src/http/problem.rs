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
        Self { status, code, detail, header: None, errors: Vec::new() }
    }

    pub(super) fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", "The request breaks the contract; see errors.") }
    }

    pub(super) fn invalid_field(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid(vec![FieldError::new(field, message)])
    }

    pub(crate) fn malformed() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", "This is not a request that the gateway would pass on.")
    }

    pub(crate) fn unauthorized() -> Self {
        Self {
            header: Some((header::WWW_AUTHENTICATE, "Bearer")),
            ..Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid bearer token is needed.")
        }
    }

    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The token lacks the scope that this operation needs.")
    }

    pub(super) fn consumer_expired() -> Self {
        Self::new(StatusCode::FORBIDDEN, "consumer_expired", "Access of this client has ended. Ask the operators of this API to renew it.")
    }

    pub(super) fn route_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "route_not_found", "There is nothing here; the contract lists what there is.")
    }

    pub(super) fn movie_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "movie_not_found", "There is no movie of this year and title.")
    }

    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        Self {
            header: Some((header::ALLOW, allowed)),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This method cannot be used here; see Allow.")
        }
    }

    pub(super) fn request_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body did not arrive in time; send the request again.")
    }

    pub(super) fn movie_exists() -> Self {
        Self::new(StatusCode::CONFLICT, "movie_exists", "There is a movie of this year and title already; PUT replaces it.")
    }

    pub(super) fn edit_conflict() -> Self {
        Self::new(StatusCode::CONFLICT, "edit_conflict", "Others kept changing this movie; try again.")
    }

    pub(super) fn precondition_failed() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", "The movie is not as If-Match or If-None-Match demands.")
    }

    pub(super) fn idempotency_key_used() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_used",
            "This Idempotency-Key has been used for another movie; use a new one.",
        )
    }

    pub(super) fn payload_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "The body may have 65536 bytes.")
    }

    pub(super) fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The body must be uncompressed JSON in UTF-8, sent as application/json (a patch, as application/merge-patch+json too).",
        )
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "A fault of the service; the request id finds it in the logs.")
    }

    pub(super) fn unavailable() -> Self {
        Self {
            header: Some((header::RETRY_AFTER, "1")),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not now; try again after Retry-After seconds.")
        }
    }

    /// The answer that tells of it.
    pub(super) fn into_response(self, request_id: &str) -> Response<String> {
        let more = self.errors.len().saturating_sub(MAX_ERRORS);
        let mut errors: Vec<_> = self
            .errors
            .into_iter()
            .take(MAX_ERRORS)
            .map(|error| FieldErrorBody { field: error.field.chars().take(MAX_FIELD).collect(), message: error.message })
            .collect();
        if more > 0 {
            errors.push(FieldErrorBody { field: "…".into(), message: format!("and {more} more").into() });
        }
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            request_id,
            errors,
        };
        let mut text = Vec::new();
        // Nothing in it can fail to be written, and what is written is ASCII.
        let _ = body.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Plain));
        let mut response = Response::new(String::from_utf8(text).unwrap_or_default());
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// JSON in printable ASCII without `<`, `>` and `&`: a refusal names what was sent, and must mean nothing to whatever shows it.
struct Plain;

impl Formatter for Plain {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
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
        assert!(response.body().bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"<>&".contains(&byte)), "{}", response.body());
        let body: serde_json::Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(body["errors"][0]["field"], sent);
    }
}
