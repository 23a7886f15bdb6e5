//! What a chain costs, and what is remembered of it.

use super::*;
use crate::backend::counting::Counting;
use crate::{AttestationDocument, Backend};

const DOCUMENT: &[u8] = include_bytes!(
    "../../tests/fixtures/nitro/aws/2025-10-15_reclaimprotocol-attestor-core_625d11b8.bin"
);
const MADE: Timestamp = Timestamp::from_millis(1_760_533_408_621);

/// Verifies the document's chain, changed by `change`, and returns how many signatures that took.
fn verify_changed(
    crypto: &dyn Crypto,
    cache: &CertificateCache,
    now: Timestamp,
    change: impl Fn(&mut Vec<Vec<u8>>),
) -> (usize, Result<(), VerifyError>) {
    let document = AttestationDocument::parse(DOCUMENT).unwrap();
    let mut chain: Vec<Vec<u8>> = document.cabundle().iter().map(|der| der.to_vec()).collect();
    chain.push(document.certificate().to_vec());
    change(&mut chain);
    let leaf = chain.pop().unwrap();
    let cabundle: Vec<_> = chain.iter().map(Vec::as_slice).collect();

    let counting = Counting::new(crypto);
    let roots = [TrustRoot::aws()];
    let result = verify(&counting, cache, &roots, &cabundle, &leaf, now).map(drop);
    (counting.verifications(), result)
}

/// Spoils the signature of a certificate, which stands at its end.
fn spoil(der: &mut [u8]) {
    *der.last_mut().unwrap() ^= 1;
}

fn refused(position: ChainPosition, error: CertificateError) -> Result<(), VerifyError> {
    Err(VerifyError::Certificate(position, error))
}

#[test]
fn authorities_are_verified_once() {
    for backend in Backend::ALL {
        let mut cache = CertificateCache::default();
        let verify = |cache: &_| verify_changed(backend.crypto(), cache, MADE, |_| {});
        assert_eq!(verify(&cache), (4, Ok(())));
        assert_eq!(cache.signatures(), 3);
        cache.forget_chains();
        assert_eq!(verify(&cache), (1, Ok(())), "only the leaf");
        cache.forget_chains();
        cache.forget_authorities();
        assert_eq!(verify(&cache), (1, Ok(())), "each of them is known too");
        assert_eq!(cache.signatures(), 3);
    }
}

#[test]
fn a_chain_is_verified_once() {
    for backend in Backend::ALL {
        let cache = CertificateCache::default();
        let verify = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
            verify_changed(backend.crypto(), &cache, MADE, change)
        };
        assert_eq!(verify(&|_| {}), (4, Ok(())));
        assert_eq!(verify(&|_| {}), (0, Ok(())));
        for index in 0..5 {
            let (_, result) = verify(&|chain| spoil(&mut chain[index]));
            assert!(result.is_err(), "certificate {index}");
        }
        // The same bytes, divided in another way.
        let (_, result) = verify(&|chain| {
            let first = chain[1].remove(0);
            chain[0].push(first);
        });
        assert_eq!(result, Err(VerifyError::UntrustedRoot));
        let (_, result) = verify(&|chain| {
            let first = chain[4].remove(0);
            chain[3].push(first);
        });
        assert!(result.is_err());
    }
}

#[test]
fn what_is_remembered_still_expires() {
    let hour = core::time::Duration::from_secs(3600);
    for backend in Backend::ALL {
        let cache = CertificateCache::default();
        let verify = |now| verify_changed(backend.crypto(), &cache, now, |_| {});
        verify(MADE).1.unwrap();
        let (expired, early) = (CertificateError::Expired, CertificateError::NotYetValid);
        let expectations = [
            (MADE + hour * 4, refused(ChainPosition::Leaf, expired)),
            (
                MADE + hour * 25,
                refused(ChainPosition::Authority(3), expired),
            ),
            (
                MADE + hour * 24 * 7,
                refused(ChainPosition::Authority(2), expired),
            ),
            (
                MADE + hour * 24 * 21,
                refused(ChainPosition::Authority(1), expired),
            ),
            (
                MADE - hour * 24 * 21,
                refused(ChainPosition::Authority(1), early),
            ),
        ];
        for (now, expected) in expectations {
            assert_eq!(verify(now), (0, expected), "{now:?}");
        }
    }
}

