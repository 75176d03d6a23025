//! Paths of sources: relative to the environment's folder, normalised, inside the repository.

/// The longest path that is taken.
const MAX_LENGTH: usize = 1024;

/// A path from the root of the repository, or why it is none.
pub fn resolve(folder: &str, path: &str) -> Result<String, &'static str> {
    if path.len() > MAX_LENGTH {
        return Err("is too long");
    }
    if path.starts_with('/') || path.starts_with('~') {
        return Err("is absolute; paths are relative to the environment's folder");
    }
    if path.contains('\\') || path.chars().any(char::is_control) {
        return Err("has a character that does not belong into a path");
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or("leaves the repository")?;
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err("is the whole repository; name a folder of it");
    }
    Ok(parts.join("/"))
}

/// Whether a path is another one or below it.
pub fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_environment_and_stay_in_the_repository() {
        let from = |path| resolve("environments/dev", path);
        assert_eq!(from("extras/").as_deref(), Ok("environments/dev/extras"));
        assert_eq!(from("../base/./shop").as_deref(), Ok("environments/base/shop"));
        assert_eq!(from("../../apps").as_deref(), Ok("apps"));
        assert_eq!(from(".").as_deref(), Ok("environments/dev"));
        for bad in ["../../../etc", "/etc", "~/x", "a\0b", "a\\b", "../..", &"x/".repeat(1000)] {
            assert!(from(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_folder_does_not_hold_what_only_begins_like_it() {
        assert!(is_within("a/b", "a/b") && is_within("a/b/c", "a/b"));
        assert!(!is_within("a/bc", "a/b"));
    }
}
