//! Expectations on a JSON body: what is there, held against what has to be.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::text;
use crate::policy::{Expectation, Json, JsonCheck, ScalarType, Tolerance};

/// One expectation and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Whether it holds.
    pub holds: bool,
    /// `/prediction = 21.4`.
    pub value: String,
    /// `20.35 ± 0.01`.
    pub threshold: String,
}

/// Holds one expectation against a body.
pub fn compare(json: &Json, body: &Value) -> Compared {
    let Json { pointer, check, location: _ } = json;
    let found = body.pointer(pointer);
    let shown = if pointer.is_empty() { "the body" } else { pointer };
    let value = match found {
        Some(found) => format!("{shown} = {}", text::value(&found.to_string())),
        None => format!("{shown} is not there"),
    };
    let (holds, threshold) = match check {
        JsonCheck::Equals(expectation) => {
            let Expectation { value, tolerance } = expectation;
            (found.is_some_and(|found| equal(value, found, *tolerance)), wanted(expectation))
        }
        JsonCheck::Absent => (found.is_none(), "nothing".to_owned()),
        JsonCheck::Type(wanted) => {
            (found.is_some_and(|found| type_of(found) == *wanted), name(*wanted).to_owned())
        }
    };
    Compared { holds, value, threshold }
}

/// The same value, numbers in it within the tolerance. 1 and 1.0 are one number.
fn equal(wanted: &Value, found: &Value, tolerance: Option<Tolerance>) -> bool {
    match (wanted, found) {
        (Value::Number(wanted), Value::Number(found)) => near(wanted, found, tolerance),
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len()
                && wanted.iter().zip(found).all(|(wanted, found)| equal(wanted, found, tolerance))
        }
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .all(|(key, wanted)| found.get(key).is_some_and(|found| equal(wanted, found, tolerance)))
        }
        (
            Value::Null
            | Value::Bool(_)
            | Value::String(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_),
            _,
        ) => wanted == found,
    }
}

fn near(wanted: &Number, found: &Number, tolerance: Option<Tolerance>) -> bool {
    if exactly(wanted, found) {
        return true;
    }
    let (Some(wanted), Some(found)) = (finite(wanted), finite(found)) else { return false };
    let Some(Tolerance { absolute, relative }) = tolerance else {
        // Whole numbers beyond 2^53 were compared above, and have no fraction that could be lost.
        return false;
    };
    let off = (wanted - found).abs();
    // A difference that is not a number is below nothing.
    let within = |most: f64| off.partial_cmp(&most).is_some_and(Ordering::is_le);
    absolute.is_some_and(within) || relative.is_some_and(|share| within(share * wanted.abs()))
}

/// The same number, however it is written.
fn exactly(wanted: &Number, found: &Number) -> bool {
    if let (Some(wanted), Some(found)) = (wanted.as_i64(), found.as_i64()) {
        return wanted == found;
    }
    if let (Some(wanted), Some(found)) = (wanted.as_u64(), found.as_u64()) {
        return wanted == found;
    }
    let compared = finite(wanted).zip(finite(found)).and_then(|(wanted, found)| wanted.partial_cmp(&found));
    compared == Some(Ordering::Equal)
}

fn finite(number: &Number) -> Option<f64> {
    number.as_f64().filter(|number| number.is_finite())
}

fn type_of(value: &Value) -> ScalarType {
    match value {
        Value::Null => ScalarType::Null,
        Value::Bool(_) => ScalarType::Boolean,
        Value::Number(_) => ScalarType::Number,
        Value::String(_) => ScalarType::String,
        Value::Array(_) => ScalarType::Array,
        Value::Object(_) => ScalarType::Object,
    }
}

fn name(wanted: ScalarType) -> &'static str {
    match wanted {
        ScalarType::String => "a string",
        ScalarType::Number => "a number",
        ScalarType::Boolean => "true or false",
        ScalarType::Array => "an array",
        ScalarType::Object => "an object",
        ScalarType::Null => "null",
    }
}

fn wanted(expectation: &Expectation) -> String {
    let Expectation { value, tolerance } = expectation;
    let value = text::value(&value.to_string());
    match tolerance {
        None | Some(Tolerance { absolute: None, relative: None }) => value,
        Some(Tolerance { absolute: Some(absolute), relative: None }) => format!("{value} ± {absolute}"),
        Some(Tolerance { absolute: None, relative: Some(relative) }) => {
            format!("{value} ± {} %", percent(*relative))
        }
        Some(Tolerance { absolute: Some(absolute), relative: Some(relative) }) => {
            format!("{value} ± {absolute} or {} %", percent(*relative))
        }
    }
}

