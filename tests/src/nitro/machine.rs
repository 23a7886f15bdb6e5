//! A machine that boots, and the host it belongs to.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::parts;
use crate::call::Caller;
use crate::process::{ACCESS_KEY, SECRET_KEY, free_port};

/// Longer than a boot takes on two busy cores.
const BOOT: Duration = Duration::from_secs(180);

/// What the kernel is told: to end where it would restart, and otherwise to be quiet.
pub const COMMAND_LINE: &str = "console=ttyS0 reboot=t panic=-1 quiet";

/// The byte that enclave and parent exchange.
const HEARTBEAT: u8 = 0xb7;

/// The machine's memory.
const MEMORY: &str = "512M";

/// The parent instance of a Nitro machine.
pub const INSTANCE: &str = "i-0123456789abcdef0";
/// Its role.
pub const ROLE: &str = "arn:aws:iam::123456789012:role/enclaves";

/// Where on its host a machine is.
struct Place {
    name: &'static str,
    cid: &'static str,
    /// Its part of the module id.
    enclave: &'static str,
}

const FIRST: Place = Place {
    name: "enclave",
    cid: "16",
    enclave: "0123456789abcdef",
};

const SECOND: Place = Place {
    name: "second",
    cid: "17",
    enclave: "123456789abcdef0",
};

impl Place {
    /// The socket that stands for the machine's port.
    fn socket(&self) -> String {
        format!("{}.sock", self.name)
    }
}

/// What boots.
#[derive(Debug)]
pub enum Board {
    /// A stock machine without a secure module: kernel and ramdisk, each a file.
    Stock {
        /// The kernel.
        kernel: PathBuf,
        /// All ramdisks, one after the other.
        ramdisk: PathBuf,
    },
    /// A Nitro machine.
    Nitro {
        /// The monitor that has it.
        qemu: PathBuf,
        /// The enclave image file.
        image: PathBuf,
        /// The socket of whoever signs documents.
        signer: PathBuf,
        /// What its clock says at the start, if that is not the time.
        clock: Option<SystemTime>,
    },
}

/// A running machine; killed when dropped, as an enclave is terminated.
#[derive(Debug)]
pub struct Machine {
    qemu: Child,
    device: Child,
    console: PathBuf,
}

impl Machine {
    /// Switches it on; it serves later.
    ///
    /// # Panics
    ///
    /// When the monitor or the vsock device does not start.
    pub fn boot(board: &Board, host: &Host) -> Self {
        Self::boot_at(board, host, &FIRST)
    }

    /// Switches on another one on the same host, which may take over from the first.
    ///
    /// # Panics
    ///
    /// As [`boot`](Self::boot) does.
    pub fn boot_beside(board: &Board, host: &Host) -> Self {
        Self::boot_at(board, host, &SECOND)
    }

    fn boot_at(board: &Board, host: &Host, place: &Place) -> Self {
        let socket = host.file(&format!("{}-device.sock", place.name));
        let _ = fs::remove_file(&socket);
        let device = Command::new(parts::vsock_device())
            .arg("--socket")
            .arg(&socket)
            .args(["--cid", place.cid, "--guest-port"])
            .arg(format!("5000={}", host.unix(&place.socket())))
            .arg("--host-port")
            .arg(format!("5001={}", host.unix("host.sock")))
            .arg("--host-port")
            .arg(format!("9000={}", host.unix("parent.sock")))
            .stdin(Stdio::null())
            .spawn()
            .expect("the vsock device starts");
        wait_for(Duration::from_secs(10), || socket.exists());
        let console = host.file(&format!("{}-console.log", place.name));
        let _ = fs::remove_file(&console);
        let qemu = monitor(board, place, &socket, &console)
            .stdin(Stdio::null())
            .spawn()
            .expect("qemu starts");
        Self {
            qemu,
            device,
            console,
        }
    }

    /// What the machine has written to its console.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
    }

    /// Waits until the machine has written something to its console.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn wait_until_it_says(&self, text: &str) {
        let says = wait_for(BOOT, || self.console().contains(text));
        assert!(
            says,
            "the machine does not say {text:?}:\n{}",
            self.console()
        );
    }

    /// Waits until the machine has ended by itself.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = wait_for(BOOT, || {
            status = self.qemu.try_wait().expect("qemu can be waited for");
            status.is_some()
        });
        assert!(ended, "the machine goes on:\n{}", self.console());
        status.expect("just seen")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for child in [&mut self.qemu, &mut self.device] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn monitor(board: &Board, place: &Place, vsock: &Path, console: &Path) -> Command {
    let program = match board {
        Board::Stock { .. } => parts::stock_qemu(),
        Board::Nitro { qemu, .. } => qemu,
    };
    let mut command = Command::new(program);
    // Never with hardware's help, which is not to be had everywhere or not as it should be.
    command.args(["-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", MEMORY]);
    command.args(["-display", "none", "-monitor", "none", "-no-reboot"]);
    command
        .arg("-serial")
        .arg(format!("file:{}", console.display()));
    let vsock = format!("socket,id=vsock,path={}", vsock.display());
    command.args(["-chardev", &vsock]);
    match board {
        Board::Stock { kernel, ramdisk } => {
            command.args(["-machine", "q35,memory-backend=memory", "-nodefaults"]);
            let memory = format!("memory-backend-memfd,id=memory,size={MEMORY}");
            command.args(["-object", &memory]);
            command.args(["-device", "vhost-user-vsock-pci,chardev=vsock"]);
            command
                .arg("-kernel")
                .arg(kernel)
                .arg("-initrd")
                .arg(ramdisk);
            command.args(["-append", COMMAND_LINE]);
        }
        Board::Nitro {
            image,
            signer,
            clock,
            ..
        } => {
            let machine = format!(
                "nitro-enclave,vsock=vsock,id={INSTANCE}-enc{},parent-id={INSTANCE},\
                 parent-role={ROLE},acpi=on,rtc=on",
                place.enclave
            );
            command.args(["-machine", &machine]);
            command.args(["-L", "/usr/share/qemu", "-L", "/usr/share/seabios"]);
            command.arg("-kernel").arg(image);
            // Emulated and without ACPI's timer, the kernel can't always tell the processor's speed.
            let speed = format!("tsc_early_khz={} no_timer_check", processor_kilohertz());
            command.args(["-append", &speed]);
            command.env("NSM_SIGNER", signer);
            if let Some(clock) = clock {
                command.args(["-rtc", &format!("base={}", date_and_time(*clock))]);
            }
        }
    }
    command
}

