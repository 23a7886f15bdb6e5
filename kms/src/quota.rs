//! How often a principal may call: AWS's default request quotas.
//!
//! AWS counts the calls of all principals of an account in a region together. Here each principal
//! has the quotas of a whole account, so that one of them can't use up what the others need; all
//! sessions of a role are one principal. Its calls in all regions count together, since a region
//! here is a name that callers choose. The numbers are those of "Request quotas" in AWS's Developer
//! Guide, outside China. It says nothing of ML-KEM, which has those of ML-DSA.
//!
//! A quota is a bucket of tokens that holds a second's worth: whoever was idle may make a second's
//! calls at once, and then goes on evenly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Timestamp;
use crate::error::KmsError;
use crate::name::Region;
use crate::principal::{Principal, PrincipalKind};
use crate::protocol::spec::{EncryptionAlgorithm, KeyPairSpec, SigningAlgorithm};
use crate::protocol::{OperationName, Request};

/// Microseconds.
const SECOND: u64 = 1_000_000;

/// So many principals are remembered before those are forgotten who have nothing to wait for.
const MANY: usize = 1024;

/// What is left of the quotas of all principals that called within the last seconds.
pub(crate) struct RequestQuotas(Mutex<Callers>);

struct Callers {
    buckets: HashMap<Arc<str>, Vec<Bucket>>,
    /// When there are so many, it is time to forget some.
    many: usize,
}

/// What a principal has left of one quota.
struct Bucket {
    quota: Quota,
    /// When the calls made so far would all have been made, evenly; microseconds since 1970.
    spent_until: u64,
}

/// What is counted together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Quota {
    Symmetric,
    Rsa,
    EllipticCurve,
    MlDsa,
    DataKeyPair(KeyPairSpec),
    /// Everything else is counted by itself.
    Operation(OperationName),
}

impl RequestQuotas {
    /// Nothing is used up yet.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Callers {
            buckets: HashMap::new(),
            many: MANY,
        }))
    }

    /// Counts a call.
    ///
    /// # Errors
    ///
    /// ThrottlingException if the principal has made too many of its kind.
    pub(crate) fn spend(
        &self,
        principal: &Principal,
        region: &Region,
        (operation, request): (OperationName, &Request<'_>),
        now: Timestamp,
    ) -> Result<(), KmsError> {
        let quota = Quota::of(operation, request);
        let arn = match principal.kind() {
            PrincipalKind::Session(session) => session.role.arn(),
            _ => principal.arn(),
        };
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        callers.spend(arn, region, quota, now.as_millis().saturating_mul(1000))
    }
}

impl Callers {
    fn spend(
        &mut self,
        arn: &Arc<str>,
        region: &Region,
        quota: Quota,
        now: u64,
    ) -> Result<(), KmsError> {
        let interval = SECOND / quota.per_second(region.as_str());
        self.make_room(now);
        let buckets = self.buckets.entry(Arc::clone(arn)).or_default();
        let found = buckets.iter_mut().find(|bucket| bucket.quota == quota);
        let spent_until = found.as_ref().map_or(0, |bucket| bucket.spent_until);
        let spent_until = spent_until.max(now) + interval;
        if spent_until > now + SECOND {
            return Err(KmsError::Throttling);
        }
        match found {
            Some(bucket) => bucket.spent_until = spent_until,
            None => buckets.push(Bucket { quota, spent_until }),
        }
        Ok(())
    }

    /// Forgets who has all quotas again.
    fn make_room(&mut self, now: u64) {
        if self.buckets.len() >= self.many {
            self.buckets
                .retain(|_, buckets| buckets.iter().any(|bucket| bucket.spent_until > now));
            self.many = MANY.max(2 * self.buckets.len());
        }
    }
}

impl Quota {
    /// That of a request.
    fn of(operation: OperationName, request: &Request<'_>) -> Self {
        match request {
            Request::Decrypt(request) => Self::of_encryption(request.encryption_algorithm),
            Request::Encrypt(request) => Self::of_encryption(request.encryption_algorithm),
            Request::ReEncrypt(request) => Self::of_encryption(request.source_encryption_algorithm),
            Request::GenerateDataKey(_)
            | Request::GenerateDataKeyWithoutPlaintext(_)
            | Request::GenerateMac(_)
            | Request::GenerateRandom(_)
            | Request::VerifyMac(_) => Self::Symmetric,
            Request::Sign(request) => Self::of_signature(request.signing_algorithm),
            Request::Verify(request) => Self::of_signature(request.signing_algorithm),
            Request::DeriveSharedSecret(_) => Self::EllipticCurve,
            Request::GenerateDataKeyPair(request) => Self::DataKeyPair(request.key_pair_spec),
            Request::GenerateDataKeyPairWithoutPlaintext(request) => {
                Self::DataKeyPair(request.key_pair_spec)
            }
            _ => Self::Operation(operation),
        }
    }

    const fn of_encryption(algorithm: Option<EncryptionAlgorithm>) -> Self {
        match algorithm {
            None | Some(EncryptionAlgorithm::SymmetricDefault) => Self::Symmetric,
            Some(EncryptionAlgorithm::RsaesOaepSha1 | EncryptionAlgorithm::RsaesOaepSha256) => {
                Self::Rsa
            }
            Some(EncryptionAlgorithm::Sm2Pke) => Self::EllipticCurve,
        }
    }

