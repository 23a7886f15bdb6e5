//! Measures what many keys cost: to commit, to open again, in memory, and to find.
//!
//! ```sh
//! cargo run --release -p claviger-kms --example store_size -- KEYS [ALIASES]
//! ```

#[path = "../src/test_random.rs"]
mod test_random;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use kms::Timestamp;
use kms::name::{AccountId, AliasName, KeyId, Region};
use kms::state::{Alias, Batch, Change, Key, Opening, RecordId, RootKey, State, Transaction};
use rand_core::Rng;
use test_random::TestRandom;

/// Calls that share one transaction.
const GROUP: usize = 1000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(flag), Some(path)) if flag == "--open" => measure_opening(Path::new(&path)),
        (keys, aliases) => {
            let keys = keys.map_or(Ok(100_000), |count| count.parse())?;
            let aliases = aliases.map_or(Ok(0), |count| count.parse())?;
            let path = std::env::temp_dir().join(format!("store_size-{}", std::process::id()));
            measure_committing(keys, aliases)?.write(&path)?;
            // In a process of its own, so that memory freed here is not counted.
            let status = Command::new(std::env::current_exe()?)
                .arg("--open")
                .arg(&path)
                .status();
            std::fs::remove_file(&path)?;
            if status?.success() {
                Ok(())
            } else {
                Err("opening failed".into())
            }
        }
    }
}

fn measure_committing(keys: usize, aliases: usize) -> Result<Store, Failure> {
    let mut random = TestRandom::new(1);
    let root_key = RootKey::from_bytes(&ROOT_KEY);
    let mut store = Store::default();
    let (mut state, transaction) = State::genesis(&root_key, &mut random, NOW);
    store.commit(transaction);
    let mut usage = Usage::start()?;
    for first in (0..keys).step_by(GROUP) {
        let mut batch = Batch::new(state);
        for number in first..keys.min(first + GROUP) {
            batch.push(new_key(number, number < aliases, &mut random)?);
        }
        let transaction;
        (state, transaction) = batch.seal(&mut random);
        store.commit(transaction);
    }
    usage.report(&format!("commit, {GROUP} keys at a time"), keys)?;
    let sealed: usize = store.records.values().map(Vec::len).sum();
    println!(
        "store: {} records, {} bytes each",
        store.records.len(),
        sealed / store.records.len()
    );
    Ok(store)
}

fn measure_opening(path: &Path) -> Result<(), Failure> {
    let mut usage = Usage::start()?;
    let mut file = BufReader::new(File::open(path)?);
    let mut opening = Opening::new(&RootKey::from_bytes(&ROOT_KEY), &read_bytes(&mut file)?)?;
    while !file.fill_buf()?.is_empty() {
        let mut id = [0; RecordId::LEN];
        file.read_exact(&mut id)?;
        let id = RecordId::from_slice(&id).ok_or("an id has 32 bytes")?;
        opening.record(id, &read_bytes(&mut file)?)?;
    }
    let state = opening.finish()?;
    let (account, region) = ("123456789012".parse()?, "us-east-1".parse()?);
    let keys = state.keys_after(account, &region, None)?;
    let ids: Vec<KeyId> = keys.map(|key| key.id()).collect();
    usage.report("open", ids.len())?;
    measure_finding(&state, account, &region, ids)
}

