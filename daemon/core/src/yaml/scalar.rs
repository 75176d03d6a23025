//! What a scalar means to kubectl (sigs.k8s.io/yaml, which reads YAML 1.1 with some of its own habits).
//!
//! Checked against the real kubectl by `proptests/tests/yaml_agrees_with_kubectl.rs`.

/// What a plain scalar means.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// Nothing, `~`, `null`.
    Null,
    /// `true`, `yes`, `on`, `y`, ….
    Bool(bool),
    /// A whole number; also one that was written as a float (`1.0`, `1e3`).
    Integer(i64),
    /// A whole number that needs more than 63 bits; kubectl rounds it silently.
    TooLarge,
    /// Any other finite number.
    Float(f64),
    /// `.inf` and `.nan`, which JSON does not have.
    NotFinite,
    /// Everything else.
    Text,
}

/// Reads a plain scalar.
pub fn meaning(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Meaning::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Meaning::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf"
        | "-.Inf" | "-.INF" => Meaning::NotFinite,
        _ => match text.as_bytes().first() {
            Some(b'.') if is_decimal_float(text) => float(text),
            Some(b'0'..=b'9' | b'+' | b'-') => number(&text.replace('_', "")),
            Some(_) | None => Meaning::Text,
        },
    }
}

/// Reads what begins like a number, without its underscores.
fn number(text: &str) -> Meaning {
    match integer(text) {
        Some(Integer::Fits(value)) => return Meaning::Integer(value),
        Some(Integer::TooLarge) => return Meaning::TooLarge,
        None => {}
    }
    if is_decimal_float(text) {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
        return match float(text) {
            // `08` is no octal number and becomes 8; what a float cannot hold exactly would lose digits.
            Meaning::Integer(value) if whole && text.parse() != Ok(value) => Meaning::TooLarge,
            Meaning::Float(_) if whole => Meaning::TooLarge,
            other => other,
        };
    }
    // kubectl's parser has a second look at binary numbers, which lets one more sign through.
    let second_look = text.strip_prefix("0b").and_then(|digits| i64::from_str_radix(digits, 2).ok());
    second_look.map_or(Meaning::Text, Meaning::Integer)
}

enum Integer {
    Fits(i64),
    TooLarge,
}

/// An integer as Go's `ParseInt` reads it with base 0: `0x`, `0o`, `0b` and a leading `0` give the base.
fn integer(text: &str) -> Option<Integer> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = base(digits);
    // `from_str_radix` would take one more sign.
    if digits.is_empty() || !digits.bytes().all(|byte| char::from(byte).is_digit(base)) {
        return None;
    }
    let signed = if negative { format!("-{digits}") } else { digits.to_owned() };
    if let Ok(value) = i64::from_str_radix(&signed, base) {
        return Some(Integer::Fits(value));
    }
    // Unsigned 64 bits are still integers, but no sign may stand there; beyond them only decimals are numbers, as floats.
    let unsigned = !text.starts_with(['+', '-']) && u64::from_str_radix(digits, base).is_ok();
    unsigned.then_some(Integer::TooLarge)
}

