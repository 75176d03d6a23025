//! What a command prints, held against the JSON Schema that the command itself prints.

use std::process::Command;

use serde_json::{Value, json};

/// Holds for a real output: valid, and without a field that the schema does not know. Readers are told that fields may be
/// added; whoever adds one is told here to describe it.
pub fn assert_valid(name: &str, output: &Value) {
    let printed = Command::new(env!("CARGO_BIN_EXE_tidegate")).args(["schema", name]).output();
    let printed = printed.expect("the program was built for this test");
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let mut schema: Value = serde_json::from_slice(&printed.stdout).expect("it is JSON");
    assert!(jsonschema::draft202012::meta::is_valid(&schema), "{name} is no schema");
    close(&mut schema);
    let validator =
        jsonschema::options().should_validate_formats(true).build(&schema).expect("it is a schema");
    let errors: Vec<String> =
        validator.iter_errors(output).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}\n{output:#}");
}

/// Every object has the properties that are named, and no others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") && fields.contains_key("type") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
