//! What a certificate says: every rule, broken in each certificate that has to keep it.

use std::time::Duration;

use attestation::CertificateError as E;
use attestation::nsm::forge::{
    CertificateTemplate, Extension, Forge, INSTANCE, LEAF, REGIONAL, ROOT, ZONAL, time,
};

use crate::case::{Case, NOW, at, chain};

pub(crate) const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 14];
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
pub(crate) const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];

pub(crate) fn cases() -> Vec<Case> {
    [
        in_each_below_the_root(),
        in_each_authority(),
        in_the_leaf(),
        validity_of_the_root(),
    ]
    .concat()
}

/// One case for each of these certificates.
pub(crate) fn each(
    indices: impl IntoIterator<Item = usize>,
    name: &str,
    error: E,
    change: impl Fn(&mut CertificateTemplate) + Clone + 'static,
) -> Vec<Case> {
    indices
        .into_iter()
        .map(|index| {
            let change = change.clone();
            chain(
                format!("certificate {index}: {name}"),
                at(index, error),
                move |forge: &mut Forge| change(forge.chain[index].edit()),
            )
        })
        .collect()
}

pub(crate) const BELOW_THE_ROOT: [usize; 4] = [REGIONAL, ZONAL, INSTANCE, LEAF];
pub(crate) const AUTHORITIES: [usize; 3] = [REGIONAL, ZONAL, INSTANCE];

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn extension<'a>(template: &'a mut CertificateTemplate, id: &[u8]) -> &'a mut Extension {
    template.extensions.iter_mut().find(|e| e.id == id).unwrap()
}

fn without(id: &'static [u8]) -> impl Fn(&mut CertificateTemplate) + Clone {
    move |template| template.extensions.retain(|extension| extension.id != id)
}

fn with_value(
    id: &'static [u8],
    value: &'static [u8],
) -> impl Fn(&mut CertificateTemplate) + Clone {
    move |template| extension(template, id).value = value.to_vec()
}

