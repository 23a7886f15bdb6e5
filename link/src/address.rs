//! Where a peer listens, written the same way in every configuration.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The context id that stands for "any" when listening (`VMADDR_CID_ANY`).
const CID_ANY: u32 = u32::MAX;

/// An address of the enclave or of its host.
///
/// The text form is `vsock:16:5000` (`vsock:any:5000` to listen whatever the
/// own context id), `unix:/path/to.sock` or `tcp:127.0.0.1:5000`. In
/// configuration files it is a string of that form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// A TCP port of a named or numbered host: for tests and containers.
    Tcp {
        /// Host name or IP address, without the brackets of an IPv6 address.
        host: String,
        /// Port; 0 lets the listener choose.
        port: u16,
    },
    /// A unix socket: what stands for vsock where there is no enclave.
    Unix(PathBuf),
    /// A virtual socket, between a Nitro enclave and its parent.
    Vsock {
        /// Context id: 3 is the parent of an enclave, `u32::MAX` any.
        cid: u32,
        /// Port.
        port: u32,
    },
}

/// Why a text is not an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The scheme is none of the three, or there is none.
    #[error(
        "unknown address {0:?}: expected vsock:CID:PORT, unix:/path or tcp:HOST:PORT, \
         for example vsock:16:5000"
    )]
    Scheme(String),
    /// What follows `vsock:` is not a context id and a port.
    #[error("bad vsock address {0:?}: expected vsock:CID:PORT, for example vsock:16:5000")]
    Vsock(String),
    /// What follows `unix:` is empty.
    #[error("bad unix address {0:?}: expected unix:/path/to.sock")]
    Unix(String),
    /// What follows `tcp:` is not a host and a port.
    #[error("bad TCP address {0:?}: expected tcp:HOST:PORT, for example tcp:127.0.0.1:5000")]
    Tcp(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.split_once(':') {
            Some(("vsock", rest)) => {
                parse_vsock(rest).ok_or_else(|| AddressError::Vsock(text.to_owned()))
            }
            Some(("unix", "")) => Err(AddressError::Unix(text.to_owned())),
            Some(("unix", path)) => Ok(Self::Unix(PathBuf::from(path))),
            Some(("tcp", rest)) => {
                parse_tcp(rest).ok_or_else(|| AddressError::Tcp(text.to_owned()))
            }
            _ => Err(AddressError::Scheme(text.to_owned())),
        }
    }
}

fn parse_vsock(rest: &str) -> Option<Address> {
    let (cid, port) = rest.split_once(':')?;
    let cid = match cid {
        "any" => CID_ANY,
        number => number.parse().ok()?,
    };
    Some(Address::Vsock {
        cid,
        port: port.parse().ok()?,
    })
}

fn parse_tcp(rest: &str) -> Option<Address> {
    let (host, port) = rest.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inside) => inside.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    if host.is_empty() {
        return None;
    }
    Some(Address::Tcp {
        host: host.to_owned(),
        port: port.parse().ok()?,
    })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Vsock { cid: CID_ANY, port } => write!(f, "vsock:any:{port}"),
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
        }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_alike() {
        for text in [
            "vsock:16:5000",
            "vsock:any:5000",
            "unix:/run/claviger/enclave.sock",
            "unix:relative.sock",
            "unix:/odd:name",
            "tcp:127.0.0.1:5000",
            "tcp:enclave.internal:0",
            "tcp:[::1]:443",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            let json = serde_json::to_string(&address).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
        }
        assert_eq!(
            "vsock:4294967295:1".parse(),
            "vsock:any:1".parse::<Address>()
        );
    }

    #[test]
    fn anything_else_says_what_was_expected() {
        let scheme = |text: &str| AddressError::Scheme(text.to_owned());
        let vsock = |text: &str| AddressError::Vsock(text.to_owned());
        let tcp = |text: &str| AddressError::Tcp(text.to_owned());
        for (text, error) in [
            ("", scheme("")),
            ("/run/enclave.sock", scheme("/run/enclave.sock")),
            ("127.0.0.1:8080", scheme("127.0.0.1:8080")),
            ("vsock:5000", vsock("vsock:5000")),
            ("vsock:16:", vsock("vsock:16:")),
            ("vsock:-1:5000", vsock("vsock:-1:5000")),
            ("vsock:16:5000:1", vsock("vsock:16:5000:1")),
            ("unix:", AddressError::Unix("unix:".to_owned())),
            ("tcp:8080", tcp("tcp:8080")),
            ("tcp::8080", tcp("tcp::8080")),
            ("tcp:::1:8080", tcp("tcp:::1:8080")),
            ("tcp:[::1:8080", tcp("tcp:[::1:8080")),
            ("tcp:localhost:65536", tcp("tcp:localhost:65536")),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
    }
}
