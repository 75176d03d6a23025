//! Where a repository is: the URLs that are accepted, and those that are refused. No I/O.
//!
//! Two rules matter. Nothing that a remote program could read as an option (a host, user or path that begins with
//! `-`) passes, and no credentials are ever printed: `Display` masks them, and `Debug` is `Display`.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tidegate_core::ids::Digest;

use super::secret::Secret;

/// The longest URL that is read.
const URL_BYTES_MAX: usize = 2048;

/// Why a text is not a repository that Tidegate reads. The messages never repeat credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Nothing, or something absurdly long, or with control characters or spaces in it.
    #[error(
        "the repository's URL is empty, longer than {URL_BYTES_MAX} bytes, or contains spaces or control characters"
    )]
    Text,
    /// `ext::…`, `fd::…`: programs of the URL's choice.
    #[error("transport helpers (`{0}::`) run programs and are refused")]
    Helper(String),
    /// Neither https, ssh nor file.
    #[error("`{0}://` is not read: use https, ssh, file or a path")]
    Scheme(String),
    /// Not encrypted and not on this machine.
    #[error(
        "`http://` would send the token and the desired state unprotected: use https (plain http is read from loopback only, unless --allow-http is given)"
    )]
    PlainHttp,
    /// Something that a program could read as an option.
    #[error("the {part} of the repository's URL begins with `-`, which a program could read as an option")]
    OptionLike {
        /// Host, user or path.
        part: &'static str,
    },
    /// A part is missing or malformed.
    #[error("the repository's URL is not valid: {0}")]
    Malformed(String),
}

/// What a URL may be, beyond what is always allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only from this machine.
    #[default]
    LoopbackOnly,
    /// From anywhere (`--allow-http`).
    Anywhere,
}

/// A repository's place.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceUrl(Place);

/// The three ways to reach a repository.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Smart HTTP. The base has no credentials in it.
    Http {
        /// Scheme, host, port and path.
        base: reqwest::Url,
        /// What stood before the `@`.
        credentials: Option<(String, Secret)>,
    },
    /// The `ssh` program.
    Ssh {
        /// User, if the URL names one.
        user: Option<String>,
        /// Host name or address.
        host: String,
        /// Port, if the URL names one.
        port: Option<u16>,
        /// Path as the remote side reads it.
        path: String,
    },
    /// A folder of this machine.
    Local(PathBuf),
}

impl SourceUrl {
    /// Reads a URL, an scp-like address or a path.
    pub fn parse(text: &str, plain_http: PlainHttp) -> Result<Self, InvalidUrl> {
        let unfit = |c: char| c.is_control() || c.is_whitespace();
        let is_path = text.starts_with('/') || text.starts_with('.');
        let bad_characters =
            if is_path { text.chars().any(char::is_control) } else { text.chars().any(unfit) };
        if text.is_empty() || text.len() > URL_BYTES_MAX || bad_characters {
            return Err(InvalidUrl::Text);
        }
        if is_path {
            return local(Path::new(text));
        }
        refuse_option("path", text)?;
        if let Some((helper, _)) = text.split_once("::")
            && helper.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c))
        {
            return Err(InvalidUrl::Helper(helper.to_owned()));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return with_scheme(&scheme.to_ascii_lowercase(), rest, text, plain_http);
        }
        match text.split_once(':') {
            Some((address, path)) if !address.contains('/') => ssh(address, None, path),
            _ => local(Path::new(text)),
        }
    }

    /// The host; none of a folder of this machine.
    pub fn host(&self) -> Option<&str> {
        match &self.0 {
            Place::Http { base, .. } => base.host_str(),
            Place::Ssh { host, .. } => Some(host),
            Place::Local(_) => None,
        }
    }

    /// The folder, when the repository is one of this machine.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.0 {
            Place::Local(path) => Some(path),
            Place::Http { .. } | Place::Ssh { .. } => None,
        }
    }

    /// The digest that names the cache of this repository; credentials do not count.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_string().as_bytes())
    }

    pub(super) fn place(&self) -> &Place {
        &self.0
    }

    /// As the `git` program takes it, without credentials. Git reads `%XX` in URLs of ssh, which are not read here; and an scp-like
    /// address begins in the user's home, which a URL cannot say.
    pub(crate) fn for_git(&self) -> OsString {
        match &self.0 {
            Place::Http { base, .. } => base.as_str().into(),
            Place::Local(path) => path.into(),
            Place::Ssh { path, .. } if path.starts_with(['/', '~']) => {
                self.to_string().replace('%', "%25").into()
            }
            Place::Ssh { user, host, path, .. } => {
                let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                format!("{user}{host}:{path}").into()
            }
        }
    }

    /// The one protocol that git needs for it, as `GIT_ALLOW_PROTOCOL` names it.
    pub(crate) fn protocol(&self) -> &str {
        match &self.0 {
            Place::Http { base, .. } => base.scheme(),
            Place::Ssh { .. } => "ssh",
            Place::Local(_) => "file",
        }
    }
}

