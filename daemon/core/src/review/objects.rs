//! One object that both sides have: its changed fields with their places.

use serde_json::Value;

use super::conceal::conceal;
use super::{FieldEdit, immutable};
use crate::diff::{FieldChange, diff};
use crate::object::DesiredObject;
use crate::review::input::Complete;
use crate::secret::{is_secret, is_value};

/// The fields in which an object differs, what cannot change marked.
pub(super) fn edits(base: (&Complete, &DesiredObject), head: (&Complete, &DesiredObject)) -> Vec<FieldEdit> {
    let ((base, old), (head, new)) = (base, head);
    let secret = is_secret(old.value()) || is_secret(new.value());
    let none = Vec::new();
    let ignored = head.ignored.get(&new.reference.id()).unwrap_or(&none);
    diff(old.value(), new.value())
        .into_iter()
        .map(|change| {
            let immutable = immutable::cannot_change(old, new, &change);
            let FieldChange { path, pointer, old: before, new: after } = change;
            let location = if after.is_some() {
                head.place(new.spans.locate(&pointer))
            } else {
                base.place(old.spans.locate(&pointer))
            };
            let hidden = secret && is_value(&pointer);
            let show = |value: Option<Value>| value.map(|value| if hidden { conceal(&value) } else { value });
            FieldEdit {
                path,
                old: show(before),
                new: show(after),
                location,
                secret: hidden,
                immutable,
                left_to_others: ignored.iter().any(|ignored| is_at_or_below(&pointer, ignored)),
            }
        })
        .collect()
}

pub(super) fn is_at_or_below(pointer: &str, root: &str) -> bool {
    pointer.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
