//! Numbers of bytes, for people.

/// Bytes in the largest unit that makes them more than one.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut tenths = u128::from(number) * 10 / 1024;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for larger in units {
        if tenths < 10240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, larger);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A number of bytes as people write it: `500GiB`.
pub(crate) fn number(text: &str) -> Result<u64, &'static str> {
    const SHAPE: &str = "this is no number of bytes: digits, also with KiB, MiB, GiB or TiB";
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(SHAPE),
    };
    let number: u64 = number.parse().map_err(|_| SHAPE)?;
    let all = number.checked_mul(1 << shift);
    all.filter(|all| i64::try_from(*all).is_ok())
        .ok_or("that is more than there can be")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_the_units_that_people_write() {
        assert_eq!(
            [number("7"), number("10MiB"), number("2TiB")],
            [Ok(7), Ok(10 << 20), Ok(2 << 40)]
        );
        for wrong in [
            "",
            "MiB",
            "1MB",
            "-1",
            "1.5GiB",
            "9999999TiB",
            "18446744073709551616",
        ] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_are_told_in_units_that_people_read() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (13_905_920, "13.2 MiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }
}
