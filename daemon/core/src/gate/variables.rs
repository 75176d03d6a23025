//! What `${...}` in a query stands for. Nothing is escaped: every value is made of what names in Kubernetes are made of.

use crate::rollout::{Revision, Slot};

/// The variables of a query.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a> {
    /// `${slot}`: the colour.
    pub slot: Slot,
    /// `${pods}`: a regular expression of the names of its ready pods.
    pub pods: &'a [String],
    /// `${namespace}`.
    pub namespace: &'a str,
    /// `${app}`: the workload's name in git.
    pub app: &'a str,
    /// `${revision}`.
    pub revision: Revision,
}

/// Why a query cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// Not one of the five.
    #[error(
        "`${{{0}}}` is no variable of a query: there are ${{slot}}, ${{pods}}, ${{namespace}}, ${{app}} and ${{revision}}"
    )]
    Unknown(String),
    /// `${` without `}`.
    #[error("`${{` without its `}}`")]
    Open,
    /// `${pods}` without any.
    #[error("no pod of the colour is ready, and the query asks about ${{pods}}")]
    NoPods,
}

/// Whether the text has a variable of this name.
pub fn names(text: &str, variable: &str) -> bool {
    text.contains(&format!("${{{variable}}}"))
}

/// The text with every variable filled in.
pub fn fill(text: &str, variables: &Variables<'_>) -> Result<String, VariableError> {
    let Variables { slot, pods, namespace, app, revision } = variables;
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or(VariableError::Open)?;
        filled.push_str(before);
        match name {
            "slot" => filled.push_str(&slot.to_string()),
            "namespace" => filled.push_str(namespace),
            "app" => filled.push_str(app),
            "revision" => filled.push_str(&revision.to_string()),
            "pods" if pods.is_empty() => return Err(VariableError::NoPods),
            "pods" => filled.push_str(&any_of(pods)),
            other => return Err(VariableError::Unknown(other.to_owned())),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// `(a|b)`. A dot is the only character of a pod's name that means something; a backslash would have to be doubled in a query.
fn any_of(pods: &[String]) -> String {
    let names: Vec<String> = pods.iter().map(|pod| pod.replace('.', "[.]")).collect();
    format!("({})", names.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, pods: &[&str]) -> Result<String, VariableError> {
        let pods: Vec<String> = pods.iter().map(|pod| (*pod).to_owned()).collect();
        let revision = Revision::new(0xab);
        let variables = Variables { slot: Slot::Green, pods: &pods, namespace: "shop", app: "api", revision };
        fill(text, &variables)
    }

    #[test]
    fn every_variable_is_filled_in_and_nothing_else_is_touched() {
        let query = r#"sum(rate(x{namespace="${namespace}",pod=~"${pods}"}[1m])) / on() y{app="${app}",c="${slot}"} # $x ${revision}"#;
        assert_eq!(
            filled(query, &["api-green-1.a", "api-green-2"]).unwrap(),
            r#"sum(rate(x{namespace="shop",pod=~"(api-green-1[.]a|api-green-2)"}[1m])) / on() y{app="api",c="green"} # $x 000000000000000000000000000000ab"#
        );
    }

    #[test]
    fn an_unknown_variable_an_open_one_and_no_pods_are_said() {
        assert_eq!(filled("${nope}", &[]), Err(VariableError::Unknown("nope".to_owned())));
        assert!(filled("${nope}", &[]).unwrap_err().to_string().contains("`${nope}` is no variable"));
        assert_eq!(filled("x ${slot", &[]), Err(VariableError::Open));
        assert_eq!(filled("${pods}", &[]), Err(VariableError::NoPods));
        assert_eq!(filled("${slot}", &[]).unwrap(), "green");
    }
}
