//! Frames on the link, from a peer that is not trusted.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use link::{EventReply, FrameReader, HostEvent, Numbered, StoreReply, StoreRequest};

/// A small limit: what is larger is refused by its length alone.
const LIMIT: usize = 64 * 1024;

/// What one side sends, read as each kind of message until the first error.
pub fn link_frame(data: &[u8]) {
    read_all::<StoreRequest>(data);
    read_all::<StoreReply>(data);
    read_all::<HostEvent>(data);
    read_all::<EventReply>(data);
}

fn read_all<M>(data: &[u8])
where
    M: for<'b> minicbor::Decode<'b, ()>,
{
    let mut frames = FrameReader::new(data, LIMIT);
    loop {
        let mut reading = pin!(frames.receive::<Numbered<M>>());
        // Bytes in memory are always ready.
        match reading
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Ok(Some(_))) => {}
            Poll::Ready(Ok(None) | Err(_)) => return,
            Poll::Pending => panic!("a slice kept its reader waiting"),
        }
    }
}
