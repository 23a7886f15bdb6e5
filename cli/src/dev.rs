//! `claviger dev`: a simulated enclave and its host proxy, set up and ready for
//! any AWS SDK.

use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use enclave::AWS_REGIONS;
use kms::name::AccountId;
use kms::seed::Seed;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::Failure;
use crate::client::{Client, ClientError, Endpoint};
use crate::credentials::Credentials;
use crate::part::Signals;
use crate::random::system_random;
use crate::screen::print;
use crate::server::{self, DataFolder, Log, Server};

/// The alias that AWS's own documentation uses in its examples.
pub const EXAMPLE_ALIAS: &str = "alias/ExampleAlias";

/// Options of `claviger dev`.
#[derive(Args)]
pub struct Options {
    /// Where clients connect
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    listen: SocketAddr,
    /// The folder that keeps all state between runs
    #[arg(long, value_name = "DIR", default_value = ".claviger")]
    data: PathBuf,
    /// The account that keys and principals belong to
    #[arg(long, value_name = "ID", default_value = "123456789012")]
    account: AccountId,
    /// Access key id of a principal with full rights [default: made once, kept in the data folder]
    #[arg(long, value_name = "ID", requires = "secret_key")]
    access_key: Option<String>,
    /// Secret access key that belongs to --access-key
    #[arg(long, value_name = "SECRET", requires = "access_key")]
    secret_key: Option<String>,
    /// A further simulated root to trust, beside this server's own (repeatable)
    #[arg(long, value_name = "PEM")]
    trust_root: Vec<PathBuf>,
    /// Accept attestation documents of debug-mode enclaves
    #[arg(long)]
    accept_debug: bool,
    /// How old an attestation document may be
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    max_age: u64,
    /// Serve HTTPS; the CA to trust is written to DIR/ca.pem
    #[arg(long)]
    tls: bool,
    /// Keys, ids, aliases and users that must exist, as JSON (docs/seed.md)
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Where the host proxy answers /healthz and /metrics
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = address)]
    admin: SocketAddr,
}

/// Starts the server, says how to use it, and serves until it is told to stop.
///
/// # Errors
/// When it can't be started, or one of its processes ends by itself.
pub async fn run(options: Options) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let data = DataFolder::open(&options.data)?;
    let credentials = match (options.access_key, options.secret_key) {
        (Some(access_key_id), Some(secret)) => Credentials {
            access_key_id,
            secret_access_key: Zeroizing::new(secret),
        },
        _ => Credentials::load_or_generate(&data.credentials(), &mut system_random())?,
    };
    let mut seed = match &options.seed {
        Some(path) => read_seed(path)?,
        None => Seed::default(),
    };
    seed.add_user(
        "developer",
        &credentials.access_key_id,
        &credentials.secret_access_key,
    );

    eprintln!("Starting a simulated enclave and its host proxy ...");
    let starting = Server::start(server::Options {
        listen: options.listen,
        admin: options.admin,
        data: options.data,
        account: options.account,
        trust_roots: options.trust_root,
        accept_debug: options.accept_debug,
        max_age: Duration::from_secs(options.max_age),
        tls: options.tls,
        seed,
        log: Log::StandardError,
    });
    let mut server = tokio::select! {
        biased;
        () = signals.next() => return Ok(()),
        started = starting => started?,
    };
    let endpoint = server.endpoint().clone();
    tokio::select! {
        // Ctrl-C reaches all processes of a terminal, so they may end first.
        biased;
        () = signals.next() => return stop(server).await,
        failure = server.ended() => return Err(failure.into()),
        made = create_example_keys(&endpoint, &credentials) => made?,
    }

    let ca = options.tls.then(|| data.tls_ca());
    eprint!(
        "{}",
        instructions(&server, &credentials, ca.as_deref(), &data)
    );
    print(&format!("ready {}\n", server.endpoint().url()))?;

    tokio::select! {
        biased;
        () = signals.next() => stop(server).await,
        failure = server.ended() => Err(failure.into()),
    }
}

async fn stop(server: Server) -> Result<(), Failure> {
    eprintln!("Stopping ...");
    Ok(server.stop().await?)
}

fn read_seed(path: &Path) -> Result<Seed, Failure> {
    let failed = |error: &dyn std::error::Error| format!("the seed {}: {error}", path.display());
    let text = fs::read(path)
        .map(Zeroizing::new)
        .map_err(|error| failed(&error))?;
    Ok(Seed::from_json(&text).map_err(|error| failed(&error))?)
}

/// Makes the example key and alias in each region that has none: one URL serves all
/// regions, and a key belongs to one.
async fn create_example_keys(
    endpoint: &Endpoint,
    credentials: &Credentials,
) -> Result<(), ClientError> {
    let mut regions = tokio::task::JoinSet::new();
    for region in AWS_REGIONS {
        let client = Client::new(endpoint.clone(), credentials.clone(), region);
        regions.spawn(async move { create_example_key(&client).await });
    }
    while let Some(outcome) = regions.join_next().await {
        outcome.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn create_example_key(client: &Client) -> Result<(), ClientError> {
    match client
        .call("DescribeKey", &json!({ "KeyId": EXAMPLE_ALIAS }))
        .await
    {
        Err(ClientError::Refused { code, .. }) if code == "NotFoundException" => (),
        Err(other) => return Err(other),
        Ok(_) => return Ok(()),
    }
    let description = "Made by claviger dev for alias/ExampleAlias";
    let created = client
        .call("CreateKey", &json!({ "Description": description }))
        .await?;
    let key_id = &created["KeyMetadata"]["KeyId"];
    let alias = json!({ "AliasName": EXAMPLE_ALIAS, "TargetKeyId": key_id });
    client.call("CreateAlias", &alias).await.map(|_: Value| ())
}

/// What a person needs to paste, for the terminal.
fn instructions(
    server: &Server,
    credentials: &Credentials,
    ca: Option<&Path>,
    data: &DataFolder,
) -> String {
    let url = server.endpoint().url();
    let Credentials {
        access_key_id,
        secret_access_key,
    } = credentials;
    let bundle = ca.map_or(String::new(), |path| {
        format!(
            "\n  export AWS_CA_BUNDLE={0}\n  export NODE_EXTRA_CA_CERTS={0}",
            path.display()
        )
    });
    format!(
        "
Claviger serves the AWS KMS API at {url}
  SIMULATED: attestation is checked by the production verifier, but this server
  also trusts its own simulated NSM, so nothing it keeps is protected.

Paste into a shell:
  export AWS_ENDPOINT_URL_KMS={url}
  export AWS_ACCESS_KEY_ID={access_key_id}
  export AWS_SECRET_ACCESS_KEY={secret}
  export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1{bundle}

AWS CLI:
  aws kms generate-data-key --key-id {EXAMPLE_ALIAS} --key-spec AES_256 --endpoint-url {url}

Python:
  boto3.client(\"kms\", endpoint_url=\"{url}\").generate_data_key(KeyId=\"{EXAMPLE_ALIAS}\", KeySpec=\"AES_256\")

An attestation document for a test enclave, and the key to open answers with:
  claviger attest new --ca {ca} --recipient-key recipient.pem --out document.bin

Health and metrics: http://{admin}/healthz  http://{admin}/metrics
Stop with Ctrl-C.

",
        secret = secret_access_key.as_str(),
        ca = data.nsm_ca().display(),
        admin = server.admin(),
    )
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.to_socket_addrs()
        .map_err(|error| format!("{error}; give HOST:PORT, for instance 127.0.0.1:8080"))?
        .next()
        .ok_or_else(|| "the name has no address".to_owned())
}
