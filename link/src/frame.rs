//! Frames: a four-byte big-endian length, then one CBOR value.

use std::io;

use bytes::{Buf, BytesMut};
use minicbor::{Decode, Decoder, Encode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of the length before each frame.
const HEADER: usize = 4;

/// How much room is made at a time for bytes that have yet to arrive.
const CHUNK: usize = 64 * 1024;

/// How much at least, so that short messages come several at a time.
const SMALL: usize = 4096;

/// A buffer that a large frame has grown beyond this is given back.
const RETAINED: usize = 1024 * 1024;

/// Why a link connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A frame without content, which no message has.
    #[error("empty frame")]
    EmptyFrame,
    /// The peer took too long over its greeting.
    #[error("no greeting in time")]
    GreetingTimeout,
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The frame's content is not the message expected here.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// The host did not take the channel.
    #[error("the host refused the channel: {0}")]
    Refused(String),
    /// A frame is larger than its channel allows.
    #[error("frame of {length} bytes, at most {limit} are allowed")]
    TooLarge {
        /// The claimed or encoded length.
        length: usize,
        /// The channel's limit.
        limit: usize,
    },
    /// The connection ended within a frame.
    #[error("the connection ended within a frame")]
    Truncated,
}

/// Reads messages from one direction of a connection.
#[derive(Debug)]
pub struct FrameReader<R> {
    source: R,
    limit: usize,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `source` frames of at most `limit` bytes of content.
    pub fn new(source: R, limit: usize) -> Self {
        Self {
            source,
            limit,
            buffer: BytesMut::new(),
        }
    }

    /// Changes the limit for the frames that follow.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Reads the next message; `None` when the peer has closed between frames.
    ///
    /// Dropping the future loses nothing: what has arrived is kept for the
    /// next call.
    ///
    /// # Errors
    ///
    /// Every error is final: the connection is of no further use.
    pub async fn receive<M>(&mut self) -> Result<Option<M>, LinkError>
    where
        M: for<'b> Decode<'b, ()>,
    {
        let Some(length) = self.frame_length().await? else {
            return Ok(None);
        };
        while self.buffer.len() < HEADER + length {
            if self.fill(HEADER + length).await? == 0 {
                return Err(LinkError::Truncated);
            }
        }
        let mut frame = self.buffer.split_to(HEADER + length);
        frame.advance(HEADER);
        let message = decode(&frame)?;
        drop(frame);
        if self.buffer.is_empty() && self.buffer.capacity() > RETAINED {
            self.buffer = BytesMut::new();
        }
        Ok(Some(message))
    }

    /// Waits for a frame's header and checks the length it claims.
    async fn frame_length(&mut self) -> Result<Option<usize>, LinkError> {
        loop {
            if let Some(&header) = self.buffer.first_chunk::<HEADER>() {
                // A length beyond the address space is beyond any limit too.
                let length = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
                return match length {
                    0 => Err(LinkError::EmptyFrame),
                    _ if length > self.limit => Err(LinkError::TooLarge {
                        length,
                        limit: self.limit,
                    }),
                    _ => Ok(Some(length)),
                };
            }
            if self.fill(HEADER).await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(LinkError::Truncated),
                };
            }
        }
    }

    /// Reads what is there. When there is no room, it is made for a [`CHUNK`]
    /// at most however much is still `wanted`: memory follows the bytes that
    /// have arrived, not the claim.
    async fn fill(&mut self, wanted: usize) -> io::Result<usize> {
        if self.buffer.len() == self.buffer.capacity() {
            let missing = wanted.saturating_sub(self.buffer.len());
            self.buffer.reserve(missing.clamp(SMALL, CHUNK));
        }
        self.source.read_buf(&mut self.buffer).await
    }
}

fn decode<M>(content: &[u8]) -> Result<M, LinkError>
where
    M: for<'b> Decode<'b, ()>,
{
    let mut decoder = Decoder::new(content);
    let message = decoder
        .decode()
        .map_err(|error| LinkError::Malformed(error.to_string()))?;
    if decoder.position() != content.len() {
        return Err(LinkError::Malformed("bytes after the message".to_owned()));
    }
    Ok(message)
}

