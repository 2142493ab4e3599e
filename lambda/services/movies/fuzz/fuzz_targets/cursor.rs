//! A cursor is refused, or is the very one that its query makes of the movie it names.

#![no_main]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use movies::domain::{Cursor, MovieId, Order, Position, Scope, Title, Year};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let year = |number: u16| Year::new(number.into());
    let whole = |year, prefix, order| Scope::Year { year, prefix, order };
    let Some(asked) = year(2013) else { return };
    let scopes = [
        Scope::All,
        whole(asked, None, Order::Ascending),
        whole(asked, None, Order::Descending),
        whole(asked, Title::new("R"), Order::Ascending),
    ];

    // As text, and as what a cursor holds. (No luck finds a hash of 96 bits, so the third way is the movie alone.)
    for scope in &scopes {
        for text in [std::str::from_utf8(bytes).unwrap_or_default(), &URL_SAFE_NO_PAD.encode(bytes)] {
            if let Some(position) = Cursor::decode(scope, text) {
                assert_eq!(Cursor::encode(scope, &position), text);
            }
        }
    }
    let Some((first, title)) = bytes.split_first_chunk() else { return };
    let title = std::str::from_utf8(title).ok().and_then(Title::new);
    let Some((year, title)) = year(u16::from_be_bytes(*first)).zip(title) else { return };
    let within = [true, year == asked, year == asked, year == asked && title.as_str().starts_with('R')];
    let position = Position::from(&MovieId { year, title });
    for (scope, within) in scopes.iter().zip(within) {
        assert_eq!(Cursor::decode(scope, &Cursor::encode(scope, &position)), within.then(|| position.clone()));
    }
});
