//! Sizes.

/// A number of bytes in its largest unit, powers of 1024, with a tenth where it says something: `1.5 KiB`, `290 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = "B";
    // In tenths, so that no floating point is needed.
    let mut tenths = u128::from(count) * 10;
    for larger in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    match tenths % 10 {
        tenth if tenth != 0 && tenths < 1000 => format!("{}.{tenth} {unit}", tenths / 10),
        _ => format!("{} {unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (1_468_006, "1.3 MiB"),
            (304_087_040, "290 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
