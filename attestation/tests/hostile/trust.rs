//! Who signed it, for whom, when, and in what state the enclave is.

use std::time::Duration;

use attestation::nsm::forge::{INSTANCE, LEAF, REGIONAL, ROOT, ZONAL, cbor};
use attestation::{CertificateError, TrustRoot, VerifyError, VerifyOptions};

use crate::case::{BOOT, Case, MODULE_ID, NOW, at, certificates, chain, payload};
use crate::fields::{registers, set_registers};
use crate::testing::SeededRandom;

pub(crate) fn cases() -> Vec<Case> {
    [roots(), signers(), identity(), freshness(), debug_mode()].concat()
}

fn roots() -> Vec<Case> {
    let untrusted = Err(VerifyError::UntrustedRoot);
    vec![
        chain("a self-made root with the same name", untrusted, |forge| {
            forge.rekey(ROOT, &mut SeededRandom::new(9)).unwrap();
        }),
        chain(
            "the root's key in another certificate",
            untrusted,
            |forge| {
                forge.chain[ROOT].edit();
            },
        ),
        certificates("AWS's root before our chain", untrusted, |bundle, _| {
            bundle[ROOT] = TrustRoot::aws().der().to_vec();
        }),
        certificates("a root changed in its last bit", untrusted, |bundle, _| {
            *bundle[ROOT].last_mut().unwrap() ^= 1;
        }),
        certificates("a root with a byte after it", untrusted, |bundle, _| {
            bundle[ROOT].push(0);
        }),
        certificates("no root", untrusted, |bundle, _| {
            bundle.remove(ROOT);
        }),
        certificates("authorities bottom up", untrusted, |bundle, _| {
            bundle[..LEAF].reverse()
        }),
        certificates("a stranger before the root", untrusted, |bundle, _| {
            bundle.insert(0, bundle[REGIONAL].clone());
        }),
    ]
}

fn signers() -> Vec<Case> {
    let by_a_stranger = (REGIONAL..=LEAF).map(|index| {
        certificates(
            format!("certificate {index} signed by another key of the same name"),
            at(index, CertificateError::Signature),
            move |bundle, forge| {
                let mut other = forge.clone();
                other.rekey(index - 1, &mut SeededRandom::new(9)).unwrap();
                bundle[index] = other.certificates().unwrap().swap_remove(index);
            },
        )
    });
    let mut cases: Vec<_> = by_a_stranger.collect();
    cases.push(certificates(
        "a certificate of another key than the one that signed",
        Err(VerifyError::Signature),
        |bundle, forge| {
            let mut other = forge.clone();
            other.rekey(LEAF, &mut SeededRandom::new(9)).unwrap();
            bundle[LEAF] = other.certificates().unwrap().swap_remove(LEAF);
        },
    ));
    cases
}

fn identity() -> Vec<Case> {
    let module_name = Err(VerifyError::ModuleName);
    let outside = Err(VerifyError::TimestampOutsideCertificate);
    // Texts of the same length, so that the names around them stay well-formed.
    let rename = |index: usize, from: &'static str, to: &'static str| {
        move |forge: &mut attestation::nsm::forge::Forge| {
            assert_eq!(from.len(), to.len());
            let renamed = |name: &[u8]| {
                let at = name.windows(from.len()).position(|w| w == from.as_bytes());
                let at = at.unwrap();
                [&name[..at], to.as_bytes(), &name[at + to.len()..]].concat()
            };
            let template = forge.chain[index].edit();
            template.subject = renamed(&template.subject);
            if let Some(below) = forge.chain.get(index + 1) {
                let issuer = renamed(&below.template().issuer);
                forge.chain[index + 1].edit().issuer = issuer;
            }
        }
    };
    let timestamp = |name: &str, verdict, millis: u64| {
        payload(name, verdict, move |p| {
            p.set("timestamp", cbor::unsigned(millis))
        })
    };
    vec![
        payload("the module id of another enclave", module_name, |p| {
            p.set(
                "module_id",
                cbor::text("i-0123456789abcdef0-enc019abb0ad2c00124"),
            );
        }),
        payload("the module id of another instance", module_name, |p| {
            p.set(
                "module_id",
                cbor::text("i-0123456789abcdef1-enc019abb0ad2c00123"),
            );
        }),
        payload("a part of the module id", module_name, |p| {
            p.set("module_id", cbor::text(&MODULE_ID[..MODULE_ID.len() - 1]));
        }),
        payload("a module id with the region in it", module_name, |p| {
            p.set("module_id", cbor::text(&format!("{MODULE_ID}.us-east-1")));
        }),
        chain(
            "a leaf for another enclave",
            module_name,
            rename(LEAF, "c00123", "c00124"),
        ),
        chain(
            "a leaf outside of aws",
            module_name,
            rename(LEAF, ".aws", ".gcp"),
        ),
        chain("a leaf with two common names", module_name, |forge| {
            let template = forge.chain[LEAF].edit();
            // The name has a length of one byte, below 128 more than there is room for.
            let name = &template.subject[3..];
            let short = b"\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01x";
            let length = u8::try_from(name.len() + short.len()).unwrap();
            template.subject = [&[0x30, 0x81, length], name, short].concat();
        }),
        chain("a leaf without a common name", module_name, |forge| {
            forge.chain[LEAF].edit().subject = vec![0x30, 0x00];
        }),
        chain(
            "a leaf of another region",
            Err(VerifyError::Region),
            rename(LEAF, "us-east-1", "us-west-1"),
        ),
        chain(
            "an instance of another region",
            Err(VerifyError::Region),
            rename(INSTANCE, "us-east-1", "us-west-1"),
        ),
        chain(
            "a zone of another region",
            Err(VerifyError::Region),
            rename(ZONAL, "us-east-1", "us-west-1"),
        ),
        chain(
            "an authority of another region",
            Err(VerifyError::Region),
            rename(REGIONAL, "us-east-1", "us-west-1"),
        ),
        chain(
            "an authority of another instance",
            Err(VerifyError::InstanceName),
            rename(INSTANCE, "abcdef0", "abcdef1"),
        ),
        payload(
            "PCR4 of another instance",
            Err(VerifyError::Instance),
            |p| {
                let mut registers = registers(p);
                registers[4][10] ^= 1;
                set_registers(p, &registers);
            },
        ),
        payload("PCR4 of zeros", Err(VerifyError::Instance), |p| {
            let mut registers = registers(p);
            registers[4][3..].fill(0);
            set_registers(p, &registers);
        }),
        timestamp("made before the leaf was", outside, BOOT.as_millis() - 4000),
        timestamp(
            "made after the leaf ends",
            outside,
            BOOT.as_millis() + 3 * 3_600_000 + 1,
        ),
        timestamp("a timestamp in seconds", outside, NOW.as_secs()),
        timestamp(
            "a timestamp in microseconds",
            outside,
            NOW.as_millis() * 1000,
        ),
        timestamp("the last timestamp there is", outside, u64::MAX),
    ]
}

