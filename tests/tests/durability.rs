//! Acknowledged means durable: enclave and host proxy are killed at random
//! moments, hundreds of times, while clients create keys and aliases, change
//! them, and ask for data keys. Whatever got an answer must be there at the end.
//!
//! `CLAVIGER_KILLS` sets how many kills, `CLAVIGER_SEED` repeats a run's choices.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use claviger_tests::call::{Caller, Connection};
use claviger_tests::process::{Pair, Side};
use serde_json::{Value, json};

const KILLS: u64 = 300;
const CLIENTS: u64 = 4;
/// Kills stop here even if not all were done: the suite has a time budget.
const BUDGET: Duration = Duration::from_secs(90);
/// How long the pair may take to serve again after a kill.
const RECOVERY: Duration = Duration::from_secs(30);

#[test]
fn acknowledged_survives_any_kill() {
    let wanted = number("CLAVIGER_KILLS").unwrap_or(KILLS);
    let seed = number("CLAVIGER_SEED").unwrap_or_else(from_the_clock);
    println!("CLAVIGER_KILLS={wanted} CLAVIGER_SEED={seed}");

    let mut pair = Pair::start();
    let caller = pair.caller();
    let stop = AtomicBool::new(false);
    let answers = AtomicU64::new(0);

    let (kills, clients) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (caller, stop, answers) = (&caller, &stop, &answers);
                scope.spawn(move || Client::new(number, seed, caller).work(stop, answers))
            })
            .collect();
        // A panic here must stop the clients too, or the scope would wait for ever.
        let kills = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            kill_again_and_again(&mut pair, &answers, wanted, Random(seed))
        }));
        stop.store(true, Ordering::Relaxed);
        let clients: Vec<Client> = clients
            .into_iter()
            .map(|client| client.join().expect("a client"))
            .collect();
        (
            kills.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            clients,
        )
    });
    pair.revive();
    wait_until_it_serves(&caller);

    let (mut keys, mut aliases, mut data_keys) = (0, 0, 0);
    let listed = list_aliases(&caller);
    for client in &clients {
        client.verify(&caller, &listed);
        keys += client.keys.len();
        aliases += client.aliases.len();
        data_keys += client.data_keys.len();
    }
    println!(
        "{kills} kills; {keys} keys, {aliases} aliases and {data_keys} data keys were acknowledged and are there"
    );
    assert!(
        kills >= wanted.min(100),
        "only {kills} kills fitted in {BUDGET:?}"
    );
    assert!(
        keys > 0 && aliases > 0 && data_keys > 0,
        "the clients got nothing done"
    );
    for side in [Side::Enclave, Side::Host] {
        assert!(
            !pair.log(side).contains("panicked"),
            "{side:?} panicked:\n{}",
            pair.log(side)
        );
    }
}

fn kill_again_and_again(
    pair: &mut Pair,
    answers: &AtomicU64,
    wanted: u64,
    mut random: Random,
) -> u64 {
    let started = Instant::now();
    let mut kills = 0;
    while kills < wanted && started.elapsed() < BUDGET {
        if random.one_in(5) {
            // In the middle of starting, connecting, recovering.
            std::thread::sleep(Duration::from_millis(random.below(60)));
        } else {
            let before = answers.load(Ordering::Relaxed);
            let waiting = Instant::now();
            while answers.load(Ordering::Relaxed) == before {
                pair.revive();
                assert!(
                    waiting.elapsed() < RECOVERY,
                    "no answer {RECOVERY:?} after kill {kills}\nenclave:\n{}\nhost:\n{}",
                    last_lines(&pair.log(Side::Enclave)),
                    last_lines(&pair.log(Side::Host))
                );
                std::thread::sleep(Duration::from_millis(2));
            }
            std::thread::sleep(Duration::from_millis(random.below(40)));
        }
        match random.below(5) {
            0 | 1 => pair.kill(Side::Enclave),
            2 | 3 => pair.kill(Side::Host),
            _ => {
                pair.kill(Side::Enclave);
                pair.kill(Side::Host);
            }
        }
        kills += 1;
        pair.revive();
    }
    kills
}

/// One client and what it knows: only what was acknowledged, and for a change
/// without an answer, both outcomes.
struct Client {
    number: u64,
    random: Random,
    caller: Caller,
    connection: Option<Connection>,
    keys: BTreeMap<String, Possible<bool>>,
    aliases: BTreeMap<String, Possible<Option<String>>>,
    data_keys: Vec<DataKey>,
    named: u64,
}

