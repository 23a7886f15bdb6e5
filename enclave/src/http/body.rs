//! Reads a request's body: whole, bounded in size and time, and wiped after use.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::wiped::Wiped;
use crate::config::Limits;
use crate::places::Places;

/// Bodies up to this size are read without asking; nearly all calls are smaller.
const SMALL: usize = 64 * 1024;

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BodyError {
    /// It is larger than the limit.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// The client ended or broke it.
    Broken,
    /// Too many requests, or too many large ones, are in work, and no place became free in time.
    NoRoom,
}

/// A request's body, which holds its place until the request is answered.
#[derive(Default)]
pub(crate) struct WholeBody {
    bytes: Wiped,
    _places: [Option<OwnedSemaphorePermit>; 2],
}

impl Deref for WholeBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Vec<u8>> for WholeBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes: Zeroizing::new(bytes).into(),
            _places: [None, None],
        }
    }
}

/// Reads bodies within the configured limits.
pub(crate) struct BodyReader {
    most: usize,
    discard: usize,
    time: Duration,
    requests: Places,
    large: Places,
}

impl BodyReader {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            most: limits.body_bytes,
            discard: limits.discard_bytes,
            time: limits.body_time(),
            requests: Places::new(limits.requests, limits.requests, limits.wait_time()),
            large: Places::new(limits.large_bodies, limits.requests, limits.wait_time()),
        }
    }

    /// The whole body.
    ///
    /// One that is too large is read on and thrown away, within limits: most clients send all of
    /// a request before they look for the answer, and closing the connection on them would turn
    /// the answer into a reset. A client that waits for permission to send (`Expect:
    /// 100-continue`) gets its answer at once.
    pub(crate) async fn read<B>(
        &self,
        body: &mut B,
        waits_for_permission: bool,
    ) -> Result<WholeBody, BodyError>
    where
        B: Body<Data: AsRef<[u8]>> + Unpin,
    {
        let place = self.requests.take().await.ok_or(BodyError::NoRoom)?;
        let mut reading = pin!(self.read_untimed(body, waits_for_permission, place));
        // Most bodies are there already, and need no timer.
        match poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
            Poll::Ready(result) => result,
            Poll::Pending => {
                let result = Box::pin(timeout(self.time, reading)).await;
                result.unwrap_or(Err(BodyError::TooSlow))
            }
        }
    }

    async fn read_untimed<B>(
        &self,
        body: &mut B,
        waits_for_permission: bool,
        place: OwnedSemaphorePermit,
    ) -> Result<WholeBody, BodyError>
    where
        B: Body<Data: AsRef<[u8]>> + Unpin,
    {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.most {
            if !waits_for_permission {
                self.throw_away(body, 0).await;
            }
            return Err(BodyError::TooLarge);
        }
        let mut large_place = None;
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyError::Broken)?;
            // Trailers carry nothing that KMS defines.
            let Some(data) = frame.data_ref().map(AsRef::as_ref) else {
                continue;
            };
            let length = bytes.len() + data.len();
            if length > self.most {
                drop(bytes);
                self.throw_away(body, length).await;
                return Err(BodyError::TooLarge);
            }
            if length.max(announced) > SMALL && large_place.is_none() {
                large_place = Some(self.large.take().await.ok_or(BodyError::NoRoom)?);
            }
            if bytes.capacity() < length {
                grow(&mut bytes, length.max(announced));
            }
            bytes.extend_from_slice(data);
        }
        Ok(WholeBody {
            bytes: bytes.into(),
            _places: [Some(place), large_place],
        })
    }

    async fn throw_away<B>(&self, body: &mut B, mut read: usize)
    where
        B: Body<Data: AsRef<[u8]>> + Unpin,
    {
        while read <= self.discard {
            match body.frame().await {
                Some(Ok(frame)) => {
                    read += frame.data_ref().map_or(0, |data| data.as_ref().len());
                }
                Some(Err(_)) | None => return,
            }
        }
    }
}

/// Makes room for `needed` bytes without leaving a copy of the old content behind.
fn grow(whole: &mut Zeroizing<Vec<u8>>, needed: usize) {
    let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * whole.len())));
    larger.extend_from_slice(whole);
    *whole = larger;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use hyper::body::{Frame, SizeHint};

    use super::*;

    /// A body of equal chunks that says how long it is, or not, and may stop without an end.
    struct Chunks {
        size: usize,
        left: usize,
        announced: bool,
        stalls: bool,
    }

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.left == 0 {
                return if self.stalls {
                    Poll::Pending
                } else {
                    Poll::Ready(None)
                };
            }
            self.left -= 1;
            Poll::Ready(Some(Ok(Frame::data(vec![b'x'; self.size].into()))))
        }

        fn size_hint(&self) -> SizeHint {
            if self.announced {
                SizeHint::with_exact((self.size * self.left) as u64)
            } else {
                SizeHint::new()
            }
        }
    }

    fn limits() -> Limits {
        Limits {
            body_milliseconds: 50,
            wait_milliseconds: 10,
            ..Limits::default()
        }
    }

    async fn read(size: usize, count: usize, announced: bool) -> (Result<usize, BodyError>, usize) {
        let mut body = Chunks {
            size,
            left: count,
            announced,
            stalls: false,
        };
        let read = BodyReader::new(&limits()).read(&mut body, false).await;
        (read.map(|whole| whole.len()), body.left)
    }

    #[tokio::test]
    async fn the_limit_is_exact() {
        let most = Limits::default().body_bytes;
        for announced in [true, false] {
            assert_eq!(read(most, 1, announced).await, (Ok(most), 0));
            assert_eq!(read(most / 64, 64, announced).await, (Ok(most), 0));
            let (result, left) = read(most / 64, 65, announced).await;
            assert_eq!((result, left), (Err(BodyError::TooLarge), 0), "and drained");
        }
    }

    #[tokio::test]
    async fn throwing_away_is_bounded() {
        let limits = Limits::default();
        let chunks = 4 * limits.discard_bytes / limits.body_bytes;
        for announced in [true, false] {
            let (result, left) = read(limits.body_bytes, chunks, announced).await;
            assert_eq!(result, Err(BodyError::TooLarge));
            assert!(left > chunks / 2);
        }
    }

    #[tokio::test]
    async fn a_client_that_waits_for_permission_is_answered_at_once() {
        let mut body = Chunks {
            size: 2 * limits().body_bytes,
            left: 1,
            announced: true,
            stalls: true,
        };
        let read = BodyReader::new(&limits()).read(&mut body, true).await;
        assert_eq!((read.err().unwrap(), body.left), (BodyError::TooLarge, 1));
    }

    #[tokio::test]
    async fn a_body_that_stops_is_too_slow() {
        let mut body = Chunks {
            size: 10,
            left: 1,
            announced: false,
            stalls: true,
        };
        let read = BodyReader::new(&limits()).read(&mut body, false).await;
        assert_eq!(read.err().unwrap(), BodyError::TooSlow);
    }

    #[tokio::test]
    async fn large_bodies_wait_for_a_place() {
        let limits = Limits {
            large_bodies: 0,
            ..limits()
        };
        let reader = BodyReader::new(&limits);
        for (size, expected) in [(SMALL, None), (SMALL + 1, Some(BodyError::NoRoom))] {
            let mut body = Chunks {
                size,
                left: 1,
                announced: true,
                stalls: false,
            };
            assert_eq!(reader.read(&mut body, false).await.err(), expected);
        }
    }
}