fn with_scheme(scheme: &str, rest: &str, text: &str, plain_http: PlainHttp) -> Result<SourceUrl, InvalidUrl> {
    match scheme {
        "https" | "http" => http(text, plain_http),
        "file" => match rest.strip_prefix("localhost").unwrap_or(rest) {
            path if path.starts_with('/') => local(Path::new(path)),
            _ => Err(InvalidUrl::Malformed("`file://` is followed by an absolute path".to_owned())),
        },
        "ssh" | "git+ssh" | "ssh+git" => {
            let (address, path) = rest
                .split_once('/')
                .ok_or_else(|| InvalidUrl::Malformed("`ssh://host/path` has no path".to_owned()))?;
            let path = if path.starts_with('~') { path.to_owned() } else { format!("/{path}") };
            let (host, port) = split_port(address)?;
            ssh(host, port, &path)
        }
        other => Err(InvalidUrl::Scheme(other.to_owned())),
    }
}

fn http(text: &str, plain_http: PlainHttp) -> Result<SourceUrl, InvalidUrl> {
    // The parser's own message could quote the text, and with it a password.
    let mut base = reqwest::Url::parse(text).map_err(|error| InvalidUrl::Malformed(error.to_string()))?;
    let host = base.host_str().unwrap_or_default().to_owned();
    if host.is_empty() {
        return Err(InvalidUrl::Malformed("it has no host".to_owned()));
    }
    refuse_option("host", &host)?;
    if base.query().is_some() || base.fragment().is_some() {
        return Err(InvalidUrl::Malformed("it has a query or a fragment".to_owned()));
    }
    if base.scheme() == "http" && plain_http == PlainHttp::LoopbackOnly && !is_loopback(&host) {
        return Err(InvalidUrl::PlainHttp);
    }
    let credentials = match (base.username(), base.password()) {
        ("", None) => None,
        (user, password) => Some((decode(user), Secret::new(decode(password.unwrap_or_default())))),
    };
    // These fail only for URLs without a host, which were refused above.
    let _ = base.set_username("");
    let _ = base.set_password(None);
    let path = base.path().trim_end_matches('/').to_owned();
    base.set_path(&path);
    Ok(SourceUrl(Place::Http { base, credentials }))
}

/// Undoes `%XX`; what is not valid UTF-8 afterwards stays as it was.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair = (*first == b'%').then(|| tail.get(..2)).flatten();
        let hex = pair
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(hex.unwrap_or(*first));
        rest = if hex.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `host:22` or `[::1]:22`; a user stays in front.
fn split_port(address: &str) -> Result<(&str, Option<u16>), InvalidUrl> {
    let Some((host, port)) = address.rsplit_once(':') else { return Ok((address, None)) };
    if port.ends_with(']') {
        return Ok((address, None));
    }
    let port = port.parse().map_err(|_| InvalidUrl::Malformed("its port is not a number".to_owned()))?;
    Ok((host, Some(port)))
}

fn ssh(address: &str, port: Option<u16>, path: &str) -> Result<SourceUrl, InvalidUrl> {
    let (user, host) = match address.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, address),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() || path.trim_matches('/').is_empty() {
        return Err(InvalidUrl::Malformed("it names no host or no path".to_owned()));
    }
    refuse_option("host", &host)?;
    refuse_option("user", user.as_deref().unwrap_or_default())?;
    refuse_option("path", path)?;
    if user.as_deref().is_some_and(|user| user.contains(':')) {
        return Err(InvalidUrl::Malformed("ssh takes a key, not a password in the URL".to_owned()));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:%".contains(c);
    if !host.chars().all(plain)
        || user.as_deref().is_some_and(|user| user.is_empty() || !user.chars().all(plain))
    {
        return Err(InvalidUrl::Malformed(
            "its user or host has characters that are not allowed there".to_owned(),
        ));
    }
    Ok(SourceUrl(Place::Ssh { user, host, port, path: path.to_owned() }))
}

fn local(path: &Path) -> Result<SourceUrl, InvalidUrl> {
    let path = std::path::absolute(path).map_err(|error| InvalidUrl::Malformed(error.to_string()))?;
    Ok(SourceUrl(Place::Local(path)))
}

fn refuse_option(part: &'static str, text: &str) -> Result<(), InvalidUrl> {
    if text.starts_with('-') { Err(InvalidUrl::OptionLike { part }) } else { Ok(()) }
}

