//! JSON request bodies: length, time, media type and encoding. The service parses the content.

use crate::{Problem, RequestContext, deadline::BODY_TIMEOUT};
use axum::{
    RequestExt,
    extract::{FromRequest, Request},
};
use headers::{ContentType, HeaderMap, HeaderMapExt};
use http::header;
use http_body_util::{BodyExt, LengthLimitError};
use std::{error::Error, iter, time::Instant};

/// Maximum length of a body, in bytes. WAF inspects as much, and its rule has the same limit.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// A body of `application/json`, as a string.
#[derive(Clone, Debug)]
pub struct JsonBody(pub String);

/// A body of `application/merge-patch+json` or `application/json`, as a string.
#[derive(Clone, Debug)]
pub struct MergePatchBody(pub String);

/// An error that the entry point found in the body, an extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The body is longer than [`MAX_BODY_BYTES`].
    TooLong,
    /// The body cannot be decoded.
    Malformed,
    /// The body did not arrive in time.
    TimedOut,
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong => Self::payload_too_large(),
            BodyError::Malformed => Self::invalid_field("body", "could not be decoded"),
            BodyError::TimedOut => Self::request_timeout(),
        }
    }
}

impl<S: Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        text(request, &[JSON]).await.map(Self)
    }
}

impl<S: Sync> FromRequest<S> for MergePatchBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        text(request, &[MERGE_PATCH, JSON]).await.map(Self)
    }
}

async fn text(mut request: Request, types: &[&str]) -> Result<String, Problem> {
    let headers = std::mem::take(request.headers_mut());
    let bytes = read(request).await?;
    if !is_unencoded(&headers) || !is_json(&headers, types) {
        return Err(Problem::unsupported_media_type());
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Problem::invalid_field("body", "is not valid UTF-8"))?;
    // API Gateway replaces bytes that are not UTF-8 by U+FFFD, so the original bytes are lost.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Problem::invalid_field(
            "body",
            "is not valid UTF-8 (to send U+FFFD itself, escape it as \\ufffd)",
        ));
    }
    Ok(text)
}

/// Reads the body. Its time does not count as the service's.
async fn read(request: Request) -> Result<Vec<u8>, BodyError> {
    if let Some(error) = request.extensions().get::<BodyError>() {
        return Err(*error);
    }
    let context = request.extensions().get::<RequestContext>().cloned();
    if let Some(context) = &context {
        context.deadline().pause();
    }
    let read = tokio::time::timeout(BODY_TIMEOUT, request.into_limited_body().collect()).await;
    if let Some(context) = &context {
        context.deadline().restart(Instant::now());
    }
    match read {
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) => {
            let first: &dyn Error = &error;
            let mut sources = iter::successors(Some(first), |error| (*error).source());
            let is_too_long = sources.any(|error| error.is::<LengthLimitError>());
            Err(if is_too_long {
                BodyError::TooLong
            } else {
                BodyError::Malformed
            })
        }
        Err(_) => Err(BodyError::TimedOut),
    }
}

fn is_unencoded(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut encodings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    encodings.all(|encoding| {
        let encoding = encoding.trim_ascii();
        encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity")
    })
}

/// Returns whether the one Content-Type is one of `types`, in UTF-8.
fn is_json(headers: &HeaderMap, types: &[&str]) -> bool {
    if headers.get_all(header::CONTENT_TYPE).iter().count() != 1 {
        return false;
    }
    let Some(content_type) = headers.typed_get::<ContentType>() else {
        return false;
    };
    let mime: headers::Mime = content_type.into();
    let charset = mime.get_param("charset");
    types.contains(&mime.essence_str()) && charset.is_none_or(|charset| charset == "utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn accepts(lines: &[&str]) -> bool {
        let value = |line: &&str| (header::CONTENT_TYPE, HeaderValue::from_str(line).unwrap());
        is_json(&lines.iter().map(value).collect(), &[JSON])
    }

    #[test]
    fn one_content_type_of_json_in_utf_8_is_accepted() {
        for lines in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json; profile=x",
        ] {
            assert!(accepts(&[lines]), "{lines}");
        }
        for lines in [
            &[][..],
            &[""],
            &["text/json"],
            &["application/json+x"],
            &["application/json; charset=latin1"],
            &["application/merge-patch+json"],
            &["application/json", "application/json"],
            &["application/json, text/plain"],
        ] {
            assert!(!accepts(lines), "{lines:?}");
        }
    }
}
