//! `claviger demo`: the attested data key, played step by step against real
//! processes, and then the ways it is refused.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use attestation::nsm::{AttestationRequest, Identity, Nsm, SimulatedCa, SimulatedNsm};
use attestation::{AttestationDocument, RecipientPrivateKey, Timestamp};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use kms::seed::Seed;
use serde_json::{Value, json};
use sha2::{Digest, Sha384};

use crate::Failure;
use crate::attest;
use crate::client::{Client, ClientError};
use crate::credentials::Credentials;
use crate::random::system_random;
use crate::screen::{Style, dump, excerpt, print};
use crate::server::{self, DataFolder, Log, Server};

const REGION: &str = "us-east-1";
const MESSAGE: &[u8] = b"Order 4711: 12 keys, gold, no engraving.";

/// Options of `claviger demo`.
#[derive(Args)]
pub struct Options {
    /// Wait for Enter after each step
    #[arg(long)]
    step: bool,
}

/// Plays the demo.
///
/// # Errors
/// When the server can't be started, or any step doesn't end as it must: a
/// refusal that is not refused fails the demo.
pub async fn run(options: Options) -> Result<(), Failure> {
    let folder = tempfile::Builder::new()
        .prefix("claviger-demo-")
        .tempdir()?;
    let mut stage = Stage {
        style: Style::detect(),
        wait: options.step,
        number: 0,
    };

    stage.step(
        "Start a key server: a simulated enclave and its untrusted host proxy, two processes",
    );
    let credentials = Credentials::generate(&mut system_random());
    let server = match start(folder.path(), &credentials).await {
        Ok(server) => server,
        Err(error) => {
            eprint!(
                "{}",
                std::fs::read_to_string(folder.path().join("log.txt")).unwrap_or_default()
            );
            return Err(error);
        }
    };
    stage.say(&format!(
        "the KMS API is served at {}",
        server.endpoint().url()
    ));
    let kms = Client::new(server.endpoint().clone(), credentials, REGION);

    stage.step("CreateKey: the KMS key whose material never leaves the enclave");
    let created = kms
        .call("CreateKey", &json!({ "Description": "demo" }))
        .await?;
    let key_arn = text(&created["KeyMetadata"], "Arn")?;
    stage.say(&key_arn);

    let data = DataFolder::open(folder.path())?;
    let authority = Arc::new(attest::load_or_generate_ca(&data.nsm_ca(), attest::now())?);
    stage.step(
        "A client enclave makes an RSA key pair and asks its NSM for an attestation document",
    );
    let writer = ClientEnclave::boot(&authority, "order-writer")?;
    let document = writer.document(None)?;
    stage.show(&attest::describe(&AttestationDocument::parse(&document)?));
    stage.show(&dump(&document, 4, ""));

    stage.step("GenerateDataKey with Recipient: the document goes in, no plaintext comes out");
    let context = json!({ "purpose": "demo", "order": "4711" });
    let input = json!({
        "KeyId": key_arn, "KeySpec": "AES_256", "EncryptionContext": context,
        "Recipient": recipient(&document),
    });
    let answer = kms.call("GenerateDataKey", &input).await?;
    if answer.get("Plaintext").is_some() {
        return Err("the answer to an attested call holds plaintext".into());
    }
    stage.show(&members(&answer));

    stage.step("Only the enclave's private key opens CiphertextForRecipient");
    let sealed = blob(&answer, "CiphertextForRecipient")?;
    stage.show(&dump(&sealed, 6, ""));
    let data_key = writer.key.open(&sealed)?;
    stage.say(&format!("data key: {}", excerpt(&data_key, 4)));

    stage.step(
        "The client enclave encrypts with the data key and keeps the CiphertextBlob beside it",
    );
    let stored = encrypt(&data_key, MESSAGE)?;
    drop(data_key);
    stage.say(&format!("plaintext:  {}", String::from_utf8_lossy(MESSAGE)));
    stage.show(&dump(&stored, 4, ""));

    stage.step("Another enclave asks to Decrypt that blob, with a document of its own");
    let reader = ClientEnclave::boot(&authority, "order-reader")?;
    let decrypt = |document: &[u8]| {
        json!({
            "CiphertextBlob": answer["CiphertextBlob"], "EncryptionContext": context,
            "Recipient": recipient(document),
        })
    };
    let reply = kms
        .call("Decrypt", &decrypt(&reader.document(None)?))
        .await?;
    stage.show(&members(&reply));
    let data_key = reader.key.open(&blob(&reply, "CiphertextForRecipient")?)?;
    let opened = decrypt_message(&data_key, &stored)?;
    if opened != MESSAGE {
        return Err("the message did not come back".into());
    }
    stage.say(&format!("plaintext:  {}", String::from_utf8_lossy(&opened)));

    stage.step("Now the refusals: the same call, with documents that must not be believed");
    let good = reader.document(None)?;
    let an_hour_ago = attest::now() - Duration::from_secs(3600);
    let mut tampered = good.clone();
    if let Some(byte) = tampered.last_mut() {
        *byte ^= 1;
    }
    let strangers = Arc::new(SimulatedCa::generate(&mut system_random(), attest::now())?);
    let refusals = [
        ("one bit of the signature flipped", tampered),
        (
            "PCR0 replaced by the writer's after signing",
            swap_pcr0(&good, &reader, &writer)?,
        ),
        (
            "PCR4 of another instance, properly signed",
            reader.with_pcr(4, [7; 48])?,
        ),
        (
            "a debug-mode enclave: PCR0, 1 and 2 are zero",
            reader.debug_document()?,
        ),
        ("an hour old", reader.document(Some(an_hour_ago))?),
        (
            "another authority's chain",
            ClientEnclave::boot(&strangers, "stranger")?.document(None)?,
        ),
        ("not a document at all", b"trust me".to_vec()),
    ];
    for (what, document) in refusals {
        match kms.call("Decrypt", &decrypt(&document)).await {
            Err(ClientError::Refused {
                status: 400,
                code,
                message,
            }) => {
                stage.refused(what, &code, &message);
            }
            Err(other) => return Err(other.into()),
            Ok(_) => return Err(format!("a document that is {what} was accepted").into()),
        }
    }
    let mut wrong = decrypt(&good);
    wrong["EncryptionContext"] = json!({ "purpose": "demo", "order": "4712" });
    match kms.call("Decrypt", &wrong).await {
        Err(ClientError::Refused { code, message, .. }) => {
            stage.refused(
                "a good document, but the encryption context of another order",
                &code,
                &message,
            );
        }
        Err(other) => return Err(other.into()),
        Ok(_) => return Err("a wrong encryption context was accepted".into()),
    }

    server.stop().await?;
    stage.end();
    Ok(())
}

