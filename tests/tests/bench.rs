//! `claviger bench`: its results are complete and agree with themselves. Nothing here says how fast
//! anything is.

use std::path::Path;
use std::process::{Command, Output};

use claviger_tests::process::Dev;
use serde_json::Value;

/// A run as short as can be.
fn bench(arguments: &[&str], json: &Path) -> Output {
    Command::new(claviger_tests::claviger())
        .args(["bench", "--rounds", "1", "--seconds", "0.05"])
        .args(["--connections", "2", "--json"])
        .arg(json)
        .args(arguments)
        .output()
        .expect("claviger starts")
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn assert_close(one: f64, other: f64) {
    assert!(
        (one - other).abs() <= one.abs() * 1e-6,
        "{one} is not {other}"
    );
}

/// Checks a file of results; gives the names of the scenarios in it.
fn check(json: &Path) -> Vec<String> {
    let text = std::fs::read(json).expect("the results");
    let results: Value = serde_json::from_slice(&text).expect("JSON");
    let measurements = results["measurements"].as_array().expect("measurements");
    let mut requests = 0;
    for measurement in measurements {
        for side in ["claviger", "bare"] {
            check_side(&measurement[side]);
        }
        let side = &measurement["claviger"];
        for count in [&side["requests"], &side["latency"]["requests"]] {
            requests += count.as_u64().expect("a count");
        }
        let (claviger, bare) = (&measurement["claviger"], &measurement["bare"]);
        let enclave = number(&claviger["processor_us"]["enclave"]);
        let floor = number(&bare["processor_us"]["enclave"]);
        let cryptography = number(&measurement["cryptography_us"]);
        assert!(enclave > 0.0 && floor > 0.0 && cryptography > 0.0);
        let ratios = &measurement["ratios"];
        assert_close(
            number(&ratios["processor_of_floor"]),
            enclave / (floor + cryptography),
        );
        assert_close(
            number(&ratios["throughput_of_bare"]),
            number(&claviger["requests_per_second"]) / number(&bare["requests_per_second"]),
        );
    }
    // What the generator says it sent is what the enclave says it answered.
    let servers = results["servers"].as_array().expect("servers");
    assert_eq!(servers.len(), 1);
    let made = servers[0]["calls_made"].as_u64().expect("a count");
    assert_eq!(servers[0]["calls_counted"].as_u64(), Some(made));
    assert!(requests > 0 && made > requests, "{made} of {requests}");
    for process in ["enclave", "host_proxy"] {
        let memory = &servers[0][process];
        assert!(number(&memory["peak_kib"]) >= number(&memory["now_kib"]));
        assert!(number(&memory["now_kib"]) > 1024.0);
    }
    measurements
        .iter()
        .filter_map(|measurement| Some(measurement["scenario"].as_str()?.to_owned()))
        .collect()
}

fn check_side(side: &Value) {
    let requests = number(&side["requests"]);
    assert!(requests > 0.0);
    assert_eq!(side["failed"], 0);
    assert_close(
        number(&side["requests_per_second"]),
        requests / number(&side["seconds"]),
    );
    let latency = &side["latency"];
    assert_eq!(latency["failed"], 0);
    let ordered = ["p50_us", "p99_us", "p999_us", "max_us"].map(|name| number(&latency[name]));
    assert!(ordered[0] > 0.0 && ordered.is_sorted(), "{ordered:?}");
    let curve = latency["curve"].as_array().expect("a curve");
    assert!(curve.is_sorted_by(|one, other| number(&one[1]) <= number(&other[1])));
}

#[test]
fn results_are_complete_and_agree_with_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("results.json");
    let output = bench(&["--quick"], &json);
    assert!(output.status.success(), "{output:?}");
    let measured = check(&json);
    let table = String::from_utf8_lossy(&output.stdout);
    for scenario in &measured {
        assert!(table.contains(scenario), "{scenario} is not in:\n{table}");
    }
    assert!(measured.len() >= 6, "{measured:?}");
}

#[test]
fn two_runs_are_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second] = ["first.json", "second.json"].map(|name| folder.path().join(name));
    let arguments = ["--tls", "--only", "decrypt"];
    assert!(bench(&arguments, &first).status.success());
    let against = first.to_string_lossy();
    let arguments = [
        &arguments[..],
        &["--only", "sign-p256", "--against", &against],
    ]
    .concat();
    let output = bench(&arguments, &second);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(check(&second), ["decrypt", "sign-p256"]);
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(
        table.contains("Not in the earlier run: sign-p256, TLS"),
        "{table}"
    );
    assert!(table.contains("against the earlier run"), "{table}");
}

#[test]
fn another_server_takes_turns() {
    let other = Dev::start(&[]);
    let caller = other.caller();
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("results.json");
    let peer = format!("other=http://{}", caller.authority);
    let output = Command::new(claviger_tests::claviger())
        .args(["bench", "--rounds", "1", "--seconds", "0.05", "--json"])
        .arg(&json)
        .args(["--peer", &peer])
        .env("AWS_ACCESS_KEY_ID", &caller.access_key)
        .env("AWS_SECRET_ACCESS_KEY", &caller.secret_key)
        .output()
        .expect("claviger starts");
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read(&json).expect("the results");
    let results: Value = serde_json::from_slice(&text).expect("JSON");
    let compared = results["peers"].as_array().expect("peers");
    let scenarios = compared.iter().map(|one| one["scenario"].as_str());
    let expected = [Some("generate-data-key"), Some("decrypt")];
    assert_eq!(scenarios.collect::<Vec<_>>(), expected);
    for one in compared {
        let each = ["claviger", "answers"].map(|side| number(&one[side]["requests_per_second"]));
        assert!(each[0] > 0.0 && each[1] > 0.0, "{one}");
        assert_close(number(&one["ratio"]), each[0] / each[1]);
    }
}

#[test]
fn keys_are_there_when_the_load_begins_and_more_are_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("results.json");
    let only = ["--only", "describe-key", "--only", "create-key"];
    let output = bench(&[&["--keys", "12000"], &only[..]].concat(), &json);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(check(&json), ["describe-key", "create-key"]);
}

#[test]
fn what_is_no_result_is_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let earlier = folder.path().join("earlier.json");
    std::fs::write(&earlier, "{}").expect("a file");
    let against = earlier.to_string_lossy();
    let output = bench(&["--against", &against], &folder.path().join("none"));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("earlier.json: missing field"));
    assert!(!folder.path().join("none").exists());
}
