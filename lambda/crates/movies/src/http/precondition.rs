use super::Problem;
use crate::domain::{ETag, Precondition};
use http::{HeaderMap, header};

/// More than this in one header is refused; DynamoDB compares with 100 values at the most.
const MAX_TAGS: usize = 20;
/// Characters of an `Idempotency-Key`; a UUID has 36.
const MAX_KEY: usize = 128;

/// The tags of a header such as `If-Match`.
enum Tags {
    /// There is no such header.
    Absent,
    /// `*`
    Any,
    /// Each with whether it is weak.
    List(Vec<(bool, ETag)>),
}

fn tags(headers: &HeaderMap, name: &header::HeaderName) -> Result<Tags, Problem> {
    let wanted = || Problem::invalid_field(name.as_str(), "must be * or a list of entity tags such as \"5f3a\"");
    let mut list = Vec::new();
    for value in headers.get_all(name) {
        let mut rest = value.to_str().map_err(|_| wanted())?.trim();
        if rest == "*" {
            return Ok(Tags::Any);
        }
        while !rest.is_empty() {
            let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |rest| (true, rest));
            let (tag, after) = quoted.strip_prefix('"').and_then(|rest| rest.split_once('"')).ok_or_else(wanted)?;
            if list.len() == MAX_TAGS {
                return Err(Problem::invalid_field(name.as_str(), "has more than 20 entity tags"));
            }
            list.push((weak, ETag::from_text(tag)));
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(after) => after.trim_start(),
                None if after.is_empty() => after,
                None => return Err(wanted()),
            };
        }
    }
    match list.is_empty() {
        true if headers.contains_key(name) => Err(wanted()),
        true => Ok(Tags::Absent),
        false => Ok(Tags::List(list)),
    }
}

/// What `If-Match` demands. It compares strongly: a weak tag matches nothing (RFC 9110, 13.1.1).
pub(super) fn if_match(headers: &HeaderMap) -> Result<Precondition, Problem> {
    Ok(match tags(headers, &header::IF_MATCH)? {
        Tags::Absent => Precondition::Unconditional,
        Tags::Any => Precondition::Present,
        Tags::List(list) => {
            let strong: Vec<_> = list.into_iter().filter(|(weak, _)| !weak).map(|(_, etag)| etag).collect();
            // No movie has the empty tag, and DynamoDB wants one value at least.
            Precondition::OneOf(if strong.is_empty() { vec![ETag::from_text("")] } else { strong })
        }
    })
}

/// What `If-Match` or `If-None-Match: *` demands of a PUT.
pub(super) fn of_put(headers: &HeaderMap) -> Result<Precondition, Problem> {
    match (tags(headers, &header::IF_NONE_MATCH)?, if_match(headers)?) {
        (Tags::Absent, precondition) => Ok(precondition),
        (Tags::Any, Precondition::Unconditional) => Ok(Precondition::Absent),
        (Tags::Any, _) => Err(Problem::invalid_field("if-none-match", "cannot be used with if-match")),
        (Tags::List(_), _) => Err(Problem::invalid_field("if-none-match", "can only be * here")),
    }
}

/// The caller's own key for this creation.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else { return Ok(None) };
    let good = value.len() <= MAX_KEY && !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if good && second.is_none() => Ok(Some(key)),
        _ => Err(Problem::invalid_field("idempotency-key", "must be 1 to 128 visible ASCII characters, given once")),
    }
}

/// Whether a stored version is one that a precondition on an existing movie allows.
pub(super) fn holds(precondition: &Precondition, stored: Option<&ETag>) -> bool {
    match precondition {
        Precondition::Unconditional | Precondition::Present => true,
        Precondition::Absent => false,
        Precondition::Unversioned => stored.is_none(),
        Precondition::OneOf(etags) => stored.is_some_and(|stored| etags.contains(stored)),
    }
}

/// Whether the caller's copy is current by `If-None-Match`, which compares weakly (RFC 9110, 13.1.2): gateways that
/// compress make a strong tag weak.
pub(super) fn not_modified(headers: &HeaderMap, stored: &ETag) -> Result<bool, Problem> {
    Ok(match tags(headers, &header::IF_NONE_MATCH)? {
        Tags::Absent => false,
        Tags::Any => true,
        Tags::List(list) => list.iter().any(|(_, etag)| etag == stored),
    })
}

