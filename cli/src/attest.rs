//! `claviger attest`: attestation documents for anyone's tests.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use attestation::nsm::{AttestationRequest, Identity, Nsm, SimulatedCa, SimulatedNsm};
use attestation::{
    AttestationDocument, RecipientPrivateKey, Timestamp, TrustRoot, Verifier, VerifyOptions,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Subcommand};
use der::DateTime;
use pem_rfc7468::LineEnding;
use zeroize::Zeroizing;

use crate::Failure;
use crate::credentials::{make_private_folder, write_private};
use crate::random::system_random;
use crate::screen::{Style, excerpt, print};

/// The label of PKCS#8 in PEM (RFC 7468, section 10).
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// What to do with documents.
#[derive(Subcommand)]
pub enum Command {
    /// Make a document with a simulated NSM
    New(NewOptions),
    /// Print a document readably, without believing it
    Show(ShowOptions),
    /// Verify a document, and print it if it is valid
    Verify(VerifyArguments),
    /// Open a CiphertextForRecipient with the recipient's private key
    Open(OpenOptions),
}

/// Options of `attest new`.
#[derive(Args)]
pub struct NewOptions {
    /// The simulated NSM's authority (certificate and key), made if it isn't there
    #[arg(long, value_name = "PEM", default_value = ".claviger/nsm-ca.pem")]
    ca: PathBuf,
    /// Write the root certificate alone to this file, for --trust-root
    #[arg(long, value_name = "PEM")]
    root_out: Option<PathBuf>,
    /// The region in the chain's names
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// The enclave's module id [default: a new one]
    #[arg(long, value_name = "ID")]
    module_id: Option<String>,
    /// A PCR as INDEX=HEX (repeatable)
    #[arg(long = "pcr", value_name = "N=HEX", value_parser = pcr)]
    pcrs: Vec<(u16, [u8; 48])>,
    /// As a debug-mode enclave: PCR 0, 1, 2 and 8 are zero
    #[arg(long)]
    debug: bool,
    /// Make a recipient key pair: its private key is written to this file, its public key into the document
    #[arg(long, value_name = "PEM", conflicts_with = "public_key")]
    recipient_key: Option<PathBuf>,
    /// A public key to put into the document, as it is in this file (DER)
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// User data, as text
    #[arg(long, value_name = "TEXT")]
    user_data: Option<String>,
    /// Nonce, as text
    #[arg(long, value_name = "TEXT")]
    nonce: Option<String>,
    /// When the document is made, as 2026-01-31T12:00:00Z or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Write base64, as the AWS CLI's JSON input takes it
    #[arg(long)]
    base64: bool,
    /// Where to write the document [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Options of `attest show`.
#[derive(Args)]
pub struct ShowOptions {
    /// The document, binary or base64 [default: standard input]
    document: Option<PathBuf>,
}

/// Options of `attest verify`.
#[derive(Args)]
pub struct VerifyArguments {
    /// The document, binary or base64 [default: standard input]
    document: Option<PathBuf>,
    /// A simulated root to trust instead of AWS's (repeatable)
    #[arg(long, value_name = "PEM")]
    root: Vec<PathBuf>,
    /// The time to verify at, as 2026-01-31T12:00:00Z or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// How old the document may be
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    max_age: u64,
    /// Accept a debug-mode enclave
    #[arg(long)]
    accept_debug: bool,
}

/// Options of `attest open`.
#[derive(Args)]
pub struct OpenOptions {
    /// The CiphertextForRecipient, binary or base64 [default: standard input]
    ciphertext: Option<PathBuf>,
    /// The recipient's private key, as `attest new --recipient-key` writes it
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
}

/// Runs one of them.
///
/// # Errors
/// When a file can't be read or written, or the document or ciphertext is not
/// valid.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::New(options) => new(options),
        Command::Show(options) => show(options),
        Command::Verify(options) => verify(options),
        Command::Open(options) => open(options),
    }
}

