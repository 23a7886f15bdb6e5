//! A small signed client for tests that need to see each byte and each broken connection.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use serde_json::Value;

/// Longer than any call takes, shorter than a test's patience.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Who calls, where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `host:port` of the server.
    pub authority: String,
    /// The access key's id.
    pub access_key: String,
    /// The access key's secret.
    pub secret_key: String,
    /// The region of the signature's scope.
    pub region: String,
}

/// One connection, kept open over many calls.
#[derive(Debug)]
pub struct Connection {
    caller: Caller,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub fn open(caller: &Caller) -> io::Result<Self> {
        let stream = TcpStream::connect(&caller.authority)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            caller: caller.clone(),
            stream: BufReader::new(stream),
        })
    }

    /// Calls one operation; the answer is the HTTP status and the JSON body (null when empty).
    ///
    /// # Errors
    ///
    /// When the connection breaks before the whole answer has arrived.
    pub fn call(&mut self, operation: &str, body: &Value) -> io::Result<(u16, Value)> {
        let body = body.to_string();
        let request = signed(&self.caller, operation, &body);
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<(u16, Value)> {
        let status_line = self.line()?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| broken(&format!("no status in {status_line:?}")))?;
        let mut length = None;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(broken(&format!("no header in {line:?}")));
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok();
            }
        }
        let mut body = vec![0; length.ok_or_else(|| broken("no Content-Length"))?];
        self.stream.read_exact(&mut body)?;
        if body.is_empty() {
            return Ok((status, Value::Null));
        }
        let body = serde_json::from_slice(&body).map_err(|error| broken(&error.to_string()))?;
        Ok((status, body))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// The bytes of one signed request, as an AWS SDK would send them.
///
/// # Panics
///
/// When it can't be signed.
pub fn signed(caller: &Caller, operation: &str, body: &str) -> String {
    let target = format!("TrentService.{operation}");
    let headers = [
        ("host", caller.authority.as_str()),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", target.as_str()),
    ];
    let identity =
        Credentials::new(&caller.access_key, &caller.secret_key, None, None, "tests").into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(&caller.region)
        .name("kms")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .expect("all parameters are given")
        .into();
    let url = format!("http://{}/", caller.authority);
    let signable = SignableRequest::new(
        "POST",
        url,
        headers.into_iter(),
        SignableBody::Bytes(body.as_bytes()),
    )
    .expect("a request that can be signed");
    let (instructions, _) = sign(signable, &parameters)
        .expect("a signature")
        .into_parts();

    let mut request = String::from("POST / HTTP/1.1\r\n");
    for (name, value) in headers.into_iter().chain(instructions.headers()) {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    request
}
