//! What is acknowledged is durable, and a store that is not ours is noticed.

use std::collections::HashSet;
use std::time::Duration;

use crate::support::host::Memory;
use crate::support::{Client, Enclave, Fault, LONG, Place, REGION, eventually};
use enclave::EnclaveError;
use http::StatusCode;
use link::RecordId;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Creates a key and returns its id.
async fn create_key(client: &mut Client) -> String {
    let made = client.call("CreateKey", json!({})).await.ok();
    made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
}

async fn key_ids(enclave: &Enclave) -> HashSet<String> {
    let listed = enclave
        .http1()
        .await
        .call("ListKeys", json!({"Limit": 1000}))
        .await
        .ok();
    let keys = listed["Keys"].as_array().unwrap().iter();
    keys.map(|key| key["KeyId"].as_str().unwrap().to_owned())
        .collect()
}

/// Settings with which writes give up soon.
fn hasty(place: &Place) -> Value {
    let mut settings = place.settings();
    settings["limits"]["commit_milliseconds"] = json!(300);
    settings["limits"]["shutdown_milliseconds"] = json!(500);
    settings
}

#[tokio::test]
async fn state_survives_restarts_and_crashes() {
    let place = Place::new();
    let host = place.host().await;
    let mut made = HashSet::new();
    for crash in [false, true, true, false] {
        let enclave = place.start().await;
        assert_eq!(key_ids(&enclave).await, made);
        let mut client = enclave.http2().await;
        for _ in 0..5 {
            made.insert(create_key(&mut client).await);
        }
        if crash {
            enclave.crash().await;
        } else {
            enclave.stop().await.unwrap();
        }
    }
    // Genesis, the time of the first start, the seed, and one for each key: a seed that is applied
    // changes nothing.
    assert_eq!(host.memory().commits.len(), 3 + made.len());
}

#[tokio::test]
async fn waiting_calls_share_a_commit() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start().await;
    let before = host.memory().commits.len();
    host.memory().commit_time = Duration::from_millis(50);
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let address = enclave.address.clone();
            tokio::spawn(async move { create_key(&mut Client::http1(&address).await).await })
        })
        .collect();
    let mut made = HashSet::new();
    for call in calls {
        made.insert(call.await.unwrap());
    }
    assert_eq!(made.len(), 100);
    let commits = host.memory().commits.len() - before;
    assert!(commits <= 20, "{commits} commits for 100 keys");
    assert_eq!(key_ids(&enclave).await, made);
    enclave.crash().await;
    assert_eq!(key_ids(&place.start().await).await, made);
}

