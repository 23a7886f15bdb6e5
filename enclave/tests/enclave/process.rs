//! The program itself: signals, exit codes, and a log that holds no secrets.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::support::{ACCESS_KEY_ID, Client, LONG, Place, SECRET_ACCESS_KEY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Something that nobody would write by chance.
const PLAINTEXT: &str = "kaGkKMFHzC8wsYyYb3Vb-plaintext";

fn spawn(place: &Place, settings: &Value) -> Child {
    let config = place.path().join("enclave.json");
    std::fs::write(&config, settings.to_string()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_claviger-enclave"))
        .arg("--config")
        .arg(config)
        // Whoever asks for everything gets no more.
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn serving(place: &Place) -> Client {
    let began = Instant::now();
    loop {
        if let Some(client) = Client::try_http1(&place.socket("enclave.sock")).await {
            return client;
        }
        assert!(began.elapsed() < LONG, "the process does not serve");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn end(child: Child, signal: Option<&str>) -> Output {
    if let Some(signal) = signal {
        let kill = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }
    tokio::task::spawn_blocking(|| child.wait_with_output().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn signals_end_it_with_code_0() {
    for signal in ["TERM", "INT"] {
        let place = Place::new();
        let _host = place.host().await;
        let child = spawn(&place, &place.settings());
        serving(&place).await.health().await;
        let output = end(child, Some(signal)).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_and_the_code_is_1() {
    let place = Place::new();
    let mut misspelt = place.settings();
    misspelt["limits"]["conections"] = json!(1);
    let mut secret = place.settings();
    secret["seed"] = json!("hunter2-is-no-seed");
    let mut debug_device = place.settings();
    debug_device["nsm"] = json!("device");
    for (settings, text) in [
        (misspelt, "unknown field `conections`"),
        (secret, "not shown"),
        (debug_device, "/dev/nsm"),
    ] {
        let output = end(spawn(&place, &settings), None).await;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(text), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[tokio::test]
async fn the_log_holds_nothing_of_requests_and_answers() {
    let place = Place::new();
    let _host = place.host().await;
    let child = spawn(&place, &place.settings());
    let mut client = serving(&place).await;
    let mut secrets = vec![
        ACCESS_KEY_ID.to_owned(),
        SECRET_ACCESS_KEY.to_owned(),
        PLAINTEXT.to_owned(),
        BASE64.encode(PLAINTEXT),
        "alias/kaGkKMFHzC8w".to_owned(),
        "context-kaGkKMFHzC8w".to_owned(),
        "AWS4-HMAC-SHA256".to_owned(),
    ];
    let key = client.call("CreateKey", json!({})).await.ok();
    let key_id = key["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    secrets.push(key_id.clone());
    let context = json!({ "context-kaGkKMFHzC8w": "context-kaGkKMFHzC8w" });
    let alias = "alias/kaGkKMFHzC8w";
    let target = json!({ "AliasName": alias, "TargetKeyId": key_id });
    let data_key = json!({ "KeyId": alias, "KeySpec": "AES_256", "EncryptionContext": context });
    let pair = json!({ "KeyId": key_id, "KeyPairSpec": "ECC_NIST_P256" });
    let rsa_pair = json!({ "KeyId": key_id, "KeyPairSpec": "RSA_2048" });
    let id_only = json!({ "KeyId": key_id });
    for (operation, body) in [
        ("CreateAlias", target.clone()),
        ("UpdateAlias", target),
        ("ListAliases", json!({})),
        ("ListKeys", json!({})),
        ("DescribeKey", json!({ "KeyId": alias })),
        ("GenerateRandom", json!({ "NumberOfBytes": 32 })),
        ("GenerateDataKey", data_key.clone()),
        ("GenerateDataKeyWithoutPlaintext", data_key),
        ("GenerateDataKeyPair", pair.clone()),
        ("GenerateDataKeyPair", rsa_pair),
        ("GenerateDataKeyPairWithoutPlaintext", pair),
        ("DisableKey", id_only.clone()),
        ("EnableKey", id_only.clone()),
    ] {
        let answer = client.call(operation, body).await.ok();
        for member in ["Plaintext", "CiphertextBlob", "PrivateKeyPlaintext"] {
            secrets.extend(answer[member].as_str().map(str::to_owned));
        }
    }
    let encrypted = client
        .call(
            "Encrypt",
            json!({
                "KeyId": key_id,
                "Plaintext": BASE64.encode(PLAINTEXT),
                "EncryptionContext": context,
            }),
        )
        .await
        .ok();
    let blob = &encrypted["CiphertextBlob"];
    secrets.push(blob.as_str().unwrap().to_owned());
    let decrypt = json!({ "CiphertextBlob": blob, "EncryptionContext": context });
    client.call("Decrypt", decrypt).await.ok();
    let wrong = json!({ "CiphertextBlob": blob });
    assert_eq!(
        client.call("Decrypt", wrong).await.error(),
        "InvalidCiphertextException"
    );
    let again = json!({
        "CiphertextBlob": blob,
        "SourceEncryptionContext": context,
        "DestinationKeyId": key_id,
    });
    client.call("ReEncrypt", again).await.ok();
    client
        .call("DeleteAlias", json!({ "AliasName": alias }))
        .await
        .ok();
    client
        .call("ScheduleKeyDeletion", id_only.clone())
        .await
        .ok();
    client.call("CancelKeyDeletion", id_only).await.ok();

    let output = end(child, Some("TERM")).await;
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    let log = String::from_utf8(output.stderr).unwrap();
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "the log holds {secret}");
    }
    // It is not empty for all that, and each line is JSON.
    let entries: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for message in ["starting", "serving", "shutting down", "stopped"] {
        assert!(
            entries.iter().any(|entry| entry["message"] == message),
            "{log}"
        );
    }
    assert!(log.contains("TRUSTING SIMULATED ATTESTATION ROOTS"));
}
