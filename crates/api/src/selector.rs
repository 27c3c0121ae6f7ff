//! Label and field selectors: upstream's `k8s.io/apimachinery/pkg/labels` and `pkg/fields`.

mod fields;
mod labels;
mod parse;

pub use fields::{FieldSelector, FieldTerm, field_paths, selectable_field, supported_fields};
pub use labels::{LabelSelector, Operator, Requirement};
