//! `tandem top`: a live view of the versions of each component, in a terminal.
//!
//! [`board`] is what is known and where the operator looks, [`screen`] how that is drawn; neither knows a terminal or a clock.

mod board;
#[cfg(test)]
mod drawn;
mod screen;

use std::io::{self, IsTerminal, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};

use crate::admin::{Told, watch};
use crate::clock::Clock;
use crate::config::Source;
use board::{Board, Key};

/// How often the host is asked.
const EVERY: Duration = Duration::from_secs(1);

pub(super) fn top(source: &Source) -> anyhow::Result<ExitCode> {
    if !stdout().is_terminal() {
        bail!("`tandem top` is for a terminal; `tandem status` prints the same once, and with --json for programs");
    }
    // A panic, too, puts the terminal back before it is told.
    let mut terminal = ratatui::try_init().context("the terminal cannot be used")?;
    let shown = show(&mut terminal, &source.admin());
    ratatui::try_restore().context("the terminal cannot be put back as it was; `reset` does")?;
    shown.map(|()| ExitCode::SUCCESS)
}

/// What may happen.
enum Happened {
    Told(Told),
    Typed(io::Result<Event>),
    /// Nothing is told any more, and why.
    Blind(anyhow::Error),
}

/// Shows what is told until the operator has seen enough.
fn show(terminal: &mut DefaultTerminal, socket: &Path) -> anyhow::Result<()> {
    let clock = Clock::new();
    let mut board = Board::default();
    let (sender, happens) = mpsc::channel();
    // Both threads end with the process.
    look(socket.to_owned(), sender.clone());
    listen(sender);
    loop {
        terminal.draw(|frame| screen::draw(&mut board, clock.now(), frame.area(), frame.buffer_mut()))?;
        // At least every second: what is old says how old it is.
        match happens.recv_timeout(EVERY) {
            Ok(Happened::Told(told)) => board.told(clock.now(), told),
            Ok(Happened::Typed(typed)) => match typed.context("the keyboard cannot be read")? {
                Event::Key(pressed) if pressed.is_press() => match key(pressed) {
                    Some(Key::Quit) => return Ok(()),
                    Some(key) => board.pressed(key),
                    None => {}
                },
                // A new size is drawn as everything is.
                _ => {}
            },
            Ok(Happened::Blind(error)) => return Err(error),
            Err(_) => {}
        }
    }
}

fn look(socket: std::path::PathBuf, sender: Sender<Happened>) {
    thread::spawn(move || {
        // Nobody hears it once the operator has left.
        let tell = |happened| drop(sender.send(happened));
        match watch(&socket, EVERY, |told| tell(Happened::Told(told))) {
            Err(error) => tell(Happened::Blind(error.into())),
        }
    });
}

fn listen(sender: Sender<Happened>) {
    thread::spawn(move || {
        loop {
            let typed = event::read();
            let last = typed.is_err();
            if sender.send(Happened::Typed(typed)).is_err() || last {
                return;
            }
        }
    });
}

fn key(pressed: KeyEvent) -> Option<Key> {
    if pressed.modifiers.contains(KeyModifiers::CONTROL) {
        return (pressed.code == KeyCode::Char('c')).then_some(Key::Quit);
    }
    Some(match pressed.code {
        KeyCode::Char('q') => Key::Quit,
        KeyCode::Down | KeyCode::Char('j') => Key::Down(1),
        KeyCode::Up | KeyCode::Char('k') => Key::Up(1),
        KeyCode::PageDown => Key::Down(10),
        KeyCode::PageUp => Key::Up(10),
        KeyCode::Home | KeyCode::Char('g') => Key::Up(usize::MAX),
        KeyCode::End | KeyCode::Char('G') => Key::Down(usize::MAX),
        KeyCode::Char('s') => Key::Order,
        KeyCode::Char('?' | 'h') => Key::Help,
        KeyCode::Esc => Key::Close,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_help_says() {
        let plain = |code| key(KeyEvent::new(code, KeyModifiers::NONE));
        assert_eq!(plain(KeyCode::Char('q')), Some(Key::Quit));
        assert_eq!(key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Some(Key::Quit));
        assert_eq!(plain(KeyCode::Char('c')), None);
        assert_eq!(key(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::CONTROL)), None);
        assert_eq!((plain(KeyCode::Char('j')), plain(KeyCode::Up)), (Some(Key::Down(1)), Some(Key::Up(1))));
        assert_eq!((plain(KeyCode::Char('s')), plain(KeyCode::Char('?'))), (Some(Key::Order), Some(Key::Help)));
    }
}
