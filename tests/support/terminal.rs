//! A terminal with a program in it, as far as tests look at one: characters, where they stand, and what size it has.

use std::ffi::{CStr, OsStr};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::eventually;

/// The program, and what it has drawn.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    far: File,
    near: File,
    screen: Arc<Mutex<Screen>>,
}

impl Terminal {
    /// Runs this in a terminal of so many columns and lines.
    ///
    /// # Panics
    /// Where there are no terminals, or it cannot be run.
    pub fn run(command: &Command, columns: u16, lines: u16) -> Self {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("there are terminals");
        grantpt(&far).expect("it is ours");
        unlockpt(&far).expect("it is ours");
        let name = ptsname(&far, Vec::new()).expect("it has a name");
        let far = File::from(far);
        let near = OpenOptions::new().read(true).write(true).open(path(&name)).expect("the program's end is there");
        resize(&far, columns, lines);
        let stdio = || near.try_clone().expect("there are descriptors");
        // The terminal is the program's own, so that it is told of a new size.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm-256color")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .expect("setsid runs it");
        let screen = Arc::new(Mutex::new(Screen::default()));
        let mut output = far.try_clone().expect("there are descriptors");
        let drawn = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It ends where the last of the other end is closed.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                drawn.lock().unwrap_or_else(PoisonError::into_inner).take(&bytes[..count]);
            }
        });
        Terminal { child, far, near, screen }
    }

    /// Waits until the screen is as it should be, and gives it.
    ///
    /// # Panics
    /// Where it does not come to that.
    pub fn until(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        eventually(what, || Some(self.text()).filter(|text| holds(text)))
    }

    /// What stands on the screen.
    pub fn text(&self) -> String {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned() + "\n").collect()
    }

    /// Types this.
    ///
    /// # Panics
    /// Where the terminal is gone.
    pub fn type_in(&mut self, keys: &str) {
        self.far.write_all(keys.as_bytes()).expect("the terminal is there");
    }

    /// Has another size from now on.
    pub fn resize(&self, columns: u16, lines: u16) {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).lines.clear();
        resize(&self.far, columns, lines);
    }

    /// Whether it is as a shell wants it: what is typed is shown and read by lines, on the screen that was there before, with a cursor.
    ///
    /// # Panics
    /// Where the terminal is gone.
    pub fn is_as_it_was(&self) -> bool {
        let modes = tcgetattr(&self.near).expect("the terminal is there").local_modes;
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG) && !screen.other && !screen.no_cursor
    }

    /// Waits for the program's end.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn ended(&mut self) -> ExitStatus {
        eventually("the program in the terminal ends", || self.child.try_wait().expect("the child is ours"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, or its test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn path(name: &CStr) -> &OsStr {
    OsStr::from_bytes(name.to_bytes())
}

fn resize(far: &File, columns: u16, lines: u16) {
    let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(far, size).expect("the terminal is there");
}

/// What has been drawn.
#[derive(Debug, Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    at: (usize, usize),
    /// The screen for programs that fill it.
    other: bool,
    no_cursor: bool,
    /// The part that has no end yet.
    unread: Vec<u8>,
}

impl Screen {
    fn take(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        let unread = std::mem::take(&mut self.unread);
        let whole = match std::str::from_utf8(&unread) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&unread[..error.valid_up_to()]).expect("it is valid up to there"),
        };
        let mut rest = whole;
        while let Some(first) = rest.chars().next() {
            if let Some(sequence) = rest.strip_prefix("\u{1b}[") {
                let Some(end) = sequence.find(|c: char| ('@'..='~').contains(&c)) else { break };
                self.control(&sequence[..end], sequence.as_bytes()[end]);
                rest = &sequence[end + 1..];
                continue;
            }
            if rest == "\u{1b}" {
                break;
            }
            match first {
                '\r' => self.at.1 = 0,
                '\n' => self.at.0 += 1,
                first if first.is_control() => {}
                first => self.put(first),
            }
            rest = &rest[first.len_utf8()..];
        }
        self.unread = unread[whole.len() - rest.len()..].to_vec();
    }

    fn put(&mut self, char: char) {
        let (line, column) = self.at;
        if self.lines.len() <= line {
            self.lines.resize(line + 1, Vec::new());
        }
        let line = &mut self.lines[line];
        if line.len() <= column {
            line.resize(column + 1, ' ');
        }
        line[column] = char;
        self.at.1 += 1;
    }

    fn control(&mut self, parameters: &str, end: u8) {
        match (parameters, end) {
            ("?1049", b'h' | b'l') => self.other = end == b'h',
            ("?25", b'h' | b'l') => self.no_cursor = end == b'l',
            ("2", b'J') => self.lines.clear(),
            (_, b'H') => {
                let mut numbers = parameters.split(';').map(|number| number.parse().unwrap_or(1).max(1) - 1);
                self.at = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            }
            // Colours are for people.
            _ => {}
        }
    }
}
