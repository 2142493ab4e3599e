use crate::Scopes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::ser::Formatter;
use std::{borrow::Cow, io};

/// One offending field of a request, in the caller's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's path in the request: `info.rating`, `year`.
    pub field: String,
    /// The error, and the expected value.
    pub message: Cow<'static, str>,
}

impl FieldError {
    /// Names a field and what is wrong with it.
    pub fn new(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// A rejection: an RFC 9457 problem document.
///
/// It contains static strings and the caller's own field names. It cannot contain an error, so no
/// internal detail can leak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
    header: Option<(header::HeaderName, &'static str)>,
    errors: Vec<FieldError>,
}

/// Maximum number of fields in a document: a body of nothing but wrong names is not echoed.
const MAX_ERRORS: usize = 100;
/// Maximum length of a field name in a document, in characters.
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
    /// A problem with a code of the service's own.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            code,
            detail,
            header: None,
            errors: Vec::new(),
        }
    }

    /// 400 with every offending field.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "One or more fields are invalid; see errors.",
            )
        }
    }

    /// 400 with one offending field.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid(vec![FieldError::new(field, message)])
    }

    /// A request without a method, path and query that could be read.
    pub(crate) fn malformed() -> Self {
        Self::invalid_field("request", "is malformed")
    }

    pub(crate) fn unauthorized(scopes: &Scopes) -> Self {
        Self {
            header: Some((header::WWW_AUTHENTICATE, scopes.challenge)),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                scopes.unauthorized,
            )
        }
    }

    /// A token without the scope that a read, or another method, needs.
    pub(crate) fn forbidden(scopes: &Scopes, is_read: bool) -> Self {
        let (detail, challenge) = if is_read {
            scopes.no_read
        } else {
            scopes.no_write
        };
        Self {
            header: Some((header::WWW_AUTHENTICATE, challenge)),
            ..Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
        }
    }

    pub(crate) fn consumer_expired() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "consumer_expired",
            "The access of this client has ended. Ask the operators of this API to renew it.",
        )
    }

    pub(crate) fn route_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "route_not_found",
            "No such route. See the API reference.",
        )
    }

    /// The `Allow` header is the router's.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This method is not allowed here. See the Allow header.",
        )
    }

    pub(crate) fn request_timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "The body did not arrive in time. Retry the request.",
        )
    }

    /// 412
    #[must_use]
    pub fn precondition_failed() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            "The precondition in If-Match or If-None-Match was not met.",
        )
    }

    pub(crate) fn payload_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            "The request body exceeds 65,536 bytes.",
        )
    }

    /// 415
    #[must_use]
    pub fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The body must be uncompressed JSON in UTF-8, with the Content-Type application/json \
             (PATCH also takes application/merge-patch+json).",
        )
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Internal error. Quote request_id when reporting it.",
        )
    }

    pub(crate) fn unavailable() -> Self {
        Self {
            header: Some((header::RETRY_AFTER, "1")),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Service temporarily unavailable. Retry after the time given in Retry-After.",
            )
        }
    }

    /// The offending fields.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn insert_header(&self, headers: &mut HeaderMap) {
        if let Some((name, value)) = &self.header {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }

    /// Returns the document. That of a 401 links to the API reference, for clients that are new to
    /// the API.
    pub(crate) fn into_document(self, request_id: &str, documentation: Option<&str>) -> String {
        let documentation = documentation.filter(|_| self.status == StatusCode::UNAUTHORIZED);
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
        // Writing to a vector cannot fail, and all of it is ASCII.
        let _ = body.serialize(&mut serde_json::Serializer::with_formatter(
            &mut text,
            AsciiFormatter,
        ));
        String::from_utf8(text).unwrap_or_default()
    }
}

/// Writes JSON in printable ASCII without `<`, `>` and `&`. Problem documents name the caller's
/// fields, which must not act as markup where they are displayed.
struct AsciiFormatter;

impl Formatter for AsciiFormatter {
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
    fn field_name_is_returned_as_ascii_without_markup() {
        let sent = "<script>&\"\\\u{0}\n\u{7f}é\u{2028}\u{202e}😀";
        let document = Problem::invalid_field(sent, "is not a field").into_document("r", None);
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !b"<>&".contains(&byte);
        assert!(document.bytes().all(is_plain), "{document}");
        let body: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(body["errors"][0]["field"], sent);
    }

    #[test]
    fn only_the_document_of_a_401_links_to_the_documentation() {
        let scopes = crate::scopes!("movies");
        let document = |problem: Problem| problem.into_document("r", Some("https://docs.example"));
        assert!(document(Problem::unauthorized(&scopes)).contains("https://docs.example"));
        assert!(!document(Problem::forbidden(&scopes, true)).contains("https://docs.example"));
    }
}
