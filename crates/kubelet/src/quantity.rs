//! Resource quantities as numbers (the part of apimachinery's `resource.Quantity` that a node needs).

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Thousandths of the quantity, rounded up: `100m` → 100, `2` → 2000, `1Ki` → 1024000. `None` when malformed.
pub fn milli(quantity: &Quantity) -> Option<i64> {
    let text = quantity.0.trim();
    let end = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_digit() || *c == '.' || (*at == 0 && (*c == '+' || *c == '-'))))
        .map_or(text.len(), |(at, _)| at);
    let (number, suffix) = text.split_at(end);
    // Thousandths times the number: the exponent suffix `e3` is rare enough for the general path below.
    let factor: f64 = match suffix {
        "" => 1e3,
        "n" => 1e-6,
        "u" => 1e-3,
        "m" => 1.0,
        "k" => 1e6,
        "M" => 1e9,
        "G" => 1e12,
        "T" => 1e15,
        "P" => 1e18,
        "E" => 1e21,
        "Ki" => 1024f64 * 1e3,
        "Mi" => 1024f64.powi(2) * 1e3,
        "Gi" => 1024f64.powi(3) * 1e3,
        "Ti" => 1024f64.powi(4) * 1e3,
        "Pi" => 1024f64.powi(5) * 1e3,
        "Ei" => 1024f64.powi(6) * 1e3,
        exponent if exponent.starts_with(['e', 'E']) => 10f64.powi(exponent[1..].parse().ok()?) * 1e3,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Some((number * factor).ceil() as i64)
}

/// The quantity in whole units, rounded up.
pub fn value(quantity: &Quantity) -> Option<i64> {
    milli(quantity).map(|m| m.div_euclid(1000) + i64::from(m.rem_euclid(1000) > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read() {
        let q = |text: &str| Quantity(text.into());
        assert_eq!(milli(&q("100m")), Some(100));
        assert_eq!(milli(&q("1.5")), Some(1500));
        assert_eq!(value(&q("64Mi")), Some(64 << 20));
        assert_eq!(value(&q("1e3")), Some(1000));
        assert_eq!(value(&q("1500m")), Some(2));
        assert_eq!(value(&q("nonsense")), None);
    }
}
