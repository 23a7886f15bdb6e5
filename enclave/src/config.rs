//! What an operator says about an enclave, as one JSON document.
//!
//! ```
//! # let text = r#"
//! {
//!   "listen": "unix:/run/claviger/enclave.sock",
//!   "host": "unix:/run/claviger/host.sock",
//!   "account": "123456789012",
//!   "tls": { "names": ["kms.example.test"] },
//!   "nsm": { "simulated": { "ca": "simulated-ca.pem", "region": "us-east-1" } },
//!   "trust": { "aws": true, "roots": ["other-root.pem"], "accept_debug": false, "max_age_seconds": 300 },
//!   "root_key": { "dev_file": "root-key.json" },
//!   "seed": { "users": [] },
//!   "limits": { "connections": 1024 }
//! }
//! # "#;
//! # enclave::Config::from_json(text.as_bytes()).unwrap();
//! ```
//!
//! `tls`, `seed`, `trust` and `limits` may be left out, and so may every member of the last two.
//! An unknown member is an error: a misspelt setting must not be a setting without effect.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kms::name::{AccountId, Region};
use kms::seed::Seed;
use link::Address;
use serde::{Deserialize, Deserializer, de};

use crate::error::EnclaveError;
use crate::measurement::SettingsHash;

/// The enclave's settings.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the enclave accepts connections; the host proxy relays clients to it.
    pub listen: Address,
    /// Where the host proxy accepts the enclave's own connections: record store and audit sink.
    pub host: Address,
    /// The account of users and keys that the seed names no account for.
    #[serde(deserialize_with = "from_text")]
    pub account: AccountId,
    /// HTTPS with a certificate made inside; plain HTTP when absent, in simulation only.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The security module of this enclave.
    pub nsm: NsmConfig,
    /// Whose attestation documents are believed.
    #[serde(default)]
    pub trust: Trust,
    /// Where the root key comes from.
    pub root_key: RootKeyConfig,
    /// Principals and keys to create if they do not exist. Simulation only.
    #[serde(default)]
    pub seed: Option<Seed>,
    /// Bounds on what clients and the host may use up.
    #[serde(default)]
    pub limits: Limits,
    /// Of the text that all this was read from.
    #[serde(skip)]
    pub(crate) hash: SettingsHash,
}

impl Config {
    /// Reads the settings from JSON.
    ///
    /// # Errors
    ///
    /// [`EnclaveError::Config`], with the place in the text. The error never quotes a value,
    /// because a seed holds secret keys.
    pub fn from_json(text: &[u8]) -> Result<Self, EnclaveError> {
        let read: Self = serde_json::from_slice(text).map_err(|error| EnclaveError::Config {
            line: error.line(),
            column: error.column(),
            what: describe(&error),
        })?;
        Ok(Self {
            hash: SettingsHash::of(text),
            ..read
        })
    }

    /// The names of those settings that only a simulated enclave may have. An enclave that is to
    /// hold real secrets has none; a release build refuses them all.
    pub fn simulation_settings(&self) -> Vec<&'static str> {
        let emulated = matches!(self.nsm, NsmConfig::Emulated(_));
        let simulated = matches!(self.nsm, NsmConfig::Simulated(_));
        let dev_key = matches!(self.root_key, RootKeyConfig::DevFile(_));
        [
            ("nsm.emulated", emulated),
            ("nsm.simulated", simulated),
            ("trust.roots", !self.trust.roots.is_empty()),
            ("trust.accept_debug", self.trust.accept_debug),
            ("seed", self.seed.is_some()),
            ("root_key.dev_file", dev_key),
        ]
        .into_iter()
        .filter_map(|(name, asked)| asked.then_some(name))
        .collect()
    }
}

/// What is wrong with the JSON, in serde's words where they name members only.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let names_members_only = ["unknown field", "missing field", "duplicate field"]
        .iter()
        .any(|prefix| text.starts_with(prefix));
    match error.classify() {
        serde_json::error::Category::Data if names_members_only => {
            // serde_json appends the position, which the error carries by itself.
            match text.rsplit_once(" at line ") {
                Some((message, _)) => message.to_owned(),
                None => text,
            }
        }
        serde_json::error::Category::Data => {
            "a value is of the wrong type or form (not shown, it may be secret)".to_owned()
        }
        serde_json::error::Category::Syntax => "not valid JSON".to_owned(),
        serde_json::error::Category::Eof => "the JSON ends too early".to_owned(),
        serde_json::error::Category::Io => "can't be read".to_owned(),
    }
}

