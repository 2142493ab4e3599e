use super::Decimal;
use std::{borrow::Cow, collections::BTreeSet};
use time::{PrimitiveDateTime, format_description::well_known::Rfc3339};
use validator::{
    Validate, ValidateLength, ValidationError, ValidationErrors, ValidationErrorsKind,
};

/// One offending field of something that was refused, in the caller's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's path in the request: `info.rating`, `year`.
    pub field: String,
    /// What is wrong and what is wanted.
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

/// The year a movie is filed under: 1888 (the oldest film there is) to 2100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Year(u16);

impl Year {
    /// The first year there is.
    pub const MIN: u16 = 1888;
    /// The last one.
    pub const MAX: u16 = 2100;
    /// What is wanted of a year, for messages.
    pub const WANTED: &'static str = "must be a year from 1888 to 2100";

    /// `None` outside of 1888 to 2100.
    #[must_use]
    pub fn new(year: u32) -> Option<Self> {
        u16::try_from(year)
            .ok()
            .filter(|year| (Self::MIN..=Self::MAX).contains(year))
            .map(Self)
    }

    /// Reads exactly four ASCII digits. `parse::<u16>` would also take `+2013` and `02013`, and `char::is_numeric` digits
    /// of other scripts; then one movie would have several addresses.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .then(|| text.parse().ok())
            .flatten()
            .and_then(Self::new)
    }

    /// The year as a number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

/// A title, byte for byte as it was given: 1 to 1024 bytes of UTF-8 (DynamoDB's limit for a sort key), no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Title(String);

impl Title {
    /// DynamoDB's limit for a sort key, in bytes.
    pub const MAX_BYTES: usize = 1024;
    /// What is wanted of a title, for messages.
    pub const WANTED: &'static str = "must be 1 to 1024 bytes of UTF-8 without control characters";

    /// `None` if the text is empty, longer than 1024 bytes, or holds a control character.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let good =
            (1..=Self::MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        good.then_some(Self(text))
    }

    /// The title.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What addresses a movie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MovieId {
    /// The partition it lies in.
    pub year: Year,
    /// Its name there.
    pub title: Title,
}

/// What is known of a movie; every part may be missing.
///
/// The limits are those of the contract's schema `Info`; a test holds the two together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Validate)]
pub struct Info {
    /// At most 100 names of 1 to 256 characters, none a control character.
    #[validate(custom(function = "check_names"))]
    pub directors: Option<Vec<String>>,
    /// `YYYY-MM-DDThh:mm:ssZ`, an instant that exists.
    #[validate(custom(function = "check_release_date"))]
    pub release_date: Option<String>,
    /// 0 to 10, exact. (Checked in [`Info::errors`]: the validator would hand the value on by serde, which this type has not.)
    pub rating: Option<Decimal>,
    /// At most 100 names of 1 to 256 characters, none a control character.
    #[validate(custom(function = "check_names"))]
    pub genres: Option<Vec<String>>,
    /// An absolute http or https URL in ASCII, at most 2048 bytes.
    #[validate(custom(function = "check_image_url"))]
    pub image_url: Option<String>,
    /// 1 to 4096 characters; of control characters only line breaks and tabs.
    #[validate(custom(function = "check_plot"))]
    pub plot: Option<String>,
    /// 1 to 1,000,000,000.
    #[validate(range(
        min = 1,
        max = 1_000_000_000,
        message = "must be an integer from 1 to 1000000000"
    ))]
    pub rank: Option<u32>,
    /// 1 to 10,000,000 seconds.
    #[validate(range(
        min = 1,
        max = 10_000_000,
        message = "must be an integer from 1 to 10000000 (seconds)"
    ))]
    pub running_time_secs: Option<u32>,
    /// At most 100 names of 1 to 256 characters, none a control character.
    #[validate(custom(function = "check_names"))]
    pub actors: Option<Vec<String>>,
}

