//! One HTTP request, as the edge received it.

use http::HeaderName;

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
}