/// HTTPS on the listener.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Host names and addresses of the certificate, beside `localhost`, `127.0.0.1`, `::1`,
    /// `host.docker.internal` and the names of AWS's own endpoints.
    #[serde(default)]
    pub names: Vec<String>,
}

/// Which security module answers for this enclave.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NsmConfig {
    /// The Nitro security module, `/dev/nsm`.
    Device,
    /// `/dev/nsm` of an emulated machine: `{"emulated": {…}}`. Simulation only.
    Emulated(EmulatedNsmConfig),
    /// A simulated one: `{"simulated": {…}}`. Needs a build with the feature `simulation`.
    Simulated(SimulatedNsmConfig),
}

/// A device whose documents AWS has not signed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmulatedNsmConfig {
    /// The root that they lead to instead: a file's path, or the PEM text itself.
    pub root: String,
}

/// The identity of a simulated enclave.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedNsmConfig {
    /// The file of the simulated certificate authority (key and certificate, PEM); made if absent.
    pub ca: PathBuf,
    /// The region in its documents.
    #[serde(default = "default_region", deserialize_with = "from_text")]
    pub region: Region,
    /// The module id in its documents; a new one at every start when absent.
    #[serde(default)]
    pub module_id: Option<String>,
    /// What its registers hold, as `{"0": HEX}`, instead of the simulated image's values.
    #[serde(default)]
    pub pcrs: BTreeMap<u16, Pcr>,
    /// How many seconds its clock is ahead of the enclave's, for tests of what happens then.
    #[serde(default)]
    pub clock_ahead_seconds: u64,
}

/// A register's value: 96 hexadecimal digits.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Pcr(#[serde(with = "hex::serde")] pub [u8; 48]);

fn default_region() -> Region {
    "us-east-1"
        .parse()
        .unwrap_or_else(|_| unreachable!("us-east-1 is a region"))
}

/// Whose attestation documents open keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trust {
    /// AWS's root for Nitro enclaves.
    pub aws: bool,
    /// AWS's root for Nitro enclaves in the GovCloud regions.
    pub aws_us_gov: bool,
    /// Further, simulated roots: a file's path, or the PEM text itself. Simulation only.
    pub roots: Vec<String>,
    /// Whether documents of enclaves in debug mode (all-zero PCRs) are accepted. Simulation only:
    /// anybody can read and change the memory of such an enclave.
    pub accept_debug: bool,
    /// How old a document may be.
    pub max_age_seconds: u64,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            aws: true,
            aws_us_gov: false,
            roots: Vec::new(),
            accept_debug: false,
            max_age_seconds: 300,
        }
    }
}

/// Where the root key comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootKeyConfig {
    /// A file in clear, made if absent. Simulation only.
    DevFile(PathBuf),
    /// Operators: `"quorum"`. The enclave starts without a key and waits for enough of their shares,
    /// or, with an empty store, for the plan of a genesis.
    Quorum,
}

