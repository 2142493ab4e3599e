//! Reads documents. Each is rejected with named fields, or is a movie that an item can store.

#![no_main]

use movies::{
    domain::StoredMovie,
    json::read_movie,
    store::item::{etag, from_item, to_item},
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    match read_movie(text) {
        Err(errors) => assert!(!errors.is_empty()),
        Ok(movie) => {
            let item = to_item(&movie).expect("every movie has an item");
            assert_eq!(
                item["etag"].as_s().map(String::as_str),
                Ok(etag(&item).as_str())
            );
            let stored = StoredMovie {
                id: movie.id().clone(),
                info: movie.info().clone(),
            };
            assert_eq!(from_item(item), Some((stored, true)));
        }
    }
});
