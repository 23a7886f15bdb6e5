//! The names of condition keys, in lower case, as [`RequestContext::condition_values`] gets them.
//!
//! A policy may write a key in any case, and that goes for all of it: `kms:EncryptionContext:App`
//! in a policy is about `app` in a request too, as AWS documents. (A policy that is to be strict
//! there names the context's key in `kms:EncryptionContextKeys` as well, whose *values* are
//! compared with their case.) [`same`] compares such names. If several keys of an encryption
//! context differ in nothing but case, give the values of all of them.
//!
//! [`RequestContext::condition_values`]: super::RequestContext::condition_values

/// A name in lower case.
pub fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// Whether two names differ in nothing but case.
pub fn same(one: &str, other: &str) -> bool {
    // Quicker, and true of most names.
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    let folded = |name| str::chars(name).flat_map(char::to_lowercase);
    folded(one).eq(folded(other))
}

/// The number of the PCR that a key in lower case asks for:
/// `kms:recipientattestation:pcr<number>`, 0 to 31.
pub fn recipient_pcr(key: &str) -> Option<u8> {
    let number = key.strip_prefix(RECIPIENT_ATTESTATION_PCR_PREFIX)?;
    let parsed = number.parse().ok().filter(|number| *number < 32)?;
    (number == u8::to_string(&parsed)).then_some(parsed)
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $key:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $key;)*

        /// All of them.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

