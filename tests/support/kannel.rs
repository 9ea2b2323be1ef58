//! Kannel as an ESME: HTTP in, SMPP to the gateway, and a request to a URL of the test's for each report.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::client::Client;
use crate::gateway::loopback;
use crate::patience::eventually;
use crate::peer::{Peer, installed};
use crate::port::free_port;
use crate::process::signal;
use crate::smsc::Smsc;

/// Its bearerbox and its smsbox.
#[derive(Debug)]
pub struct Kannel {
    // In this order, since smsbox complains where bearerbox goes first.
    smsbox: Peer,
    bearerbox: Peer,
    sendsms: u16,
    log: PathBuf,
    reports_to: u16,
    reports: Reports,
}

/// What Kannel was told, or tells, of a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reported {
    /// The test's number.
    pub message: u32,
    /// 1: it was delivered, 8: the gateway has taken it.
    pub kind: u32,
    /// What the gateway calls it.
    pub id: String,
}

type Reports = Arc<Mutex<Vec<Reported>>>;

// Where Debian has them, which is not in everybody's PATH.
const BEARERBOX: &str = "/usr/sbin/bearerbox";
const SMSBOX: &str = "/usr/sbin/smsbox";

impl Kannel {
    /// Starts one with three binds: `busy` as a transceiver, `pair` as a transmitter and a receiver. Nothing where it is not
    /// installed.
    ///
    /// # Panics
    /// Where it does not take messages.
    pub fn start(smsc: &Smsc) -> Option<Self> {
        if !installed("kannel", Path::new(BEARERBOX)) {
            return None;
        }
        let listener = TcpListener::bind(loopback(0)).expect("the loopback has a free port");
        let (boxes, sendsms) = (free_port(), free_port());
        let reports_to = listener.local_addr().expect("it is bound").port();
        let reports = Reports::default();
        let taking = Arc::clone(&reports);
        thread::spawn(move || take_all(&listener, &taking));
        let file = smsc.gateway.scratch("kannel.conf");
        fs::write(&file, configuration(smsc.port, boxes, sendsms)).expect("there is room for a configuration");
        let log = smsc.gateway.scratch("bearerbox.log");
        let bearerbox = Peer::start(logging(Command::new(BEARERBOX).arg(&file), &log));
        eventually("bearerbox has bound", || (smsc.connections().len() == 3).then_some(()));
        // Where nobody listens yet, smsbox gives up.
        eventually("bearerbox listens", || TcpStream::connect(loopback(boxes)).ok());
        let smsbox_log = smsc.gateway.scratch("smsbox.log");
        let smsbox = Peer::start(logging(Command::new(SMSBOX).arg(&file), &smsbox_log));
        eventually("smsbox listens", || TcpStream::connect(loopback(sendsms)).ok());
        Some(Kannel { bearerbox, smsbox, sendsms, log, reports_to, reports })
    }

    /// A connection to `cgi-bin/sendsms`.
    pub fn connect(&self) -> Client {
        Client::connect(loopback(self.sendsms))
    }

    /// What `cgi-bin/sendsms` is asked, for a message of an account.
    pub fn sendsms(&self, account: &str, message: u32, text: &str) -> String {
        // 1: delivered, 2: not delivered, 8: taken, 16: refused.
        const REPORTED: u32 = 1 + 2 + 8 + 16;
        let mut target = format!(
            "/cgi-bin/sendsms?username=tester&password=secret&from=100&to=200&smsc={account}&dlr-mask={REPORTED}"
        );
        if !text.is_ascii() {
            target += "&coding=2&charset=UTF-8";
        }
        // Kannel puts the kind and the gateway's name for the message in place of the %.
        let url = format!("http://127.0.0.1:{}/{message}/%d/%F", self.reports_to);
        for (name, value) in [("dlr-url", url.as_str()), ("text", text)] {
            let value: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            target += &format!("&{name}={value}");
        }
        target
    }

    /// All that was reported until now.
    pub fn reports(&self) -> Vec<Reported> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often bearerbox has got a PDU of this name.
    ///
    /// # Panics
    /// Where its log cannot be read.
    pub fn got(&self, name: &str) -> usize {
        let mut got = false;
        let is_one = |line: &&str| {
            match line.split_once("]: ").map(|(_, what)| what) {
                Some("Got PDU:") => got = true,
                Some(what) if what.starts_with("Sending") => got = false,
                _ => {}
            }
            got && line.ends_with(&format!("type_name: {name}"))
        };
        self.log().lines().filter(is_one).count()
    }

    /// What bearerbox complains of.
    ///
    /// # Panics
    /// Where its log cannot be read.
    pub fn complaints(&self) -> Vec<String> {
        let complains = |line: &&str| ["WARNING:", "ERROR:", "PANIC:"].iter().any(|level| line.contains(level));
        self.log().lines().filter(complains).map(str::to_owned).collect()
    }

    /// Has it unbind and end.
    ///
    /// # Panics
    /// Where it does not.
    pub fn stop(&mut self) {
        for peer in [&mut self.smsbox, &mut self.bearerbox] {
            signal(peer.pid(), libc::SIGTERM);
            assert!(peer.ended().success(), "it has ended by itself");
        }
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("the log is there")).into_owned()
    }
}

impl Drop for Kannel {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("--- what bearerbox complains of ---");
            self.complaints().iter().for_each(|line| println!("{line}"));
        }
    }
}

fn configuration(smsc: u16, boxes: u16, sendsms: u16) -> String {
    let bind = |account: &str, port: &str, transceiver: bool| {
        format!(
            r#"
group = smsc
smsc = smpp
smsc-id = {account}
allowed-smsc-id = {account}
host = 127.0.0.1
{port} = {smsc}
transceiver-mode = {transceiver}
smsc-username = {account}
smsc-password = secret
system-type = ""
enquire-link-interval = 1
max-pending-submits = 20
"#
        )
    };
    format!(
        r#"group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = secret
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
dlr-storage = internal
log-level = 0
{busy}{transmitter}{receiver}
group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-level = 1

group = sendsms-user
username = tester
password = secret
concatenation = true
max-messages = 20
"#,
        admin = free_port(),
        busy = bind("busy", "port", true),
        transmitter = bind("pair", "port", false),
        receiver = bind("pair", "receive-port", false),
    )
}

fn logging<'c>(command: &'c mut Command, log: &Path) -> &'c mut Command {
    let log = fs::File::create(log).expect("there is room for a log");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log)
}

/// Takes reports until the process ends: a listener that is gone would be a report that is tried again.
fn take_all(listener: &TcpListener, reports: &Reports) {
    for connection in listener.incoming().map_while(Result::ok) {
        let reports = Arc::clone(reports);
        // A connection that breaks has reported what it has.
        thread::spawn(move || take(connection, &reports));
    }
}

/// Takes reports, a request each: `GET /message/kind/id`.
fn take(connection: TcpStream, reports: &Reports) -> io::Result<()> {
    let mut answers = connection.try_clone()?;
    let mut lines = BufReader::new(connection).lines();
    while let Some(head) = lines.next().transpose()? {
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        while lines.next().transpose()?.is_some_and(|field| !field.is_empty()) {}
        let mut parts = target.split('/').skip(1);
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        let (message, kind) = number().zip(number()).ok_or_else(|| io::Error::other(target.clone()))?;
        let id = parts.next().unwrap_or_default().to_owned();
        reports.lock().unwrap_or_else(PoisonError::into_inner).push(Reported { message, kind, id });
        answers.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
    Ok(())
}
