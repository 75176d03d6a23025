//! Numbers that are equal though they are written in two ways. Quantities are `quantity`.

use serde_json::Number;

/// Whether two numbers are equal though one is written as an integer and the other as a float.
pub(super) fn same_number(old: &Number, new: &Number) -> bool {
    old == new || integer(old).zip(integer(new)).is_some_and(|(old, new)| old == new)
}

/// The number without its zero fraction, in digits; none when it has a fraction.
pub(super) fn integer(number: &Number) -> Option<String> {
    match number.as_f64() {
        Some(float) if number.is_f64() => {
            let text = (float.fract() == 0.0).then(|| format!("{float:.0}"))?;
            Some(if text == "-0" { "0".to_owned() } else { text })
        }
        _ => Some(number.to_string()),
    }
}
