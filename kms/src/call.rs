//! One HTTP request, as the edge received it.

use http::HeaderName;
use http::header::CONTENT_TYPE;

/// One call: a whole HTTP request, borrowed from the edge.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The HTTP method; every KMS operation is a POST.
    pub method: &'a http::Method,
    /// The request target.
    pub uri: &'a http::Uri,
    /// The headers as received.
    pub headers: &'a http::HeaderMap,
    /// Whether it came over TLS, which ends at the edge.
    pub is_encrypted: bool,
    /// The whole body.
    pub body: &'a [u8],
    /// What the client takes our name to be: the `Host` header, or `:authority` in HTTP/2, with
    /// the port if it carries one. It is part of what the client signs.
    pub authority: &'a str,
}

impl<'a> Call<'a> {
    /// The text of a header: `Some(None)` if it is there and is not ASCII.
    pub(crate) fn text(&self, name: &HeaderName) -> Option<Option<&'a str>> {
        let value = self.headers.get(name)?.as_bytes();
        // `HeaderValue::to_str` looks at each byte by itself.
        Some(str::from_utf8(value).ok().filter(|text| text.is_ascii()))
    }

    /// The media type of the body, without its parameters: `None` if none is given.
    pub(crate) fn media_type(&self) -> Option<&'a str> {
        let content_type = self.text(&CONTENT_TYPE)?.unwrap_or_default();
        let end = memchr::memchr(b';', content_type.as_bytes());
        let media_type = content_type.get(..end.unwrap_or(content_type.len()));
        media_type.map(str::trim)
    }
}
