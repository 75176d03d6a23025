//! Tables in Markdown, so that what a run prints can be quoted as it is.

/// A table with a title.
pub struct Table {
    title: String,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows yet.
    pub fn new(title: impl Into<String>, head: &[&'static str]) -> Self {
        Self { title: title.into(), head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(Vec::from(cells));
    }

    /// Prints it.
    pub fn print(&self) {
        println!("\n{}\n", self.title);
        println!("| {} |", self.head.join(" | "));
        println!("|{}", "---|".repeat(self.head.len()));
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
    }
}

/// `1.23`, `45.6`, `789`: three digits that say something.
pub fn number(value: f64) -> String {
    if value.abs() < 10.0 {
        format!("{value:.2}")
    } else if value.abs() < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// Milliseconds.
pub fn millis(seconds: f64) -> String {
    format!("{} ms", number(seconds * 1_000.0))
}

/// The value below which this share of the samples lies (nearest rank).
pub fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let below = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank"
    )]
    let rank = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1).min(below);
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

/// A count as a divisor; at least one.
pub fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_that_were_seen() {
        let samples: Vec<f64> = (1..=100).map(f64::from).rev().collect();
        let found = [0.5, 0.99, 1.0].map(|share| number(percentile(&samples, share)));
        assert_eq!(found, ["50.0", "99.0", "100"]);
        assert!(percentile(&[], 0.5).is_nan());
    }
}
