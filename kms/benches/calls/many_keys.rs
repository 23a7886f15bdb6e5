//! What a call costs for one of many keys, which are in no cache, beside one of a few.

use std::hint::black_box;
use std::time::{Duration, Instant};

use attestation::rand_core::Rng as _;
use kms::name::{KeyId, Region};
use kms::state::{Batch, Change, Key};
use serde_json::json;

use crate::server::{ACCOUNT, REGION, START};
use crate::world::{CheapRandom, Request, World};

/// Keys that are asked for again and again.
const FEW: usize = 10;

/// Different requests of each kind, so that a request itself is as far away in both.
const REQUESTS: usize = 16_384;

/// Keys in a transaction.
const GROUP: usize = 1000;

/// Calls of a turn, and turns.
const CALLS: usize = 512;
const TURNS: usize = REQUESTS / CALLS;

/// Bytes of other memory that is written between two calls: what else goes through a processor's
/// caches while a server answers.
const ELSE: usize = 1 << 20;

/// Adds so many keys to the world, and measures calls for all and for a few of them in turns.
///
/// # Errors
///
/// When there are fewer keys than a few.
pub(crate) fn show(world: &mut World, keys: usize) -> Result<(), String> {
    if keys < FEW {
        return Err(format!("--keys wants {FEW} or more"));
    }
    let ids = add(world, keys);
    println!(
        "{:<28} {:>10} {:>14} {:>9}",
        format!("of {keys} keys"),
        "one of all",
        format!("one of {FEW}"),
        "ratio"
    );
    let mut other = vec![0; ELSE];
    for operation in ["DescribeKey", "GenerateDataKey"] {
        let requests = [keys, FEW].map(|among| requests(world, operation, &ids, among));
        let mut spent = [Duration::ZERO; 2];
        for turn in 0..TURNS {
            for (requests, spent) in requests.iter().zip(&mut spent) {
                for request in requests.iter().skip(turn * CALLS).take(CALLS) {
                    *spent += call(world, request, &mut other);
                }
            }
        }
        let [many, few] = spent.map(|spent| spent.as_secs_f64() * 1e6 / REQUESTS as f64);
        println!(
            "{operation:<28} {many:>7.2} µs {few:>11.2} µs {:>7.2} x",
            many / few
        );
    }
    Ok(())
}

/// Adds keys to the world's state, as calls would.
fn add(world: &mut World, keys: usize) -> Vec<KeyId> {
    let mut random = CheapRandom(3);
    let account = ACCOUNT.parse().unwrap();
    let region: Region = REGION.parse().unwrap();
    let ids = (0..keys).map(|_| {
        let mut id = [0; 16];
        random.fill_bytes(&mut id);
        KeyId::new(id, false)
    });
    let ids: Vec<KeyId> = ids.collect();
    for group in ids.chunks(GROUP) {
        let key = |id: &KeyId| Key::generate(account, region.clone(), *id, START, &mut random);
        let mut batch = Batch::new(world.server.state.clone());
        batch.push(group.iter().map(key).map(Change::PutKey).collect());
        (world.server.state, _) = batch.seal(&mut random);
    }
    ids
}

/// Requests for keys among the first so many, in no order.
fn requests(world: &World, operation: &str, ids: &[KeyId], among: usize) -> Vec<Request> {
    let mut random = CheapRandom(4);
    let requests = (0..REQUESTS).map(|_| {
        let id = ids.get(random.next_u64() as usize % among).unwrap();
        let mut input = json!({ "KeyId": id.to_string() });
        if operation == "GenerateDataKey" {
            input["KeySpec"] = "AES_256".into();
        }
        world.request(operation, &input)
    });
    requests.collect()
}

/// Makes a call after other memory was written; gives the time of the call alone.
fn call(world: &World, request: &Request, other: &mut [u8]) -> Duration {
    other.fill(black_box(1));
    black_box(&other);
    let begun = Instant::now();
    let answer = world.answer(request);
    let spent = begun.elapsed();
    drop(black_box(answer));
    spent
}
