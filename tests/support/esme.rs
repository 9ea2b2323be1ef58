//! An ESME of the test's own, which says what it is told to, right or wrong, and shows what comes: [`Esme`].

use std::io;
use std::net::{Ipv4Addr, TcpStream};

use crate::client::Client;
use crate::gateway::loopback;

/// One connection to where ESMEs bind.
#[derive(Debug)]
pub struct Esme {
    client: Client,
    last: u32,
}

/// A PDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdu {
    /// `command_id`
    pub command: u32,
    /// `command_status`
    pub status: u32,
    /// `sequence_number`
    pub sequence: u32,
    /// What follows the header.
    pub body: Vec<u8>,
}

impl Esme {
    /// Connects.
    ///
    /// # Panics
    /// Where nobody accepts.
    pub fn connect(port: u16) -> Self {
        Esme { client: Client::connect(loopback(port)), last: 0 }
    }

    /// Connects from an address of the loopback, by which a peer is told from others, and is bound as a transceiver.
    ///
    /// # Errors
    /// The system's; where the connection ends before that; what else the bind is answered by.
    pub fn bound_from(peer: Ipv4Addr, port: u16, account: &str) -> io::Result<Self> {
        const BOUND: u32 = BIND_TRANSCEIVER | RESPONSE;
        let mut esme = Esme::over(Client::connect_from(peer, port)?);
        esme.ask_to_bind(account, "secret")?;
        match esme.take()? {
            Pdu { command: BOUND, status: 0, .. } => Ok(esme),
            other => Err(io::Error::other(format!("the bind is answered by {other:?}"))),
        }
    }

    /// The other side of a connection that was made to us.
    pub(crate) fn over(client: Client) -> Self {
        Esme { client, last: 0 }
    }

    /// Connects, and is bound as a transceiver.
    ///
    /// # Panics
    /// Where it is not.
    pub fn bound(port: u16, account: &str) -> Self {
        let mut esme = Esme::connect(port);
        assert_eq!(esme.bind(account, "secret").expect("a bind is answered"), 0, "{account}");
        esme
    }

    /// Asks to be bound as a transceiver: the status of the response.
    ///
    /// # Errors
    /// Where the connection ends before that.
    ///
    /// # Panics
    /// Where something else comes.
    pub fn bind(&mut self, account: &str, password: &str) -> io::Result<u32> {
        let sequence = self.ask_to_bind(account, password)?;
        let response = self.take()?;
        assert_eq!((response.command, response.sequence), (BIND_TRANSCEIVER | RESPONSE, sequence), "{response:?}");
        Ok(response.status)
    }

    fn ask_to_bind(&mut self, account: &str, password: &str) -> io::Result<u32> {
        let body = [account.as_bytes(), b"\0", password.as_bytes(), b"\0\0\x34\0\0\0"].concat();
        self.ask(BIND_TRANSCEIVER, &body)
    }

    /// Sends a request under the next sequence number, and says which that is.
    ///
    /// # Errors
    /// The system's.
    pub fn ask(&mut self, command: u32, body: &[u8]) -> io::Result<u32> {
        self.last += 1;
        self.send(&Pdu { command, status: 0, sequence: self.last, body: body.to_vec() }.bytes())?;
        Ok(self.last)
    }

    /// Submits a text from an address, to `200`, and asks for a receipt. Says the sequence number.
    ///
    /// # Errors
    /// The system's.
    pub fn submit(&mut self, text: &str) -> io::Result<u32> {
        self.ask(SUBMIT_SM, &message(text))
    }

    /// [`submit`](Esme::submit), and the status by which that is answered.
    ///
    /// # Errors
    /// As for [`read`](Esme::read); what else it is answered by.
    pub fn submit_and_hear(&mut self, text: &str) -> io::Result<u32> {
        let sequence = self.submit(text)?;
        match self.response()? {
            response if response.sequence == sequence => Ok(response.status),
            other => Err(io::Error::other(format!("the message is answered by {other:?}"))),
        }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// The system's.
    pub fn answer(&mut self, request: &Pdu) -> io::Result<()> {
        let body = if request.command == DELIVER_SM { b"\0".to_vec() } else { Vec::new() };
        let command = request.command | RESPONSE;
        self.send(&Pdu { command, status: 0, sequence: request.sequence, body }.bytes())
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The system's.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.client.send(bytes)
    }

    /// The next PDU, whatever it is.
    ///
    /// # Errors
    /// As for [`Client::read`].
    pub fn read(&mut self) -> io::Result<Pdu> {
        let head = self.client.read(16)?;
        let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().expect("four bytes are four"));
        let length = (number(0) as usize).checked_sub(16).ok_or(io::ErrorKind::InvalidData)?;
        let body = self.client.read(length)?;
        Ok(Pdu { command: number(4), status: number(8), sequence: number(12), body })
    }

