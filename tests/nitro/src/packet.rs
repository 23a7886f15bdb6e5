//! The packets of a virtio socket (virtio 1.2, section 5.10.6).

/// Bytes of a packet's header.
pub const HEADER_BYTES: usize = 44;

/// The type of a connection that is a stream of bytes.
pub const STREAM: u16 = 1;

/// In the flags of [`Operation::Shutdown`]: the sender will receive no more.
pub const WILL_NOT_RECEIVE: u32 = 1;
/// In the flags of [`Operation::Shutdown`]: the sender will send no more.
pub const WILL_NOT_SEND: u32 = 2;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Asks for a connection.
    Request,
    /// Grants it.
    Response,
    /// Refuses or ends it.
    Reset,
    /// Ends one of its directions, or both.
    Shutdown,
    /// Carries bytes.
    Data,
    /// Says how much more its sender takes.
    CreditUpdate,
    /// Asks for the same.
    CreditRequest,
}

impl Operation {
    const ALL: [Self; 7] = [
        Self::Request,
        Self::Response,
        Self::Reset,
        Self::Shutdown,
        Self::Data,
        Self::CreditUpdate,
        Self::CreditRequest,
    ];

    fn number(self) -> u16 {
        self as u16 + 1
    }
}

/// How much a side takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// The size of its buffer.
    pub buffer: u32,
    /// How many bytes it has taken out of that so far, modulo 2³².
    pub taken: u32,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct End {
    /// Context id of the machine.
    pub cid: u64,
    /// Port.
    pub port: u32,
}

/// A packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who sends it.
    pub source: End,
    /// Who gets it.
    pub destination: End,
    /// Bytes that follow.
    pub length: u32,
    /// The type of the connection; see [`STREAM`].
    pub kind: u16,
    /// What it is for; `None` for what this program does not know.
    pub operation: Option<Operation>,
    /// More on that.
    pub flags: u32,
    /// What its sender takes.
    pub credit: Credit,
}

impl Header {
    /// Reads a header.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Self {
        let mut rest = bytes.as_slice();
        let mut number = |length| {
            let (field, after) = rest.split_at(length);
            rest = after;
            let little_endian = field.iter().rev();
            little_endian.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let cids = [number(8), number(8)];
        let [source, destination, length] = [(); 3].map(|()| number(4) as u32);
        let [kind, operation] = [(); 2].map(|()| number(2) as u16);
        let [flags, buffer, taken] = [(); 3].map(|()| number(4) as u32);
        Self {
            source: End {
                cid: cids[0],
                port: source,
            },
            destination: End {
                cid: cids[1],
                port: destination,
            },
            length,
            kind,
            operation: Operation::ALL
                .into_iter()
                .find(|known| known.number() == operation),
            flags,
            credit: Credit { buffer, taken },
        }
    }

    /// Writes a header.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend(self.source.cid.to_le_bytes());
        bytes.extend(self.destination.cid.to_le_bytes());
        bytes.extend(self.source.port.to_le_bytes());
        bytes.extend(self.destination.port.to_le_bytes());
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.kind.to_le_bytes());
        bytes.extend(self.operation.map_or(0, Operation::number).to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(self.credit.buffer.to_le_bytes());
        bytes.extend(self.credit.taken.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_its_fields_where_the_standard_has_them() {
        let header = Header {
            source: End {
                cid: 0x0102_0304_0506_0708,
                port: 0x1112_1314,
            },
            destination: End { cid: 3, port: 9000 },
            length: 0x2122_2324,
            kind: STREAM,
            operation: Some(Operation::Data),
            flags: WILL_NOT_SEND,
            credit: Credit {
                buffer: 0x3132_3334,
                taken: 0x4142_4344,
            },
        };
        let bytes = header.to_bytes();
        let expected = [
            &[8, 7, 6, 5, 4, 3, 2, 1, 3, 0, 0, 0, 0, 0, 0, 0][..],
            &[
                0x14, 0x13, 0x12, 0x11, 0x28, 0x23, 0, 0, 0x24, 0x23, 0x22, 0x21,
            ],
            &[
                1, 0, 5, 0, 2, 0, 0, 0, 0x34, 0x33, 0x32, 0x31, 0x44, 0x43, 0x42, 0x41,
            ],
        ]
        .concat();
        assert_eq!(bytes, expected);
        assert_eq!(Header::parse(&bytes.try_into().unwrap()), header);
    }

    #[test]
    fn an_unknown_operation_is_none() {
        let mut bytes = [0; HEADER_BYTES];
        for number in [0, 8, 255] {
            bytes[30] = number;
            assert_eq!(Header::parse(&bytes).operation, None);
        }
    }
}
