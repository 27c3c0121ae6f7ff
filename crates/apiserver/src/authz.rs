//! Who may do what. The tutorial's mode is AlwaysAllow; other modes come as further authorizers behind the same trait.

use api::status::ApiError;

use crate::authn::User;
use crate::request::Info;

/// What is asked (`authorizer.Attributes`).
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// Who asks.
    pub user: &'a User,
    /// What they want to do.
    pub verb: &'a str,
    /// With what.
    pub info: &'a Info,
    /// The path, for what is no resource.
    pub path: &'a str,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No, whatever the others say.
    Deny,
    /// Somebody else may know.
    NoOpinion,
}

/// Decides whether a request may go on.
pub trait Authorizer: Send + Sync {
    /// The answer.
    fn authorize(&self, attributes: &Attributes<'_>) -> Decision;
}

struct Always(Decision);

impl Authorizer for Always {
    fn authorize(&self, _: &Attributes<'_>) -> Decision {
        self.0
    }
}

/// The authorizers of `--authorization-mode`, asked in order.
pub struct Authorizers(Vec<Box<dyn Authorizer>>);

impl Authorizers {
    /// From the flag; an error names what is wrong.
    pub fn new(modes: &[String]) -> Result<Authorizers, String> {
        let mut authorizers: Vec<Box<dyn Authorizer>> = Vec::new();
        for mode in modes.iter().filter(|m| !m.is_empty()) {
            match mode.as_str() {
                "AlwaysAllow" => authorizers.push(Box::new(Always(Decision::Allow))),
                "AlwaysDeny" => authorizers.push(Box::new(Always(Decision::Deny))),
                "RBAC" | "Node" | "ABAC" | "Webhook" => {
                    return Err(format!("{mode} is not supported by this version; use AlwaysAllow"));
                }
                other => return Err(format!("{other:?} is not a valid mode")),
            }
        }
        if authorizers.is_empty() {
            return Err("at least one authorization-mode must be passed".into());
        }
        Ok(Authorizers(authorizers))
    }

    /// The first opinion.
    pub fn decide(&self, attributes: &Attributes<'_>) -> Decision {
        let mut opinions = self.0.iter().map(|a| a.authorize(attributes));
        opinions.find(|d| *d != Decision::NoOpinion).unwrap_or(Decision::NoOpinion)
    }

    /// Refuses what nobody allows.
    pub fn check(&self, attributes: &Attributes<'_>) -> Result<(), ApiError> {
        match self.decide(attributes) {
            Decision::Allow => Ok(()),
            Decision::Deny | Decision::NoOpinion => Err(forbidden(attributes)),
        }
    }
}

/// Upstream's words (`responsewriters.Forbidden`).
fn forbidden(attributes: &Attributes<'_>) -> ApiError {
    let (user, info) = (&attributes.user.name, attributes.info);
    if !info.is_resource {
        let why = format!("User {user:?} cannot {} path {:?}", info.verb, attributes.path);
        return ApiError::new(403, "Forbidden", format!("forbidden: {why}"));
    }
    let mut resource = info.resource.clone();
    if !info.subresource.is_empty() {
        resource = format!("{resource}/{}", info.subresource);
    }
    let scope = if info.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", info.namespace)
    };
    let why = format!(
        "User {user:?} cannot {} resource {resource:?} in API group {:?} {scope}",
        info.verb, info.group
    );
    let kind = api::status::GroupName { group: &info.group, name: &info.resource };
    ApiError::forbidden(kind, &info.name, &why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_that_is_not_there_is_no_silent_yes() {
        assert!(Authorizers::new(&["RBAC".into()]).is_err());
        assert!(Authorizers::new(&[]).is_err());
        let user = User::anonymous();
        let info = Info { is_resource: true, verb: "list", resource: "pods".into(), ..Info::default() };
        let asked = Attributes { user: &user, verb: info.verb, info: &info, path: "/api/v1/pods" };
        assert!(Authorizers::new(&["AlwaysAllow".into()]).unwrap().check(&asked).is_ok());
        let refused = Authorizers::new(&["AlwaysDeny".into()]).unwrap().check(&asked).unwrap_err();
        assert_eq!(
            refused.message,
            "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" at the cluster scope"
        );
    }
}
