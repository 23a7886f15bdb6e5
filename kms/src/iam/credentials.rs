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

/// The account that an access key id tells, whoever has it, in twelve digits; the greatest numbers
/// have one more. AWS reads ids of any length, and a character that is no digit of base32 as zero.
pub(super) fn account_of(access_key_id: &str) -> Option<String> {
    let digits = ["AKIA", "ASIA"]
        .iter()
        .find_map(|prefix| access_key_id.strip_prefix(prefix))?;
    let value = |digit: &u8| match digit {
        b'A'..=b'Z' => digit - b'A',
        b'2'..=b'7' => digit - b'2' + 26,
        _ => 0,
    };
    // Nine digits, 45 bits: one that says that there is an account, 40 of its number, and four
    // more.
    let digits = digits.as_bytes().first_chunk::<9>()?;
    let bits = digits
        .iter()
        .fold(0_u64, |bits, digit| bits << 5 | u64::from(value(digit)));
    let account = (bits >> 4) & ((1 << 40) - 1);
    (bits >> 44 == 1).then(|| format!("{account:012}"))
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
            assert_eq!(account_of(&first), Some(account.to_string()));
            assert_ne!(first, access_key_id("AKIA", account, &mut random));
        }
    }

    /// An access key id of AWS's, and its account, as published by who found the encoding:
    /// <https://hackingthe.cloud/aws/enumeration/get-account-id-from-keys/>.
    #[test]
    fn aws_s_own_ids_tell_theirs() {
        assert_eq!(
            account_of("ASIAQNZGKIQY56JQ7WML").as_deref(),
            Some("029608264753")
        );
    }

    /// What AWS was seen to answer.
    #[test]
    fn ids_that_nobody_has_tell_an_account_too() {
        for (id, account) in [
            ("AKIAZZZZZZZ0ZZZZZZZZ", "673894223425"),
            ("AKIA7777777777777777", "1099511627775"),
            ("AKIAQAAAAAAAAAAA", "000000000000"),
            ("AKIAQAAAAAAAAAAAAAAAAAAAB", "000000000000"),
        ] {
            assert_eq!(account_of(id).as_deref(), Some(account), "{id}");
        }
    }

    #[test]
    fn what_tells_no_account_is_none() {
        for id in [
            "",
            "AKIA",
            "AKIAIOSFODNN7EXAMPLE",
            "AKIAQNZGKIQY",
            "AKIAPAAAAAAAAAAAAAAA",
            "ABIAZZZZZZZZZZZZZZZZ",
            "AKIA\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
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
