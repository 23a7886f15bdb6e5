//! `claviger genesis` and `claviger unseal`: the operators' part in the life of a root key.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use enclave::{GENESIS_PATH, Receipt, Stage, UNSEAL_PATH};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use quorum::{Plan, Sealed, SealedShare, Share};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::Failure;
use crate::attest::now;
use crate::client::Endpoint;
use crate::random::system_random;
use crate::screen::print;
use crate::trust::{Expected, Trusted, nonce};

/// Options of `claviger genesis`.
#[derive(Args)]
pub struct GenesisOptions {
    #[command(flatten)]
    expected: Expected,
    /// Who is to hold the shares, as JSON (docs/root-key.md)
    #[arg(long, value_name = "JSON")]
    plan: PathBuf,
    /// The folder to write the encrypted shares to; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Options of `claviger unseal`.
#[derive(Args)]
pub struct UnsealOptions {
    #[command(flatten)]
    expected: Expected,
    /// The file with the share, decrypted [default: standard input]
    #[arg(long, value_name = "FILE")]
    share: Option<PathBuf>,
}

/// What an enclave answers that has made shares.
#[derive(Deserialize)]
pub(crate) struct Answer {
    pub(crate) result: String,
    attestation: String,
}

impl Answer {
    /// The document that stands for the result, if it is what the enclave attests.
    pub(crate) fn attested(
        &self,
        expected: &Expected,
        trusted: &Trusted,
        nonce: &[u8],
        receipt: &Receipt,
    ) -> Result<Vec<u8>, Failure> {
        let document = BASE64_STANDARD.decode(&self.attestation)?;
        let verified = expected.verifier()?.verify(&document, now())?;
        let same_enclave = verified.pcrs() == trusted.verified.pcrs()
            && verified.module_id() == trusted.verified.module_id();
        let user_data = verified.user_data().unwrap_or_default();
        if !same_enclave || verified.nonce() != Some(nonce) || !receipt.is(user_data) {
            return Err("the answer is not what the enclave attests: do not use its shares".into());
        }
        Ok(document)
    }
}

/// The result of a genesis. Everything secret in it is encrypted.
#[derive(Deserialize)]
struct Genesis {
    root_key_id: String,
    threshold: u8,
    shares: Vec<SealedShare>,
    administrator: SealedCredentials,
}

#[derive(Deserialize)]
struct SealedCredentials {
    user: String,
    #[serde(flatten)]
    access_key: Sealed,
}

/// How far the unsealing is.
#[derive(Deserialize)]
struct Progress {
    operator: String,
    given: usize,
    threshold: u8,
    unsealed: bool,
}

/// Has a new enclave make a root key, and writes the shares that it encrypted to the operators.
///
/// # Errors
/// When the enclave is not the expected one, is not new, refuses the plan, or its answer is not
/// what it attests.
pub async fn genesis(options: GenesisOptions) -> Result<(), Failure> {
    let plan =
        fs::read(&options.plan).map_err(|error| format!("{}: {error}", options.plan.display()))?;
    let plan = Plan::from_json(&plan)?;
    let trusted = options.expected.verify().await?;
    if trusted.statement.stage != Stage::New {
        return Err("the enclave is not new: there is a root key for its store already".into());
    }
    // Before the key is made: shares that can't be written would be lost.
    fs::create_dir(&options.out).map_err(|error| format!("{}: {error}", options.out.display()))?;

    let nonce = nonce();
    let path = format!("{GENESIS_PATH}?nonce={}", hex::encode(nonce));
    let body = post(&trusted.endpoint, &path, serde_json::to_vec(&plan)?).await?;
    let answer: Answer = serde_json::from_slice(&body)?;
    let receipt = Receipt::of_genesis(answer.result.as_bytes());
    let document = answer.attested(&options.expected, &trusted, &nonce, &receipt)?;

    let genesis: Genesis = serde_json::from_str(&answer.result)?;
    let write = |name: &str, content: &[u8]| {
        let path = options.out.join(name);
        fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))
    };
    write("genesis.json", answer.result.as_bytes())?;
    write("genesis.document", &document)?;
    for share in &genesis.shares {
        write(&share_file(share), share.share.as_bytes())?;
    }
    let SealedCredentials { user, access_key } = &genesis.administrator;
    let credentials = format!("{user}.{}", access_key.extension());
    write(&credentials, access_key.as_bytes())?;
    print(&told(&genesis, &options.out, &credentials))?;
    Ok(())
}

