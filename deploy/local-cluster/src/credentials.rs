//! Kubeconfigs with everything inside, so that they can be copied into a Secret or to another user.

use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::files::{self, Access};
use crate::pki::{Pair, read};

/// What a kubeconfig points to and as whom.
#[derive(Debug)]
pub struct Kubeconfig<'a> {
    pub cluster: &'a str,
    pub server: &'a str,
    pub authority: &'a Path,
    pub pair: &'a Pair,
}

impl Kubeconfig<'_> {
    pub fn write(&self, path: &Path) -> Result<()> {
        let encoded = |file: &Path| -> Result<String> { Ok(STANDARD.encode(read(file)?)) };
        let Self { cluster, server, authority, pair } = self;
        let (authority, certificate) = (encoded(authority)?, encoded(&pair.certificate)?);
        let key = encoded(&pair.key)?;
        let text = format!(
            "apiVersion: v1
kind: Config
current-context: {cluster}
clusters:
- name: {cluster}
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: {cluster}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {cluster}
  context:
    cluster: {cluster}
    user: {cluster}
"
        );
        files::write(path, text, Access::Private)
    }
}
