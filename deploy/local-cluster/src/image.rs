//! Images of one static program, as a docker-archive with one layer made by hand: no registry, no builder, no
//! base image. Images from a Dockerfile are not for this module.
//!
//! The same input gives the same bytes, so an image's id changes only with its program.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};

/// A tar block; header fields and padding follow from it (POSIX ustar).
const BLOCK: usize = 512;

/// What goes into an image.
#[derive(Debug, Clone)]
pub struct Image {
    /// The full name with a tag, `docker.io/local/name:tag`: containerd knows no short names.
    pub name: String,
    /// A static executable; it becomes `/<its file name>`.
    pub binary: PathBuf,
    /// Empty: the binary alone.
    pub entrypoint: Vec<String>,
    pub environment: Vec<(String, String)>,
}

impl Image {
    pub fn of_binary(name: impl Into<String>, binary: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), binary: binary.into(), entrypoint: Vec::new(), environment: Vec::new() }
    }
}

/// Writes the archive of `image` to `out`.
pub fn pack(image: &Image, out: &Path) -> Result<()> {
    let Image { name, binary, entrypoint, environment } = image;
    ensure!(
        name.split_once('/').is_some_and(|(host, rest)| host.contains('.') && rest.contains(':')),
        "image name {name} must have the form docker.io/local/name:tag"
    );
    let program = binary.file_name().and_then(|file| file.to_str()).context("the binary has no name")?;
    let content = fs::read(binary).with_context(|| format!("failed to read {}", binary.display()))?;
    let mut layer = Vec::with_capacity(content.len() + 8 * BLOCK);
    append(&mut layer, Entry { path: "tmp/", mode: 0o1777, kind: b'5' }, &[])?;
    append(&mut layer, Entry { path: program, mode: 0o755, kind: b'0' }, &content)?;
    finish(&mut layer);

    let entrypoint = if entrypoint.is_empty() { vec![format!("/{program}")] } else { entrypoint.clone() };
    let environment: Vec<String> = environment.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let layer_digest = digest(&layer);
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": { "Entrypoint": entrypoint, "Env": environment, "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
    })
    .to_string();
    let config_name = format!("{}.json", digest(config.as_bytes()));
    let layer_name = format!("{layer_digest}/layer.tar");
    let manifest = json!([{ "Config": config_name, "RepoTags": [name], "Layers": [layer_name] }]).to_string();

    let mut archive = Vec::with_capacity(layer.len() + 16 * BLOCK);
    append(&mut archive, Entry::file(&config_name), config.as_bytes())?;
    append(&mut archive, Entry::file(&layer_name), &layer)?;
    append(&mut archive, Entry::file("manifest.json"), manifest.as_bytes())?;
    finish(&mut archive);
    let mut file = File::create(out).with_context(|| format!("failed to create {}", out.display()))?;
    file.write_all(&archive).with_context(|| format!("failed to write {}", out.display()))
}

#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    path: &'a str,
    mode: u32,
    kind: u8,
}

impl<'a> Entry<'a> {
    fn file(path: &'a str) -> Self {
        Self { path, mode: 0o644, kind: b'0' }
    }
}

/// One entry of a tar file, owned by root, at the beginning of time.
fn append(tar: &mut Vec<u8>, entry: Entry<'_>, content: &[u8]) -> Result<()> {
    let Entry { path, mode, kind } = entry;
    ensure!(path.len() < 100, "{path} is too long for the header of a tar entry");
    let mut header = Vec::with_capacity(BLOCK);
    field(&mut header, path, 100);
    field(&mut header, &format!("{mode:07o}"), 8);
    field(&mut header, "0000000", 8);
    field(&mut header, "0000000", 8);
    field(&mut header, &format!("{:011o}", content.len()), 12);
    field(&mut header, "00000000000", 12);
    let checksum_at = header.len();
    header.extend([b' '; 8]);
    header.push(kind);
    field(&mut header, "", 100);
    field(&mut header, "ustar", 6);
    header.extend(b"00");
    header.resize(BLOCK, 0);
    // The sum is taken with its own field as spaces.
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    header.splice(checksum_at..checksum_at + 8, sum.bytes());
    tar.extend(header);
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

fn field(header: &mut Vec<u8>, text: &str, width: usize) {
    let end = header.len() + width;
    header.extend(text.bytes());
    header.resize(end, 0);
}

/// Two empty blocks end a tar file.
fn finish(tar: &mut Vec<u8>) {
    tar.resize(tar.len() + 2 * BLOCK, 0);
}

fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Bytes as digests are written.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// The machine's architecture as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_registry_or_tag_is_refused() {
        for name in ["app:1", "local/app:1", "docker.io/local/app"] {
            let error = pack(&Image::of_binary(name, "/dev/null"), Path::new("/dev/null")).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn an_entry_has_a_whole_header_and_padded_content() {
        let mut tar = Vec::new();
        append(&mut tar, Entry::file("a"), b"hello").unwrap();
        assert_eq!(tar.len(), 2 * BLOCK);
        assert_eq!(&tar[257..265], b"ustar\x0000");
        assert_eq!(&tar[124..136], b"00000000005\0");
    }
}
