//! The form a movie has in the table. The only file that knows attribute names; a test holds its keys to `tables.json`.

use super::IdempotencyKey;
use crate::domain::{Decimal, ETag, Info, InfoPatch, Movie, MovieId, Position, Title, Year};
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// An item of the table.
pub type Item = HashMap<String, AttributeValue>;

pub(super) const YEAR: &str = "year";
pub(super) const TITLE: &str = "title";
const ETAG: &str = "etag";
const CALLER: &str = "caller";
pub(super) const KEY: &str = "key";
pub(super) const EXPIRES: &str = "expires_at";
const INFO: &str = "info";
const RATING: &str = "rating";

/// What an attribute of `info` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Names,
    Text,
    Number,
    Integer,
}

/// The attributes of `info`, with the tag by which [`etag`] has hashed each since the first
/// release, in this order. A field that is added has no tag: a version that does not know it must
/// hash it in the same way.
const FIELDS: [(&str, Kind, Option<u8>); 9] = [
    ("directors", Kind::Names, Some(b'd')),
    ("genres", Kind::Names, Some(b'g')),
    ("actors", Kind::Names, Some(b'a')),
    ("release_date", Kind::Text, Some(b'r')),
    (RATING, Kind::Number, Some(b's')),
    ("image_url", Kind::Text, Some(b'i')),
    ("plot", Kind::Text, Some(b'p')),
    ("rank", Kind::Integer, Some(b'k')),
    ("running_time_secs", Kind::Integer, Some(b'l')),
];

#[derive(Deserialize)]
struct MovieItem {
    year: u32,
    title: String,
    #[serde(default, deserialize_with = "lenient")]
    info: Option<InfoItem>,
}

/// Every part is read leniently: one attribute of a wrong type, written by who knows whom, must not make the movie
/// unreadable. The rating is not here: serde has no exact decimal, so it passes by serde's side.
#[derive(Default, Serialize, Deserialize)]
struct InfoItem {
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    directors: Option<Vec<String>>,
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    release_date: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    genres: Option<Vec<String>>,
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    image_url: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    plot: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    rank: Option<u32>,
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    running_time_secs: Option<u32>,
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    actors: Option<Vec<String>>,
}

fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(T::deserialize(deserializer).ok())
}

/// The item of a movie, with its ETag.
///
/// # Errors
/// None that a movie can cause: its parts are texts, lists and numbers.
pub fn to_item(movie: &Movie) -> Result<Item, serde_dynamo::Error> {
    let mut item = key(movie.id());
    item.insert(INFO.to_owned(), AttributeValue::M(to_info(movie.info())?));
    Ok(tagged(item))
}

fn to_info(info: &Info) -> Result<Item, serde_dynamo::Error> {
    let Info {
        directors,
        release_date,
        rating,
        genres,
        image_url,
        plot,
        rank,
        running_time_secs,
        actors,
    } = info.clone();
    let mut item: Item = serde_dynamo::to_item(InfoItem {
        directors,
        release_date,
        genres,
        image_url,
        plot,
        rank,
        running_time_secs,
        actors,
    })?;
    item.extend(rating.map(|rating| {
        (
            RATING.to_owned(),
            AttributeValue::N(rating.as_str().to_owned()),
        )
    }));
    Ok(item)
}

/// An item with the ETag of what it holds.
fn tagged(mut item: Item) -> Item {
    let etag = etag(&item);
    item.insert(ETAG.to_owned(), AttributeValue::S(etag.as_str().to_owned()));
    item
}

/// What a patch makes of an item. Attributes that it does not name stay as they are, whatever they
/// hold.
pub(super) fn patched(item: &Item, patch: &InfoPatch) -> Result<Item, serde_dynamo::Error> {
    let mut item = item.clone();
    let mut info = match item.remove(INFO) {
        Some(AttributeValue::M(info)) => info,
        other => {
            let is_named = !matches!(patch, InfoPatch::Fields { named, .. } if named.is_empty());
            item.extend(
                other
                    .filter(|_| !is_named)
                    .map(|other| (INFO.to_owned(), other)),
            );
            if !is_named {
                return Ok(item);
            }
            Item::new()
        }
    };
    match patch {
        InfoPatch::Clear => FIELDS
            .iter()
            .for_each(|(name, ..)| drop(info.remove(*name))),
        InfoPatch::Fields { named, values } => {
            named.iter().for_each(|name| drop(info.remove(name)));
            info.extend(to_info(values)?);
        }
    }
    item.insert(INFO.to_owned(), AttributeValue::M(info));
    Ok(item)
}