async fn start(folder: &Path, credentials: &Credentials) -> Result<Server, Failure> {
    let mut seed = Seed::default();
    seed.add_user(
        "demo",
        &credentials.access_key_id,
        &credentials.secret_access_key,
    );
    let any = "127.0.0.1:0".parse()?;
    Ok(Server::start(server::Options {
        listen: any,
        admin: any,
        data: folder.to_owned(),
        account: "123456789012".parse()?,
        trust_roots: Vec::new(),
        accept_debug: false,
        max_age: Duration::from_secs(300),
        tls: false,
        seed,
        log: Log::File,
    })
    .await?)
}

/// An enclave that uses KMS: an identity its NSM attests, and a key pair.
struct ClientEnclave {
    authority: Arc<SimulatedCa>,
    identity: Identity,
    key: RecipientPrivateKey,
}

impl ClientEnclave {
    /// Boots an image: its measurement stands for what it does.
    fn boot(authority: &Arc<SimulatedCa>, image: &str) -> Result<Self, Failure> {
        let mut identity = Identity::new(&mut system_random(), attest::now()).in_region(REGION);
        for index in 0..3 {
            identity = identity.with_pcr(index, measurement(image, index));
        }
        Ok(Self {
            authority: Arc::clone(authority),
            identity,
            key: RecipientPrivateKey::generate(2048)?,
        })
    }

    fn document(&self, at: Option<Timestamp>) -> Result<Vec<u8>, Failure> {
        self.attest(self.identity.clone(), at.unwrap_or_else(attest::now))
    }

    fn with_pcr(&self, index: u16, value: [u8; 48]) -> Result<Vec<u8>, Failure> {
        self.attest(self.identity.clone().with_pcr(index, value), attest::now())
    }

    fn debug_document(&self) -> Result<Vec<u8>, Failure> {
        self.attest(self.identity.clone().in_debug_mode(), attest::now())
    }

