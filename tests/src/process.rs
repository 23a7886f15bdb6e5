//! The server's processes: started, watched, killed.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::call::Caller;

/// Longer than a start takes on two busy cores.
const START: Duration = Duration::from_secs(60);

/// The access key that tests hand to the server.
pub const ACCESS_KEY: &str = "AKIACLAVIGERTEST0001";
/// Its secret.
pub const SECRET_KEY: &str = "thesecretofthetests0000000000000000000000";

/// A running `claviger dev`, stopped when dropped.
#[derive(Debug)]
pub struct Dev {
    child: Child,
    /// What the line `ready URL` said.
    pub url: String,
    data: PathBuf,
    /// Its log, and its data unless they are kept elsewhere.
    _folder: TempDir,
}

impl Dev {
    /// Starts `claviger dev` on a free port with an empty data folder and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::start_with(folder.path().join("data"), folder, options)
    }

    /// The same with a data folder that outlives it.
    ///
    /// # Panics
    ///
    /// When it does not serve.
    pub fn start_in(data: &Path, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::start_with(data.to_owned(), folder, options)
    }

    fn start_with(data: PathBuf, folder: TempDir, options: &[&str]) -> Self {
        let log = File::create(folder.path().join("dev.stderr")).expect("a log file");
        let mut child = Command::new(crate::claviger())
            .args([
                "dev",
                "--listen",
                "127.0.0.1:0",
                "--access-key",
                ACCESS_KEY,
                "--secret-key",
                SECRET_KEY,
                "--data",
            ])
            .arg(&data)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("claviger starts");
        let output = child.stdout.take().expect("a pipe");
        let (said, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(url) = line.strip_prefix("ready ") {
                    // Nobody listens any more when the start has timed out.
                    let _ = said.send(url.to_owned());
                }
            }
        });
        let Ok(url) = heard.recv_timeout(START) else {
            let _ = child.kill();
            let log = fs::read_to_string(folder.path().join("dev.stderr")).unwrap_or_default();
            panic!("claviger dev did not say that it is ready:\n{log}");
        };
        Self {
            child,
            url,
            data,
            _folder: folder,
        }
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A caller with full rights.
    pub fn caller(&self) -> Caller {
        let authority = self
            .url
            .split("//")
            .nth(1)
            .unwrap_or(&self.url)
            .trim_end_matches('/');
        Caller {
            authority: authority.to_owned(),
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            region: "eu-central-1".into(),
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        terminate(&mut self.child);
    }
}

/// Asks a process to stop, and insists after ten seconds.
fn terminate(child: &mut Child) -> Option<ExitStatus> {
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// A TCP port that nobody uses now.
///
/// # Panics
///
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// The enclave and the host proxy as two processes that a test may kill at will.
#[derive(Debug)]
pub struct Pair {
    folder: TempDir,
    port: u16,
    enclave: Child,
    host: Child,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The trusted process.
    Enclave,
    /// The untrusted one.
    Host,
}

impl Pair {
    /// Starts both with an empty data folder.
    ///
    /// # Panics
    ///
    /// When one does not start.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let seed = serde_json::json!({ "users": [{
            "name": "tester",
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
        }]});
        let config = serde_json::json!({
            "listen": format!("unix:{}", folder.path().join("enclave.sock").display()),
            "host": format!("unix:{}", folder.path().join("host.sock").display()),
            "account": "123456789012",
            "nsm": { "simulated": { "ca": folder.path().join("nsm-ca.pem"), "region": "eu-central-1" } },
            "trust": { "aws": false, "roots": [], "accept_debug": false, "max_age_seconds": 300 },
            "root_key": { "dev_file": folder.path().join("root-key") },
            "seed": seed,
        });
        fs::write(folder.path().join("enclave.json"), config.to_string())
            .expect("the configuration");
        let host = start(Side::Host, folder.path(), port);
        let enclave = start(Side::Enclave, folder.path(), port);
        Self {
            folder,
            port,
            enclave,
            host,
        }
    }

    /// A caller with full rights.
    pub fn caller(&self) -> Caller {
        Caller {
            authority: format!("127.0.0.1:{}", self.port),
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            region: "eu-central-1".into(),
        }
    }

    /// Kills one side with SIGKILL.
    ///
    /// # Panics
    ///
    /// When the operating system refuses.
    pub fn kill(&mut self, side: Side) {
        let child = self.child(side);
        child.kill().expect("our own child can be killed");
        child.wait().expect("a killed child ends");
    }

    /// Starts again whichever side is not running; returns which were.
    ///
    /// # Panics
    ///
    /// When one does not start.
    pub fn revive(&mut self) -> Vec<Side> {
        let mut revived = Vec::new();
        for side in [Side::Host, Side::Enclave] {
            if let Ok(Some(_)) = self.child(side).try_wait() {
                *self.child(side) = start(side, self.folder.path(), self.port);
                revived.push(side);
            }
        }
        revived
    }

    /// What a side has logged.
    pub fn log(&self, side: Side) -> String {
        fs::read_to_string(log_file(side, self.folder.path())).unwrap_or_default()
    }

    /// The folder that the host proxy writes.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The most memory that a side has had, in bytes.
    ///
    /// # Panics
    ///
    /// When the kernel does not say.
    pub fn peak_memory(&mut self, side: Side) -> u64 {
        let status = format!("/proc/{}/status", self.child(side).id());
        let status = fs::read_to_string(status).expect("the process runs");
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
        let kibibytes: u64 = peak.and_then(|peak| peak.parse().ok()).expect("a peak");
        kibibytes * 1024
    }

    fn child(&mut self, side: Side) -> &mut Child {
        match side {
            Side::Enclave => &mut self.enclave,
            Side::Host => &mut self.host,
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        terminate(&mut self.enclave);
        terminate(&mut self.host);
    }
}

fn start(side: Side, folder: &Path, port: u16) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_file(side, folder))
        .expect("a log file");
    let unix = |name: &str| format!("unix:{}", folder.join(name).display());
    let mut command = Command::new(crate::claviger());
    match side {
        Side::Enclave => command
            .args(["enclave", "--config"])
            .arg(folder.join("enclave.json")),
        Side::Host => command
            .args(["host-proxy", "--listen", &format!("127.0.0.1:{port}")])
            .args([
                "--enclave",
                &unix("enclave.sock"),
                "--host",
                &unix("host.sock"),
            ])
            .args(["--admin", "127.0.0.1:0", "--data"])
            .arg(folder.join("data")),
    };
    let log_too = log.try_clone().expect("a second handle");
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_too)
        .spawn()
        .expect("claviger starts")
}

fn log_file(side: Side, folder: &Path) -> PathBuf {
    folder.join(match side {
        Side::Enclave => "enclave.log",
        Side::Host => "host.log",
    })
}