fn freshness() -> Vec<Case> {
    let VerifyOptions {
        max_age,
        max_future,
        ..
    } = VerifyOptions::default();
    let stale = |age| Err(VerifyError::Stale { age, max_age });
    let future = |ahead| Err(VerifyError::Future { ahead, max_future });
    let millisecond = Duration::from_millis(1);
    let hour = Duration::from_secs(3600);
    let seen = |name: &str, verdict| payload(name, verdict, |_| {});
    vec![
        seen("as old as allowed", Ok(())).later(max_age),
        seen("too old by a millisecond", stale(max_age + millisecond)).later(max_age + millisecond),
        seen("an hour old", stale(hour)).later(hour),
        seen("as far ahead as allowed", Ok(())).earlier(max_future),
        seen(
            "too far ahead by a millisecond",
            future(max_future + millisecond),
        )
        .earlier(max_future + millisecond),
        seen("too far ahead by minutes", future(10 * max_future)).earlier(10 * max_future),
        seen(
            "three hours old, beyond the leaf",
            at(LEAF, CertificateError::Expired),
        )
        .later(3 * hour),
        seen(
            "a day old, beyond the instance's certificate",
            at(INSTANCE, CertificateError::Expired),
        )
        .later(24 * hour),
        seen(
            "from before the leaf",
            at(LEAF, CertificateError::NotYetValid),
        )
        .earlier(Duration::from_secs(20 * 60 + 4)),
        seen(
            "at the beginning of time",
            at(ROOT, CertificateError::NotYetValid),
        )
        .earlier(NOW.saturating_since(attestation::Timestamp::default())),
    ]
}

fn debug_mode() -> Vec<Case> {
    let zero = |name: &str, verdict, zeros: &'static [usize]| {
        payload(name, verdict, move |p| {
            let mut registers = registers(p);
            for index in zeros {
                registers[*index][3..].fill(0);
            }
            set_registers(p, &registers);
        })
    };
    let debug = Err(VerifyError::Debug);
    let without_pcr0 = |p: &mut attestation::nsm::forge::Payload| {
        let registers = registers(p);
        set_registers(p, &registers[1..]);
    };
    let no_image = Err(VerifyError::NoImage);
    vec![
        payload("no PCR0", no_image, without_pcr0),
        payload("no PCR0, debug mode accepted", no_image, without_pcr0).accepting_debug_mode(),
        zero("debug mode", debug, &[0, 1, 2, 8]),
        zero("only PCR0 zero", debug, &[0]),
        zero("only PCR1 zero", debug, &[1]),
        zero("only PCR2 zero", debug, &[2]),
        zero("debug mode, if accepted", Ok(()), &[0, 1, 2, 8]).accepting_debug_mode(),
        zero(
            "registers zero that may be",
            Ok(()),
            &[3, 5, 6, 7, 8, 9, 15],
        ),
    ]
}
