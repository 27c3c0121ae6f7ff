//! Quantity fields: [`api::quantity`] with Go's zero value for what is absent.

use api::Value;
pub(crate) use api::quantity::Quantity;

/// Reading quantities out of objects.
pub(crate) trait QuantityField {
    /// A quantity field; zero when absent or malformed.
    fn of(value: &Value) -> Self;
    /// The canonical text of a quantity field: decoding has made texts canonical already.
    fn shown(value: &Value) -> String;
}

impl QuantityField for Quantity {
    fn of(value: &Value) -> Quantity {
        match value {
            Value::String(s) => Quantity::parse(s).unwrap_or_default(),
            Value::Number(n) => Quantity::parse(&n.to_string()).unwrap_or_default(),
            _ => Quantity::default(),
        }
    }

    fn shown(value: &Value) -> String {
        match value {
            Value::String(s) => s.clone(),
            Value::Number(n) => n.to_string(),
            _ => "0".to_owned(),
        }
    }
}
