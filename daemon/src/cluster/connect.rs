//! From an environment's `cluster` to a connected client. Refuses what would run programs that nobody allowed, or trust
//! anybody.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::Layer as _;

use super::call::chain;
use super::exec::keep::Keeper;
use super::exec::{Programs, Refusal, allowed};
use super::pace::{Pace, PaceLayer};

/// Longest wait for a TCP and TLS connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// An open watch on which nothing comes for so long is dead: an API server sends bookmarks once a minute
/// (`defaultBookmarkFrequency` of its watch cache).
const SILENCE_LIMIT: Duration = Duration::from_mins(2);

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be read or does not hold what is asked for.
    #[error("failed to read the kubeconfig {path}: {message}")]
    Kubeconfig {
        /// Which file.
        path: String,
        /// Why.
        message: String,
    },
    /// The kubeconfig asks for something that we refuse.
    #[error("the kubeconfig {path} {what}, which is refused")]
    Refused {
        /// Which file.
        path: String,
        /// What it asks for.
        what: &'static str,
    },
    /// The kubeconfig names a program for credentials, and it is not run.
    #[error("the kubeconfig {path} {refusal}")]
    Program {
        /// Which file.
        path: String,
        /// Why it is not.
        refusal: Refusal,
    },
    /// Not inside a cluster.
    #[error("`inCluster` needs a service account mounted into the pod: {0}")]
    InCluster(String),
    /// The client could not be built (TLS material and the like).
    #[error("failed to build the client: {0}")]
    Client(String),
}

/// Which API server, and how to be let in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// The pod's own service account.
    InCluster,
    /// A kubeconfig file: `path`, or `KUBECONFIG` and then `~/.kube/config` when none; its current context when none.
    Kubeconfig {
        /// The file.
        path: Option<String>,
        /// The context.
        context: Option<String>,
    },
    /// A kubeconfig in a Secret of the cluster that the daemon runs in.
    KubeconfigSecret {
        /// The Secret's namespace.
        namespace: String,
        /// The Secret's name.
        name: String,
        /// The key in it.
        key: String,
        /// The context.
        context: Option<String>,
    },
}

impl Access {
    /// A short name for people: the context where one is named, else what it comes from.
    pub fn label(&self) -> &str {
        match self {
            Self::Kubeconfig { context: Some(context), .. }
            | Self::KubeconfigSecret { context: Some(context), .. } => context,
            Self::InCluster => "in-cluster",
            Self::Kubeconfig { path: None, .. } => "default",
            Self::Kubeconfig { path: Some(path), .. } => {
                let name = path.rsplit('/').next().unwrap_or(path);
                name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or(name)
            }
            Self::KubeconfigSecret { name, .. } => name,
        }
    }
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |context: &Option<String>| {
            context.as_ref().map_or(String::new(), |name| format!(", context {name}"))
        };
        match self {
            Self::InCluster => f.write_str("inCluster"),
            Self::Kubeconfig { path: Some(path), context } => write!(f, "kubeconfig {path}{}", of(context)),
            Self::Kubeconfig { path: None, context } => write!(f, "the daemon's kubeconfig{}", of(context)),
            Self::KubeconfigSecret { namespace, name, key, context } => {
                write!(f, "kubeconfig in Secret {namespace}/{name}, key {key}{}", of(context))
            }
        }
    }
}

/// What the operator of this process says about clusters; nothing in git does.
#[derive(Debug, Clone, Default)]
pub struct Means {
    /// The kubeconfig of environments that name none.
    pub kubeconfig: Option<PathBuf>,
    /// Programs that kubeconfigs may run for credentials.
    pub programs: Programs,
}

