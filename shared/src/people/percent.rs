//! Shares.

/// What `part` is of `of`, with one digit behind the point and no floating point: `2.3 %`. Of nothing everything is 0.
pub fn percent(part: u64, of: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(of.max(1));
    match of {
        0 => "0.0 %".into(),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_have_one_digit() {
        let shown = [(0, 0), (7, 0), (0, 7), (23, 1000), (1, 3), (5, 5), (7, 5)].map(|(part, of)| percent(part, of));
        assert_eq!(shown, ["0.0 %", "0.0 %", "0.0 %", "2.3 %", "33.3 %", "100.0 %", "140.0 %"]);
    }
}