#[tokio::test]
async fn calls_of_one_commit_see_each_other() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start().await;
    let key_id = create_key(&mut enclave.http1().await).await;
    host.memory().commit_time = Duration::from_millis(100);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let address = enclave.address.clone();
            let alias = json!({ "AliasName": "alias/one", "TargetKeyId": key_id });
            tokio::spawn(async move {
                let mut client = Client::http1(&address).await;
                client.call("CreateAlias", alias).await
            })
        })
        .collect();
    let mut made = 0;
    for call in calls {
        let answer = call.await.unwrap();
        if answer.status == StatusCode::OK {
            made += 1;
        } else {
            assert_eq!(answer.error(), "AlreadyExistsException");
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_resolved() {
    for faults in [
        vec![Fault::CutAfter],
        vec![Fault::CutBefore],
        vec![Fault::Fail],
        vec![
            Fault::CutBefore,
            Fault::Fail,
            Fault::CutBefore,
            Fault::CutAfter,
        ],
    ] {
        let place = Place::new();
        let host = place.host().await;
        let enclave = place.start().await;
        let before = host.memory().commits.len();
        host.memory().faults.extend(&faults);
        let key_id = create_key(&mut enclave.http1().await).await;
        assert_eq!(host.memory().commits.len(), before + 1, "{faults:?}");
        assert!(host.memory().faults.is_empty());
        assert_eq!(key_ids(&enclave).await, HashSet::from([key_id.clone()]));
        enclave.crash().await;
        assert_eq!(key_ids(&place.start().await).await, HashSet::from([key_id]));
    }
}

#[tokio::test]
async fn while_the_store_is_away_reads_go_on_and_writes_fail_in_time() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start_with(hasty(&place)).await;
    let mut client = enclave.http1().await;
    let key_id = create_key(&mut client).await;
    host.memory().store_away = true;

    let began = Instant::now();
    let answer = client.call("CreateKey", json!({})).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.error(), "DependencyTimeoutException");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let data_key = json!({ "KeyId": key_id, "KeySpec": "AES_256" });
    client.call("GenerateDataKey", data_key).await.ok();
    assert_eq!(client.health().await["store"], "away");
    // What fails by itself fails as ever.
    let missing = client
        .call("DisableKey", json!({ "KeyId": "nonsense" }))
        .await;
    assert_eq!(missing.error(), "NotFoundException");

    host.memory().store_away = false;
    let mut last = Value::Null;
    let began = Instant::now();
    while last != "connected" {
        assert!(began.elapsed() < crate::support::LONG);
        sleep(Duration::from_millis(20)).await;
        last = client.health().await["store"].clone();
    }
    let after = create_key(&mut client).await;
    // The call that was answered with an error had been sealed already: its outcome was unknown,
    // and it came to be. Those that waited behind it were never begun.
    let keys = key_ids(&enclave).await;
    assert!(keys.contains(&key_id) && keys.contains(&after));
    assert_eq!(keys.len(), 3);
    enclave.crash().await;
    assert_eq!(key_ids(&place.start().await).await, keys);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_its_change() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start().await;
    host.memory().commit_time = Duration::from_millis(200);
    for mut client in [enclave.http1().await, enclave.http2().await] {
        let before = host.memory().commits.len();
        let call = tokio::spawn(async move {
            client.call("CreateKey", json!({})).await;
        });
        sleep(Duration::from_millis(100)).await;
        call.abort();
        eventually("the commit", || host.memory().commits.len() == before + 1).await;
    }
    host.memory().commit_time = Duration::ZERO;
    assert_eq!(key_ids(&enclave).await.len(), 2);
}

#[tokio::test]
async fn another_head_in_the_store_stops_the_enclave() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start().await;
    host.memory().faults.push_back(Fault::OtherHead);
    let mut client = enclave.http1().await;
    let call = tokio::spawn(async move {
        // The connection is cut, or the call fails: in no case does it succeed.
        let request = crate::support::client::signed("CreateKey", "{}");
        if let Ok(answer) = client.try_send(request).await {
            assert!(answer.status.is_server_error(), "{answer:?}");
        }
    });
    let address = enclave.address.clone();
    let ended = enclave.ended().await;
    assert!(matches!(ended, Err(EnclaveError::Fenced)), "{ended:?}");
    call.await.unwrap();
    assert!(
        Client::try_http1(&address).await.is_none(),
        "still listening"
    );
}

#[tokio::test]
async fn a_second_enclave_on_the_same_store_fences_the_first() {
    let place = Place::new();
    let _host = place.host().await;
    let first = place.start().await;
    let mut settings = place.settings();
    settings["listen"] = json!(place.socket("second.sock"));
    let second = place.start_with(settings).await;
    create_key(&mut second.http1().await).await;
    let mut client = first.http1().await;
    client.call("ListKeys", json!({})).await.ok();
    let call = crate::support::client::signed("CreateKey", "{}");
    let _ = client.try_send(call).await;
    assert!(matches!(first.ended().await, Err(EnclaveError::Fenced)));
    create_key(&mut second.http1().await).await;
}

#[tokio::test]
async fn an_enclave_that_was_replaced_does_not_go_on_reading() {
    let place = Place::new();
    let _host = place.host().await;
    let first = place.start().await;
    let mut settings = place.settings();
    settings["listen"] = json!(place.socket("second.sock"));
    let second = place.start_with(settings).await;
    create_key(&mut second.http1().await).await;
    // Nobody has asked it to write anything.
    assert!(matches!(first.ended().await, Err(EnclaveError::Fenced)));
}

