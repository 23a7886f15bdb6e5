//! The channels between enclave and host, and how one begins.

use std::time::Duration;

use minicbor::{Decode, Encode};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::time::timeout;

use crate::{Address, FrameReader, FrameWriter, LinkError, Stream, connect};

/// The version of the protocol that this crate speaks.
pub const VERSION: u32 = 1;

/// Says that a peer means this protocol and did not stray here.
const PROTOCOL: &str = "claviger-link";

/// Most bytes of a greeting or its answer.
const GREETING_LIMIT: usize = 1024;

/// How long a peer may take to greet or to answer a greeting.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// What a link connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The enclave sends `Numbered<StoreRequest>`, the host answers each with
    /// a `Numbered<StoreReply>`, in order.
    Store,
    /// The enclave sends `Numbered<HostEvent>`, the host answers each with
    /// `Numbered<EventReply>`s, as they come.
    Events,
}

impl Channel {
    /// Most bytes of one frame, in either direction.
    pub const fn frame_limit(self) -> usize {
        match self {
            Self::Store => 16 * 1024 * 1024,
            Self::Events => 1024 * 1024,
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Store => 0,
            Self::Events => 1,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Store),
            1 => Some(Self::Events),
            _ => None,
        }
    }
}

/// The first frame, sent by the enclave.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Hello {
    #[n(0)]
    pub(crate) protocol: String,
    #[n(1)]
    pub(crate) version: u32,
    /// A [`Channel::code`]: as a number, so that one we do not know can be
    /// refused with an answer.
    #[n(2)]
    pub(crate) channel: u8,
}

/// The host's answer to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Welcome {
    #[n(0)]
    Accepted,
    #[n(1)]
    Refused {
        #[n(0)]
        what: String,
    },
}

/// Dials the host and opens a channel: the enclave's side.
///
/// # Errors
///
/// When the host cannot be reached, does not answer within five seconds, or
/// refuses.
pub async fn open(
    address: &Address,
    channel: Channel,
) -> Result<
    (
        FrameReader<ReadHalf<Stream>>,
        FrameWriter<WriteHalf<Stream>>,
    ),
    LinkError,
> {
    let greeting = async { greet(connect(address).await?, channel).await };
    timeout(GREETING_TIMEOUT, greeting)
        .await
        .unwrap_or(Err(LinkError::GreetingTimeout))
}

async fn greet<S: AsyncRead + AsyncWrite>(
    stream: S,
    channel: Channel,
) -> Result<(FrameReader<ReadHalf<S>>, FrameWriter<WriteHalf<S>>), LinkError> {
    let (mut reader, mut writer) = framed(stream);
    let hello = Hello {
        protocol: PROTOCOL.to_owned(),
        version: VERSION,
        channel: channel.code(),
    };
    writer.send(&hello).await?;
    match reader.receive().await? {
        Some(Welcome::Accepted) => {}
        Some(Welcome::Refused { what }) => return Err(LinkError::Refused(what)),
        None => return Err(LinkError::Truncated),
    }
    reader.set_limit(channel.frame_limit());
    writer.set_limit(channel.frame_limit());
    Ok((reader, writer))
}

/// Takes a connection and learns what it is for: the host's side.
///
/// # Errors
///
/// When the peer does not greet within five seconds, or with something that
/// this version does not speak; it is told so.
pub async fn accept<S: AsyncRead + AsyncWrite>(
    stream: S,
) -> Result<(Channel, FrameReader<ReadHalf<S>>, FrameWriter<WriteHalf<S>>), LinkError> {
    timeout(GREETING_TIMEOUT, welcome(stream))
        .await
        .unwrap_or(Err(LinkError::GreetingTimeout))
}

