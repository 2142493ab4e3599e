//! The item of a movie in the table. This is the only file with attribute names other than those of
//! fields; a test compares its keys with `tables.json`.

use super::IdempotencyKey;
use crate::domain::{
    Decimal, ETag, Field, FieldMut, Info, InfoPatch, Movie, MovieId, Position, StoredMovie,
};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_dynamo::{from_attribute_value, to_attribute_value};
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

/// The kind of an attribute that [`etag`] hashes by a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Strings,
    String,
    Number,
}

/// The fields of the first release with the tag by which [`etag`] hashes each, in this order. It
/// never changes: stored items and clients hold these ETags. A field that is added has no tag,
/// because a version that does not know it must hash it in the same way.
const TAGS: [(&str, Kind, u8); 9] = [
    ("directors", Kind::Strings, b'd'),
    ("genres", Kind::Strings, b'g'),
    ("actors", Kind::Strings, b'a'),
    ("release_date", Kind::String, b'r'),
    ("rating", Kind::Number, b's'),
    ("image_url", Kind::String, b'i'),
    ("plot", Kind::String, b'p'),
    ("rank", Kind::Number, b'k'),
    ("running_time_secs", Kind::Number, b'l'),
];

/// The item of a movie, with its ETag.
///
/// # Errors
/// None that a movie can cause: its parts are strings, lists and numbers.
pub fn to_item(movie: &Movie) -> Result<Item, serde_dynamo::Error> {
    let mut item = key(movie.id());
    item.insert(INFO.to_owned(), AttributeValue::M(to_info(movie.info())?));
    Ok(tagged(item))
}

fn to_info(info: &Info) -> Result<Item, serde_dynamo::Error> {
    let mut item = Item::new();
    for (name, field) in info.fields() {
        let value = match field {
            Field::Strings(Some(strings)) => to_attribute_value(strings)?,
            Field::String(Some(string)) => to_attribute_value(string)?,
            // serde has no exact decimal.
            Field::Decimal(Some(number)) => AttributeValue::N(number.to_string()),
            Field::Integer(Some(number)) => to_attribute_value(number)?,
            Field::Strings(None)
            | Field::String(None)
            | Field::Decimal(None)
            | Field::Integer(None) => continue,
        };
        item.insert(name.to_owned(), value);
    }
    Ok(item)
}

/// Adds the ETag of its content to an item.
fn tagged(mut item: Item) -> Item {
    let etag = etag(&item);
    item.insert(ETAG.to_owned(), AttributeValue::S(etag.to_string()));
    item
}

/// Applies a patch to an item. Attributes that the patch does not name stay as they are, even if
/// they are malformed.
pub(super) fn patched(item: &Item, patch: &InfoPatch) -> Result<Item, serde_dynamo::Error> {
    let mut item = item.clone();
    if patch.names().is_empty() {
        return Ok(item);
    }
    let mut info = match item.remove(INFO) {
        Some(AttributeValue::M(info)) => info,
        _ => Item::new(),
    };
    for name in patch.names() {
        info.remove(*name);
    }
    info.extend(to_info(patch.values())?);
    item.insert(INFO.to_owned(), AttributeValue::M(info));
    Ok(item)
}

/// An update expression with its placeholders for names and values.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) expression: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
}

