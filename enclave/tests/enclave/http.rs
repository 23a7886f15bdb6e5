//! HTTP/1.1 and HTTP/2 in clear: whatever a client sends, it gets an answer.

use std::time::Duration;

use crate::support::client::{exchange, signed, signed_bytes};
use crate::support::{Client, Enclave, Place};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

/// An enclave that loses patience soon, and its host.
async fn impatient(place: &Place) -> Enclave {
    let mut settings = place.settings();
    settings["limits"]["header_milliseconds"] = json!(300);
    settings["limits"]["body_milliseconds"] = json!(300);
    settings["limits"]["idle_milliseconds"] = json!(2000);
    place.start_with(settings).await
}

/// The status and the `__type` of a raw answer.
fn status_and_error(answer: &str) -> (&str, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).unwrap_or("none");
    let error = serde_json::from_str::<Value>(body)
        .ok()
        .and_then(|body| Some(body["__type"].as_str()?.to_owned()));
    (status, error.unwrap_or_default())
}

#[tokio::test]
async fn both_versions_answer_calls_one_after_the_other_on_one_connection() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    for mut client in [enclave.http1().await, enclave.http2().await] {
        let mut request_ids = Vec::new();
        for _ in 0..10 {
            let answer = client
                .call("GenerateRandom", json!({"NumberOfBytes": 32}))
                .await;
            assert!(answer.ok()["Plaintext"].is_string());
            let headers = &answer.headers;
            assert_eq!(headers["content-type"], "application/x-amz-json-1.1");
            assert_eq!(headers["content-length"], answer.body.len().to_string());
            assert_eq!(headers.get_all("date").iter().count(), 1);
            let date = httpdate::parse_http_date(headers["date"].to_str().unwrap()).unwrap();
            assert!(date.elapsed().unwrap() < Duration::from_secs(60));
            request_ids.push(headers["x-amzn-requestid"].clone());
            // Their memory is that of the request's headers, of which none may be left.
            assert_eq!(headers.len(), 4, "{headers:?}");
        }
        request_ids.sort();
        request_ids.dedup();
        assert_eq!(request_ids.len(), 10, "each answer has its own request id");
    }
}

#[tokio::test]
async fn an_operation_without_output_answers_an_empty_body() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    for mut client in [enclave.http1().await, enclave.http2().await] {
        let key = client.call("CreateKey", json!({})).await.ok();
        let key_id = &key["KeyMetadata"]["KeyId"];
        let answer = client.call("DisableKey", json!({ "KeyId": key_id })).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-length"], "0");
        assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.1");
        assert!(answer.body.is_empty());
    }
}

#[tokio::test]
async fn a_head_request_gets_the_head_alone() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    for mut client in [enclave.http1().await, enclave.http2().await] {
        let mut lengths = Vec::new();
        for method in ["GET", "HEAD", "GET"] {
            let request = Request::builder()
                .method(method)
                .uri("http://kms.test/nothing")
                .header("host", "kms.test")
                .body(Full::default())
                .unwrap();
            let answer = client.send(request).await;
            assert_eq!(answer.body.is_empty(), method == "HEAD");
            lengths.push(answer.headers["content-length"].clone());
        }
        assert_ne!(lengths[0], "0");
        assert!(lengths.iter().all(|length| *length == lengths[0]));
    }
}