    /// The next PDU that is no `enquire_link`; those are answered.
    ///
    /// # Errors
    /// As for [`read`](Esme::read).
    pub fn take(&mut self) -> io::Result<Pdu> {
        loop {
            let pdu = self.read()?;
            if pdu.command != ENQUIRE_LINK {
                return Ok(pdu);
            }
            self.answer(&pdu)?;
        }
    }

    /// The next response; requests are answered.
    ///
    /// # Errors
    /// As for [`read`](Esme::read).
    pub fn response(&mut self) -> io::Result<Pdu> {
        loop {
            let pdu = self.take()?;
            if pdu.command & RESPONSE != 0 {
                return Ok(pdu);
            }
            self.answer(&pdu)?;
        }
    }

    /// Takes receipts, until that is enough; asked whenever the gateway, to which we are silent, asks whether we are there.
    ///
    /// # Errors
    /// As for [`read`](Esme::read).
    ///
    /// # Panics
    /// Where something else comes.
    pub fn take_receipts(&mut self, receipts: &mut Vec<String>, enough: impl Fn() -> bool) -> io::Result<()> {
        loop {
            let pdu = self.read()?;
            self.answer(&pdu)?;
            match pdu.command {
                ENQUIRE_LINK if enough() => return Ok(()),
                ENQUIRE_LINK => {}
                _ => receipts.push(pdu.receipt_of().unwrap_or_else(|| panic!("no receipt: {pdu:?}"))),
            }
        }
    }

    /// Whether the other side closes in order: no reset, and nothing before but PDUs, which are passed over.
    ///
    /// # Errors
    /// The system's, a reset among them; or nothing for as long as a client waits.
    pub fn closed(&mut self) -> io::Result<()> {
        loop {
            match self.read() {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                read => drop(read?),
            }
        }
    }

    /// The socket.
    pub fn socket(&self) -> TcpStream {
        self.client.socket()
    }
}

impl Pdu {
    /// As it is sent.
    ///
    /// # Panics
    /// Where it is longer than 4 GiB.
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(16 + self.body.len()).expect("it is shorter");
        let head: Vec<u8> =
            [length, self.command, self.status, self.sequence].into_iter().flat_map(u32::to_be_bytes).collect();
        [head, self.body.clone()].concat()
    }

    /// The text that a response's body begins with: a message id, a `system_id`.
    pub fn text(&self) -> String {
        let end = self.body.iter().position(|byte| *byte == 0).unwrap_or(self.body.len());
        String::from_utf8_lossy(&self.body[..end]).into_owned()
    }

    /// The message's name in the text of a receipt.
    pub fn receipt_of(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.body);
        let (_, id) = text.split_once("id:").filter(|_| self.command == DELIVER_SM)?;
        id.split_once(' ').map(|(id, _)| id.to_owned())
    }
}

/// The body of a `submit_sm` from `100` to `200`, with a receipt.
pub fn message(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short message is short");
    [b"\0\x01\x01100\0\x01\x01200\0\0\0\0\0\0\x01\0\0\0".as_slice(), &[length], text.as_bytes()].concat()
}

/// `generic_nack`
pub const GENERIC_NACK: u32 = 0x8000_0000;
/// The bit of a response.
pub const RESPONSE: u32 = 0x8000_0000;
/// `bind_transceiver`
pub const BIND_TRANSCEIVER: u32 = 0x09;
/// `submit_sm`
pub const SUBMIT_SM: u32 = 0x04;
/// `deliver_sm`
pub const DELIVER_SM: u32 = 0x05;
/// `unbind`
pub const UNBIND: u32 = 0x06;
/// `enquire_link`
pub const ENQUIRE_LINK: u32 = 0x15;