fn base(digits: &str) -> (u32, &str) {
    let prefixed =
        |lower: &str, upper: &str| digits.strip_prefix(lower).or_else(|| digits.strip_prefix(upper));
    if let Some(rest) = prefixed("0x", "0X") {
        (16, rest)
    } else if let Some(rest) = prefixed("0o", "0O") {
        (8, rest)
    } else if let Some(rest) = prefixed("0b", "0B") {
        (2, rest)
    } else {
        match digits.strip_prefix('0') {
            Some(rest) if !rest.is_empty() => (8, rest),
            Some(_) | None => (10, digits),
        }
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, the floats of YAML.
fn is_decimal_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_is_one = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    mantissa_is_one && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

/// A float; whole ones become integers, as in JSON written by Go. What overflows stays text (`1e400`).
fn float(text: &str) -> Meaning {
    // 2^63, the first whole number that is not an i64.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    match text.parse::<f64>() {
        Ok(value) if !value.is_finite() => Meaning::Text,
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the bounds of i64")]
        Ok(value) if value.fract() == 0.0 && (-LIMIT..LIMIT).contains(&value) => {
            Meaning::Integer(value as i64)
        }
        Ok(value) => Meaning::Float(value),
        Err(_) => Meaning::Text,
    }
}

/// Whether YAML 1.1 reads a scalar as a number of base 60 (`12:30`, `1:30:00.5`), which kubectl and YAML 1.2 do not.
pub fn is_base_sixty(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    let whole = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut rest = parts.peekable();
    if !whole || rest.peek().is_none() || !first.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let below_sixty = |part: &str| {
        let part = part.split_once('.').map_or(part, |(part, _)| part);
        matches!(part.len(), 1 | 2)
            && part.parse::<u8>().is_ok_and(|value| value < 60)
            && !part.starts_with('+')
    };
    rest.all(below_sixty)
}

/// What kubectl would use as the key where a plain scalar is one; none where it refuses it.
pub fn key_text(text: &str) -> Option<String> {
    match meaning(text) {
        Meaning::Text => Some(text.to_owned()),
        Meaning::Bool(flag) => Some(flag.to_string()),
        Meaning::Integer(_) if is_written_as_float(text) => float_key(text),
        Meaning::Integer(value) => Some(value.to_string()),
        Meaning::Float(_) => float_key(text),
        Meaning::Null | Meaning::TooLarge | Meaning::NotFinite => None,
    }
}

fn is_written_as_float(text: &str) -> bool {
    integer(&text.replace('_', "")).is_none()
}

/// kubectl writes a float key with the digits of 32 bits.
fn float_key(text: &str) -> Option<String> {
    text.replace('_', "").parse::<f32>().ok().filter(|value| value.is_finite()).map(|value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_mean_what_kubectl_reads() {
        let integers = [
            ("0", 0),
            ("0644", 420),
            ("0777", 511),
            ("0o644", 420),
            ("010", 8),
            ("08", 8),
            ("0x1F", 31),
            ("0b11", 3),
            ("0b-11", -3),
            ("-0b11", -3),
            ("1_000", 1000),
            ("012345678901", 12_345_678_901),
            ("1.0", 1),
            ("1e3", 1000),
            ("+5", 5),
            ("-0", 0),
            ("-0.0", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ];
        for (text, value) in integers {
            assert_eq!(meaning(text), Meaning::Integer(value), "{text}");
        }
        for text in [
            "12:30",
            "1:30:00",
            "2026-11-21",
            "3e5f",
            "1e400",
            "<<",
            "=",
            "_1",
            "0b",
            "0x",
            "v1",
            "1.2.3",
            "+",
        ] {
            assert_eq!(meaning(text), Meaning::Text, "{text}");
        }
        for (text, value) in [("1.5", 1.5), (".5", 0.5), ("1e-3", 0.001), ("1e20", 1e20)] {
            assert_eq!(meaning(text), Meaning::Float(value), "{text}");
        }
        for text in
            ["9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775809"]
        {
            assert_eq!(meaning(text), Meaning::TooLarge, "{text}");
        }
    }

    #[test]
    fn times_are_numbers_of_base_sixty_to_yaml_1_1() {
        for text in ["12:30", "1:30:00", "-1:59", "190:20:30.15"] {
            assert!(is_base_sixty(text), "{text}");
        }
        for text in ["12:60", "8080:80", "a:1", "12", "12:", ":30", "1:2:3:x"] {
            assert!(!is_base_sixty(text), "{text}");
        }
    }

    #[test]
    fn keys_become_the_text_that_kubectl_makes_of_them() {
        for (text, key) in
            [("a", "a"), ("yes", "true"), ("0644", "420"), ("8080", "8080"), ("1.5", "1.5"), ("1.0", "1")]
        {
            assert_eq!(key_text(text).as_deref(), Some(key), "{text}");
        }
        assert_eq!(key_text("~"), None);
    }
}
