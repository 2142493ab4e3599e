//! What must hold of any document, tried on many. (What must of titles, cursors and numbers: beside the code.)

use movies::domain::{Decimal, Year};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_string_is_parsed_or_rejected_without_a_panic(text in any::<String>()) {
        let _ = movies::api::body::read_movie(&text);
        let _ = Decimal::parse(&text);
        let _ = Year::parse(&text);
    }
}
