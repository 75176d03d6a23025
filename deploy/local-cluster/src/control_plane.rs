//! The programs of the control plane as words to start: etcd, API server, controller manager, scheduler, CoreDNS
//! and metrics-server. They run on the host, each listening on the cluster's own host address only.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::credentials::Kubeconfig;
use crate::files::{self, Access};
use crate::parts::Parts;
use crate::pki::{Authority, Pair, Subject, read, token_key};
use crate::process::Program;
use crate::state::{Record, State};
use crate::template;

/// Everything that the programs of one cluster are started with.
pub struct ControlPlane<'a> {
    pub state: &'a State,
    pub record: &'a Record,
    pub parts: &'a Parts,
    host: Ipv4Addr,
    /// Signs everybody's certificate but etcd's and the aggregation layer's.
    pub authority: Authority,
    etcd: Authority,
    aggregation: Authority,
    tokens: Pair,
}

impl<'a> ControlPlane<'a> {
    /// Certificates, kubeconfigs and configuration files: made once, then found.
    pub fn prepare(state: &'a State, record: &'a Record, parts: &'a Parts) -> Result<Self> {
        let pki = state.path("pki");
        let plane = Self {
            state,
            record,
            parts,
            host: record.slice()?.host(),
            authority: Authority::ensure(&pki, "ca")?,
            etcd: Authority::ensure(&pki.join("etcd"), "ca")?,
            aggregation: Authority::ensure(&pki.join("aggregation"), "ca")?,
            tokens: token_key(&pki)?,
        };
        plane.write_kubeconfigs()?;
        files::write(
            &state.path("audit-policy.yaml"),
            include_str!("../files/audit-policy.yaml"),
            Access::Public,
        )?;
        Ok(plane)
    }

    pub fn server(&self) -> String {
        format!("https://{}:6443", self.host)
    }

    fn write_kubeconfigs(&self) -> Result<()> {
        let users = [
            ("admin", Subject::user("local-cluster:admin").in_group("system:masters")),
            ("controller-manager", Subject::user("system:kube-controller-manager")),
            ("scheduler", Subject::user("system:kube-scheduler")),
            ("kube-proxy", Subject::user("system:kube-proxy")),
            ("coredns", Subject::user("local-cluster:coredns")),
            ("metrics-server", Subject::user("local-cluster:metrics-server")),
        ];
        for (name, subject) in users {
            let pair = self.authority.issue(name, &subject)?;
            self.write_kubeconfig(&self.kubeconfig(name), &pair)?;
        }
        Ok(())
    }

