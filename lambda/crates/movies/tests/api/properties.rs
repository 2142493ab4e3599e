//! What must hold of any cursor, number and document, tried on many. (Titles in paths: beside the code that decodes them.)

use movies::domain::{Cursor, Decimal, MovieId, Order, Scope, Title, Year};
use proptest::prelude::*;

fn title() -> impl Strategy<Value = Title> {
    prop_oneof![any::<String>(), "[ /?+&#%'.=;\\\\\"<>{}|^`~é😀\u{301}-]{1,40}"].prop_filter_map("no title", Title::new)
}

fn id() -> impl Strategy<Value = MovieId> {
    ((1888u32..=2100).prop_filter_map("no year", Year::new), title()).prop_map(|(year, title)| MovieId { year, title })
}

fn scope() -> impl Strategy<Value = Scope> {
    let order = prop_oneof![Just(Order::Ascending), Just(Order::Descending)];
    prop_oneof![
        Just(Scope::All),
        (id(), any::<bool>(), order).prop_map(|(id, prefixed, order)| Scope::Year {
            year: id.year,
            prefix: prefixed.then_some(id.title),
            order
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cursor_leads_back_to_where_it_was_made(id in id(), scope in scope()) {
        let within = match &scope {
            Scope::All => true,
            Scope::Year { year, prefix, .. } => *year == id.year && prefix.as_ref().is_none_or(|prefix| id.title.as_str().starts_with(prefix.as_str())),
        };
        let cursor = Cursor::encode(&scope, &id);
        prop_assert_eq!(Cursor::decode(&scope, &cursor), within.then_some(id));
    }

    #[test]
    fn a_cursor_of_another_query_leads_nowhere(id in id(), ours in scope(), theirs in scope()) {
        prop_assume!(ours != theirs);
        prop_assert_eq!(Cursor::decode(&theirs, &Cursor::encode(&ours, &id)), None);
    }

    #[test]
    fn no_text_is_a_cursor_by_accident(text in "[A-Za-z0-9_-]{0,80}", scope in scope()) {
        prop_assert_eq!(Cursor::decode(&scope, &text), None);
    }

    #[test]
    fn a_decimal_is_its_own_spelling(text in "-?[0-9]{1,20}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?") {
        if let Some(number) = Decimal::parse(&text) {
            prop_assert_eq!(Decimal::parse(number.as_str()), Some(number.clone()));
            let (before, after): (f64, f64) = (text.parse().unwrap(), number.as_str().parse().unwrap());
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn any_text_is_refused_or_read_but_never_a_panic(text in any::<String>()) {
        let _ = movies::http::body::read_movie(&text);
        let _ = Decimal::parse(&text);
        let _ = Year::parse(&text);
    }
}
