//! Names that Kubernetes accepts.

/// A DNS label: namespaces, among others.
pub fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.chars().all(|c| inner(c) || c == '-')
        && name.starts_with(inner)
        && name.ends_with(inner)
}

/// A DNS subdomain: almost every object.
pub fn is_subdomain(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        part.chars().all(|c| inner(c) || c == '-') && part.starts_with(inner) && part.ends_with(inner)
    };
    (1..=253).contains(&name.len()) && name.split('.').all(part)
}

/// What stands in a URL as one part: the objects of RBAC.
pub fn is_path_segment(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && !matches!(name, "." | "..")
        && !name.contains(['/', '%'])
        && !name.chars().any(char::is_control)
}
