//! Kubernetes quantities (`100m`, `1.5Gi`, `2e3`) as whole numbers, rounded up as upstream's `Value` and `MilliValue`.

/// The quantity in thousandths. Text that is no quantity is 0: the API server has refused it long before.
pub(crate) fn milli(text: &str) -> i64 {
    scaled(text, 1000)
}

/// The quantity in whole units.
pub(crate) fn value(text: &str) -> i64 {
    scaled(text, 1)
}

fn scaled(text: &str, scale: i128) -> i64 {
    parse(text)
        .map(|(number, divisor)| {
            let number = number.saturating_mul(scale);
            let rounded = if number > 0 { (number + divisor - 1) / divisor } else { number / divisor };
            i64::try_from(rounded).unwrap_or(if rounded > 0 { i64::MAX } else { i64::MIN })
        })
        .unwrap_or(0)
}

/// The number as a fraction.
fn parse(text: &str) -> Option<(i128, i128)> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // More than nano is below what anything here can tell apart.
    let fraction = &fraction[..fraction.len().min(12)];
    let mut number: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let mut divisor = 10i128.pow(u32::try_from(fraction.len()).ok()?);
    match suffix {
        "" => {}
        "n" => divisor *= 1_000_000_000,
        "u" => divisor *= 1_000_000,
        "m" => divisor *= 1000,
        "k" => number *= 1000,
        "M" => number *= 1_000_000,
        "G" => number *= 1_000_000_000,
        "T" => number *= 1_000_000_000_000,
        "P" => number *= 1_000_000_000_000_000,
        "E" => number *= 1_000_000_000_000_000_000,
        "Ki" => number <<= 10,
        "Mi" => number <<= 20,
        "Gi" => number <<= 30,
        "Ti" => number <<= 40,
        "Pi" => number <<= 50,
        "Ei" => number <<= 60,
        other => {
            let exponent: i32 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10i128.checked_pow(exponent.unsigned_abs().min(18))?;
            if exponent < 0 {
                divisor = divisor.checked_mul(power)?
            } else {
                number = number.checked_mul(power)?
            }
        }
    }
    Some((if negative { -number } else { number }, divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        for (text, expected) in
            [("100m", 100), ("1", 1000), ("0.5", 500), ("1.0001", 1001), ("2e3", 2_000_000)]
        {
            assert_eq!(milli(text), expected, "{text}");
        }
        for (text, expected) in [
            ("1Ki", 1024),
            ("1.5Gi", 1_610_612_736),
            ("100m", 1),
            ("1E", 1_000_000_000_000_000_000),
            ("x", 0),
            ("", 0),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        assert_eq!(value("100Ei"), i64::MAX);
    }
}
