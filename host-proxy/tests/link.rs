//! The link as the enclave sees it: records, audit events, public files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use link::{
    Channel, EventReply, HostEvent, Metric, Numbered, PublicFile, Record, Sample, StoreReply,
    StoreRequest,
};
use support::{Host, Link, audit, commit, id};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn records_are_committed_compared_and_read() {
    let host = Host::start().await;
    let mut store = Link::open(&host.host(), Channel::Store).await;
    let head = store.store(StoreRequest::Head).await;
    assert_eq!(head, StoreReply::Head { head: None });

    let first = commit(None, b"head 1", (b"a", b"1"));
    assert_eq!(store.store(first.clone()).await, StoreReply::Committed);
    let conflict = StoreReply::Conflict {
        head: Some(b"head 1".to_vec()),
    };
    assert_eq!(store.store(first).await, conflict);
    let second = commit(Some(b"head 1"), b"head 2", (b"b", b"2"));
    assert_eq!(store.store(second).await, StoreReply::Committed);

    let record = |name: &[u8], content: &[u8]| Record {
        id: id(name),
        bytes: content.to_vec(),
    };
    let scan = StoreRequest::Scan {
        after: None,
        limit: 1,
    };
    let page = StoreReply::Records {
        records: vec![record(b"a", b"1")],
        more: true,
    };
    assert_eq!(store.store(scan).await, page);
    let get = StoreRequest::Get {
        ids: vec![id(b"c"), id(b"b")],
    };
    let found = StoreReply::Records {
        records: vec![record(b"b", b"2")],
        more: false,
    };
    assert_eq!(store.store(get).await, found);
    assert_eq!(host.metric("claviger_store_commits_total").await, 2);
    assert_eq!(host.metric("claviger_store_conflicts_total").await, 1);
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let host = Host::start().await;
    let mut store = Link::open(&host.host(), Channel::Store).await;
    let first = commit(None, b"head 1", (b"a", b"1"));
    assert_eq!(store.store(first).await, StoreReply::Committed);
    drop(store);
    let folder = host.stop().await;
    let data = folder.path().join("data");
    let host = Host::start_with(|options| options.data = data).await;
    let mut store = Link::open(&host.host(), Channel::Store).await;
    let head = store.store(StoreRequest::Head).await;
    let wanted = Some(b"head 1".to_vec());
    assert_eq!(head, StoreReply::Head { head: wanted });
}

