//! Decodes cursors. Each is rejected, or equals the encoded cursor of its query and position.

#![no_main]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use movies::{
    api::cursor,
    domain::{Listing, MovieId, Order, Position, Title, Year},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let year = |number: u16| Year::try_from(u32::from(number)).ok();
    let of_year = |year, prefix, order| Listing::Year {
        year,
        prefix,
        order,
    };
    let Some(requested) = year(2013) else { return };
    let listings = [
        Listing::All,
        of_year(requested, None, Order::Ascending),
        of_year(requested, None, Order::Descending),
        of_year(requested, "R".parse().ok(), Order::Ascending),
    ];

    // Tries the input as a cursor, as the content of a cursor, and as a movie. The fuzzer cannot
    // guess the hash of 96 bits, so only the last one yields valid cursors.
    for listing in &listings {
        for text in [
            std::str::from_utf8(bytes).unwrap_or_default(),
            &URL_SAFE_NO_PAD.encode(bytes),
        ] {
            if let Ok(position) = cursor::decode(listing, text) {
                assert_eq!(cursor::encode(listing, &position), text);
            }
        }
    }
    let Some((first, title)) = bytes.split_first_chunk() else {
        return;
    };
    let title = std::str::from_utf8(title)
        .ok()
        .and_then(|title| title.parse::<Title>().ok());
    let Some((year, title)) = year(u16::from_be_bytes(*first)).zip(title) else {
        return;
    };
    let within = [
        true,
        year == requested,
        year == requested,
        year == requested && title.as_str().starts_with('R'),
    ];
    let position = Position::from(&MovieId { year, title });
    for (listing, within) in listings.iter().zip(within) {
        let cursor = cursor::encode(listing, &position);
        assert_eq!(
            cursor::decode(listing, &cursor).ok(),
            within.then(|| position.clone())
        );
    }
});