keys! {
    // --- of all of AWS ---
    /// `aws:CurrentTime`, a date: when the request came.
    CURRENT_TIME = "aws:currenttime";
    /// `aws:EpochTime`, a date in seconds since 1970: when the request came.
    EPOCH_TIME = "aws:epochtime";
    /// `aws:MultiFactorAuthPresent`, `true` or `false`: of temporary credentials, which here never
    /// come with a second factor.
    MULTI_FACTOR_AUTH_PRESENT = "aws:multifactorauthpresent";
    /// `aws:PrincipalAccount`, text: the caller's account.
    PRINCIPAL_ACCOUNT = "aws:principalaccount";
    /// `aws:PrincipalArn`, an ARN: the user, the role (not the session), or the account's root.
    PRINCIPAL_ARN = "aws:principalarn";
    /// `aws:PrincipalIsAWSService`, `true` or `false`: whether a service of AWS calls. Never here.
    PRINCIPAL_IS_AWS_SERVICE = "aws:principalisawsservice";
    /// `aws:PrincipalTag/<key>`, text: a tag of the user or the role.
    PRINCIPAL_TAG_PREFIX = "aws:principaltag/";
    /// `aws:PrincipalType`, text: `Account`, `User` or `AssumedRole`.
    PRINCIPAL_TYPE = "aws:principaltype";
    /// `aws:RequestTag/<key>`, text: a tag in the request.
    REQUEST_TAG_PREFIX = "aws:requesttag/";
    /// `aws:RequestedRegion`, text: the region called.
    REQUESTED_REGION = "aws:requestedregion";
    /// `aws:ResourceAccount`, text: the account of the resource.
    RESOURCE_ACCOUNT = "aws:resourceaccount";
    /// `aws:ResourceTag/<key>`, text: a tag of the resource.
    RESOURCE_TAG_PREFIX = "aws:resourcetag/";
    /// `aws:SecureTransport`, `true` or `false`: whether the request came over TLS.
    SECURE_TRANSPORT = "aws:securetransport";
    /// `aws:SourceIp`, an IP address: where the request came from.
    SOURCE_IP = "aws:sourceip";
    /// `aws:TagKeys`, several texts: the keys of the tags in the request.
    TAG_KEYS = "aws:tagkeys";
    /// `aws:TokenIssueTime`, a date: when temporary credentials were issued.
    TOKEN_ISSUE_TIME = "aws:tokenissuetime";
    /// `aws:UserAgent`, text: what the client says it is.
    USER_AGENT = "aws:useragent";
    /// `aws:userid`, text: the unique id of a user, `<role id>:<session>`, or the account's id.
    USER_ID = "aws:userid";
    /// `aws:username`, text: the name of a user; absent for all others.
    USER_NAME = "aws:username";
    /// `aws:ViaAWSService`, `true` or `false`: whether a service of AWS calls on behalf. Never here.
    VIA_AWS_SERVICE = "aws:viaawsservice";

    // --- of KMS ---
    /// `kms:BypassPolicyLockoutSafetyCheck`, `true` or `false`.
    BYPASS_POLICY_LOCKOUT_SAFETY_CHECK = "kms:bypasspolicylockoutsafetycheck";
    /// `kms:CallerAccount`, text: the account of the caller.
    CALLER_ACCOUNT = "kms:calleraccount";
    /// `kms:DataKeyPairSpec`, text.
    DATA_KEY_PAIR_SPEC = "kms:datakeypairspec";
    /// `kms:EncryptionAlgorithm`, text.
    ENCRYPTION_ALGORITHM = "kms:encryptionalgorithm";
    /// `kms:EncryptionContext:<key>`, text: the value of one key of the encryption context.
    ENCRYPTION_CONTEXT_PREFIX = "kms:encryptioncontext:";
    /// `kms:EncryptionContextKeys`, several texts: the keys of the encryption context.
    ENCRYPTION_CONTEXT_KEYS = "kms:encryptioncontextkeys";
    /// `kms:ExpirationModel`, text.
    EXPIRATION_MODEL = "kms:expirationmodel";
    /// `kms:GrantConstraintType`, text: `EncryptionContextEquals` or `EncryptionContextSubset`.
    GRANT_CONSTRAINT_TYPE = "kms:grantconstrainttype";
    /// `kms:GrantIsForAWSResource`, `true` or `false`: whether a service of AWS makes the grant.
    GRANT_IS_FOR_AWS_RESOURCE = "kms:grantisforawsresource";
    /// `kms:GrantOperations`, several texts.
    GRANT_OPERATIONS = "kms:grantoperations";
    /// `kms:GranteePrincipal`, text.
    GRANTEE_PRINCIPAL = "kms:granteeprincipal";
    /// `kms:KeyAgreementAlgorithm`, text.
    KEY_AGREEMENT_ALGORITHM = "kms:keyagreementalgorithm";
    /// `kms:KeyOrigin`, text: of the key used, or of the one to be made.
    KEY_ORIGIN = "kms:keyorigin";
    /// `kms:KeySpec`, text: of the key used, or of the one to be made.
    KEY_SPEC = "kms:keyspec";
    /// `kms:KeyUsage`, text: of the key used, or of the one to be made.
    KEY_USAGE = "kms:keyusage";
    /// `kms:MacAlgorithm`, text.
    MAC_ALGORITHM = "kms:macalgorithm";
    /// `kms:MessageType`, text.
    MESSAGE_TYPE = "kms:messagetype";
    /// `kms:MultiRegion`, `true` or `false`: of the key used, or of the one to be made.
    MULTI_REGION = "kms:multiregion";
    /// `kms:MultiRegionKeyType`, text: `PRIMARY` or `REPLICA`.
    MULTI_REGION_KEY_TYPE = "kms:multiregionkeytype";
    /// `kms:PrimaryRegion`, text.
    PRIMARY_REGION = "kms:primaryregion";
    /// `kms:ReEncryptOnSameKey`, `true` or `false`.
    REENCRYPT_ON_SAME_KEY = "kms:reencryptonsamekey";
    /// `kms:RecipientAttestation:ImageSha384`, text: PCR 0 of a verified document in hexadecimal.
    RECIPIENT_ATTESTATION_IMAGE_SHA384 = "kms:recipientattestation:imagesha384";
    /// `kms:RecipientAttestation:PCR<n>`, text: a PCR of a verified document in hexadecimal. See
    /// [`recipient_pcr`].
    RECIPIENT_ATTESTATION_PCR_PREFIX = "kms:recipientattestation:pcr";
    /// `kms:ReplicaRegion`, text.
    REPLICA_REGION = "kms:replicaregion";
    /// `kms:RequestAlias`, text: the alias that the request names the key by.
    REQUEST_ALIAS = "kms:requestalias";
    /// `kms:ResourceAliases`, several texts: all aliases of the key.
    RESOURCE_ALIASES = "kms:resourcealiases";
    /// `kms:RetiringPrincipal`, text.
    RETIRING_PRINCIPAL = "kms:retiringprincipal";
    /// `kms:RotationPeriodInDays`, a number.
    ROTATION_PERIOD_IN_DAYS = "kms:rotationperiodindays";
    /// `kms:ScheduleKeyDeletionPendingWindowInDays`, a number.
    SCHEDULE_KEY_DELETION_PENDING_WINDOW_IN_DAYS = "kms:schedulekeydeletionpendingwindowindays";
    /// `kms:SigningAlgorithm`, text.
    SIGNING_ALGORITHM = "kms:signingalgorithm";
    /// `kms:ValidTo`, a date in seconds since 1970: when imported material is to expire.
    VALID_TO = "kms:validto";
    /// `kms:ViaService`, text: the service of AWS that calls on behalf. Never here.
    VIA_SERVICE = "kms:viaservice";
    /// `kms:WrappingAlgorithm`, text.
    WRAPPING_ALGORITHM = "kms:wrappingalgorithm";
    /// `kms:WrappingKeySpec`, text.
    WRAPPING_KEY_SPEC = "kms:wrappingkeyspec";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_lower_case_and_its_own() {
        let mut sorted: Vec<_> = ALL.iter().map(|key| fold(key)).collect();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), ALL.len());
        assert!(ALL.iter().all(|key| fold(key) == *key));
        assert!(ALL.contains(&"kms:encryptioncontextkeys"));
    }

    #[test]
    fn names_are_compared_without_case() {
        assert!(same("AppName", "appname"));
        assert!(same("ÄÖÜ", "äöü"));
        assert!(same("\u{212a}ey", "Key"), "the sign of Kelvin is a K");
        assert!(!same("AppName", "AppNam"));
        assert!(!same("AppNam", "AppName"));
        assert_eq!(
            fold("kms:EncryptionContext:ÄPP"),
            "kms:encryptioncontext:äpp"
        );
    }

    #[test]
    fn a_pcr_has_a_number_in_one_form_only() {
        for (key, number) in [
            ("kms:recipientattestation:pcr0", Some(0)),
            ("kms:recipientattestation:pcr8", Some(8)),
            ("kms:recipientattestation:pcr31", Some(31)),
            ("kms:recipientattestation:pcr32", None),
            ("kms:recipientattestation:pcr256", None),
            ("kms:recipientattestation:pcr00", None),
            ("kms:recipientattestation:pcr+1", None),
            ("kms:recipientattestation:pcr", None),
            ("kms:recipientattestation:imagesha384", None),
            ("pcr0", None),
        ] {
            assert_eq!(recipient_pcr(key), number, "{key}");
        }
    }
}
