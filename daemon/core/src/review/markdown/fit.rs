//! What fits: blocks of lines within a number of bytes, long ones cut in the middle, and a count of what is left out.

use super::fence::written;
use crate::review::lines::Line;

/// Bytes that one block may have, tried one after the other until everything fits.
const BLOCK_BYTES: [usize; 8] = [usize::MAX, 16_000, 8_000, 4_000, 2_000, 1_000, 500, 250];

/// One object: its heading, and what is below it.
pub(super) type Block = Vec<Line>;

/// The written lines of blocks within `bytes`, and how many blocks were left out at the end.
pub(super) fn fit(blocks: &[Block], bytes: usize) -> (Vec<String>, usize) {
    let written: Vec<Vec<String>> = blocks.iter().map(|block| block.iter().map(written).collect()).collect();
    let smallest = BLOCK_BYTES.last().copied().unwrap_or_default();
    let most = BLOCK_BYTES
        .into_iter()
        .find(|most| written.iter().map(|block| size(&shortened(block, *most))).sum::<usize>() <= bytes)
        .unwrap_or(smallest);
    let mut lines = Vec::new();
    let mut used = 0;
    for (index, block) in written.iter().enumerate() {
        let block = shortened(block, most);
        used += size(&block);
        if used > bytes {
            return (lines, written.len() - index);
        }
        lines.extend(block);
    }
    (lines, 0)
}

/// The bytes of lines, their ends included.
fn size(lines: &[String]) -> usize {
    lines.iter().map(|line| line.len() + 1).sum()
}

/// The block with its middle cut, so that it has about `most` bytes; its heading stays.
fn shortened(block: &[String], most: usize) -> Vec<String> {
    if size(block) <= most {
        return block.to_vec();
    }
    let Some((heading, below)) = block.split_first() else { return Vec::new() };
    let half = most.saturating_sub(heading.len() + 60) / 2;
    let within = |lines: &mut dyn Iterator<Item = &String>| {
        let mut used = 0;
        lines
            .take_while(|line| {
                used += line.len() + 1;
                used <= half
            })
            .count()
    };
    let start = within(&mut below.iter());
    let end = within(&mut below.iter().skip(start).rev());
    let left_out = below.len() - start - end;
    let mut lines = vec![heading.clone()];
    lines.extend(below.iter().take(start).cloned());
    let noun = if left_out == 1 { "line is" } else { "lines are" };
    lines.push(format!("@@ {left_out} {noun} left out here @@"));
    lines.extend(below.iter().skip(below.len() - end).cloned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::lines::Sign;

    fn block(name: &str, lines: usize) -> Block {
        let line = |n: usize| Line::new(Sign::New, 1, &format!("{name} line {n}"));
        [Line::new(Sign::Changed, 0, name)].into_iter().chain((0..lines).map(line)).collect()
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let (lines, left) = fit(&[block("a", 2), block("b", 0)], 1_000);
        assert_eq!(
            (lines, left),
            (["! a", "+   a line 0", "+   a line 1", "! b"].map(String::from).to_vec(), 0)
        );
    }

    #[test]
    fn the_middle_of_a_long_block_is_cut_and_counted() {
        let (lines, left) = fit(&[block("a", 100), block("b", 1)], 400);
        assert_eq!(left, 0);
        assert!(size(&lines) <= 400, "{lines:?}");
        assert_eq!(
            (lines.first().map(String::as_str), lines.last().map(String::as_str)),
            (Some("! a"), Some("+   b line 0"))
        );
        let shown = lines.iter().filter(|line| line.starts_with("+   a ")).count();
        let words = format!("@@ {} lines are left out here @@", 100 - shown);
        assert!(lines.contains(&words), "{lines:?}");
        assert!(lines.contains(&"+   a line 99".to_owned()), "{lines:?}");
    }

    #[test]
    fn blocks_that_do_not_fit_at_all_are_counted() {
        let blocks: Vec<Block> = (0..10).map(|n| block(&format!("object {n}"), 0)).collect();
        let (lines, left) = fit(&blocks, 40);
        assert_eq!((lines.len(), left), (3, 7));
    }
}
