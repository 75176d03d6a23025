//! Codes of files as such: YAML, and what makes a document an object.

use super::{Example, Explanation};

pub const SYNTAX: Explanation = Explanation {
    title: "The file is not YAML",
    meaning: "The text breaks a rule of YAML at the place that is shown. The environment that reads the file stays at its last \
              good commit, because nobody can tell what the rest of the file was meant to be.",
    example: Example::Files(&[(
        "environments/dev/settings.yaml",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n\tlevel: debug\n",
    )]),
    remedy: "Correct the line. The usual causes are a tab in the indentation, a bracket or quote that is not closed, and a \
             text with `: ` or ` #` in it that needs quotes.",
};

pub const DUPLICATE_KEY: Explanation = Explanation {
    title: "A key stands twice in one mapping",
    meaning: "Readers of YAML differ in which of the two they take, and kubectl takes the last without a word. Tidegate takes \
              neither, and names both places.",
    example: Example::Files(&[(
        "environments/dev/settings.yaml",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata:\n  level: info\n  level: debug\n",
    )]),
    remedy: "Remove one of the two. Of several items with one name, most are meant to be a list.",
};

pub const BUDGET: Explanation = Explanation {
    title: "The file is too large, too deep, or grows too far by aliases",
    meaning: "A file is read up to 4 MiB, a million values, 256 levels of nesting and 10,000 aliases. What goes beyond is no \
              manifest that people wrote, but an accident or an attack on whoever reads it.",
    example: Example::Files(&[(
        "environments/dev/bomb.yaml",
        b"a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]
",
    )]),
    remedy: "Keep data that is no manifest out of the sources, and split a bundle into several files.",
};

pub const ENCODING: Explanation = Explanation {
    title: "The file is not UTF-8",
    meaning: "Kubernetes takes UTF-8 only. What another encoding means is a guess, and a wrong guess would be applied.",
    example: Example::Files(&[(
        "environments/dev/settings.yaml",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {greeting: gr\xfc\xdfe}\n",
    )]),
    remedy: "Save the file as UTF-8; `iconv -f latin1 -t utf-8` converts an old one.",
};

pub const AMBIGUOUS: Explanation = Explanation {
    title: "An unquoted value is not the text that it looks like",
    meaning: "`yes`, `on`, `0644` and `1.20` are a boolean and numbers to YAML 1.1, which kubectl reads. In a place that takes a \
              text they would be refused or, worse, changed (`1.20` becomes `1.2`). Times like `22:30` are only warned of.",
    example: Example::Files(&[(
        "environments/dev/settings.yaml",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {version: 1.20}\n",
    )]),
    remedy: "Put the value in quotes, as the help of the message shows it.",
};

pub const UNSUPPORTED: Explanation = Explanation {
    title: "The value exists in YAML but not in JSON",
    meaning: "Kubernetes objects are JSON: keys are texts, numbers are finite and fit into 63 bits. YAML has more, such as \
              `.inf`, mappings as keys, or an anchor within its own value.",
    example: Example::Files(&[(
        "environments/dev/settings.yaml",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {limit: .inf}\n",
    )]),
    remedy: "Quote it if it is a text, else write a value that JSON has.",
};

pub const NOT_AN_OBJECT: Explanation = Explanation {
    title: "A document is not a Kubernetes object",
    meaning: "Every document in an environment's sources needs `apiVersion`, `kind` and a valid `metadata.name`; a `List` may hold \
              objects, but no other List. A file that is left out by mistake would be read as \"delete it\", so nothing is skipped.",
    example: Example::Files(&[("environments/dev/values.yaml", b"replicas: 3\nimage: shop:1.0.0\n")]),
    remedy: "Complete the object. Files of other tools belong outside of the sources, or into a folder or file that begins with a dot.",
};

pub const DUPLICATE_OBJECT: Explanation = Explanation {
    title: "The same object stands twice in one environment",
    meaning: "Two files define one object. Whichever came last would win and undo the other, so neither is applied; both places are \
              named.",
    example: Example::Files(&[
        ("environments/dev/a.yaml", b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"),
        (
            "environments/dev/b.yaml",
            b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\n",
        ),
    ]),
    remedy: "Remove or rename one. What differs between environments belongs into `spec.patches` of environment.yaml.",
};

pub const GENERATE_NAME: Explanation = Explanation {
    title: "generateName has no place in desired state",
    meaning: "The API server would make a new object with a new name at each apply. Nothing could say which of them is the one that \
              git asks for.",
    example: Example::Files(&[(
        "environments/dev/job.yaml",
        b"apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{name: migrate, image: \"shop:1.0.0\"}]\n",
    )]),
    remedy: "Give it a `name`. For a Job that runs at each release, put the version into the name: `name: migrate-${VERSION}`.",
};
