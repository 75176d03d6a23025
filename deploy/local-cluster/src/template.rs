//! Configuration files of other programs: texts with `@NAME@` places.

use std::path::Path;

use anyhow::{Result, bail};

use crate::files::{self, Access};

/// Fills every place of `text`; one without a value is an error.
pub fn fill(text: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut filled = text.to_owned();
    for (name, value) in values {
        filled = filled.replace(&format!("@{name}@"), value);
    }
    match filled.split('@').nth(1) {
        Some(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            bail!("no value for @{name}@")
        }
        _ => Ok(filled),
    }
}

/// Fills `text` into the file `path`.
pub fn write(path: &Path, text: &str, values: &[(&str, &str)]) -> Result<()> {
    files::write(path, fill(text, values)?, Access::Public)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_without_a_value_is_an_error() {
        assert_eq!(fill("a @X@ c", &[("X", "b")]).unwrap(), "a b c");
        assert!(fill("a @X@ @Y@", &[("X", "b")]).is_err());
    }
}
