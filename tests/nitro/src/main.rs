//! The vsock device of an emulated enclave, with unix sockets on the host's side.
//!
//! ```text
//! claviger-vsock-device --socket PATH --cid CID [--guest-port PORT=unix:PATH]… [--host-port PORT=unix:PATH]…
//! ```
//!
//! A virtual machine monitor that speaks vhost-user connects to the socket; the program ends with
//! it. A guest port's path is listened on, and each connection there becomes one to that port of
//! the guest. A connection of the guest's to a host port (context id 2, or 3 as an enclave calls
//! its parent) becomes one to the path. So what talks to `vsock:` addresses inside the guest talks
//! to `unix:` addresses on the host, and nothing else changes.

mod connection;
mod device;
mod packet;
mod switch;

use std::collections::HashMap;
use std::error::Error;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::UnixListener;
use vhost_user_backend::VhostUserDaemon;
use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::epoll::EventSet;

use crate::device::{BELL, Device};
use crate::switch::Switch;

const USAGE: &str = "usage: claviger-vsock-device --socket PATH --cid CID \
    [--guest-port PORT=unix:PATH]... [--host-port PORT=unix:PATH]...";

fn main() -> ExitCode {
    let Some(options) = Options::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("claviger-vsock-device: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let _entered = runtime.enter();
    let switch = Switch::new(options.cid, options.host_ports, runtime.handle().clone())?;
    for (port, path) in options.guest_ports {
        // What a killed predecessor left.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(path)?;
        runtime.spawn(Arc::clone(&switch).listen(listener, port));
    }
    let device = Arc::new(Device::new(Arc::clone(&switch))?);
    let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
    let mut daemon = VhostUserDaemon::new("vsock".into(), device, memory)
        .map_err(|error| format!("no device: {error:?}"))?;
    let bell = switch.bell().as_raw_fd();
    for handler in daemon.get_epoll_handlers() {
        handler.register_listener(bell, EventSet::IN, u64::from(BELL))?;
    }
    // Ends when the monitor goes away, which it does without a word.
    let _ = daemon.serve(options.socket);
    Ok(())
}

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    socket: PathBuf,
    cid: u64,
    guest_ports: HashMap<u32, PathBuf>,
    host_ports: HashMap<u32, PathBuf>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self::default();
        while let Some(option) = arguments.next() {
            let value = arguments.next()?;
            match option.as_str() {
                "--socket" => options.socket = value.into(),
                "--cid" => options.cid = value.parse().ok()?,
                "--guest-port" => options.guest_ports.extend([mapping(&value)?]),
                "--host-port" => options.host_ports.extend([mapping(&value)?]),
                _ => return None,
            }
        }
        (options.cid > 2 && !options.socket.as_os_str().is_empty()).then_some(options)
    }
}

fn mapping(text: &str) -> Option<(u32, PathBuf)> {
    let (port, address) = text.split_once('=')?;
    Some((port.parse().ok()?, address.strip_prefix("unix:")?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Options> {
        Options::parse(text.split(' ').map(str::to_owned))
    }

    #[test]
    fn ports_lead_to_sockets() {
        let options =
            parse("--socket /s --cid 16 --guest-port 5000=unix:/g --host-port 5001=unix:/h");
        let expected = Options {
            socket: "/s".into(),
            cid: 16,
            guest_ports: HashMap::from([(5000, "/g".into())]),
            host_ports: HashMap::from([(5001, "/h".into())]),
        };
        assert_eq!(options, Some(expected));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "--socket /s",
            "--cid 16",
            "--socket /s --cid 2",
            "--socket /s --cid 16 --guest-port 5000=/g",
            "--socket /s --cid 16 --host-port x=unix:/h",
            "--socket /s --cid 16 --other x",
            "--socket /s --cid",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
