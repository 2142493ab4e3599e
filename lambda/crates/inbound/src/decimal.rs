//! Exact decimal numbers.
//!
//! `rust_decimal` has 28 digits, DynamoDB 38. `bigdecimal` would still need the grammar, the limits
//! and the canonical spelling of this module, and adds big integers.

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;
use std::{fmt, str::FromStr};
use thiserror::Error;

/// An exact decimal number with up to 38 significant digits, DynamoDB's limit.
///
/// It holds the value and not the spelling: `8.30`, `8.3` and `83e-1` are one number, written
/// `8.3`. A float is not exact: 8.3 has no binary form, and 38 digits do not fit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(String);

/// The string is not a number, has too many digits, or is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a number of up to 38 significant digits")]
pub struct InvalidDecimal;

/// DynamoDB's limit (Developer Guide, "Supported data types": Number).
const MAX_DIGITS: usize = 38;
/// Maximum length of a number's spelling in bytes. No number of 38 digits in DynamoDB's range needs
/// more; longer strings are rejected before they cost time.
const MAX_SPELLING: usize = 256;

impl FromStr for Decimal {
    type Err = InvalidDecimal;

    /// Reads a number as JSON and DynamoDB write it. The range is DynamoDB's: 1E-130 to 9.9…E+125.
    fn from_str(text: &str) -> Result<Self, InvalidDecimal> {
        parse(text).ok_or(InvalidDecimal)
    }
}

