//! Headers of conditional requests (RFC 9110, section 13), `Cache-Control` of reads, and
//! `Idempotency-Key`.

use crate::Problem;
use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, Method, header, request::Parts};

/// Maximum length of an `Idempotency-Key`; a UUID has 36 characters.
const MAX_KEY: usize = 128;

/// The preconditions of a request. Those on dates are ignored, as they are for a resource without a
/// modification date.
#[derive(Debug)]
pub struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// The entity tags of a header.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// A list that [`tag`] can read, unparsed, because a header may have hundreds of thousands.
    List(Vec<u8>),
}

#[derive(Debug, PartialEq, Eq)]
struct Tag<'a> {
    is_weak: bool,
    opaque: &'a [u8],
}

/// The current state of a request's target.
#[derive(Clone, Copy, Debug)]
pub enum Current<'a> {
    /// Nothing.
    Absent,
    /// A representation without an ETag.
    Untagged,
    /// A representation with this ETag, without its quotes.
    Tagged(&'a str),
}

/// The decision on a conditional request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Perform the method.
    Perform,
    /// 304: the client's copy is current.
    NotModified,
    /// 412
    Failed,
}

impl Preconditions {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            if_match: tags(headers, &header::IF_MATCH)?,
            if_none_match: tags(headers, &header::IF_NONE_MATCH)?,
        })
    }

    /// Returns whether the request is unconditional.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Evaluates the preconditions against the current state (RFC 9110, 13.2.2). `If-Match`
    /// compares strongly, so a weak tag matches nothing. `If-None-Match` compares weakly, because
    /// gateways that compress make a strong tag weak.
    #[must_use]
    pub fn evaluate(&self, method: &Method, current: Current<'_>) -> Decision {
        let matches = |tags: &Tags, weakly: bool| match (tags, current) {
            (Tags::Any, current) => !matches!(current, Current::Absent),
            (Tags::List(list), Current::Tagged(etag)) => members(list)
                .flatten()
                .any(|tag| (weakly || !tag.is_weak) && tag.opaque == etag.as_bytes()),
            (Tags::List(_), _) => false,
        };
        if self
            .if_match
            .as_ref()
            .is_some_and(|tags| !matches(tags, false))
        {
            return Decision::Failed;
        }
        match &self.if_none_match {
            Some(tags) if matches(tags, true) => {
                if matches!(*method, Method::GET | Method::HEAD) {
                    Decision::NotModified
                } else {
                    Decision::Failed
                }
            }
            _ => Decision::Perform,
        }
    }

    /// Returns whether a write whose precondition is false may succeed if its change is already
    /// stored (RFC 9110, 13.1.1). This applies to `If-Match` alone.
    #[must_use]
    pub fn allow_repetition(&self) -> bool {
        self.if_match.is_some() && self.if_none_match.is_none()
    }
}

impl<S: Sync> FromRequestParts<S> for Preconditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(&parts.headers)
    }
}

/// Reads the tags of a header, whose lines are one list. (The crate `headers` skips tags that it
/// cannot read. A request could then become unconditional, or match less than it lists.)
fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let lines: Vec<&[u8]> = headers
        .get_all(name)
        .iter()
        .map(http::HeaderValue::as_bytes)
        .collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let list = lines.join(&b","[..]);
    if list.trim_ascii() == b"*" {
        return Ok(Some(Tags::Any));
    }
    if members(&list).any(|tag| tag.is_none()) {
        let expected = "must be * or a list of entity tags such as \"5f3a\"";
        return Err(Problem::invalid_field(name.as_str(), expected));
    }
    Ok(Some(Tags::List(list)))
}

/// Iterates over the tags of a list. A tag that cannot be read is `None` and the last one. Empty
/// members are skipped (RFC 9110, 5.6.1.2).
fn members(list: &[u8]) -> impl Iterator<Item = Option<Tag<'_>>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
        let (tag, after) = tag(&rest[start..]).unzip();
        rest = after.unwrap_or_default();
        Some(tag)
    })
}