/// What a call has to do with the state: find a key, and read its ARN, state and material.
fn measure_finding(
    state: &State,
    account: AccountId,
    region: &Region,
    mut ids: Vec<KeyId>,
) -> Result<(), Failure> {
    const FINDS: usize = 200_000;
    let mut random = TestRandom::new(2);
    for place in (1..ids.len()).rev() {
        let other = random.next_u64() as usize % (place + 1);
        ids.swap(place, other);
    }
    let few = ids.len().min(10);
    let mut spent = [0.0; 2];
    // In turns, in short ones, so that whatever else the machine does slows both down.
    for turn in 0..FINDS / 1000 {
        for (many, spent) in [false, true].into_iter().zip(&mut spent) {
            let before = Usage::start()?.cpu_seconds;
            for number in turn * 1000..(turn + 1) * 1000 {
                let place = number % if many { ids.len() } else { few };
                let key = ids
                    .get(place)
                    .and_then(|id| state.key(account, region, *id).ok()?);
                let key = key.ok_or("a key is missing")?;
                let backing = key.current().ok_or("a key has no material")?;
                let read = (
                    key.arn().len(),
                    key.state,
                    backing.material().expose().first(),
                );
                std::hint::black_box((read, key.arn().bytes().last(), key.last_usage.get()));
            }
            *spent += Usage::start()?.cpu_seconds - before;
        }
    }
    let [few, many] = spent.map(|spent| spent * 1e9 / FINDS as f64);
    println!("find one of 10 keys again and again: {few:.0} ns; one of all: {many:.0} ns");
    Ok(())
}

const ROOT_KEY: [u8; 32] = [7; 32];
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn new_key(
    number: usize,
    with_alias: bool,
    random: &mut TestRandom,
) -> Result<Vec<Change>, Failure> {
    let mut id = [0; 16];
    random.fill_bytes(&mut id);
    let id = KeyId::new(id, false);
    let (account, region) = ("123456789012".parse()?, "us-east-1".parse()?);
    let alias = Alias {
        account,
        region,
        name: AliasName::parse(&format!("alias/key-number-{number}"))?,
        target: id,
        created: NOW,
        updated: NOW,
    };
    let key = Key::generate(account, alias.region.clone(), id, NOW, random);
    let mut changes = vec![Change::PutKey(key)];
    changes.extend(with_alias.then_some(Change::PutAlias(alias)));
    Ok(changes)
}

/// A store in memory, as the host keeps one on disk.
#[derive(Default)]
struct Store {
    head: Vec<u8>,
    records: BTreeMap<RecordId, Vec<u8>>,
}

impl Store {
    fn commit(&mut self, transaction: Transaction) {
        for id in &transaction.deletes {
            self.records.remove(id);
        }
        self.records.extend(transaction.puts);
        self.head = transaction.head;
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        write_bytes(&mut file, &self.head)?;
        for (id, record) in &self.records {
            file.write_all(id.as_bytes())?;
            write_bytes(&mut file, record)?;
        }
        file.flush()
    }
}

fn write_bytes(file: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    file.write_all(&(bytes.len() as u64).to_le_bytes())?;
    file.write_all(bytes)
}

fn read_bytes(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut len = [0; 8];
    file.read_exact(&mut len)?;
    let mut bytes = vec![0; u64::from_le_bytes(len) as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// What this process has used (Linux).
struct Usage {
    wall: Instant,
    cpu_seconds: f64,
    resident: usize,
}

impl Usage {
    fn start() -> Result<Self, Failure> {
        let schedule = std::fs::read_to_string("/proc/self/schedstat")?;
        let cpu: f64 = schedule.split(' ').next().unwrap_or_default().parse()?;
        let memory = std::fs::read_to_string("/proc/self/statm")?;
        let pages: usize = memory.split(' ').nth(1).unwrap_or_default().parse()?;
        Ok(Self {
            wall: Instant::now(),
            cpu_seconds: cpu / 1e9,
            resident: pages * 4096,
        })
    }

    fn report(&mut self, what: &str, keys: usize) -> Result<(), Failure> {
        let now = Self::start()?;
        let cpu = now.cpu_seconds - self.cpu_seconds;
        println!(
            "{what}: {keys} keys in {:.2} s ({cpu:.2} s of CPU, {:.1} us per key), {} bytes of memory per key",
            self.wall.elapsed().as_secs_f64(),
            cpu * 1e6 / keys as f64,
            now.resident.saturating_sub(self.resident) / keys,
        );
        *self = now;
        Ok(())
    }
}