/// Every state that a thing may be in. A thing with two is not changed again:
/// the change without an answer may still be on its way.
type Possible<T> = BTreeSet<T>;

struct DataKey {
    key: String,
    blob: Value,
    plaintext: Value,
    context: Value,
}

impl Client {
    fn new(number: u64, seed: u64, caller: &Caller) -> Self {
        Self {
            number,
            random: Random(seed ^ (number + 1).wrapping_mul(0x9e37_79b9)),
            caller: caller.clone(),
            connection: None,
            keys: BTreeMap::new(),
            aliases: BTreeMap::new(),
            data_keys: Vec::new(),
            named: 0,
        }
    }

    fn work(mut self, stop: &AtomicBool, answers: &AtomicU64) -> Self {
        while !stop.load(Ordering::Relaxed) {
            let answered = match self.random.below(10) {
                _ if self.keys.is_empty() => self.create_key(),
                0 => self.create_key(),
                1 => self.create_alias(),
                2 => self.move_alias(),
                3 => self.switch_key(),
                4 => self.decrypt(),
                _ => self.generate_data_key(),
            };
            if answered {
                answers.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self
    }

    fn create_key(&mut self) -> bool {
        let Some(answer) = self.call("CreateKey", &json!({})) else {
            return false;
        };
        let key = text(&answer["KeyMetadata"]["KeyId"]);
        self.keys.insert(key, [true].into());
        true
    }

    fn create_alias(&mut self) -> bool {
        let key = self.any_key();
        self.named += 1;
        let name = format!("alias/client-{}/{}", self.number, self.named);
        let answer = self.call(
            "CreateAlias",
            &json!({ "AliasName": name, "TargetKeyId": key }),
        );
        let possible = if answer.is_some() {
            [Some(key)].into()
        } else {
            [None, Some(key)].into()
        };
        self.aliases.insert(name, possible);
        answer.is_some()
    }

    /// UpdateAlias or DeleteAlias.
    fn move_alias(&mut self) -> bool {
        let settled: Vec<&String> = self
            .aliases
            .iter()
            .filter(|(_, at)| at.len() == 1 && !at.contains(&None))
            .map(|(name, _)| name)
            .collect();
        let Some(name) = self.random.pick(&settled).map(|name| (*name).clone()) else {
            return self.create_alias();
        };
        let (answer, after) = if self.random.one_in(3) {
            (
                self.call("DeleteAlias", &json!({ "AliasName": name })),
                None,
            )
        } else {
            let key = self.any_key();
            (
                self.call(
                    "UpdateAlias",
                    &json!({ "AliasName": name, "TargetKeyId": key }),
                ),
                Some(key),
            )
        };
        settle(
            self.aliases.get_mut(&name).expect("an alias of ours"),
            after,
            answer.is_some(),
        );
        answer.is_some()
    }

    /// DisableKey or EnableKey.
    fn switch_key(&mut self) -> bool {
        let settled: Vec<&String> = self
            .keys
            .iter()
            .filter(|(_, on)| on.len() == 1)
            .map(|(key, _)| key)
            .collect();
        let Some(key) = self.random.pick(&settled).map(|key| (*key).clone()) else {
            return self.create_key();
        };
        let enable = self.keys[&key].contains(&false);
        let answer = self.call(
            if enable { "EnableKey" } else { "DisableKey" },
            &json!({ "KeyId": key }),
        );
        settle(
            self.keys.get_mut(&key).expect("a key of ours"),
            enable,
            answer.is_some(),
        );
        answer.is_some()
    }

    fn generate_data_key(&mut self) -> bool {
        let key = self.any_key();
        let context = json!({ "client": self.number.to_string(), "number": self.data_keys.len().to_string() });
        let request = json!({ "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context });
        let may_be_disabled = self.keys[&key].contains(&false);
        let Some(answer) = self.call_unless("GenerateDataKey", &request, may_be_disabled) else {
            return false;
        };
        if !answer["Plaintext"].is_null() {
            let (blob, plaintext) = (
                answer["CiphertextBlob"].clone(),
                answer["Plaintext"].clone(),
            );
            self.data_keys.push(DataKey {
                key,
                blob,
                plaintext,
                context,
            });
        }
        true
    }

    fn decrypt(&mut self) -> bool {
        if self.data_keys.is_empty() {
            return self.generate_data_key();
        }
        let at = self.random.below(self.data_keys.len() as u64) as usize;
        let data_key = &self.data_keys[at];
        let request =
            json!({ "CiphertextBlob": data_key.blob, "EncryptionContext": data_key.context });
        let may_be_disabled = self.keys[&data_key.key].contains(&false);
        let plaintext = data_key.plaintext.clone();
        let Some(answer) = self.call_unless("Decrypt", &request, may_be_disabled) else {
            return false;
        };
        assert!(
            answer["__type"].is_string() || answer["Plaintext"] == plaintext,
            "another plaintext"
        );
        true
    }

    fn any_key(&mut self) -> String {
        let keys: Vec<&String> = self.keys.keys().collect();
        (*self.random.pick(&keys).expect("a client makes a key first")).clone()
    }

    /// The answer, or nothing if there was none: then the call may have had its effect or not.
    fn call(&mut self, operation: &str, request: &Value) -> Option<Value> {
        self.call_unless(operation, request, false)
    }

    fn call_unless(
        &mut self,
        operation: &str,
        request: &Value,
        may_be_disabled: bool,
    ) -> Option<Value> {
        match self.try_call(operation, request) {
            Ok((200, answer)) => Some(answer),
            Ok((400, answer)) if may_be_disabled && answer["__type"] == "DisabledException" => {
                Some(answer)
            }
            // The enclave could not commit: the host proxy is dead or being replaced.
            Ok((500.., _)) => None,
            Ok((status, answer)) => panic!("{operation} {request}: {status} {answer}"),
            Err(_) => {
                self.connection = None;
                std::thread::sleep(Duration::from_millis(2));
                None
            }
        }
    }

    fn try_call(&mut self, operation: &str, request: &Value) -> io::Result<(u16, Value)> {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(&self.caller)?);
        }
        self.connection
            .as_mut()
            .expect("just opened")
            .call(operation, request)
    }

    fn verify(&self, caller: &Caller, listed: &BTreeMap<String, String>) {
        let mut connection = Connection::open(caller).expect("it serves");
        for (key, possible) in &self.keys {
            let metadata = expect(&mut connection, "DescribeKey", &json!({ "KeyId": key }));
            let enabled = metadata["KeyMetadata"]["Enabled"]
                .as_bool()
                .expect("a boolean");
            assert!(
                possible.contains(&enabled),
                "{key} is enabled: {enabled}, acknowledged: {possible:?}"
            );
            if !enabled {
                expect(&mut connection, "EnableKey", &json!({ "KeyId": key }));
            }
        }
        for (name, possible) in &self.aliases {
            let target = listed.get(name).cloned();
            assert!(
                possible.contains(&target),
                "{name} points to {target:?}, acknowledged: {possible:?}"
            );
        }
        for data_key in &self.data_keys {
            let request =
                json!({ "CiphertextBlob": data_key.blob, "EncryptionContext": data_key.context });
            let answer = expect(&mut connection, "Decrypt", &request);
            assert_eq!(
                answer["Plaintext"], data_key.plaintext,
                "under {}",
                data_key.key
            );
        }
    }
}

fn settle<T: Ord>(possible: &mut Possible<T>, after: T, answered: bool) {
    if answered {
        possible.clear();
    }
    possible.insert(after);
}

fn list_aliases(caller: &Caller) -> BTreeMap<String, String> {
    let mut connection = Connection::open(caller).expect("it serves");
    let mut aliases = BTreeMap::new();
    let mut request = json!({ "Limit": 100 });
    loop {
        let page = expect(&mut connection, "ListAliases", &request);
        for alias in page["Aliases"].as_array().expect("aliases") {
            if alias["TargetKeyId"].is_string() {
                aliases.insert(text(&alias["AliasName"]), text(&alias["TargetKeyId"]));
            }
        }
        if page["Truncated"] != true {
            return aliases;
        }
        request = json!({ "Limit": 100, "Marker": page["NextMarker"] });
    }
}

fn wait_until_it_serves(caller: &Caller) {
    let waiting = Instant::now();
    loop {
        let answer = Connection::open(caller)
            .and_then(|mut connection| connection.call("ListKeys", &json!({})));
        if matches!(answer, Ok((200, _))) {
            return;
        }
        assert!(
            waiting.elapsed() < RECOVERY,
            "it does not serve again: {answer:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn expect(connection: &mut Connection, operation: &str, request: &Value) -> Value {
    match connection.call(operation, request) {
        Ok((200, answer)) => answer,
        other => panic!("{operation} {request}: {other:?}"),
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a string: {value}"))
        .to_owned()
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn from_the_clock() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    since.as_nanos() as u64
}

/// SplitMix64: choices that a seed repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() {
            None
        } else {
            from.get(self.below(from.len() as u64) as usize)
        }
    }
}