    fn attest(&self, identity: Identity, at: Timestamp) -> Result<Vec<u8>, Failure> {
        let clock = Box::new(move || at);
        let random = Box::new(system_random());
        let mut nsm = SimulatedNsm::new(Arc::clone(&self.authority), identity, clock, random);
        Ok(nsm.attest(AttestationRequest {
            public_key: Some(self.key.public_key_spki()),
            user_data: None,
            nonce: None,
        })?)
    }
}

fn measurement(image: &str, index: u16) -> [u8; 48] {
    Sha384::digest(format!("{image} PCR{index}")).into()
}

/// The document with one enclave's PCR0 written over by another's.
fn swap_pcr0(document: &[u8], of: &ClientEnclave, by: &ClientEnclave) -> Result<Vec<u8>, Failure> {
    let pcr0 = |enclave: &ClientEnclave| -> Result<Vec<u8>, Failure> {
        let document = enclave.document(None)?;
        let parsed = AttestationDocument::parse(&document)?;
        Ok(parsed
            .pcrs()
            .get(0)
            .ok_or("the document has no PCR0")?
            .to_vec())
    };
    let (old, new) = (pcr0(of)?, pcr0(by)?);
    let at = document
        .windows(old.len())
        .position(|window| window == old)
        .ok_or("the document doesn't hold its PCR0")?;
    let mut swapped = document.to_vec();
    if let Some(place) = swapped.get_mut(at..at + new.len()) {
        place.copy_from_slice(&new);
    }
    Ok(swapped)
}

fn recipient(document: &[u8]) -> Value {
    json!({
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": BASE64_STANDARD.encode(document),
    })
}

/// AES-256-GCM: a random nonce, then the ciphertext and its tag.
fn encrypt(key: &[u8], message: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut nonce = [0; 12];
    aws_lc_rs::rand::fill(&mut nonce)?;
    let mut text = message.to_vec();
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?).seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::empty(),
        &mut text,
    )?;
    Ok([nonce.as_slice(), &text].concat())
}

fn decrypt_message(key: &[u8], stored: &[u8]) -> Result<Vec<u8>, Failure> {
    let (nonce, text) = stored
        .split_at_checked(12)
        .ok_or("the stored message is too short")?;
    let mut text = text.to_vec();
    let opened = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?).open_in_place(
        Nonce::try_assume_unique_for_key(nonce)?,
        Aad::empty(),
        &mut text,
    )?;
    Ok(opened.to_vec())
}

fn text(value: &Value, member: &str) -> Result<String, Failure> {
    Ok(value[member]
        .as_str()
        .ok_or_else(|| format!("the answer has no {member}"))?
        .to_owned())
}

fn blob(value: &Value, member: &str) -> Result<Vec<u8>, Failure> {
    Ok(BASE64_STANDARD.decode(text(value, member)?)?)
}

/// An answer's members, the long ones cut.
fn members(answer: &Value) -> String {
    let mut lines = String::new();
    for (name, value) in answer.as_object().into_iter().flatten() {
        let full = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let shown: String = full.chars().take(64).collect();
        let dots = if shown.len() < full.len() { "..." } else { "" };
        lines += &format!("{name:<23}{shown}{dots}\n");
    }
    if answer.get("Plaintext").is_none() {
        lines += "Plaintext              (absent)\n";
    }
    lines
}

/// Tells the story on standard output.
struct Stage {
    style: Style,
    wait: bool,
    number: u32,
}

impl Stage {
    fn step(&mut self, title: &str) {
        if self.wait && self.number > 0 {
            eprint!("{}", self.style.faint("-- Enter --"));
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        self.number += 1;
        let title = self.style.title(&format!("{}. {title}", self.number));
        self.print(&format!("\n{title}\n"));
    }

    fn say(&self, line: &str) {
        self.print(&format!("   {line}\n"));
    }

    fn show(&self, lines: &str) {
        let lines = lines.lines().map(|line| self.style.faint(line));
        self.print(&lines.map(|line| format!("   {line}\n")).collect::<String>());
    }

    fn refused(&self, what: &str, code: &str, message: &str) {
        let colon = if message.is_empty() { "" } else { ": " };
        let refused = self.style.bad("refused");
        self.print(&format!(
            "   {what}\n     {refused} {code}{colon}{message}\n"
        ));
    }

    fn end(&self) {
        let line = "Every step ended as it must: the data key reached attested enclaves, and nothing else.";
        self.print(&format!("\n{}\n", self.style.good(line)));
    }

    /// Shows it to whoever still reads; the steps are checked in any case.
    fn print(&self, text: &str) {
        let _ = print(text);
    }
}
