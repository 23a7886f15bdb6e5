//! What is measured: which calls, and what each of them has to compute at least.

use kms::protocol::spec::KeyPairSpec;

/// A kind of load.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scenario {
    GenerateDataKey,
    /// By a caller whom only a grant allows it, among others, after its policies have not.
    ByGrant,
    AttestedSameDocument,
    AttestedLeafKnown,
    AttestedAuthoritiesKnown,
    AttestedCold,
    Decrypt,
    DecryptLarge,
    /// With a new document under one certificate for each call.
    DecryptAttested,
    Encrypt,
    DescribeKey,
    Sign,
    DataKeyPair(KeyPairSpec),
    Mixed,
    CreateKey,
}

/// What a call has to compute at least, whoever writes the server.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cryptography {
    /// Bytes of the request's body, which its signature covers.
    pub(super) body: usize,
    /// Bytes encrypted or decrypted under a key derived for them.
    pub(super) sealed: Option<usize>,
    /// Whether a data key is drawn.
    pub(super) data_key: bool,
    /// P-384 signatures to verify, if a document came along.
    pub(super) verifications: Option<usize>,
    /// Whether P-256 signs.
    pub(super) signs: bool,
    /// The key pair that is made.
    pub(super) key_pair: Option<KeyPairSpec>,
}

/// Bytes of a body with a document of the simulated NSM in it.
const ATTESTED_BODY: usize = 6500;

/// Bytes of what a large Decrypt decrypts: the most that KMS encrypts directly.
pub(super) const LARGE: usize = 4096;

/// The mixed load: how often each kind comes, of twenty.
pub(super) const MIXED: [(Scenario, usize); 6] = [
    (Scenario::Decrypt, 8),
    (Scenario::GenerateDataKey, 6),
    (Scenario::Encrypt, 2),
    (Scenario::AttestedLeafKnown, 2),
    (Scenario::DescribeKey, 1),
    (Scenario::Sign, 1),
];

impl Scenario {
    /// All of them, in the order in which they are shown.
    pub(super) const ALL: [Self; 22] = [
        Self::GenerateDataKey,
        Self::ByGrant,
        Self::AttestedSameDocument,
        Self::AttestedLeafKnown,
        Self::AttestedAuthoritiesKnown,
        Self::AttestedCold,
        Self::Decrypt,
        Self::DecryptLarge,
        Self::DecryptAttested,
        Self::Encrypt,
        Self::DescribeKey,
        Self::Sign,
        Self::DataKeyPair(KeyPairSpec::EccNistP256),
        Self::DataKeyPair(KeyPairSpec::EccNistP384),
        Self::DataKeyPair(KeyPairSpec::EccNistP521),
        Self::DataKeyPair(KeyPairSpec::EccSecgP256k1),
        Self::DataKeyPair(KeyPairSpec::EccNistEdwards25519),
        Self::DataKeyPair(KeyPairSpec::Rsa2048),
        Self::DataKeyPair(KeyPairSpec::Rsa3072),
        Self::DataKeyPair(KeyPairSpec::Rsa4096),
        Self::Mixed,
        Self::CreateKey,
    ];

    /// Whether it is measured only when asked for. A pair of RSA keys takes up to seconds, so that a
    /// load has to last long to say anything; and of elliptic curves one stands for all.
    pub(super) const fn is_seldom(self) -> bool {
        match self {
            Self::DataKeyPair(spec) => !matches!(spec, KeyPairSpec::EccNistP256),
            _ => false,
        }
    }