/// A connected client (the connection itself is made by its first request), whose requests keep to this pace, whoever sends
/// them.
pub async fn connect(access: &Access, means: &Means, pace: Arc<Pace>) -> Result<Client, ConnectError> {
    let (mut config, shown) = match access {
        Access::InCluster => {
            let config = Config::incluster().map_err(|error| ConnectError::InCluster(chain(&error)))?;
            (config, String::new())
        }
        Access::Kubeconfig { path, context } => {
            let path = path.as_deref().map(Path::new).or(means.kubeconfig.as_deref());
            let (kubeconfig, shown) = read(path)?;
            (from_kubeconfig(kubeconfig, context.clone(), &shown).await?, shown)
        }
        Access::KubeconfigSecret { namespace, name, key, context } => {
            let (kubeconfig, shown) = read_secret(namespace, name, key).await?;
            (from_kubeconfig(kubeconfig, context.clone(), &shown).await?, shown)
        }
    };
    config.connect_timeout = Some(CONNECT_DEADLINE);
    config.read_timeout = Some(SILENCE_LIMIT);
    // Retries are ours (call.rs): kube's own waits up to 1,000 s and hides a sick API server.
    config.default_retry = false;
    // Taken out, so that nothing but the keeper can run it.
    match config.auth_info.exec.take() {
        Some(exec) => {
            let program = allowed(&exec, &means.programs)
                .map_err(|refusal| ConnectError::Program { path: shown, refusal })?;
            let namespace = config.default_namespace.clone();
            Ok(Client::new(PaceLayer { pace }.layer(Keeper::new(config, program)), namespace))
        }
        None => client_of(config, pace),
    }
}

fn client_of(config: Config, pace: Arc<Pace>) -> Result<Client, ConnectError> {
    let builder = ClientBuilder::try_from(config).map_err(|error| ConnectError::Client(chain(&error)))?;
    Ok(builder.with_layer(&PaceLayer { pace }).build())
}

fn read(path: Option<&Path>) -> Result<(Kubeconfig, String), ConnectError> {
    let shown = path.map_or("KUBECONFIG or ~/.kube/config".to_owned(), |path| path.display().to_string());
    let read = match path {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    match read {
        Ok(kubeconfig) => Ok((kubeconfig, shown)),
        Err(error) => Err(ConnectError::Kubeconfig { path: shown, message: without_excerpt(&error) }),
    }
}

/// The error of a kubeconfig without the lines of it that the parser quotes: a token may stand there.
fn without_excerpt(error: &KubeconfigError) -> String {
    chain(error).lines().next().unwrap_or_default().to_owned()
}

/// The Secret is read with the pod's own service account.
async fn read_secret(namespace: &str, name: &str, key: &str) -> Result<(Kubeconfig, String), ConnectError> {
    let shown = format!("in Secret {namespace}/{name}");
    let failed = |message: String| ConnectError::Kubeconfig { path: shown.clone(), message };
    let config = Config::incluster().map_err(|error| ConnectError::InCluster(chain(&error)))?;
    let client = client_of(config, Arc::default())?;
    let api: kube::Api<Secret> = kube::Api::namespaced(client, namespace);
    let secret = super::call::once(api.get(name)).await.map_err(|error| failed(error.to_string()))?;
    let bytes = secret
        .data
        .and_then(|mut data| data.remove(key))
        .ok_or_else(|| failed(format!("it has no key {key}")))?;
    let text = String::from_utf8(bytes.0).map_err(|_| failed("it is not UTF-8".to_owned()))?;
    let kubeconfig = Kubeconfig::from_yaml(&text).map_err(|error| failed(without_excerpt(&error)))?;
    refuse_means(&kubeconfig, &shown)?;
    Ok((kubeconfig, shown))
}

async fn from_kubeconfig(
    kubeconfig: Kubeconfig,
    context: Option<String>,
    shown: &str,
) -> Result<Config, ConnectError> {
    refuse(&kubeconfig, context.as_deref(), shown)?;
    let options = KubeConfigOptions { context, cluster: None, user: None };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| ConnectError::Kubeconfig {
        path: shown.to_owned(),
        message: without_excerpt(&error),
    })
}

