//! Properties of documents and values. (Those of titles, cursors and numbers are unit tests.)

use movies::domain::{Decimal, Year};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_string_is_parsed_or_rejected_without_a_panic(text in any::<String>()) {
        let _ = movies::json::read_movie(&text);
        let _ = text.parse::<Decimal>();
        let _ = text.parse::<Year>();
    }
}
