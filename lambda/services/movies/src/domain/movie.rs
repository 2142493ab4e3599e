use inbound::decimal::Decimal;
use std::{borrow::Cow, collections::BTreeSet, fmt, str::FromStr};
use thiserror::Error;
use time::{PrimitiveDateTime, format_description::well_known::Rfc3339};
use validator::{Validate, ValidateLength, ValidationError, ValidationErrorsKind};

/// The year of a movie: 1888, that of the oldest surviving film, to 2100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Year(u16);

/// The value is not a year from 1888 to 2100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a year from 1888 to 2100")]
pub struct InvalidYear;

impl Year {
    /// The first year.
    pub const MIN: u16 = 1888;
    /// The last year.
    pub const MAX: u16 = 2100;

    /// The year as a number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u32> for Year {
    type Error = InvalidYear;

    fn try_from(year: u32) -> Result<Self, InvalidYear> {
        u16::try_from(year)
            .ok()
            .filter(|year| (Self::MIN..=Self::MAX).contains(year))
            .map(Self)
            .ok_or(InvalidYear)
    }
}

impl FromStr for Year {
    type Err = InvalidYear;

    /// Reads exactly four ASCII digits. `u16::from_str` also accepts `+2013` and `02013`: one movie
    /// would have several addresses.
    fn from_str(text: &str) -> Result<Self, InvalidYear> {
        if text.len() != 4 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidYear);
        }
        text.parse::<u32>()
            .map_err(|_| InvalidYear)
            .and_then(Self::try_from)
    }
}

