//! An enclave that serves while its keys are still sealed: what can be done meanwhile stays, what
//! can't is refused, and the end is waited for by nobody.
//!
//! Keys are opened on the runtime's threads for what takes long. Here there is one, and a test holds
//! it.

use std::collections::HashSet;
use std::sync::mpsc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::support::host::Memory;
use crate::support::{Client, Enclave, Host, LONG, Place, eventually};

const ELSEWHERE: &str = "us-west-2";

/// Runs a test with one thread for what takes long.
pub(crate) fn with_one_slow_thread(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build();
    runtime.unwrap().block_on(test);
}

/// Holds that thread until it is dropped.
pub(crate) struct Held(
    #[expect(dead_code, reason = "dropping it tells the thread")] mpsc::Sender<()>,
);

/// Starts an enclave whose keys stay sealed as long as the thread is held.
pub(crate) async fn start_sealed(place: &Place, host: &Host) -> (Enclave, Held) {
    let mut settings = place.settings();
    settings["limits"]["keys_before_serving"] = json!(0);
    // Somebody new is a commit after all records are read, and before any key is opened.
    let name = format!("new-{}", host.memory().commits.len());
    let users = settings["seed"]["users"].as_array_mut().unwrap();
    users.push(json!({
        "name": name,
        "access_key_id": format!("AKIA{name}"),
        "secret_access_key": "secret",
    }));
    host.memory().commits_held = true;
    tokio::join!(place.start_with(settings), hold(host))
}

/// Holds the thread from the next commit on.
pub(crate) async fn hold(host: &Host) -> Held {
    eventually("the commit", || host.memory().commits_waiting > 0).await;
    let (held, release) = mpsc::channel::<()>();
    spawn_blocking(move || release.recv());
    host.memory().commits_held = false;
    Held(held)
}

pub(crate) async fn sealed_keys(client: &mut Client) -> u64 {
    let health = client.health().await;
    health["state"]["sealed_keys"].as_u64().unwrap()
}

