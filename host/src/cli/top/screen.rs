//! How a [`Board`] is drawn. What does not fit is left out, the least important first.

use std::time::Duration;

use bytesize::ByteSize;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Widget, Wrap};

use super::board::{Board, Row};
use crate::admin::{MovesStatus, Status};
use crate::clock::Nanos;
use crate::observe::notice::Said;

/// Draws all of it.
pub(super) fn draw(board: &mut Board, now: Nanos, area: Rect, to: &mut Buffer) {
    // Few rows are there for notices on a low screen, and none on a very low one.
    let notices = if area.height < 12 { 0 } else { area.height / 3 };
    let [head, table, detail, notices, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(2),
        Constraint::Length(2),
        Constraint::Length(notices),
        Constraint::Length(1),
    ])
    .areas(area);
    Paragraph::new(heads(board, now)).render(head, to);
    versions(board, table, detail, to);
    heard(board, notices, to);
    Line::styled(format!("q quit  ↑↓ select  s order: {}  ? help", board.order().word()), DIM).render(foot, to);
    if board.helps() {
        help(area, to);
    }
}

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);

/// A status that is older than this says so: the host answers late, as it does in a reload with long examinations.
const LATE: Nanos = 3_000_000_000;

fn heads(board: &Board, now: Nanos) -> Vec<Line<'static>> {
    let age = Duration::from_nanos(board.age(now)).as_secs();
    let Some(status) = board.status() else {
        let (first, style) = match board.gone() {
            Some(reason) => (reason.to_owned(), BAD),
            None => ("asking the host".to_owned(), DIM),
        };
        let second = board.gone().map_or("", |_| "it is tried again every second");
        return vec![Line::styled(first, style), Line::styled(second, DIM)];
    };
    let first = format!("tandem pid {} · {} workers · publication {}", status.pid, status.workers, status.publication);
    let second = match board.gone() {
        Some(reason) => Line::styled(format!("DISCONNECTED for {age}s, tried every second: {reason}"), BAD),
        None if board.age(now) > LATE => Line::styled(format!("as it was {age}s ago: the host is busy"), BAD),
        None => summary(status),
    };
    vec![Line::styled(first, BOLD), second]
}

/// What is not visible in a single row.
fn summary(status: &Status) -> Line<'static> {
    let sessions: u64 = status.versions.iter().map(|one| one.sessions).sum();
    let mut spans = vec![Span::raw(format!("{sessions} sessions"))];
    match status.moves {
        Some(MovesStatus { stay: 0, .. }) => {}
        Some(MovesStatus { stay, .. }) => spans.push(Span::raw(format!(" · {stay} stay where they are"))),
        None => spans.push(Span::raw(" · sessions are moving")),
    }
    let lingering = status.versions.iter().filter(|one| one.stage == "lingering").count();
    if lingering > 0 {
        spans.push(Span::styled(format!(" · {lingering} lingering"), BAD));
    }
    let unserved = status.services.iter().filter(|one| one.version.is_none()).count();
    if unserved > 0 {
        spans.push(Span::styled(format!(" · {unserved} services unserved"), BAD));
    }
    if let Some(error) = &status.reload_error {
        spans.push(Span::styled(format!(" · the last reload changed nothing: {error}"), BAD));
    }
    Line::from(spans)
}