async fn welcome<S: AsyncRead + AsyncWrite>(
    stream: S,
) -> Result<(Channel, FrameReader<ReadHalf<S>>, FrameWriter<WriteHalf<S>>), LinkError> {
    let (mut reader, mut writer) = framed(stream);
    let hello: Hello = reader.receive().await?.ok_or(LinkError::Truncated)?;
    let channel = match check(&hello) {
        Ok(channel) => channel,
        Err(what) => {
            writer
                .send(&Welcome::Refused { what: what.clone() })
                .await?;
            return Err(LinkError::Refused(what));
        }
    };
    writer.send(&Welcome::Accepted).await?;
    reader.set_limit(channel.frame_limit());
    writer.set_limit(channel.frame_limit());
    Ok((channel, reader, writer))
}

fn check(hello: &Hello) -> Result<Channel, String> {
    if hello.protocol != PROTOCOL {
        return Err(format!("this is {PROTOCOL}"));
    }
    if hello.version != VERSION {
        return Err(format!(
            "the enclave speaks version {}, the host version {VERSION}",
            hello.version
        ));
    }
    Channel::from_code(hello.channel)
        .ok_or_else(|| format!("the host knows no channel {}", hello.channel))
}

fn framed<S: AsyncRead + AsyncWrite>(
    stream: S,
) -> (FrameReader<ReadHalf<S>>, FrameWriter<WriteHalf<S>>) {
    let (read, write) = tokio::io::split(stream);
    (
        FrameReader::new(read, GREETING_LIMIT),
        FrameWriter::new(write, GREETING_LIMIT),
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;
    use crate::{HostEvent, Numbered};

    #[tokio::test]
    async fn each_side_learns_the_channel() {
        for channel in [Channel::Store, Channel::Events] {
            let (enclave, host) = duplex(64);
            let (opened, accepted) = tokio::join!(greet(enclave, channel), accept(host));
            assert!(opened.is_ok());
            assert_eq!(accepted.unwrap().0, channel);
        }
    }

    #[tokio::test]
    async fn messages_larger_than_a_greeting_pass_afterwards() {
        let (enclave, host) = duplex(64);
        let (opened, accepted) = tokio::join!(greet(enclave, Channel::Events), accept(host));
        let (_, mut writer) = opened.unwrap();
        let (_, mut reader, _) = accepted.unwrap();
        let event = Numbered {
            number: 1,
            body: HostEvent::Audit {
                lines: vec!["{}"; 2000].into_iter().collect(),
            },
        };
        let (sent, received) = tokio::join!(writer.send(&event), reader.receive());
        sent.unwrap();
        assert_eq!(received.unwrap(), Some(event));
    }

    async fn refusal(hello: Hello) -> (String, String) {
        let (enclave, host) = duplex(4096);
        let (mut reader, mut writer) = framed(enclave);
        writer.send(&hello).await.unwrap();
        let refused = accept(host).await.map(|_| ()).unwrap_err();
        let LinkError::Refused(here) = refused else {
            panic!("{refused:?}");
        };
        match reader.receive().await.unwrap() {
            Some(Welcome::Refused { what }) => (here, what),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn another_version_protocol_or_channel_is_refused_and_told_why() {
        let hello = Hello {
            protocol: PROTOCOL.to_owned(),
            version: VERSION,
            channel: 9,
        };
        let (here, there) = refusal(hello.clone()).await;
        assert_eq!(here, there);
        assert_eq!(here, "the host knows no channel 9");

        let (here, _) = refusal(Hello {
            version: VERSION + 1,
            ..hello.clone()
        })
        .await;
        assert_eq!(here, "the enclave speaks version 2, the host version 1");

        let (here, _) = refusal(Hello {
            protocol: "HTTP".to_owned(),
            ..hello
        })
        .await;
        assert_eq!(here, "this is claviger-link");
    }

    #[tokio::test]
    async fn a_stray_client_is_turned_away() {
        let (mut stray, host) = duplex(4096);
        stray.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let refused = accept(host).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, LinkError::TooLarge { .. }), "{refused:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for() {
        let (_silent, host) = duplex(64);
        let refused = accept(host).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, LinkError::GreetingTimeout), "{refused:?}");
    }
}