/// Lets the keys be opened, and waits until they are.
pub(crate) async fn release(held: Held, client: &mut Client) {
    drop(held);
    let began = Instant::now();
    while sealed_keys(client).await > 0 {
        assert!(began.elapsed() < LONG, "the keys are never open");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn made(client: &mut Client, input: Value) -> String {
    let made = client.call("CreateKey", input).await.ok();
    made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
}

/// Everything that is told of a key, but for what each call has of its own.
async fn told(client: &mut Client, key: &str) -> Vec<Value> {
    let mut told = Vec::new();
    for operation in [
        "DescribeKey",
        "GetKeyPolicy",
        "GetKeyRotationStatus",
        "ListResourceTags",
        "ListAliases",
        "ListGrants",
    ] {
        let answer = client.call(operation, json!({ "KeyId": key })).await;
        told.push(match answer.status {
            StatusCode::OK => answer.ok(),
            _ => json!(answer.error()),
        });
    }
    told
}

pub(crate) async fn key_ids(client: &mut Client) -> HashSet<String> {
    let listed = client.call("ListKeys", json!({})).await.ok();
    let keys = listed["Keys"].as_array().unwrap().iter();
    keys.map(|key| key["KeyId"].as_str().unwrap().to_owned())
        .collect()
}

/// A policy that can be told from the default one.
fn policy() -> String {
    let account = crate::support::ACCOUNT;
    json!({
        "Version": "2012-10-17",
        "Id": "made-meanwhile",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{account}:root") },
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
    .to_string()
}

fn grantee() -> String {
    let account = crate::support::ACCOUNT;
    format!("arn:aws:iam::{account}:user/alice")
}

/// What there is before: a key with an alias, a grant and a tag, one that waits for its deletion, and
/// a multi-Region key with a replica.
async fn make_old_keys(place: &Place) -> [String; 3] {
    let enclave = place.start().await;
    let mut client = enclave.http1().await;
    let tags = json!([{ "TagKey": "old", "TagValue": "1" }]);
    let key = made(&mut client, json!({ "Tags": tags })).await;
    let doomed = made(&mut client, json!({})).await;
    let multi_region = made(&mut client, json!({ "MultiRegion": true })).await;
    for (operation, input) in [
        (
            "CreateAlias",
            json!({ "AliasName": "alias/old", "TargetKeyId": key }),
        ),
        (
            "CreateGrant",
            json!({ "KeyId": key, "GranteePrincipal": grantee(), "Operations": ["Decrypt"] }),
        ),
        ("EnableKeyRotation", json!({ "KeyId": key })),
        (
            "ScheduleKeyDeletion",
            json!({ "KeyId": doomed, "PendingWindowInDays": 7 }),
        ),
        (
            "ReplicateKey",
            json!({ "KeyId": multi_region, "ReplicaRegion": ELSEWHERE }),
        ),
    ] {
        client.call(operation, input).await.ok();
    }
    enclave.stop().await.unwrap();
    [key, doomed, multi_region]
}

/// Calls that take a key which is still sealed, or all keys.
fn refused_meanwhile(
    [key, doomed, multi_region]: &[String; 3],
    new: &str,
) -> Vec<(&'static str, Value)> {
    vec![
        ("DescribeKey", json!({ "KeyId": key })),
        ("DescribeKey", json!({ "KeyId": "alias/old" })),
        (
            "GenerateDataKey",
            json!({ "KeyId": key, "KeySpec": "AES_256" }),
        ),
        ("DisableKey", json!({ "KeyId": key })),
        ("ScheduleKeyDeletion", json!({ "KeyId": key })),
        ("CancelKeyDeletion", json!({ "KeyId": doomed })),
        (
            "PutKeyPolicy",
            json!({ "KeyId": key, "PolicyName": "default", "Policy": policy() }),
        ),
        (
            "TagResource",
            json!({ "KeyId": key, "Tags": [{ "TagKey": "a", "TagValue": "b" }] }),
        ),
        ("UntagResource", json!({ "KeyId": key, "TagKeys": ["old"] })),
        (
            "CreateAlias",
            json!({ "AliasName": "alias/more", "TargetKeyId": key }),
        ),
        (
            "UpdateAlias",
            json!({ "AliasName": "alias/old", "TargetKeyId": new }),
        ),
        ("DeleteAlias", json!({ "AliasName": "alias/old" })),
        (
            "CreateGrant",
            json!({ "KeyId": key, "GranteePrincipal": grantee(), "Operations": ["Encrypt"] }),
        ),
        ("ListGrants", json!({ "KeyId": key })),
        ("RotateKeyOnDemand", json!({ "KeyId": key })),
        ("DisableKeyRotation", json!({ "KeyId": key })),
        (
            "UpdatePrimaryRegion",
            json!({ "KeyId": multi_region, "PrimaryRegion": ELSEWHERE }),
        ),
        (
            "ReplicateKey",
            json!({ "KeyId": multi_region, "ReplicaRegion": "ap-south-1" }),
        ),
        ("ListKeys", json!({})),
        // Nobody knows that there is no such key.
        (
            "DescribeKey",
            json!({ "KeyId": "00000000-0000-4000-8000-000000000000" }),
        ),
    ]
}

/// What is done to a key that is open, because it was made meanwhile.
fn done_meanwhile(new: &str) -> Vec<(&'static str, Value)> {
    vec![
        (
            "PutKeyPolicy",
            json!({ "KeyId": new, "PolicyName": "default", "Policy": policy() }),
        ),
        (
            "TagResource",
            json!({ "KeyId": new, "Tags": [{ "TagKey": "new", "TagValue": "1" }] }),
        ),
        (
            "CreateAlias",
            json!({ "AliasName": "alias/new", "TargetKeyId": new }),
        ),
        (
            "CreateAlias",
            json!({ "AliasName": "alias/newer", "TargetKeyId": new }),
        ),
        ("DeleteAlias", json!({ "AliasName": "alias/newer" })),
        (
            "CreateGrant",
            json!({ "KeyId": new, "GranteePrincipal": grantee(), "Operations": ["Encrypt"] }),
        ),
        ("EnableKeyRotation", json!({ "KeyId": new })),
        ("RotateKeyOnDemand", json!({ "KeyId": new })),
        ("ScheduleKeyDeletion", json!({ "KeyId": new })),
        ("CancelKeyDeletion", json!({ "KeyId": new })),
    ]
}

#[test]
fn what_is_done_to_open_keys_while_others_are_sealed_stays() {
    with_one_slow_thread(async {
        let place = Place::new();
        let host = place.host().await;
        let old = make_old_keys(&place).await;
        let mut before = Vec::new();
        {
            let enclave = place.start().await;
            let mut client = enclave.http1().await;
            for key in &old {
                before.push(told(&mut client, key).await);
            }
            enclave.stop().await.unwrap();
        }

        let (enclave, held) = start_sealed(&place, &host).await;
        let mut client = enclave.http1().await;
        assert_eq!(sealed_keys(&mut client).await, 4);
        let new = made(&mut client, json!({})).await;
        for (operation, input) in done_meanwhile(&new) {
            client.call(operation, input).await.ok();
        }
        let commits = host.memory().commits.len();
        for (operation, input) in refused_meanwhile(&old, &new) {
            let answer = client.call(operation, input).await;
            assert_eq!(
                answer.status,
                StatusCode::INTERNAL_SERVER_ERROR,
                "{operation}"
            );
            assert_eq!(answer.error(), "KMSInternalException", "{operation}");
        }
        assert_eq!(
            host.memory().commits.len(),
            commits,
            "nothing of it was begun"
        );
        let aliases = client.call("ListAliases", json!({})).await.ok();
        assert_eq!(aliases["Aliases"].as_array().unwrap().len(), 2);
        let meanwhile = told(&mut client, &new).await;
        assert_eq!(sealed_keys(&mut client).await, 4);

        release(held, &mut client).await;
        for (key, before) in old.iter().zip(&before) {
            assert_eq!(&told(&mut client, key).await, before);
        }
        assert_eq!(told(&mut client, &new).await, meanwhile);
        // What was refused can be done now.
        let input = json!({ "AliasName": "alias/old", "TargetKeyId": new });
        client.call("UpdateAlias", input).await.ok();
        let input = json!({ "KeyId": old[2], "PrimaryRegion": ELSEWHERE });
        client.call("UpdatePrimaryRegion", input).await.ok();
        client
            .call("DisableKey", json!({ "KeyId": old[0] }))
            .await
            .ok();
        let mut all = Vec::new();
        for key in old.iter().chain([&new]) {
            all.push(told(&mut client, key).await);
        }
        let ids = key_ids(&mut client).await;
        assert_eq!(ids.len(), 4);
        enclave.stop().await.unwrap();

        // Whoever reads the store finds the same, whichever way it is opened.
        let (enclave, held) = start_sealed(&place, &host).await;
        let mut client = enclave.http1().await;
        release(held, &mut client).await;
        for (key, expected) in old.iter().chain([&new]).zip(&all) {
            assert_eq!(&told(&mut client, key).await, expected);
        }
        assert_eq!(key_ids(&mut client).await, ids);
        enclave.stop().await.unwrap();
        let enclave = place.start().await;
        assert_eq!(key_ids(&mut enclave.http1().await).await, ids);
    });
}

/// A shutdown is no matter of keys that are still sealed, or in work; and they are what they were.
#[test]
fn the_end_does_not_wait_for_keys_to_be_open() {
    with_one_slow_thread(async {
        let place = Place::new();
        let host = place.host().await;
        let [key, ..] = make_old_keys(&place).await;
        let records = |memory: &Memory| memory.records.clone();
        let (enclave, held) = start_sealed(&place, &host).await;
        let mut client = enclave.http1().await;
        assert_eq!(sealed_keys(&mut client).await, 4);
        let before = records(&host.memory());
        let new = made(&mut client, json!({})).await;
        let events = host.memory().lines.len();
        // A call that is in work is answered, and what it changed is durable.
        host.memory().commit_time = Duration::from_millis(300);
        let tags = json!({ "KeyId": new, "Tags": [{ "TagKey": "last", "TagValue": "word" }] });
        let last = tokio::spawn(async move { client.call("TagResource", tags).await });
        sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        enclave.stop().await.unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
        last.await.unwrap().ok();
        host.memory().commit_time = Duration::ZERO;
        assert!(
            host.memory().lines.len() > events,
            "its event is with the host"
        );
        // No record of a key that was sealed is another one.
        let after = records(&host.memory());
        let changed = before
            .iter()
            .filter(|(id, record)| after.get(id) != Some(record));
        assert_eq!(changed.count(), 0);
        drop(held);

        let enclave = place.start().await;
        let mut client = enclave.http1().await;
        assert_eq!(key_ids(&mut client).await.len(), 4);
        client
            .call(
                "GenerateDataKey",
                json!({ "KeyId": key, "KeySpec": "AES_256" }),
            )
            .await
            .ok();
        let tags = client
            .call("ListResourceTags", json!({ "KeyId": new }))
            .await
            .ok();
        assert_eq!(tags["Tags"][0]["TagKey"], "last");
    });
}
