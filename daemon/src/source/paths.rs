//! Paths as users write them, made plain: relative to the root, with `/`, without `.` and `..`.

use tidegate_core::problem::{Code, Problem};

/// The path without needless parts; empty for the root. A path that leaves the root is refused.
pub(super) fn plain(path: &str) -> Result<String, Problem> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Err(Problem::error(
                        Code::SourcePath,
                        format!("the path `{path}` leaves the repository"),
                    )
                    .help("name a path inside the repository"));
                }
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Several paths, without those that lie below another one.
pub(super) fn distinct(paths: &[String]) -> Result<Vec<String>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut sorted: Vec<String> = Vec::new();
    for path in paths {
        match plain(path) {
            Ok(path) => sorted.push(path),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    sorted.sort();
    sorted.dedup();
    let kept =
        sorted.iter().filter(|path| !sorted.iter().any(|other| other != *path && is_below(path, other)));
    Ok(kept.cloned().collect())
}

/// True when the path is the folder or lies below it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// One path after the other.
pub(super) fn join(folder: &str, name: &str) -> String {
    match (folder.is_empty(), name.is_empty()) {
        (true, _) => name.to_owned(),
        (false, true) => folder.to_owned(),
        (false, false) => format!("{folder}/{name}"),
    }
}

/// The sub-path as it stands in front of paths: empty, or with a `/` at its end.
pub(super) fn prefix(subpath: &str) -> String {
    if subpath.is_empty() { String::new() } else { format!("{subpath}/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_plain_and_stay_inside() {
        assert_eq!(plain("./environments//production/"), Ok("environments/production".to_owned()));
        assert_eq!(plain("a/../b"), Ok("b".to_owned()));
        assert_eq!(plain(""), Ok(String::new()));
        assert!(plain("a/../../b").is_err());
        assert!(plain("../../etc").is_err());
    }

    #[test]
    fn a_path_below_another_is_read_once() {
        let paths =
            ["environments/production", "environments", "environments-old", "policies"].map(String::from);
        assert_eq!(
            distinct(&paths),
            Ok(vec!["environments".into(), "environments-old".into(), "policies".into()])
        );
        assert_eq!(distinct(&[String::new(), "a".to_owned()]), Ok(vec![String::new()]));
    }
}