/// Without the digits that a multiplication by 100 makes: 0.07 is 7 %, not 7.000000000000001 %.
fn percent(share: f64) -> f64 {
    (share * 100.0 * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::location::Location;

    fn expect(pointer: &str, check: JsonCheck, body: &Value) -> Compared {
        compare(&Json { pointer: pointer.to_owned(), check, location: Location::file("p.yaml") }, body)
    }

    fn equals(value: Value, absolute: Option<f64>, relative: Option<f64>) -> JsonCheck {
        let tolerance =
            (absolute.is_some() || relative.is_some()).then_some(Tolerance { absolute, relative });
        JsonCheck::Equals(Expectation { value, tolerance })
    }

    #[test]
    fn a_number_is_within_its_tolerance_or_not() {
        let price = |price: f64| {
            expect("/prediction", equals(json!(20.35), Some(0.01), None), &json!({ "prediction": price }))
                .holds
        };
        assert!(price(20.35) && price(20.355) && price(20.345));
        assert!(!price(20.37) && !price(25.35));
        let share = |found: f64| expect("", equals(json!(-200.0), None, Some(0.01)), &json!(found)).holds;
        assert!(share(-201.9) && share(-198.1) && !share(-203.0) && !share(200.0));
        let either = |found: f64| expect("", equals(json!(10.0), Some(0.5), Some(0.01)), &json!(found)).holds;
        assert!(either(10.4) && !either(10.6));
    }

    #[test]
    fn without_a_tolerance_a_number_is_the_same_however_it_is_written() {
        assert!(expect("", equals(json!(1), None, None), &json!(1.0)).holds);
        assert!(!expect("", equals(json!(1), None, None), &json!(1.000_001)).holds);
        let (large, larger) = (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64));
        assert!(!expect("", equals(large.clone(), None, None), &larger).holds);
        assert!(expect("", equals(large.clone(), None, None), &large).holds);
        assert!(!expect("", equals(json!(1), None, None), &json!("1")).holds);
        assert!(!expect("", equals(json!(1), None, None), &json!(true)).holds);
    }

    #[test]
    fn what_is_not_a_number_is_never_within_a_tolerance() {
        for found in [json!("NaN"), json!(null), json!("20.35"), json!([20.35])] {
            assert!(!expect("", equals(json!(20.35), Some(1e300), None), &found).holds, "{found}");
        }
        // A tolerance that is not a number, or without an end, lets nothing unusual through.
        assert!(!expect("", equals(json!(20.35), Some(f64::NAN), None), &json!(20.36)).holds);
        assert!(
            serde_json::from_str::<Value>("NaN").is_err() && serde_json::from_str::<Value>("1e999").is_err()
        );
    }

    #[test]
    fn a_tolerance_reaches_the_numbers_inside_of_lists_and_maps() {
        let wanted = || equals(json!({ "p": [1.0, 2.0], "m": "v1" }), Some(0.1), None);
        assert!(expect("", wanted(), &json!({ "p": [1.05, 1.95], "m": "v1" })).holds);
        assert!(!expect("", wanted(), &json!({ "p": [1.05, 2.2], "m": "v1" })).holds);
        assert!(!expect("", wanted(), &json!({ "p": [1.05], "m": "v1" })).holds);
        assert!(!expect("", wanted(), &json!({ "p": [1.0, 2.0], "m": "v1", "x": 1 })).holds);
    }

    #[test]
    fn absence_and_types_are_checked() {
        let body = json!({ "a": null, "l": [1], "s": "x" });
        assert!(expect("/error", JsonCheck::Absent, &body).holds);
        assert!(!expect("/a", JsonCheck::Absent, &body).holds);
        for (pointer, wanted) in [
            ("/a", ScalarType::Null),
            ("/l", ScalarType::Array),
            ("/s", ScalarType::String),
            ("/l/0", ScalarType::Number),
        ] {
            assert!(expect(pointer, JsonCheck::Type(wanted), &body).holds, "{pointer}");
        }
        assert!(!expect("/s", JsonCheck::Type(ScalarType::Number), &body).holds);
        assert!(!expect("/none", JsonCheck::Type(ScalarType::Null), &body).holds);
    }

    #[test]
    fn it_says_what_was_found_and_what_it_was_held_against() {
        let wrong =
            expect("/prediction", equals(json!(20.35), Some(0.01), None), &json!({ "prediction": 21.4 }));
        assert_eq!((wrong.value.as_str(), wrong.threshold.as_str()), ("/prediction = 21.4", "20.35 ± 0.01"));
        let missing = expect("/p", equals(json!(2), None, Some(0.07)), &json!({}));
        assert_eq!((missing.value.as_str(), missing.threshold.as_str()), ("/p is not there", "2 ± 7 %"));
        let long = expect("", equals(json!(1), None, None), &json!("x".repeat(5_000)));
        assert!(long.value.chars().count() < 200, "{}", long.value);
    }
}
