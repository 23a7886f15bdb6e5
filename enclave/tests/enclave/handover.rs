//! One enclave takes over from another, while there are keys that one of them has not opened yet.

use std::collections::HashSet;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use enclave::{ATTESTATION_PATH, GENESIS_PATH, HANDOVER_MESSAGE_PATH, HANDOVER_PATH, UNSEAL_PATH};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use link::Address;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::attestation::verified;
use crate::opening::{hold, key_ids, made, release, sealed_keys, with_one_slow_thread};
use crate::support::client::Answer;
use crate::support::{Client, Enclave, LONG, Place};

/// An operator's key and its text.
fn operator() -> (PrivateDecryptingKey, String) {
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let base64 = BASE64_STANDARD.encode(spki.as_ref());
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    let text = format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n");
    (key, text)
}

fn opened(key: PrivateDecryptingKey, sealed: &Value) -> Vec<u8> {
    let key = OaepPrivateDecryptingKey::new(key).unwrap();
    let sealed = BASE64_STANDARD.decode(sealed.as_str().unwrap()).unwrap();
    let mut text = vec![0; key.min_output_size()];
    key.decrypt(&OAEP_SHA256_MGF1SHA256, &sealed, &mut text, None)
        .unwrap()
        .to_vec()
}

/// The settings of an enclave whose root key operators hold, on the instance of the test.
fn settings(place: &Place, socket: &str) -> Value {
    let mut settings = place.settings();
    settings["listen"] = json!(place.socket(socket));
    settings["root_key"] = json!("quorum");
    settings["nsm"]["simulated"]["module_id"] = json!("i-0123456789abcdef0-enc0123456789abcdef");
    settings["nsm"]["simulated"]["pcrs"] =
        json!({ "0": "11".repeat(48), "1": "22".repeat(48), "2": "33".repeat(48) });
    settings["limits"]["keys_before_serving"] = json!(0);
    settings
}

async fn ask(address: &Address, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://enclave{path}"))
        .header("host", "enclave")
        .body(Full::new(body.into()))
        .unwrap();
    Client::http1(address).await.send(request).await
}

async fn get(address: &Address, path: &str) -> Answer {
    ask(address, Method::GET, path, "").await
}

async fn post(address: &Address, path: &str, body: impl Into<Bytes>) -> Answer {
    ask(address, Method::POST, path, body).await
}

