//! Carries bytes between the guest's connections and the host's unix sockets.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use vmm_sys_util::eventfd::EventFd;

use crate::connection::{Connection, Ended, Outgoing};
use crate::packet::{Credit, End, Header, Operation, STREAM};

/// The context ids by which a guest names its host: the one of every virtual machine's, and the
/// one of an enclave's parent instance.
const HOST_CIDS: [u64; 2] = [2, PARENT];
const PARENT: u64 = 3;

/// How long a guest may take to grant a connection.
const GRANT: Duration = Duration::from_secs(5);

/// The most bytes of the host's in one packet.
const PART: usize = 64 * 1024;

/// What the guest has sent to one connection.
struct Incoming {
    operation: Option<Operation>,
    flags: u32,
    credit: Credit,
    data: Vec<u8>,
}

/// Both ends of a connection: the host's, then the guest's.
type Ends = (End, End);

/// All connections.
pub struct Switch {
    guest: u64,
    /// Where connections of the guest's go, by port.
    host_ports: HashMap<u32, PathBuf>,
    connections: Mutex<HashMap<Ends, mpsc::UnboundedSender<Incoming>>>,
    outgoing: Mutex<VecDeque<(Header, Vec<u8>)>>,
    /// Rings when there is something for the guest.
    bell: EventFd,
    next_port: AtomicU32,
    runtime: tokio::runtime::Handle,
}

impl Switch {
    /// A switch for the guest with this context id.
    pub fn new(
        guest: u64,
        host_ports: HashMap<u32, PathBuf>,
        runtime: tokio::runtime::Handle,
    ) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            guest,
            host_ports,
            connections: Mutex::default(),
            outgoing: Mutex::default(),
            bell: EventFd::new(vmm_sys_util::eventfd::EFD_NONBLOCK)?,
            // Where nobody listens.
            next_port: AtomicU32::new(1 << 30),
            runtime,
        }))
    }

    /// The guest's context id.
    pub fn guest(&self) -> u64 {
        self.guest
    }

    /// Rings when there is something for the guest.
    pub fn bell(&self) -> &EventFd {
        &self.bell
    }

    /// What is to be sent to the guest.
    pub fn outgoing(&self) -> MutexGuard<'_, VecDeque<(Header, Vec<u8>)>> {
        lock(&self.outgoing)
    }

    /// Connects each connection at a listener of the host's to a port of the guest's.
    pub async fn listen(self: Arc<Self>, listener: UnixListener, port: u32) {
        while let Ok((stream, _)) = listener.accept().await {
            let number = self.next_port.fetch_add(1, Ordering::Relaxed);
            let host = End {
                cid: PARENT,
                port: number,
            };
            let guest = End {
                cid: self.guest,
                port,
            };
            let incoming = self.enter((host, guest));
            let (connection, request) = Connection::from_host();
            self.send((host, guest), request);
            tokio::spawn(Arc::clone(&self).dial(stream, connection, (host, guest), incoming));
        }
    }

    async fn dial(
        self: Arc<Self>,
        stream: UnixStream,
        mut connection: Connection,
        ends: Ends,
        mut incoming: mpsc::UnboundedReceiver<Incoming>,
    ) {
        let first = timeout(GRANT, incoming.recv()).await;
        let granted = match first {
            Ok(Some(first)) => take(&mut connection, first).map(drop),
            Ok(None) | Err(_) => Err(Ended::ByHost),
        };
        match granted {
            Ok(()) => self.carry(stream, connection, ends, incoming).await,
            Err(ended) => self.leave(ends, &mut connection, ended),
        }
    }

    /// Takes a packet from the guest.
    pub fn receive(self: &Arc<Self>, header: Header, data: Vec<u8>) {
        if header.source.cid != self.guest {
            return;
        }
        let ends = (header.destination, header.source);
        let incoming = Incoming {
            operation: header.operation,
            flags: header.flags,
            credit: header.credit,
            data,
        };
        let known = lock(&self.connections).get(&ends).cloned();
        match (known, header.operation) {
            // Its task may have ended since; then it has reset the connection.
            (Some(known), _) if header.kind == STREAM => drop(known.send(incoming)),
            (_, Some(Operation::Reset)) => {}
            (None, Some(Operation::Request)) if header.kind == STREAM => {
                let path = self.host_ports.get(&header.destination.port);
                match path.filter(|_| HOST_CIDS.contains(&header.destination.cid)) {
                    Some(path) => {
                        let incoming = self.enter(ends);
                        let accepted =
                            Arc::clone(self).accept(path.clone(), header.credit, ends, incoming);
                        self.runtime.spawn(accepted);
                    }
                    None => self.refuse(ends),
                }
            }
            _ => self.refuse(ends),
        }
    }

    async fn accept(
        self: Arc<Self>,
        path: PathBuf,
        credit: Credit,
        ends: Ends,
        incoming: mpsc::UnboundedReceiver<Incoming>,
    ) {
        let (mut connection, response) = Connection::from_guest(credit);
        match UnixStream::connect(path).await {
            Ok(stream) => {
                self.send(ends, response);
                self.carry(stream, connection, ends, incoming).await;
            }
            Err(_) => self.leave(ends, &mut connection, Ended::ByHost),
        }
    }

    /// Carries bytes both ways until both are at their end.
    async fn carry(
        self: Arc<Self>,
        stream: UnixStream,
        mut connection: Connection,
        ends: Ends,
        mut incoming: mpsc::UnboundedReceiver<Incoming>,
    ) {
        let (mut from_host, mut to_host) = stream.into_split();
        let mut part = vec![0; PART];
        let mut is_told = false;
        let mut is_sending = true;
        let ended = loop {
            if connection.is_over() {
                break Ended::ByHost;
            }
            if connection.is_read_out() && !is_told {
                is_told = true;
                let _ = to_host.shutdown().await;
            }
            let room = connection.room().min(PART);
            let event = tokio::select! {
                packet = incoming.recv() => match packet {
                    Some(packet) => take(&mut connection, packet),
                    None => Err(Ended::ByHost),
                },
                count = to_host.write(connection.pending()), if !connection.pending().is_empty() => {
                    count.map(|count| connection.host_took(count)).map_err(|_| Ended::ByHost)
                }
                count = from_host.read(&mut part[..room]), if is_sending && room > 0 => match count {
                    Ok(0) => {
                        is_sending = false;
                        Ok(Some(connection.host_finished()))
                    }
                    Ok(count) => Ok(Some(connection.host_sent(part[..count].to_vec()))),
                    Err(_) => Err(Ended::ByHost),
                },
            };
            match event {
                Ok(Some(outgoing)) => self.send(ends, outgoing),
                Ok(None) => {}
                Err(ended) => break ended,
            }
        };
        self.leave(ends, &mut connection, ended);
    }

    fn enter(&self, ends: Ends) -> mpsc::UnboundedReceiver<Incoming> {
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.connections).insert(ends, sender);
        receiver
    }

    fn leave(&self, ends: Ends, connection: &mut Connection, ended: Ended) {
        lock(&self.connections).remove(&ends);
        if ended == Ended::ByHost {
            self.send(ends, connection.reset());
        }
    }

    fn refuse(&self, ends: Ends) {
        self.send(ends, Connection::from_guest(Credit::default()).0.reset());
    }

    fn send(&self, (host, guest): Ends, outgoing: Outgoing) {
        let header = Header {
            source: host,
            destination: guest,
            length: outgoing.data.len() as u32,
            kind: STREAM,
            operation: Some(outgoing.operation),
            flags: outgoing.flags,
            credit: outgoing.credit,
        };
        self.outgoing().push_back((header, outgoing.data));
        // It is ringing already if this fails.
        let _ = self.bell.write(1);
    }
}

