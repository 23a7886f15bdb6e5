//! New credentials, in the form AWS gives them.
//!
//! An access key id tells its account, as AWS's do: of the 80 bits in its 16 digits of base32 the
//! first is 1 and the next 40 are the account's number. That is how `GetAccessKeyInfo`, and tools
//! without any call, find the account of a key they know nothing else about.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::name::AccountId;
use crate::principal::base32;
use crate::sigv4::SecretAccessKey;

/// How many digits of base32 follow the prefix, of five bits each.
const DIGITS: u32 = 16;

/// How many bits come after the account's number.
const LOW_BITS: u32 = 39;

/// A new access key id: `AKIA` for long, `ASIA` for a session, and 16 digits.
pub(super) fn access_key_id(
    prefix: &str,
    account: AccountId,
    random: &mut dyn CryptoRng,
) -> String {
    let account = account.as_bytes().iter();
    let account = account.fold(0, |number, digit| number * 10 + u128::from(digit - b'0'));
    let mut low = [0; 8];
    random.fill_bytes(&mut low);
    let low = u128::from(u64::from_be_bytes(low)) & ((1 << LOW_BITS) - 1);
    let bits = (1 << (5 * DIGITS - 1)) | (account << LOW_BITS) | low;
    // Only the low five bits of a byte count.
    let digit = |place| base32((bits >> (5 * (DIGITS - 1 - place))) as u8);
    prefix.chars().chain((0..DIGITS).map(digit)).collect()
}

/// The account that an access key id tells.
pub(super) fn account_of(access_key_id: &str) -> Option<AccountId> {
    let digits = access_key_id.get(4..).filter(|digits| digits.len() == 16)?;
    let bits = digits.bytes().try_fold(0_u128, |bits, digit| {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        Some(bits << 5 | u128::from(value))
    })?;
    let tells = bits >> (5 * DIGITS - 1) == 1;
    let account = (bits >> LOW_BITS) & ((1 << 40) - 1);
    tells.then(|| format!("{account:012}").parse().ok())?
}

/// A new secret: 240 random bits.
pub(super) fn secret_access_key(random: &mut dyn CryptoRng) -> SecretAccessKey {
    let mut bytes = Zeroizing::new([0; 30]);
    random.fill_bytes(bytes.as_mut_slice());
    SecretAccessKey::new(BASE64.encode(bytes.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn an_access_key_id_tells_its_account() {
        let mut random = TestRandom::new(1);
        for account in ["000000000000", "123456789012", "999999999999"] {
            let account: AccountId = account.parse().unwrap();
            let first = access_key_id("AKIA", account, &mut random);
            assert_eq!(first.len(), 20);
            assert!(first.starts_with("AKIA"));
            assert_eq!(account_of(&first), Some(account));
            assert_ne!(first, access_key_id("AKIA", account, &mut random));
        }
    }

    /// An access key id of AWS's, and its account, as published by who found the encoding:
    /// <https://hackingthe.cloud/aws/enumeration/get-account-id-from-keys/>.
    #[test]
    fn aws_s_own_ids_tell_theirs() {
        assert_eq!(
            account_of("ASIAQNZGKIQY56JQ7WML"),
            "029608264753".parse().ok()
        );
    }

    #[test]
    fn what_tells_no_account_is_none() {
        for id in [
            "",
            "AKIA",
            "AKIAIOSFODNN7EXAMPLE",
            "AKIAQNZGKIQY56JQ7WM1",
            "AKIAQNZGKIQY56JQ7WM",
            "AKIA7777777777777777",
        ] {
            assert_eq!(account_of(id), None, "{id}");
        }
    }

    #[test]
    fn a_secret_has_the_form_of_awss() {
        let mut random = TestRandom::new(1);
        let secret = secret_access_key(&mut random);
        assert_eq!(secret.expose().len(), 40);
        assert_ne!(secret.expose(), secret_access_key(&mut random).expose());
    }
}
