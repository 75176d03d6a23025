//! The certificates of a cluster: three authorities and the pairs they sign. Made once per cluster, kept in its
//! state folder; not for certificates that anything outside the cluster trusts.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::files::{self, Access};

/// Longer than a local cluster lives.
const VALID: Duration = Duration::days(3650);
/// Clocks of a suspended machine step back a little.
const VALID_BEFORE_NOW: Duration = Duration::hours(1);

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Pair {
    fn at(folder: &Path, name: &str) -> Self {
        Self { certificate: folder.join(format!("{name}.crt")), key: folder.join(format!("{name}.key")) }
    }

    fn exists(&self) -> bool {
        self.certificate.exists() && self.key.exists()
    }

    /// The certificate goes last: a pair is there when it is.
    fn write(&self, certificate: &str, key: &KeyPair) -> Result<()> {
        files::write(&self.key, key.serialize_pem(), Access::Private)?;
        files::write(&self.certificate, certificate, Access::Public)
    }
}

/// Who a certificate is for.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    pub user: String,
    /// The group that the API server sees in it.
    pub group: Option<String>,
    /// Names of a server.
    pub names: Vec<String>,
    /// Addresses of a server.
    pub addresses: Vec<IpAddr>,
}

impl Subject {
    pub fn user(name: impl Into<String>) -> Self {
        Self { user: name.into(), ..Self::default() }
    }

    pub fn in_group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    pub fn named(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub fn at(mut self, addresses: &[IpAddr]) -> Self {
        self.addresses = addresses.to_vec();
        self
    }

    fn parameters(&self) -> Result<CertificateParams> {
        let mut parameters = CertificateParams::new(self.names.clone())?;
        parameters
            .subject_alt_names
            .extend(self.addresses.iter().map(|address| SanType::IpAddress(*address)));
        parameters.distinguished_name.remove(DnType::CommonName);
        parameters.distinguished_name.push(DnType::CommonName, self.user.as_str());
        if let Some(group) = &self.group {
            parameters.distinguished_name.push(DnType::OrganizationName, group.as_str());
        }
        let now = OffsetDateTime::now_utc();
        parameters.not_before = now - VALID_BEFORE_NOW;
        parameters.not_after = now + VALID;
        Ok(parameters)
    }
}

/// An authority with the folder that its pairs go into.
pub struct Authority {
    folder: PathBuf,
    pair: Pair,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Loads the authority `name` from `folder`, or makes it.
    pub fn ensure(folder: &Path, name: &str) -> Result<Self> {
        files::create_folder(folder)?;
        let pair = Pair::at(folder, name);
        let mut parameters = Subject::user(format!("tidegate-{name}")).parameters()?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let key = if pair.exists() {
            KeyPair::from_pem(&read(&pair.key)?)
                .with_context(|| format!("failed to load {}", pair.key.display()))?
        } else {
            let key = KeyPair::generate()?;
            pair.write(&parameters.self_signed(&key)?.pem(), &key)?;
            key
        };
        // The issuer is rebuilt from name and key, which are what a signature refers to.
        Ok(Self { folder: folder.to_owned(), pair, issuer: Issuer::new(parameters, key) })
    }

    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// The pair `name` for `subject`, for both ends of a connection; one made before is kept.
    pub fn issue(&self, name: &str, subject: &Subject) -> Result<Pair> {
        let pair = Pair::at(&self.folder, name);
        if !pair.exists() {
            let mut parameters = subject.parameters()?;
            parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            parameters.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
            let key = KeyPair::generate()?;
            let certificate =
                parameters.signed_by(&key, &self.issuer).with_context(|| format!("failed to sign {name}"))?;
            pair.write(&certificate.pem(), &key)?;
        }
        Ok(pair)
    }
}

/// The key that signs the tokens of service accounts: the pair's "certificate" is the public key.
pub fn token_key(folder: &Path) -> Result<Pair> {
    files::create_folder(folder)?;
    let pair = Pair { certificate: folder.join("tokens.pub"), key: folder.join("tokens.key") };
    if !pair.exists() {
        let key = KeyPair::generate()?;
        pair.write(&key.public_key_pem(), &key)?;
    }
    Ok(pair)
}

pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}
