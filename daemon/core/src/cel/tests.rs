//! Expressions: what they say of objects, what is refused, and what ends before it begins.

use serde_json::json;

use super::*;

fn holds(text: &str, object: &Json) -> Result<bool, String> {
    let expression = Expression::compile(text).unwrap_or_else(|message| panic!("{text}: {message}"));
    expression.holds(&Facts::of(object)).map_err(|why| why.reason)
}

fn refused(text: &str) -> String {
    Expression::compile(text).expect_err(text)
}

#[test]
fn expressions_are_evaluated_as_admission_policies_have_them() {
    let object = json!({
        "kind": "Deployment",
        "metadata": { "name": "api", "labels": { "team": "shop", "example.com/tier": "front" } },
        "spec": { "replicas": 3, "ratio": 0.5, "template": { "spec": { "containers": [
            { "name": "a", "image": "r/api:1.2", "resources": { "limits": { "memory": "512Mi" } }, "ports": [{ "containerPort": 80 }] },
            { "name": "b", "image": "r/log:latest" },
        ] } } },
    });
    let good = [
        "object.spec.replicas >= 2 && object.spec.replicas + 1 == 4",
        "object.spec.ratio < 0.6",
        "object.spec.template.spec.containers.exists(c, c.image.endsWith(':latest'))",
        "!object.spec.template.spec.containers.all(c, has(c.resources) && has(c.resources.limits))",
        "has(object.metadata.labels) && 'team' in object.metadata.labels",
        "object.metadata.labels['example.com/tier'] == 'front'",
        "object.spec.template.spec.containers.filter(c, has(c.ports)).size() == 1",
        "object.spec.template.spec.containers.map(c, c.name) == ['a', 'b']",
        "object.metadata.name.matches('^[a-z]+$')",
        "quantity(object.spec.template.spec.containers[0].resources.limits.memory).isLessThan(quantity('1Gi'))",
        "object.kind == 'Deployment' ? object.spec.replicas > 1 : true",
        "object.spec.template.spec.containers.all(c, !has(c.ports) || c.ports.all(p, p.containerPort > 10))",
        "object.metadata.name.upperAscii() == 'API'",
    ];
    for text in good {
        assert_eq!(holds(text, &object), Ok(true), "{text}");
    }
    assert_eq!(holds("object.spec.replicas > 3", &object), Ok(false));
    let message = Expression::compile("'replicas: ' + string(object.spec.replicas)").expect("good");
    assert_eq!(message.message(&Facts::of(&object)).as_deref(), Ok("replicas: 3"));
}

#[test]
fn what_is_not_there_is_said_and_no_value_is() {
    let object = json!({ "spec": { "token": "hunter2", "list": [1], "n": 1 } });
    let cases = [
        ("object.spec.missing == 1", "the object has no `missing` there; ask `has(...)` first"),
        ("object.spec.token + 1 == 2", "it puts values together that do not go together"),
        ("object.spec.list[3] == 1", "it asks for an item that the list does not have"),
        ("object.spec.token", "it is neither true nor false"),
        ("int(object.spec.token) == 1", "`int` could not be computed"),
        ("object.spec.n / 0 == 1", "it could not be computed"),
    ];
    for (text, expected) in cases {
        let message = holds(text, &object).expect_err(text);
        assert_eq!(message, expected, "{text}");
    }
}

#[test]
fn values_of_secrets_are_empty() {
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" }, "data": { "k": "aHVudGVyMg==" } });
    assert_eq!(
        holds("object.data.k == '' && has(object.data.k) && object.metadata.name == 'a'", &secret),
        Ok(true)
    );
}

#[test]
fn what_is_no_expression_is_refused_with_the_reason() {
    let cases = [
        ("object.spec.", "it is not CEL"),
        ("", "it is not CEL"),
        ("object.spec.replicas = 2", "it is not CEL"),
        ("objekt.spec == 1", "there is no variable `objekt`; did you mean `object`?"),
        ("oldObject == null", "there is no variable `oldObject`; did you mean `object`?"),
        ("object.a.startWith('b')", "there is no function `startWith`; did you mean `startsWith`?"),
        ("object.a.all(c, d == 1)", "there is no variable `d`"),
        ("lists.range(1000000000).size() > 0", "there is no function `range`"),
        ("object.a.replace('', object.a) == ''", "there is no function `replace`"),
        ("Foo{a: 1} == 1", "an expression makes no messages of a type"),
        ("a.b.Foo{} == 1", "an expression makes no messages of a type"),
        (&"1+".repeat(1025), "at most 2048 bytes"),
        (&format!("{}1{}", "(".repeat(40), ")".repeat(40)), "at most 32 brackets"),
        (&format!("{}true", "true?false:".repeat(20)), "at most 16 conditionals"),
        ("object.all(a, a.all(b, b.all(c, c.all(d, true))))", "at most 3 loops"),
    ];
    for (text, expected) in cases {
        assert!(refused(text).contains(expected), "{text}: {}", refused(text));
    }
}

#[test]
fn a_large_object_ends_no_evaluation_it_is_not_begun() {
    let object = json!({ "list": vec![1; 20_000], "text": "x".repeat(100_000) });
    assert_eq!(holds("object.list.all(a, a == 1)", &object), Ok(true));
    for text in [
        "object.list.all(a, object.list.all(b, a == b))",
        "object.list.map(a, object.text + 'x').size() == 1",
        "object.text.split('').all(a, object.list.all(b, true))",
        "object.list.all(a, object.text.matches('x'))",
    ] {
        let message = holds(text, &object).expect_err(text);
        assert!(message.starts_with("the object is too large"), "{text}: {message}");
    }
}

/// On a stack as small as that of a thread.
#[test]
fn no_text_overflows_the_stack() {
    let chains = [
        "1+".repeat(1000) + "1",
        "object".to_owned() + &".a".repeat(1000),
        "!".repeat(2000) + "true",
        "-".repeat(2000) + "1",
        "true&&".repeat(300) + "true",
        "object".to_owned() + &"[0]".repeat(600),
        "(".repeat(31) + "1" + &")".repeat(31),
        "[".repeat(31) + "1" + &"]".repeat(31),
        "{1:".repeat(31) + "1" + &"}".repeat(31),
        "true?true:".repeat(15) + "true",
        "object.all(a,".repeat(31) + "true" + &")".repeat(31),
        "[1].map(x,".repeat(31) + "x" + &")".repeat(31),
        "has(object.a)&&".repeat(100) + "true",
        "'".to_owned() + &"a".repeat(2000),
        "(".repeat(2000),
        "\"\\u".to_owned(),
    ];
    for text in chains {
        if let Ok(expression) = Expression::compile(&text) {
            let _ = expression.holds(&Facts::of(&json!({ "a": [1] })));
        }
    }
}