fn new(options: NewOptions) -> Result<(), Failure> {
    let now = options.at.unwrap_or_else(now);
    let ca = load_or_generate_ca(&options.ca, now)?;
    if let Some(path) = &options.root_out {
        fs::write(path, ca.certificate_pem()?)?;
    }
    let public_key = match (&options.recipient_key, &options.public_key) {
        (Some(path), _) => {
            let key = RecipientPrivateKey::generate(2048)?;
            write_private(path, private_key_pem(&key)?.as_bytes())?;
            Some(key.public_key_spki().to_vec())
        }
        (None, Some(path)) => Some(fs::read(path)?),
        (None, None) => None,
    };
    let mut identity = Identity::new(&mut system_random(), now).in_region(&options.region);
    if let Some(module_id) = &options.module_id {
        identity = identity.with_module_id(module_id);
    }
    if options.debug {
        identity = identity.in_debug_mode();
    }
    for (index, value) in options.pcrs {
        identity = identity.with_pcr(index, value);
    }
    let clock = Box::new(move || now);
    let mut nsm = SimulatedNsm::new(ca, identity, clock, Box::new(system_random()));
    let document = nsm.attest(AttestationRequest {
        public_key: public_key.as_deref(),
        user_data: options.user_data.as_deref().map(str::as_bytes),
        nonce: options.nonce.as_deref().map(str::as_bytes),
    })?;
    let bytes = if options.base64 {
        (BASE64_STANDARD.encode(&document) + "\n").into_bytes()
    } else {
        document
    };
    match options.out {
        Some(path) => fs::write(path, bytes)?,
        None => io::stdout().write_all(&bytes)?,
    }
    Ok(())
}

/// Reads the simulated authority at `path`, or makes one and keeps it there.
pub(crate) fn load_or_generate_ca(path: &Path, now: Timestamp) -> Result<SimulatedCa, Failure> {
    match fs::read_to_string(path) {
        Ok(pem) => Ok(SimulatedCa::from_pem(&pem)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let ca = SimulatedCa::generate(&mut system_random(), now)?;
            if let Some(folder) = path.parent() {
                make_private_folder(folder)?;
            }
            write_private(path, ca.to_pem()?.as_bytes())?;
            Ok(ca)
        }
        Err(error) => Err(error.into()),
    }
}

fn show(options: ShowOptions) -> Result<(), Failure> {
    let bytes = read(options.document.as_deref(), 0x84)?;
    let document = AttestationDocument::parse(&bytes)?;
    print(&format!(
        "{}not verified: anyone can make a document that reads like this\n",
        describe(&document)
    ))?;
    Ok(())
}

fn verify(options: VerifyArguments) -> Result<(), Failure> {
    let bytes = read(options.document.as_deref(), 0x84)?;
    let roots = if options.root.is_empty() {
        vec![TrustRoot::aws(), TrustRoot::aws_us_gov()]
    } else {
        options
            .root
            .iter()
            .map(|path| Ok(TrustRoot::simulated(&fs::read(path)?)?))
            .collect::<Result<_, Failure>>()?
    };
    let rules = VerifyOptions {
        max_age: Duration::from_secs(options.max_age),
        accept_debug: options.accept_debug,
        ..VerifyOptions::default()
    };
    let at = options.at.unwrap_or_else(now);
    let style = Style::detect();
    match Verifier::new(roots, rules).verify(&bytes, at) {
        Ok(verified) => {
            print(&format!(
                "{}root          {}\n{}\n",
                describe(&AttestationDocument::parse(&bytes)?),
                hex::encode(verified.root().sha256()),
                style.good("valid")
            ))?;
            Ok(())
        }
        Err(error) => {
            print(&format!("{}\n", style.bad("refused")))?;
            Err(error.into())
        }
    }
}

