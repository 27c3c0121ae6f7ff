//! The fields that controllers read, kind by kind.
//!
//! Caches grow with the cluster, so a view leaves out what nobody here looks at. Pod templates are kept as JSON: they are
//! only compared, hashed and copied, and no field that a newer API server knows may get lost on the way.

mod core;
mod workloads;

pub use core::*;
pub use workloads::*;

use serde::{Deserialize, Deserializer};

/// Go writes empty lists and maps as `null`: they read as empty.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Declares a view: a struct with `metadata` and the given fields, usable with [`client::informer::Informer`] and
/// [`kube::Api`].
macro_rules! view {
    ($(#[$doc:meta])* $name:ident, $group:literal, $version:literal, $plural:literal, $scope:ident,
     { $($(#[$field_attr:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            /// Standard metadata.
            pub metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            $($(#[$field_attr])* #[serde(deserialize_with = "crate::views::nullable")] pub $field: $type,)*
        }

        impl k8s_openapi::Resource for $name {
            const API_VERSION: &'static str =
                if $group.is_empty() { $version } else { concat!($group, "/", $version) };
            const GROUP: &'static str = $group;
            const KIND: &'static str = stringify!($name);
            const VERSION: &'static str = $version;
            const URL_PATH_SEGMENT: &'static str = $plural;
            type Scope = k8s_openapi::$scope;
        }

        impl k8s_openapi::Metadata for $name {
            type Ty = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
            fn metadata(&self) -> &Self::Ty {
                &self.metadata
            }
            fn metadata_mut(&mut self) -> &mut Self::Ty {
                &mut self.metadata
            }
        }
    };
}

/// Declares a part of a view.
macro_rules! part {
    ($(#[$doc:meta])* $name:ident, { $($(#[$field_attr:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $($(#[$field_attr])* #[serde(deserialize_with = "crate::views::nullable")] pub $field: $type,)*
        }
    };
}

pub(crate) use {part, view};

#[cfg(test)]
mod tests {
    use super::*;
    use kube::Resource;

    #[test]
    fn views_have_the_urls_of_their_kinds() {
        assert_eq!(Pod::url_path(&(), Some("d")), "/api/v1/namespaces/d/pods");
        assert_eq!(Deployment::url_path(&(), None), "/apis/apps/v1/deployments");
        assert_eq!(Pod::api_version(&()), "v1");
    }
}