/// A column beside the version's name.
struct Column {
    title: &'static str,
    width: u16,
    /// Those with a higher one go first where the screen is narrow.
    spare: u8,
    left: bool,
    cell: fn(&Row<'_>) -> String,
}

const COLUMNS: [Column; 8] = [
    Column { title: "STAGE", width: 11, spare: 0, left: true, cell: |row| row.version.stage.clone() },
    Column { title: "TAKEN/S", width: 7, spare: 1, left: false, cell: |row| rate(row.taken) },
    Column { title: "SHARE", width: 5, spare: 4, left: false, cell: |row| share(row.share) },
    Column { title: "EXCH/S", width: 7, spare: 7, left: false, cell: |row| rate(row.exchanges) },
    Column { title: "SESSIONS", width: 8, spare: 2, left: false, cell: |row| row.version.sessions.to_string() },
    Column { title: "FAILED", width: 6, spare: 3, left: false, cell: |row| row.version.failures.to_string() },
    Column { title: "MEMORY", width: 9, spare: 5, left: false, cell: memory },
    Column { title: "OVERRUN", width: 7, spare: 6, left: false, cell: |row| row.version.overruns.to_string() },
];

/// A version's name has at least so much.
const NAME_MIN: u16 = 18;

/// The columns for which there is room, and how much of it is left for the name.
fn fitting(width: u16) -> (Vec<&'static Column>, u16) {
    let mut columns: Vec<&Column> = COLUMNS.iter().collect();
    loop {
        let taken: u16 = columns.iter().map(|column| column.width + 1).sum();
        if taken + NAME_MIN <= width || columns.is_empty() {
            return (columns, width.saturating_sub(taken));
        }
        let spare = columns.iter().map(|column| column.spare).max();
        columns.retain(|column| Some(column.spare) != spare);
    }
}

fn versions(board: &mut Board, area: Rect, detail: Rect, to: &mut Buffer) {
    let (columns, name) = fitting(area.width);
    let [titles, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let mut line = fit("VERSION", name, true);
    for column in &columns {
        line.push(' ');
        line.push_str(&fit(column.title, column.width, column.left));
    }
    Line::styled(line, BOLD).render(titles, to);

    let mut first = board.first;
    let rows = board.rows();
    if rows.is_empty() {
        let none = if board.status().is_some() { "no versions" } else { "" };
        Line::styled(none, DIM).render(body, to);
        return;
    }
    let selected = board.selected(&rows);
    // The selected one stays in sight, and no room is left unused.
    let room = usize::from(body.height);
    first = first.min(selected).max((selected + 1).saturating_sub(room)).min(rows.len().saturating_sub(room));
    for ((at, row), place) in rows.iter().enumerate().skip(first).zip(body.rows()) {
        let mut line = fit(&row.version.version, name, true);
        for column in &columns {
            line.push(' ');
            line.push_str(&fit(&(column.cell)(row), column.width, column.left));
        }
        let style = if at == selected { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        to.set_style(place, style);
        Line::styled(line, style.patch(of_stage(&row.version.stage))).render(place, to);
    }
    if let Some(row) = rows.get(selected) {
        let of = format!("{} of {}", selected + 1, rows.len());
        let services = row.version.services.join(" ");
        let services = if services.is_empty() { "no service".to_owned() } else { services };
        let whole = format!("{} · {of} · {services}", row.version.version);
        let reason = row.version.reason.as_deref().unwrap_or_default();
        Paragraph::new(vec![Line::styled(whole, DIM), Line::raw(reason)]).render(detail, to);
    }
    board.first = first;
}

fn of_stage(stage: &str) -> Style {
    match stage {
        "active" => Style::new().fg(Color::Green),
        "canary" | "staged" | "examined" => Style::new().fg(Color::Cyan),
        "draining" => Style::new().fg(Color::Yellow),
        "refused" | "withdrawn" | "quarantined" | "lingering" => Style::new().fg(Color::Red),
        _ => DIM,
    }
}

fn heard(board: &Board, area: Rect, to: &mut Buffer) {
    let mut places = area.rows();
    let Some(title) = places.next() else { return };
    Line::styled("EVENTS", BOLD).render(title, to);
    for (Said { at, notice, count, reason, .. }, place) in board.notices().zip(places) {
        let style = if notice.goes_its_way() { Style::new() } else { Style::new().fg(Color::Yellow) };
        let times = if *count > 1 { format!(" ×{count}") } else { String::new() };
        let seconds = at / 1_000_000_000 % 86_400;
        let when = format!("{:02}:{:02}:{:02} ", seconds / 3600, seconds / 60 % 60, seconds % 60);
        Line::from(vec![
            Span::styled(when, DIM),
            Span::styled(format!("{notice}{times} "), style.add_modifier(Modifier::BOLD)),
            Span::styled(reason.as_str(), style),
        ])
        .render(place, to);
    }
}

const HELP: &str = "q, ctrl-C  leave
↑ ↓, k j   select a version
page ↑ ↓   ten at a time; home, end
s          order by version, traffic,
           sessions, memory or failures
?, esc     close this

TAKEN/S and SHARE are of the sessions that were taken in the last five seconds. Times are UTC.";

fn help(area: Rect, to: &mut Buffer) {
    let (width, height) = (area.width.min(44), area.height.min(12));
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(place, to);
    let frame = ratatui::widgets::Block::bordered().title("help");
    Paragraph::new(HELP).wrap(Wrap { trim: false }).block(frame).render(place, to);
}

/// In exactly this width: what is longer shows that something is missing.
fn fit(text: &str, width: u16, left: bool) -> String {
    let width = usize::from(width);
    let length = text.chars().count();
    match (length > width, left) {
        (true, _) => text.chars().take(width.saturating_sub(1)).chain((width > 0).then_some('…')).collect(),
        (false, true) => format!("{text:<width$}"),
        (false, false) => format!("{text:>width$}"),
    }
}

fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(rate) if rate < 100.0 => format!("{rate:.1}"),
        Some(rate) if rate < 1e6 => format!("{rate:.0}"),
        Some(rate) => format!("{:.1}M", rate / 1e6),
    }
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

fn memory(row: &Row<'_>) -> String {
    match row.version.memory {
        Some(bytes) => ByteSize(bytes).to_string(),
        None => "-".to_owned(),
    }
}