fn open(options: OpenOptions) -> Result<(), Failure> {
    let bytes = read(options.ciphertext.as_deref(), 0x30)?;
    let key = private_key_from_pem(&fs::read(&options.key)?)?;
    io::stdout().write_all(&key.open(&bytes)?)?;
    Ok(())
}

fn private_key_pem(key: &RecipientPrivateKey) -> Result<Zeroizing<String>, Failure> {
    let der = key.to_pkcs8()?;
    Ok(Zeroizing::new(pem_rfc7468::encode_string(
        PRIVATE_KEY,
        LineEnding::LF,
        &der,
    )?))
}

fn private_key_from_pem(pem: &[u8]) -> Result<RecipientPrivateKey, Failure> {
    let (label, der) = pem_rfc7468::decode_vec(pem)?;
    let der = Zeroizing::new(der);
    if label != PRIVATE_KEY {
        return Err(format!("the key file holds a {label}, not a {PRIVATE_KEY} (PKCS#8)").into());
    }
    Ok(RecipientPrivateKey::from_pkcs8(&der)?)
}

/// A document's fields, one a line.
pub(crate) fn describe(document: &AttestationDocument<'_>) -> String {
    let mut lines = vec![
        format!("module id     {}", document.module_id()),
        format!("timestamp     {}", readable(document.timestamp())),
    ];
    for (index, value) in document.pcrs().iter() {
        let text = if value.iter().all(|byte| *byte == 0) {
            "0".to_owned()
        } else {
            hex::encode(value)
        };
        lines.push(format!("PCR{index:<11}{text}"));
    }
    lines.push(format!(
        "certificate   {}",
        excerpt(document.certificate(), 16)
    ));
    for (index, certificate) in document.cabundle().iter().enumerate() {
        lines.push(format!("cabundle[{index}]   {}", excerpt(certificate, 16)));
    }
    for (name, value) in [
        ("public key", document.public_key()),
        ("user data", document.user_data()),
        ("nonce", document.nonce()),
    ] {
        let text = value.map_or_else(|| "none".to_owned(), |bytes| excerpt(bytes, 32));
        lines.push(format!("{name:<14}{text}"));
    }
    lines.join("\n") + "\n"
}

/// Reads a file, or standard input, that is binary (starting with `first`, or
/// with COSE's tag) or base64.
fn read(path: Option<&Path>, first: u8) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    match path {
        Some(path) => fs::File::open(path)?.read_to_end(&mut bytes)?,
        None => io::stdin().read_to_end(&mut bytes)?,
    };
    if matches!(bytes.first(), Some(byte) if *byte == first || *byte == 0xd2) {
        return Ok(bytes);
    }
    let text: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    Ok(BASE64_STANDARD.decode(&text).unwrap_or(bytes))
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A timestamp as a date, with its milliseconds.
fn readable(timestamp: Timestamp) -> String {
    let millis = timestamp.as_millis();
    match DateTime::from_unix_duration(Duration::from_secs(timestamp.as_secs())) {
        Ok(date) => format!("{date} + {} ms ({millis})", millis % 1000),
        Err(_) => millis.to_string(),
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Timestamp::from_secs(seconds));
    }
    match text.parse::<DateTime>() {
        Ok(date) => Ok(Timestamp::from_secs(date.unix_duration().as_secs())),
        Err(_) => Err("give 2026-01-31T12:00:00Z or seconds since 1970".to_owned()),
    }
}

fn pcr(text: &str) -> Result<(u16, [u8; 48]), String> {
    let (index, value) = text
        .split_once('=')
        .ok_or("give INDEX=HEX, for instance 0=00ff...")?;
    let index = index.parse().ok().filter(|index| *index < 32);
    let index = index.ok_or("the index is a number from 0 to 31")?;
    let mut bytes = [0; 48];
    hex::decode_to_slice(value, &mut bytes)
        .map_err(|error| format!("{error}; a PCR is 96 hexadecimal digits"))?;
    Ok((index, bytes))
}
