//! Decodes titles of paths once. Each is rejected, or is a title whose path decodes to it.

#![no_main]

use movies::{api::path, domain::Title};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (year, title) = text.split_once('/').unwrap_or(("2013", text));
    if let Ok(id) = path::movie_id(year, title) {
        assert_eq!(
            percent_decode_str(title).decode_utf8().ok().as_deref(),
            Some(id.title.as_str())
        );
        assert_eq!(
            percent_decode_str(year).decode_utf8().ok().as_deref(),
            Some(&*id.year.get().to_string())
        );
    }
    // Any title has a path.
    if let Ok(title) = text.parse::<Title>() {
        let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        assert_eq!(
            path::movie_id("2013", &encoded).ok().map(|id| id.title),
            Some(title)
        );
    }
});