/// The update that changes `item` into `patched` and sets its ETag. It names only the attributes
/// that differ.
pub(super) fn changes(item: &Item, patched: &Item) -> Changes {
    let mut names = HashMap::from([
        ("#etag".to_owned(), ETAG.to_owned()),
        ("#info".to_owned(), INFO.to_owned()),
    ]);
    let mut values = Item::from([(
        ":etag".to_owned(),
        AttributeValue::S(etag(patched).to_string()),
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
/// in lower-case hex. Unknown attributes count too, so that versions which know different fields
/// agree, and an edit by another writer changes the ETag.
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
    // Change this if the same content is to be returned in another form.
    hash.0.update(b"movie 1");
    let key = [
        ((false, YEAR), Kind::Number, b'y'),
        ((false, TITLE), Kind::String, b't'),
    ];
    let fields = TAGS.map(|(name, kind, tag)| ((true, name), kind, tag));
    for (path, kind, tag) in key.into_iter().chain(fields) {
        if let Some(parts) = rest.get(&path).and_then(|value| kind.parts(value)) {
            rest.remove(&path);
            hash.0.update([tag]);
            hash.strings(&parts);
        }
    }
    for ((is_inside, name), value) in rest {
        hash.0.update([b'+', u8::from(is_inside)]);
        hash.bytes(name.as_bytes());
        hash.value(value);
    }
    let digest = hash.0.finalize();
    ETag::from(std::array::from_fn::<u8, 16, _>(|index| digest[index]))
}

impl Kind {
    /// The strings of a value that are hashed. `None` for a value of another kind.
    fn parts(self, value: &AttributeValue) -> Option<Vec<String>> {
        match (self, value) {
            (Self::Strings, AttributeValue::L(strings)) => strings
                .iter()
                .map(|string| string.as_s().ok().cloned())
                .collect(),
            (Self::String, AttributeValue::S(string)) => Some(vec![string.clone()]),
            (Self::Number, AttributeValue::N(number)) => {
                let number: Decimal = number.parse().ok()?;
                Some(vec![number.to_string()])
            }
            _ => None,
        }
    }
}

/// A hash that includes types, counts and lengths: `["ab"]` and `["a", "b"]` differ, and so do a
/// string and a number.
struct Hash(Sha256);

impl Hash {
    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn strings(&mut self, texts: &[String]) {
        self.count(texts.len());
        texts.iter().for_each(|text| self.bytes(text.as_bytes()));
    }

    /// Hashes sets and maps in sorted order and numbers by their value, because DynamoDB preserves
    /// neither order nor spelling.
    fn value(&mut self, value: &AttributeValue) {
        let number = |text: &String| {
            text.parse::<Decimal>()
                .map_or_else(|_| text.clone(), |number| number.to_string())
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
                self.strings(&sorted(texts.clone()));
            }
            AttributeValue::Ns(numbers) => {
                self.0.update(b"N");
                self.strings(&sorted(numbers.iter().map(number).collect()));
            }
            AttributeValue::Bs(blobs) => {
                self.0.update(b"B");
                self.count(blobs.len());
                let mut blobs: Vec<_> = blobs.iter().map(AsRef::<[u8]>::as_ref).collect();
                blobs.sort_unstable();
                blobs.into_iter().for_each(|blob| self.bytes(blob));
            }
            // The SDK does not expose the content of an unknown type.
            _ => self.0.update(b"?"),
        }
    }
}

/// Reads a movie leniently: a malformed attribute is left out instead of making the movie
/// unreadable. Also returns whether every known attribute is as this API writes it; unknown
/// attributes do not count. `None` for an item whose key is not a movie's.
#[must_use]
pub fn from_item(mut item: Item) -> Option<(StoredMovie, bool)> {
    let id = MovieId {
        year: item.get(YEAR)?.as_n().ok()?.parse().ok()?,
        title: match item.remove(TITLE)? {
            AttributeValue::S(title) => title.try_into().ok()?,
            _ => return None,
        },
    };
    let (mut attributes, mut is_well_formed) = match item.remove(INFO) {
        Some(AttributeValue::M(attributes)) => (attributes, true),
        _ => (Item::new(), false),
    };
    let mut info = Info::default();
    for (name, field) in info.fields_mut() {
        if let Some(value) = attributes.remove(name) {
            is_well_formed &= read(field, value);
        }
    }
    Some((StoredMovie { id, info }, is_well_formed))
}

/// Reads an attribute into a field, and returns whether it is as this API writes it.
fn read(field: FieldMut<'_>, value: AttributeValue) -> bool {
    // serde_dynamo panics on unknown types.
    if holds_unknown(&value) {
        return false;
    }
    // A set of strings is read as a list, but this API writes none.
    let is_set = value.is_ss();
    let is_read = match field {
        FieldMut::Strings(field) => set(field, from_attribute_value(value).ok()),
        FieldMut::String(field) => set(field, from_attribute_value(value).ok()),
        FieldMut::Decimal(field) => {
            let number = value.as_n().ok().and_then(|number| number.parse().ok());
            set(field, number)
        }
        FieldMut::Integer(field) => set(field, from_attribute_value(value).ok()),
    };
    is_read && !is_set
}

fn set<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    *field = value;
    field.is_some()
}

/// Returns whether the stored ETag is this one. Another writer may have left an older one.
pub(super) fn has_etag(item: &Item, etag: &ETag) -> bool {
    matches!(item.get(ETAG), Some(AttributeValue::S(stored)) if stored == etag.as_str())
}

/// Returns whether a value contains a type that is newer than this SDK.
pub(super) fn holds_unknown(value: &AttributeValue) -> bool {
    match value {
        AttributeValue::M(map) => map.values().any(holds_unknown),
        AttributeValue::L(list) => list.iter().any(holds_unknown),
        value => value.is_unknown(),
    }
}

/// Returns whether this API writes an attribute of this name.
pub(super) fn is_known_name(name: &str) -> bool {
    [YEAR, TITLE, ETAG, INFO].contains(&name)
}

/// The item of an `Idempotency-Key`, with the ETag of the movie that was created with it.
pub(super) fn idempotency_item(
    key: &IdempotencyKey<'_>,
    created: &ETag,
    expires: Duration,
) -> Item {
    HashMap::from([
        (CALLER.to_owned(), AttributeValue::S(key.caller.to_owned())),
        (KEY.to_owned(), AttributeValue::S(key.key.to_owned())),
        (ETAG.to_owned(), AttributeValue::S(created.to_string())),
        (
            EXPIRES.to_owned(),
            AttributeValue::N(expires.as_secs().to_string()),
        ),
    ])
}

/// The key of a movie's item.
pub(super) fn key(id: &MovieId) -> Item {
    HashMap::from([
        (YEAR.to_owned(), AttributeValue::N(id.year.to_string())),
        (TITLE.to_owned(), AttributeValue::S(id.title.to_string())),
    ])
}

/// The key of the item at a position of a listing.
pub(super) fn key_at(position: &Position) -> Item {
    HashMap::from([
        (YEAR.to_owned(), AttributeValue::N(position.year.clone())),
        (TITLE.to_owned(), AttributeValue::S(position.title.clone())),
    ])
}

/// The position of a key in a listing. `None` if it is not a key of this table.
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

    fn id() -> MovieId {
        MovieId {
            year: "2013".parse().unwrap(),
            title: "Rush".parse().unwrap(),
        }
    }

    fn full() -> Info {
        let names = |name: &str| Some(vec![name.to_owned()]);
        Info {
            directors: names("Ron Howard"),
            release_date: Some("2013-09-02T00:00:00Z".into()),
            rating: "8.3".parse().ok(),
            genres: names("Action"),
            image_url: Some("https://example.org/rush.jpg".into()),
            plot: Some("Two drivers.".into()),
            rank: Some(2),
            running_time_secs: Some(7380),
            actors: names("Daniel Brühl"),
        }
    }

    fn movie(info: Info) -> Movie {
        Movie::new(id(), info.try_into().unwrap())
    }

    /// The item of a movie with all fields.
    fn rush() -> Item {
        to_item(&movie(full())).unwrap()
    }

    /// The item of a movie without fields.
    fn bare() -> Item {
        to_item(&movie(Info::default())).unwrap()
    }

    fn info_of(item: &mut Item) -> &mut Item {
        let Some(AttributeValue::M(info)) = item.get_mut(INFO) else {
            unreachable!()
        };
        info
    }

    fn field_names() -> Vec<&'static str> {
        Info::default().fields().map(|(name, _)| name).collect()
    }

    /// The fields that are read from an item.
    fn read_fields(item: Item) -> Vec<&'static str> {
        let info = from_item(item).unwrap().0.info;
        let is_some = |field| match field {
            Field::Strings(field) => field.is_some(),
            Field::String(field) => field.is_some(),
            Field::Decimal(field) => field.is_some(),
            Field::Integer(field) => field.is_some(),
        };
        let some = info.fields().filter(|(_, field)| is_some(*field));
        some.map(|(name, _)| name).collect()
    }

    #[test]
    fn movie_with_every_field_reads_back_from_its_item() {
        assert_eq!(read_fields(rush()), field_names(), "a field has no sample");
        let stored = StoredMovie {
            id: id(),
            info: full(),
        };
        assert!(has_etag(&rush(), &etag(&rush())));
        assert_eq!(from_item(rush()), Some((stored, true)));
    }

    #[test]
    fn absent_fields_are_not_stored_as_null() {
        assert_eq!(bare()[INFO], AttributeValue::M(HashMap::new()));
        assert_eq!(from_item(bare()).unwrap().0.info, Info::default());
    }

    #[test]
    fn only_a_malformed_attribute_is_left_out() {
        for name in field_names() {
            for malformed in [
                AttributeValue::Bool(true),
                AttributeValue::Null(true),
                AttributeValue::M(HashMap::new()),
                AttributeValue::L(vec![AttributeValue::Bool(true)]),
                AttributeValue::N("x".into()),
            ] {
                let mut item = rush();
                info_of(&mut item).insert(name.into(), malformed.clone());
                info_of(&mut item).insert("unknown".into(), malformed);
                assert!(!from_item(item.clone()).unwrap().1, "{name}");
                let mut expected = field_names();
                expected.retain(|field| *field != name);
                assert_eq!(read_fields(item), expected);
            }
        }
        let mut item = rush();
        item.insert(INFO.into(), AttributeValue::S("gone".into()));
        let (movie, is_well_formed) = from_item(item).unwrap();
        assert_eq!((movie.info, is_well_formed), (Info::default(), false));
    }

    #[test]
    fn item_without_the_key_of_a_movie_is_not_a_movie() {
        for (name, value) in [
            (YEAR, AttributeValue::S("2013".into())),
            (YEAR, AttributeValue::N("1".into())),
            (YEAR, AttributeValue::N("2013.5".into())),
            (TITLE, AttributeValue::N("2013".into())),
            (TITLE, AttributeValue::S("a\n".into())),
        ] {
            let mut item = rush();
            item.insert(name.into(), value.clone());
            assert!(from_item(item).is_none(), "{name} {value:?}");
        }
        for name in [YEAR, TITLE] {
            let mut item = rush();
            item.remove(name);
            assert!(from_item(item).is_none(), "{name}");
        }
    }

    /// The ETag of a movie whose info has this attribute, or none.
    fn with(name: &str, value: Option<AttributeValue>) -> ETag {
        let mut item = bare();
        info_of(&mut item).extend(value.map(|value| (name.to_owned(), value)));
        etag(&item)
    }

    #[test]
    fn etag_depends_on_every_attribute_its_type_and_its_form() {
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
        let names: Vec<_> = [field_names(), vec!["unknown", "etag", "year"]].concat();
        let mut etags: HashSet<ETag> = names
            .iter()
            .flat_map(|name| {
                values
                    .iter()
                    .map(move |value| with(name, Some(value.clone())))
            })
            .collect();
        etags.insert(with("none", None));
        assert_eq!(etags.len(), names.len() * values.len() + 1);
        // Beside `info` an attribute is another than in it.
        let mut item = bare();
        item.insert("unknown".into(), AttributeValue::S("1".into()));
        assert!(!etags.contains(&etag(&item)));
    }

    #[test]
    fn etag_ignores_the_spelling_of_a_number_and_the_order_of_a_set() {
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

    /// Clients, stored items and idempotency keys have this ETag. Change it only on purpose,
    /// because all of them become stale.
    #[test]
    fn etag_is_stable_over_releases() {
        assert_eq!(etag(&bare()).as_str(), "411f0da366396d31ef17b26374b896c3");
        let list = AttributeValue::L(vec![
            AttributeValue::S("a".into()),
            AttributeValue::S("b".into()),
        ]);
        let mut first_release = bare();
        for (name, value) in [
            ("directors", list.clone()),
            ("genres", list.clone()),
            ("actors", list),
            ("release_date", AttributeValue::S("a".into())),
            ("rating", AttributeValue::N("8.3".into())),
            ("image_url", AttributeValue::S("a".into())),
            ("plot", AttributeValue::S("a".into())),
            ("rank", AttributeValue::N("1".into())),
            ("running_time_secs", AttributeValue::N("2".into())),
        ] {
            info_of(&mut first_release).insert(name.into(), value);
        }
        let etag = etag(&first_release);
        assert_eq!(etag.as_str(), "58a83df49995669ce48510c835a74514");
        assert_eq!(TAGS.len(), 9, "a field that was added has a tag");
        assert_eq!(
            with(
                "languages",
                Some(AttributeValue::L(vec![AttributeValue::S("en".into())]))
            )
            .as_str(),
            "bcf3af8aee1e2150328b37c55d8c3ef5"
        );
    }

    #[test]
    fn item_is_well_formed_if_this_api_could_have_written_it() {
        let is_well_formed_with = |change: &dyn Fn(&mut Item)| {
            let mut item = rush();
            change(&mut item);
            from_item(item).unwrap().1
        };
        let with = |name: &str, value: AttributeValue| {
            is_well_formed_with(&|item| drop(info_of(item).insert(name.into(), value.clone())))
        };
        assert!(is_well_formed_with(&|_| ()));
        assert!(with("unknown", AttributeValue::Null(true)));
        assert!(is_well_formed_with(&|item| {
            item.insert("unknown".into(), AttributeValue::Null(true));
        }));
        assert!(!is_well_formed_with(&|item| drop(item.remove(INFO))));
        assert!(!with("rank", AttributeValue::N("2.5".into())));
        // Read as a list, which is what this API writes instead.
        assert!(!with("actors", AttributeValue::Ss(vec!["a".into()])));
        for name in field_names() {
            assert!(!with(name, AttributeValue::Null(true)), "{name}");
        }
    }

    #[test]
    fn etag_that_another_writer_left_as_it_was_is_noticed() {
        let mut item = rush();
        item.insert(ETAG.into(), AttributeValue::S("0".repeat(32)));
        assert!(!has_etag(&item, &etag(&item)));
        item.insert(ETAG.into(), AttributeValue::Null(true));
        assert!(!has_etag(&item, &etag(&item)));
        item.remove(ETAG);
        assert!(!has_etag(&item, &etag(&item)));
        assert!(has_etag(&tagged(item.clone()), &etag(&item)));
    }
}