/// Starts an enclave that has to refuse, and returns why.
async fn refusal(place: &Place) -> EnclaveError {
    Enclave::spawn(place.settings()).ended().await.unwrap_err()
}

#[tokio::test]
async fn a_lost_store_is_not_taken_for_a_new_one() {
    let place = Place::new();
    let host = place.host().await;
    place.start().await.stop().await.unwrap();
    *host.memory() = Default::default();
    let error = refusal(&place).await;
    assert!(matches!(error, EnclaveError::StoreLost { .. }), "{error}");
    assert!(error.to_string().contains("remove the root key's file"));

    std::fs::remove_file(place.path().join("root-key.json")).unwrap();
    place.start().await;
}

#[tokio::test]
async fn a_store_without_its_root_key_is_refused() {
    let place = Place::new();
    let _host = place.host().await;
    place.start().await.stop().await.unwrap();
    let root_key = place.path().join("root-key.json");
    let text = std::fs::read_to_string(&root_key).unwrap();
    std::fs::remove_file(&root_key).unwrap();
    let error = refusal(&place).await;
    assert!(
        matches!(error, EnclaveError::RootKeyMissing { .. }),
        "{error}"
    );
    assert!(!root_key.exists(), "no other key is made in its place");

    let other = text.replace(['0', '1', '2'], "3");
    std::fs::write(&root_key, other).unwrap();
    let error = refusal(&place).await;
    assert!(matches!(error, EnclaveError::State(_)), "{error}");
    assert!(error.to_string().contains("root key"), "{error}");

    std::fs::write(&root_key, text).unwrap();
    place.start().await;
}

#[tokio::test]
async fn a_store_that_was_tampered_with_is_refused() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start().await;
    create_key(&mut enclave.http1().await).await;
    enclave.stop().await.unwrap();
    let (head, records) = {
        let memory = host.memory();
        (memory.head.clone(), memory.records.clone())
    };
    type Tampering = fn(&mut Memory);
    let tampered: [(&str, Tampering); 4] = [
        ("missing", |memory| {
            memory.records.pop_last();
        }),
        ("altered", |memory| {
            let mut record = memory.records.last_entry().unwrap();
            *record.get_mut().last_mut().unwrap() ^= 1;
        }),
        ("head", |memory| memory.head.as_mut().unwrap()[30] ^= 1),
        ("no head", |memory| memory.head = None),
    ];
    for (what, tamper) in tampered {
        tamper(&mut host.memory());
        let error = refusal(&place).await;
        let expected = matches!(
            (what, &error),
            ("no head", EnclaveError::HeadMissing) | (_, EnclaveError::State(_))
        );
        assert!(expected, "{what}: {error}");
        let mut memory = host.memory();
        memory.head.clone_from(&head);
        memory.records.clone_from(&records);
    }
    place.start().await;
}

/// The id of one of many keys.
fn id(number: u32) -> String {
    format!("5eed0000-0000-4000-8000-{number:012x}")
}

/// More keys than are opened before an enclave serves.
const MANY: u32 = 20_000;

/// Starts an enclave that makes many keys, and ends it.
async fn make_many_keys(place: &Place) {
    let keys = (0..MANY).map(|number| json!({ "key_id": id(number), "region": REGION }));
    let mut settings = place.settings();
    settings["seed"]["keys"] = keys.collect();
    let enclave = place.start_with(settings).await;
    enclave.stop().await.unwrap();
}

/// Calls again until all keys that it takes are open.
async fn call_again(client: &mut Client, operation: &str, input: Value) -> Value {
    let began = Instant::now();
    loop {
        let answer = client.call(operation, input.clone()).await;
        if answer.status == StatusCode::OK {
            return answer.ok();
        }
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.error(), "KMSInternalException");
        assert!(began.elapsed() < LONG, "the key is never open");
        sleep(Duration::from_millis(1)).await;
    }
}

async fn sealed_keys(client: &mut Client) -> u64 {
    client.health().await["state"]["sealed_keys"]
        .as_u64()
        .unwrap()
}

