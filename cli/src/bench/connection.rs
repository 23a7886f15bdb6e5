//! A keep-alive connection of the load generator: one request at a time, and no more work on it
//! than has to be, so that what is measured is the server.
//!
//! It blocks, on a thread of its own: such a thread wakes up for its answer within microseconds,
//! where a timer of an async runtime has a grain of a millisecond.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConnection, StreamOwned};

use super::http2::Http2Connection;
use crate::client::{ANSWER_TIME, ClientError, Endpoint};

/// The most header fields of an answer.
pub(super) const MAX_HEADERS: usize = 32;

/// How much is read at once: more than any answer has.
const CHUNK: usize = 16 * 1024;

/// A connection to a server.
pub(super) enum Connection {
    Http1(Http1Connection),
    Http2(Box<Http2Connection>),
}

/// One of HTTP/1.1.
pub(super) struct Http1Connection {
    endpoint: Endpoint,
    stream: Stream,
    /// Whether the last answer is to be the last. Claviger's is not; another server's may be.
    closes: bool,
    received: Vec<u8>,
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// An answer, as long as the connection is not used again.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) head: &'a [u8],
    pub(super) body: &'a [u8],
}

impl Connection {
    /// Connects, TLS handshake included.
    pub(super) fn open(endpoint: &Endpoint) -> Result<Self, ClientError> {
        Ok(match endpoint.is_http2() {
            false => Self::Http1(Http1Connection::open(endpoint)?),
            true => Self::Http2(Box::new(Http2Connection::open(endpoint)?)),
        })
    }

    /// Sends a whole request, which is written as HTTP/1.1 has it, and reads its whole answer.
    pub(super) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        match self {
            Self::Http1(connection) => connection.exchange(request),
            Self::Http2(connection) => connection.exchange(request),
        }
    }
}

impl Http1Connection {
    fn open(endpoint: &Endpoint) -> Result<Self, ClientError> {
        Ok(Self {
            endpoint: endpoint.clone(),
            stream: Stream::open(endpoint)?,
            closes: false,
            received: Vec::with_capacity(CHUNK),
        })
    }

    fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        if self.closes {
            *self = Self::open(&self.endpoint).map_err(io::Error::other)?;
        }
        self.stream.as_writer().write_all(request)?;
        self.stream.as_writer().flush()?;
        self.received.clear();
        loop {
            self.receive()?;
            if let Some(head) = Head::parse(&self.received)? {
                let end = head.length + head.body;
                while self.received.len() < end {
                    self.receive()?;
                }
                self.closes = head.closes;
                let (text, body) = self.received.split_at(head.length);
                return Ok(Answer {
                    status: head.status,
                    head: text,
                    body,
                });
            }
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let filled = self.received.len();
        self.received.resize(filled + CHUNK, 0);
        let room = self.received.get_mut(filled..).unwrap_or_default();
        let read = match &mut self.stream {
            Stream::Clear(stream) => stream.read(room),
            Stream::Tls(stream) => stream.read(room),
        };
        self.received
            .truncate(filled + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            other => other.map(|_| ()),
        }
    }
}

impl Stream {
    fn open(endpoint: &Endpoint) -> Result<Self, ClientError> {
        let tcp = TcpStream::connect(endpoint.authority())?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(ANSWER_TIME))?;
        Ok(match endpoint.tls() {
            None => Self::Clear(tcp),
            Some(config) => {
                let client = ClientConnection::new(Arc::clone(config), endpoint.server_name()?)?;
                let mut stream = StreamOwned::new(client, tcp);
                while stream.conn.is_handshaking() {
                    stream.conn.complete_io(&mut stream.sock)?;
                }
                Self::Tls(Box::new(stream))
            }
        })
    }

    fn as_writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => stream,
        }
    }
}

/// What the head of an answer says.
struct Head {
    status: u16,
    /// Bytes of the head.
    length: usize,
    /// Bytes of the body.
    body: usize,
    /// Whether the connection ends with it.
    closes: bool,
}

impl Head {
    /// Reads it, if it is all there.
    fn parse(received: &[u8]) -> io::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let length = match response.parse(received) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(invalid(&format!("not an HTTP answer: {error}"))),
        };
        let value = |name: &str| {
            let mut headers = response.headers.iter();
            let header = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok()
        };
        let body = value("content-length").and_then(|length| length.parse().ok());
        let closes = value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(Some(Self {
            status: response.code.unwrap_or_default(),
            length,
            body: body.ok_or_else(|| invalid("an answer without a length"))?,
            closes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        for end in 0..answer.len() - 3 {
            assert!(Head::parse(&answer[..end]).unwrap().is_none(), "{end}");
        }
        let head = Head::parse(answer).unwrap().unwrap();
        assert_eq!(
            (head.status, head.length, head.body),
            (200, answer.len() - 3, 3)
        );
        assert!(!head.closes);
        let last = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: Close\r\n\r\n";
        assert!(Head::parse(last).unwrap().unwrap().closes);
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(Head::parse(b"SSH-2.0\r\n\r\n").is_err());
    }
}