impl Info {
    /// Every field that breaks a limit, by name.
    #[must_use]
    pub fn errors(&self) -> Vec<FieldError> {
        let mut errors = self.validate().map_or_else(listed, |()| Vec::new());
        if self
            .rating
            .as_ref()
            .is_some_and(|rating| !rating.is_between(0, 10))
        {
            errors.push(FieldError::new(
                "info.rating",
                "must be a number from 0 to 10",
            ));
        }
        errors.sort_by(|a, b| a.field.cmp(&b.field));
        errors
    }
}

/// Changes to a movie's info.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InfoPatch {
    /// Removes every field.
    Clear,
    /// Changes some fields.
    Fields {
        /// The fields that are changed.
        named: BTreeSet<String>,
        /// Their new values. A named field without one is removed.
        values: Box<Info>,
    },
}

/// A movie whose every part is within its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movie {
    id: MovieId,
    info: Info,
}

impl Movie {
    /// Puts a movie together.
    ///
    /// # Errors
    /// Every field of `info` that breaks a limit.
    pub fn new(id: MovieId, info: Info) -> Result<Self, Vec<FieldError>> {
        let errors = info.errors();
        if errors.is_empty() {
            Ok(Self { id, info })
        } else {
            Err(errors)
        }
    }

    /// A movie as the table holds it. Limits are for what comes in: one that was tightened since must not make
    /// a movie unreadable.
    #[must_use]
    pub fn stored(id: MovieId, info: Info) -> Self {
        Self { id, info }
    }

    /// What addresses it.
    #[must_use]
    pub fn id(&self) -> &MovieId {
        &self.id
    }

    /// What is known of it.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }
}

fn refuse(message: &'static str) -> ValidationError {
    ValidationError::new("limit").with_message(Cow::Borrowed(message))
}

fn check_names(names: &[String]) -> Result<(), ValidationError> {
    // Counted in characters, as JSON Schema's maxLength counts.
    let name = |name: &String| {
        name.validate_length(Some(1), Some(256), None) && !name.chars().any(char::is_control)
    };
    let good = names.len() <= 100 && names.iter().all(name);
    if good {
        Ok(())
    } else {
        Err(refuse(
            "must be at most 100 names of 1 to 256 characters without control characters",
        ))
    }
}

fn check_plot(plot: &str) -> Result<(), ValidationError> {
    // A control character takes seven bytes in the gateway's answer: a page full of them would not fit into it.
    let good = plot.validate_length(Some(1), Some(4096), None)
        && plot
            .chars()
            .all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    if good {
        Ok(())
    } else {
        Err(refuse(
            "must be 1 to 4096 characters without control characters except line breaks and tabs",
        ))
    }
}

fn check_release_date(text: &str) -> Result<(), ValidationError> {
    // The exact shape first: RFC 3339 allows offsets, fractions and a lower-case t and z. A leap second passes as 59.
    let shape = text.len() == 20
        && text
            .bytes()
            .zip(b"0000-00-00T00:00:00Z")
            .all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                _ => byte == *shape,
            });
    if shape && PrimitiveDateTime::parse(text, &Rfc3339).is_ok() {
        Ok(())
    } else {
        Err(refuse(
            "must be a valid date and time in UTC, such as 2013-09-02T00:00:00Z",
        ))
    }
}

fn check_image_url(url: &str) -> Result<(), ValidationError> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let good = url.len() <= 2048
        && rest.is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic())
        });
    if good {
        Ok(())
    } else {
        Err(refuse(
            "must be an absolute http or https URL in ASCII, at most 2048 characters",
        ))
    }
}