fn parse(text: &str) -> Option<Decimal> {
    if text.len() > MAX_SPELLING {
        return None;
    }
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
        None => (rest, 0),
    };
    let (integral, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let ascii_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if integral.is_empty() || !ascii_digits(integral) || !ascii_digits(fraction) {
        return None;
    }

    let all = format!("{integral}{fraction}");
    let digits = all.trim_start_matches('0').trim_end_matches('0');
    if digits.is_empty() {
        return Some(Decimal("0".to_owned()));
    }
    if digits.len() > MAX_DIGITS {
        return None;
    }
    // The position of the decimal point, counted from the first significant digit.
    let leading_zeros = i64::try_from(all.len() - all.trim_start_matches('0').len()).ok()?;
    let point = i64::try_from(integral.len()).ok()? - leading_zeros + exponent;
    if !(-129..=126).contains(&point) {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    let count = i64::try_from(digits.len()).ok()?;
    let zeros = |many: i64| "0".repeat(usize::try_from(many).unwrap_or(0));
    Some(Decimal(if point <= 0 {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else if point >= count {
        format!("{sign}{digits}{}", zeros(point - count))
    } else {
        let (integral, fraction) = digits.split_at(usize::try_from(point).ok()?);
        format!("{sign}{integral}.{fraction}")
    }))
}

fn exponent_of(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // A longer exponent is out of any range. `parse` alone would accept a second sign.
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: i64 = digits.parse().ok()?;
    Some(if text.starts_with('-') { -value } else { value })
}

impl Decimal {
    /// The number in plain notation, without exponent and redundant zeros.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether `low <= self <= high`, compared exactly.
    #[must_use]
    pub fn is_between(&self, low: u64, high: u64) -> bool {
        if self.0.starts_with('-') {
            return false;
        }
        let (integral, fraction) = self.0.split_once('.').unwrap_or((&self.0, ""));
        match integral.parse::<u64>() {
            Ok(integral) => {
                low <= integral && (integral < high || (integral == high && fraction.is_empty()))
            }
            Err(_) => false,
        }
    }

    /// The number as an integer, if it is one and fits.
    #[must_use]
    pub fn to_integer(&self) -> Option<u32> {
        self.0.parse().ok()
    }
}

impl AsRef<str> for Decimal {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Decimal {
    /// Writes an exact JSON number: the plain notation is one.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone())
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(text: &str) -> Option<String> {
        text.parse().ok().map(|number: Decimal| number.to_string())
    }

    #[test]
    fn every_spelling_of_a_number_is_read_as_one_value() {
        for (text, plain) in [
            ("8.3", "8.3"),
            ("8.30", "8.3"),
            ("83e-1", "8.3"),
            ("0.083E+2", "8.3"),
            ("8", "8"),
            ("8.0", "8"),
            ("100", "100"),
            ("1e2", "100"),
            ("0.5", "0.5"),
            ("5e-3", "0.005"),
            ("0", "0"),
            ("-0", "0"),
            ("0.000", "0"),
            ("0e999", "0"),
            ("-1.50", "-1.5"),
            ("007", "7"),
        ] {
            assert_eq!(spelled(text).as_deref(), Some(plain), "{text}");
        }
    }

    #[test]
    fn number_of_38_digits_is_read_and_one_of_39_is_rejected() {
        let most = "7.1234567890123456789012345678901234567";
        assert_eq!(spelled(most).as_deref(), Some(most));
        assert_eq!(spelled(&format!("{most}8")), None);
        assert_eq!(spelled(&format!("{most}000")).as_deref(), Some(most));
    }

    #[test]
    fn number_out_of_dynamodbs_range_is_rejected() {
        assert_eq!(spelled("1E-130").map(|text| text.len()), Some(132));
        assert_eq!(spelled("1E-131"), None);
        assert_eq!(spelled("9.9E125").map(|text| text.len()), Some(126));
        assert_eq!(spelled("1E126"), None);
        assert_eq!(spelled("1e400"), None);
        assert_eq!(spelled("1e99999999999999999999"), None);
    }

    #[test]
    fn string_that_is_not_a_number_is_rejected() {
        for text in [
            "", "-", ".", "1.", ".5", "e5", "1e", "1e+", "1e+-5", "+1", "1 ", " 1", "٣", "NaN",
            "Infinity", "0x1", "1_0", "--1", "1.2.3", "1-1",
        ] {
            assert_eq!(spelled(text), None, "{text:?}");
        }
        assert_eq!(spelled(&"1".repeat(10_000)), None);
    }

    #[test]
    fn decimal_is_compared_exactly_with_bounds() {
        let between = |text: &str| {
            text.parse()
                .is_ok_and(|number: Decimal| number.is_between(0, 10))
        };
        assert!(
            between("0")
                && between("10")
                && between("10.0")
                && between("9.99999999999999999999999999999999999")
        );
        assert!(
            !between("10.000000000000000000000000000000000001")
                && !between("-0.1")
                && !between("11")
                && !between("1e30")
        );
    }

    #[test]
    fn only_an_integral_decimal_converts_to_an_integer() {
        let integer = |text: &str| {
            text.parse()
                .ok()
                .and_then(|number: Decimal| number.to_integer())
        };
        assert_eq!(integer("7.0"), Some(7));
        assert_eq!(integer("1e3"), Some(1000));
        assert_eq!(integer("7.5"), None);
        assert_eq!(integer("-1"), None);
        assert_eq!(integer("4294967296"), None);
    }

    #[test]
    fn spelling_longer_than_256_bytes_or_an_exponent_longer_than_9_digits_is_rejected() {
        assert_eq!(spelled(&"0".repeat(256)).as_deref(), Some("0"));
        assert_eq!(spelled(&"0".repeat(257)), None);
        assert_eq!(spelled(&"0".repeat(300)), None);
        assert_eq!(spelled("0e999999999").as_deref(), Some("0"));
        assert_eq!(spelled("0e-999999999").as_deref(), Some("0"));
        assert_eq!(spelled("0e9999999999"), None);
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config {
            cases: 2_000, failure_persistence: None, ..Default::default()
        })]

        #[test]
        fn decimal_reads_back_as_itself(
            text in "-?[0-9]{1,20}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        ) {
            if let Ok(number) = text.parse::<Decimal>() {
                proptest::prop_assert_eq!(number.as_str().parse(), Ok(number.clone()));
                let (before, after): (f64, f64) =
                    (text.parse().unwrap(), number.as_str().parse().unwrap());
                proptest::prop_assert_eq!(before, after);
            }
        }
    }

    #[test]
    fn decimal_is_serialized_as_an_exact_json_number() {
        for text in ["8.3", "-0.5", "7.1234567890123456789012345678901234567"] {
            let number: Decimal = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&number).unwrap(), text);
        }
    }
}
