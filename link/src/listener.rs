//! Listening at an [`Address`].

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener, UnixSocket};
#[cfg(target_os = "linux")]
use tokio_vsock::{VsockAddr, VsockListener};

use crate::{Address, Stream};

/// How many connections may wait to be accepted on a unix socket.
const BACKLOG: u32 = 1024;

/// A listening socket. Dropping it closes it and removes a unix socket's file.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        file: SocketFile,
    },
    #[cfg(target_os = "linux")]
    Vsock {
        listener: VsockListener,
        cid: u32,
    },
}

/// Listens at `address`.
///
/// A unix socket is made with mode 0600, and what a killed predecessor left at
/// its path is removed, but never the socket of a live process: a file lock at
/// `<path>.lock`, which ends with the process that holds it, tells the two
/// apart.
///
/// # Errors
///
/// What the operating system answers; [`io::ErrorKind::AddrInUse`] when
/// another process listens there; [`io::ErrorKind::AlreadyExists`] when
/// something that is not a socket is at a unix socket's path;
/// [`io::ErrorKind::Unsupported`] for vsock on a system that has none.
pub async fn listen(address: &Address) -> io::Result<Listener> {
    let socket = match address {
        Address::Tcp { host, port } => {
            Socket::Tcp(TcpListener::bind((host.as_str(), *port)).await?)
        }
        Address::Unix(path) => listen_unix(path)?,
        #[cfg(target_os = "linux")]
        Address::Vsock { cid, port } => Socket::Vsock {
            listener: VsockListener::bind(VsockAddr::new(*cid, *port))?,
            cid: *cid,
        },
        #[cfg(not(target_os = "linux"))]
        Address::Vsock { .. } => return Err(io::ErrorKind::Unsupported.into()),
    };
    Ok(Listener { socket })
}

impl Listener {
    /// Waits for the next connection.
    ///
    /// Dropping the future loses no connection.
    ///
    /// # Errors
    ///
    /// What the operating system answers. Most errors concern one connection
    /// or pass (too many open files): wait a little and call again.
    pub async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(listener) => Stream::from_tcp(listener.accept().await?.0),
            Socket::Unix { listener, .. } => Ok(Stream::Unix(listener.accept().await?.0)),
            #[cfg(target_os = "linux")]
            Socket::Vsock { listener, .. } => Ok(Stream::Vsock(listener.accept().await?.0)),
        }
    }

    /// Where it listens, with the port that was chosen when 0 was asked for.
    ///
    /// # Errors
    ///
    /// What the operating system answers.
    pub fn local_address(&self) -> io::Result<Address> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let address = listener.local_addr()?;
                Ok(Address::Tcp {
                    host: address.ip().to_string(),
                    port: address.port(),
                })
            }
            Socket::Unix { file, .. } => Ok(Address::Unix(file.path.clone())),
            #[cfg(target_os = "linux")]
            Socket::Vsock { listener, cid } => Ok(Address::Vsock {
                cid: *cid,
                port: listener.local_addr()?.port(),
            }),
        }
    }
}

/// The file of a unix socket we listen on, and the lock that makes it ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    _lock: File,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The lock is still held, so this is our own socket; if it is gone
        // already there is nothing left to do.
        let _ = fs::remove_file(&self.path);
    }
}

fn listen_unix(path: &Path) -> io::Result<Socket> {
    let lock = lock_beside(path)?;
    remove_stale(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        _lock: lock,
    };
    // No one can connect before listen(2), so the mode is never too wide.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(Socket::Unix {
        listener: socket.listen(BACKLOG)?,
        file,
    })
}

fn lock_beside(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().as_bytes().to_vec();
    name.extend_from_slice(b".lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(Path::new(std::ffi::OsStr::from_bytes(&name)))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(in_use(path)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes the socket that a process which no longer runs left at `path`.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} exists and is not a socket", path.display()),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    // Our lock is free, but a program that knows no such lock may listen here.
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(in_use(path)),
    }
}

fn in_use(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::AddrInUse,
        format!("another process listens at {}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::connect;

    async fn echo_once(listener: &Listener) {
        let mut stream = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
    }

    async fn half_close_works(listener: &Listener) {
        let address = listener.local_address().unwrap();
        let client = async {
            let mut stream = connect(&address).await.unwrap();
            stream.write_all(b"over and out").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let ((), answer) = tokio::join!(echo_once(listener), client);
        assert_eq!(answer, b"over and out");
    }

    #[tokio::test]
    async fn a_half_closed_stream_still_carries_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let unix = Address::Unix(folder.path().join("a.sock"));
        let tcp = "tcp:127.0.0.1:0".parse().unwrap();
        for address in [unix, tcp] {
            half_close_works(&listen(&address).await.unwrap()).await;
        }
    }

    #[tokio::test]
    async fn a_unix_socket_is_private_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let listener = listen(&Address::Unix(path.clone())).await.unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let address = Address::Unix(path.clone());

        // A listener of the standard library leaves its file behind, as a
        // killed process does; while it lives it is not to be disturbed.
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let refused = listen(&address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        drop(other);
        let ours = listen(&address).await.unwrap();
        half_close_works(&ours).await;

        let refused = listen(&address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        half_close_works(&ours).await;
    }

    #[tokio::test]
    async fn what_is_not_a_socket_is_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        fs::write(&path, "precious").unwrap();
        let refused = listen(&Address::Unix(path.clone())).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