/// A kubeconfig from a Secret names no files: they would be the daemon's own, its service account's token among them,
/// sent to whatever server the Secret names. It names no program either, not even one that is allowed: its arguments and
/// variables would be those of whoever can write the Secret.
fn refuse_means(kubeconfig: &Kubeconfig, shown: &str) -> Result<(), ConnectError> {
    let users = || kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref());
    if users().any(|user| user.exec.is_some()) {
        let what = "runs a program for credentials (`exec`)";
        return Err(ConnectError::Refused { path: shown.to_owned(), what });
    }
    let clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
    let named = users().flat_map(|user| [&user.token_file, &user.client_certificate, &user.client_key]);
    if named.chain(clusters.map(|cluster| &cluster.certificate_authority)).any(Option::is_some) {
        let what = "names files (`tokenFile`, `client-certificate` and the like)";
        return Err(ConnectError::Refused { path: shown.to_owned(), what });
    }
    Ok(())
}

/// Refuses `auth-provider`, and unverified TLS, in the context that would be used. Of `exec` the allowance decides.
fn refuse(kubeconfig: &Kubeconfig, context: Option<&str>, path: &str) -> Result<(), ConnectError> {
    let wanted = context.or(kubeconfig.current_context.as_deref());
    let context = kubeconfig
        .contexts
        .iter()
        .find(|named| Some(named.name.as_str()) == wanted)
        .and_then(|named| named.context.as_ref());
    let Some(context) = context else { return Ok(()) };
    let user = kubeconfig.auth_infos.iter().find(|named| Some(&named.name) == context.user.as_ref());
    let refused = |what| Err(ConnectError::Refused { path: path.to_owned(), what });
    if user.and_then(|named| named.auth_info.as_ref()).is_some_and(|user| user.auth_provider.is_some()) {
        return refused("uses an `auth-provider`");
    }
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster);
    let cluster = cluster.and_then(|named| named.cluster.as_ref());
    if let Some(cluster) = cluster
        && cluster.insecure_skip_tls_verify == Some(true)
    {
        return refused("skips the verification of TLS (`insecure-skip-tls-verify`)");
    }
    if let Some(server) = cluster.and_then(|cluster| cluster.server.as_deref())
        && !is_private(server)
    {
        return refused("names a server without TLS (`http://`)");
    }
    Ok(())
}

/// True when what is sent to the server cannot be read on the way: TLS, or this machine's own loopback.
fn is_private(server: &str) -> bool {
    // What is no URL is the client's to complain of.
    let Ok(uri) = server.parse::<http::Uri>() else { return true };
    if uri.scheme_str() == Some("https") {
        return true;
    }
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_broken_kubeconfig_does_not_quote_it() {
        let text = "users:\n- name: a\n  user:\n    token: hunter2\n   bad: [\n";
        let error = Kubeconfig::from_yaml(text).expect_err("it is broken");
        let message = without_excerpt(&error);
        assert!(message.contains("line 5") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn a_server_without_tls_is_this_machine_or_refused() {
        for server in ["https://10.0.0.1", "http://127.0.0.1:8001", "http://[::1]:1", "http://localhost:1"] {
            assert!(is_private(server), "{server}");
        }
        for server in [
            "http://10.0.0.1",
            "HTTP://api.example.com",
            "api.example.com:80",
            "http://127.0.0.1.example.com",
        ] {
            assert!(!is_private(server), "{server}");
        }
    }

    #[test]
    fn a_kubeconfig_in_a_secret_names_no_files_and_no_programs() {
        let read = |text| Kubeconfig::from_yaml(text).expect("it is well formed");
        let token = read("users:\n- name: a\n  user: {tokenFile: /var/run/secrets/token}\n");
        assert!(matches!(refuse_means(&token, "x"), Err(ConnectError::Refused { .. })));
        let program = read("users:\n- name: a\n  user: {exec: {command: aws}}\n");
        assert!(matches!(refuse_means(&program, "x"), Err(ConnectError::Refused { .. })));
        let authority = read("clusters:\n- name: a\n  cluster: {certificate-authority: /etc/passwd}\n");
        assert!(matches!(refuse_means(&authority, "x"), Err(ConnectError::Refused { .. })));
        let whole =
            read("users:\n- name: a\n  user: {token: t}\nclusters:\n- name: a\n  cluster: {server: s}\n");
        assert!(refuse_means(&whole, "x").is_ok());
    }
}
