//! The domain-label table: what a derived key or a code may be used for.

/// One use of a key.
///
/// The label's text is the `Label` of the key derivation (SP 800-108). A text never changes and is never used again
/// for something else: a new format gets a new label. `kms/tests/vectors/encodings.txt`
/// pins all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The id of a backing key, from its material and its KMS key's id.
    BackingKeyId,
    /// The id of a grant that has a name, from the naming key.
    GrantId,
    /// The code of a grant token, from the naming key.
    GrantToken,
    /// The one-time key of a head, from the root key.
    Head,
    /// One element of the root over all records, from the naming key.
    HeadElement,
    /// The one-time key of an import token, from the domain key.
    ImportToken,
    /// The one-time key of a key token, from the domain key.
    KeyToken,
    /// The one-time key of a CiphertextBlob, from a backing key.
    Message,
    /// The one-time key of a record, from the domain key; for the domain key
    /// itself, from the root key.
    Record,
    /// A record's id, from the naming key.
    RecordId,
    /// The public id of a root key.
    RootKeyId,
    /// The one-time key of a session token, from the domain key.
    SessionToken,
}

impl Label {
    /// Every label there is.
    pub const ALL: [Self; 12] = [
        Self::BackingKeyId,
        Self::GrantId,
        Self::GrantToken,
        Self::Head,
        Self::HeadElement,
        Self::ImportToken,
        Self::KeyToken,
        Self::Message,
        Self::Record,
        Self::RecordId,
        Self::RootKeyId,
        Self::SessionToken,
    ];

    /// The label's bytes. None of them holds a zero byte, which SP 800-108
    /// puts after the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BackingKeyId => "claviger/v1/backing-key-id",
            Self::GrantId => "claviger/v1/grant-id",
            Self::GrantToken => "claviger/v1/grant-token",
            Self::Head => "claviger/v1/head",
            Self::HeadElement => "claviger/v1/head-element",
            Self::ImportToken => "claviger/v1/import-token",
            Self::KeyToken => "claviger/v1/key-token",
            Self::Message => "claviger/v1/message",
            Self::Record => "claviger/v1/record",
            Self::RecordId => "claviger/v1/record-id",
            Self::RootKeyId => "claviger/v1/root-key-id",
            Self::SessionToken => "claviger/v1/session-token",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinct_and_hold_no_zero_byte() {
        for (index, label) in Label::ALL.iter().enumerate() {
            assert!(!label.as_str().as_bytes().contains(&0));
            for other in &Label::ALL[index + 1..] {
                assert_ne!(label.as_str(), other.as_str());
            }
        }
    }
}
