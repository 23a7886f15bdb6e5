//! The shapes of the service model (botocore 1.44.5) that texts, numbers, blobs and lists have.

use std::ops::RangeInclusive;

use crate::name::Region;
use crate::protocol::members::Text;

pub(super) const ACCOUNT_ID: Text = Text::of_form(12..=12, "[0-9]{12}", |text| {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
});
pub(super) const ALIAS_NAME: Text = Text::of_pattern(1..=256, "^[a-zA-Z0-9:/_-]+$", |c| {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '_' | '-')
});
pub(super) const CLOUD_HSM_CLUSTER_ID: Text = Text::of_form(
    19..=24,
    "cluster-[2-7a-zA-Z]{11,16}",
    is_cloud_hsm_cluster_id,
);
pub(super) const CUSTOM_KEY_STORE_ID: Text = Text::of_length(1..=64);
pub(super) const CUSTOM_KEY_STORE_NAME: Text = Text::of_length(1..=256);
pub(super) const DESCRIPTION: Text = Text::of_length(0..=8192);
pub(super) const GRANT_ID: Text = Text::of_length(1..=128);
pub(super) const GRANT_NAME: Text = ALIAS_NAME;
pub(super) const GRANT_TOKEN: Text = Text::of_length(1..=8192);
/// The model leaves out the pattern; AWS has it.
pub(super) const KEY_ID: Text = Text::of_form(1..=2048, r"^\p{ASCII}+$", |text| {
    !text.is_empty() && text.is_ascii()
});
pub(super) const KEY_MATERIAL_DESCRIPTION: Text =
    Text::of_pattern(0..=256, r"^[a-zA-Z0-9:/_\s.-]+$", |c| {
        c.is_ascii_alphanumeric()
            || matches!(c, ':' | '/' | '_' | '.' | '-')
            || matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
    });
pub(super) const KEY_MATERIAL_ID: Text = Text::of_pattern(
    64..=64,
    "^[a-f0-9]+$",
    |c| matches!(c, 'a'..='f' | '0'..='9'),
);
pub(super) const KEY_STORE_PASSWORD: Text = Text::of_length(7..=32);
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
pub(super) const REGION: Text = Text::of_form(1..=32, r"^([a-z]+-){2,3}\d+$", Region::is_name);
pub(super) const TAG_KEY: Text = Text::of_length(1..=128);
pub(super) const TAG_VALUE: Text = Text::of_length(0..=256);
pub(super) const TRUST_ANCHOR_CERTIFICATE: Text = Text::of_length(1..=5000);
pub(super) const XKS_KEY_ID: Text = Text::of_pattern(1..=128, "^[a-zA-Z0-9-_.]+$", |c| {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
});
pub(super) const XKS_PROXY_ACCESS_KEY_ID: Text = Text::of_pattern(
    20..=30,
    "^[A-Z2-7]+$",
    |c| matches!(c, 'A'..='Z' | '2'..='7'),
);
pub(super) const XKS_PROXY_RAW_SECRET_ACCESS_KEY: Text =
    Text::of_pattern(43..=64, r"^[a-zA-Z0-9\/+=]+$", |c| {
        c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '=')
    });
pub(super) const XKS_PROXY_URI_ENDPOINT: Text =
    Text::of_form(10..=128, "^https://[a-zA-Z0-9.-]+$", is_https_endpoint);
pub(super) const XKS_PROXY_URI_PATH: Text = Text::of_form(
    10..=128,
    r"^(/[a-zA-Z0-9\/_-]+/kms/xks/v\d{1,2})$|^(/kms/xks/v\d{1,2})$",
    is_xks_path,
);
pub(super) const XKS_PROXY_VPC_ENDPOINT_SERVICE_NAME: Text = Text::of_form(
    20..=64,
    r"^(com|eu)\.amazonaws\.vpce\.([a-z]+-){2,3}\d+\.vpce-svc-[0-9a-z]+$",
    is_vpc_endpoint_service_name,
);

pub(super) const ATTESTATION_DOCUMENT: RangeInclusive<usize> = 1..=262_144;
pub(super) const CIPHERTEXT: RangeInclusive<usize> = 1..=6144;
pub(super) const PLAINTEXT: RangeInclusive<usize> = 1..=4096;
pub(super) const PUBLIC_KEY: RangeInclusive<usize> = 1..=8192;

pub(super) const LIMIT: RangeInclusive<u16> = 1..=1000;
pub(super) const NUMBER_OF_BYTES: RangeInclusive<u16> = 1..=1024;
pub(super) const PENDING_WINDOW_IN_DAYS: RangeInclusive<u16> = 1..=365;
pub(super) const ROTATION_PERIOD_IN_DAYS: RangeInclusive<u16> = 90..=2560;

pub(super) const GRANT_TOKENS: RangeInclusive<usize> = 0..=10;
pub(super) const RESOURCE_OWNERS: RangeInclusive<usize> = 1..=2;
pub(super) const ANY_NUMBER: RangeInclusive<usize> = 0..=usize::MAX;
/// The model would allow none.
pub(super) const SOME: RangeInclusive<usize> = 1..=usize::MAX;

fn is_cloud_hsm_cluster_id(text: &str) -> bool {
    text.strip_prefix("cluster-").is_some_and(|id| {
        (11..=16).contains(&id.len())
            && id
                .bytes()
                .all(|byte| matches!(byte, b'2'..=b'7' | b'a'..=b'z' | b'A'..=b'Z'))
    })
}

fn is_https_endpoint(text: &str) -> bool {
    text.strip_prefix("https://").is_some_and(|host| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
    })
}

fn is_xks_path(text: &str) -> bool {
    let Some((folder, version)) = text.rsplit_once("/kms/xks/v") else {
        return false;
    };
    let is_folder = folder.strip_prefix('/').is_some_and(|path| {
        !path.is_empty()
            && path
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-'))
    });
    (folder.is_empty() || is_folder)
        && (1..=2).contains(&version.len())
        && version.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_vpc_endpoint_service_name(text: &str) -> bool {
    text.strip_prefix("com")
        .or_else(|| text.strip_prefix("eu"))
        .and_then(|rest| rest.strip_prefix(".amazonaws.vpce."))
        .and_then(|rest| rest.split_once(".vpce-svc-"))
        .is_some_and(|(region, service)| {
            Region::is_name(region)
                && !service.is_empty()
                && service
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
        })
}