#[tokio::test]
async fn of_connections_that_commit_on_one_head_one_wins() {
    let host = Host::start().await;
    let mut tasks = Vec::new();
    for n in 0..4_u8 {
        let mut store = Link::open(&host.host(), Channel::Store).await;
        tasks.push(tokio::spawn(async move {
            store.store(commit(None, &[n], (&[n + 1], b"x"))).await
        }));
    }
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            StoreReply::Committed => won += 1,
            StoreReply::Conflict { head: Some(_) } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn many_requests_may_be_under_way_and_are_answered_in_order() {
    let host = Host::start().await;
    let (mut reader, mut writer) = link::open(&host.host(), Channel::Store).await.unwrap();
    for number in 0..100 {
        let body = StoreRequest::Head;
        writer.send(&Numbered { number, body }).await.unwrap();
    }
    for wanted in 0..100 {
        let reply: Numbered<StoreReply> = reader.receive().await.unwrap().unwrap();
        assert_eq!(reply.number, wanted);
    }
}

#[tokio::test]
async fn garbage_ends_the_connection_and_nothing_else() {
    let host = Host::start().await;
    let mut stray = link::connect(&host.host()).await.unwrap();
    stray.write_all(&[0xff; 100]).await.unwrap();
    host.until_metric("claviger_link_errors_total", 1).await;
    let mut store = Link::open(&host.host(), Channel::Store).await;
    let head = store.store(StoreRequest::Head).await;
    assert_eq!(head, StoreReply::Head { head: None });
}

#[tokio::test]
async fn audit_lines_are_in_the_file_once_acknowledged() {
    let host = Host::start().await;
    let mut events = Link::open(&host.host(), Channel::Events).await;
    let lines = ["{\"n\":1}", "{\"n\":2}"].into_iter().collect();
    let done = events.event(HostEvent::Audit { lines }).await;
    assert_eq!(done, EventReply::Done);
    let path = host.data().join("audit/events.jsonl");
    assert_eq!(fs::read_to_string(path).unwrap(), "{\"n\":1}\n{\"n\":2}\n");
    assert_eq!(host.metric("claviger_audit_events_total").await, 2);
}

#[tokio::test]
async fn more_events_than_may_be_under_way_all_arrive_in_order() {
    let host = Host::start().await;
    let mut events = Link::open(&host.host(), Channel::Events).await;
    for n in 0..300 {
        events.send(audit(n.to_string())).await;
    }
    let mut done = Vec::new();
    for _ in 0..300 {
        let (number, reply) = events.answer().await;
        assert_eq!(reply, EventReply::Done);
        done.push(number);
    }
    done.sort_unstable();
    assert_eq!(done, (0..300).collect::<Vec<_>>());
    let text = fs::read_to_string(host.data().join("audit/events.jsonl")).unwrap();
    let numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_line_that_would_forge_another_is_refused() {
    let host = Host::start().await;
    let mut events = Link::open(&host.host(), Channel::Events).await;
    let forged = events.event(audit("{}\n{\"forged\":true}")).await;
    assert!(matches!(forged, EventReply::Refused { .. }), "{forged:?}");
    let path = host.data().join("audit/events.jsonl");
    assert_eq!(fs::read_to_string(path).unwrap(), "");
}

#[tokio::test]
async fn a_full_disk_is_reported_and_the_events_are_written_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let current = data.join("audit/events.jsonl");
    fs::create_dir_all(data.join("audit")).unwrap();
    symlink("/dev/full", &current).unwrap();
    let host = Host::start_with(|options| options.data = data).await;
    let mut events = Link::open(&host.host(), Channel::Events).await;
    let number = events.send(audit("1")).await;
    let (answered, delayed) = events.answer().await;
    assert_eq!(answered, number);
    assert!(
        matches!(&delayed, EventReply::Delayed { what } if what.contains("space")),
        "{delayed:?}"
    );
    assert_eq!(host.metric("claviger_audit_failing").await, 1);
    let (_, report) = support::ask(host.admin, "GET /healthz").await;
    assert!(
        report.contains("audit events cannot be written"),
        "{report}"
    );

    // Other events pass, those of the trail wait.
    let samples = vec![Sample::new(Metric::Calls, 1)];
    let done = events.event(HostEvent::Metrics { samples }).await;
    assert_eq!(done, EventReply::Done);
    fs::remove_file(&current).unwrap();
    assert_eq!(events.answer().await, (number, EventReply::Done));
    assert_eq!(fs::read_to_string(&current).unwrap(), "1\n");
    host.until_metric("claviger_audit_failing", 0).await;
    assert_eq!(host.metric("claviger_audit_events_total").await, 1);
}

#[tokio::test]
async fn events_sent_while_the_host_stops_are_written() {
    let host = Host::start().await;
    let mut events = Link::open(&host.host(), Channel::Events).await;
    let enclave = async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(events.event(audit("last")).await, EventReply::Done);
    };
    let (folder, ()) = tokio::join!(host.stop(), enclave);
    let text = fs::read_to_string(folder.path().join("data/audit/events.jsonl")).unwrap();
    assert_eq!(text, "last\n");
}

#[tokio::test]
async fn the_enclave_publishes_its_certificate_and_its_metrics() {
    let host = Host::start().await;
    let mut events = Link::open(&host.host(), Channel::Events).await;
    let publish = HostEvent::Publish {
        file: PublicFile::CaCertificate,
        bytes: b"-----BEGIN CERTIFICATE-----".to_vec(),
    };
    assert_eq!(events.event(publish).await, EventReply::Done);
    let published = fs::read(host.data().join("ca.pem")).unwrap();
    assert_eq!(published, b"-----BEGIN CERTIFICATE-----");

    let samples = vec![Sample::new(Metric::Calls, 41), Sample::new(Metric::Keys, 3)];
    let done = events.event(HostEvent::Metrics { samples }).await;
    assert_eq!(done, EventReply::Done);
    assert_eq!(host.metric("claviger_enclave_calls_total").await, 41);
    assert_eq!(host.metric("claviger_enclave_keys").await, 3);
}

#[tokio::test]
async fn an_enclave_that_reconnects_on_a_full_disk_does_not_use_up_the_links() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let current = data.join("audit/events.jsonl");
    fs::create_dir_all(data.join("audit")).unwrap();
    symlink("/dev/full", &current).unwrap();
    let host = Host::start_with(|options| options.data = data).await;
    let mut first = Link::open(&host.host(), Channel::Events).await;
    first.send(audit("0")).await;
    let (_, delayed) = first.answer().await;
    assert!(matches!(delayed, EventReply::Delayed { .. }), "{delayed:?}");

    // More connections than may be open, each leaving an event that waits
    // behind the first one.
    for n in 1..12 {
        let mut events = Link::open(&host.host(), Channel::Events).await;
        events.send(audit(n.to_string())).await;
    }
    fs::remove_file(&current).unwrap();
    host.until_metric("claviger_audit_events_total", 12).await;
    let text = fs::read_to_string(&current).unwrap();
    let mut numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..12).collect::<Vec<_>>());
}