    const fn of_signature(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::RsassaPssSha256
            | SigningAlgorithm::RsassaPssSha384
            | SigningAlgorithm::RsassaPssSha512
            | SigningAlgorithm::RsassaPkcs1V1_5Sha256
            | SigningAlgorithm::RsassaPkcs1V1_5Sha384
            | SigningAlgorithm::RsassaPkcs1V1_5Sha512 => Self::Rsa,
            SigningAlgorithm::EcdsaSha256
            | SigningAlgorithm::EcdsaSha384
            | SigningAlgorithm::EcdsaSha512
            | SigningAlgorithm::Ed25519Sha512
            | SigningAlgorithm::Ed25519PhSha512
            | SigningAlgorithm::Sm2Dsa => Self::EllipticCurve,
            SigningAlgorithm::MlDsaShake256 => Self::MlDsa,
        }
    }

    /// How many calls there may be in a second.
    fn per_second(self, region: &str) -> u64 {
        use OperationName as Op;
        match self {
            Self::Symmetric => match region {
                "us-east-1" | "us-west-2" | "eu-west-1" => 100_000,
                "us-east-2" | "ap-southeast-1" | "ap-southeast-2" | "ap-northeast-1"
                | "eu-central-1" | "eu-west-2" => 20_000,
                _ => 10_000,
            },
            Self::Rsa | Self::EllipticCurve | Self::MlDsa => 1000,
            Self::DataKeyPair(KeyPairSpec::Rsa2048) => 20,
            Self::DataKeyPair(KeyPairSpec::Rsa3072) => 4,
            Self::DataKeyPair(KeyPairSpec::Rsa4096) => 1,
            Self::DataKeyPair(KeyPairSpec::Sm2) => 25,
            Self::DataKeyPair(_) => 100,
            Self::Operation(operation) => match operation {
                Op::DescribeKey | Op::GetPublicKey | Op::ListResourceTags => 2000,
                Op::Decapsulate | Op::Encapsulate | Op::GetKeyPolicy | Op::GetKeyRotationStatus => {
                    1000
                }
                Op::ListAliases | Op::ListKeys => 500,
                Op::ListGrants
                | Op::ListKeyPolicies
                | Op::ListKeyRotations
                | Op::ListRetirableGrants => 100,
                Op::CreateGrant | Op::RetireGrant | Op::RevokeGrant => 50,
                Op::DeleteAlias
                | Op::DeleteImportedKeyMaterial
                | Op::EnableKeyRotation
                | Op::ImportKeyMaterial
                | Op::PutKeyPolicy
                | Op::ScheduleKeyDeletion => 15,
                Op::TagResource => 10,
                Op::GetParametersForImport => 1,
                _ => 5,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An hour into 1970.
    const NOW: u64 = 3600 * SECOND;

    fn region(name: &str) -> Region {
        name.parse().unwrap()
    }

    fn callers() -> Callers {
        Callers {
            buckets: HashMap::new(),
            many: MANY,
        }
    }

    /// How many of ever so many calls are let pass at once.
    fn passed(callers: &mut Callers, arn: &str, at: &str, quota: Quota, now: u64) -> usize {
        let (arn, at) = (arn.into(), region(at));
        let mut passed = 0;
        while callers.spend(&arn, &at, quota, now).is_ok() {
            passed += 1;
            assert!(passed <= 200_000, "without a limit");
        }
        passed
    }

    #[test]
    fn a_second_has_so_many_calls_and_whoever_waits_has_them_again() {
        let mut callers = callers();
        let quota = Quota::Operation(OperationName::CreateKey);
        let mut at = |now| passed(&mut callers, "alice", "eu-west-3", quota, now);
        assert_eq!(at(NOW), 5);
        assert_eq!(at(NOW + SECOND / 5 - 1), 0);
        assert_eq!(at(NOW + SECOND / 5), 1, "and then evenly");
        assert_eq!(at(NOW + SECOND), 4);
        assert_eq!(at(NOW + 1000 * SECOND), 5, "and no more after a pause");
        assert_eq!(at(NOW), 0, "a clock that goes back makes none");
    }

    #[test]
    fn principals_and_quotas_do_not_share() {
        let mut callers = callers();
        let list = Quota::Operation(OperationName::ListKeys);
        for (arn, at, quota, expected) in [
            ("alice", "eu-west-3", Quota::Symmetric, 10_000),
            ("carol", "eu-central-1", Quota::Symmetric, 20_000),
            ("dave", "eu-west-1", Quota::Symmetric, 100_000),
            ("alice", "eu-west-3", Quota::Rsa, 1000),
            ("alice", "eu-west-3", Quota::EllipticCurve, 1000),
            ("alice", "eu-west-3", list, 500),
            (
                "alice",
                "eu-west-3",
                Quota::DataKeyPair(KeyPairSpec::Rsa4096),
                1,
            ),
            ("bob", "eu-west-3", Quota::Symmetric, 10_000),
        ] {
            assert_eq!(passed(&mut callers, arn, at, quota, NOW), expected);
            assert_eq!(passed(&mut callers, arn, at, quota, NOW), 0);
        }
    }

    #[test]
    fn what_is_full_again_is_forgotten() {
        let mut callers = callers();
        let list = Quota::Operation(OperationName::ListKeys);
        let here = region("eu-west-3");
        for number in 0..10 * MANY {
            let now = NOW + number as u64 * 1000;
            let arn = format!("user {number}").into();
            callers.spend(&arn, &here, list, now).unwrap();
            assert!(callers.buckets.len() <= MANY);
        }
    }
}
