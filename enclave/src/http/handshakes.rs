//! TLS handshakes with clients.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::turns::Turns;

/// Does handshakes. There is no other way to the acceptor, so none is done out of turn.
pub(super) struct Handshakes {
    acceptor: TlsAcceptor,
    turns: Turns,
}

impl Handshakes {
    pub(super) fn new(acceptor: TlsAcceptor) -> Self {
        Self {
            acceptor,
            turns: Turns::for_half_of_the_threads(),
        }
    }

    /// A handshake with the client of this stream.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.turns.work(self.acceptor.accept(stream)).await
    }
}
