//! What AWS checks beyond the grammar before it takes a policy, by the policy's kind.
//!
//! The checks come in AWS's order, because a document that breaks two rules gets the text of the
//! first: for identity policies as moto and others recorded it on AWS.

use std::collections::BTreeSet;

use super::condition::Condition;
use super::document::Effect;
use super::error::PolicyError;
use super::keys;
use super::parse::{Draft, Kind, Negatable, Rules, effect};

/// A statement without actions or resources has no effect. KMS took it until August 2025.
pub(super) fn key_policy(drafts: &[Draft], rules: Rules) -> Result<(), PolicyError> {
    for draft in drafts {
        let effect = effect(draft.effect.as_deref())?;
        match &draft.principals {
            None => return Err(PolicyError::NoPrincipal),
            Some(principals) if principals.negated && effect == Effect::Allow => {
                return Err(PolicyError::AllowNotPrincipal);
            }
            Some(_) => {}
        }
        for element in [&draft.actions, &draft.resources].into_iter().flatten() {
            if element.negated && element.value.is_empty() {
                return Err(PolicyError::Syntax);
            }
        }
        if rules == Rules::Todays {
            for (element, name) in [(&draft.actions, "Action"), (&draft.resources, "Resource")] {
                if !is_given(element) {
                    return Err(PolicyError::MissingField(name));
                }
            }
        }
        if let Some(actions) = &draft.actions {
            actions
                .value
                .iter()
                .try_for_each(|text| check_action(text))?;
        }
        check_quantifiers(draft)?;
    }
    check_sids(Kind::Key, drafts)
}

/// Refuses `ForAllValues` before keys with one value: it lets requests through that lack the key.
fn check_quantifiers(draft: &Draft) -> Result<(), PolicyError> {
    for (operator, key, _) in &draft.conditions {
        if !operator.is_for_all_values() {
            continue;
        }
        let key = keys::fold(key);
        let families = [
            (
                keys::ENCRYPTION_CONTEXT_PREFIX,
                "EncryptionContext",
                "encryption context",
            ),
            (keys::REQUEST_TAG_PREFIX, "RequestTag", "tag"),
        ];
        for (prefix, family, what) in families {
            if key.starts_with(prefix) {
                return Err(PolicyError::OverlyPermissive { key: family, what });
            }
        }
    }
    Ok(())
}

/// Whether a statement has an element, and it names something.
fn is_given(element: &Option<Negatable<Vec<String>>>) -> bool {
    element
        .as_ref()
        .is_some_and(|element| !element.value.is_empty())
}

pub(super) fn identity_policy(
    drafts: &[Draft],
    variables: bool,
    rules: Rules,
) -> Result<(), PolicyError> {
    for draft in drafts {
        let known = draft.effect.as_deref().is_some_and(|effect| {
            effect.eq_ignore_ascii_case("Allow") || effect.eq_ignore_ascii_case("Deny")
        });
        if !known {
            return Err(PolicyError::Syntax);
        }
    }
    if drafts.iter().any(|draft| draft.principals.is_some()) {
        return Err(PolicyError::PrincipalProhibited);
    }
    let mut resource_error = None;
    for draft in drafts {
        check_values(draft, variables)?;
        for resource in draft.resources.iter().flat_map(|element| &element.value) {
            if let Err(error) = check_resource(resource, rules) {
                resource_error.get_or_insert(error);
            } else if resource_error.is_none() {
                check_arn(resource)?;
            }
        }
    }
    let sid_character = |byte: u8| byte.is_ascii_alphanumeric();
    if !drafts
        .iter()
        .filter_map(Draft::sid)
        .flat_map(str::bytes)
        .all(sid_character)
    {
        return Err(PolicyError::SidCharacter);
    }
    check_sids(Kind::Identity, drafts)?;
    if !drafts.iter().all(|draft| is_given(&draft.actions)) {
        return Err(PolicyError::NoActions);
    }
    if let Some(error) = resource_error {
        return Err(error);
    }
    drafts
        .iter()
        .flat_map(|draft| &draft.actions)
        .flat_map(|element| &element.value)
        .try_for_each(|action| check_action(action))?;
    if !drafts.iter().all(|draft| is_given(&draft.resources)) {
        return Err(PolicyError::NoResources);
    }
    Ok(())
}

/// What IAM calls legacy parsing, but for the resources.
fn check_values(draft: &Draft, variables: bool) -> Result<(), PolicyError> {
    effect(draft.effect.as_deref()).map_err(|_| PolicyError::LegacyParsing)?;
    for (operator, key, values) in &draft.conditions {
        if Condition::parse(*operator, key, values, variables).is_none() {
            return Err(PolicyError::LegacyParsing);
        }
    }
    Ok(())
}

