//! How certificates stand to one another: which are there, in which order, who issues whom.

use attestation::nsm::forge::{Forge, INSTANCE, LEAF, REGIONAL, ROOT, ZONAL};
use attestation::{CertificateError as E, ChainPosition, VerifyError};

use crate::case::{Case, at, certificates, chain};
use crate::certificates::{AUTHORITIES, AUTHORITY_KEY_IDENTIFIER, BASIC_CONSTRAINTS, extension};
use crate::testing::SeededRandom;

pub(crate) fn cases() -> Vec<Case> {
    let fifth_authority = |error| {
        let position = ChainPosition::Authority(LEAF);
        Err(VerifyError::Certificate(position, error))
    };
    vec![
        certificates(
            "region and zone exchanged",
            at(REGIONAL, E::Issuer),
            |bundle, _| {
                bundle.swap(REGIONAL, ZONAL);
            },
        ),
        certificates(
            "zone and instance exchanged",
            at(ZONAL, E::Issuer),
            |bundle, _| {
                bundle.swap(ZONAL, INSTANCE);
            },
        ),
        certificates(
            "instance and leaf exchanged",
            at(INSTANCE, E::Issuer),
            |bundle, _| {
                bundle.swap(INSTANCE, LEAF);
            },
        ),
        certificates("no region", at(REGIONAL, E::Issuer), |bundle, _| {
            bundle.remove(REGIONAL);
        }),
        certificates("no zone", at(ZONAL, E::Issuer), |bundle, _| {
            bundle.remove(ZONAL);
        }),
        certificates("no instance", at(LEAF, E::Issuer), |bundle, _| {
            bundle.remove(INSTANCE);
        }),
        certificates(
            "the root twice",
            at(REGIONAL, E::SelfIssued),
            |bundle, _| {
                bundle.insert(ROOT, bundle[ROOT].clone());
            },
        ),
        certificates(
            "an authority as leaf",
            at(LEAF, E::EndEntityIsAuthority),
            |bundle, _| {
                bundle.pop();
            },
        ),
        certificates(
            "the leaf among the authorities",
            at(REGIONAL, E::PathLength),
            |bundle, _| {
                bundle.push(bundle[LEAF].clone());
            },
        ),
        chain(
            "the instance twice, below authorities without limits",
            fifth_authority(E::Issuer),
            |forge| {
                lift_limits(forge, &AUTHORITIES);
                let twice = forge.chain[INSTANCE].clone();
                forge.chain.insert(INSTANCE, twice);
            },
        ),
        chain(
            "a leaf that issues another",
            at(REGIONAL, E::PathLength),
            |forge| {
                issue_another(forge, LEAF);
            },
        ),
        chain(
            "a leaf that issues another, below authorities without limits",
            fifth_authority(E::NotAuthority),
            |forge| {
                lift_limits(forge, &AUTHORITIES);
                issue_another(forge, LEAF);
            },
        ),
        chain(
            "an authority below the instance's",
            at(REGIONAL, E::PathLength),
            |forge| {
                issue_another(forge, INSTANCE);
            },
        ),
        chain(
            "an authority below the instance's, which alone has a limit",
            at(INSTANCE, E::PathLength),
            |forge| {
                lift_limits(forge, &[REGIONAL, ZONAL]);
                issue_another(forge, INSTANCE);
            },
        ),
    ]
}

/// Takes the path length out of these certificates.
pub(crate) fn lift_limits(forge: &mut Forge, indices: &[usize]) {
    for index in indices {
        extension(forge.chain[*index].edit(), BASIC_CONSTRAINTS).value =
            vec![0x30, 0x03, 0x01, 0x01, 0xff];
    }
}

/// Puts a copy of a certificate below it, issued by it, under another name and with another key.
/// What comes next is issued by the copy.
pub(crate) fn issue_another(forge: &mut Forge, index: usize) {
    let mut copy = forge.chain[index].clone();
    let template = copy.edit();
    template.issuer = template.subject.clone();
    template
        .extensions
        .retain(|e| e.id != AUTHORITY_KEY_IDENTIFIER);
    // A letter of the first common name, which begins `<16 hex digits>.`.
    let at = template
        .subject
        .windows(3)
        .position(|bytes| bytes == [0x55, 0x04, 0x03]);
    template.subject[at.unwrap() + 5] += 1;
    let subject = template.subject.clone();
    forge.chain.insert(index + 1, copy);
    forge
        .rekey(index + 1, &mut SeededRandom::new(index as u64))
        .unwrap();
    if let Some(below) = forge.chain.get_mut(index + 2) {
        below.edit().issuer = subject;
    }
}
