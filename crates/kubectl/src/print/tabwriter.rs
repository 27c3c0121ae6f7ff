//! Go's `text/tabwriter`, as far as kubectl uses it: left-aligned cells, spaces as padding.
//!
//! A cell ends with a tab. A column is a run of lines that all have a tab-terminated cell there; what
//! stands after the last tab of a line belongs to no column.

/// The table printer of `get` (upstream: `printers.GetNewTabWriter`).
pub(crate) fn table(text: &str) -> String {
    align(text, 10, 3)
}

/// The printer of `describe` (upstream: `tabbedString`).
pub(crate) fn describe(text: &str) -> String {
    align(text, 0, 2)
}

/// Replaces tabs by as many spaces as align the columns.
pub(crate) fn align(text: &str, min_width: usize, padding: usize) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|l| l.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|l| vec![0; l.len() - 1]).collect();
    let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut i = 0;
        while i < lines.len() {
            let end = (i..lines.len()).find(|j| widths[*j].len() <= column).unwrap_or(lines.len());
            if end == i {
                i += 1;
                continue;
            }
            let width = (i..end).map(|j| lines[j][column].chars().count() + padding).max().unwrap_or(0);
            for w in &mut widths[i..end] {
                w[column] = width.max(min_width);
            }
            i = end;
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        for (j, cell) in line.iter().enumerate() {
            out.push_str(cell);
            if let Some(w) = widths[i].get(j) {
                out.extend(std::iter::repeat_n(' ', w.saturating_sub(cell.chars().count())));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_runs_of_lines() {
        assert_eq!(table("NAME\tAGE\nweb-np\t1s\n"), "NAME      AGE\nweb-np    1s\n");
        assert_eq!(
            describe("Name:\tx\nLabels:\ta=b\n\tc=d\nlines\nStatus:\tok\n"),
            "Name:    x\nLabels:  a=b\n         c=d\nlines\nStatus:  ok\n"
        );
        assert_eq!(table("a\t\t\nbb\tc\t\n"), "a                   \nbb        c         \n");
    }
}