impl fmt::Display for Year {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A title, byte for byte as it was sent: 1 to 1024 bytes of UTF-8 (DynamoDB's limit for a sort
/// key), no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Title(String);

/// The string is empty, too long, or contains a control character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to 1024 bytes of UTF-8 without control characters")]
pub struct InvalidTitle;

impl Title {
    /// DynamoDB's limit for a sort key, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// The title.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Title {
    type Error = InvalidTitle;

    fn try_from(text: String) -> Result<Self, InvalidTitle> {
        if (1..=Self::MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(InvalidTitle)
        }
    }
}

impl FromStr for Title {
    type Err = InvalidTitle;

    fn from_str(text: &str) -> Result<Self, InvalidTitle> {
        text.to_owned().try_into()
    }
}

impl AsRef<str> for Title {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The address of a movie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MovieId {
    /// The partition of the catalogue.
    pub year: Year,
    /// The name within the partition.
    pub title: Title,
}

/// The description of a movie. Every field is optional, and may be beyond its limits: see
/// [`ValidInfo`].
///
/// The limits are those of the contract's schema `Info`; a test compares the two. A new field goes
/// here and into `fields!` below, from which every form of a movie follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Validate)]
pub struct Info {
    /// At most 100 names of 1 to 256 characters, without control characters.
    #[validate(custom(function = "check_names"))]
    pub directors: Option<Vec<String>>,
    /// `YYYY-MM-DDThh:mm:ssZ`, an instant that exists.
    #[validate(custom(function = "check_release_date"))]
    pub release_date: Option<String>,
    /// 0 to 10, exact.
    #[validate(custom(function = "check_rating"))]
    pub rating: Option<Decimal>,
    /// At most 100 names of 1 to 256 characters, without control characters.
    #[validate(custom(function = "check_names"))]
    pub genres: Option<Vec<String>>,
    /// An absolute http or https URL in ASCII, at most 2048 bytes.
    #[validate(custom(function = "check_image_url"))]
    pub image_url: Option<String>,
    /// 1 to 4096 characters, without control characters except line breaks and tabs.
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
    /// At most 100 names of 1 to 256 characters, without control characters.
    #[validate(custom(function = "check_names"))]
    pub actors: Option<Vec<String>>,
}

/// The list of fields, each with its kind. JSON, the item, the ETag, the names in a patch and the
/// check of a stored item follow from it.
///
/// The compiler reports a field of [`Info`] that is missing in the list, by the constant that the
/// macro expands to: in a pattern without `..` it would not name the field.
macro_rules! fields {
    ($field:ident of $info:expr) => {
        fields! {
            $field of $info;
            directors: Strings,
            release_date: String,
            rating: Decimal,
            genres: Strings,
            image_url: String,
            plot: String,
            rank: Integer,
            running_time_secs: Integer,
            actors: Strings,
        }
    };
    ($field:ident of $info:expr; $($name:ident: $kind:ident,)*) => {{
        const _: Info = Info { $($name: None),* };
        let Info { $($name),*, .. } = $info;
        [$((stringify!($name), $field::$kind($name))),*]
    }};
}

/// A field of [`Info`], by its kind.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    /// A list of strings.
    Strings(&'a Option<Vec<String>>),
    /// A string.
    String(&'a Option<String>),
    /// An exact number.
    Decimal(&'a Option<Decimal>),
    /// An integer.
    Integer(&'a Option<u32>),
}

/// A field of [`Info`] that is to be set, by its kind.
#[derive(Debug)]
pub enum FieldMut<'a> {
    /// A list of strings.
    Strings(&'a mut Option<Vec<String>>),
    /// A string.
    String(&'a mut Option<String>),
    /// An exact number.
    Decimal(&'a mut Option<Decimal>),
    /// An integer.
    Integer(&'a mut Option<u32>),
}

impl Info {
    /// Every field with its name.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, Field<'_>)> {
        fields!(Field of self).into_iter()
    }

    /// Every field with its name, to be set.
    pub fn fields_mut(&mut self) -> impl Iterator<Item = (&'static str, FieldMut<'_>)> {
        fields!(FieldMut of self).into_iter()
    }
}

/// An [`Info`] whose every field is within its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidInfo(Info);

/// A field that is beyond its limits.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name} {requirement}")]
pub struct InvalidField {
    /// The name of the field.
    pub name: Cow<'static, str>,
    /// The requirement that it does not meet, as a message: "must be …".
    pub requirement: Cow<'static, str>,
}

/// Every field that is beyond its limits, by name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} fields are invalid", .0.len())]
pub struct InvalidInfo(pub Vec<InvalidField>);

impl TryFrom<Info> for ValidInfo {
    type Error = InvalidInfo;

    fn try_from(info: Info) -> Result<Self, InvalidInfo> {
        let Err(errors) = info.validate() else {
            return Ok(Self(info));
        };
        let mut fields: Vec<_> = errors.0.into_iter().flat_map(invalid_fields).collect();
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        Err(InvalidInfo(fields))
    }
}

/// The validator's errors of one field.
fn invalid_fields(
    (name, errors): (Cow<'static, str>, ValidationErrorsKind),
) -> impl Iterator<Item = InvalidField> {
    // No struct is nested in `Info`, so there is no other kind.
    let errors = match errors {
        ValidationErrorsKind::Field(errors) => errors,
        _ => Vec::new(),
    };
    errors.into_iter().map(move |error| InvalidField {
        name: name.clone(),
        requirement: error.message.unwrap_or(error.code),
    })
}

impl AsRef<Info> for ValidInfo {
    fn as_ref(&self) -> &Info {
        &self.0
    }
}

/// Changes to a movie's info: the fields that are changed, and their new values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InfoPatch {
    names: BTreeSet<&'static str>,
    values: Box<ValidInfo>,
}

impl InfoPatch {
    /// Creates a patch of the named fields. A named field without a value is removed.
    #[must_use]
    pub fn new(names: BTreeSet<&'static str>, values: ValidInfo) -> Self {
        let values = Box::new(values);
        Self { names, values }
    }

    /// Creates a patch that removes every field.
    #[must_use]
    pub fn clear() -> Self {
        let names = Info::default().fields().map(|(name, _)| name).collect();
        Self::new(names, ValidInfo::default())
    }

    /// The names of the fields that are changed.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<&'static str> {
        &self.names
    }

    /// The new values.
    #[must_use]
    pub fn values(&self) -> &Info {
        self.values.as_ref().as_ref()
    }
}

/// A movie whose every part is within its limits. Only such a movie is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movie {
    id: MovieId,
    info: ValidInfo,
}

impl Movie {
    /// Creates a movie of valid parts.
    #[must_use]
    pub fn new(id: MovieId, info: ValidInfo) -> Self {
        Self { id, info }
    }

    /// The address.
    #[must_use]
    pub fn id(&self) -> &MovieId {
        &self.id
    }

    /// The description.
    #[must_use]
    pub fn info(&self) -> &Info {
        self.info.as_ref()
    }
}

/// A movie as it is stored. Limits apply to requests only, so that a lower limit does not make
/// stored movies unreadable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMovie {
    /// The address.
    pub id: MovieId,
    /// The description, which may be beyond today's limits.
    pub info: Info,
}

fn invalid(message: &'static str) -> ValidationError {
    ValidationError::new("limit").with_message(Cow::Borrowed(message))
}

fn check_rating(rating: &Decimal) -> Result<(), ValidationError> {
    if rating.is_between(0, 10) {
        Ok(())
    } else {
        Err(invalid("must be a number from 0 to 10"))
    }
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
        Err(invalid(
            "must be at most 100 names of 1 to 256 characters without control characters",
        ))
    }
}

fn check_plot(plot: &str) -> Result<(), ValidationError> {
    // A control character takes seven bytes in the gateway's response: a page full of them exceeds
    // its limit.
    let good = plot.validate_length(Some(1), Some(4096), None)
        && plot
            .chars()
            .all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    if good {
        Ok(())
    } else {
        Err(invalid(
            "must be 1 to 4096 characters without control characters except line breaks and tabs",
        ))
    }
}

fn check_release_date(text: &str) -> Result<(), ValidationError> {
    // The exact shape first: RFC 3339 allows offsets, fractions and lower-case letters. A leap
    // second is accepted as 59.
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
        Err(invalid(
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
        Err(invalid(
            "must be an absolute http or https URL in ASCII, at most 2048 characters",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn year_is_four_ascii_digits_in_range() {
        assert_eq!("2013".parse().map(Year::get), Ok(2013));
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
            assert_eq!(text.parse::<Year>(), Err(InvalidYear), "{text:?}");
        }
        assert_eq!(
            [1887, 1888, 2100, 2101, 67_549].map(|year| Year::try_from(year).is_ok()),
            [false, true, true, false, false]
        );
        assert_eq!(
            Year::try_from(2013).map(|year| year.to_string()),
            Ok("2013".into())
        );
    }

    #[test]
    fn title_keeps_every_byte_and_is_rejected_beyond_its_limits() {
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
            let title: Title = text.parse().unwrap();
            assert_eq!((title.as_str(), title.as_ref()), (text, text));
            assert_eq!(title.to_string(), text);
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
            assert_eq!(text.parse::<Title>(), Err(InvalidTitle), "{text:?}");
        }
    }

    #[test]
    fn every_invalid_field_is_named_at_once() {
        let info = Info {
            directors: Some(vec![String::new()]),
            release_date: Some("2013-02-30T00:00:00Z".into()),
            rating: "10.1".parse().ok(),
            genres: Some(vec!["x".into(); 101]),
            image_url: Some("ftp://example.org".into()),
            plot: Some(String::new()),
            rank: Some(0),
            running_time_secs: Some(10_000_001),
            actors: Some(vec!["x".repeat(257)]),
        };
        let names: Vec<_> = info.fields().map(|(name, _)| name).collect();
        let InvalidInfo(errors) = ValidInfo::try_from(info).unwrap_err();
        let mut fields: Vec<_> = errors.iter().map(|error| &*error.name).collect();
        assert!(fields.is_sorted());
        fields.sort_by_key(|field| names.iter().position(|name| name == field));
        assert_eq!(fields, names);
        assert_eq!(
            errors[0].to_string(),
            "actors must be at most 100 names of 1 to 256 characters without control characters"
        );
    }

    #[test]
    fn release_date_is_an_existing_instant_in_one_form() {
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
    fn value_at_a_limit_is_valid_and_one_beyond_it_is_not() {
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

    #[test]
    fn list_of_fields_has_each_name_once() {
        let (info, mut info_mut) = (Info::default(), Info::default());
        let names: Vec<_> = info.fields().map(|(name, _)| name).collect();
        let to_set: Vec<_> = info_mut.fields_mut().map(|(name, _)| name).collect();
        assert_eq!(names, to_set);
        assert_eq!(InfoPatch::clear().names().len(), names.len());
    }
}
