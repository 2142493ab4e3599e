//! A document is refused with the fields named, or is a movie that survives the table.

#![no_main]

use movies::{
    domain::ETag,
    http::body::read_movie,
    store::item::{from_item, to_item},
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    match read_movie(text) {
        Err(errors) => assert!(!errors.is_empty()),
        Ok(movie) => {
            let item = to_item(&movie).expect("every movie has a row");
            assert_eq!(from_item(item), Some((movie.clone(), Some(ETag::of(&movie)))));
        }
    }
});