/// Writes messages to one direction of a connection.
#[derive(Debug)]
pub struct FrameWriter<W> {
    sink: W,
    limit: usize,
    buffer: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// Writes to `sink` frames of at most `limit` bytes of content.
    pub fn new(sink: W, limit: usize) -> Self {
        Self {
            sink,
            limit,
            buffer: Vec::new(),
        }
    }

    /// Changes the limit for the frames that follow.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Sends one message.
    ///
    /// Dropping the future before it is done may leave half a frame written:
    /// the connection must not be used afterwards.
    ///
    /// # Errors
    ///
    /// [`LinkError::TooLarge`] is returned before anything is written and
    /// leaves the connection usable; any other error is final.
    pub async fn send<M: Encode<()>>(&mut self, message: &M) -> Result<(), LinkError> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; HEADER]);
        // Writing to a Vec cannot fail, and no message of ours refuses itself.
        minicbor::encode(message, &mut self.buffer)
            .map_err(|error| LinkError::Malformed(error.to_string()))?;
        let length = self.buffer.len() - HEADER;
        let too_large = LinkError::TooLarge {
            length,
            limit: self.limit,
        };
        if length > self.limit {
            self.give_back();
            return Err(too_large);
        }
        let Ok(header) = u32::try_from(length) else {
            return Err(too_large);
        };
        if let Some(place) = self.buffer.first_chunk_mut::<HEADER>() {
            *place = header.to_be_bytes();
        }
        self.sink.write_all(&self.buffer).await?;
        self.sink.flush().await?;
        self.give_back();
        Ok(())
    }

    /// Closes this direction; the peer's reader sees the end.
    ///
    /// # Errors
    ///
    /// What the operating system answers.
    pub async fn close(&mut self) -> io::Result<()> {
        self.sink.shutdown().await
    }

    fn give_back(&mut self) {
        if self.buffer.capacity() > RETAINED {
            self.buffer = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokio::io::ReadBuf;

    use super::*;

    const LIMIT: usize = 1000;

    /// Bytes that arrive in given pieces, with a pause before each.
    struct Arrivals {
        pieces: VecDeque<Vec<u8>>,
        paused: bool,
    }

    impl Arrivals {
        fn new(bytes: &[u8], sizes: &[usize]) -> Self {
            let mut rest = bytes;
            let mut pieces = VecDeque::new();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at(rest.len().min(*size));
                pieces.push_back(piece.to_vec());
                rest = after;
            }
            Self {
                pieces,
                paused: false,
            }
        }
    }

    impl AsyncRead for Arrivals {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.paused = !self.paused;
            if self.paused {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(mut piece) = self.pieces.pop_front() {
                let now = piece.len().min(buf.remaining());
                buf.put_slice(&piece[..now]);
                if now < piece.len() {
                    self.pieces.push_front(piece.split_off(now));
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    async fn written(messages: &[String]) -> Vec<u8> {
        let mut writer = FrameWriter::new(Vec::new(), LIMIT);
        for message in messages {
            writer.send(message).await.unwrap();
        }
        writer.sink
    }

    async fn read_all<R: AsyncRead + Unpin>(
        reader: &mut FrameReader<R>,
    ) -> (Vec<String>, Result<(), LinkError>) {
        let mut messages = Vec::new();
        loop {
            match reader.receive().await {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return (messages, Ok(())),
                Err(error) => return (messages, Err(error)),
            }
        }
    }

    proptest! {
        #[test]
        fn messages_arrive_whole_however_the_bytes_come(
            messages in vec(".{0,60}", 0..20),
            sizes in vec(1_usize..50, 1..8),
        ) {
            block_on(async {
                let bytes = written(&messages).await;
                let mut reader = FrameReader::new(Arrivals::new(&bytes, &sizes), LIMIT);
                let (read, end) = read_all(&mut reader).await;
                assert!(end.is_ok(), "{end:?}");
                assert_eq!(read, messages);
            });
        }

        #[test]
        fn a_connection_cut_within_a_frame_is_noticed(
            messages in vec(".{0,20}", 1..5),
            cut in any::<prop::sample::Index>(),
            sizes in vec(1_usize..20, 1..4),
        ) {
            block_on(async {
                let bytes = written(&messages).await;
                let cut = cut.index(bytes.len());
                let mut whole = Vec::new();
                let mut boundary = 0;
                for message in &messages {
                    let next = boundary + written(std::slice::from_ref(message)).await.len();
                    if next > cut {
                        break;
                    }
                    whole.push(message.clone());
                    boundary = next;
                }
                let arrivals = Arrivals::new(&bytes[..cut], &sizes);
                let (read, end) = read_all(&mut FrameReader::new(arrivals, LIMIT)).await;
                assert_eq!(read, whole);
                match end {
                    Ok(()) => assert_eq!(cut, boundary),
                    Err(LinkError::Truncated) => assert!(cut > boundary),
                    Err(error) => panic!("{error:?}"),
                }
            });
        }

        #[test]
        fn whatever_arrives_memory_stays_bounded(
            bytes in vec(any::<u8>(), 0..300),
            sizes in vec(1_usize..50, 1..4),
        ) {
            block_on(async {
                let mut reader = FrameReader::new(Arrivals::new(&bytes, &sizes), 1 << 30);
                let _ = read_all(&mut reader).await;
                assert!(reader.buffer.capacity() <= CHUNK, "{}", reader.buffer.capacity());
            });
        }

        #[test]
        fn dropping_a_read_half_way_loses_nothing(
            messages in vec(".{0,60}", 1..10),
            sizes in vec(1_usize..20, 1..4),
        ) {
            block_on(async {
                let bytes = written(&messages).await;
                let mut reader = FrameReader::new(Arrivals::new(&bytes, &sizes), LIMIT);
                let mut read: Vec<String> = Vec::new();
                loop {
                    // Polls the read once, then drops it.
                    let polled = tokio::select! {
                        biased;
                        polled = reader.receive() => polled,
                        () = std::future::ready(()) => continue,
                    };
                    match polled.unwrap() {
                        Some(message) => read.push(message),
                        None => break,
                    }
                }
                assert_eq!(read, messages);
            });
        }
    }

    #[test]
    fn a_frame_beyond_the_limit_is_refused_on_both_sides() {
        block_on(async {
            let exact = "x".repeat(LIMIT - 3);
            let over = "x".repeat(LIMIT - 2);
            let mut writer = FrameWriter::new(Vec::new(), LIMIT);
            let refused = writer.send(&over).await;
            assert!(
                matches!(refused, Err(LinkError::TooLarge { length, limit: LIMIT }) if length == LIMIT + 1),
                "{refused:?}"
            );
            assert!(writer.sink.is_empty(), "nothing of it may be written");
            writer.send(&exact).await.unwrap();
            assert_eq!(writer.sink.len(), HEADER + LIMIT);

            let mut reader = FrameReader::new(writer.sink.as_slice(), LIMIT);
            assert_eq!(reader.receive::<String>().await.unwrap(), Some(exact));
            let mut reader = FrameReader::new(writer.sink.as_slice(), LIMIT - 1);
            let refused = reader.receive::<String>().await;
            assert!(
                matches!(refused, Err(LinkError::TooLarge { length: LIMIT, .. })),
                "{refused:?}"
            );
        });
    }

    #[test]
    fn empty_and_overlong_content_is_malformed() {
        block_on(async {
            let bytes = [0, 0, 0, 0];
            let end = FrameReader::new(&bytes[..], LIMIT)
                .receive::<String>()
                .await;
            assert!(matches!(end, Err(LinkError::EmptyFrame)), "{end:?}");
            // A text of one byte, and one byte more.
            let bytes = [0, 0, 0, 3, 0x61, b'a', 0x00];
            let end = FrameReader::new(&bytes[..], LIMIT)
                .receive::<String>()
                .await;
            assert!(matches!(end, Err(LinkError::Malformed(_))), "{end:?}");
        });
    }

    #[test]
    fn the_memory_of_a_large_frame_is_given_back() {
        block_on(async {
            let message = "x".repeat(3 * RETAINED);
            let mut writer = FrameWriter::new(Vec::new(), 4 * RETAINED);
            writer.send(&message).await.unwrap();
            assert!(writer.buffer.capacity() <= RETAINED);
            let mut reader = FrameReader::new(writer.sink.as_slice(), 4 * RETAINED);
            assert_eq!(reader.receive::<String>().await.unwrap(), Some(message));
            assert!(reader.buffer.capacity() <= RETAINED);
        });
    }
}
