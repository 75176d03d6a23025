//! "Did you mean": the nearest of some names by edit distance.

/// Names longer than this are not compared: the work grows with the product of the lengths.
const MAX_LENGTH: usize = 64;

/// The nearest name that a typing mistake explains; none when no name is near. Upper and lower case count as equal,
/// and an exchange of two neighbours as one edit. Of equally near names the first one counts.
pub fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let length = name.chars().count();
    if length > MAX_LENGTH {
        return None;
    }
    let bound = length.div_ceil(4).clamp(1, 3);
    let near = names.filter(|other| other.len().abs_diff(name.len()) <= 3 && other.len() <= MAX_LENGTH);
    let measured = near.map(|other| (distance(name, other), other));
    measured
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// Optimal string alignment distance, ignoring ASCII case.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().map(|c| c.to_ascii_lowercase()).collect();
    let b: Vec<char> = b.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = at(&last, j) + usize::from(x != y);
            let mut fewest = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                fewest = fewest.min(at(&before, j - 1) + 1);
            }
            row.push(fewest);
        }
        before = std::mem::replace(&mut last, row);
    }
    at(&last, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suggest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
        nearest(name, names.iter().copied())
    }

    #[test]
    fn typing_mistakes_are_recognised() {
        let fields = ["args", "command", "image", "imagePullPolicy", "name", "ports"];
        assert_eq!(suggest("imagePulPolicy", &fields), Some("imagePullPolicy"), "a letter is missing");
        assert_eq!(suggest("imagepullpolicy", &fields), Some("imagePullPolicy"), "the case is wrong");
        assert_eq!(suggest("iamge", &fields), Some("image"), "two letters are exchanged");
        assert_eq!(suggest("port", &fields), Some("ports"), "the plural is missing");
        assert_eq!(suggest("commnads", &fields), Some("command"), "two mistakes in a longer word");
    }

    #[test]
    fn other_words_are_not_suggested() {
        assert_eq!(suggest("volumes", &["image", "name", "ports"]), None);
        assert_eq!(suggest("tty", &["ip"]), None);
        assert_eq!(suggest(&"x".repeat(10_000), &["x"]), None, "an endless name is not compared");
    }

    #[test]
    fn the_nearest_of_several_is_suggested() {
        assert_eq!(suggest("hostIPs", &["hostPID", "hostIPC", "hostIP"]), Some("hostIPC"));
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
