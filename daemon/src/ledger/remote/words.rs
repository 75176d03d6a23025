//! What git says, read: the lines that are made for programs, and the few words that tell trouble apart. No I/O.

use gix::ObjectId;

use crate::source::error::clean;
use crate::source::secret::Secret;

/// What became of one ref in a push, as `--porcelain` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It is where it was to go.
    Moved,
    /// It was not moved, with the summary.
    Rejected(String),
}

/// The line of one ref: `<flag> TAB <from>:<to> TAB <summary>` (git-push(1), "OUTPUT"). None where git has not come so far.
pub fn told(output: &str, name: &str) -> Option<Told> {
    let ours = |line: &str| {
        let (flag, rest) = line.split_once('\t')?;
        let (refs, summary) = rest.split_once('\t')?;
        let (_, to) = refs.split_once(':')?;
        if to != name {
            return None;
        }
        match flag {
            " " | "+" | "*" | "=" => Some(Told::Moved),
            // `-` is a ref that was deleted, which nobody asked for.
            _ => Some(Told::Rejected(summary.trim().to_owned())),
        }
    };
    output.lines().find_map(ours)
}

/// The tip of one ref among the lines of `ls-remote`, which shows whatever ends alike.
pub fn tip(output: &str, name: &str) -> Option<ObjectId> {
    let ours = |line: &str| {
        let (id, listed) = line.split_once('\t')?;
        if listed == name { ObjectId::from_hex(id.as_bytes()).ok() } else { None }
    };
    output.lines().find_map(ours)
}

/// True where what git says means that the other side does not accept our credentials. Git has no code for it, and `LC_ALL=C` keeps
/// its words; tests against real servers notice when they change.
pub fn is_denied(complaints: &str) -> bool {
    const WORDS: [&str; 8] = [
        // 401: git would ask for a name now, and nobody is there to tell one.
        "could not read Username",
        "could not read Password",
        "Authentication failed",
        "error: 401",
        "error: 403",
        // ssh, and the hosts behind it.
        "Permission denied",
        "ERROR: Permission to",
        "ERROR: Repository not found",
    ];
    let hidden = |line: &str| line.starts_with("fatal: repository '") && line.ends_with("' not found");
    WORDS.iter().any(|word| complaints.contains(word)) || complaints.lines().any(hidden)
}

/// What the other side said of its own accord: lines that git marks with `remote:`.
pub fn of_remote(complaints: &str) -> String {
    let lines = complaints.lines().filter_map(|line| line.strip_prefix("remote:"));
    lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Everything that was said, without advice.
pub fn complaint(complaints: &str) -> String {
    let lines = complaints.lines().map(str::trim);
    let words: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.starts_with("hint:"))
        // What every failure of ssh ends with.
        .take_while(|line| !line.starts_with("Please make sure you have the correct access rights"))
        .collect();
    words.join("; ")
}

/// A text of others as it may be shown: without secrets and control characters, and not too long.
pub fn shown(text: &str, secrets: &[Secret]) -> String {
    let masked = secrets.iter().fold(text.to_owned(), |text, secret| secret.mask(&text));
    clean(&without_users(&masked))
}

/// URLs without what stands before their `@`: a proxy's has a password there, and a redirect's may.
fn without_users(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let ends = |c: char| c == '/' || c.is_whitespace() || "'\"<>".contains(c);
        let (authority, tail) = after.split_at(after.find(ends).unwrap_or(after.len()));
        match authority.rsplit_once('@') {
            Some((_, host)) => shown.extend(["***@", host]),
            None => shown.push_str(authority),
        }
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "refs/heads/deploylog/c/e/0";
    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn the_lines_of_a_push_are_read_by_their_flags() {
        let line = |flag: &str, summary: &str| format!("To /r.git\n{flag}\t{ID}:{NAME}\t{summary}\nDone\n");
        for flag in [" ", "*", "=", "+"] {
            assert_eq!(told(&line(flag, "[new branch]"), NAME), Some(Told::Moved), "`{flag}`");
        }
        for flag in ["!", "-", "?"] {
            let rejected = Some(Told::Rejected("[rejected] (stale info)".to_owned()));
            assert_eq!(told(&line(flag, "[rejected] (stale info)"), NAME), rejected, "`{flag}`");
        }
        assert_eq!(told(&line("*", ""), "refs/heads/deploylog/c/e/1"), None);
        assert_eq!(told("To /r.git\n", NAME), None);
    }

    #[test]
    fn a_tip_is_that_of_the_very_ref() {
        let listed = format!("{}\trefs/heads/x/{NAME}\n{ID}\t{NAME}\n", "f".repeat(40));
        assert_eq!(tip(&listed, NAME).map(|id| id.to_string()).as_deref(), Some(ID));
        assert_eq!(tip("", NAME), None);
    }

    #[test]
    fn words_of_the_remote_are_told_from_gits_own() {
        let said = "remote: error: GH006: Protected branch        \nremote: \nremote: ask Ada\nerror: failed to push\n";
        assert_eq!(of_remote(said), "error: GH006: Protected branch ask Ada");
        assert_eq!(
            complaint(
                "hint: pull first\nfatal: no\n\nPlease make sure you have the correct access rights\nand"
            ),
            "fatal: no"
        );
    }

    #[test]
    fn nothing_secret_is_shown() {
        let secrets = [Secret::new("hunter2")];
        let said = "unable to access 'http://me:other@proxy:3128/': http://a@b, hunter2\u{1b}[31m://";
        let shown = shown(said, &secrets);
        assert_eq!(shown, "unable to access 'http://***@proxy:3128/': http://***@b, *** [31m://");
    }

    #[test]
    fn refused_credentials_are_told_from_silence() {
        for said in [
            "fatal: could not read Username for 'https://h': terminal prompts disabled",
            "fatal: unable to access 'https://h/r/': The requested URL returned error: 403",
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "remote: Repository not found.\nfatal: repository 'https://h/r/' not found",
        ] {
            assert!(is_denied(said), "{said}");
        }
        for said in ["fatal: unable to access 'https://h/r/': Could not resolve host: h", "error: 500", ""] {
            assert!(!is_denied(said), "{said}");
        }
    }
}