/// An update expression with what stands for names and values in it.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) expression: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
}

/// The update that makes `item` into `patched` and sets its ETag. It names what differs and nothing
/// else.
pub(super) fn changes(item: &Item, patched: &Item) -> Changes {
    let mut names = HashMap::from([
        ("#etag".to_owned(), ETAG.to_owned()),
        ("#info".to_owned(), INFO.to_owned()),
    ]);
    let mut values = Item::from([(
        ":etag".to_owned(),
        AttributeValue::S(etag(patched).as_str().to_owned()),
    )]);
    let (mut set, mut remove) = (vec!["#etag = :etag".to_owned()], Vec::new());
    match (item.get(INFO), patched.get(INFO)) {
        (Some(AttributeValue::M(before)), Some(AttributeValue::M(after))) => {
            let members: BTreeMap<_, _> = before
                .iter()
                .chain(after)
                .map(|(name, _)| (name, after.get(name)))
                .collect();
            for (number, (name, value)) in members
                .into_iter()
                .filter(|(name, value)| before.get(*name) != *value)
                .enumerate()
            {
                match value {
                    Some(value) => {
                        set.push(format!("#info.#u{number} = :u{number}"));
                        values.insert(format!(":u{number}"), value.clone());
                    }
                    None => remove.push(format!("#info.#u{number}")),
                }
                names.insert(format!("#u{number}"), name.clone());
            }
        }
        (_, Some(info)) => {
            set.push("#info = :info".to_owned());
            values.insert(":info".to_owned(), info.clone());
        }
        (_, None) => drop(names.remove("#info")),
    }
    let remove = if remove.is_empty() {
        String::new()
    } else {
        format!(" REMOVE {}", remove.join(", "))
    };
    Changes {
        expression: format!("SET {}{remove}", set.join(", ")),
        names,
        values,
    }
}

/// The ETag of an item: the first 128 bits of a SHA-256 over every attribute but the stored ETag,
/// in lower-case hex. What this version does not know counts too, so that versions which know
/// different fields agree, and an edit by another writer shows.
#[must_use]
pub fn etag(item: &Item) -> ETag {
    let attributes = item
        .iter()
        .filter(|(name, _)| *name != ETAG)
        .map(|(name, value)| ((false, name.as_str()), value));
    let mut rest: BTreeMap<(bool, &str), &AttributeValue> = attributes.collect();
    if let Some(AttributeValue::M(info)) = item.get(INFO) {
        rest.remove(&(false, INFO));
        rest.extend(
            info.iter()
                .map(|(name, value)| ((true, name.as_str()), value)),
        );
    }
    let mut hash = Hash(Sha256::new());
    // Changes whenever the same content is to be returned in another form.
    hash.0.update(b"movie 1");
    let key = [
        ((false, YEAR), Kind::Number, b'y'),
        ((false, TITLE), Kind::Text, b't'),
    ];
    let fields = FIELDS
        .iter()
        .filter_map(|(name, kind, tag)| Some(((true, *name), *kind, (*tag)?)));
    for (path, kind, tag) in key.into_iter().chain(fields) {
        if let Some(parts) = rest.get(&path).and_then(|value| kind.parts(value)) {
            rest.remove(&path);
            hash.0.update([tag]);
            hash.texts(&parts);
        }
    }
    for ((is_inside, name), value) in rest {
        hash.0.update([b'+', u8::from(is_inside)]);
        hash.bytes(name.as_bytes());
        hash.value(value);
    }
    let digest = hash.0.finalize();
    ETag::from_text(
        digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>(),
    )
}

impl Kind {
    /// A value as the texts that are hashed of it; `None` if it is of another kind.
    fn parts(self, value: &AttributeValue) -> Option<Vec<String>> {
        match (self, value) {
            (Self::Names, AttributeValue::L(names)) => {
                names.iter().map(|name| name.as_s().ok().cloned()).collect()
            }
            (Self::Text, AttributeValue::S(text)) => Some(vec![text.clone()]),
            (Self::Number | Self::Integer, AttributeValue::N(number)) => {
                Decimal::parse(number).map(|number| vec![number.to_string()])
            }
            _ => None,
        }
    }

