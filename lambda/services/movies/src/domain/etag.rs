use std::fmt;

/// A strong validator of everything that is stored of a movie.
///
/// It is a hash and not a counter: loading the same movie twice changes nothing, and a movie that
/// was deleted and created again with other content is never taken for the old one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(String);

/// The first 16 bytes of a hash, in lower-case hex.
impl From<[u8; 16]> for ETag {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl ETag {
    /// The validator without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ETag {
    fn as_ref(&self) -> &str {
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
    fn etag_is_the_lower_case_hex_of_a_hash_without_quotes() {
        let etag = ETag::from([0xaf; 16]);
        assert_eq!(etag.to_string(), "afafafafafafafafafafafafafafafaf");
        assert_eq!(
            (etag.as_str(), etag.as_ref()),
            ("af".repeat(16).as_str(), etag.as_str())
        );
    }
}
