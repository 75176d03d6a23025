//! Kubernetes quantities (`500m`, `1Gi`, `2e3`), as far as comparing two of them needs.

/// What every quantity is a whole multiple of: 10^-9, the finest that Kubernetes keeps.
const NANO_EXPONENT: i32 = 9;

/// No quantity in use has more digits; longer texts are compared as texts.
const MAX_QUANTITY_LENGTH: usize = 40;

/// Whether two texts are the same quantity. Texts that are no quantities are never equal to others.
///
/// Source of the format: `k8s.io/apimachinery/pkg/api/resource`.
pub fn quantities_equal(one: &str, other: &str) -> bool {
    one == other
        || quantity_in_nanos(one).zip(quantity_in_nanos(other)).is_some_and(|(one, other)| one == other)
}

/// The quantity in nano-units; none when it is not a quantity or not a whole number of them.
pub fn quantity_in_nanos(text: &str) -> Option<i128> {
    if text.len() > MAX_QUANTITY_LENGTH {
        return None;
    }
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let digits_end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at_checked(digits_end)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let unit = unit(suffix)?;
    let exponent = NANO_EXPONENT + unit.ten - i32::try_from(fraction.len()).ok()?;
    let scaled = scale_by_ten(mantissa.checked_mul(1_i128.checked_shl(unit.two)?)?, exponent)?;
    Some(if negative { -scaled } else { scaled })
}

struct Unit {
    ten: i32,
    two: u32,
}

fn unit(suffix: &str) -> Option<Unit> {
    let (ten, two) = match suffix {
        "" => (0, 0),
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        exponent => {
            let digits = exponent.strip_prefix(['e', 'E'])?;
            (digits.parse().ok().filter(|ten: &i32| (-30..=30).contains(ten))?, 0)
        }
    };
    Some(Unit { ten, two })
}

fn scale_by_ten(value: i128, exponent: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 { value.checked_mul(factor) } else { (value % factor == 0).then_some(value / factor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_quantity_in_several_spellings_is_equal() {
        for (one, other) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1Gi", "1024Mi"),
            ("1k", "1000"),
            ("2e3", "2k"),
            ("1.50", "1500m"),
            ("+1", "1"),
            ("-1", "-1000m"),
            ("0", "0Gi"),
            ("1E", "1000P"),
            ("100u", "0.1m"),
        ] {
            assert!(quantities_equal(one, other), "{one} = {other}");
        }
    }

    #[test]
    fn different_quantities_and_texts_that_are_none_differ() {
        for (one, other) in [
            ("1", "2"),
            ("1G", "1Gi"),
            ("1m", "1M"),
            ("", "0"),
            (".", "0"),
            ("1.2.3", "1.23"),
            ("-1", "1"),
            ("one", "1"),
            ("1e", "1"),
            ("99999999999999999999999999999999999999Ei", "1"),
            ("1 ", "1"),
        ] {
            assert!(!quantities_equal(one, other), "{one} != {other}");
        }
    }
}
