//! DeriveSharedSecret, Encapsulate, Decapsulate.

use serde_json::{Value, json};

use crate::server::{Server, base64, blob, key_arn};

fn public_key(server: &mut Server, id: &str) -> Value {
    server.call("GetPublicKey", json!({"KeyId": id})).ok()["PublicKey"].clone()
}

#[test]
fn two_keys_of_a_curve_agree_on_a_secret() {
    let mut server = Server::new();
    for (spec, length) in [
        ("ECC_NIST_P256", 32),
        ("ECC_NIST_P384", 48),
        ("ECC_NIST_P521", 66),
    ] {
        let [ours, theirs] = [(); 2].map(|()| server.create_key_of(spec, "KEY_AGREEMENT"));
        let mut derive = |id: &str, peer: &str| {
            let token = server.grant_token(id);
            let public = public_key(&mut server, peer);
            let request = json!({
                "KeyId": id, "KeyAgreementAlgorithm": "ECDH", "PublicKey": public,
                "GrantTokens": [token],
            });
            let answer = server.call("DeriveSharedSecret", request);
            assert_eq!(
                answer.event["requestParameters"],
                json!({"keyId": id, "keyAgreementAlgorithm": "ECDH"})
            );
            answer.ok()
        };
        let derived = derive(&ours, &theirs);
        assert_eq!(
            derived,
            json!({
                "KeyId": key_arn(&ours),
                "SharedSecret": derived["SharedSecret"],
                "KeyAgreementAlgorithm": "ECDH",
                "KeyOrigin": "AWS_KMS",
            })
        );
        assert_eq!(blob(&derived["SharedSecret"]).len(), length);
        assert_eq!(
            derive(&theirs, &ours)["SharedSecret"],
            derived["SharedSecret"]
        );
        assert_ne!(
            derive(&ours, &ours)["SharedSecret"],
            derived["SharedSecret"]
        );
    }
}

#[test]
fn what_is_no_public_key_of_the_curve_gets_awss_silent_error() {
    let mut server = Server::new();
    let id = server.create_key_of("ECC_NIST_P256", "KEY_AGREEMENT");
    let other_curve = server.create_key_of("ECC_NIST_P384", "KEY_AGREEMENT");
    let rsa = server.create_key_of("RSA_2048", "SIGN_VERIFY");
    let own = blob(&public_key(&mut server, &id));
    let mut off_the_curve = own.clone();
    off_the_curve[90] ^= 1;
    for public in [
        public_key(&mut server, &other_curve),
        public_key(&mut server, &rsa),
        json!(base64(off_the_curve)),
        // The bare point.
        json!(base64(&own[26..])),
        json!(base64([own.as_slice(), b"x"].concat())),
        json!(base64("junk")),
        json!(base64([0; 8192])),
    ] {
        for dry_run in [false, true] {
            let request = json!({
                "KeyId": id, "KeyAgreementAlgorithm": "ECDH", "PublicKey": public,
                "DryRun": dry_run,
            });
            let answer = server.call("DeriveSharedSecret", request);
            answer.expect_error("ValidationException", "");
        }
    }
}

#[test]
fn an_encapsulated_secret_comes_out_again() {
    let mut server = Server::new();
    for (spec, length) in [
        ("ML_KEM_512", 768),
        ("ML_KEM_768", 1088),
        ("ML_KEM_1024", 1568),
    ] {
        let id = server.create_key_of(spec, "ENCAPSULATE_DECAPSULATE");
        let token = server.grant_token(&id);
        let request =
            json!({"KeyId": id, "EncapsulationAlgorithm": "ML_KEM", "GrantTokens": [token]});
        let answer = server.call("Encapsulate", request.clone());
        let encapsulated = answer.ok();
        assert_eq!(
            encapsulated,
            json!({
                "KeyId": key_arn(&id),
                "SharedSecret": encapsulated["SharedSecret"],
                "SharedSecretCiphertextBlob": encapsulated["SharedSecretCiphertextBlob"],
                "EncapsulationAlgorithm": "ML_KEM",
            })
        );
        assert_eq!(
            answer.event["requestParameters"],
            json!({"keyId": id, "encapsulationAlgorithm": "ML_KEM"})
        );
        assert_eq!(blob(&encapsulated["SharedSecret"]).len(), 32);
        let ciphertext = blob(&encapsulated["SharedSecretCiphertextBlob"]);
        assert_eq!(ciphertext.len(), length);
        let again = server.call("Encapsulate", request).ok();
        assert_ne!(again["SharedSecret"], encapsulated["SharedSecret"]);

        let decapsulation = |ciphertext: &[u8]| {
            json!({
                "KeyId": id, "EncapsulationAlgorithm": "ML_KEM",
                "SharedSecretCiphertextBlob": base64(ciphertext),
            })
        };
        let decapsulated = server.call("Decapsulate", decapsulation(&ciphertext)).ok();
        assert_eq!(
            decapsulated,
            json!({
                "KeyId": key_arn(&id),
                "SharedSecret": encapsulated["SharedSecret"],
                "EncapsulationAlgorithm": "ML_KEM",
            })
        );

        // Of the right length but not made with this key: 32 bytes that tell nothing.
        let mut other = ciphertext.clone();
        other[0] ^= 1;
        let secret = server.call("Decapsulate", decapsulation(&other)).ok()["SharedSecret"].clone();
        assert_eq!(blob(&secret).len(), 32);
        assert_ne!(secret, encapsulated["SharedSecret"]);
        let same = server.call("Decapsulate", decapsulation(&other)).ok();
        assert_eq!(same["SharedSecret"], secret);

        let longer = [ciphertext.as_slice(), b"x"].concat();
        for wrong in [&ciphertext[..length - 1], &longer, &[0; 32]] {
            let answer = server.call("Decapsulate", decapsulation(wrong));
            answer.expect_error("InvalidCiphertextException", "");
        }
    }
}
