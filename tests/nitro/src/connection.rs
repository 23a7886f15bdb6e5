//! One connection between guest and host, as the device sees it: what may be sent when, and what
//! has ended. No input or output happens here.

use crate::packet::{Credit, Operation, WILL_NOT_RECEIVE, WILL_NOT_SEND};

/// How many bytes of the guest's the device keeps until the host takes them.
pub const BUFFER: u32 = 256 * 1024;

/// What goes to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// What it is for.
    pub operation: Operation,
    /// More on that.
    pub flags: u32,
    /// What the host takes.
    pub credit: Credit,
    /// The bytes of [`Operation::Data`].
    pub data: Vec<u8>,
}

/// By whom a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By the guest, which has reset it.
    ByGuest,
    /// By the host, or because the guest broke the protocol: the guest has to be told.
    ByHost,
}

/// The state of a connection.
#[derive(Debug)]
pub struct Connection {
    is_open: bool,
    /// Bytes of the guest's that the host has not taken.
    pending: Vec<u8>,
    /// How many the host has taken, modulo 2³², and how many of them the guest knows of.
    taken: u32,
    announced: u32,
    guest: Credit,
    /// How many bytes have been sent to the guest, modulo 2³².
    sent: u32,
    guest_will_send: bool,
    guest_will_receive: bool,
    host_will_send: bool,
}

impl Connection {
    /// A connection that the host has asked for; comes with the packet that asks the guest.
    pub fn from_host() -> (Self, Outgoing) {
        let mut connection = Self::new(false, Credit::default());
        let request = connection.outgoing(Operation::Request, 0, Vec::new());
        (connection, request)
    }

    /// A connection that the guest has asked for and the host has accepted; comes with the answer.
    pub fn from_guest(guest: Credit) -> (Self, Outgoing) {
        let mut connection = Self::new(true, guest);
        let response = connection.outgoing(Operation::Response, 0, Vec::new());
        (connection, response)
    }

    fn new(is_open: bool, guest: Credit) -> Self {
        Self {
            is_open,
            pending: Vec::new(),
            taken: 0,
            announced: 0,
            guest,
            sent: 0,
            guest_will_send: true,
            guest_will_receive: true,
            host_will_send: true,
        }
    }

    /// Takes a packet of the guest's; there may be an answer to it.
    pub fn receive(
        &mut self,
        operation: Option<Operation>,
        flags: u32,
        credit: Credit,
        data: &[u8],
    ) -> Result<Option<Outgoing>, Ended> {
        match operation {
            Some(Operation::Response) if !self.is_open => self.is_open = true,
            Some(Operation::Reset) => return Err(Ended::ByGuest),
            _ if !self.is_open => return Err(Ended::ByHost),
            Some(Operation::Data) => {
                if !self.guest_will_send || self.pending.len() + data.len() > BUFFER as usize {
                    return Err(Ended::ByHost);
                }
                self.pending.extend_from_slice(data);
            }
            Some(Operation::Shutdown) => {
                self.guest_will_send &= flags & WILL_NOT_SEND == 0;
                self.guest_will_receive &= flags & WILL_NOT_RECEIVE == 0;
            }
            Some(Operation::CreditUpdate | Operation::CreditRequest) => {}
            Some(Operation::Request | Operation::Response) | None => return Err(Ended::ByHost),
        }
        self.guest = credit;
        let wants_credit = operation == Some(Operation::CreditRequest);
        Ok(wants_credit.then(|| self.outgoing(Operation::CreditUpdate, 0, Vec::new())))
    }

    /// What the guest has sent and the host has to take next.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// The host has taken that many bytes of [`pending`](Self::pending). The guest has to be told
    /// long before it thinks that nothing fits any more.
    pub fn host_took(&mut self, count: usize) -> Option<Outgoing> {
        self.pending.drain(..count);
        self.taken = self.taken.wrapping_add(count as u32);
        let untold = self.taken.wrapping_sub(self.announced);
        (untold > BUFFER / 4).then(|| self.outgoing(Operation::CreditUpdate, 0, Vec::new()))
    }

    /// How many bytes the guest takes now.
    pub fn room(&self) -> usize {
        if !self.is_open || !self.host_will_send || !self.guest_will_receive {
            return 0;
        }
        let in_flight = self.sent.wrapping_sub(self.guest.taken);
        self.guest.buffer.saturating_sub(in_flight) as usize
    }

    /// Bytes of the host's, at most [`room`](Self::room).
    pub fn host_sent(&mut self, data: Vec<u8>) -> Outgoing {
        self.sent = self.sent.wrapping_add(data.len() as u32);
        self.outgoing(Operation::Data, 0, data)
    }

    /// The host will send no more.
    pub fn host_finished(&mut self) -> Outgoing {
        self.host_will_send = false;
        self.outgoing(Operation::Shutdown, WILL_NOT_SEND, Vec::new())
    }

    /// Whether the host has to be told that nothing comes any more.
    pub fn is_read_out(&self) -> bool {
        !self.guest_will_send && self.pending.is_empty()
    }

    /// Whether the guest has closed its end and the host has all it sent. Then a reset, for which
    /// the guest waits, is the end.
    pub fn is_over(&self) -> bool {
        self.is_read_out() && !self.guest_will_receive
    }

    /// The end of it.
    pub fn reset(&mut self) -> Outgoing {
        self.outgoing(Operation::Reset, 0, Vec::new())
    }

