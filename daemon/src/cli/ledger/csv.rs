//! Comma-separated values (RFC 4180), for spreadsheets: a text of somebody else is never a formula there.

/// A cell that begins so is computed by spreadsheets (OWASP, "CSV Injection"); with an apostrophe before it, it is a text.
const COMPUTED: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// One line with its end.
pub fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

fn quoted(cell: &str) -> String {
    let guarded = if cell.starts_with(COMPUTED) { format!("'{cell}") } else { cell.to_owned() };
    if guarded.contains(['"', ',', '\n', '\r']) || guarded != guarded.trim() {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_have_to_be_and_are_never_formulas() {
        let cells =
            ["a", "a,b", "say \"no\"", "", " a", "=1+1", "-2", "@x", "+1,2", "\t=1"].map(str::to_owned);
        let expected = "a,\"a,b\",\"say \"\"no\"\"\",,\" a\",'=1+1,'-2,'@x,\"'+1,2\",'\t=1\r\n";
        assert_eq!(line(&cells), expected);
    }
}
