//! Keys: an Ed25519 key in OpenSSH's format signs every record, as `ssh-keygen -Y sign` does for `git commit -S`
//! (PROTOCOL.sshsig, namespace `git`). Signatures are made and checked here: a process for each would take 25 ms.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use ssh_key::private::KeypairData;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, Signature, SshSig};
use tidegate_core::ledger::{Fingerprint, Signer};

/// What git signs as.
const NAMESPACE: &str = "git";
/// A list of keys has at most so many lines.
const KEYS: usize = 1_000;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error(
        "the key cannot be read (an OpenSSH private key is expected, as `ssh-keygen -t ed25519` makes one)"
    )]
    Unreadable(#[source] ssh_key::Error),
    /// It is protected by a passphrase, which nobody could enter.
    #[error("the key is protected by a passphrase; remove it with `ssh-keygen -p -N '' -f FILE`")]
    Encrypted,
    /// It is of another sort.
    #[error("the key is of the sort {0}; make one with `ssh-keygen -t ed25519`")]
    Sort(String),
    /// Its two halves do not fit.
    #[error("the key's public half is not that of its private half")]
    Halves,
    /// A line of a list of keys is none.
    #[error(
        "line {line} is no key (`NAMES [options] ssh-ed25519 AAAA…`, as in git's allowed signers file, or a public key)"
    )]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// The list is longer than anybody's.
    #[error("it has more than {KEYS} lines")]
    Many,
}

/// The key of a daemon.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: KeyData,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.fingerprint())
    }
}

impl SigningKey {
    /// Reads a private key in OpenSSH's format.
    pub fn read(text: &str) -> Result<Self, KeyError> {
        let key = PrivateKey::from_openssh(text.trim_start()).map_err(KeyError::Unreadable)?;
        match key.key_data() {
            KeypairData::Ed25519(pair) => {
                let public = pair.public.0;
                let made = Ed25519KeyPair::from_seed_and_public_key(pair.private.as_ref(), &public);
                let made = made.map_err(|_| KeyError::Halves)?;
                Ok(Self { pair: made, public: key.public_key().key_data().clone() })
            }
            KeypairData::Encrypted(_) => Err(KeyError::Encrypted),
            other => Err(KeyError::Sort(
                other.algorithm().map_or_else(|_| "unknown".to_owned(), |sort| sort.to_string()),
            )),
        }
    }

    /// What `ssh-keygen -l` prints of it.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.public)
    }

    /// The signature of these bytes, armoured, without a line break at its end.
    pub fn sign(&self, payload: &[u8]) -> Result<String, ssh_key::Error> {
        let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, payload)?;
        armour(&self.public, self.pair.sign(&data).as_ref())
    }
}

fn fingerprint(key: &KeyData) -> Fingerprint {
    Fingerprint(key.fingerprint(HashAlg::Sha256).to_string())
}

/// Who signed these bytes. A signature has one form only, the one that [`SigningKey::sign`] writes: in another one (another version or
/// digest, filled reserved bytes) it would make another commit of the same record, without anybody's key.
pub fn signer(payload: &[u8], armoured: &str) -> Signer {
    let invalid = |why: &str| Signer::Invalid(why.to_owned());
    let Ok(signature) = SshSig::from_pem(armoured) else {
        return invalid("it is no signature of ssh-keygen's form");
    };
    let KeyData::Ed25519(key) = signature.public_key() else {
        return invalid("its key is not of the sort ed25519");
    };
    let ours = armour(signature.public_key(), signature.signature_bytes());
    if ours.ok().as_deref() != Some(armoured) {
        return invalid("it is not written as git and ssh-keygen write it");
    }
    let Ok(data) = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, payload) else {
        return invalid("its bytes cannot be put together");
    };
    let known = UnparsedPublicKey::new(&ED25519, &key.0);
    match known.verify(&data, signature.signature_bytes()) {
        Ok(()) => Signer::Key(fingerprint(signature.public_key())),
        Err(_) => invalid("it is of other bytes"),
    }
}

/// The one form of a signature, without a line break at its end.
fn armour(public: &KeyData, signature: &[u8]) -> Result<String, ssh_key::Error> {
    let signature = Signature::new(Algorithm::Ed25519, signature)?;
    let whole = SshSig::new(public.clone(), NAMESPACE, HashAlg::Sha512, signature)?;
    Ok(whole.to_pem(LineEnding::LF)?.trim_end().to_owned())
}

/// The keys of a list: lines of git's allowed signers file (`NAMES [options] TYPE KEY`), of a public key file, or fingerprints.
pub fn trusted(text: &str) -> Result<BTreeSet<Fingerprint>, KeyError> {
    let mut keys = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        if number >= KEYS {
            return Err(KeyError::Many);
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        keys.insert(one(line).ok_or(KeyError::Line { line: number + 1 })?);
    }
    Ok(keys)
}

fn one(line: &str) -> Option<Fingerprint> {
    if let Ok(known) = line.parse::<ssh_key::Fingerprint>() {
        return known.is_sha256().then(|| Fingerprint(known.to_string()));
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "ssh-ed25519")?;
    // What limits a key for git would not limit it here: such a line is refused, not trusted further than git does.
    if !words.get(..place)?.iter().skip(1).all(|options| is_for_git(options)) {
        return None;
    }
    let key = words.get(place..place + 2)?.join(" ");
    PublicKey::from_openssh(&key).ok().map(|key| fingerprint(key.key_data()))
}

/// `namespaces="git,file"` and no other option (allowed signers, ssh-keygen(1)).
fn is_for_git(options: &str) -> bool {
    let names = options.strip_prefix("namespaces=\"").and_then(|rest| rest.strip_suffix('"'));
    names.is_some_and(|names| names.split(',').any(|name| name == NAMESPACE))
}
