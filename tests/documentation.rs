//! The documentation says what is so: refusals as the code has them, links that lead somewhere.
//!
//! What else is compared with the code, is where that code is: keys in the tests of each configuration, notices beside their list, metrics in
//! `tests/admin.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where each refusal of a version or a store is an error of its own, and all of them are told of.
const REFUSING: [&str; 8] = [
    "host/src/loader/elf.rs",
    "host/src/loader/examine/mod.rs",
    "host/src/loader/library.rs",
    "host/src/loader/linked.rs",
    "host/src/loader/manifest.rs",
    "host/src/loader/shelf.rs",
    "host/src/loader/signature.rs",
    "host/src/store/sqlite.rs",
];

#[test]
fn refusals_are_told_of_as_they_are_said() {
    let told: Vec<Vec<String>> =
        read("docs/refusals.md").lines().filter_map(quoted).map(|text| pieces(&text)).collect();
    assert!(told.len() > 50, "docs/refusals.md tells of {} refusals", told.len());
    let mut sources = Vec::new();
    collect(&root().join("host/src"), "rs", &mut sources);
    let said: Vec<String> = sources.iter().flat_map(|path| literals(&fs::read_to_string(path).unwrap())).collect();
    let unsaid = told.iter().filter(|pieces| !said.iter().any(|said| has_all(said, pieces)));
    let mut wrong: Vec<String> = unsaid.map(|pieces| format!("nobody says `{}`", pieces.join("…"))).collect();
    for file in REFUSING {
        for error in read(file).split("#[error(").skip(1) {
            let Some(text) = literals(error).into_iter().next().filter(|_| !error.starts_with("transparent")) else {
                continue;
            };
            let written = format!("`{}`", pieces(&text).join("…"));
            // One whose text is all from elsewhere has nothing to be found by.
            if written.contains(char::is_alphabetic) && !told.iter().any(|pieces| has_all(&text, pieces)) {
                wrong.push(format!("no line tells of what {file} says: {written}"));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/refusals.md:\n{}", wrong.join("\n"));
}

#[test]
fn links_lead_somewhere() {
    let mut files = Vec::new();
    collect(&root(), "md", &mut files);
    let mut wrong = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.contains("://") || link.contains(' ') {
                continue;
            }
            let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
            let there = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let leads = match anchor {
                None => there.exists(),
                Some(anchor) => fs::read_to_string(&there).is_ok_and(|text| anchors(&text).contains(anchor)),
            };
            if !leads {
                wrong.push(format!("{}: {link} leads nowhere", file.display()));
            }
        }
    }
    assert!(files.len() > 10 && wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The text of a line of the table: between backticks, those in it escaped.
fn quoted(line: &str) -> Option<String> {
    let text = line.strip_prefix("| `")?.replace("\\`", "\0");
    Some(text.split_once('`')?.0.replace('\0', "`"))
}

/// What stands between what is said of the case, and around it.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut inside = 0;
    for c in text.replace("{{", "\u{1}").replace("}}", "\u{2}").chars() {
        match c {
            '{' => inside += 1,
            '}' => {
                inside -= 1;
                pieces.push(String::new());
            }
            '…' => pieces.push(String::new()),
            _ if inside > 0 => {}
            c => pieces.last_mut().unwrap().push(c),
        }
    }
    pieces.iter().map(|piece| piece.replace('\u{1}', "{").replace('\u{2}', "}")).collect()
}

/// Whether a text of the code has these pieces in turn, each of them within what it says itself.
fn has_all(said: &str, wanted: &[String]) -> bool {
    let said = pieces(said).join("…");
    let mut rest = said.as_str();
    let found = wanted.iter().filter(|piece| piece.chars().any(char::is_alphabetic)).all(|piece| {
        // A name that is said between backticks is told as what is said of the case.
        let piece = piece.trim_matches([' ', '`', '…']);
        rest.find(piece).map(|at| rest = &rest[at + piece.len()..]).is_some()
    });
    found && wanted.iter().any(|piece| piece.chars().any(char::is_alphabetic))
}

/// The texts in a source, as they are at run time.
fn literals(source: &str) -> Vec<String> {
    let mut literals = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        let found = &rest[at..];
        if found.starts_with("//") {
            rest = found.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        if let Some(after) = found.strip_prefix("'\"'").or_else(|| found.strip_prefix("'\\\"'")) {
            rest = after;
            continue;
        }
        let Some(found) = found.strip_prefix('"') else {
            rest = &found[1..];
            continue;
        };
        let (mut text, mut chars) = (String::new(), found.char_indices());
        rest = "";
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    rest = &found[at + 1..];
                    break;
                }
                '\\' => match chars.next() {
                    // A line that goes on in the next one, without what that is indented by.
                    Some((_, '\n')) => {
                        let indented = chars.clone().take_while(|(_, c)| c.is_whitespace()).count();
                        chars.by_ref().take(indented).for_each(drop);
                    }
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, c)) => text.push(c),
                    None => break,
                },
                c => text.push(c),
            }
        }
        literals.push(text);
    }
    literals
}

/// The headings of a text, as links name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    headings.map(anchor).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a directory of the workspace").to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn collect(directory: &Path, extension: &str, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" || name == "var" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            collect(&path, extension, files);
        } else if path.extension().is_some_and(|it| it == extension) {
            files.push(path);
        }
    }
}