fn in_each_below_the_root() -> Vec<Case> {
    let each = |name, error, change: fn(&mut CertificateTemplate)| {
        each(BELOW_THE_ROOT, name, error, change)
    };
    [
        each("expired a second ago", E::Expired, |t| {
            t.not_after = time(NOW - SECOND)
        }),
        each("expired a year ago", E::Expired, |t| {
            t.not_before = time(NOW - 400 * DAY);
            t.not_after = time(NOW - 365 * DAY);
        }),
        each("valid in a second", E::NotYetValid, |t| {
            t.not_before = time(NOW + SECOND)
        }),
        each("valid from 2050", E::NotYetValid, |t| {
            t.not_before = time(NOW + 24 * 365 * DAY);
            t.not_after = time(NOW + 25 * 365 * DAY);
        }),
        each("ends before it begins", E::Expired, |t| {
            std::mem::swap(&mut t.not_before, &mut t.not_after);
            t.not_before = time(NOW);
        }),
        each("issued by itself, by name", E::Issuer, |t| {
            t.issuer = t.subject.clone()
        }),
        each("issued by nobody", E::Issuer, |t| {
            t.issuer = vec![0x30, 0x00]
        }),
        each("the issuer's name in other letters", E::Issuer, |t| {
            let last = t.issuer.last_mut().unwrap();
            last.make_ascii_uppercase();
        }),
        each("the issuer's name in another string type", E::Issuer, |t| {
            // UTF8String as PrintableString, which RFC 5280 would find equal.
            let at = t.issuer.iter().position(|byte| *byte == 0x0c).unwrap();
            t.issuer[at] = 0x13;
        }),
        each("X.509 v1", E::Version, |t| t.version = None),
        each("X.509 v1, written out", E::Version, |t| t.version = Some(0)),
        each("X.509 v2", E::Version, |t| t.version = Some(1)),
        each("X.509 v4", E::Version, |t| t.version = Some(3)),
        each(
            "an unknown critical extension",
            E::UnknownCriticalExtension,
            |t| {
                t.extensions
                    .push(Extension::new(&[0x2a, 0x03, 0x04], true, vec![0x05, 0x00]));
            },
        ),
        each(
            "critical name constraints",
            E::UnknownCriticalExtension,
            |t| {
                t.extensions
                    .push(Extension::new(NAME_CONSTRAINTS, true, vec![0x30, 0x00]));
            },
        ),
        each(
            "critical extended key usage",
            E::UnknownCriticalExtension,
            |t| {
                t.extensions
                    .push(Extension::new(EXTENDED_KEY_USAGE, true, vec![0x30, 0x00]));
            },
        ),
        each("keyUsage twice", E::DuplicateExtension, |t| {
            let usage = extension(t, KEY_USAGE).clone();
            t.extensions.push(usage);
        }),
        each("an unknown extension twice", E::DuplicateExtension, |t| {
            for value in [0, 1] {
                t.extensions.push(Extension::new(
                    &[0x2a, 0x03, 0x04],
                    false,
                    vec![0x04, value],
                ));
            }
        }),
        each(
            "a critical field of 01 instead of ff",
            E::Malformed("extensions"),
            |t| {
                extension(t, BASIC_CONSTRAINTS).critical = vec![0x01, 0x01, 0x01];
            },
        ),
        each(
            "a critical field that says FALSE",
            E::Malformed("extensions"),
            |t| {
                extension(t, KEY_USAGE).critical = vec![0x01, 0x01, 0x00];
            },
        ),
        each("keyUsage empty", E::Malformed("keyUsage"), |t| {
            extension(t, KEY_USAGE).value = vec![0x03, 0x00];
        }),
        each(
            "keyUsage with bits that are not used",
            E::Malformed("keyUsage"),
            |t| {
                extension(t, KEY_USAGE).value = vec![0x03, 0x02, 0x04, 0x86];
            },
        ),
        each(
            "keyUsage with zeros at its end",
            E::Malformed("keyUsage"),
            |t| {
                extension(t, KEY_USAGE).value = vec![0x03, 0x02, 0x00, 0x86];
            },
        ),
        each(
            "keyUsage that is no BIT STRING",
            E::Malformed("keyUsage"),
            |t| {
                extension(t, KEY_USAGE).value = vec![0x04, 0x02, 0x01, 0x86];
            },
        ),
        each("a byte after keyUsage", E::Malformed("keyUsage"), |t| {
            extension(t, KEY_USAGE).value.push(0);
        }),
        each(
            "basicConstraints that is no SEQUENCE",
            E::Malformed("basicConstraints"),
            |t| {
                extension(t, BASIC_CONSTRAINTS).value = vec![0x01, 0x01, 0xff];
            },
        ),
        each(
            "cA of 01 instead of ff",
            E::Malformed("basicConstraints"),
            |t| {
                extension(t, BASIC_CONSTRAINTS).value = vec![0x30, 0x03, 0x01, 0x01, 0x01];
            },
        ),
        each(
            "a date that does not exist",
            E::Malformed("validity"),
            |t| {
                t.not_before = b"\x17\x0d260230000000Z".to_vec();
            },
        ),
        each("a date without seconds", E::Malformed("validity"), |t| {
            t.not_before = b"\x17\x0b2602010000Z".to_vec();
        }),
        each("a date with a time zone", E::Malformed("validity"), |t| {
            t.not_before = b"\x17\x11260201000000+0100".to_vec();
        }),
        each(
            "a date before 2050 in the long form",
            E::Malformed("validity"),
            |t| {
                t.not_before = b"\x18\x0f20260201000000Z".to_vec();
            },
        ),
        each("a date as text", E::Malformed("validity"), |t| {
            t.not_before = b"\x0c\x0d260201000000Z".to_vec();
        }),
        each(
            "a serial number without content",
            E::Malformed("serialNumber"),
            |t| {
                t.serial = vec![0x02, 0x00];
            },
        ),
        each(
            "a serial number with a zero too many",
            E::Malformed("serialNumber"),
            |t| {
                t.serial = vec![0x02, 0x02, 0x00, 0x05];
            },
        ),
        each(
            "a serial number of 21 bytes",
            E::Malformed("serialNumber"),
            |t| {
                t.serial = [&[0x02, 21], &[0x11; 21][..]].concat();
            },
        ),
        each(
            "the serial number zero",
            E::Malformed("serialNumber"),
            |t| {
                t.serial = vec![0x02, 0x01, 0x00];
            },
        ),
        each(
            "a negative serial number",
            E::Malformed("serialNumber"),
            |t| {
                t.serial = vec![0x02, 0x01, 0xff];
            },
        ),
        each(
            "a unique identifier of the issuer",
            E::Malformed("tbsCertificate"),
            |t| {
                t.public_key.extend([0x81, 0x02, 0x00, 0x07]);
            },
        ),
        each("no public key", E::Malformed("tbsCertificate"), |t| {
            t.public_key.clear()
        }),
    ]
    .concat()
}

