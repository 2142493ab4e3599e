//! Movies for tests.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// A movie with every field but the rating, as the API returns it.
#[must_use]
pub fn rush() -> Value {
    json!({
        "year": 2013,
        "title": "Rush",
        "info": {
            "directors": ["Ron Howard"],
            "release_date": "2013-09-02T00:00:00Z",
            "genres": ["Action", "Biography", "Drama", "Sport"],
            "image_url": "https://example.org/rush.jpg",
            "plot": "Two drivers, one season.",
            "rank": 2,
            "running_time_secs": 7380,
            "actors": ["Daniel Brühl", "Chris Hemsworth", "Olivia Wilde"]
        }
    })
}

/// A movie with plot and rating, as DynamoDB returns it. The ETag is that of the rest.
#[must_use]
pub fn rush_item() -> Value {
    json!({
        "year": { "N": "2013" },
        "title": { "S": "Rush" },
        "etag": { "S": "5dbb93d6504453c323e0658d8a9f41b9" },
        "info": { "M": { "plot": { "S": "Two drivers, one season." }, "rating": { "N": "8.3" } } },
    })
}

/// A movie of 2013 with nothing but its title.
#[must_use]
pub fn titled(title: &str) -> Value {
    json!({ "year": 2013, "title": title })
}

/// The path of a movie, with every character of the title encoded that may be.
#[must_use]
pub fn path_of(year: u64, title: &str) -> String {
    format!(
        "/movies/{year}/{}",
        utf8_percent_encode(title, NON_ALPHANUMERIC)
    )
}