/// As `2026-01-31T12:00:00`, in UTC.
fn date_and_time(time: SystemTime) -> String {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since_1970.expect("a time after 1970").as_secs();
    let output = Command::new("date")
        .args(["--utc", &format!("--date=@{seconds}"), "+%FT%T"])
        .output()
        .expect("date runs");
    let text = String::from_utf8(output.stdout).expect("digits");
    text.trim_end().to_owned()
}

fn processor_kilohertz() -> u64 {
    let known = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let megahertz = known.lines().find_map(|line| {
        line.strip_prefix("cpu MHz")?
            .split(':')
            .nth(1)?
            .trim()
            .parse::<f64>()
            .ok()
    });
    megahertz.map_or(2_000_000, |megahertz| (megahertz * 1000.0) as u64)
}

/// The parent instance: a host proxy as anybody runs it, and somebody who answers heartbeats.
#[derive(Debug)]
pub struct Host {
    folder: tempfile::TempDir,
    port: u16,
    proxy: Child,
    heartbeats: Arc<AtomicUsize>,
}

impl Host {
    /// Starts it, with an empty record store.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let unix = |name: &str| format!("unix:{}", folder.path().join(name).display());
        let proxy = Command::new(crate::claviger())
            .args(["host-proxy", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--enclave", &unix(&FIRST.socket())])
            .args(["--enclave", &unix(&SECOND.socket())])
            .args(["--host", &unix("host.sock")])
            .args(["--admin", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("host.log")).expect("a log file"))
            .spawn()
            .expect("the host proxy starts");
        let parent = UnixListener::bind(folder.path().join("parent.sock")).expect("a socket");
        let heartbeats = Arc::new(AtomicUsize::new(0));
        let heard = Arc::clone(&heartbeats);
        thread::spawn(move || {
            for mut enclave in parent.incoming().flatten() {
                let mut byte = [0];
                if enclave.read_exact(&mut byte).is_ok() && byte == [HEARTBEAT] {
                    heard.fetch_add(1, Ordering::Relaxed);
                    let _ = enclave.write_all(&byte);
                }
            }
        });
        let host = Self {
            folder,
            port,
            proxy,
            heartbeats,
        };
        let ready = wait_for(Duration::from_secs(30), || host.file("host.sock").exists());
        assert!(ready, "the host proxy does not listen:\n{}", host.log());
        host
    }

    /// A file in the host's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn unix(&self, name: &str) -> String {
        format!("unix:{}", self.file(name).display())
    }

    /// How many enclaves have said that they are up.
    pub fn heartbeats(&self) -> usize {
        self.heartbeats.load(Ordering::Relaxed)
    }

    /// What the host proxy has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("host.log")).unwrap_or_default()
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where clients connect to an enclave with TLS.
    pub fn https_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
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

    /// Waits until the enclave serves; returns its health.
    ///
    /// # Panics
    ///
    /// When it does not, with what the console says.
    pub fn wait_until_served(&self, machine: &mut Machine) -> Value {
        let mut health = None;
        self.wait_for_machine(machine, || {
            health = self.get("/health");
            health.is_some()
        });
        let health = health.expect("just seen");
        serde_json::from_slice(&health).expect("the health is JSON")
    }

    /// Waits until the enclave waits for its operators.
    ///
    /// # Panics
    ///
    /// When it does not, with what the console says.
    pub fn wait_until_operators_can(&self, machine: &mut Machine) {
        self.wait_for_machine(machine, || matches!(self.ask("/health"), Some((503, _))));
    }

    fn wait_for_machine(&self, machine: &mut Machine, mut ready: impl FnMut() -> bool) {
        let is_ready = wait_for(BOOT, || {
            let ended = machine.qemu.try_wait().expect("qemu can be waited for");
            assert!(
                ended.is_none(),
                "the machine has ended:\n{}",
                machine.console()
            );
            ready()
        });
        assert!(
            is_ready,
            "the enclave does not answer as it should:\n{}\nhost:\n{}",
            machine.console(),
            self.log()
        );
    }

    /// The body of an answer 200 to a GET; `None` for anything else.
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.ask(path)
            .and_then(|(status, body)| (status == 200).then_some(body))
    }

    /// The status and the body of an answer to a GET; `None` if there is none.
    fn ask(&self, path: &str) -> Option<(u16, Vec<u8>)> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .ok()?;
        let mut stream = BufReader::new(stream);
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.get_mut().write_all(request.as_bytes()).ok()?;
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        while line.trim_end() != "" {
            line.clear();
            stream.read_line(&mut line).ok()?;
        }
        let mut body = Vec::new();
        stream.read_to_end(&mut body).ok()?;
        Some((status, body))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

fn wait_for(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if is_so() {
            return true;
        }
        thread::sleep(Duration::from_millis(100));
    }
    false
}