#[test]
fn a_bad_signature_ends_the_work() {
    for backend in Backend::ALL {
        let cache = CertificateCache::default();
        let verify = |index: usize| {
            verify_changed(backend.crypto(), &cache, MADE, |chain| {
                spoil(&mut chain[index])
            })
        };
        let bad = CertificateError::Signature;
        assert_eq!(verify(0), (0, Err(VerifyError::UntrustedRoot)));
        assert_eq!(verify(1), (1, refused(ChainPosition::Authority(1), bad)));
        assert_eq!(verify(2), (2, refused(ChainPosition::Authority(2), bad)));
        assert_eq!(verify(3), (3, refused(ChainPosition::Authority(3), bad)));
        assert_eq!(verify(4), (4, refused(ChainPosition::Leaf, bad)));
        assert_eq!(
            cache.signatures(),
            0,
            "nothing is kept of a chain that is bad"
        );

        verify_changed(backend.crypto(), &cache, MADE, |_| {})
            .1
            .unwrap();
        assert_eq!(verify(3), (1, refused(ChainPosition::Authority(3), bad)));
        assert_eq!(verify(4), (1, refused(ChainPosition::Leaf, bad)));
    }
}

#[test]
fn position_decides() {
    use CertificateError::*;
    type Change = fn(&mut Vec<Vec<u8>>);
    let cases: [(Change, Result<(), VerifyError>); 8] = [
        (
            |chain| chain.swap(1, 2),
            refused(ChainPosition::Authority(1), Issuer),
        ),
        (
            |chain| chain.swap(3, 4),
            refused(ChainPosition::Authority(3), Issuer),
        ),
        (
            |chain| drop(chain.remove(2)),
            refused(ChainPosition::Authority(2), Issuer),
        ),
        (
            |chain| drop(chain.remove(0)),
            Err(VerifyError::UntrustedRoot),
        ),
        (
            |chain| drop(chain.pop()),
            refused(ChainPosition::Leaf, EndEntityIsAuthority),
        ),
        (
            |chain| chain[4] = chain[3].clone(),
            refused(ChainPosition::Leaf, Issuer),
        ),
        (
            |chain| chain.insert(1, chain[0].clone()),
            refused(ChainPosition::Authority(1), SelfIssued),
        ),
        (
            |chain| chain.push(chain[4].clone()),
            refused(ChainPosition::Authority(1), PathLength),
        ),
    ];
    for backend in Backend::ALL {
        let cache = CertificateCache::default();
        let check = || {
            for (index, (change, expected)) in cases.iter().enumerate() {
                let counted = verify_changed(backend.crypto(), &cache, MADE, change);
                assert_eq!(counted, (0, *expected), "case {index}");
            }
        };
        check();
        let verified = verify_changed(backend.crypto(), &cache, MADE, |_| {});
        assert_eq!(verified, (4, Ok(())));
        // Nor do known authorities make another order right.
        check();
    }
}

/// Whatever stands in the place of any one byte, a certificate is read or refused.
#[test]
fn no_byte_of_a_certificate_is_trouble() {
    let document = AttestationDocument::parse(DOCUMENT).unwrap();
    for der in document.cabundle().iter().chain([&document.certificate()]) {
        let mut changed = der.to_vec();
        for (position, original) in der.iter().enumerate() {
            for byte in (0..=u8::MAX).step_by(5) {
                changed[position] = byte;
                if let Ok(certificate) = Certificate::parse(&changed) {
                    let _ = certificate.common_name();
                }
            }
            changed[position] = *original;
        }
    }
}

#[test]
fn bundles_have_a_length() {
    let root = TrustRoot::aws();
    for backend in Backend::ALL {
        for length in [0, 1, 9, 100, 7000] {
            let counting = Counting::new(backend.crypto());
            let cabundle = vec![root.der(); length];
            let roots = [TrustRoot::aws()];
            let cache = CertificateCache::default();
            let result = verify(&counting, &cache, &roots, &cabundle, root.der(), MADE).map(drop);
            assert_eq!(result, Err(VerifyError::ChainLength(length)));
            assert_eq!(counting.verifications(), 0);
        }
    }
}

#[test]
fn the_cache_is_bounded_and_keeps_what_came_last() {
    let crypto = Backend::default().crypto();
    let document = AttestationDocument::parse(DOCUMENT).unwrap();
    let parse = |der| Certificate::parse(der).unwrap();
    let (root, regional) = (parse(document.cabundle()[0]), parse(document.cabundle()[1]));
    let short_lived = parse(document.certificate());
    let issuer = public_key(crypto, &root).unwrap();
    let other = public_key(crypto, &regional).unwrap();

    let cache = CertificateCache::default();
    let insert_signed = |certificate: &Certificate<'_>| {
        cache.insert_signed(&Signed {
            certificate,
            issuer_key: issuer.clone(),
            key: other.clone(),
        });
    };
    for name in 0..2 * CertificateCache::SIGNATURES as u16 {
        let name = name.to_be_bytes();
        insert_signed(&with_bytes(&regional, &name));
    }
    // However much sooner it ends than all the others.
    insert_signed(&short_lived);
    assert_eq!(cache.signatures(), CertificateCache::SIGNATURES);
    let known = cache.signed_key(&issuer, &short_lived);
    assert_eq!(known.as_ref(), Some(&other));

    // Another key, or one bit more, is another signature.
    assert_eq!(cache.signed_key(&other, &short_lived), None);
    let mut bytes = short_lived.der.to_vec();
    bytes.push(0);
    let longer = with_bytes(&short_lived, &bytes);
    assert_eq!(cache.signed_key(&issuer, &longer), None);
}

