//! The shapes of the service model (botocore 1.44.5) that texts, numbers, blobs and lists have.

use std::ops::RangeInclusive;

use crate::protocol::members::Text;

pub(super) const ALIAS_NAME: Text = Text::of_pattern(1..=256, "^[a-zA-Z0-9:/_-]+$", |c| {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '_' | '-')
});
pub(super) const CUSTOM_KEY_STORE_ID: Text = Text::of_length(1..=64);
pub(super) const DESCRIPTION: Text = Text::of_length(0..=8192);
pub(super) const GRANT_ID: Text = Text::of_length(1..=128);
pub(super) const GRANT_NAME: Text = ALIAS_NAME;
pub(super) const GRANT_TOKEN: Text = Text::of_length(1..=8192);
pub(super) const KEY_ID: Text = Text::of_length(1..=2048);
pub(super) const MARKER: Text = Text::of_pattern(1..=1024, r"[\u0020-\u00FF]*", |c| {
    matches!(c, '\u{20}'..='\u{ff}')
});
pub(super) const POLICY: Text =
    Text::of_pattern(1..=131_072, r"[\u0009\u000A\u000D\u0020-\u00FF]+", |c| {
        matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}')
    });
pub(super) const POLICY_NAME: Text =
    Text::of_pattern(1..=128, r"[\w]+", |c| c.is_ascii_alphanumeric() || c == '_');
pub(super) const PRINCIPAL_ID: Text = Text::of_pattern(1..=256, r"^[\w+=,.@:/-]+$", |c| {
    c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c)
});
/// Its pattern, a name of at least three parts with dots between them, is looked at as far as its
/// characters go.
pub(super) const SERVICE_PRINCIPAL: Text = Text::of_pattern(
    1..=128,
    r"^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$",
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'),
);
pub(super) const SOURCE_ARN: Text = Text::of_length(20..=512);
pub(super) const TAG_KEY: Text = Text::of_length(1..=128);
pub(super) const TAG_VALUE: Text = Text::of_length(0..=256);
pub(super) const XKS_KEY_ID: Text = Text::of_pattern(1..=128, "^[a-zA-Z0-9-_.]+$", |c| {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
});

pub(super) const ATTESTATION_DOCUMENT: RangeInclusive<usize> = 1..=262_144;
pub(super) const CIPHERTEXT: RangeInclusive<usize> = 1..=6144;
pub(super) const PLAINTEXT: RangeInclusive<usize> = 1..=4096;

pub(super) const LIMIT: RangeInclusive<u16> = 1..=1000;
pub(super) const NUMBER_OF_BYTES: RangeInclusive<u16> = 1..=1024;
pub(super) const PENDING_WINDOW_IN_DAYS: RangeInclusive<u16> = 1..=365;

pub(super) const GRANT_TOKENS: RangeInclusive<usize> = 0..=10;
pub(super) const RESOURCE_OWNERS: RangeInclusive<usize> = 1..=2;
pub(super) const ANY_NUMBER: RangeInclusive<usize> = 0..=usize::MAX;
