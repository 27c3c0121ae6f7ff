//! Just enough of resource quantities to add them up for `describe node`
//! (upstream: `apimachinery/pkg/api/resource`).

use std::fmt;

/// A sum of amounts in thousandths, printed in the form that they were written in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Quantity {
    milli: i128,
    binary: bool,
}

impl Quantity {
    /// Reads `100m`, `1.5`, `64Mi`, `1G`, `1e3`; anything else is 0.
    pub(crate) fn parse(text: &str) -> Self {
        let end =
            text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+')).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (factor, binary): (f64, bool) = match suffix {
            "" => (1.0, false),
            "n" => (1e-9, false),
            "u" => (1e-6, false),
            "m" => (1e-3, false),
            "k" => (1e3, false),
            "M" => (1e6, false),
            "G" => (1e9, false),
            "T" => (1e12, false),
            "P" => (1e15, false),
            "E" => (1e18, false),
            "Ki" => (1024f64, true),
            "Mi" => (1024f64.powi(2), true),
            "Gi" => (1024f64.powi(3), true),
            "Ti" => (1024f64.powi(4), true),
            "Pi" => (1024f64.powi(5), true),
            "Ei" => (1024f64.powi(6), true),
            s => match s.strip_prefix(['e', 'E']).and_then(|e| e.parse::<i32>().ok()) {
                Some(e) => (10f64.powi(e), false),
                None => (0.0, false),
            },
        };
        let milli = match number.parse::<i128>() {
            // Whole numbers stay exact.
            Ok(n) if factor >= 1.0 => n * factor as i128 * 1000,
            _ => (number.parse::<f64>().unwrap_or(0.0) * factor * 1000.0).ceil() as i128,
        };
        Quantity { milli, binary }
    }

    /// Adds another amount.
    pub(crate) fn add(&mut self, other: &Quantity) {
        if self.milli == 0 {
            self.binary = other.binary;
        }
        self.milli += other.milli;
    }

    /// The amount in thousandths.
    pub(crate) fn milli(&self) -> i128 {
        self.milli
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.milli % 1000 != 0 {
            return write!(f, "{}m", self.milli);
        }
        let n = self.milli / 1000;
        let (base, suffixes): (i128, &[&str]) = match self.binary {
            true => (1024, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]),
            false => (1000, &["", "k", "M", "G", "T", "P", "E"]),
        };
        let (mut n, mut i) = (n, 0);
        while n != 0 && n % base == 0 && i + 1 < suffixes.len() {
            n /= base;
            i += 1;
        }
        write!(f, "{n}{}", suffixes[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_their_form() {
        let mut q = Quantity::parse("100m");
        q.add(&Quantity::parse("1"));
        assert_eq!(q.to_string(), "1100m");
        let mut q = Quantity::default();
        q.add(&Quantity::parse("64Mi"));
        q.add(&Quantity::parse("1Gi"));
        assert_eq!(q.to_string(), "1088Mi");
        assert_eq!(Quantity::default().to_string(), "0");
    }
}
