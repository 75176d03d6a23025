//! The lines in which two texts differ, with some around them: for files that stand in ConfigMaps.

/// Lines of context around a difference.
const CONTEXT: usize = 2;

/// Longer middles (after equal ends) are shown as removed and added as wholes.
const MAX_LINES: usize = 600;

/// One line of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextLine<'a> {
    /// In both.
    Both(&'a str),
    /// Only in the old text.
    Old(&'a str),
    /// Only in the new text.
    New(&'a str),
    /// So many equal lines are left out.
    Skipped(usize),
}

/// The differing lines in order.
pub(super) fn text_diff<'a>(old: &'a str, new: &'a str) -> Vec<TextLine<'a>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (lines(old), lines(new));
    let start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let middle = |list: &[&'a str]| -> Vec<&'a str> {
        list.iter().skip(start).take(list.len() - start - end).copied().collect()
    };
    let mut all: Vec<TextLine<'a>> = old.iter().take(start).map(|line| TextLine::Both(line)).collect();
    all.extend(compared(&middle(&old), &middle(&new)));
    all.extend(old.iter().skip(old.len() - end).map(|line| TextLine::Both(line)));
    with_context(&all)
}

/// Lines with their ends, so that a missing end of the last one is a difference.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// By the longest common subsequence of lines.
fn compared<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<TextLine<'a>> {
    if old.len().max(new.len()) > MAX_LINES {
        let old = old.iter().map(|line| TextLine::Old(line));
        return old.chain(new.iter().map(|line| TextLine::New(line))).collect();
    }
    let width = new.len() + 1;
    // `common[i * width + j]`: the longest common subsequence of what follows `old[i]` and `new[j]`.
    let mut common = vec![0_u16; (old.len() + 1) * width];
    let at = |common: &[u16], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or_default();
    for (i, old) in old.iter().enumerate().rev() {
        for (j, new) in new.iter().enumerate().rev() {
            let best = if old == new {
                at(&common, i + 1, j + 1) + 1
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(cell) = common.get_mut(i * width + j) {
                *cell = best;
            }
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(before), Some(after)) if before == after => {
                found.push(TextLine::Both(before));
                (i, j) = (i + 1, j + 1);
            }
            (Some(before), after) if after.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                found.push(TextLine::Old(before));
                i += 1;
            }
            (_, Some(after)) => {
                found.push(TextLine::New(after));
                j += 1;
            }
            (_, None) => return found,
        }
    }
}

/// Leaves out equal lines that are far from any difference.
fn with_context<'a>(all: &[TextLine<'a>]) -> Vec<TextLine<'a>> {
    let differs: Vec<usize> = all
        .iter()
        .enumerate()
        .filter(|(_, line)| !matches!(line, TextLine::Both(_)))
        .map(|(index, _)| index)
        .collect();
    let near = |index: usize| {
        let after = differs.partition_point(|at| *at < index);
        let before = after.checked_sub(1).and_then(|at| differs.get(at));
        let close = |at: Option<&usize>| at.is_some_and(|at| at.abs_diff(index) <= CONTEXT);
        close(differs.get(after)) || close(before)
    };
    let mut shown = Vec::new();
    let mut skipped = 0;
    for (index, line) in all.iter().enumerate() {
        if near(index) {
            if skipped > 0 {
                shown.push(TextLine::Skipped(skipped));
                skipped = 0;
            }
            shown.push(*line);
        } else {
            skipped += 1;
        }
    }
    if skipped > 0 && !shown.is_empty() {
        shown.push(TextLine::Skipped(skipped));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::TextLine::{Both, New, Old, Skipped};
    use super::*;

    #[test]
    fn only_what_differs_is_shown_with_its_neighbours() {
        let old = "a\nb\nc\nd\ne\nf\ng\n";
        let new = "a\nb\nc\nX\ne\nf\ng\nh\n";
        assert_eq!(
            text_diff(old, new),
            [
                Skipped(1),
                Both("b\n"),
                Both("c\n"),
                Old("d\n"),
                New("X\n"),
                Both("e\n"),
                Both("f\n"),
                Both("g\n"),
                New("h\n")
            ]
        );
        assert_eq!(text_diff("a\n", "a\n"), []);
    }

    #[test]
    fn a_missing_end_of_the_last_line_is_a_difference() {
        assert_eq!(text_diff("a\nb", "a\nb\n"), [Both("a\n"), Old("b"), New("b\n")]);
        assert_eq!(text_diff("", "a"), [New("a")]);
        assert_eq!(text_diff("a", ""), [Old("a")]);
    }

    #[test]
    fn texts_that_are_too_long_to_compare_are_shown_as_wholes() {
        let text = |word: &str| (0..700).map(|n| format!("{word}{n}\n")).collect::<Vec<_>>().concat();
        let (old, new) = (text("a"), text("b"));
        assert_eq!(text_diff(&old, &new).len(), 1_400);
    }
}
