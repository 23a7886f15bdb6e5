//! One connection: which protocol it speaks, how long it may take, and how it ends.
//!
//! HTTP/1.1 and HTTP/2, in clear and over TLS, share one port; the first bytes decide. HTTP/2
//! begins with a preface that no HTTP/1 request can have, and a client that negotiated `h2` by
//! ALPN has to send it too (RFC 9113, 3.4).
//!
//! hyper's own header timeout would run while a kept-alive connection is idle as well, so time is
//! kept here, by what [`Activity`] knows.

use std::future::poll_fn;
use std::io;
use std::pin::{self, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::Server;
use super::service::Service;
use super::wire::{Activity, Overdue, Wire};
use crate::config::Limits;
use crate::counters::add;

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What every TLS connection begins with (RFC 8446, 5.1: the record type `handshake`).
const TLS_HANDSHAKE: &[u8] = &[22];

/// Bytes that an HTTP/2 client may send unasked, on a stream and on all of them. With many hostile
/// connections each holds so much memory.
const HTTP2_WINDOW: u32 = 128 * 1024;

/// How long a connection that we end is still read from, so that a client which is still sending
/// sees the last answer and not a reset.
const LINGER: Duration = Duration::from_secs(2);

/// Serves one connection to its end.
pub(super) async fn serve<S>(mut stream: S, server: &Arc<Server>, shutdown: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let service = Service::new(server, &activity);
    let Some(handshakes) = &server.tls else {
        return serve_http(stream, server, shutdown, service, activity).await;
    };
    let idle = server.limits.idle_time();
    let Some((first, is_tls)) = begins_with(&mut stream, TLS_HANDSHAKE, idle, &shutdown).await
    else {
        return;
    };
    // The handshake is no request: its bytes do not count as the connection's activity.
    let stream = Wire::new(first, stream, Arc::new(Activity::new()));
    if !is_tls {
        // The host proxy asks for the health in clear, see `link::HEALTH_PATH`.
        return serve_http(stream, server, shutdown, service.only_health(), activity).await;
    }
    match timeout(server.limits.header_time(), handshakes.accept(stream)).await {
        Ok(Ok(stream)) => serve_http(stream, server, shutdown, service, activity).await,
        Ok(Err(_)) | Err(_) => add(&server.front.counters().tls_failures, 1),
    }
}

async fn serve_http<S>(
    mut stream: S,
    server: &Server,
    shutdown: watch::Receiver<bool>,
    service: Service,
    activity: Arc<Activity>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let idle = server.limits.idle_time();
    let Some((first, is_http2)) = begins_with(&mut stream, PREFACE, idle, &shutdown).await else {
        return;
    };
    let wire = Wire::new(first, stream, Arc::clone(&activity));
    if is_http2 {
        serve_http2(
            wire,
            &server.limits,
            shutdown,
            service.on_tasks(),
            &activity,
        )
        .await;
    } else {
        serve_http1(wire, &server.limits, shutdown, service, &activity).await;
    }
}

/// Reads until it is certain whether the connection begins with `preface`, and gives back what was
/// read. `None` when nothing came in time, or the server shuts down.
async fn begins_with<S: AsyncRead + Unpin>(
    stream: &mut S,
    preface: &[u8],
    time: Duration,
    shutdown: &watch::Receiver<bool>,
) -> Option<(Bytes, bool)> {
    let mut shutdown = shutdown.clone();
    let mut read = BytesMut::with_capacity(preface.len());
    let reading = async {
        while read.len() < preface.len() && preface.starts_with(&read) {
            if stream.read_buf(&mut read).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    tokio::select! {
        result = timeout(time, reading) => result.ok()?.ok()?,
        () = is_down(&mut shutdown) => return None,
    }
    let certain = read.len() >= preface.len() && read.starts_with(preface);
    (!read.is_empty()).then(|| (read.freeze(), certain))
}

/// Ready once the server shuts down.
async fn is_down(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server.
    let _ = shutdown.wait_for(|down| *down).await;
}

/// Why a connection is not served any longer.
enum End {
    /// hyper is done with it.
    Done(hyper::Result<()>),
    /// It used up its time.
    Overdue(Overdue),
}

async fn serve_http1<S>(
    wire: Wire<S>,
    limits: &Limits,
    mut shutdown: watch::Receiver<bool>,
    service: Service,
    activity: &Activity,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        // A client may close its half as soon as it has sent its request.
        .half_close(true)
        .max_headers(limits.header_count)
        .max_header_size(limits.header_bytes)
        .serve_connection(TokioIo::new(wire), service);
    let overdue = || {
        activity.overdue(
            Instant::now(),
            Some(limits.header_time()),
            limits.idle_time(),
        )
    };
    let mut ticks = overdue_ticks(limits);
    let mut closing = false;
    let end = loop {
        tokio::select! {
            biased;
            result = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break End::Done(result),
            () = is_down(&mut shutdown), if !closing => {
                closing = true;
                pin::Pin::new(&mut connection).graceful_shutdown();
            }
            _ = ticks.tick() => {
                if let Some(what) = overdue() {
                    break End::Overdue(what);
                }
            }
        }
    };
    // hyper itself answers what it can't parse; it says nothing about a head without an end.
    let last_word: Option<&[u8]> = match end {
        End::Overdue(Overdue::Head) => Some(b"HTTP/1.1 408 Request Timeout\r\n"),
        End::Done(Err(error)) if error.is_incomplete_message() && activity.is_mid_head() => {
            Some(b"HTTP/1.1 400 Bad Request\r\n")
        }
        End::Overdue(Overdue::Idle) | End::Done(_) => None,
    };
    let stream = connection.into_parts().io.into_inner();
    let goodbye = say_goodbye(stream, last_word, closing, limits.discard_bytes);
    // Failing to say goodbye is no failure.
    let _ = timeout(LINGER, goodbye).await;
}

async fn say_goodbye<S>(
    mut stream: S,
    last_word: Option<&[u8]>,
    at_once: bool,
    discard: usize,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(status_line) = last_word {
        stream.write_all(status_line).await?;
        stream
            .write_all(b"connection: close\r\ncontent-length: 0\r\n\r\n")
            .await?;
    }
    stream.shutdown().await?;
    if !at_once {
        let mut rest = stream.take(u64::try_from(discard).unwrap_or(u64::MAX));
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    }
    Ok(())
}

async fn serve_http2<S>(
    wire: Wire<S>,
    limits: &Limits,
    mut shutdown: watch::Receiver<bool>,
    service: Service,
    activity: &Activity,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        // What a client may send before anything of it is asked for.
        .initial_connection_window_size(HTTP2_WINDOW)
        .initial_stream_window_size(HTTP2_WINDOW)
        .serve_connection(TokioIo::new(wire), service);
    let mut connection = pin!(connection);
    // Frames that belong to no request (PING, SETTINGS) may come at any time, so only the time
    // without a request counts.
    let overdue = || activity.overdue(Instant::now(), None, limits.idle_time());
    let mut ticks = overdue_ticks(limits);
    let mut closing = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = is_down(&mut shutdown), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = ticks.tick() => {
                if overdue().is_some() {
                    connection.as_mut().graceful_shutdown();
                    let _ = timeout(LINGER, connection.as_mut()).await;
                    return;
                }
            }
        }
    }
}

/// How often to look whether a connection is overdue: often enough that none gets more than twice
/// its time.
fn overdue_ticks(limits: &Limits) -> Interval {
    let period = limits.header_time().min(limits.idle_time());
    let mut ticks = interval(period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