/// The form of a resource, as far as IAM has words for it.
fn check_resource(text: &str, rules: Rules) -> Result<(), PolicyError> {
    if text == "*" {
        return Ok(());
    }
    let Some((_, rest)) = text.split_once(':') else {
        return Err(PolicyError::ResourceNotArn(text.to_owned()));
    };
    let (partition, rest) = match rest.split_once(':') {
        Some((partition, rest)) => (partition, Some(rest)),
        None => (rest, None),
    };
    match (partition, rest) {
        ("aws" | "aws-cn" | "aws-us-gov" | "*", Some(rest)) => match rules {
            Rules::Todays => check_resource_of_service(text, rest),
            Rules::OfOld => Ok(()),
        },
        ("aws" | "aws-cn" | "aws-us-gov" | "*", None) => Err(PolicyError::ResourceWithoutVendor),
        _ => {
            // AWS fills an ARN's other four parts up with wildcards.
            let rest = rest.filter(|rest| !rest.is_empty());
            let mut parts: Vec<_> = rest.unwrap_or("*").splitn(4, ':').collect();
            parts.resize(4, "*");
            Err(PolicyError::Partition {
                partition: partition.to_owned(),
                rest: parts.join(":"),
            })
        }
    }
}

/// The form of a resource of a service that IAM knows more about; `rest` is what comes after the
/// partition. Parts that are left out at the end are wildcards.
fn check_resource_of_service(text: &str, rest: &str) -> Result<(), PolicyError> {
    let mut parts = rest.splitn(4, ':');
    let service = parts.next().unwrap_or_default();
    let (region, account, path) = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) | (Some("*"), None, _) | (Some(""), Some("*"), None) => return Ok(()),
        (region, account, path) => (
            region.unwrap_or_default(),
            account.unwrap_or_default(),
            path.unwrap_or_default(),
        ),
    };
    match service {
        "iam" if !region.is_empty() => Err(PolicyError::IamRegion(text.to_owned())),
        "iam" if path == "*" || IAM_PATHS.iter().any(|start| path.starts_with(start)) => Ok(()),
        "iam" => Err(PolicyError::IamPath),
        // Access points have a region, and an account as well.
        "s3" if !region.is_empty() && account.is_empty() => {
            Err(PolicyError::S3Region(text.to_owned()))
        }
        _ => Ok(()),
    }
}

/// What the resources of IAM begin with.
const IAM_PATHS: [&str; 13] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

/// The form of a resource, as far as IAM has no words for it: `arn:aws:s3::bucket` lacks a part.
fn check_arn(text: &str) -> Result<(), PolicyError> {
    let lacks_part = text.contains("::") && text.matches(':').count() < 5;
    if text != "*" && (lacks_part || text.split(':').nth(2) == Some("")) {
        return Err(PolicyError::LegacyParsing);
    }
    Ok(())
}

/// The form of an action: `*`, or a service and a name.
fn check_action(text: &str) -> Result<(), PolicyError> {
    let mut parts = text.split(':');
    let vendor = parts.next().unwrap_or_default();
    match parts.count() {
        0 if vendor == "*" => return Ok(()),
        0 => return Err(PolicyError::ActionWithoutVendor),
        1 => {}
        _ => return Err(PolicyError::ActionColons),
    }
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if vendor == "*" || vendor.bytes().all(valid) {
        Ok(())
    } else {
        Err(PolicyError::InvalidVendor(vendor.to_owned()))
    }
}

pub(super) fn trust_policy(drafts: &[Draft]) -> Result<(), PolicyError> {
    let allows = |draft: &Draft| draft.effect.as_deref() == Some("Allow");
    let excepts = |draft: &Draft| draft.principals.as_ref().is_some_and(|who| who.negated);
    if drafts.iter().any(|draft| allows(draft) && excepts(draft)) {
        return Err(PolicyError::AllowNotPrincipal);
    }
    for draft in drafts {
        effect(draft.effect.as_deref())?;
        match &draft.principals {
            None => return Err(PolicyError::MissingField("Principal")),
            Some(principals) if principals.negated => {
                return Err(PolicyError::NotPrincipalProhibited);
            }
            Some(_) => {}
        }
        let actions = draft.actions.iter().flat_map(|element| &element.value);
        if actions.clone().next().is_none() {
            return Err(PolicyError::MissingField("Action"));
        }
        if !actions.into_iter().all(|action| assumes_role(action)) {
            return Err(PolicyError::TrustAction);
        }
        match &draft.resources {
            None => {}
            Some(element) if element.negated => return Err(PolicyError::NotResourceProhibited),
            Some(_) => return Err(PolicyError::ResourceProhibited),
        }
    }
    check_sids(Kind::Trust, drafts)
}

/// Whether an action has its place in a trust policy. Wildcards have none.
fn assumes_role(action: &str) -> bool {
    const ACTIONS: [&str; 6] = [
        "sts:AssumeRole",
        "sts:AssumeRoleWithSAML",
        "sts:AssumeRoleWithWebIdentity",
        "sts:SetContext",
        "sts:SetSourceIdentity",
        "sts:TagSession",
    ];
    ACTIONS
        .iter()
        .any(|known| action.eq_ignore_ascii_case(known))
}

fn check_sids(kind: Kind, drafts: &[Draft]) -> Result<(), PolicyError> {
    let mut seen = BTreeSet::new();
    if drafts
        .iter()
        .filter_map(Draft::sid)
        .all(|sid| seen.insert(sid))
    {
        Ok(())
    } else {
        Err(kind.duplicate_sid())
    }
}