    /// A kubeconfig for this cluster with a pair of its authority.
    pub fn write_kubeconfig(&self, path: &Path, pair: &Pair) -> Result<()> {
        let authority = &self.authority.pair().certificate;
        Kubeconfig { cluster: self.state.name(), server: &self.server(), authority, pair }.write(path)
    }

    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.state.path(format!("{user}.kubeconfig"))
    }

    pub fn etcd(&self) -> Result<Program> {
        let subject = Subject::user("etcd").at(&[IpAddr::V4(self.host)]);
        let pair = self.etcd.issue("server", &subject)?;
        let host = self.host;
        let authority = shown(&self.etcd.pair().certificate);
        let mut words = vec![shown(&self.parts.etcd())];
        words.extend([
            format!("--data-dir={}", shown(&self.state.path("etcd"))),
            format!("--listen-client-urls=https://{host}:2379"),
            format!("--advertise-client-urls=https://{host}:2379"),
            format!("--listen-peer-urls=https://{host}:2380"),
            format!("--initial-advertise-peer-urls=https://{host}:2380"),
            format!("--initial-cluster=default=https://{host}:2380"),
            "--client-cert-auth".into(),
            format!("--trusted-ca-file={authority}"),
            format!("--cert-file={}", shown(&pair.certificate)),
            format!("--key-file={}", shown(&pair.key)),
            "--peer-client-cert-auth".into(),
            format!("--peer-trusted-ca-file={authority}"),
            format!("--peer-cert-file={}", shown(&pair.certificate)),
            format!("--peer-key-file={}", shown(&pair.key)),
            // A machine that loses power may lose the cluster; `down` and `up` make a new one.
            "--unsafe-no-fsync".into(),
            "--log-level=warn".into(),
        ]);
        Ok(Program { name: "etcd".into(), words, configuration: Vec::new() })
    }

    pub fn api_server(&self) -> Result<Program> {
        let mut words = vec![shown(&self.parts.kubernetes("kube-apiserver"))];
        words.extend(self.api_server_identity()?);
        words.extend(self.api_server_trust()?);
        words.extend([
            "--authorization-mode=Node,RBAC".into(),
            "--enable-admission-plugins=NodeRestriction".into(),
            "--allow-privileged=true".into(),
            "--enable-aggregator-routing=true".into(),
            format!("--service-cluster-ip-range={}", self.record.slice()?.services()),
            // Nobody balances load to it who would need a grace period.
            "--shutdown-delay-duration=0s".into(),
        ]);
        let policy = self.state.path("audit-policy.yaml");
        if self.record.audit {
            words.push(format!("--audit-policy-file={}", shown(&policy)));
            words.push(format!("--audit-log-path={}", shown(&self.state.path("audit.log"))));
        }
        words.extend(self.record.api_server_arguments.iter().cloned());
        Ok(Program { name: "kube-apiserver".into(), words, configuration: vec![policy] })
    }

    fn api_server_identity(&self) -> Result<Vec<String>> {
        let addresses =
            [self.host.into(), self.record.slice()?.api_service().into(), Ipv4Addr::LOCALHOST.into()];
        let names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
        ];
        let subject = Subject::user("kube-apiserver").named(&names).at(&addresses);
        let pair = self.authority.issue("kube-apiserver", &subject)?;
        Ok(vec![
            format!("--bind-address={}", self.host),
            format!("--advertise-address={}", self.host),
            "--secure-port=6443".into(),
            format!("--tls-cert-file={}", shown(&pair.certificate)),
            format!("--tls-private-key-file={}", shown(&pair.key)),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={}", shown(&self.tokens.certificate)),
            format!("--service-account-signing-key-file={}", shown(&self.tokens.key)),
        ])
    }

    /// Whom the API server believes, and how it shows itself to etcd, kubelets and aggregated servers.
    fn api_server_trust(&self) -> Result<Vec<String>> {
        let authority = shown(&self.authority.pair().certificate);
        let etcd = self.etcd.issue("api-server", &Subject::user("kube-apiserver"))?;
        let kubelet = Subject::user("kube-apiserver").in_group("system:masters");
        let kubelet = self.authority.issue("kube-apiserver-kubelet", &kubelet)?;
        let proxy = self.aggregation.issue("client", &Subject::user("front-proxy-client"))?;
        Ok(vec![
            format!("--client-ca-file={authority}"),
            format!("--etcd-servers=https://{}:2379", self.host),
            format!("--etcd-cafile={}", shown(&self.etcd.pair().certificate)),
            format!("--etcd-certfile={}", shown(&etcd.certificate)),
            format!("--etcd-keyfile={}", shown(&etcd.key)),
            format!("--kubelet-certificate-authority={authority}"),
            format!("--kubelet-client-certificate={}", shown(&kubelet.certificate)),
            format!("--kubelet-client-key={}", shown(&kubelet.key)),
            "--kubelet-preferred-address-types=InternalIP".into(),
            format!("--requestheader-client-ca-file={}", shown(&self.aggregation.pair().certificate)),
            "--requestheader-allowed-names=front-proxy-client".into(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
            "--requestheader-group-headers=X-Remote-Group".into(),
            "--requestheader-username-headers=X-Remote-User".into(),
            format!("--proxy-client-cert-file={}", shown(&proxy.certificate)),
            format!("--proxy-client-key-file={}", shown(&proxy.key)),
        ])
    }

    pub fn controller_manager(&self) -> Program {
        let ca = self.authority.pair();
        let mut words = vec![shown(&self.parts.kubernetes("kube-controller-manager"))];
        words.extend(self.client_words("controller-manager"));
        words.extend([
            format!("--bind-address={}", self.host),
            "--leader-elect=false".into(),
            "--use-service-account-credentials=true".into(),
            format!("--service-account-private-key-file={}", shown(&self.tokens.key)),
            format!("--root-ca-file={}", shown(&ca.certificate)),
            format!("--cluster-signing-cert-file={}", shown(&ca.certificate)),
            format!("--cluster-signing-key-file={}", shown(&ca.key)),
            // It makes the folder, whose default is the host's.
            format!("--flex-volume-plugin-dir={}", shown(&self.state.path("volume-plugins"))),
            // The default of 20 requests a second spreads its start over four seconds.
            "--kube-api-qps=500".into(),
            "--kube-api-burst=1000".into(),
            // Quick reactions are what tests wait for.
            "--node-monitor-period=1s".into(),
            "--horizontal-pod-autoscaler-sync-period=5s".into(),
        ]);
        words.extend(self.record.controller_manager_arguments.iter().cloned());
        Program { name: "kube-controller-manager".into(), words, configuration: Vec::new() }
    }

    pub fn scheduler(&self) -> Program {
        let mut words = vec![shown(&self.parts.kubernetes("kube-scheduler"))];
        words.extend(self.client_words("scheduler"));
        words.extend([format!("--bind-address={}", self.host), "--leader-elect=false".into()]);
        Program { name: "kube-scheduler".into(), words, configuration: Vec::new() }
    }

    fn client_words(&self, user: &str) -> Vec<String> {
        let path = shown(&self.kubeconfig(user));
        ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"]
            .map(|flag| format!("--{flag}={path}"))
            .to_vec()
    }

    /// CoreDNS with the names of the file `names`, which it reads again when it changes.
    pub fn coredns(&self, names: &Path) -> Result<Program> {
        let corefile = self.state.path("Corefile");
        let zone = self.state.path("root.zone");
        files::write(&zone, include_str!("../files/root.zone"), Access::Public)?;
        let values = [
            ("HOST", self.host.to_string()),
            ("ZONE", shown(&zone)),
            ("NAMES", shown(names)),
            ("KUBECONFIG", shown(&self.kubeconfig("coredns"))),
        ];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        template::write(&corefile, include_str!("../files/Corefile"), &values)?;
        let words = vec![shown(&self.parts.coredns()), "-conf".into(), shown(&corefile)];
        Ok(Program { name: "coredns".into(), words, configuration: vec![corefile, zone] })
    }

    pub fn metrics_server(&self) -> Result<Program> {
        let subject = Subject::user("metrics-server")
            .named(&["metrics-server.kube-system.svc"])
            .at(&[IpAddr::V4(self.host)]);
        let pair = self.authority.issue("metrics-server-serving", &subject)?;
        let mut words = vec![shown(&self.parts.metrics_server())];
        words.extend(self.client_words("metrics-server"));
        words.extend([
            format!("--bind-address={}", self.host),
            "--secure-port=4443".into(),
            format!("--tls-cert-file={}", shown(&pair.certificate)),
            format!("--tls-private-key-file={}", shown(&pair.key)),
            format!("--kubelet-certificate-authority={}", shown(&self.authority.pair().certificate)),
            "--kubelet-preferred-address-types=InternalIP".into(),
            // The resolution must be the larger of the two.
            "--metric-resolution=10s".into(),
            "--kubelet-request-timeout=5s".into(),
        ]);
        Ok(Program { name: "metrics-server".into(), words, configuration: Vec::new() })
    }

    /// The objects that CoreDNS and metrics-server need in the cluster.
    pub fn addons(&self) -> Result<String> {
        let authority = STANDARD.encode(read(&self.authority.pair().certificate)?);
        let values = [("HOST", self.host.to_string()), ("AUTHORITY", authority)];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        template::fill(include_str!("../files/addons.yaml"), &values)
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
