//! Kinds, scopes and schemas of Kubernetes 1.35, and the validation of objects against them.
