//! Properties and oracles of Tidegate: what the tests in `tests/` share.

pub mod schema_cases;
pub mod schema_oracle;
