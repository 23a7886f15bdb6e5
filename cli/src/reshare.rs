//! `claviger reshare`: operators change who holds the shares of a root key.
//!
//! First the present holders approve of a plan, then those of the plan confirm that they can use
//! their new shares. Until the last of them has, the old shares are good.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use enclave::{CONFIRM_PATH, NEW_SHARES_PATH, RESHARE_PATH, Receipt, Stage};
use http_body_util::Full;
use hyper::Request;
use quorum::{Approval, Plan, SealedShare};
use serde::Deserialize;

use crate::Failure;
use crate::operators::{Answer, post, read_share, refusal, share_file};
use crate::random::system_random;
use crate::screen::print;
use crate::trust::{Expected, Trusted, nonce};

/// What there is to do.
#[derive(Subcommand)]
pub enum Command {
    /// Approve, as a present holder, of a plan for who is to hold the shares
    Approve(ApproveOptions),
    /// Fetch the new shares, each encrypted to its operator
    Shares(SharesOptions),
    /// Confirm, as an operator of the plan, that the new share can be used
    Confirm(ConfirmOptions),
}

/// Options of `claviger reshare approve`.
#[derive(Args)]
pub struct ApproveOptions {
    #[command(flatten)]
    expected: Expected,
    /// Who is to hold the shares, as JSON (docs/root-key.md)
    #[arg(long, value_name = "JSON")]
    plan: PathBuf,
    /// The file with the present share, decrypted [default: standard input]
    #[arg(long, value_name = "FILE")]
    share: Option<PathBuf>,
}

/// Options of `claviger reshare shares`.
#[derive(Args)]
pub struct SharesOptions {
    #[command(flatten)]
    expected: Expected,
    /// The folder to write the encrypted shares to; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Options of `claviger reshare confirm`.
#[derive(Args)]
pub struct ConfirmOptions {
    #[command(flatten)]
    expected: Expected,
    /// The file with the new share, decrypted [default: standard input]
    #[arg(long, value_name = "FILE")]
    share: Option<PathBuf>,
}

/// How far it is.
#[derive(Deserialize)]
struct Progress {
    operator: String,
    given: usize,
    threshold: u8,
    #[serde(default)]
    approved: bool,
    #[serde(default)]
    changed: bool,
}

/// The new shares. Everything secret in it is encrypted.
#[derive(Deserialize)]
struct NewShares {
    root_key_id: String,
    threshold: u8,
    shares: Vec<SealedShare>,
}

/// Does one of the three.
///
/// # Errors
/// When the enclave is not the expected one, does not serve, or refuses.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Approve(options) => approve(options).await,
        Command::Shares(options) => shares(options).await,
        Command::Confirm(options) => confirm(options).await,
    }
}

async fn approve(options: ApproveOptions) -> Result<(), Failure> {
    let plan = fs::read_to_string(&options.plan);
    let plan = plan.map_err(|error| format!("{}: {error}", options.plan.display()))?;
    Plan::from_json(plan.as_bytes())?;
    let share = read_share(options.share.as_deref())?;
    let trusted = serving(&options.expected).await?;
    let approval = Approval::to_text(&share, &plan);
    let progress = give(&trusted, RESHARE_PATH, &approval).await?;
    let Progress {
        operator,
        given,
        threshold,
        approved,
        ..
    } = progress;
    let state = match approved {
        true => "the new shares are there: claviger reshare shares",
        false => "nothing has changed yet",
    };
    Ok(print(&format!(
        "{operator}: approval {given} of {threshold}; {state}\n"
    ))?)
}

async fn shares(options: SharesOptions) -> Result<(), Failure> {
    let SharesOptions { expected, out } = options;
    let trusted = serving(&expected).await?;
    let nonce = nonce();
    let path = format!("{NEW_SHARES_PATH}?nonce={}", hex::encode(nonce));
    let request = Request::get(path).header("host", trusted.endpoint.authority());
    let (status, body) = trusted
        .endpoint
        .send(request.body(Full::default())?)
        .await?;
    if status != 200 {
        return Err(refusal(&body));
    }
    let answer: Answer = serde_json::from_slice(&body)?;
    let receipt = Receipt::of_resharing(answer.result.as_bytes());
    let document = answer.attested(&expected, &trusted, &nonce, &receipt)?;

    let new: NewShares = serde_json::from_str(&answer.result)?;
    fs::create_dir(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let write = |name: &str, content: &[u8]| {
        let path = out.join(name);
        fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))
    };
    write("resharing.json", answer.result.as_bytes())?;
    write("resharing.document", &document)?;
    let mut text = format!("root key      {}\n", new.root_key_id);
    for share in &new.shares {
        let name = share_file(share);
        write(&name, share.share.as_bytes())?;
        text += &format!("share         {}/{name}\n", out.display());
    }
    text += &format!(
        "\nThe old shares are good until {} of {} operators have confirmed their new ones:\n  \
         age --decrypt --identity KEY NAME.share.age | claviger reshare confirm https://HOST:PORT ...\n",
        new.threshold,
        new.shares.len()
    );
    Ok(print(&text)?)
}

async fn confirm(options: ConfirmOptions) -> Result<(), Failure> {
    let share = read_share(options.share.as_deref())?;
    let trusted = serving(&options.expected).await?;
    let progress = give(&trusted, CONFIRM_PATH, &share.to_text()).await?;
    let Progress {
        operator,
        given,
        threshold,
        changed,
        ..
    } = progress;
    let state = match changed {
        true => "the old shares are void",
        false => "the old shares are still good",
    };
    Ok(print(&format!(
        "{operator}: new share {given} of {threshold} confirmed; {state}\n"
    ))?)
}

/// The expected enclave, if it serves, with a key to encrypt to in its document.
async fn serving(expected: &Expected) -> Result<Trusted, Failure> {
    // Only one that serves has that document; what the others say of it is no help.
    if expected.verify().await?.statement.stage != Stage::Serving {
        return Err("the enclave does not serve: it has to be unsealed first".into());
    }
    expected.verify_at(RESHARE_PATH).await
}

/// Sends a text that only the enclave can read.
async fn give(trusted: &Trusted, path: &str, text: &str) -> Result<Progress, Failure> {
    let key = trusted.verified.recipient_key()?;
    let message = key.seal(text.as_bytes(), &mut system_random())?;
    let body = post(&trusted.endpoint, path, message).await?;
    Ok(serde_json::from_slice(&body)?)
}