/// Bounds on what clients and the host may use up.
///
/// The defaults fit an enclave of 512 MiB; none of them is part of AWS's contract except
/// [`body_bytes`](Self::body_bytes), which must exceed the largest request of the API (an
/// attestation document of 262,144 bytes in base64).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at the same time; further ones wait in the listener's queue.
    pub connections: usize,
    /// Requests at the same time on one HTTP/2 connection.
    pub streams_per_connection: u32,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Header fields of a request.
    pub header_count: usize,
    /// Bytes of a request's body; a larger one is answered with 413.
    pub body_bytes: usize,
    /// Bytes of an over-large body that are read and thrown away so that the client, which is
    /// still sending, gets to see the answer.
    pub discard_bytes: usize,
    /// Requests in work at the same time; as many may wait.
    pub requests: usize,
    /// Those of them with a body above 64 KiB.
    pub large_bodies: usize,
    /// How often each principal may call.
    pub request_quotas: RequestQuotas,
    /// How long calls may wait for their turn when more come than can be answered; beyond,
    /// ThrottlingException.
    pub wait_milliseconds: u64,
    /// Time from the first byte of a request's head to its last, and for a TLS handshake.
    pub header_milliseconds: u64,
    /// Time from the end of a request's head to the end of its body.
    pub body_milliseconds: u64,
    /// How long a connection may be idle.
    pub idle_milliseconds: u64,
    /// How long a call waits for its change to be durable before it is answered with an error.
    pub commit_milliseconds: u64,
    /// Calls that wait for the writer.
    pub commit_queue: usize,
    /// Key generations at the same time; by default half of the processors.
    pub key_generation_threads: usize,
    /// Calls that wait for a key generation; beyond, ThrottlingException.
    pub key_generation_queue: usize,
    /// How long a call waits for a key generation to begin; then ThrottlingException.
    pub key_generation_milliseconds: u64,
    /// RSA key pairs of each size that are made ahead, at most: only of a size that calls have asked
    /// for within the hour, and the more the more often none was ready. 0 for none.
    pub key_pairs_ahead: usize,
    /// Documents of the enclave's own in work for strangers at the same time, and new ones in a
    /// second; beyond, 429. What the enclave itself needs of its module comes beside that.
    pub documents: usize,
    /// See [`documents`](Self::documents).
    pub documents_per_second: u32,
    /// The most keys that are opened before the enclave serves. If there are more, it serves as soon
    /// as they are known to be complete and current, and opens them after that.
    pub keys_before_serving: u64,
    /// Audit events kept while the host does not take them; beyond, they are counted as lost.
    pub audit_queue: usize,
    /// How long a shutdown may take to finish requests, and then to hand over audit events.
    pub shutdown_milliseconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            connections: 1024,
            streams_per_connection: 100,
            header_bytes: 64 * 1024,
            header_count: 100,
            body_bytes: 1024 * 1024,
            discard_bytes: 16 * 1024 * 1024,
            requests: 2048,
            large_bodies: 64,
            request_quotas: RequestQuotas::None,
            wait_milliseconds: 250,
            header_milliseconds: 15_000,
            body_milliseconds: 30_000,
            idle_milliseconds: 75_000,
            commit_milliseconds: 10_000,
            commit_queue: 4096,
            key_generation_threads: processors.div_ceil(2),
            key_generation_queue: 64,
            key_generation_milliseconds: 5_000,
            key_pairs_ahead: 8,
            documents: 4,
            documents_per_second: 20,
            keys_before_serving: 10_000,
            audit_queue: 16_384,
            shutdown_milliseconds: 10_000,
        }
    }
}

/// How often each principal may call.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum RequestQuotas {
    /// As often as it can be answered.
    None,
    /// As often as AWS lets a whole account by default; beyond, ThrottlingException.
    Aws,
}

impl Limits {
    pub(crate) fn header_time(&self) -> Duration {
        Duration::from_millis(self.header_milliseconds)
    }

    pub(crate) fn body_time(&self) -> Duration {
        Duration::from_millis(self.body_milliseconds)
    }

    pub(crate) fn idle_time(&self) -> Duration {
        Duration::from_millis(self.idle_milliseconds)
    }

    pub(crate) fn wait_time(&self) -> Duration {
        Duration::from_millis(self.wait_milliseconds)
    }

    pub(crate) fn commit_time(&self) -> Duration {
        Duration::from_millis(self.commit_milliseconds)
    }

    pub(crate) fn key_generation_time(&self) -> Duration {
        Duration::from_millis(self.key_generation_milliseconds)
    }

    pub(crate) fn shutdown_time(&self) -> Duration {
        Duration::from_millis(self.shutdown_milliseconds)
    }
}

/// Refuses, in a build without simulation, whatever is for simulation, before anything is opened.
pub(crate) fn refuse_in_release(config: &Config) -> Result<(), EnclaveError> {
    if cfg!(feature = "simulation") {
        return Ok(());
    }
    match config.simulation_settings().first() {
        Some(setting) => Err(EnclaveError::SimulationOnly(setting)),
        None => refuse_clear_text(config),
    }
}

/// Refuses what belongs to a simulated enclave only, in one that is not.
pub(crate) fn refuse_simulation(config: &Config, simulated: bool) -> Result<(), EnclaveError> {
    if cfg!(feature = "simulation") && simulated {
        return Ok(());
    }
    if config.seed.is_some() {
        return Err(EnclaveError::SimulationOnly("seed"));
    }
    match &config.root_key {
        RootKeyConfig::DevFile(_) => Err(EnclaveError::SimulationOnly("root_key.dev_file")),
        RootKeyConfig::Quorum => refuse_clear_text(config),
    }
}

/// Without TLS, the host reads everything that clients send and are sent.
fn refuse_clear_text(config: &Config) -> Result<(), EnclaveError> {
    match config.tls {
        Some(_) => Ok(()),
        None => Err(EnclaveError::ClearText),
    }
}

