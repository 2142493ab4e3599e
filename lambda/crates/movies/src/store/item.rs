//! The form a movie has in the table. The only file that knows attribute names; a test holds its keys to `tables.json`.

use super::CreationKey;
use crate::domain::{Decimal, ETag, Info, Movie, MovieId, Title, Year};
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Deserializer, Serialize};
use std::{collections::HashMap, time::Duration};

/// A row of the table.
pub type Item = HashMap<String, AttributeValue>;

pub(super) const YEAR: &str = "year";
pub(super) const TITLE: &str = "title";
pub(super) const ETAG: &str = "etag";
const CALLER: &str = "caller";
pub(super) const KEY: &str = "key";
pub(super) const EXPIRES: &str = "expires_at";
const INFO: &str = "info";
const RATING: &str = "rating";

#[derive(Serialize, Deserialize)]
struct MovieItem {
    year: u32,
    title: String,
    #[serde(default, deserialize_with = "lenient")]
    info: Option<InfoItem>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

/// Every part is read leniently: one attribute of a wrong type, written by who knows whom, must not make the movie
/// unreadable. The rating is not here: serde has no exact decimal, so it passes by serde's side.
#[derive(Default, Serialize, Deserialize)]
struct InfoItem {
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    directors: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    release_date: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    genres: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    image_url: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    plot: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    rank: Option<u32>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    running_time_secs: Option<u32>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    actors: Option<Vec<String>>,
}

fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(T::deserialize(deserializer).ok())
}

/// The row of a movie, with the ETag that conditional writes compare.
///
/// # Errors
/// None that a movie can cause: its parts are texts, lists and integers.
pub fn to_item(movie: &Movie) -> Result<Item, serde_dynamo::Error> {
    let (id, info) = (movie.id(), movie.info().clone());
    let mut item: Item = serde_dynamo::to_item(MovieItem {
        year: id.year.get().into(),
        title: id.title.as_str().to_owned(),
        info: Some(InfoItem {
            directors: info.directors,
            release_date: info.release_date,
            genres: info.genres,
            image_url: info.image_url,
            plot: info.plot,
            rank: info.rank,
            running_time_secs: info.running_time_secs,
            actors: info.actors,
        }),
        etag: Some(ETag::of(movie).as_str().to_owned()),
    })?;
    if let (Some(rating), Some(AttributeValue::M(map))) = (info.rating, item.get_mut(INFO)) {
        map.insert(RATING.to_owned(), AttributeValue::N(rating.as_str().to_owned()));
    }
    Ok(item)
}

/// The movie of a row and the ETag that stands there. `None` for a row whose key is not a movie's.
#[must_use]
pub fn from_item(mut item: Item) -> Option<(Movie, Option<ETag>)> {
    // serde_dynamo panics at what it does not know.
    item.retain(|_, value| is_known(value));
    let rating = match item.get_mut(INFO) {
        Some(AttributeValue::M(map)) => map.remove(RATING),
        _ => None,
    };
    let rating = match rating {
        Some(AttributeValue::N(number)) => Decimal::parse(&number),
        _ => None,
    };
    let item: MovieItem = serde_dynamo::from_item(item).ok()?;
    let id = MovieId { year: Year::new(item.year)?, title: Title::new(item.title)? };
    let info = item.info.unwrap_or_default();
    let info = Info {
        directors: info.directors,
        release_date: info.release_date,
        rating,
        genres: info.genres,
        image_url: info.image_url,
        plot: info.plot,
        rank: info.rank,
        running_time_secs: info.running_time_secs,
        actors: info.actors,
    };
    Some((Movie::stored(id, info), item.etag.map(ETag::from_text)))
}

/// Whether a value is of a type that there was when this was built; what is not is taken out of lists and maps.
fn is_known(value: &mut AttributeValue) -> bool {
    match value {
        AttributeValue::M(map) => map.retain(|_, value| is_known(value)),
        AttributeValue::L(list) => list.retain_mut(is_known),
        _ => {}
    }
    !value.is_unknown()
}

/// Whether a row has what every row of this API has, each known attribute of its type. What is unknown does not count.
pub(super) fn is_whole(item: &Item) -> bool {
    let Some(AttributeValue::M(info)) = item.get(INFO) else { return false };
    let texts = |value: &AttributeValue| matches!(value, AttributeValue::L(list) if list.iter().all(AttributeValue::is_s));
    item.get(ETAG).is_some_and(AttributeValue::is_s)
        && item.get(YEAR).is_some_and(AttributeValue::is_n)
        && item.get(TITLE).is_some_and(AttributeValue::is_s)
        && info.iter().all(|(name, value)| match name.as_str() {
            "directors" | "genres" | "actors" => texts(value),
            "release_date" | "image_url" | "plot" => value.is_s(),
            RATING => matches!(value, AttributeValue::N(number) if Decimal::parse(number).is_some()),
            "rank" | "running_time_secs" => matches!(value, AttributeValue::N(number) if number.parse::<u32>().is_ok()),
            _ => true,
        })
}