impl FromStr for SourceUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        Self::parse(text, PlainHttp::default())
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Http { base, .. } => f.write_str(base.as_str()),
            Place::Ssh { user, host, port, path } => {
                f.write_str("ssh://")?;
                if let Some(user) = user {
                    write!(f, "{user}@")?;
                }
                if host.contains(':') {
                    write!(f, "[{host}]")?;
                } else {
                    f.write_str(host)?;
                }
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
                if path.starts_with('/') { f.write_str(path) } else { write!(f, "/{path}") }
            }
            Place::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, InvalidUrl> {
        text.parse::<SourceUrl>().map(|url| url.to_string())
    }

    #[test]
    fn the_usual_addresses_are_read() {
        for (text, shown) in [
            ("https://git.example.org/team/repo.git", "https://git.example.org/team/repo.git"),
            ("https://git.example.org/team/repo/", "https://git.example.org/team/repo"),
            ("http://127.0.0.1:8080/r", "http://127.0.0.1:8080/r"),
            ("http://[::1]:8080/r", "http://[::1]:8080/r"),
            ("ssh://git@host:2222/team/repo", "ssh://git@host:2222/team/repo"),
            ("ssh://git@[::1]:2222/repo", "ssh://git@[::1]:2222/repo"),
            ("ssh://host/~me/repo", "ssh://host/~me/repo"),
            ("git@host:team/repo.git", "ssh://git@host/team/repo.git"),
            ("file:///srv/git/repo", "/srv/git/repo"),
            ("/srv/git/my repo", "/srv/git/my repo"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn the_git_program_is_told_the_same_place() {
        for (text, told, protocol) in [
            ("https://me:secret@host/team/repo.git", "https://host/team/repo.git", "https"),
            ("ssh://git@host:2222/team/a%20b", "ssh://git@host:2222/team/a%2520b", "ssh"),
            ("ssh://host/~me/repo", "ssh://host/~me/repo", "ssh"),
            ("git@host:team/repo.git", "git@host:team/repo.git", "ssh"),
            ("/srv/git/my repo", "/srv/git/my repo", "file"),
        ] {
            let url: SourceUrl = text.parse().expect("valid");
            assert_eq!((url.for_git().to_str(), url.protocol()), (Some(told), protocol), "{text}");
        }
    }

    #[test]
    fn what_a_program_could_read_as_an_option_is_refused() {
        for text in [
            "-oProxyCommand=sh:repo",
            "ssh://-oProxyCommand=sh/repo",
            "ssh://-l@host/repo",
            "git@-host:repo",
            "git@host:-repo",
            "--upload-pack=sh",
            "https://-host/repo",
        ] {
            assert!(matches!(read(text), Err(InvalidUrl::OptionLike { .. })), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn helpers_and_unknown_schemes_are_refused() {
        assert!(matches!(read("ext::sh"), Err(InvalidUrl::Helper(_))));
        assert!(matches!(read("fd::17/repo"), Err(InvalidUrl::Helper(_))));
        assert!(matches!(read("git://host/repo"), Err(InvalidUrl::Scheme(_))));
        assert!(matches!(read("file://elsewhere/repo"), Err(InvalidUrl::Malformed(_))));
        assert!(matches!(read("https://host/repo\nx"), Err(InvalidUrl::Text)));
        assert!(matches!(read("ssh://user:word@host/repo"), Err(InvalidUrl::Malformed(_))));
        assert!(matches!(read("ssh://ho$(id)st/repo"), Err(InvalidUrl::Malformed(_))));
    }

    #[test]
    fn plain_http_is_for_loopback_unless_allowed() {
        assert_eq!(read("http://git.example.org/repo"), Err(InvalidUrl::PlainHttp));
        assert_eq!(read("http://127.0.0.1.example.org/repo"), Err(InvalidUrl::PlainHttp));
        assert!(SourceUrl::parse("http://git.example.org/repo", PlainHttp::Anywhere).is_ok());
    }

    #[test]
    fn credentials_are_never_printed_and_do_not_name_the_cache() {
        let url: SourceUrl = "https://me:s3cr%40t@host/repo".parse().expect("valid");
        assert_eq!(format!("{url} {url:?}"), "https://host/repo https://host/repo");
        let plain: SourceUrl = "https://host/repo".parse().expect("valid");
        assert_eq!(url.digest(), plain.digest());
        let Place::Http { credentials: Some((user, password)), .. } = url.place() else {
            panic!("no credentials")
        };
        assert_eq!((user.as_str(), password.expose()), ("me", "s3cr@t"));
    }
}