/// Deserializes what parses from a string.
fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn settings() -> Value {
        json!({
            "listen": "unix:/e",
            "host": "unix:/h",
            "account": "123456789012",
            "nsm": { "simulated": { "ca": "ca.pem" } },
            "root_key": { "dev_file": "root-key.json" },
        })
    }

    fn read(settings: &Value) -> Result<Config, EnclaveError> {
        Config::from_json(settings.to_string().as_bytes())
    }

    /// Why these settings are refused.
    fn refusal(settings: &Value) -> String {
        read(settings).err().unwrap().to_string()
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let config = read(&settings()).unwrap();
        assert!(config.tls.is_none() && config.seed.is_none());
        assert!(config.trust.aws && !config.trust.accept_debug);
        assert_eq!(config.trust.max_age_seconds, 300);
        assert_eq!(config.limits.body_bytes, 1024 * 1024);
        assert_eq!(config.limits.request_quotas, RequestQuotas::None);
    }

    #[test]
    fn quotas_are_asked_for_by_name() {
        let mut settings = settings();
        settings["limits"] = json!({ "request_quotas": "aws" });
        let config = read(&settings).unwrap();
        assert_eq!(config.limits.request_quotas, RequestQuotas::Aws);
        settings["limits"]["request_quotas"] = json!("azure");
        assert!(read(&settings).is_err());
    }

    #[test]
    fn what_is_for_simulation_is_named() {
        let config = read(&settings()).unwrap();
        let names = config.simulation_settings();
        assert_eq!(names, ["nsm.simulated", "root_key.dev_file"]);
        let mut settings = settings();
        settings["nsm"] = json!({ "emulated": { "root": "root.pem" } });
        let names = read(&settings).unwrap().simulation_settings();
        assert_eq!(names, ["nsm.emulated", "root_key.dev_file"]);
        settings["nsm"] = json!("device");
        settings["trust"] = json!({ "roots": ["root.pem"], "accept_debug": true });
        settings["seed"] = json!({});
        let names = read(&settings).unwrap().simulation_settings();
        let expected = [
            "trust.roots",
            "trust.accept_debug",
            "seed",
            "root_key.dev_file",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn an_unknown_member_is_named() {
        for pointer in ["", "/trust", "/limits", "/nsm/simulated", "/tls"] {
            let mut settings = settings();
            settings["trust"] = json!({});
            settings["limits"] = json!({});
            settings["tls"] = json!({});
            settings.pointer_mut(pointer).unwrap()["misspelt"] = json!(1);
            let refusal = refusal(&settings);
            assert!(refusal.contains("unknown field `misspelt`"), "{refusal}");
        }
        let mut settings = settings();
        settings.as_object_mut().unwrap().remove("account");
        let refusal = refusal(&settings);
        assert!(refusal.contains("missing field `account`"), "{refusal}");
    }

    #[test]
    fn a_value_is_never_quoted() {
        for (member, value) in [
            ("seed", json!("hunter2")),
            ("seed", json!({ "users": "hunter2" })),
            ("account", json!("hunter2")),
            ("listen", json!("hunter2")),
            ("nsm", json!("hunter2")),
            ("root_key", json!({ "hunter2": "x" })),
        ] {
            let mut settings = settings();
            settings[member] = value;
            let refusal = refusal(&settings);
            assert!(!refusal.contains("hunter2"), "{refusal}");
            assert!(refusal.contains("line 1, column"), "{refusal}");
        }
    }

    #[test]
    fn what_is_for_simulation_is_refused_elsewhere() {
        let mut settings = settings();
        let config = read(&settings).unwrap();
        let refused = refuse_simulation(&config, false);
        assert!(matches!(
            refused,
            Err(EnclaveError::SimulationOnly("root_key.dev_file"))
        ));
        settings["seed"] = json!({});
        let config = read(&settings).unwrap();
        let refused = refuse_simulation(&config, false);
        assert!(matches!(refused, Err(EnclaveError::SimulationOnly("seed"))));
        let mut real = json!({ "root_key": "quorum", "nsm": "device" });
        for name in ["listen", "host", "account"] {
            real[name] = settings[name].clone();
        }
        let refused = refuse_simulation(&read(&real).unwrap(), false);
        assert!(matches!(refused, Err(EnclaveError::ClearText)));
        real["tls"] = json!({});
        refuse_simulation(&read(&real).unwrap(), false).unwrap();
        // A build without the feature refuses whatever it is told.
        let refused = refuse_simulation(&config, true);
        assert_eq!(refused.is_ok(), cfg!(feature = "simulation"));
        let refused = refuse_in_release(&config);
        assert_eq!(refused.is_ok(), cfg!(feature = "simulation"));
    }
}
