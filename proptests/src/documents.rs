//! YAML documents as people write them: every style, and above all scalars that parsers read differently.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A value that is written in YAML, with the style of each of its parts.
#[derive(Debug, Clone)]
pub enum Written {
    /// A scalar in the bytes that stand in the file: plain, quoted or tagged.
    Scalar(String),
    /// A literal (`|`) or folded (`>`) block.
    Block {
        /// `|`, `>` and their chomping.
        header: &'static str,
        /// Its lines, without indentation.
        lines: Vec<String>,
    },
    /// A sequence.
    Sequence {
        /// `[a, b]` or one item per line.
        flow: bool,
        /// Its items.
        items: Vec<Written>,
    },
    /// A mapping; its keys are made unique when it is written.
    Mapping {
        /// `{a: b}` or one entry per line.
        flow: bool,
        /// Keys and values.
        entries: Vec<(String, Written)>,
    },
}

/// Scalars whose meaning depends on the parser, and some that look as if it did.
pub const TRICKY: &[&str] = &[
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "Y",
    "N",
    "NO",
    "Yes",
    "YES",
    "On",
    "OFF",
    "true",
    "True",
    "FALSE",
    "tRue",
    "~",
    "null",
    "Null",
    "nUll",
    "0",
    "00",
    "0644",
    "0777",
    "0o644",
    "0O17",
    "010",
    "08",
    "09",
    "018",
    "0x1F",
    "0XfF",
    "0xg",
    "0b11",
    "0B11",
    "0b12",
    "-0b11",
    "0b-11",
    "+0x10",
    "-0644",
    "1_000",
    "1__0",
    "_1",
    "1_",
    "+_",
    "012345678901",
    "12:30",
    "1:30:00",
    "2026-11-21",
    "2026-11-21T10:00:00Z",
    "2026-13-99",
    "3e5f",
    "1e3",
    "1E3",
    "1e+3",
    "1e-3",
    "1.0",
    "1.",
    "-1.",
    ".5",
    "-.5",
    "+.5",
    ".5e1",
    "5.e1",
    ".e1",
    "..5",
    "1.2.3",
    "1e400",
    "-1e400",
    "1e-400",
    "-0",
    "-0.0",
    "+0",
    "1.10",
    "0.1",
    "123456789.123456789",
    "9223372036854775807",
    "-9223372036854775808",
    "1e18",
    "1e19",
    "1e20",
    "1e21",
    "1e-7",
    "v1",
    "1m",
    "500m",
    "1Gi",
    "10%",
    "<<",
    "=",
    "a b",
    "a#b",
    "a:b",
    "http://a/b",
    "é",
    "日本",
    "+",
    "-a",
    "+a",
    ".",
    "..",
    ".a",
    "nan",
    "inf",
    "Infinity",
    "0.0.0.0",
    "10.0.0.1",
    "0x",
    "0b",
    "0o",
    "08.5",
    "0_8",
    "0x_f",
    "1e",
    "1e+",
    "e1",
    "'yes'",
    "\"no\"",
    "'0644'",
    "''",
    "\"\"",
    "'it''s'",
    "\"tab\\tnewline\\n\"",
    "\"\\u00e9\\x41\"",
    "! yes",
    "! 'yes'",
    "!foo bar",
    "!!str yes",
    "!!str 0644",
    "!!int \"3\"",
    "!!int 0x10",
    "!!float 3",
    "!!float '1.5'",
    "!!bool \"yes\"",
    "!!null ''",
    "!!binary aGk=",
    "!!timestamp 2001-01-01",
];

/// Keys that are texts to every parser.
const KEYS: &[&str] = &[
    "a",
    "b",
    "name",
    "app.kubernetes.io/name",
    "tidegate.dev/wave",
    "'quoted key'",
    "\"k\\u00e9y\"",
    "x-1",
    "8080",
    "1.5",
];

