//! Plain tables: columns as wide as their widest cell.

/// Rows of cells as lines; columns whose name starts with `>` are aligned to the right.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let names: Vec<String> = head.iter().map(|name| name.trim_start_matches('>').to_owned()).collect();
    let all = || core::iter::once(&names).chain(rows);
    let widths: Vec<usize> =
        (0..head.len()).map(|col| all().map(|row| row[col].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).zip(head).map(|((cell, &width), name)| {
            if name.starts_with('>') { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
    };
    all().map(line).collect()
}

/// Name and value, one pair a line.
pub(super) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    pairs
        .iter()
        .map(|(name, value)| format!("  {name:<width$}  {value}").trim_end().to_owned() + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), "1000".to_owned()]];
        assert_eq!(table(&["name", ">count"], &rows), "  name  count\n  a         1\n  long   1000\n");
    }

    #[test]
    fn names_of_pairs_are_aligned() {
        assert_eq!(pairs(&[("a", "x".into()), ("long", String::new())]), "  a     x\n  long\n");
    }
}