fn in_each_authority() -> Vec<Case> {
    [
        each(
            AUTHORITIES,
            "no basicConstraints",
            E::BasicConstraints,
            without(BASIC_CONSTRAINTS),
        ),
        each(
            AUTHORITIES,
            "basicConstraints not critical",
            E::BasicConstraints,
            |t| {
                extension(t, BASIC_CONSTRAINTS).critical.clear();
            },
        ),
        each(AUTHORITIES, "no authority", E::NotAuthority, {
            with_value(BASIC_CONSTRAINTS, &[0x30, 0x00])
        }),
        each(
            AUTHORITIES,
            "a negative path length",
            E::Malformed("basicConstraints"),
            with_value(
                BASIC_CONSTRAINTS,
                &[0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0xff],
            ),
        ),
        each(
            AUTHORITIES,
            "a path length with a zero before",
            E::Malformed("basicConstraints"),
            with_value(
                BASIC_CONSTRAINTS,
                &[0x30, 0x07, 0x01, 0x01, 0xff, 0x02, 0x02, 0x00, 0x02],
            ),
        ),
        each(
            AUTHORITIES,
            "no keyUsage",
            E::KeyUsageCertSign,
            without(KEY_USAGE),
        ),
        each(
            AUTHORITIES,
            "keyUsage only for data",
            E::KeyUsageCertSign,
            with_value(KEY_USAGE, &[0x03, 0x02, 0x07, 0x80]),
        ),
        each(
            AUTHORITIES,
            "keyUsage only for revocation lists",
            E::KeyUsageCertSign,
            with_value(KEY_USAGE, &[0x03, 0x02, 0x01, 0x02]),
        ),
        each(
            AUTHORITIES,
            "another authority key identifier",
            E::AuthorityKeyIdentifier,
            |t| {
                *extension(t, AUTHORITY_KEY_IDENTIFIER)
                    .value
                    .last_mut()
                    .unwrap() ^= 1;
            },
        ),
        each(
            AUTHORITIES,
            "a subject key identifier that is no string",
            E::Malformed("subjectKeyIdentifier"),
            with_value(SUBJECT_KEY_IDENTIFIER, &[0x30, 0x00]),
        ),
        each(
            AUTHORITIES,
            "an authority key identifier that is no SEQUENCE",
            E::Malformed("authorityKeyIdentifier"),
            with_value(AUTHORITY_KEY_IDENTIFIER, &[0x04, 0x00]),
        ),
        each(
            AUTHORITIES,
            "something else in an authority key identifier",
            E::Malformed("authorityKeyIdentifier"),
            with_value(AUTHORITY_KEY_IDENTIFIER, &[0x30, 0x02, 0x05, 0x00]),
        ),
        // As many authorities follow as the path length allows, less one.
        each([REGIONAL], "path length 1", E::PathLength, {
            with_value(
                BASIC_CONSTRAINTS,
                &[0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x01],
            )
        }),
        each([REGIONAL, ZONAL], "path length 0", E::PathLength, {
            with_value(
                BASIC_CONSTRAINTS,
                &[0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00],
            )
        }),
    ]
    .concat()
}

fn in_the_leaf() -> Vec<Case> {
    let leaf =
        |name, error, change: fn(&mut CertificateTemplate)| each([LEAF], name, error, change);
    [
        leaf("an authority", E::EndEntityIsAuthority, |t| {
            extension(t, BASIC_CONSTRAINTS).value = vec![0x30, 0x03, 0x01, 0x01, 0xff];
        }),
        leaf("a path length", E::EndEntityPathLength, |t| {
            extension(t, BASIC_CONSTRAINTS).value = vec![0x30, 0x03, 0x02, 0x01, 0x00];
        }),
        leaf("no keyUsage", E::KeyUsageDigitalSignature, |t| {
            t.extensions.retain(|e| e.id != KEY_USAGE);
        }),
        leaf("no extensions", E::KeyUsageDigitalSignature, |t| {
            t.extensions.clear()
        }),
        leaf(
            "keyUsage only for certificates",
            E::EndEntityCertSign,
            |t| {
                extension(t, KEY_USAGE).value = vec![0x03, 0x02, 0x02, 0x04];
            },
        ),
        leaf(
            "keyUsage for documents and certificates",
            E::EndEntityCertSign,
            |t| {
                extension(t, KEY_USAGE).value = vec![0x03, 0x02, 0x02, 0x84];
            },
        ),
        leaf(
            "keyUsage only against repudiation",
            E::KeyUsageDigitalSignature,
            |t| {
                extension(t, KEY_USAGE).value = vec![0x03, 0x02, 0x06, 0x40];
            },
        ),
        leaf(
            "a list of extensions without any",
            E::Malformed("extensions"),
            |t| {
                t.extensions.clear();
                t.public_key.extend([0xa3, 0x02, 0x30, 0x00]);
            },
        ),
    ]
    .concat()
}

fn validity_of_the_root() -> Vec<Case> {
    let root = |name: &str, error, change: fn(&mut CertificateTemplate)| {
        chain(name, at(ROOT, error), move |forge: &mut Forge| {
            change(forge.chain[ROOT].edit())
        })
        .under_forged_root()
    };
    vec![
        root("a trusted root that has expired", E::Expired, |t| {
            t.not_after = time(NOW - SECOND)
        }),
        root("a trusted root of the future", E::NotYetValid, |t| {
            t.not_before = time(NOW + SECOND);
        }),
        root("a trusted root for shorter chains", E::PathLength, |t| {
            extension(t, BASIC_CONSTRAINTS).value =
                vec![0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x02];
        }),
    ]
}
