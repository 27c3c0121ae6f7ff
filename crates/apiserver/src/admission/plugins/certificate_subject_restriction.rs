//! CertificateSubjectRestriction: nobody asks for a client certificate of `system:masters`.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;

use super::super::{Attributes, Plugin};
use super::forbidden;
use crate::Server;
use crate::authn::{MASTERS, x509};
use crate::registry::obj;

/// See the module.
pub struct CertificateSubjectRestriction;

const SIGNER: &str = "kubernetes.io/kube-apiserver-client";

#[async_trait]
impl Plugin for CertificateSubjectRestriction {
    fn name(&self) -> &'static str {
        "CertificateSubjectRestriction"
    }

    async fn validate(
        &self,
        _: &Server,
        attributes: &Attributes<'_>,
        object: Option<&Value>,
    ) -> Result<(), ApiError> {
        let requests = attributes.resource.is("certificates.k8s.io", "certificatesigningrequests");
        let Some(object) = object.filter(|_| requests && attributes.subresource.is_empty()) else {
            return Ok(());
        };
        if obj::text_at(object, "spec.signerName") != SIGNER {
            return Ok(());
        }
        // What is no request was refused by validation.
        let groups = x509::organizations_of_request(obj::text_at(object, "spec.request"));
        if groups.unwrap_or_default().iter().any(|group| group == MASTERS) {
            let why = format!("use of {SIGNER} signer with {MASTERS} group is not allowed");
            return Err(forbidden(attributes, Some(object), &why));
        }
        Ok(())
    }
}