/// Whether the caller asks for what is latest (`Cache-Control: no-cache`) and not for what is near.
pub(super) fn wants_latest(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("no-cache")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn matching(values: &[&str]) -> Option<Precondition> {
        if_match(&headers(header::IF_MATCH, values)).ok()
    }

    fn one_of(tags: &[&str]) -> Option<Precondition> {
        Some(Precondition::OneOf(tags.iter().map(|tag| ETag::from_text(*tag)).collect()))
    }

    #[test]
    fn if_match_takes_a_star_or_a_list_of_tags() {
        assert_eq!(matching(&[]), Some(Precondition::Unconditional));
        assert_eq!(matching(&["*"]), Some(Precondition::Present));
        assert_eq!(matching(&["\"a\""]), one_of(&["a"]));
        assert_eq!(matching(&["\"a\", \"b,c\" ,\"d\"", "\"e\""]), one_of(&["a", "b,c", "d", "e"]));
        assert_eq!(matching(&["W/\"a\", \"b\""]), one_of(&["b"]));
        assert_eq!(matching(&["W/\"a\""]), one_of(&[""]));
    }

    #[test]
    fn malformed_tags_are_refused() {
        for value in ["", "a", "\"a", "\"a\" \"b\"", "w/\"a\"", "\"a\";", "* , \"a\""] {
            assert_eq!(matching(&[value]), None, "{value:?}");
        }
        assert_eq!(matching(&["\"a\","].repeat(21)), None);
    }

    #[test]
    fn a_put_takes_only_a_star_as_if_none_match() {
        let put = |values: &[&str]| of_put(&headers(header::IF_NONE_MATCH, values)).ok();
        assert_eq!(put(&["*"]), Some(Precondition::Absent));
        assert_eq!(put(&["\"a\""]), None);
        let mut both = headers(header::IF_NONE_MATCH, &["*"]);
        both.extend(headers(header::IF_MATCH, &["\"a\""]));
        assert!(of_put(&both).is_err());
    }

    #[test]
    fn an_idempotency_key_is_one_text_of_visible_ascii() {
        let key = |values: &[&str]| {
            idempotency_key(&headers(header::HeaderName::from_static("idempotency-key"), values)).map(|key| key.map(str::to_owned)).ok()
        };
        assert_eq!(key(&[]), Some(None));
        assert_eq!(key(&["8e03978e-40d5"]), Some(Some("8e03978e-40d5".into())));
        assert_eq!(key(&[&"x".repeat(128)]).flatten().map(|key| key.len()), Some(128));
        for bad in [&[""][..], &["a b"], &[&"x".repeat(129)], &["a", "a"]] {
            assert_eq!(key(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let fresh = |values: &[&str]| not_modified(&headers(header::IF_NONE_MATCH, values), &ETag::from_text("a")).ok();
        assert_eq!(fresh(&[]), Some(false));
        assert_eq!(fresh(&["*"]), Some(true));
        assert_eq!(fresh(&["\"b\", W/\"a\""]), Some(true));
        assert_eq!(fresh(&["\"b\""]), Some(false));
    }

    #[test]
    fn twenty_tags_are_taken() {
        assert_eq!(matching(&["\"a\","].repeat(20)), one_of(&["a"; 20]));
    }

    #[test]
    fn a_put_takes_if_match_as_it_is() {
        assert_eq!(of_put(&headers(header::IF_MATCH, &["\"a\""])).ok(), one_of(&["a"]));
        assert_eq!(of_put(&HeaderMap::new()).ok(), Some(Precondition::Unconditional));
    }

    #[test]
    fn a_precondition_is_held_against_the_stored_version() {
        let (stored, other) = (ETag::from_text("a"), ETag::from_text("b"));
        let held = |precondition: Precondition| (holds(&precondition, Some(&stored)), holds(&precondition, None));
        assert_eq!(held(Precondition::Unconditional), (true, true));
        assert_eq!(held(Precondition::Present), (true, true));
        assert_eq!(held(Precondition::Absent), (false, false));
        assert_eq!(held(Precondition::Unversioned), (false, true));
        assert_eq!(held(Precondition::OneOf(vec![other.clone(), stored.clone()])), (true, false));
        assert_eq!(held(Precondition::OneOf(vec![other])), (false, false));
    }

    #[test]
    fn what_is_latest_is_asked_for_by_no_cache_alone() {
        let latest = |values: &[&str]| wants_latest(&headers(header::CACHE_CONTROL, values));
        assert!(latest(&["no-cache"]) && latest(&["max-age=0, No-Cache"]) && latest(&["no-store", "no-cache"]));
        assert!(!latest(&[]) && !latest(&["no-store"]) && !latest(&["no-cache=x"]) && !latest(&["max-age=0"]));
    }
}
