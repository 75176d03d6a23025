//! The texts that the API server parses when it decodes an object: quantities, times, base64.
//! In doubt a text is accepted: the server has the last word.

/// An amount such as `500m`, `1.5Gi` or `1e3`, as apimachinery's `ParseQuantity` reads it.
pub(super) fn is_quantity(text: &str) -> bool {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let suffix_at = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let Some((number, suffix)) = unsigned.split_at_checked(suffix_at) else { return false };
    let digits = number.chars().any(|c| c.is_ascii_digit());
    digits && number.matches('.').count() <= 1 && is_suffix(suffix)
}

fn is_suffix(suffix: &str) -> bool {
    match suffix {
        "" | "n" | "u" | "m" | "k" | "M" | "G" | "T" | "P" | "E" | "Ki" | "Mi" | "Gi" | "Ti" | "Pi"
        | "Ei" => true,
        _ => suffix.strip_prefix(['e', 'E']).is_some_and(is_exponent),
    }
}

fn is_exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.len() <= 18 && digits.chars().all(|c| c.is_ascii_digit())
}

/// A time as RFC 3339 writes it.
pub(super) fn is_date_time(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let Some((date, time)) = upper.split_once('T') else { return false };
    let date_fits = date.len() == 10 && date.parse::<jiff::civil::Date>().is_ok();
    date_fits && is_time(time)
}

fn is_time(text: &str) -> bool {
    let zone_at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let Some((clock, zone)) = text.split_at_checked(zone_at) else { return false };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let offset = zone.strip_prefix(['+', '-']);
    let zone_fits = zone == "Z" || offset.is_some_and(|offset| are_below(offset, &[24, 60]));
    are_below(clock, &[24, 60, 60])
        && zone_fits
        && !fraction.is_empty()
        && fraction.chars().all(|c| c.is_ascii_digit())
}

/// Two digits each, with colons between them, each below its bound.
fn are_below(text: &str, bounds: &[u8]) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let fits = |(part, bound): (&&str, &u8)| {
        part.len() == 2 && part.parse::<u8>().is_ok_and(|number| number < *bound)
    };
    parts.len() == bounds.len() && parts.iter().zip(bounds).all(fits)
}

/// Base64 with padding, as Go's `StdEncoding` reads it (line breaks are skipped).
pub(super) fn is_base64(text: &str) -> bool {
    let bare: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let padding = bare.iter().rev().take_while(|b| **b == b'=').count();
    let body = bare.iter().take(bare.len() - padding);
    bare.len().is_multiple_of(4)
        && padding <= 2
        && body.copied().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_the_api_server_reads_them() {
        for good in
            ["0", "1", "500m", "1.5Gi", ".5", "5.", "-1", "+1k", "1e3", "1E-3", "12E", "100n", " 1Gi "]
        {
            assert!(is_quantity(good), "{good}");
        }
        for bad in
            ["", "Gi", "1GB", "1 Gi", "1gi", "1.2.3", "one", "1e", "1e3.5", "0x10", "1KiB", "--1", "1K"]
        {
            assert!(!is_quantity(bad), "{bad}");
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        for good in ["2026-11-21T12:00:00Z", "2026-11-21T12:00:00.123456Z", "2026-11-21T12:00:00+02:00"] {
            assert!(is_date_time(good), "{good}");
        }
        for bad in [
            "",
            "2026-11-21",
            "2026-11-21 12:00:00Z",
            "2026-11-21T12:00:00",
            "2026-13-21T12:00:00Z",
            "2026-02-30T12:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T12:00Z",
            "2026-11-21T12:00:00.Z",
        ] {
            assert!(!is_date_time(bad), "{bad}");
        }
    }

    #[test]
    fn base64_needs_its_padding() {
        for good in ["", "YQ==", "YWI=", "YWJj", "YW\nJj", "+/+/"] {
            assert!(is_base64(good), "{good}");
        }
        for bad in ["YQ", "YQ=", "Y===", "hunter2", "YW Jj", "YQ==YQ==", "-_-_"] {
            assert!(!is_base64(bad), "{bad}");
        }
    }
}
