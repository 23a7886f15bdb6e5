//! Why a document is not a policy.

use crate::error::KmsError;

/// A document is not a policy of its kind. The texts are AWS's, as far as they are known.
///
/// KMS sends them as MalformedPolicyDocumentException (but [`TooLong`](Self::TooLong) as
/// LimitExceededException), IAM as MalformedPolicyDocument.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// An action has a second colon.
    #[error("Actions/Condition can contain only one colon.")]
    ActionColons,
    /// An action has no service in front.
    #[error("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")]
    ActionWithoutVendor,
    /// A statement that allows has a `NotPrincipal`.
    #[error("Allow with NotPrincipal is not allowed.")]
    AllowNotPrincipal,
    /// The document holds a character that policies must not have.
    #[error(
        "The specified value for policyDocument is invalid. It must contain only printable ASCII characters."
    )]
    Character,
    /// Two statements of an identity policy have the same `Sid`.
    #[error("Statement IDs (SID) in a single policy must be unique.")]
    DuplicateSid,
    /// Two statements of a key policy or a trust policy have the same `Sid`.
    #[error("The Statement Ids in the policy are not unique")]
    DuplicateStatementId,
    /// The `Principal` of a trust policy is empty.
    #[error("Missing required field Principal cannot be empty!")]
    EmptyPrincipal,
    /// A trust policy has no statements.
    #[error("Could not parse the policy: Statement is empty!")]
    EmptyStatement,
    /// A resource of IAM is none that IAM has.
    #[error(
        "IAM resource path must either be \"*\" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/."
    )]
    IamPath,
    /// A resource of IAM has a region.
    #[error("IAM resource {0} cannot contain region information.")]
    IamRegion(String),
    /// An effect is neither `Allow` nor `Deny`.
    #[error("Invalid effect: {0}")]
    InvalidEffect(String),
    /// A trust policy is not JSON.
    #[error("This policy contains invalid Json")]
    InvalidJson,
    /// A principal of a trust policy is none.
    #[error("Invalid principal in policy: \"{kind}\":\"{name}\"")]
    InvalidPrincipal {
        /// The kind of principal: `AWS`, `Service`, …
        kind: String,
        /// What stands for it.
        name: String,
    },
    /// A principal of a key policy is none.
    #[error("Policy contains a statement with one or more invalid principals.")]
    InvalidPrincipals,
    /// The service of an action is not a name.
    #[error("Vendor {0} is not valid")]
    InvalidVendor(String),
    /// The `Version` of a trust policy is none that exists.
    #[error("The policy must contain a valid version string")]
    InvalidVersion,
    /// A value can't be what its operator compares, a resource is not an ARN, or an effect is in
    /// the wrong case.
    #[error("The policy failed legacy parsing")]
    LegacyParsing,
    /// A statement lacks a member that it must have.
    #[error("Missing required field {0}")]
    MissingField(&'static str),
    /// A statement of an identity policy names no actions.
    #[error("Policy statement must contain actions.")]
    NoActions,
    /// A statement of a key policy names no principals.
    #[error("Policy contains a statement with no principal.")]
    NoPrincipal,
    /// A statement of an identity policy names no resources.
    #[error("Policy statement must contain resources.")]
    NoResources,
    /// A key policy is not JSON.
    #[error("The policy is not in the valid JSON format.")]
    NotJson,
    /// A statement of a trust policy has a `NotPrincipal`.
    #[error("AssumeRole policy must not contain NotPrincipal field.")]
    NotPrincipalProhibited,
    /// A statement of a trust policy has a `NotResource`.
    #[error("AssumeRole policy must not contain resources.")]
    NotResourceProhibited,
    /// `ForAllValues` stands before a key that has one value: it would match requests without.
    #[error(
        "OverlyPermissiveCondition:{key}: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified {what} or with an unspecified {what}. To fix, remove ForAllValues."
    )]
    OverlyPermissive {
        /// The family of keys.
        key: &'static str,
        /// What the keys of the family are about.
        what: &'static str,
    },
    /// The partition of a resource is none.
    #[error("Partition \"{partition}\" is not valid for resource \"arn:{partition}:{rest}\".")]
    Partition {
        /// What stands for the partition.
        partition: String,
        /// What stands behind it.
        rest: String,
    },
    /// An identity policy names principals.
    #[error("Policy document should not specify a principal.")]
    PrincipalProhibited,
    /// A resource is not an ARN.
    #[error("Resource {0} must be in ARN format or \"*\".")]
    ResourceNotArn(String),
    /// A statement of a trust policy has a `Resource`.
    #[error("Has prohibited field Resource")]
    ResourceProhibited,
    /// A resource names no service.
    #[error("Resource vendor must be fully qualified and cannot contain regexes.")]
    ResourceWithoutVendor,
    /// A resource of S3 has a region, but no account.
    #[error("Resource {0} can not contain region information.")]
    S3Region(String),
    /// The `Sid` of a statement of an identity policy holds other characters than it may.
    #[error(
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
    )]
    SidCharacter,
    /// `"Principal": "*"` in a trust policy.
    #[error("AssumeRolepolicy contained an invalid principal: \"STAR\":\"*\".")]
    StarPrincipal,
    /// The document does not follow the grammar.
    #[error("Syntax errors in policy.")]
    Syntax,
    /// The key policy is longer than KMS takes.
    #[error("The key policy is longer than {limit} bytes.")]
    TooLong {
        /// The longest that it takes.
        limit: usize,
    },
    /// An action of a trust policy is not one that assumes a role.
    #[error("AssumeRole policy may only specify STS AssumeRole actions.")]
    TrustAction,
    /// A trust policy does not follow the grammar.
    #[error("Syntax error in policy.")]
    TrustSyntax,
    /// A member that policies don't have.
    #[error("Unknown field {0}")]
    UnknownField(String),
}

impl From<PolicyError> for KmsError {
    /// As KMS answers to a key policy.
    fn from(error: PolicyError) -> Self {
        let message = error.to_string().into();
        match error {
            PolicyError::TooLong { .. } => Self::LimitExceeded(message),
            _ => Self::MalformedPolicyDocument(message),
        }
    }
}