#[tokio::test]
async fn many_streams_of_one_connection_are_served_at_once() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    let Client::Http2(sender) = enclave.http2().await else {
        unreachable!("asked for HTTP/2")
    };
    let calls: Vec<_> = (0..300)
        .map(|_| {
            let mut client = Client::Http2(sender.clone());
            tokio::spawn(async move {
                let call = client.call("GenerateRandom", json!({"NumberOfBytes": 8}));
                call.await.ok();
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_call_gets_an_answer_of_4xx() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    for mut client in [enclave.http1().await, enclave.http2().await] {
        for (method, path) in [
            ("GET", "/"),
            ("POST", "/"),
            ("GET", "/health/"),
            ("POST", "/health"),
            ("PUT", "/"),
            ("DELETE", "/x"),
            ("OPTIONS", "/"),
            ("TRACE", "/"),
            ("PROPFIND", "/"),
            ("GET", "/?Action=ListKeys&Version=2014-11-01"),
        ] {
            let request = Request::builder()
                .method(method)
                .uri(format!("http://kms.test{path}"))
                .header("host", "kms.test")
                .body(Full::from("{}"))
                .unwrap();
            let answer = client.send(request).await;
            assert!(
                answer.status.is_client_error(),
                "{method} {path} {answer:?}"
            );
            assert!(answer.headers.contains_key("x-amzn-requestid"));
            assert!(answer.error().ends_with("Exception"));
        }
        let unknown = client.call("StealKeys", json!({})).await;
        assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
        assert_eq!(unknown.error(), "UnknownOperationException");
    }
}

#[tokio::test]
async fn malformed_http_is_answered_with_400() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    for bytes in [
        "NONSENSE\r\n\r\n",
        "POST\r\n\r\n",
        "POST / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nno colon\r\n\r\n",
        "POST / HTTP/1.1\r\nspace before : colon\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: abc\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nXYZ\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
    ] {
        let answer = exchange(&enclave.address, bytes.as_bytes()).await;
        assert_eq!(status_and_error(&answer).0, "400", "{bytes:?}: {answer}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    let large = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nlarge: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(100_000));
    for (bytes, statuses) in [
        (large, ["431", "431"]),
        (many, ["431", "431"]),
        (long, ["431", "414"]),
    ] {
        let answer = exchange(&enclave.address, bytes.as_bytes()).await;
        let (status, _) = status_and_error(&answer);
        assert!(statuses.contains(&status), "{}: {answer}", &bytes[..40]);
    }
    let mut client = enclave.http2().await;
    let request = Request::get("http://kms.test/")
        .header("large", "x".repeat(100_000))
        .body(Full::default())
        .unwrap();
    // The stream is refused, not the connection.
    if let Ok(answer) = client.try_send(request).await {
        assert_eq!(answer.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    client.call("ListKeys", json!({})).await.ok();
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_with_413() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    for mut client in [enclave.http1().await, enclave.http2().await] {
        for size in [1024 * 1024 + 1, 8 * 1024 * 1024] {
            let answer = client.send(signed("Encrypt", vec![b'x'; size])).await;
            assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{size}");
            assert!(answer.headers.contains_key("x-amzn-requestid"));
            assert!(answer.error().ends_with("Exception"));
        }
        // The connection is good for more: the body was read to its end.
        client.call("ListKeys", json!({})).await.ok();
        let limit = client
            .send(signed("Encrypt", vec![b'x'; 1024 * 1024]))
            .await;
        assert_eq!(
            limit.status,
            StatusCode::BAD_REQUEST,
            "not JSON, but not too large"
        );
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut_off_with_an_answer() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    let mut bytes = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n".to_vec();
    bytes.resize(20 * 1024 * 1024, b'x');
    let answer = exchange(&enclave.address, &bytes).await;
    assert_eq!(status_and_error(&answer).0, "413", "{answer}");
}

#[tokio::test]
async fn chunked_bodies_are_read() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    let body = r#"{"NumberOfBytes":16}"#;
    let mut bytes = signed_bytes(
        "GenerateRandom",
        body,
        "connection: close\r\ntransfer-encoding: chunked\r\n",
    );
    let (first, second) = body.split_at(7);
    for part in [first, second, ""] {
        bytes.extend_from_slice(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes());
    }
    let answer = exchange(&enclave.address, &bytes).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn permission_to_send_is_given_or_refused() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    let body = r#"{"NumberOfBytes":16}"#;
    let more = format!("expect: 100-continue\r\ncontent-length: {}\r\n", body.len());
    let head = signed_bytes("GenerateRandom", body, &more);
    let mut stream = link::connect(&enclave.address).await.unwrap();
    stream.write_all(&head).await.unwrap();
    let mut permission = [0; 25];
    stream.read_exact(&mut permission).await.unwrap();
    assert_eq!(&permission, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");

    let too_large =
        "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2000000\r\n\r\n";
    let answer = exchange(&enclave.address, too_large.as_bytes()).await;
    assert_eq!(status_and_error(&answer).0, "413", "{answer}");
}

#[tokio::test]
async fn a_client_may_close_its_half_after_sending() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    let body = "{}";
    let mut bytes = signed_bytes("CreateKey", body, "content-length: 2\r\n");
    bytes.extend_from_slice(body.as_bytes());
    let mut stream = link::connect(&enclave.address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    let mut stream = link::connect(&enclave.address).await.unwrap();
    stream.write_all(b"POST / HT").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn slow_clients_lose_their_connection_with_an_answer() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = impatient(&place).await;

    // A head of one byte at a time.
    let mut stream = link::connect(&enclave.address).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let dribble = tokio::spawn(async move {
        for byte in "POST / HTTP/1.1\r\n".bytes().chain(std::iter::repeat(b'a')) {
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = String::new();
    let end = timeout(crate::support::LONG, read.read_to_string(&mut answer)).await;
    end.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    dribble.abort();

    // A body that stops.
    stream = link::connect(&enclave.address).await.unwrap();
    let head = signed_bytes("ListKeys", "{}", "content-length: 2\r\n");
    stream.write_all(&head).await.unwrap();
    stream.write_all(b"{").await.unwrap();
    let mut answer = String::new();
    let end = timeout(crate::support::LONG, stream.read_to_string(&mut answer)).await;
    end.unwrap().unwrap();
    assert_eq!(status_and_error(&answer).0, "400", "{answer}");
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_time_but_not_the_idle_time() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = impatient(&place).await;
    for http2 in [false, true] {
        let mut client = match http2 {
            false => enclave.http1().await,
            true => enclave.http2().await,
        };
        client.call("ListKeys", json!({})).await.ok();
        sleep(Duration::from_millis(800)).await;
        client.call("ListKeys", json!({})).await.ok();
        let began = Instant::now();
        loop {
            let closed = match &mut client {
                Client::Http1(sender) => sender.is_closed(),
                Client::Http2(sender) => sender.is_closed(),
            };
            if closed {
                break;
            }
            assert!(began.elapsed() < crate::support::LONG, "never closed");
            sleep(Duration::from_millis(20)).await;
        }
        assert!(
            began.elapsed() > Duration::from_millis(1500),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    let mut bytes = Vec::new();
    for size in [1, 2, 3] {
        let body = json!({ "NumberOfBytes": size }).to_string();
        let close = if size == 3 {
            "connection: close\r\n"
        } else {
            ""
        };
        let more = format!("content-length: {}\r\n{close}", body.len());
        bytes.extend_from_slice(&signed_bytes("GenerateRandom", &body, &more));
        bytes.extend_from_slice(body.as_bytes());
    }
    let answers = exchange(&enclave.address, &bytes).await;
    let lengths: Vec<_> = answers
        .split("\"Plaintext\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().trim_end_matches('=').len())
        .collect();
    assert_eq!(lengths, [2, 3, 4], "{answers}");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let place = Place::new();
    let _host = place.host().await;
    let mut settings = place.settings();
    settings["limits"]["connections"] = json!(2);
    let enclave = place.start_with(settings).await;
    let mut first = enclave.http1().await;
    first.call("ListKeys", json!({})).await.ok();
    let mut second = enclave.http1().await;
    second.call("ListKeys", json!({})).await.ok();
    let mut third = enclave.http1().await;
    let mut waiting = tokio::spawn(async move { third.call("ListKeys", json!({})).await });
    assert!(
        timeout(Duration::from_millis(200), &mut waiting)
            .await
            .is_err()
    );
    drop(first);
    waiting.await.unwrap().ok();
}

#[tokio::test]
async fn an_attestation_document_of_full_size_is_read_and_refused() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    let document = "A".repeat(349_524);
    for mut client in [enclave.http1().await, enclave.http2().await] {
        let answer = client
            .call(
                "GenerateRandom",
                json!({
                    "NumberOfBytes": 32,
                    "Recipient": {
                        "AttestationDocument": document,
                        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
                    },
                }),
            )
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.error(), "ValidationException");
    }
}

#[tokio::test]
async fn health_is_told_to_everybody() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    for mut client in [enclave.http1().await, enclave.http2().await] {
        let health = client.health().await;
        assert_eq!(health["status"], "ok");
        assert_eq!(health["attestation"], "simulated");
        assert_eq!(health["trust"]["simulated"], true);
        assert_eq!(health["store"], "connected");
        let head = Request::head("http://kms.test/health").header("host", "x");
        let answer = client
            .send(head.body(Full::<Bytes>::default()).unwrap())
            .await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    }
}

#[tokio::test]
async fn a_damaged_request_is_answered_whatever_the_damage() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = impatient(&place).await;
    let body = json!({ "NumberOfBytes": 32 }).to_string();
    let more = format!("connection: close\r\ncontent-length: {}\r\n", body.len());
    let mut valid = signed_bytes("GenerateRandom", &body, &more);
    valid.extend_from_slice(body.as_bytes());
    // A fixed sequence (Knuth's generator), so that a failure repeats.
    let mut number = 1_u64;
    let mut below = |limit: usize| {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(number >> 33).unwrap() % limit
    };
    let mut statuses = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..600 {
        let mut bytes = valid.clone();
        match below(4) {
            0 => bytes.truncate(1 + below(valid.len() - 1)),
            1 => drop(bytes.remove(below(valid.len()))),
            2 => bytes.insert(below(valid.len()), u8::try_from(below(256)).unwrap()),
            _ => bytes[below(valid.len())] = u8::try_from(below(256)).unwrap(),
        }
        let mut stream = link::connect(&enclave.address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(crate::support::LONG, stream.read_to_end(&mut answer)).await;
        read.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let (status, _) = status_and_error(&answer);
        assert!(
            ["200", "400", "408", "413", "431"].contains(&status),
            "{answer:?} to {:?}",
            String::from_utf8_lossy(&bytes)
        );
        *statuses.entry(status.to_owned()).or_default() += 1;
    }
    assert!(statuses["400"] > 300, "{statuses:?}");
}
