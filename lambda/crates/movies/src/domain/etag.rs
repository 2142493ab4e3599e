use super::Movie;
use sha2::{Digest, Sha256};
use std::fmt;

/// A strong validator of a movie's content: the first 128 bits of a SHA-256 over every part of it, in lower-case hex.
///
/// It is a hash and not a counter, so that loading the same movie twice changes nothing, and a movie deleted and made
/// again with other content cannot be mistaken for the old one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// The validator of a movie's content.
    #[must_use]
    pub fn of(movie: &Movie) -> Self {
        let mut hash = Sha256::new();
        // Changes whenever the same content is to be answered in another form.
        hash.update(b"movie 1");
        let (id, info) = (movie.id(), movie.info());
        let mut part = |tag: u8, values: &[&str]| {
            // Tag, count and lengths keep ["ab"] and ["a", "b"], or an actor and a genre, apart.
            hash.update([tag]);
            hash.update((values.len() as u64).to_be_bytes());
            for value in values {
                hash.update((value.len() as u64).to_be_bytes());
                hash.update(value.as_bytes());
            }
        };
        part(b'y', &[&id.year.get().to_string()]);
        part(b't', &[id.title.as_str()]);
        for (tag, list) in [(b'd', &info.directors), (b'g', &info.genres), (b'a', &info.actors)] {
            if let Some(list) = list {
                part(tag, &list.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
        let rank = info.rank.map(|number| number.to_string());
        let running_time = info.running_time_secs.map(|number| number.to_string());
        for (tag, text) in [
            (b'r', info.release_date.as_deref()),
            (b's', info.rating.as_ref().map(super::Decimal::as_str)),
            (b'i', info.image_url.as_deref()),
            (b'p', info.plot.as_deref()),
            (b'k', rank.as_deref()),
            (b'l', running_time.as_deref()),
        ] {
            if let Some(text) = text {
                part(tag, &[text]);
            }
        }
        let digest = hash.finalize();
        Self(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads a validator as [`ETag::as_str`] gives it; any other text names no version of a movie, but is kept, so that
    /// it can be compared.
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

/// What must be true of the movie that is stored, or a write does not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing is asked.
    Unconditional,
    /// There is no such movie.
    Absent,
    /// There is one.
    Present,
    /// There is one, which something else than this API wrote, without an ETag.
    Unversioned,
    /// There is one, at one of these versions.
    OneOf(Vec<ETag>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Decimal, Info, MovieId, Title, Year};
    use std::collections::HashSet;

    fn etag(info: Info) -> ETag {
        let id = MovieId { year: Year::new(2013).unwrap(), title: Title::new("Rush").unwrap() };
        ETag::of(&Movie::stored(id, info))
    }

    #[test]
    fn every_part_of_the_content_counts() {
        let names = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let text = || Some("1".to_owned());
        let all = [
            Info::default(),
            Info { directors: names(&[]), ..Info::default() },
            Info { directors: names(&["ab"]), ..Info::default() },
            Info { directors: names(&["a", "b"]), ..Info::default() },
            Info { genres: names(&["ab"]), ..Info::default() },
            Info { actors: names(&["ab"]), ..Info::default() },
            Info { release_date: text(), ..Info::default() },
            Info { rating: Decimal::parse("1"), ..Info::default() },
            Info { image_url: text(), ..Info::default() },
            Info { plot: text(), ..Info::default() },
            Info { rank: Some(1), ..Info::default() },
            Info { running_time_secs: Some(1), ..Info::default() },
        ];
        let many = all.len();
        assert_eq!(all.map(etag).into_iter().collect::<HashSet<_>>().len(), many);
    }

    #[test]
    fn spelling_of_a_number_does_not_count() {
        let rated = |text| etag(Info { rating: Decimal::parse(text), ..Info::default() });
        assert_eq!(rated("8.30"), rated("8.3"));
    }

    #[test]
    fn the_form_is_kept_over_releases() {
        // Stored items carry it: a change here makes every stored ETag stale, so it must be meant.
        let list = || Some(vec!["a".to_owned(), "b".to_owned()]);
        let text = || Some("a".to_owned());
        let full = Info {
            directors: list(),
            release_date: text(),
            rating: Decimal::parse("8.3"),
            genres: list(),
            image_url: text(),
            plot: text(),
            rank: Some(1),
            running_time_secs: Some(2),
            actors: list(),
        };
        assert_eq!(etag(Info::default()).as_str(), "411f0da366396d31ef17b26374b896c3");
        assert_eq!(etag(full).as_str(), "58a83df49995669ce48510c835a74514");
    }
}