    fn outgoing(&mut self, operation: Operation, flags: u32, data: Vec<u8>) -> Outgoing {
        self.announced = self.taken;
        let credit = Credit {
            buffer: BUFFER,
            taken: self.taken,
        };
        Outgoing {
            operation,
            flags,
            credit,
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: Credit = Credit {
        buffer: 100,
        taken: 0,
    };

    fn open() -> Connection {
        Connection::from_guest(GUEST).0
    }

    fn data(connection: &mut Connection, data: &[u8]) -> Result<Option<Outgoing>, Ended> {
        connection.receive(Some(Operation::Data), 0, GUEST, data)
    }

    #[test]
    fn a_dialled_connection_carries_nothing_before_it_is_granted() {
        let (mut connection, request) = Connection::from_host();
        assert_eq!(request.operation, Operation::Request);
        assert_eq!((connection.room(), request.credit.buffer), (0, BUFFER));
        assert_eq!(data(&mut connection, b"x"), Err(Ended::ByHost));
        let granted = connection.receive(Some(Operation::Response), 0, GUEST, &[]);
        assert_eq!((granted, connection.room()), (Ok(None), 100));
        let again = connection.receive(Some(Operation::Response), 0, GUEST, &[]);
        assert_eq!(again, Err(Ended::ByHost));
    }

    #[test]
    fn the_host_sends_what_the_guest_has_room_for() {
        let mut connection = open();
        connection.host_sent(vec![0; 60]);
        assert_eq!(connection.room(), 40);
        connection.host_sent(vec![0; 40]);
        assert_eq!(connection.room(), 0);
        let taken = Credit {
            buffer: 100,
            taken: 70,
        };
        connection
            .receive(Some(Operation::CreditUpdate), 0, taken, &[])
            .unwrap();
        assert_eq!(connection.room(), 70);
        // A guest that makes its buffer smaller than what is under way.
        let shrunk = Credit {
            buffer: 20,
            taken: 70,
        };
        connection
            .receive(Some(Operation::CreditUpdate), 0, shrunk, &[])
            .unwrap();
        assert_eq!(connection.room(), 0);
    }

    #[test]
    fn counters_may_wrap() {
        let mut connection = open();
        connection.sent = u32::MAX - 9;
        let taken = Credit {
            buffer: 100,
            taken: u32::MAX - 9,
        };
        connection
            .receive(Some(Operation::CreditUpdate), 0, taken, &[])
            .unwrap();
        connection.host_sent(vec![0; 30]);
        assert_eq!((connection.sent, connection.room()), (20, 70));
    }

    #[test]
    fn the_guest_hears_of_room_before_it_runs_out() {
        let mut connection = open();
        let mut told = 0;
        let mut sent = 0_u32;
        // The guest sends whenever it knows of room.
        for _ in 0..100 {
            let part = (BUFFER - (sent - told)).min(10_000);
            assert!(part > 0, "the guest is stuck");
            sent += part;
            data(&mut connection, &vec![0; part as usize]).unwrap();
            if let Some(update) = connection.host_took(part as usize) {
                assert_eq!(update.operation, Operation::CreditUpdate);
                told = update.credit.taken;
            }
        }
        let asked = connection.receive(Some(Operation::CreditRequest), 0, GUEST, &[]);
        assert_eq!(asked.unwrap().unwrap().credit.taken, sent);
    }

    #[test]
    fn more_than_the_buffer_is_an_offence() {
        let mut connection = open();
        data(&mut connection, &vec![0; BUFFER as usize]).unwrap();
        assert_eq!(data(&mut connection, b"x"), Err(Ended::ByHost));
    }

    #[test]
    fn each_direction_ends_by_itself() {
        let mut connection = open();
        data(&mut connection, b"last words").unwrap();
        connection
            .receive(Some(Operation::Shutdown), WILL_NOT_SEND, GUEST, &[])
            .unwrap();
        assert!(!connection.is_read_out(), "there are words to take");
        connection.host_took(10);
        assert!(connection.is_read_out() && !connection.is_over());
        assert_eq!(connection.room(), 100, "the host still answers");
        assert_eq!(data(&mut connection, b"x"), Err(Ended::ByHost));

        let end = connection.host_finished();
        assert_eq!(
            (end.operation, end.flags),
            (Operation::Shutdown, WILL_NOT_SEND)
        );
        assert_eq!(connection.room(), 0);
        let both = WILL_NOT_SEND | WILL_NOT_RECEIVE;
        connection
            .receive(Some(Operation::Shutdown), both, GUEST, &[])
            .unwrap();
        assert!(connection.is_over());
    }

    #[test]
    fn a_closed_end_is_over_when_its_bytes_are_taken() {
        let mut connection = open();
        data(&mut connection, b"bye").unwrap();
        let both = WILL_NOT_SEND | WILL_NOT_RECEIVE;
        connection
            .receive(Some(Operation::Shutdown), both, GUEST, &[])
            .unwrap();
        assert!(!connection.is_over() && connection.room() == 0);
        connection.host_took(3);
        assert!(connection.is_over());
    }

    #[test]
    fn a_reset_and_nonsense_end_it() {
        let reset = open().receive(Some(Operation::Reset), 0, GUEST, &[]);
        assert_eq!(reset, Err(Ended::ByGuest));
        let nonsense = open().receive(None, 0, GUEST, &[]);
        assert_eq!(nonsense, Err(Ended::ByHost));
    }
}
