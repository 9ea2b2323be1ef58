//! What an operator sees on screens of several sizes.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::board::{Board, Key};
use super::screen::draw;
use crate::admin::{Status, Told};
use crate::clock::Nanos;

const SECOND: Nanos = 1_000_000_000;

/// The lines of a screen, without the blanks at their ends.
fn drawn(board: &mut Board, now: Nanos, width: u16, height: u16) -> Vec<String> {
    let area = Rect::new(0, 0, width, height);
    let mut screen = Buffer::empty(area);
    draw(board, now, area, &mut screen);
    let line = |y| (0..width).map(|x| screen[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect()
}

/// Versions by number: their stage, what they have taken, and their sessions.
fn status(pid: u32, versions: &[(&str, &str, u64, u64)]) -> Told {
    let versions: Vec<_> = versions
        .iter()
        .map(|(number, stage, taken, sessions)| {
            serde_json::json!({
                "version": format!("http@{number}#3fa9c1"), "component": "http", "number": number, "digest": "3fa9c1",
                "stage": stage, "reason": (*stage == "lingering").then_some("a thread of it still runs"),
                "memory": 2_097_152, "uncounted": false, "sessions": sessions, "taken": taken, "failures": 3,
                "services": ["web"],
            })
        })
        .collect();
    let status = serde_json::json!({
        "pid": pid, "since": pid, "publication": 7, "moves": null, "workers": 2, "versions": versions, "services": [],
        "agreements": [], "agreements_left_out": 0, "refused": [], "reload_error": null, "notices": [],
    });
    Told::Status(Box::new(serde_json::from_value::<Status>(status).unwrap()))
}

fn notice(number: u64, reason: &str) -> Told {
    let at = number * SECOND;
    let said =
        serde_json::json!({"number": number, "at": at, "notice": "version-active", "count": 1, "reason": reason});
    Told::Notice(serde_json::from_value(said).unwrap())
}

/// In the middle of a swap.
fn swap() -> Board {
    let mut board = Board::default();
    board.told(SECOND, status(1, &[("1.1.0", "active", 0, 0), ("1.0.0", "draining", 100, 10)]));
    board.told(3 * SECOND, status(1, &[("1.1.0", "active", 30, 30), ("1.0.0", "draining", 110, 4)]));
    board.told(3 * SECOND, notice(3661, "http@1.1.0#3fa9c1 serves web"));
    board
}

#[test]
fn a_usual_screen_has_every_figure() {
    let lines = drawn(&mut swap(), 3 * SECOND, 80, 24);
    assert_eq!(lines[0], "tandem pid 1 · 2 workers · publication 7");
    assert_eq!(lines[1], "34 sessions · sessions are moving");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert_eq!(words(&lines[2]), "VERSION STAGE TAKEN/S SHARE SESSIONS FAILED MEMORY OVERRUN");
    assert_eq!(words(&lines[3]), "http@1.1.0#3fa9c1 active 15.0 75 % 30 3 2.0 MiB 0");
    assert_eq!(words(&lines[4]), "http@1.0.0#3fa9c1 draining 5.0 25 % 4 3 2.0 MiB 0");
    let events = lines.iter().position(|line| line == "EVENTS").unwrap();
    assert_eq!(lines[events - 2], "http@1.1.0#3fa9c1 · 1 of 2 · web");
    assert_eq!(lines[events + 1], "01:01:01 version-active http@1.1.0#3fa9c1 serves web");
    assert_eq!(lines[23], "q quit  ↑↓ select  s order: version  ? help");
    assert!(drawn(&mut swap(), 0, 100, 24)[2].contains("EXCH/S"));
}

#[test]
fn a_narrow_screen_keeps_what_matters_most() {
    let lines = drawn(&mut swap(), 3 * SECOND, 40, 20);
    assert_eq!(lines[2], "VERSION              STAGE       TAKEN/S");
    assert_eq!(lines[3], "http@1.1.0#3fa9c1    active         15.0");
}

#[test]
fn no_screen_is_too_small_or_too_large() {
    let mut board = swap();
    for help in [false, true] {
        for (width, height) in (0..30).flat_map(|width| (0..20).map(move |height| (width, height))) {
            drawn(&mut board, 0, width, height);
        }
        drawn(&mut board, 0, 400, 150);
        assert_eq!(drawn(&mut board, 0, 80, 24).concat().contains("ctrl-C"), help);
        board.pressed(Key::Help);
    }
}

#[test]
fn a_host_that_is_not_there_is_told_and_one_that_is_back_counts_anew() {
    let mut board = Board::default();
    assert_eq!(drawn(&mut board, 0, 80, 24)[0], "asking the host");
    board.told(0, Told::Gone("no host answers at data/admin.sock".to_owned()));
    let lines = drawn(&mut board, 0, 80, 24);
    assert_eq!(
        (lines[0].as_str(), lines[1].as_str()),
        ("no host answers at data/admin.sock", "it is tried again every second")
    );

    let mut board = swap();
    board.told(4 * SECOND, Told::Gone("no host answers".to_owned()));
    let lines = drawn(&mut board, 9 * SECOND, 80, 24);
    assert_eq!(lines[1], "DISCONNECTED for 6s, tried every second: no host answers");
    assert!(lines[3].starts_with("http@1.1.0"), "what was known last stays: {lines:?}");

    board.told(10 * SECOND, status(2, &[("1.1.0", "active", 5, 5)]));
    let lines = drawn(&mut board, 10 * SECOND, 80, 24);
    assert!(lines[0].contains("pid 2") && lines[1].starts_with("5 sessions"), "{lines:?}");
    assert!(lines[3].contains(" - "), "it was seen once: {lines:?}");
    board.told(11 * SECOND, status(2, &[("1.1.0", "active", 9, 5)]));
    assert!(drawn(&mut board, 11 * SECOND, 80, 24)[3].contains(" 4.0 "));
    assert_eq!(drawn(&mut board, 15 * SECOND, 80, 24)[1], "as it was 4s ago: the host is busy");
}

#[test]
fn a_host_without_versions_says_so() {
    let mut board = Board::default();
    board.told(0, status(1, &[]));
    board.pressed(Key::Down(1));
    assert_eq!(drawn(&mut board, 0, 80, 24)[3], "no versions");
}

#[test]
fn the_selected_version_stays_in_sight_however_many_there_are() {
    let numbers: Vec<String> = (0..100).map(|number| format!("1.{number}.0")).collect();
    let versions: Vec<_> = numbers.iter().map(|number| (number.as_str(), "draining", 0, 0)).collect();
    let mut board = Board::default();
    board.told(0, status(1, &versions));
    let shown = |board: &mut Board| drawn(board, 0, 80, 24)[3].split('#').next().unwrap().to_owned();
    assert_eq!(shown(&mut board), "http@1.0.0");
    board.pressed(Key::Down(usize::MAX));
    // Ten rows are for versions.
    assert_eq!(shown(&mut board), "http@1.90.0");
    assert!(drawn(&mut board, 0, 80, 24).concat().contains("http@1.99.0#3fa9c1 · 100 of 100"));
    board.pressed(Key::Up(9));
    assert_eq!(shown(&mut board), "http@1.90.0");
    board.pressed(Key::Up(1));
    assert_eq!(shown(&mut board), "http@1.89.0");
    // Another one may come before it: what is selected is the version, not the row.
    board.told(1, status(1, &[("2.0.0", "active", 0, 0), ("1.89.0", "draining", 0, 0)]));
    assert!(drawn(&mut board, 0, 80, 24).concat().contains("http@1.89.0#3fa9c1 · 2 of 2"));
    board.told(2, status(1, &[("2.0.0", "active", 0, 0)]));
    assert!(drawn(&mut board, 0, 80, 24).concat().contains("http@2.0.0#3fa9c1 · 1 of 1"));
}

#[test]
fn the_order_is_the_operators() {
    let mut board = swap();
    board.told(4 * SECOND, status(1, &[("1.1.0", "active", 31, 1), ("1.0.0", "lingering", 400, 9)]));
    let mut firsts = BTreeMap::new();
    for _ in 0..5 {
        let lines = drawn(&mut board, 4 * SECOND, 80, 24);
        let order = lines[23].split("order: ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        firsts.insert(order, lines[3][..10].to_owned());
        board.pressed(Key::Order);
    }
    let first = |order: &str| firsts[order].as_str();
    assert_eq!((first("version"), first("traffic"), first("sessions")), ("http@1.1.0", "http@1.0.0", "http@1.0.0"));
    // Of those that are equal none is before the other for it.
    assert_eq!((first("memory"), first("failures")), ("http@1.1.0", "http@1.1.0"));
    board.pressed(Key::Down(1));
    let lines = drawn(&mut board, 4 * SECOND, 80, 24);
    assert!(
        lines[1].ends_with("1 lingering") && lines.iter().any(|line| line == "a thread of it still runs"),
        "{lines:?}"
    );
}

#[test]
fn a_notice_is_shown_once_and_the_newest_first() {
    let mut board = swap();
    board.told(0, notice(3661, "again, after a new connection"));
    board.told(0, notice(3662, "the next one"));
    let lines = drawn(&mut board, 0, 80, 24);
    let events = lines.iter().position(|line| line == "EVENTS").unwrap();
    assert_eq!(lines[events + 1], "01:01:02 version-active the next one");
    assert!(lines[events + 2].ends_with("serves web") && lines[events + 3].is_empty(), "{lines:?}");
}

#[test]
fn what_controls_a_terminal_stays_out_of_it() {
    let mut board = swap();
    board.told(0, notice(3662, "a\u{1b}[2Jb\nc"));
    assert!(!drawn(&mut board, 0, 80, 24).concat().contains(char::is_control));
}
