//! Every call becomes one event with the host, or is counted as lost.

use std::collections::HashSet;
use std::time::Duration;

use crate::support::{Host, LONG, Place, eventually};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// The events the host has, those of the enclave's own start included.
fn events(host: &Host) -> Vec<Value> {
    let memory = host.memory();
    let lines = memory.lines.iter();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn count(host: &Host, name: &str) -> usize {
    let events = events(host);
    events
        .iter()
        .filter(|event| event["eventName"] == name)
        .count()
}

#[tokio::test]
async fn each_call_is_one_event_whatever_its_answer() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start().await;
    let mut client = enclave.http1().await;
    let mut request_ids = HashSet::new();
    for (operation, body) in [
        ("CreateKey", json!({})),
        ("ListKeys", json!({})),
        ("DescribeKey", json!({ "KeyId": "nonsense" })),
        ("GenerateRandom", json!({ "NumberOfBytes": 0 })),
        (
            "GenerateDataKeyPair",
            json!({ "KeyId": "nonsense", "KeyPairSpec": "RSA_2048" }),
        ),
    ] {
        let answer = client.call(operation, body).await;
        request_ids.insert(
            answer.headers["x-amzn-requestid"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
    }
    let large = crate::support::client::signed("Encrypt", vec![b'x'; 2 * 1024 * 1024]);
    let answer = client.send(large).await;
    request_ids.insert(
        answer.headers["x-amzn-requestid"]
            .to_str()
            .unwrap()
            .to_owned(),
    );

    eventually("six events", || host.memory().lines.len() >= 6).await;
    let recorded: HashSet<_> = events(&host)
        .iter()
        .map(|event| event["requestID"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(recorded, request_ids);
    assert_eq!(host.memory().lines.len(), 6);
}

#[tokio::test]
async fn what_a_host_does_not_take_is_counted_and_told() {
    let place = Place::new();
    let host = place.host().await;
    let mut settings = place.settings();
    settings["limits"]["audit_queue"] = json!(8);
    let enclave = place.start_with(settings).await;
    host.memory().events_away = true;
    let mut client = enclave.http2().await;
    let mut calls = 0;
    // The hot path does not wait: with nobody to take events, calls are answered as ever.
    while client.health().await["audit"]["lost"] == 0 {
        timeout(LONG, client.call("ListKeys", json!({})))
            .await
            .unwrap()
            .ok();
        calls += 1;
        assert!(calls < 1_000_000);
    }
    host.memory().events_away = false;
    eventually("the event about lost ones", || {
        count(&host, "AuditEventsLost") > 0
    })
    .await;
    let told: u64 = events(&host)
        .iter()
        .filter_map(|event| event["additionalEventData"]["lost"].as_u64())
        .sum();
    let lost = client.health().await["audit"]["lost"].as_u64().unwrap();
    assert_eq!(told, lost);
    eventually("all others", || {
        count(&host, "ListKeys") as u64 == calls - lost
    })
    .await;

    // The numbers of those that are missing are missing too, and no others.
    let events = events(&host);
    let of = |event: &Value, name: &str| event["additionalEventData"][name].clone();
    let numbers: HashSet<u64> = events
        .iter()
        .map(|event| of(event, "enclaveEventNumber").as_u64().unwrap())
        .collect();
    let boots: HashSet<_> = events
        .iter()
        .map(|event| of(event, "enclaveBootId").to_string())
        .collect();
    assert_eq!((numbers.len(), boots.len()), (events.len(), 1));
    let last = numbers.iter().max().unwrap();
    assert_eq!(last - numbers.len() as u64, lost);
}

#[tokio::test]
async fn events_survive_a_broken_connection() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start().await;
    let mut client = enclave.http1().await;
    client.call("ListKeys", json!({})).await.ok();
    eventually("the first event", || count(&host, "ListKeys") == 1).await;
    drop(host);
    sleep(Duration::from_millis(100)).await;
    for _ in 0..10 {
        client.call("ListAliases", json!({})).await.ok();
    }
    let host = place.host().await;
    // At least once: what the old host had taken without saying so may come again.
    eventually("the events", || count(&host, "ListAliases") >= 10).await;
    let ids: HashSet<_> = events(&host)
        .iter()
        .filter(|event| event["eventName"] == "ListAliases")
        .map(|event| event["eventID"].to_string())
        .collect();
    assert_eq!(ids.len(), 10);
}

#[tokio::test]
async fn shutting_down_hands_over_what_is_left() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start().await;
    let mut client = enclave.http2().await;
    host.memory().events_away = true;
    for _ in 0..500 {
        client.call("ListKeys", json!({})).await.ok();
    }
    let stopping = tokio::spawn(enclave.stop());
    sleep(Duration::from_millis(200)).await;
    host.memory().events_away = false;
    stopping.await.unwrap().unwrap();
    assert_eq!(count(&host, "ListKeys"), 500);
}

#[tokio::test]
async fn a_host_that_takes_no_events_does_not_hold_up_the_end() {
    let place = Place::new();
    let host = place.host().await;
    let mut settings = place.settings();
    settings["limits"]["shutdown_milliseconds"] = json!(300);
    let enclave = place.start_with(settings).await;
    host.memory().events_away = true;
    enclave.http1().await.call("ListKeys", json!({})).await.ok();
    timeout(Duration::from_secs(10), enclave.stop())
        .await
        .unwrap()
        .unwrap();
}