#[tokio::test]
async fn among_many_pages_of_records_every_one_counts() {
    let place = Place::new();
    let host = place.host().await;
    make_many_keys(&place).await;
    let before = host.memory().records.clone();

    let enclave = place.start().await;
    let mut client = enclave.http1().await;
    for number in [0, MANY / 2, MANY - 1] {
        let input = json!({ "KeyId": id(number) });
        let described = call_again(&mut client, "DescribeKey", input).await;
        assert_eq!(described["KeyMetadata"]["KeyId"], id(number));
    }
    let input = json!({ "KeyId": id(MANY / 2) });
    call_again(&mut client, "DisableKey", input).await;
    enclave.stop().await.unwrap();

    // By itself the older record, in which the key is enabled, is as good as the newer one.
    let records = host.memory().records.clone();
    let changed: Vec<_> = records
        .iter()
        .filter(|(id, record)| before.get(id) != Some(record))
        .map(|(id, _)| id.clone())
        .collect();
    let [changed] = changed.as_slice() else {
        panic!("{} records changed", changed.len());
    };
    let older = before[changed].clone();
    host.memory().records.insert(changed.clone(), older);
    let error = refusal(&place).await;
    assert!(error.to_string().contains("older version"), "{error}");
    host.memory().records = records;
    place.start().await;
}

/// While keys are being opened, calls change others; and the enclave ends, in one way or the other,
/// before or after all are open.
#[tokio::test]
async fn what_is_changed_while_keys_are_opened_is_durable() {
    let place = Place::new();
    let _host = place.host().await;
    make_many_keys(&place).await;
    let mut made = HashSet::new();
    for (waits, crashes) in [(false, true), (false, false), (true, true), (true, false)] {
        let enclave = place.start().await;
        let mut client = enclave.http1().await;
        for _ in 0..3 {
            let id = create_key(&mut client).await;
            let input = json!({ "KeyId": id });
            client.call("DescribeKey", input).await.ok();
            made.insert(id);
        }
        while waits && sealed_keys(&mut client).await > 0 {
            let answer = client.call("DescribeKey", json!({ "KeyId": id(0) })).await;
            let is_right = match answer.status {
                StatusCode::OK => true,
                _ => answer.error() == "KMSInternalException",
            };
            assert!(is_right, "{answer:?}");
        }
        if crashes {
            enclave.crash().await;
        } else {
            enclave.stop().await.unwrap();
        }
    }

    let enclave = place.start().await;
    let mut client = enclave.http1().await;
    let mut listed = HashSet::new();
    let mut input = json!({ "Limit": 1000 });
    loop {
        let page = call_again(&mut client, "ListKeys", input.clone()).await;
        let keys = page["Keys"].as_array().unwrap().iter();
        listed.extend(keys.map(|key| key["KeyId"].as_str().unwrap().to_owned()));
        if page["Truncated"] == false {
            break;
        }
        input["Marker"] = page["NextMarker"].clone();
    }
    assert_eq!(sealed_keys(&mut client).await, 0);
    made.extend((0..MANY).map(id));
    assert_eq!(listed, made);
}

#[tokio::test]
async fn a_host_that_repeats_what_the_head_does_not_count_holds_up_nothing() {
    let place = Place::new();
    let host = place.host().await;
    place.start().await.stop().await.unwrap();
    // Where a quorum's record would be.
    let id = RecordId::new(&[0xff; 32]).unwrap();
    host.memory().records.insert(id.clone(), vec![1]);
    host.memory().repeated = Some(id);
    place.start().await;
}

#[tokio::test]
async fn the_host_proxy_may_come_later() {
    let place = Place::new();
    let enclave = Enclave::spawn(place.settings());
    sleep(Duration::from_millis(200)).await;
    let _host = place.host().await;
    eventually("the enclave's socket", || {
        place.path().join("enclave.sock").exists()
    })
    .await;
    create_key(&mut enclave.http1().await).await;
}

#[tokio::test]
async fn an_enclave_that_waits_for_its_host_can_be_stopped() {
    let place = Place::new();
    let enclave = Enclave::spawn(place.settings());
    sleep(Duration::from_millis(100)).await;
    enclave.stop().await.unwrap();
}