fn take(connection: &mut Connection, incoming: Incoming) -> Result<Option<Outgoing>, Ended> {
    let Incoming {
        operation,
        flags,
        credit,
        data,
    } = incoming;
    connection.receive(operation, flags, credit, &data)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{WILL_NOT_RECEIVE, WILL_NOT_SEND};

    const GUEST: End = End {
        cid: 16,
        port: 1234,
    };
    const HOST: End = End { cid: 3, port: 7000 };
    const CREDIT: Credit = Credit {
        buffer: 1000,
        taken: 0,
    };

    fn packet(operation: Operation, flags: u32, length: usize) -> Header {
        Header {
            source: GUEST,
            destination: HOST,
            length: length as u32,
            kind: STREAM,
            operation: Some(operation),
            flags,
            credit: CREDIT,
        }
    }

    async fn next(switch: &Switch) -> (Option<Operation>, Vec<u8>) {
        for _ in 0..1000 {
            if let Some((header, data)) = switch.outgoing().pop_front() {
                assert_eq!((header.source, header.destination), (HOST, GUEST));
                return (header.operation, data);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nothing for the guest");
    }

    fn switch(path: &str) -> Arc<Switch> {
        let ports = HashMap::from([(HOST.port, path.into())]);
        Switch::new(GUEST.cid, ports, tokio::runtime::Handle::current()).unwrap()
    }

    #[tokio::test]
    async fn a_guest_reaches_a_socket_and_hears_both_ends() {
        let path = std::env::temp_dir().join(format!("switch-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let switch = switch(path.to_str().unwrap());
        switch.receive(packet(Operation::Request, 0, 0), Vec::new());
        let (mut host, _) = listener.accept().await.unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(next(&switch).await.0, Some(Operation::Response));

        switch.receive(packet(Operation::Data, 0, 4), b"ping".to_vec());
        switch.receive(packet(Operation::Shutdown, WILL_NOT_SEND, 0), Vec::new());
        let mut heard = Vec::new();
        host.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"ping");
        host.write_all(b"pong").await.unwrap();
        assert_eq!(
            next(&switch).await,
            (Some(Operation::Data), b"pong".to_vec())
        );
        drop(host);
        assert_eq!(next(&switch).await.0, Some(Operation::Shutdown));
        let both = WILL_NOT_SEND | WILL_NOT_RECEIVE;
        switch.receive(packet(Operation::Shutdown, both, 0), Vec::new());
        assert_eq!(next(&switch).await.0, Some(Operation::Reset));
        assert!(lock(&switch.connections).is_empty());
    }

    #[tokio::test]
    async fn what_leads_nowhere_is_reset() {
        let switch = switch("/nonexistent");
        let elsewhere = |destination| Header {
            destination,
            ..packet(Operation::Request, 0, 0)
        };
        for destination in [HOST, End { port: 7001, ..HOST }, End { cid: 4, ..HOST }] {
            switch.receive(elsewhere(destination), Vec::new());
            let refused = loop {
                if let Some(packet) = switch.outgoing().pop_front() {
                    break packet.0;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            assert_eq!(
                (refused.operation, refused.source),
                (Some(Operation::Reset), destination)
            );
        }
        switch.receive(packet(Operation::Data, 0, 0), Vec::new());
        assert_eq!(next(&switch).await.0, Some(Operation::Reset));
        switch.receive(packet(Operation::Reset, 0, 0), Vec::new());
        assert!(switch.outgoing().is_empty());
    }
}