/// Waits until an enclave tells this of itself.
async fn wait_for(address: &Address, status: &str) {
    let began = Instant::now();
    loop {
        if let Some(mut client) = Client::try_http1(address).await {
            let request = Request::get("http://enclave/health").header("host", "enclave");
            let answer = client.try_send(request.body(Full::default()).unwrap());
            if answer
                .await
                .is_ok_and(|answer| answer.json()["status"] == status)
            {
                return;
            }
        }
        assert!(began.elapsed() < LONG, "it is never {status}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Has two operators make a root key, and gives their shares.
async fn genesis(address: &Address) -> Vec<Vec<u8>> {
    let (ada, grace, administrator) = (operator(), operator(), operator());
    let plan = json!({
        "threshold": 2,
        "operators": [{ "name": "ada", "key": ada.1 }, { "name": "grace", "key": grace.1 }],
        "administrator": administrator.1,
    });
    let path = format!("{GENESIS_PATH}?nonce=00");
    let answer = post(address, &path, plan.to_string()).await.ok();
    let result: Value = serde_json::from_str(answer["result"].as_str().unwrap()).unwrap();
    let keys = [ada.0, grace.0].into_iter();
    keys.zip(result["shares"].as_array().unwrap())
        .map(|(key, share)| opened(key, &share["rsa"]))
        .collect()
}

/// A document with this nonce, and what is for its enclave's eyes only.
async fn document(
    place: &Place,
    address: &Address,
    nonce: &str,
) -> (Vec<u8>, impl Fn(&[u8]) -> Vec<u8> + use<>) {
    let answer = get(address, &format!("{ATTESTATION_PATH}?nonce={nonce}")).await;
    let document = answer.body.to_vec();
    let key = verified(place, &document).recipient_key().unwrap().clone();
    let seal = move |text: &[u8]| key.seal(text, &mut UnwrapErr(SysRng)).unwrap();
    (document, seal)
}

/// What is posted for the second enclave to take over from the first.
async fn request(place: &Place, first: &Address, second: &Address) -> (String, String) {
    let nonce = get(first, HANDOVER_PATH).await.ok();
    let nonce = nonce["nonce"].as_str().unwrap().to_owned();
    let (document, _) = document(place, second, &nonce).await;
    let request = json!({ "nonce": nonce, "document": BASE64_STANDARD.encode(document) });
    (nonce, request.to_string())
}

#[test]
fn no_key_is_lost_whoever_has_not_opened_it_yet() {
    with_one_slow_thread(async {
        let place = Place::new();
        let host = place.host().await;
        let first = Enclave::spawn(settings(&place, "first"));
        wait_for(&first.address, "new").await;
        let shares = genesis(&first.address).await;
        wait_for(&first.address, "ok").await;
        let mut client = first.http1().await;
        let mut keys = HashSet::new();
        for _ in 0..2 {
            keys.insert(made(&mut client, json!({})).await);
        }
        drop(client);
        first.stop().await.unwrap();

        // It is unsealed, and can't open its keys yet. Somebody new is a commit before that.
        let mut with_somebody = settings(&place, "first");
        let users = with_somebody["seed"]["users"].as_array_mut().unwrap();
        users.push(json!({
            "name": "bob",
            "access_key_id": "AKIABOB",
            "secret_access_key": "secret",
        }));
        let first = Enclave::spawn(with_somebody);
        wait_for(&first.address, "sealed").await;
        let second = Enclave::spawn(settings(&place, "second"));
        wait_for(&second.address, "sealed").await;
        host.memory().commits_held = true;
        let (_, seal) = document(&place, &first.address, "00").await;
        for share in shares {
            post(&first.address, UNSEAL_PATH, seal(&share)).await.ok();
        }
        let held = hold(&host).await;
        wait_for(&first.address, "ok").await;
        let mut client = first.http1().await;
        assert_eq!(sealed_keys(&mut client).await, 2);
        keys.insert(made(&mut client, json!({})).await);

        // It would not be whole if it had to serve again, so it says no, and goes on.
        let (_, asked) = request(&place, &first.address, &second.address).await;
        let refused = post(&first.address, HANDOVER_PATH, asked).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        let error = refused.json()["error"].to_string();
        assert!(error.contains("2 are left: try again"), "{error}");
        keys.insert(made(&mut client, json!({})).await);
        release(held, &mut client).await;

        let (nonce, asked) = request(&place, &first.address, &second.address).await;
        let begun = post(&first.address, HANDOVER_PATH, asked).await;
        assert_eq!(begun.status, StatusCode::ACCEPTED);
        wait_for(&first.address, "handing_off").await;
        let path = format!("{HANDOVER_MESSAGE_PATH}?nonce={nonce}");
        let message = get(&first.address, &path).await.body;

        // The second has taken over before it has opened any.
        host.memory().commits_held = true;
        post(&second.address, UNSEAL_PATH, message).await.ok();
        let held = hold(&host).await;
        first.ended().await.unwrap();
        wait_for(&second.address, "ok").await;
        let mut client = second.http1().await;
        assert_eq!(sealed_keys(&mut client).await, 4);
        keys.insert(made(&mut client, json!({})).await);
        release(held, &mut client).await;
        assert_eq!(key_ids(&mut client).await, keys);
        for key in &keys {
            let input = json!({ "KeyId": key, "KeySpec": "AES_256" });
            client.call("GenerateDataKey", input).await.ok();
        }
    });
}