/// The row of a creation's key, with the ETag of what was made: a hash over all of it.
pub(super) fn of_key(key: &CreationKey<'_>, made: &ETag, expires: Duration) -> Item {
    HashMap::from([
        (CALLER.to_owned(), AttributeValue::S(key.caller.to_owned())),
        (KEY.to_owned(), AttributeValue::S(key.key.to_owned())),
        (ETAG.to_owned(), AttributeValue::S(made.as_str().to_owned())),
        (EXPIRES.to_owned(), AttributeValue::N(expires.as_secs().to_string())),
    ])
}

/// What was made under a key.
pub(super) fn made(item: &Item) -> Option<ETag> {
    item.get(ETAG)?.as_s().ok().map(ETag::from_text)
}

/// The key of a movie's row.
pub(super) fn key(id: &MovieId) -> Item {
    HashMap::from([
        (YEAR.to_owned(), AttributeValue::N(id.year.get().to_string())),
        (TITLE.to_owned(), AttributeValue::S(id.title.as_str().to_owned())),
    ])
}

/// The movie that a key addresses.
pub(super) fn id_of(key: &Item) -> Option<MovieId> {
    let year = key.get(YEAR)?.as_n().ok()?.parse().ok()?;
    let title = key.get(TITLE)?.as_s().ok()?;
    Some(MovieId { year: Year::new(year)?, title: Title::new(title.as_str())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rush() -> Movie {
        let names = |name: &str| Some(vec![name.to_owned()]);
        let id = MovieId { year: Year::new(2013).unwrap(), title: Title::new("Rush").unwrap() };
        let info = Info {
            directors: names("Ron Howard"),
            release_date: Some("2013-09-02T00:00:00Z".into()),
            rating: Decimal::parse("8.3"),
            genres: names("Action"),
            image_url: Some("https://example.org/rush.jpg".into()),
            plot: Some("Two drivers.".into()),
            rank: Some(2),
            running_time_secs: Some(7380),
            actors: names("Daniel Brühl"),
        };
        Movie::new(id, info).unwrap()
    }

    #[test]
    fn a_movie_survives_the_table_form() {
        let movie = rush();
        let (found, etag) = from_item(to_item(&movie).unwrap()).unwrap();
        assert_eq!(etag, Some(ETag::of(&found)));
        assert_eq!(found, movie);
    }

    #[test]
    fn absent_parts_are_not_stored_as_null() {
        let bare = Movie::new(rush().id().clone(), Info::default()).unwrap();
        let item = to_item(&bare).unwrap();
        assert_eq!(item[INFO], AttributeValue::M(HashMap::new()));
        assert_eq!(from_item(item).unwrap().0, bare);
    }

    #[test]
    fn an_attribute_of_a_wrong_type_costs_that_attribute_alone() {
        for name in ["directors", "release_date", "rating", "genres", "image_url", "plot", "rank", "running_time_secs", "actors"] {
            for wrong in [
                AttributeValue::Bool(true),
                AttributeValue::Null(true),
                AttributeValue::M(HashMap::new()),
                AttributeValue::N("-1E125".into()),
            ] {
                let mut item = to_item(&rush()).unwrap();
                let AttributeValue::M(map) = item.get_mut(INFO).unwrap() else { unreachable!() };
                map.insert(name.into(), wrong.clone());
                map.insert("unknown".into(), wrong);
                let (movie, _) = from_item(item).unwrap();
                let kept = |present: bool| usize::from(present);
                let info = movie.info();
                let parts = kept(info.directors.is_some())
                    + kept(info.release_date.is_some())
                    + kept(info.rating.is_some())
                    + kept(info.genres.is_some())
                    + kept(info.image_url.is_some())
                    + kept(info.plot.is_some())
                    + kept(info.rank.is_some())
                    + kept(info.running_time_secs.is_some())
                    + kept(info.actors.is_some());
                // The rating is a number, so a number is of its type whatever its size.
                assert!(parts >= 8, "{name}: {parts}");
                assert_eq!(info.actors.is_none(), name == "actors");
            }
        }
        let mut item = to_item(&rush()).unwrap();
        item.insert(INFO.into(), AttributeValue::S("gone".into()));
        item.remove(ETAG);
        let (movie, etag) = from_item(item).unwrap();
        assert_eq!((movie.info(), etag), (&Info::default(), None));
    }

    #[test]
    fn a_row_without_a_movies_key_is_no_movie() {
        let mut item = to_item(&rush()).unwrap();
        item.insert(YEAR.into(), AttributeValue::S("2013".into()));
        assert!(from_item(item).is_none());
        let mut item = to_item(&rush()).unwrap();
        item.remove(TITLE);
        assert!(from_item(item).is_none());
    }
}
