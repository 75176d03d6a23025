//! One node: its folder, configuration files and first process. What happens inside it is `files/node-init.sh`.

use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cgroup;
use crate::command;
use crate::control_plane::ControlPlane;
use crate::files::{self, Access};
use crate::network::Network;
use crate::parts::PAUSE_IMAGE;
use crate::pki::Subject;
use crate::process::{Program, Programs};
use crate::state::State;
use crate::template;

/// There when the kernel lets packets on a bridge pass iptables.
const BRIDGE_FILTER: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/// Node `number` of a cluster, counted from 1.
#[derive(Debug)]
pub struct Node<'a> {
    state: &'a State,
    number: u8,
}

impl<'a> Node<'a> {
    pub fn new(state: &'a State, number: u8) -> Self {
        Self { state, number }
    }

    /// The name of the Node object.
    pub fn name(&self) -> String {
        format!("{}-{}", self.state.name(), self.number)
    }

    /// The name of its program among the cluster's.
    pub fn program(&self) -> String {
        format!("node-{}", self.number)
    }

    pub fn folder(&self) -> PathBuf {
        self.state.path(format!("node-{}", self.number))
    }

    pub fn socket(&self) -> PathBuf {
        self.folder().join("containerd.sock")
    }

    /// Whether the node's containerd takes images.
    pub fn takes_images(&self) -> bool {
        UnixStream::connect(self.socket()).is_ok()
    }

    /// Of the whole machine, so the cluster's name is in it.
    fn group(&self) -> String {
        format!("tidegate-{}", self.name())
    }

    /// Starts the node unless it runs.
    pub fn ensure(&self, plane: &ControlPlane<'_>, network: &Network, programs: &Programs) -> Result<()> {
        self.write_files(plane)?;
        if !programs.is_running(&self.program()) {
            network.create_node(self.number, plane.record.nodes)?;
            cgroup::remove(&self.group())?;
            // One that nobody listens on would pass for the new one.
            files::remove_if_there(&self.socket())?;
        }
        cgroup::ensure(&self.group())?;
        let words = self.words(plane, network)?;
        let mut configuration = vec![self.state.path("node-init.sh")];
        configuration.extend(
            ["containerd.toml", "cni/pods.conflist", "kubelet.yaml", "kube-proxy.yaml"]
                .map(|file| self.folder().join(file)),
        );
        programs
            .ensure(&Program { name: self.program(), words, configuration })
            .with_context(|| format!("failed to start node {}", self.name()))
    }

    fn words(&self, plane: &ControlPlane<'_>, network: &Network) -> Result<Vec<String>> {
        let init = self.state.path("node-init.sh");
        files::write(&init, include_str!("../files/node-init.sh"), Access::Public)?;
        let shown = |path: &Path| path.display().to_string();
        let mut words =
            vec!["nsenter".to_owned(), format!("--net={}", shown(&network.namespace(self.number)))];
        words.extend(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc", "--uts", "sh"]
                .map(str::to_owned),
        );
        words.extend([
            shown(&init),
            shown(&self.folder()),
            shown(self.state.folder()),
            shown(plane.parts.kubernetes_folder()),
            shown(&plane.parts.pause_archive()),
            self.name(),
        ]);
        Ok(words)
    }

    fn write_files(&self, plane: &ControlPlane<'_>) -> Result<()> {
        let (folder, slice) = (self.folder(), plane.record.slice()?);
        files::create_folder(&folder.join("cni"))?;
        let address = slice.node(self.number);
        let user = format!("system:node:{}", self.name());
        let subject =
            Subject::user(user).in_group("system:nodes").named(&[&self.name()]).at(&[IpAddr::V4(address)]);
        let pair = plane.authority.issue(&self.name(), &subject)?;
        plane.write_kubeconfig(&folder.join("kubelet.kubeconfig"), &pair)?;
        let proxy = plane.authority.issue("kube-proxy", &Subject::user("system:kube-proxy"))?;
        plane.write_kubeconfig(&folder.join("kube-proxy.kubeconfig"), &proxy)?;

        let shown = |path: &Path| path.display().to_string();
        let values = [
            ("NODE", shown(&folder)),
            ("ADDRESS", address.to_string()),
            ("PAUSE", PAUSE_IMAGE.to_owned()),
            ("PODS", slice.pods_of(self.number)),
            ("AUTHORITY", shown(&plane.authority.pair().certificate)),
            ("CERTIFICATE", shown(&pair.certificate)),
            ("KEY", shown(&pair.key)),
            ("DNS", slice.host().to_string()),
            ("GROUP", self.group()),
            ("MASQUERADE", (!Path::new(BRIDGE_FILTER).exists()).to_string()),
        ];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        let write = |file: &str, text: &str| template::write(&folder.join(file), text, &values);
        write("address", "@ADDRESS@\n")?;
        write("resolv.conf", "nameserver @DNS@\n")?;
        write("containerd.toml", include_str!("../files/containerd.toml"))?;
        write("cni/pods.conflist", include_str!("../files/cni.conflist"))?;
        write("kubelet.yaml", include_str!("../files/kubelet.yaml"))?;
        let all_pods = slice.pods();
        let proxy_values: Vec<(&str, &str)> = values
            .iter()
            .map(|(name, value)| if *name == "PODS" { (*name, all_pods.as_str()) } else { (*name, *value) })
            .collect();
        template::write(
            &folder.join("kube-proxy.yaml"),
            include_str!("../files/kube-proxy.yaml"),
            &proxy_values,
        )
    }

    /// Imports a docker-archive into the node's containerd.
    pub fn load_image(&self, archive: &Path) -> Result<()> {
        let (socket, archive) =
            (self.socket(), archive.to_str().context("an archive path that is not text")?);
        let socket = socket.to_str().context("a socket path that is not text")?;
        command::run(&["ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", archive])
            .with_context(|| format!("failed to load {archive} into node {}", self.name()))?;
        Ok(())
    }

    /// Takes the node's groups away, after its end.
    pub fn remove_group(&self) -> Result<()> {
        cgroup::remove(&self.group())
    }
}
