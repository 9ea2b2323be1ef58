//! An SMSC of the test's own, to which the gateway binds: [`Network`]. It says what it is told to, right or wrong.

use std::net::{Ipv4Addr, TcpListener};

use crate::client::Client;
use crate::esme::{BIND_TRANSCEIVER, DELIVER_SM, Esme, Pdu, RESPONSE, SUBMIT_SM};
use crate::port::free_port;

/// Where the gateway binds, or would.
#[derive(Debug)]
pub struct Network {
    /// Its port, also while it is down.
    pub port: u16,
    listener: Option<TcpListener>,
}

impl Network {
    /// One that is down: nobody listens.
    pub fn down() -> Self {
        Network { port: free_port(), listener: None }
    }

    /// One that is there.
    ///
    /// # Panics
    /// Where its port was taken in between.
    pub fn up() -> Self {
        let mut network = Network::down();
        network.come_up();
        network
    }

    /// Listens from now on.
    ///
    /// # Panics
    /// Where its port was taken in between.
    pub fn come_up(&mut self) {
        self.listener = Some(TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).expect("the port is free"));
    }

    /// Listens no more. Connections that are there stay.
    pub fn go_down(&mut self) {
        self.listener = None;
    }

    /// The gateway's next connection, bound.
    ///
    /// # Panics
    /// Where it says anything else than that it binds as a transceiver.
    pub fn bound(&self) -> Esme {
        let listener = self.listener.as_ref().expect("it listens");
        let (stream, _) = listener.accept().expect("the gateway connects");
        let mut line = Esme::over(Client::over(stream));
        let bind = line.take().expect("it binds");
        assert_eq!(bind.command, BIND_TRANSCEIVER, "{bind:?}");
        line.respond(&bind, 0, b"network\0").expect("it is there");
        line
    }
}

impl Network {
    /// Takes each message that comes, under a name of its own, until the process of the test ends.
    pub fn oblige(self) {
        std::thread::spawn(move || {
            for connection in 1.. {
                let mut line = self.bound();
                for n in 1.. {
                    let Ok(pdu) = line.take() else { break };
                    let named = if pdu.command == SUBMIT_SM { format!("n{connection}.{n}\0") } else { String::new() };
                    if pdu.command & RESPONSE == 0 && line.respond(&pdu, 0, named.as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
    }
}

impl Esme {
    /// Answers a request by a status and a body.
    ///
    /// # Errors
    /// The system's.
    pub fn respond(&mut self, request: &Pdu, status: u32, body: &[u8]) -> std::io::Result<()> {
        let command = request.command | RESPONSE;
        self.send(&Pdu { command, status, sequence: request.sequence, body: body.to_vec() }.bytes())
    }

    /// The next `submit_sm`; all else that is asked is answered.
    ///
    /// # Panics
    /// Where none comes.
    pub fn submitted(&mut self) -> Pdu {
        loop {
            let pdu = self.take().expect("a message comes");
            if pdu.command == SUBMIT_SM {
                return pdu;
            }
            if pdu.command & RESPONSE == 0 {
                self.answer(&pdu).expect("it is there");
            }
        }
    }

    /// Takes a message under a name.
    ///
    /// # Panics
    /// Where the connection is gone.
    pub fn name(&mut self, submitted: &Pdu, name: &str) {
        self.respond(submitted, 0, format!("{name}\0").as_bytes()).expect("it is there");
    }

    /// Sends a receipt of what has this name, and says under which sequence number.
    ///
    /// # Panics
    /// Where the connection is gone.
    pub fn tell(&mut self, name: &str, state: &str) -> u32 {
        let text = format!(
            "id:{name} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:{state} err:000 text:"
        );
        let length = u8::try_from(text.len()).expect("it is short");
        let body =
            [b"\0\x01\x01200\0\x01\x01100\0\x04\0\0\0\0\0\0\0\0".as_slice(), &[length], text.as_bytes()].concat();
        self.ask(DELIVER_SM, &body).expect("it is there")
    }

    /// [`tell`](Esme::tell), and the status by which that is answered.
    ///
    /// # Panics
    /// Where it is not, or a message comes.
    pub fn tell_and_hear(&mut self, name: &str, state: &str) -> u32 {
        let sequence = self.tell(name, state);
        self.answered(sequence)
    }

    /// The status by which the gateway answers the request of this number; what it asks in between is kept from it.
    ///
    /// # Panics
    /// Where the answer does not come, or a message does.
    pub fn answered(&mut self, sequence: u32) -> u32 {
        loop {
            let pdu = self.take().expect("it answers");
            assert_ne!(pdu.command, SUBMIT_SM, "{pdu:?}");
            if pdu.command & RESPONSE != 0 && pdu.sequence == sequence {
                return pdu.status;
            }
        }
    }
}
