use std::fmt;

/// A strong validator of all that is stored of a movie.
///
/// It is a hash and not a counter: loading the same movie twice changes nothing, and a movie
/// deleted and created again with other content cannot be mistaken for the old one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// Reads a validator as [`ETag::as_str`] gives it. Any other text is kept so that it can be
    /// compared, and equals no movie's.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The validator without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_displayed_without_quotes() {
        assert_eq!(ETag::from_text("5f3a").to_string(), "5f3a");
        assert_eq!(ETag::from_text("5f3a").as_str(), "5f3a");
    }
}