/// The validator's map as a list.
fn listed(errors: ValidationErrors) -> Vec<FieldError> {
    let mut list = Vec::new();
    for (field, kind) in errors.0 {
        // Nothing nests within `info`, so that every kind is this one.
        let ValidationErrorsKind::Field(errors) = kind else {
            continue;
        };
        list.extend(errors.into_iter().map(|error| {
            FieldError::new(format!("info.{field}"), error.message.unwrap_or(error.code))
        }));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_four_ascii_digits_in_range() {
        assert_eq!(Year::parse("2013").map(Year::get), Some(2013));
        for text in [
            "1887",
            "2101",
            "02013",
            "+2013",
            "-2013",
            "2013.0",
            "2e3",
            "",
            "201",
            "٢٠١٣",
            "２０１３",
            " 2013",
            &"2".repeat(10_000),
        ] {
            assert_eq!(Year::parse(text), None, "{text:?}");
        }
        assert!(
            Year::new(1888).is_some() && Year::new(2100).is_some() && Year::new(67_549).is_none()
        );
    }

    #[test]
    fn a_title_is_kept_byte_for_byte_within_its_limits() {
        for text in [
            "Rush",
            " Rush ",
            "50/50",
            "e\u{301}",
            "é",
            "\u{202e}",
            "👨‍👩‍👧",
            "%25",
            &"x".repeat(1024),
            &"é".repeat(512),
        ] {
            assert_eq!(Title::new(text).as_ref().map(Title::as_str), Some(text));
        }
        for text in [
            "",
            "a\0b",
            "a\nb",
            "\u{7f}",
            "\u{85}",
            &"x".repeat(1025),
            &"é".repeat(513),
        ] {
            assert_eq!(Title::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_offending_field_is_named_at_once() {
        let info = Info {
            directors: Some(vec![String::new()]),
            release_date: Some("2013-02-30T00:00:00Z".into()),
            rating: Decimal::parse("10.1"),
            genres: Some(vec!["x".into(); 101]),
            image_url: Some("ftp://example.org".into()),
            plot: Some(String::new()),
            rank: Some(0),
            running_time_secs: Some(10_000_001),
            actors: Some(vec!["x".repeat(257)]),
        };
        let fields: Vec<String> = info.errors().into_iter().map(|error| error.field).collect();
        assert_eq!(
            fields,
            [
                "actors",
                "directors",
                "genres",
                "image_url",
                "plot",
                "rank",
                "rating",
                "release_date",
                "running_time_secs"
            ]
            .map(|field| format!("info.{field}"))
        );
    }

    #[test]
    fn a_release_date_exists_and_has_one_form() {
        for text in [
            "2013-09-02T00:00:00Z",
            "2012-02-29T23:59:59Z",
            "0001-01-01T00:00:00Z",
        ] {
            assert!(check_release_date(text).is_ok(), "{text}");
        }
        for text in [
            "2013-09-02",
            "2013-13-01T00:00:00Z",
            "2013-02-29T00:00:00Z",
            "2013-09-02T24:00:00Z",
            "2013-09-02t00:00:00z",
            "2013-09-02T00:00:00+00:00",
            "２013-9-02T00:00:00Z",
        ] {
            assert!(check_release_date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_at_a_limit_passes_and_what_is_beyond_does_not() {
        let names = |count: usize, length: usize| vec!["é".repeat(length); count];
        assert!(check_names(&names(100, 256)).is_ok() && check_names(&[]).is_ok());
        assert!(
            check_names(&names(101, 1)).is_err()
                && check_names(&names(1, 257)).is_err()
                && check_names(&["a\tb".into()]).is_err()
        );
        assert!(check_plot(&"é".repeat(4096)).is_ok() && check_plot("one\r\n\ttwo").is_ok());
        assert!(
            check_plot(&"x".repeat(4097)).is_err()
                && check_plot("").is_err()
                && check_plot("a\u{1}").is_err()
        );
        let url = |length: usize| format!("https://{}", "x".repeat(length - 8));
        assert!(check_image_url(&url(2048)).is_ok() && check_image_url("http://a").is_ok());
        for wrong in [&url(2049), "https://", "http://a b", "http://é", "//a", ""] {
            assert!(check_image_url(wrong).is_err(), "{wrong}");
        }
    }
}
