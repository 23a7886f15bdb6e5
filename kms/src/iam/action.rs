//! The operations of IAM and STS that there are, by name.

use crate::sigv4::Service;

macro_rules! actions {
    ($($name:ident)*) => {
        /// An operation of IAM or STS.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[allow(missing_docs, reason = "the names are AWS's own")]
        #[non_exhaustive]
        pub enum Action { $($name,)* }

        impl Action {
            /// All operations, in alphabetical order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The operation's name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

actions! {
    AssumeRole CreateAccessKey CreateRole CreateUser DeleteAccessKey DeleteLoginProfile DeleteRole
    DeleteRolePolicy DeleteUser DeleteUserPolicy GetAccessKeyInfo GetAccessKeyLastUsed
    GetCallerIdentity GetLoginProfile GetRole GetRolePolicy GetSessionToken GetUser GetUserPolicy
    ListAccessKeys ListAttachedRolePolicies ListAttachedUserPolicies ListGroupsForUser
    ListInstanceProfilesForRole ListMFADevices ListRolePolicies ListRoleTags ListRoles
    ListSSHPublicKeys ListServiceSpecificCredentials ListSigningCertificates ListUserPolicies
    ListUserTags ListUsers ListVirtualMFADevices PutRolePolicy PutUserPolicy TagRole TagUser
    UntagRole UntagUser UpdateAccessKey UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription
}

impl Action {
    /// The operation that a service has under this name.
    pub(super) fn find(service: Service, name: &str) -> Option<Self> {
        let mut actions = Self::ALL.iter().copied();
        actions.find(|action| action.service() == service && action.as_str() == name)
    }

    /// The service it belongs to.
    pub const fn service(self) -> Service {
        match self {
            Self::AssumeRole
            | Self::GetAccessKeyInfo
            | Self::GetCallerIdentity
            | Self::GetSessionToken => Service::Sts,
            _ => Service::Iam,
        }
    }

    /// Whether it changes what is stored.
    pub fn writes(self) -> bool {
        ["Create", "Delete", "Put", "Tag", "Untag", "Update"]
            .iter()
            .any(|verb| self.as_str().starts_with(verb))
    }

    /// Its name in policies: `iam:CreateUser`.
    pub(super) fn in_policies(self) -> String {
        format!("{}:{}", self.service().name(), self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_is_found_in_its_own_service_only() {
        assert_eq!(Action::ALL.len(), 45);
        assert!(Action::ALL.is_sorted_by_key(|action| action.as_str()));
        for action in Action::ALL {
            for service in [Service::Iam, Service::Sts, Service::Kms] {
                let found = Action::find(service, action.as_str());
                assert_eq!(found.is_some(), service == action.service(), "{action:?}");
            }
        }
        assert_eq!(Action::find(Service::Iam, "createUser"), None);
        assert_eq!(Action::find(Service::Iam, "CreateGroup"), None);
    }

    #[test]
    fn these_change_nothing() {
        let reads = Action::ALL.iter().filter(|action| !action.writes());
        let reads: Vec<_> = reads.map(|action| action.as_str()).collect();
        assert_eq!(
            reads.join(" "),
            "AssumeRole GetAccessKeyInfo GetAccessKeyLastUsed GetCallerIdentity GetLoginProfile \
             GetRole GetRolePolicy GetSessionToken GetUser GetUserPolicy ListAccessKeys \
             ListAttachedRolePolicies ListAttachedUserPolicies ListGroupsForUser \
             ListInstanceProfilesForRole ListMFADevices ListRolePolicies ListRoleTags ListRoles \
             ListSSHPublicKeys ListServiceSpecificCredentials ListSigningCertificates \
             ListUserPolicies ListUserTags ListUsers ListVirtualMFADevices"
        );
    }
}
