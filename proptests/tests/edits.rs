//! Edits of one value in files of any layout: only its bytes change, and what is read afterwards is what was asked for.

#![expect(clippy::string_slice, clippy::panic, reason = "helpers of tests may stop where an assertion would")]

use std::collections::BTreeMap;
use std::ops::Range;

use proptest::prelude::*;
use tidegate_core::desired::{KindScopes, discover, load};
use tidegate_core::edit::{Edit, ImageRequest, SubstituteRequest, set_image, set_substitute};
use tidegate_core::object::{Gvk, Scope};
use tidegate_core::schema::Catalogue;
use tidegate_core::tree::FileTree;
use tidegate_proptests::cases::Cases;

const FILE: &str = "environments/dev/environment.yaml";
const MANIFEST: &str = "environments/dev/app.yaml";

struct Bundled;

impl KindScopes for Bundled {
    fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        Catalogue::kubernetes_1_35().scope(gvk)
    }
}

/// How one value is written.
#[derive(Debug, Clone, Copy)]
enum Quotes {
    Plain,
    Single,
    Double,
}

/// One value with what stands around it.
#[derive(Debug, Clone)]
struct Entry {
    text: String,
    quotes: Quotes,
    /// `&x` before it, and a further entry that says `*x`.
    anchor: Anchor,
    comment: String,
    above: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Anchor {
    None,
    Unused,
    Used,
}

#[derive(Debug, Clone, Copy)]
struct Layout {
    flow: bool,
    crlf: bool,
    bom: bool,
    indent: usize,
}

fn entry() -> impl Strategy<Value = Entry> {
    let plain = "[a-z][a-z0-9._/-]{0,8}[a-z0-9]|[0-9]{1,4}|1\\.20|v1:2|yes|0x1F";
    let quoted = "[ -~é€😀]{0,12}";
    let text = prop_oneof![
        plain.prop_map(|text| (text, Quotes::Plain)),
        quoted.prop_map(|text| (text, Quotes::Single)),
        quoted.prop_map(|text| (text, Quotes::Double)),
    ];
    let anchor = prop_oneof![6 => Just(Anchor::None), 1 => Just(Anchor::Unused), 1 => Just(Anchor::Used)];
    (text, anchor, "( {1,3}#[ -~é]{0,10})?| {0,3}", "(#[ -~é]{0,10})?")
        .prop_map(|((text, quotes), anchor, comment, above)| Entry { text, quotes, anchor, comment, above })
}

fn layout() -> impl Strategy<Value = Layout> {
    (any::<bool>(), any::<bool>(), any::<bool>(), 3..8_usize).prop_map(|(flow, crlf, bom, indent)| Layout {
        flow,
        crlf,
        bom,
        indent,
    })
}

fn token(entry: &Entry) -> String {
    match entry.quotes {
        Quotes::Plain => entry.text.clone(),
        Quotes::Single => format!("'{}'", entry.text.replace('\'', "''")),
        Quotes::Double => format!("\"{}\"", entry.text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// A file of a head and entries `key: value`, with the bytes of each value; `begin` and `between` make them items or names.
fn written(
    head: &str,
    entries: &[Entry],
    layout: Layout,
    key: impl Fn(usize) -> (String, String),
) -> (String, Vec<Range<usize>>) {
    let mut text = if layout.bom { format!("\u{feff}{head}") } else { head.to_owned() };
    let mut ranges = Vec::new();
    let pad = " ".repeat(layout.indent);
    text.push_str(if layout.flow { " {" } else { "\n" });
    for (index, entry) in entries.iter().enumerate() {
        let (before, after) = key(index);
        if !layout.flow && !entry.above.is_empty() {
            text.push_str(&format!("{pad}{}\n", entry.above));
        }
        text.push_str(if layout.flow { "" } else { &pad });
        text.push_str(&before);
        if entry.anchor != Anchor::None {
            text.push_str(&format!("&x{index} "));
        }
        let start = text.len();
        text.push_str(&token(entry));
        ranges.push(start..text.len());
        text.push_str(&after);
        if entry.anchor == Anchor::Used {
            text.push_str(&if layout.flow {
                format!(", R{index}: *x{index} ")
            } else {
                format!("\n{pad}R{index}: *x{index}")
            });
        }
        text.push_str(&if layout.flow { ", ".to_owned() } else { format!("{}\n", entry.comment) });
    }
    text.push_str(if layout.flow { "}\n" } else { "" });
    text.push_str("# the end\n");
    if layout.crlf {
        // Every line end before a value moves it by one byte.
        let moved = |at: usize| at + text[..at].matches('\n').count();
        ranges = ranges.iter().map(|range| moved(range.start)..moved(range.end)).collect();
        text = text.replace('\n', "\r\n");
    }
    (text, ranges)
}

const HEAD: &str = "apiVersion: tidegate.dev/v1\nkind: Environment # é\nmetadata: {name: dev}\nspec:\n  cluster: {kubeconfig: {}}\n  namespaces: [dev]\n";

fn values(tree: &FileTree) -> BTreeMap<String, String> {
    let environment = discover(tree).pop().expect("an environment").environment;
    environment.unwrap_or_else(|problems| panic!("{problems:#?}")).substitute.clone()
}

fn check_bytes(before: &str, edit: &Edit, range: &Range<usize>) -> Result<(), TestCaseError> {
    prop_assert_eq!(&edit.range, range);
    let after = String::from_utf8(edit.bytes.clone()).expect("UTF-8");
    let expected = [&before[..range.start], &edit.text, &before[range.end..]].concat();
    prop_assert_eq!(after, expected);
    Ok(())
}

proptest! {
    #![proptest_config(Cases { sample: 256, full: 10_000 }.config())]

    #[test]
    fn a_name_gets_its_value_and_every_other_byte_stays(
        entries in prop::collection::vec(entry(), 1..6), layout in layout(),
        chosen in any::<prop::sample::Index>(), value in "[ -~é€😀]{0,16}|[a-z0-9.]{1,8}",
    ) {
        let key = |index: usize| (format!("N{index}: "), String::new());
        let (text, ranges) = written(&format!("{HEAD}  substitute:"), &entries, layout, key);
        let tree: FileTree = [(FILE, text.as_bytes())].into_iter().collect();
        let before = values(&tree);
        let index = chosen.index(entries.len());
        let name = format!("N{index}");
        let edit = set_substitute(&tree, SubstituteRequest { environment: "dev", name: &name, value: &value });
        if entries[index].anchor == Anchor::Used && before[&name] != value {
            prop_assert!(edit.is_err(), "another name would change with it: {}", text);
            return Ok(());
        }
        let edit = edit.map_err(|refusal| TestCaseError::fail(format!("{refusal:?}\n{text}")))?;
        check_bytes(&text, &edit, &ranges[index])?;
        let mut expected = before;
        expected.insert(name, value);
        let edited: FileTree = [(FILE, edit.bytes.as_slice())].into_iter().collect();
        prop_assert_eq!(values(&edited), expected);
    }

    #[test]
    fn a_container_gets_its_image_and_every_other_byte_stays(
        images in prop::collection::vec(("img[a-z]{0,5}(:[a-z0-9]{1,4})?", prop::sample::select(vec![Quotes::Plain, Quotes::Single, Quotes::Double]), entry()), 1..4),
        crlf in any::<bool>(), bom in any::<bool>(), chosen in any::<prop::sample::Index>(),
        image in "[a-z]{1,5}(/[a-z0-9]{1,5}){0,2}(:[a-z0-9.]{0,6}[a-z0-9])?",
    ) {
        let head = "apiVersion: v1\nkind: Pod\nmetadata: {name: pod}\nspec:\n  containers: # those";
        let entries: Vec<Entry> = images
            .into_iter()
            .map(|(text, quotes, around)| Entry { text, quotes, anchor: Anchor::None, ..around })
            .collect();
        let key = |index: usize| (format!("- {{name: c{index}, image: "), " }".to_owned());
        let (text, ranges) = written(head, &entries, Layout { flow: false, crlf, bom, indent: 2 }, key);
        let tree: FileTree = [(FILE, HEAD.as_bytes()), (MANIFEST, text.as_bytes())].into_iter().collect();
        let index = chosen.index(entries.len());
        let target = format!("c{index}");
        let request = ImageRequest { environment: "dev", target: &target, image: &image };
        let edit = set_image(&tree, &Bundled, request);
        let edit = edit.map_err(|refusal| TestCaseError::fail(format!("{refusal:?}\n{text}")))?;
        check_bytes(&text, &edit, &ranges[index])?;
        let edited: FileTree = [(FILE, HEAD.as_bytes()), (MANIFEST, edit.bytes.as_slice())].into_iter().collect();
        let environment = discover(&edited).pop().expect("an environment").environment.expect("a good one");
        let pod = load(&edited, &environment, &Bundled).objects[0].value().clone();
        for (at, entry) in entries.iter().enumerate() {
            let expected = if at == index { &image } else { &entry.text };
            prop_assert_eq!(pod["spec"]["containers"][at]["image"].as_str(), Some(expected.as_str()));
        }
    }
}