pub(crate) fn share_file(share: &SealedShare) -> String {
    format!("{}.share.{}", share.operator, share.share.extension())
}

fn told(genesis: &Genesis, out: &Path, credentials: &str) -> String {
    let out = out.display();
    let mut text = format!("root key      {}\n", genesis.root_key_id);
    for share in &genesis.shares {
        text += &format!("share         {out}/{}\n", share_file(share));
    }
    text + &format!(
        "administrator {out}/{credentials}\n\n\
         The enclave serves. After its next start, {} of {} operators have to unseal it:\n  \
         age --decrypt --identity KEY NAME.share.age | claviger unseal https://HOST:PORT ...\n\
         (a NAME.share.rsa opens with the RSA key: docs/root-key.md). Give each operator the share\n\
         now, and delete it here. The root key is nowhere else.\n",
        genesis.threshold,
        genesis.shares.len()
    )
}

/// Gives a share to a sealed enclave.
///
/// # Errors
/// When the enclave is not the expected one, does not wait for this share, or refuses it.
pub async fn unseal(options: UnsealOptions) -> Result<(), Failure> {
    let share = read_share(options.share.as_deref())?;
    let trusted = options.expected.verify().await?;
    if trusted.statement.stage != Stage::Sealed {
        return Err("the enclave is not sealed".into());
    }
    let needed = trusted.statement.root_key_id.as_deref().unwrap_or_default();
    if share.root_key_id().to_string() != needed {
        return Err(format!(
            "this share is of the root key {}, the enclave needs {needed}",
            share.root_key_id()
        )
        .into());
    }
    let key = trusted.verified.recipient_key()?;
    let message = key.seal(share.to_text().as_bytes(), &mut system_random())?;
    let body = post(&trusted.endpoint, UNSEAL_PATH, message).await?;
    let progress: Progress = serde_json::from_slice(&body)?;
    let Progress {
        operator,
        given,
        threshold,
        unsealed,
    } = progress;
    let state = if unsealed {
        "the enclave opens its store"
    } else {
        "still sealed"
    };
    print(&format!(
        "{operator}: share {given} of {threshold} taken; {state}\n"
    ))?;
    Ok(())
}

pub(crate) fn read_share(path: Option<&Path>) -> Result<Share, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    match path {
        Some(path) => fs::File::open(path)
            .map_err(|error| format!("{}: {error}", path.display()))?
            .take(1024)
            .read_to_string(&mut text)?,
        None => {
            if io::IsTerminal::is_terminal(&io::stdin()) {
                writeln!(io::stderr(), "The share, then Ctrl-D:")?;
            }
            io::stdin().lock().take(1024).read_to_string(&mut text)?
        }
    };
    Ok(Share::from_text(&text)?)
}

/// Posts to the enclave; its refusals are errors with its own words.
pub(crate) async fn post(endpoint: &Endpoint, path: &str, body: Vec<u8>) -> Result<Bytes, Failure> {
    let request = Request::post(path)
        .header("host", endpoint.authority())
        .body(Full::from(body))?;
    let (status, body) = endpoint.send(request).await?;
    if status == 200 {
        return Ok(body);
    }
    Err(refusal(&body))
}

/// A refusal of the enclave's in its own words.
pub(crate) fn refusal(body: &[u8]) -> Failure {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let told = serde_json::from_slice(body).map(|Refusal { error }| error);
    let told = told.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned());
    format!("the enclave refuses: {told}").into()
}