/// Chains by someone who can sign whatever they like, but not with a key under the root.
#[cfg(feature = "simulation")]
mod forged {
    use super::*;
    use crate::nsm::forge::{Forge, INSTANCE};
    use crate::nsm::{AttestationRequest, Identity, SimulatedCa, SimulatedNsm};
    use crate::testing::SeededRandom;

    /// A chain of eight authorities and a leaf, in which everything holds.
    fn longest_chain() -> (TrustRoot, Forge) {
        let mut random = SeededRandom::new(1);
        let ca = SimulatedCa::generate(&mut random, MADE).unwrap();
        let identity = Identity::new(&mut random, MADE);
        let root = ca.root();
        let clock = Box::new(|| MADE);
        let mut nsm = SimulatedNsm::new(ca, identity, clock, Box::new(SeededRandom::new(2)));
        let mut forge = nsm.forge(AttestationRequest::default()).unwrap();
        for authority in &mut forge.chain[1..=INSTANCE] {
            // Neither path lengths nor key identifiers shall be what ends the work.
            let keep = [&[0x55, 0x1d, 15][..], &[0x55, 0x1d, 19]];
            let extensions = &mut authority.edit().extensions;
            extensions.retain(|extension| keep.contains(&&*extension.id));
            for extension in extensions.iter_mut().filter(|it| it.id == keep[1]) {
                extension.value = vec![0x30, 0x03, 0x01, 0x01, 0xff];
            }
        }
        for copy in 0..4 {
            // The instance issues to itself under another name, which the copy has.
            let mut copied = forge.chain[INSTANCE].clone();
            let issuer = forge.chain[INSTANCE + copy].template().subject.clone();
            let template = copied.edit();
            template.issuer = issuer;
            *template.subject.last_mut().unwrap() = b'0' + copy as u8;
            forge.chain.insert(INSTANCE + copy + 1, copied);
        }
        let last = forge.chain.len() - 1;
        let issuer = forge.chain[last - 1].template().subject.clone();
        forge.chain[last].edit().issuer = issuer;
        (root, forge)
    }

    fn count(
        crypto: &dyn Crypto,
        root: TrustRoot,
        certificates: &[Vec<u8>],
    ) -> (usize, Result<(), VerifyError>) {
        let counting = Counting::new(crypto);
        let chain: Vec<_> = certificates.iter().map(Vec::as_slice).collect();
        let (leaf, cabundle) = chain.split_last().unwrap();
        let cache = CertificateCache::default();
        let result = verify(&counting, &cache, &[root], cabundle, leaf, MADE).map(drop);
        (counting.verifications(), result)
    }

    #[test]
    fn the_longest_chain_costs_eight_verifications() {
        let (root, forge) = longest_chain();
        let certificates = forge.certificates().unwrap();
        assert_eq!(certificates.len(), 9);
        for backend in Backend::ALL {
            let counted = count(backend.crypto(), root.clone(), &certificates);
            assert_eq!(counted, (8, Ok(())));
        }
    }

    #[test]
    fn a_chain_that_no_root_signed_costs_one() {
        let (_, mut forge) = longest_chain();
        let root = TrustRoot::aws();
        let subject = Certificate::parse(root.der()).unwrap().subject;
        forge.chain[1].edit().issuer = subject.to_vec();
        let mut certificates = forge.certificates().unwrap();
        certificates[0] = root.der().to_vec();
        for backend in Backend::ALL {
            assert_eq!(
                count(backend.crypto(), root.clone(), &certificates),
                (
                    1,
                    refused(ChainPosition::Authority(1), CertificateError::Signature)
                )
            );
        }
    }
}

/// The certificate, claiming to be of other bytes than it is.
fn with_bytes<'a>(certificate: &Certificate<'a>, der: &'a [u8]) -> Certificate<'a> {
    let mut certificate = certificate.clone();
    certificate.der = der;
    certificate
}
