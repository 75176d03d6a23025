//! The order of resourceVersions.

use std::cmp::Ordering;

/// Which of two resourceVersions of one resource is the later one. Opaque by contract, they compare as numbers within one
/// resource since Kubernetes 1.35 (KEP-5504); none where one of them is no number.
pub fn compare(one: &str, other: &str) -> Option<Ordering> {
    Some(one.parse::<u128>().ok()?.cmp(&other.parse::<u128>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_versions_compare_as_numbers_or_not_at_all() {
        assert_eq!(compare("100", "99"), Some(Ordering::Greater));
        assert_eq!(compare("99", "100"), Some(Ordering::Less));
        assert_eq!(compare("340282366920938463463374607431768211456", "1"), None, "more than 128 bits");
        assert_eq!(compare("x", "1"), None);
        assert_eq!(compare("1", ""), None);
    }
}