/// Returns the tag at the start of a list and the rest, or `None` if there is no tag.
fn tag(list: &[u8]) -> Option<(Tag<'_>, &[u8])> {
    let weak = list.strip_prefix(b"W/");
    let quoted = weak.unwrap_or(list).strip_prefix(b"\"")?;
    let end = quoted.iter().position(|byte| *byte == b'"')?;
    let (opaque, after) = (&quoted[..end], quoted[end + 1..].trim_ascii_start());
    let is_tag = opaque
        .iter()
        .all(|byte| matches!(byte, 0x21..=0x7e | 0x80..));
    let is_end = after.is_empty() || after.starts_with(b",");
    (is_tag && is_end).then_some((
        Tag {
            is_weak: weak.is_some(),
            opaque,
        },
        after,
    ))
}

/// The caller's key of a creation, from `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        idempotency_key(&parts.headers).map(|key| Self(key.map(str::to_owned)))
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else { return Ok(None) };
    let good = value.len() <= MAX_KEY
        && !value.is_empty()
        && value.as_bytes().iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if good && second.is_none() => Ok(Some(key)),
        _ => Err(Problem::invalid_field(
            "idempotency-key",
            "must be 1 to 128 visible ASCII characters, given once",
        )),
    }
}

/// True if a read must include every earlier write: `Cache-Control: no-cache` or `max-age=0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCache(pub bool);

impl<S: Sync> FromRequestParts<S> for NoCache {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(no_cache(&parts.headers)))
    }
}

fn no_cache(headers: &HeaderMap) -> bool {
    let lines = headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut directives = lines.flat_map(|line| line.split(','));
    directives.any(|directive| match directive.trim().split_once('=') {
        None => directive.trim().eq_ignore_ascii_case("no-cache"),
        Some((name, seconds)) => {
            name.eq_ignore_ascii_case("max-age") && seconds.trim_matches('"').parse() == Ok(0_u64)
        }
    })
}

