//! The program around the library: arguments, logs, signals, exit codes.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::{Addresses, HostProxy, Options};

/// The arguments of the program.
#[derive(Clone, Debug, Args)]
pub struct Program {
    /// What it does.
    #[command(flatten)]
    pub options: Options,

    /// Form of the log on standard error.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What is logged: error, warn, info, debug, or a filter such as host_proxy=debug.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: LogFilter,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What is logged: a filter of `tracing-subscriber`.
#[derive(Clone, Debug)]
pub struct LogFilter(String);

impl std::str::FromStr for LogFilter {
    type Err = tracing_subscriber::filter::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned()))
    }
}

/// Runs the program to its end: exit code 0 after SIGTERM or SIGINT, or when
/// `parent` completes, for a program that starts this one.
///
/// Once it listens, it prints one line of JSON on standard output that says
/// where: `{"listen":"127.0.0.1:8080","host":"unix:/…","admin":"127.0.0.1:41234"}`.
pub fn main(program: Program, parent: impl Future<Output = ()>) -> ExitCode {
    start_log(program.log_format, &program.log);
    match run(program.options, parent) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(&*error), "the host proxy cannot go on");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options, parent: impl Future<Output = ()>) -> Result<(), Box<dyn Error>> {
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let proxy = HostProxy::bind(options).await?;
        announce(proxy.addresses())?;
        proxy
            .serve(async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    () = parent => {}
                }
            })
            .await;
        Ok(())
    })
}

fn announce(addresses: &Addresses) -> io::Result<()> {
    let line = json!({
        "listen": addresses.listen,
        "host": addresses.host.to_string(),
        "admin": addresses.admin,
    });
    tracing::info!(%line, "listening");
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

fn start_log(format: LogFormat, filter: &LogFilter) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&filter.0))
        .with_writer(io::stderr);
    // Fails when a caller has set up logging already, which is as good.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// Each relayed connection takes two file descriptors, and many systems start
/// a process with 1024 although it may have far more.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