    /// What `--only` takes.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::GenerateDataKey => "generate-data-key",
            Self::ByGrant => "generate-data-key-by-grant",
            Self::AttestedSameDocument => "attested-same-document",
            Self::AttestedLeafKnown => "attested-leaf-known",
            Self::AttestedAuthoritiesKnown => "attested-authorities-known",
            Self::AttestedCold => "attested-cold",
            Self::Decrypt => "decrypt",
            Self::DecryptLarge => "decrypt-4k",
            Self::DecryptAttested => "decrypt-attested",
            Self::Encrypt => "encrypt",
            Self::DescribeKey => "describe-key",
            Self::Sign => "sign-p256",
            Self::DataKeyPair(spec) => match spec {
                KeyPairSpec::EccNistP256 => "key-pair-p256",
                KeyPairSpec::EccNistP384 => "key-pair-p384",
                KeyPairSpec::EccNistP521 => "key-pair-p521",
                KeyPairSpec::EccSecgP256k1 => "key-pair-secp256k1",
                KeyPairSpec::EccNistEdwards25519 => "key-pair-ed25519",
                KeyPairSpec::Rsa2048 => "key-pair-rsa-2048",
                KeyPairSpec::Rsa3072 => "key-pair-rsa-3072",
                KeyPairSpec::Rsa4096 => "key-pair-rsa-4096",
                // Not measured.
                _ => "key-pair",
            },
            Self::Mixed => "mixed",
            Self::CreateKey => "create-key",
        }
    }

    /// The operation it calls; that of a mixed load is for each of its parts to say.
    pub(super) const fn operation(self) -> &'static str {
        match self {
            Self::GenerateDataKey
            | Self::ByGrant
            | Self::AttestedSameDocument
            | Self::AttestedLeafKnown
            | Self::AttestedAuthoritiesKnown
            | Self::AttestedCold
            | Self::Mixed => "GenerateDataKey",
            Self::Decrypt | Self::DecryptLarge | Self::DecryptAttested => "Decrypt",
            Self::DataKeyPair(_) => "GenerateDataKeyPair",
            Self::Encrypt => "Encrypt",
            Self::DescribeKey => "DescribeKey",
            Self::Sign => "Sign",
            Self::CreateKey => "CreateKey",
        }
    }

    /// The kinds of call in it, and how often each comes.
    pub(super) fn parts(self) -> Vec<(Self, usize)> {
        match self {
            Self::Mixed => MIXED.to_vec(),
            single => vec![(single, 1)],
        }
    }

    /// Whether a request may be sent again without becoming another kind of load.
    pub(super) const fn is_repeatable(self) -> bool {
        !matches!(
            self,
            Self::AttestedLeafKnown
                | Self::AttestedAuthoritiesKnown
                | Self::AttestedCold
                | Self::DecryptAttested
                | Self::Mixed
        )
    }

    /// What a call of it has to compute; that of a mixed load is for each of its parts to say.
    pub(super) fn cryptography(self) -> Cryptography {
        let call = Cryptography {
            body: 160,
            sealed: Some(32),
            data_key: false,
            verifications: None,
            signs: false,
            key_pair: None,
        };
        let data_key = Cryptography {
            data_key: true,
            ..call
        };
        let attested = Cryptography {
            body: ATTESTED_BODY,
            ..data_key
        };
        let with = |verifications| Cryptography {
            verifications: Some(verifications),
            ..attested
        };
        match self {
            Self::GenerateDataKey | Self::ByGrant | Self::Mixed | Self::CreateKey => data_key,
            Self::AttestedSameDocument => with(0),
            Self::AttestedLeafKnown => with(1),
            Self::AttestedAuthoritiesKnown => with(2),
            Self::AttestedCold => with(5),
            Self::Decrypt | Self::Encrypt => call,
            Self::DecryptAttested => Cryptography {
                data_key: false,
                ..with(1)
            },
            Self::DataKeyPair(spec) => Cryptography {
                sealed: Some(private_key_bytes(spec)),
                key_pair: Some(spec),
                ..call
            },
            Self::DecryptLarge => Cryptography {
                body: LARGE * 4 / 3 + 160,
                sealed: Some(LARGE),
                ..call
            },
            Self::DescribeKey => Cryptography {
                sealed: None,
                ..call
            },
            Self::Sign => Cryptography {
                sealed: None,
                signs: true,
                ..call
            },
        }
    }
}

/// About how long a private key is, as PKCS#8.
const fn private_key_bytes(spec: KeyPairSpec) -> usize {
    match spec {
        KeyPairSpec::Rsa2048 => 1218,
        KeyPairSpec::Rsa3072 => 1794,
        KeyPairSpec::Rsa4096 => 2374,
        _ => 138,
    }
}

impl std::str::FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == text)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.map(Self::name).into();
                format!("there are: {}", names.join(", "))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_names_one_scenario() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.name().parse(), Ok(scenario));
        }
        assert!("fast".parse::<Scenario>().unwrap_err().contains("mixed"));
    }

    #[test]
    fn the_mixed_load_is_of_twenty_single_calls() {
        assert_eq!(MIXED.iter().map(|(_, times)| times).sum::<usize>(), 20);
        assert!(MIXED.iter().all(|(part, _)| *part != Scenario::Mixed));
    }
}