#[cfg(test)]
#[allow(clippy::panic, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn read(values: &[&str]) -> Option<Tags> {
        tags(&headers(header::IF_MATCH, values), &header::IF_MATCH).unwrap()
    }

    /// Returns the tags of a header with a list, as strings.
    fn listed(values: &[&str]) -> Vec<String> {
        let Some(Tags::List(list)) = read(values) else {
            panic!("{values:?} is no list")
        };
        let text = |tag: Tag| {
            let weak = if tag.is_weak { "W/" } else { "" };
            format!("{weak}{}", String::from_utf8_lossy(tag.opaque))
        };
        members(&list).map(|tag| text(tag.unwrap())).collect()
    }

    #[test]
    fn lines_of_a_header_are_one_list_of_tags() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[" * "]), Some(Tags::Any));
        assert_eq!(listed(&["\"a\""]), ["a"]);
        let lines = ["\"a\", \"b,c\" ,\"d\"", "\"e\""];
        assert_eq!(listed(&lines), ["a", "b,c", "d", "e"]);
        assert_eq!(listed(&["W/\"a\", \"b\""]), ["W/a", "b"]);
        assert_eq!(listed(&["", ", ,\t", "\"é\",,\"*\",\"\""]), ["é", "*", ""]);
        assert!(listed(&[""]).is_empty());
    }

    #[test]
    fn malformed_tags_are_rejected() {
        for values in [
            &["a"][..],
            &["\"a"],
            &["\"a\" \"b\""],
            &["w/\"a\""],
            &["\"a\";"],
            &["* , \"a\""],
            &["\"a\"", "*"],
            &["*", "*"],
            &["\"a b\""],
            &["W/"],
            &["\"a\", b"],
        ] {
            assert!(
                tags(&headers(header::IF_MATCH, values), &header::IF_MATCH).is_err(),
                "{values:?}"
            );
        }
    }

    /// Compares every pair of headers and every kind of target with RFC 9110, 13.2.2.
    #[test]
    fn preconditions_are_evaluated_as_in_rfc_9110() {
        use Decision::{Failed, NotModified, Perform};
        let decide = |if_match: &[&str], if_none_match: &[&str], method: Method, current| {
            let mut both = headers(header::IF_MATCH, if_match);
            both.extend(headers(header::IF_NONE_MATCH, if_none_match));
            Preconditions::read(&both)
                .unwrap()
                .evaluate(&method, current)
        };
        let (absent, untagged, tagged) = (Current::Absent, Current::Untagged, Current::Tagged("a"));
        for (if_match, if_none_match, current, read, write) in [
            (&[][..], &[][..], absent, Perform, Perform),
            (&[], &[], tagged, Perform, Perform),
            (&["*"], &[], absent, Failed, Failed),
            (&["*"], &[], untagged, Perform, Perform),
            (&["*"], &[], tagged, Perform, Perform),
            (&["\"a\""], &[], absent, Failed, Failed),
            (&["\"a\""], &[], untagged, Failed, Failed),
            (&["\"b\", \"a\""], &[], tagged, Perform, Perform),
            (&["W/\"a\""], &[], tagged, Failed, Failed),
            (&["\"b\""], &[], tagged, Failed, Failed),
            (&[""], &[], tagged, Failed, Failed),
            (&[], &["*"], absent, Perform, Perform),
            (&[], &["*"], untagged, NotModified, Failed),
            (&[], &["*"], tagged, NotModified, Failed),
            (&[], &["\"a\""], absent, Perform, Perform),
            (&[], &["\"a\""], untagged, Perform, Perform),
            (&[], &["\"b\"", "W/\"a\""], tagged, NotModified, Failed),
            (&[], &["\"b\""], tagged, Perform, Perform),
            (&[], &[""], tagged, Perform, Perform),
            (&["\"a\""], &["\"a\""], tagged, NotModified, Failed),
            (&["\"a\""], &["\"b\""], tagged, Perform, Perform),
            (&["\"b\""], &["\"a\""], tagged, Failed, Failed),
        ] {
            for (methods, expected) in [
                (&[Method::GET, Method::HEAD][..], read),
                (
                    &[Method::PUT, Method::POST, Method::PATCH, Method::DELETE],
                    write,
                ),
            ] {
                for method in methods {
                    let decision = decide(if_match, if_none_match, method.clone(), current);
                    assert_eq!(
                        decision, expected,
                        "{method} {if_match:?} {if_none_match:?} {current:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn only_a_request_with_if_match_alone_may_be_repeated() {
        let read = |if_match: &[&str], if_none_match: &[&str]| {
            let mut both = headers(header::IF_MATCH, if_match);
            both.extend(headers(header::IF_NONE_MATCH, if_none_match));
            let preconditions = Preconditions::read(&both).unwrap();
            (preconditions.is_empty(), preconditions.allow_repetition())
        };
        assert_eq!(read(&[], &[]), (true, false));
        assert_eq!(read(&["\"a\""], &[]), (false, true));
        assert_eq!(read(&[], &["\"a\""]), (false, false));
        assert_eq!(read(&["*"], &["\"a\""]), (false, false));
    }

    #[test]
    fn idempotency_key_is_one_string_of_visible_ascii() {
        let key = |values: &[&str]| {
            idempotency_key(&headers(
                header::HeaderName::from_static("idempotency-key"),
                values,
            ))
            .map(|key| key.map(str::to_owned))
            .ok()
        };
        assert_eq!(key(&[]), Some(None));
        assert_eq!(key(&["8e03978e-40d5"]), Some(Some("8e03978e-40d5".into())));
        assert_eq!(
            key(&[&"x".repeat(128)]).flatten().map(|key| key.len()),
            Some(128)
        );
        for bad in [&[""][..], &["a b"], &[&"x".repeat(129)], &["a", "a"]] {
            assert_eq!(key(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn no_cache_and_max_age_0_request_a_consistent_read() {
        let is_strong = |values: &[&str]| no_cache(&headers(header::CACHE_CONTROL, values));
        for values in [
            &["no-cache"][..],
            &["max-age=0, No-Cache"],
            &["no-store", "no-cache"],
            &["Max-Age=0"],
            &["x, max-age=\"0\""],
        ] {
            assert!(is_strong(values), "{values:?}");
        }
        for values in [
            &[][..],
            &["no-store"],
            &["no-cache=x"],
            &["max-age=1"],
            &["max-age="],
            &["max-age"],
            &["s-maxage=0"],
        ] {
            assert!(!is_strong(values), "{values:?}");
        }
    }
}