    /// Whether this API writes such a value.
    fn takes(self, value: &AttributeValue) -> bool {
        let is_integer = || {
            value
                .as_n()
                .is_ok_and(|number| number.parse::<u32>().is_ok())
        };
        self.parts(value).is_some() && (self != Self::Integer || is_integer())
    }
}

/// Types, counts and lengths are hashed too: they keep ["ab"] and ["a", "b"], or a text and a
/// number, apart.
struct Hash(Sha256);

impl Hash {
    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn texts(&mut self, texts: &[String]) {
        self.count(texts.len());
        texts.iter().for_each(|text| self.bytes(text.as_bytes()));
    }

    /// A set has no order, a map neither, and a number no spelling.
    fn value(&mut self, value: &AttributeValue) {
        let number = |text: &String| {
            Decimal::parse(text).map_or_else(|| text.clone(), |number| number.to_string())
        };
        let sorted = |mut texts: Vec<String>| {
            texts.sort();
            texts
        };
        match value {
            AttributeValue::S(text) => {
                self.0.update(b"s");
                self.bytes(text.as_bytes());
            }
            AttributeValue::N(text) => {
                self.0.update(b"n");
                self.bytes(number(text).as_bytes());
            }
            AttributeValue::B(blob) => {
                self.0.update(b"b");
                self.bytes(blob.as_ref());
            }
            AttributeValue::Bool(value) => self.0.update(if *value { b"1" } else { b"0" }),
            AttributeValue::Null(_) => self.0.update(b"_"),
            AttributeValue::L(list) => {
                self.0.update(b"[");
                self.count(list.len());
                list.iter().for_each(|value| self.value(value));
            }
            AttributeValue::M(map) => {
                self.0.update(b"{");
                self.count(map.len());
                for (name, value) in map.iter().collect::<BTreeMap<_, _>>() {
                    self.bytes(name.as_bytes());
                    self.value(value);
                }
            }
            AttributeValue::Ss(texts) => {
                self.0.update(b"S");
                self.texts(&sorted(texts.clone()));
            }
            AttributeValue::Ns(numbers) => {
                self.0.update(b"N");
                self.texts(&sorted(numbers.iter().map(number).collect()));
            }
            AttributeValue::Bs(blobs) => {
                self.0.update(b"B");
                self.count(blobs.len());
                let mut blobs: Vec<_> = blobs.iter().map(AsRef::<[u8]>::as_ref).collect();
                blobs.sort_unstable();
                blobs.into_iter().for_each(|blob| self.bytes(blob));
            }
            // The SDK does not say what it holds.
            _ => self.0.update(b"?"),
        }
    }
}

