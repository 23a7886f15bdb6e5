//! The answers of the Query protocol, in XML.
//!
//! As for JSON, every answer is written twice, once to count its bytes and once into a buffer of
//! exactly that size, because one of them carries a secret.

use std::fmt::{self, Display, Write};

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::sigv4::Service;

use super::Action;
use super::error::Wire;

/// The answer to an action: its result, if it has one, and the request's id.
pub(super) fn response(
    action: Action,
    result: Option<&dyn Fn(&mut Element<'_>)>,
    request_id: Uuid,
) -> Zeroizing<Vec<u8>> {
    let name = action.as_str();
    let request_id = request_id.to_string();
    let root = format!("{name}Response");
    document(&root, action.service(), |root| {
        if let Some(result) = result {
            root.element(&format!("{name}Result"), result);
        }
        root.element("ResponseMetadata", |metadata| {
            metadata.text("RequestId", &request_id);
        });
    })
}

/// The answer that is an error.
pub(super) fn error(service: Service, wire: &Wire<'_>, request_id: Uuid) -> Zeroizing<Vec<u8>> {
    let request_id = request_id.to_string();
    document("ErrorResponse", service, |root| {
        root.element("Error", |error| {
            let whose = if wire.status.is_server_error() {
                "Receiver"
            } else {
                "Sender"
            };
            error.text("Type", whose);
            error.text("Code", wire.code);
            if let Some(message) = wire.message {
                error.text("Message", message);
            }
        });
        root.text("RequestId", &request_id);
    })
}

/// Writes a document whose elements `write` names; it must name the same each time it is called.
fn document(root: &str, service: Service, write: impl Fn(&mut Element<'_>)) -> Zeroizing<Vec<u8>> {
    let namespace = match service {
        Service::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
        _ => "https://iam.amazonaws.com/doc/2010-05-08/",
    };
    let start = format!("{root} xmlns=\"{namespace}\"");
    let write = |mut out: Out| {
        Element { out: &mut out }.between(&start, root, |root| write(root));
        out
    };
    let length = write(Out::default()).length;
    let buffer = Zeroizing::new(Vec::with_capacity(length));
    let out = Out {
        length: 0,
        buffer: Some(buffer),
    };
    write(out).buffer.unwrap_or_default()
}

/// An element that is being written.
pub(super) struct Element<'o> {
    out: &'o mut Out,
}

impl Element<'_> {
    /// An element with a text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.between(name, name, |element| element.out.push_text(text));
    }

    /// An element with something whose text needs no escapes: numbers, dates, accounts.
    pub(super) fn display(&mut self, name: &str, value: impl Display) {
        self.between(name, name, |element| {
            // Writing to memory can't fail.
            let _ = write!(element.out, "{value}");
        });
    }

    /// An element with others in it.
    pub(super) fn element(&mut self, name: &str, write: impl FnOnce(&mut Element<'_>)) {
        self.between(name, name, write);
    }

    /// A list: one `member` for each item.
    pub(super) fn members<T>(
        &mut self,
        name: &str,
        items: impl Iterator<Item = T>,
        write: impl Fn(&mut Element<'_>, T),
    ) {
        self.element(name, |list| {
            for item in items {
                list.element("member", |member| write(member, item));
            }
        });
    }

    /// The element's own text, where it has no others in it.
    pub(super) fn content(&mut self, text: &str) {
        self.out.push_text(text);
    }

    fn between(&mut self, start: &str, end: &str, write: impl FnOnce(&mut Element<'_>)) {
        for part in ["<", start, ">"] {
            self.out.push(part);
        }
        write(&mut Element { out: self.out });
        for part in ["</", end, ">"] {
            self.out.push(part);
        }
    }
}

/// Where the bytes go: nowhere while they are counted, then into the buffer.
#[derive(Default)]
struct Out {
    length: usize,
    buffer: Option<Zeroizing<Vec<u8>>>,
}

impl Out {
    fn push(&mut self, text: &str) {
        self.length += text.len();
        if let Some(buffer) = &mut self.buffer {
            buffer.extend_from_slice(text.as_bytes());
        }
    }

    /// A text with its escapes. What XML 1.0 can't hold at all is replaced.
    fn push_text(&mut self, text: &str) {
        let mut plain = 0;
        for (at, character) in text.char_indices() {
            let escape = match character {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\r' => "&#13;",
                '\t' | '\n' => continue,
                '\0'..' ' | '\u{fffe}' | '\u{ffff}' => "\u{fffd}",
                _ => continue,
            };
            self.push(text.get(plain..at).unwrap_or_default());
            self.push(escape);
            plain = at + character.len_utf8();
        }
        self.push(text.get(plain..).unwrap_or_default());
    }
}

impl Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_form_of_awss() {
        let result = |result: &mut Element<'_>| {
            result.element("User", |user| user.text("UserName", "a&<>\"b"));
            result.members("Names", ["x", "y"].iter(), |member, name| {
                member.content(name);
            });
            result.display("Number", 7);
        };
        let body = response(Action::CreateUser, Some(&result), Uuid::nil());
        assert_eq!(body.len(), body.capacity());
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            "<CreateUserResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
             <CreateUserResult><User><UserName>a&amp;&lt;&gt;&quot;b</UserName></User>\
             <Names><member>x</member><member>y</member></Names><Number>7</Number>\
             </CreateUserResult><ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata>\
             </CreateUserResponse>"
        );
        let body = response(Action::GetCallerIdentity, None, Uuid::nil());
        assert!(
            std::str::from_utf8(&body)
                .unwrap()
                .starts_with("<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><ResponseMetadata>")
        );
    }

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        let mut out = Out {
            length: 0,
            buffer: Some(Zeroizing::default()),
        };
        out.push_text("\0a\t\n\r\u{1b}\u{ffff}é\u{7f}");
        let expected = "\u{fffd}a\t\n&#13;\u{fffd}\u{fffd}é\u{7f}";
        assert_eq!(out.length, expected.len());
        assert_eq!(out.buffer.unwrap().as_slice(), expected.as_bytes());
    }
}
