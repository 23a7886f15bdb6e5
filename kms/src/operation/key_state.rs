//! What a key's state allows: the rows of AWS's key state table.

use crate::error::KmsError;
use crate::key::Key;
use crate::protocol::spec::KeyState;

/// A row of the table: operations that the states of a key treat alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Row {
    /// Encrypt, Decrypt, ReEncrypt, GenerateDataKey and its like.
    Use,
    /// GetPublicKey, which AWS's table treats like the former; its service answers for disabled keys.
    GetPublicKey,
    /// CreateGrant.
    CreateGrant,
    /// CreateAlias, and UpdateAlias for the key it points to from then on.
    NameByAlias,
    /// TagResource, UntagResource, UpdateKeyDescription.
    Label,
    /// EnableKey and DisableKey.
    EnableOrDisable,
    /// ScheduleKeyDeletion.
    ScheduleDeletion,
    /// CancelKeyDeletion.
    CancelDeletion,
    /// EnableKeyRotation and DisableKeyRotation, which refuse imported material themselves.
    RotationSetting,
    /// RotateKeyOnDemand.
    RotateOnDemand,
    /// GetParametersForImport.
    GetImportParameters,
    /// ImportKeyMaterial.
    ImportMaterial,
    /// DeleteImportedKeyMaterial.
    DeleteMaterial,
    /// ReplicateKey.
    Replicate,
    /// UpdatePrimaryRegion, for both keys.
    UpdatePrimary,
}

/// Lets an operation pass if the key's state allows it.
///
/// # Errors
///
/// DisabledException or KMSInvalidStateException with AWS's texts.
pub(super) fn require(row: Row, key: &Key) -> Result<(), KmsError> {
    use KeyState::{
        Creating, Disabled, Enabled, PendingDeletion, PendingImport, PendingReplicaDeletion,
        Unavailable, Updating,
    };

    let allowed = match row {
        Row::CreateGrant => matches!(key.state, Enabled | Unavailable | Updating),
        Row::Use | Row::UpdatePrimary => matches!(key.state, Enabled | Updating),
        Row::GetPublicKey => matches!(key.state, Enabled | Disabled | Updating),
        Row::Replicate => key.state == Enabled,
        Row::GetImportParameters => matches!(key.state, Enabled | Disabled | PendingImport),
        Row::ImportMaterial => {
            matches!(key.state, Enabled | Disabled | PendingImport | Updating)
        }
        Row::DeleteMaterial => !matches!(key.state, Unavailable | Creating | Updating),
        Row::NameByAlias | Row::Label => {
            !matches!(key.state, PendingDeletion | PendingReplicaDeletion)
        }
        Row::EnableOrDisable => matches!(key.state, Enabled | Disabled | Unavailable),
        Row::ScheduleDeletion => matches!(
            key.state,
            Enabled | Disabled | PendingImport | Unavailable | Creating
        ),
        Row::RotationSetting => {
            matches!(key.state, Enabled | Updating | PendingImport | Unavailable)
        }
        Row::RotateOnDemand => matches!(key.state, Enabled | Unavailable),
        Row::CancelDeletion => matches!(key.state, PendingDeletion | PendingReplicaDeletion),
    };
    match (allowed, row, key.state) {
        (true, _, _) => Ok(()),
        (false, Row::CancelDeletion, _) => Err(KmsError::invalid_state(
            key.arn(),
            "not pending deletion (or pending replica deletion)",
        )),
        (false, _, Disabled) => Err(KmsError::disabled(key.arn())),
        (false, _, state) => Err(KmsError::invalid_state(key.arn(), state.in_words())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use attestation::Timestamp;

    use crate::name::KeyId;

    use super::*;

    /// AWS's table, a letter for each state in the order of [`STATES`]: `o` for allowed, `D` for
    /// DisabledException, `S` for KMSInvalidStateException.
    const TABLE: [(Row, &str); 15] = [
        (Row::Use, "oDSSSSSo"),
        (Row::GetPublicKey, "ooSSSSSo"),
        (Row::CreateGrant, "oDSSSoSo"),
        (Row::NameByAlias, "ooSSoooo"),
        (Row::Label, "ooSSoooo"),
        (Row::EnableOrDisable, "ooSSSoSS"),
        (Row::ScheduleDeletion, "ooSSoooS"),
        (Row::CancelDeletion, "SSooSSSS"),
        (Row::RotationSetting, "oDSSooSo"),
        (Row::RotateOnDemand, "oDSSSoSS"),
        (Row::GetImportParameters, "ooSSoSSS"),
        (Row::ImportMaterial, "ooSSoSSo"),
        (Row::DeleteMaterial, "oooooSSS"),
        (Row::Replicate, "oDSSSSSS"),
        (Row::UpdatePrimary, "oDSSSSSo"),
    ];

    const STATES: [KeyState; 8] = [
        KeyState::Enabled,
        KeyState::Disabled,
        KeyState::PendingDeletion,
        KeyState::PendingReplicaDeletion,
        KeyState::PendingImport,
        KeyState::Unavailable,
        KeyState::Creating,
        KeyState::Updating,
    ];

    fn key(state: KeyState) -> Key {
        let mut key = Key::new(
            "111122223333".parse().unwrap(),
            "eu-west-1".parse().unwrap(),
            KeyId::new([1; 16], false),
            Timestamp::from_secs(0),
            Arc::new([]),
        );
        key.state = state;
        key
    }

    #[test]
    fn every_state_is_treated_as_in_aws_table() {
        for (row, letters) in TABLE {
            for (state, letter) in STATES.into_iter().zip(letters.chars()) {
                let answer = match require(row, &key(state)) {
                    Ok(()) => 'o',
                    Err(KmsError::Disabled(_)) => 'D',
                    Err(KmsError::KmsInvalidState(_)) => 'S',
                    Err(other) => panic!("{other}"),
                };
                assert_eq!(answer, letter, "{row:?} of a key that is {state}");
            }
        }
    }

    #[test]
    fn the_texts_are_awss() {
        let text = |row, state| {
            let error = require(row, &key(state)).unwrap_err();
            error
                .wire()
                .message
                .unwrap()
                .replace(&**key(state).arn(), "<arn>")
        };
        assert_eq!(text(Row::Use, KeyState::Disabled), "<arn> is disabled.");
        assert_eq!(
            text(Row::Use, KeyState::PendingDeletion),
            "<arn> is pending deletion."
        );
        assert_eq!(
            text(Row::Use, KeyState::PendingImport),
            "<arn> is pending import."
        );
        assert_eq!(
            text(Row::CancelDeletion, KeyState::Enabled),
            "<arn> is not pending deletion (or pending replica deletion)."
        );
    }
}