/// The movie of an item. `None` for an item whose key is not a movie's.
#[must_use]
pub fn from_item(mut item: Item) -> Option<Movie> {
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
    let id = MovieId {
        year: Year::new(item.year)?,
        title: Title::new(item.title)?,
    };
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
    Some(Movie::stored(id, info))
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

/// Whether an item holds a value of a type that there was not when this was built.
pub(super) fn holds_unknown(value: &AttributeValue) -> bool {
    match value {
        AttributeValue::M(map) => map.values().any(holds_unknown),
        AttributeValue::L(list) => list.iter().any(holds_unknown),
        value => value.is_unknown(),
    }
}

/// Whether an attribute of this name is one that this API writes.
pub(super) fn is_known_name(name: &str) -> bool {
    [YEAR, TITLE, ETAG, INFO].contains(&name)
}

/// Whether an item is as this API writes it: each known attribute of its type, and the stored ETag
/// that of the content, `etag`. What is unknown does not count.
pub(super) fn is_well_formed(item: &Item, etag: &ETag) -> bool {
    let Some(AttributeValue::M(info)) = item.get(INFO) else {
        return false;
    };
    let fields = FIELDS
        .iter()
        .all(|(name, kind, _)| info.get(*name).is_none_or(|value| kind.takes(value)));
    let id = item.get(YEAR).is_some_and(AttributeValue::is_n)
        && item.get(TITLE).is_some_and(AttributeValue::is_s);
    let stored = item.get(ETAG).and_then(|stored| stored.as_s().ok());
    fields && id && stored.is_some_and(|stored| *stored == etag.as_str())
}

/// The row of a creation's key, with the ETag of what was made: a hash over all of it.
pub(super) fn of_key(key: &IdempotencyKey<'_>, made: &ETag, expires: Duration) -> Item {
    HashMap::from([
        (CALLER.to_owned(), AttributeValue::S(key.caller.to_owned())),
        (KEY.to_owned(), AttributeValue::S(key.key.to_owned())),
        (ETAG.to_owned(), AttributeValue::S(made.as_str().to_owned())),
        (
            EXPIRES.to_owned(),
            AttributeValue::N(expires.as_secs().to_string()),
        ),
    ])
}

/// What was made under a key.
pub(super) fn made(item: &Item) -> Option<ETag> {
    item.get(ETAG)?.as_s().ok().map(ETag::from_text)
}

/// The key of a movie's item.
pub(super) fn key(id: &MovieId) -> Item {
    HashMap::from([
        (
            YEAR.to_owned(),
            AttributeValue::N(id.year.get().to_string()),
        ),
        (
            TITLE.to_owned(),
            AttributeValue::S(id.title.as_str().to_owned()),
        ),
    ])
}

/// The key of an item at a position of a list.
pub(super) fn key_at(position: &Position) -> Item {
    HashMap::from([
        (YEAR.to_owned(), AttributeValue::N(position.year.clone())),
        (TITLE.to_owned(), AttributeValue::S(position.title.clone())),
    ])
}

/// The position of a key in a list. `None` for what is no key of this table.
pub(super) fn position(key: &Item) -> Option<Position> {
    Some(Position {
        year: key.get(YEAR)?.as_n().ok()?.clone(),
        title: key.get(TITLE)?.as_s().ok()?.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn rush() -> Movie {
        let names = |name: &str| Some(vec![name.to_owned()]);
        let id = MovieId {
            year: Year::new(2013).unwrap(),
            title: Title::new("Rush").unwrap(),
        };
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
        let item = to_item(&movie).unwrap();
        assert!(is_well_formed(&item, &etag(&item)), "{item:?}");
        assert_eq!(from_item(item).unwrap(), movie);
    }

    #[test]
    fn absent_parts_are_not_stored_as_null() {
        let bare = Movie::new(rush().id().clone(), Info::default()).unwrap();
        let item = to_item(&bare).unwrap();
        assert_eq!(item[INFO], AttributeValue::M(HashMap::new()));
        assert_eq!(from_item(item).unwrap(), bare);
    }

    #[test]
    fn an_attribute_of_a_wrong_type_costs_that_attribute_alone() {
        for name in [
            "directors",
            "release_date",
            "rating",
            "genres",
            "image_url",
            "plot",
            "rank",
            "running_time_secs",
            "actors",
        ] {
            for wrong in [
                AttributeValue::Bool(true),
                AttributeValue::Null(true),
                AttributeValue::M(HashMap::new()),
                AttributeValue::N("-1E125".into()),
            ] {
                let mut item = to_item(&rush()).unwrap();
                let AttributeValue::M(map) = item.get_mut(INFO).unwrap() else {
                    unreachable!()
                };
                map.insert(name.into(), wrong.clone());
                map.insert("unknown".into(), wrong);
                let movie = from_item(item).unwrap();
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
        assert_eq!(from_item(item).unwrap().info(), &Info::default());
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

    /// Changes one attribute of `info`, or takes it out.
    fn with(name: &str, value: Option<AttributeValue>) -> ETag {
        let mut item = to_item(&Movie::new(rush().id().clone(), Info::default()).unwrap()).unwrap();
        let AttributeValue::M(map) = item.get_mut(INFO).unwrap() else {
            unreachable!()
        };
        map.extend(value.map(|value| (name.to_owned(), value)));
        etag(&item)
    }

    #[test]
    fn every_attribute_its_type_and_its_form_count() {
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| AttributeValue::S((*text).into()))
                .collect()
        };
        let blob = |bytes: &[u8]| aws_sdk_dynamodb::primitives::Blob::new(bytes);
        let values = [
            AttributeValue::S("1".into()),
            AttributeValue::N("1".into()),
            AttributeValue::B(blob(b"1")),
            AttributeValue::Bool(true),
            AttributeValue::Bool(false),
            AttributeValue::Null(true),
            AttributeValue::L(texts(&[])),
            AttributeValue::L(texts(&["ab"])),
            AttributeValue::L(texts(&["a", "b"])),
            AttributeValue::L(vec![
                AttributeValue::L(texts(&["a"])),
                AttributeValue::S("b".into()),
            ]),
            AttributeValue::L(vec![AttributeValue::L(texts(&["a", "b"]))]),
            AttributeValue::M(Item::new()),
            AttributeValue::M(Item::from([(
                "a".to_owned(),
                AttributeValue::S("b".into()),
            )])),
            AttributeValue::Ss(vec!["ab".into()]),
            AttributeValue::Ss(vec!["a".into(), "b".into()]),
            AttributeValue::Ns(vec!["1".into()]),
            AttributeValue::Bs(vec![blob(b"1")]),
        ];
        let names = FIELDS
            .iter()
            .map(|(name, ..)| *name)
            .chain(["unknown", "etag", "year"]);
        let mut etags: HashSet<ETag> = names
            .flat_map(|name| {
                values
                    .iter()
                    .map(move |value| with(name, Some(value.clone())))
            })
            .collect();
        etags.insert(with("none", None));
        assert_eq!(etags.len(), (FIELDS.len() + 3) * values.len() + 1);
        // Beside `info` an attribute is another than in it.
        let mut item = to_item(&Movie::new(rush().id().clone(), Info::default()).unwrap()).unwrap();
        item.insert("unknown".into(), AttributeValue::S("1".into()));
        assert!(!etags.contains(&etag(&item)));
    }

    #[test]
    fn the_spelling_of_a_number_and_the_order_of_a_set_do_not_count() {
        let number = |name, text: &str| with(name, Some(AttributeValue::N(text.into())));
        for name in ["rating", "rank", "unknown"] {
            assert_eq!(number(name, "8.30"), number(name, "8.3"));
            assert_eq!(number(name, "1E2"), number(name, "100"));
        }
        let set = |texts: [&str; 2]| {
            with(
                "unknown",
                Some(AttributeValue::Ss(texts.map(str::to_owned).into())),
            )
        };
        assert_eq!(set(["a", "b"]), set(["b", "a"]));
        let numbers = |texts: [&str; 2]| {
            with(
                "unknown",
                Some(AttributeValue::Ns(texts.map(str::to_owned).into())),
            )
        };
        assert_eq!(numbers(["1", "2.0"]), numbers(["2", "1"]));
    }

    /// Clients, stored items and idempotency keys carry it: a change here makes all of these stale,
    /// so it must be meant.
    #[test]
    fn the_etag_is_kept_over_releases() {
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
        let of = |info: Info| etag(&to_item(&Movie::stored(rush().id().clone(), info)).unwrap());
        assert_eq!(
            of(Info::default()).as_str(),
            "411f0da366396d31ef17b26374b896c3"
        );
        assert_eq!(of(full).as_str(), "58a83df49995669ce48510c835a74514");
        assert_eq!(
            with(
                "languages",
                Some(AttributeValue::L(vec![AttributeValue::S("en".into())]))
            )
            .as_str(),
            "bcf3af8aee1e2150328b37c55d8c3ef5"
        );
        // A version that does not know a field hashes it as any other attribute: so must the
        // version that adds it.
        assert_eq!(
            FIELDS.iter().filter(|(.., tag)| tag.is_some()).count(),
            9,
            "a field that was added has a tag"
        );
    }

    #[test]
    fn an_item_is_well_formed_if_this_api_could_have_written_it() {
        let item = to_item(&rush()).unwrap();
        let is_well_formed_with = |change: &dyn Fn(&mut Item)| {
            let mut item = item.clone();
            change(&mut item);
            let item = tagged(item);
            is_well_formed(&item, &etag(&item))
        };
        let info = |item: &mut Item, name: &str, value| {
            let AttributeValue::M(map) = item.get_mut(INFO).unwrap() else {
                unreachable!()
            };
            map.insert(name.to_owned(), value);
        };
        assert!(is_well_formed_with(&|_| ()));
        assert!(is_well_formed_with(&|item| drop(
            item.insert("unknown".into(), AttributeValue::Null(true))
        )));
        assert!(is_well_formed_with(&|item| info(
            item,
            "unknown",
            AttributeValue::Null(true)
        )));
        assert!(!is_well_formed_with(&|item| drop(item.remove(INFO))));
        assert!(!is_well_formed_with(&|item| info(
            item,
            "rank",
            AttributeValue::N("2.5".into())
        )));
        for (name, ..) in FIELDS {
            assert!(
                !is_well_formed_with(&|item| info(item, name, AttributeValue::Null(true))),
                "{name}"
            );
        }
        let mut stale = item.clone();
        stale.insert(ETAG.into(), AttributeValue::S("0".repeat(32)));
        assert!(
            !is_well_formed(&stale, &etag(&stale)),
            "another writer left the ETag as it was"
        );
    }
}