/// A scalar in any style.
pub fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(TRICKY).prop_map(str::to_owned),
        2 => "[-+]?[0-9_]{1,6}([.][0-9_]{0,4})?([eE][-+]?[0-9]{1,2})?",
        1 => "[-+]?0[xXoObB]?[0-9a-fA-F_]{0,6}",
        1 => "[.][0-9]{1,3}([eE][-+]?[0-9]{1,2})?",
        2 => "[a-z][a-z0-9./]{0,8}",
        2 => "[ -~]{0,12}".prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        2 => any::<String>().prop_map(|text| serde_json::Value::String(text).to_string()),
    ]
}

/// A value of at most a few levels.
pub fn written() -> impl Strategy<Value = Written> {
    let leaf = prop_oneof![
        8 => scalar().prop_map(Written::Scalar),
        1 => (select(&["|", "|-", "|+", ">", ">-", ">+"][..]), vec("[a-z#:-]{1,3}( [a-z:]{1,5}){0,2}", 1..4))
            .prop_map(|(header, lines)| Written::Block { header, lines }),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            (any::<bool>(), vec(inner.clone(), 0..5))
                .prop_map(|(flow, items)| Written::Sequence { flow, items }),
            mapping(inner),
        ]
    })
}

fn mapping(inner: impl Strategy<Value = Written>) -> impl Strategy<Value = Written> {
    let key = select(KEYS).prop_map(str::to_owned);
    (any::<bool>(), vec((key, inner), 0..5)).prop_map(|(flow, entries)| Written::Mapping { flow, entries })
}

/// A whole object with a value under `v`, and a mapping that merges another one.
pub fn object() -> impl Strategy<Value = String> {
    (written(), scalar(), scalar()).prop_map(|(value, first, second)| {
        let mut text = "apiVersion: example.dev/v1\nkind: Thing\nmetadata: {name: a}\nv:".to_owned();
        write_value(&mut text, &value, 1);
        let _ = writeln!(text, "base: &base\n  p: {first}\n  q: [{first}]");
        let _ = writeln!(text, "merged:\n  <<: *base\n  p: {second}\nagain: *base");
        text
    })
}

/// Writes a value after a key or a dash, with the line break at its end.
fn write_value(out: &mut String, value: &Written, indent: usize) {
    match value {
        Written::Scalar(text) => {
            let _ = writeln!(out, " {text}");
        }
        Written::Block { header, lines } => {
            let _ = writeln!(out, " {header}");
            for line in lines {
                let _ = writeln!(out, "{}{line}", "  ".repeat(indent));
            }
        }
        Written::Sequence { flow: false, items } if !items.is_empty() => {
            out.push('\n');
            for item in items {
                let _ = write!(out, "{}-", "  ".repeat(indent));
                write_value(out, item, indent + 1);
            }
        }
        Written::Mapping { flow: false, entries } if !entries.is_empty() => {
            out.push('\n');
            for (key, item) in unique(entries) {
                let _ = write!(out, "{}{key}:", "  ".repeat(indent));
                write_value(out, item, indent + 1);
            }
        }
        Written::Sequence { .. } | Written::Mapping { .. } => {
            out.push(' ');
            write_flow(out, value);
            out.push('\n');
        }
    }
}

fn write_flow(out: &mut String, value: &Written) {
    match value {
        Written::Scalar(text) => out.push_str(text),
        Written::Block { header: _, lines } => {
            out.push_str(&serde_json::Value::from(lines.join("\n")).to_string());
        }
        Written::Sequence { flow: _, items } => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_flow(out, item);
            }
            out.push(']');
        }
        Written::Mapping { flow: _, entries } => {
            out.push('{');
            for (index, (key, item)) in unique(entries).into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                let _ = write!(out, "{key}: ");
                write_flow(out, item);
            }
            out.push('}');
        }
    }
}

/// The entries with the first of each key only.
fn unique(entries: &[(String, Written)]) -> Vec<&(String, Written)> {
    let mut seen = std::collections::BTreeSet::new();
    entries.iter().filter(|(key, _)| seen.insert(key.as_str())).collect()
}
