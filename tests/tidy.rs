//! What a machine can see of our habits. Each finding says what to write instead.
//!
//! A list of exceptions is part of its rule: whoever needs another one adds it here, with the reason.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn a_file_holds_one_idea() {
    const LINES_MAX: usize = 600;
    const LONGER: [(&str, &str); 1] = [(
        "component-api/src/harness.rs",
        "the whole host as a test sees it, in one piece, so that its rules can be read together",
    )];
    check(|file| {
        let lines = file.text.lines().count();
        let listed = LONGER.iter().any(|(path, _)| *path == file.path);
        let finding = format!("{lines} lines; split it at a noun, or name it in tests/tidy.rs with the reason");
        if lines > LINES_MAX && !listed { vec![finding] } else { Vec::new() }
    });
}

#[test]
fn unsafe_code_lies_where_it_is_expected() {
    const PLACES: [(&str, &str); 9] = [
        ("component-api/src/abi.rs", "our end of the boundary"),
        ("component-api/src/abi/reply.rs", "our end of the boundary"),
        ("component-api/src/export.rs", "our end of the boundary"),
        ("component-api/src/memory.rs", "an allocator"),
        ("host/src/loader/", "the far end"),
        ("host/tests/", "calls what it has loaded"),
        ("tests/misbehaving/", "misbehaves"),
        ("tests/support/gateway.rs", "limits a gateway's descriptors, and sets its mask"),
        ("tests/support/process.rs", "signals a process, and ties its life to its test's"),
    ];
    check(|file| {
        if PLACES.iter().any(|(place, _)| file.path.starts_with(place)) {
            return Vec::new();
        }
        file.code_with(&["unsafe"], "move it into host/src/loader, behind a safe function")
    });
}

#[test]
fn time_comes_in_as_an_argument() {
    const CLOCKS: [(&str, &str); 8] = [
        ("host/src/clock.rs", "the clock"),
        ("host/benches/", "a bench measures"),
        ("host/src/loader/examine/", "the time limit of an examination"),
        ("host/src/store/sqlite/group.rs", "how long a commit takes; no session sees it"),
        ("host/src/worker.rs", "the deadline of a shutdown, on the runtime's clock"),
        ("host/src/worker/handle.rs", "how long a worker gets to take a command"),
        ("host/tests/", "tests wait"),
        ("tests/", "tests wait"),
    ];
    check(|file| {
        let testing = file.path.contains("/tests/");
        if testing || CLOCKS.iter().any(|(place, _)| file.path.starts_with(place)) {
            return Vec::new();
        }
        let instead = "take the time as an argument; the host has it from clock.rs, a component from `out.now()`";
        file.code_with(&["Instant::now", "SystemTime::now"], instead)
    });
}

#[test]
fn what_differs_by_system_is_in_one_module() {
    const PLACES: [(&str, &str); 2] = [
        ("host/src/system/", "the module"),
        ("host/src/loader/", "how libraries are opened and threads are looked at"),
    ];
    const NAMES: [&str; 6] = ["std::os::", "libc::", "rustix::", "signal_hook", "tokio::signal", "tokio::net::unix"];
    const INSTEAD: &str = "put it into host/src/system, under one name on every system";
    check(|file| {
        if !file.path.starts_with("host/src/") || PLACES.iter().any(|(place, _)| file.path.starts_with(place)) {
            return Vec::new();
        }
        let mut findings = file.code_with(&NAMES, INSTEAD);
        findings.extend(file.code_where(asks_for_the_system, "a condition on the system", INSTEAD));
        findings
    });
}

/// Whether a line is compiled, or runs, on some systems only.
fn asks_for_the_system(line: &str) -> bool {
    const CONDITIONS: [&str; 3] = ["cfg(", "cfg!(", "cfg_attr("];
    const SYSTEMS: [&str; 6] = ["unix", "windows", "target_os", "target_env", "target_family", "target_vendor"];
    let condition = CONDITIONS.iter().find_map(|condition| line.split_once(condition));
    condition.is_some_and(|(_, of)| SYSTEMS.iter().any(|system| has_word(of, system)))
}

#[test]
fn a_component_touches_no_io() {
    const WORLD: [&str; 8] =
        ["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "std::fs", "std::process", "thread::spawn", "tokio"];
    check(|file| match file.path.strip_prefix("components/") {
        Some(path) if path.contains("/src/") => file.code_with(&WORLD, "ask the host for it, by an effect of `Out`"),
        _ => Vec::new(),
    });
}

#[test]
fn nothing_is_left_for_later() {
    check(|file| {
        if file.path == THIS {
            return Vec::new();
        }
        let mut findings =
            file.code_with(&["todo!", "unimplemented!"], "write it, or return an error that says who is to blame");
        findings.extend(file.code_with(&["dbg!"], "use tracing, or an assertion"));
        findings.extend(
            file.lines_with(&["TODO", "FIXME", "XXX"], "do it, or open an issue and leave the code without it"),
        );
        findings
    });
}

#[test]
fn the_design_has_a_word_for_it() {
    const WORDS: [(&str, &str); 12] = [
        ("plugin", "component"),
        ("plugins", "components"),
        ("plug-in", "component"),
        ("plug-ins", "components"),
        ("backend", "upstream, or a server of one"),
        ("backends", "upstreams"),
        ("tenant", "account"),
        ("tenants", "accounts"),
        ("hot-reload", "reload"),
        ("hot reload", "reload"),
        ("quiesce", "drain"),
        ("strategy", "policy"),
    ];
    check(|file| {
        if file.path == THIS {
            return Vec::new();
        }
        WORDS.iter().flat_map(|(word, instead)| file.lines_with(&[word], &format!("say {instead}"))).collect()
    });
}

#[test]
fn what_is_allowed_has_a_reason() {
    check(|file| {
        let lines: Vec<&str> = file.text.lines().collect();
        let reasoned = |at: usize| {
            let before = at.checked_sub(1).is_some_and(|before| lines[before].trim_start().starts_with("//"));
            lines[at].contains(" // ") || lines[at].contains("reason =") || before
        };
        let allows =
            |line: &str| ["#[allow(", "#![allow(", "#[ignore"].iter().any(|it| line.trim_start().starts_with(it));
        let bare = (0..lines.len()).filter(|at| file.is_rust() && allows(lines[*at]) && !reasoned(*at));
        bare.map(|at| format!("{}: say why, beside it", at + 1)).collect()
    });
}

#[test]
fn a_dependency_has_a_reason() {
    check(|file| {
        if !file.path.ends_with("/Cargo.toml") {
            return Vec::new();
        }
        let mut dependencies = false;
        let mut findings = Vec::new();
        for (number, line) in (1..).zip(file.text.lines()) {
            if line.starts_with('[') {
                dependencies = line.contains("dependencies");
            } else if dependencies && line.contains('=') && !line.contains('#') {
                findings.push(format!(
                    "{number}: say after a # what `{}` is for",
                    line.split('=').next().unwrap_or(line).trim()
                ));
            }
        }
        findings
    });
}

const THIS: &str = "tests/tidy.rs";

/// A file of ours.
struct File {
    /// From the workspace's directory, with slashes.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Where one of the words stands in Rust code, outside of comments.
    fn code_with(&self, words: &[&str], instead: &str) -> Vec<String> {
        let found = |word: &&str| self.code_where(|line| has_word(line, word), &format!("`{word}`"), instead);
        words.iter().flat_map(found).collect()
    }

    /// Where Rust code, outside of comments, is `what`.
    fn code_where(&self, is: impl Fn(&str) -> bool, what: &str, instead: &str) -> Vec<String> {
        if !self.is_rust() || self.path == THIS {
            return Vec::new();
        }
        let code = |line: &str| is(line.split("//").next().unwrap_or_default());
        let found = (1..).zip(self.text.lines()).filter(|(_, line)| code(line));
        found.map(|(number, _)| format!("{number}: {what}: {instead}")).collect()
    }

    /// Where one of the words stands, in either case.
    fn lines_with(&self, words: &[&str], instead: &str) -> Vec<String> {
        let mut findings = Vec::new();
        for (number, line) in (1..).zip(self.text.lines()) {
            let found = words.iter().filter(|word| has_word(line, word));
            findings.extend(found.map(|word| format!("{number}: `{word}`: {instead}")));
        }
        findings
    }
}

/// Whether a word stands in a line, and not as a part of another. A word in lower case is found in either case.
fn has_word(line: &str, word: &str) -> bool {
    let line = if word.chars().any(char::is_uppercase) { line.to_owned() } else { line.to_lowercase() };
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
        !(before.is_some_and(part) || word.ends_with(part) && after.is_some_and(part))
    })
}

/// Applies a rule to every file, and fails with all that it finds.
fn check(rule: impl Fn(&File) -> Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a directory of the workspace");
    let mut files = Vec::new();
    collect(root, &mut files);
    assert!(files.len() > 50, "only {} files below {}", files.len(), root.display());
    let mut findings = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.strip_prefix(root).expect("it was found there").to_string_lossy().replace('\\', "/");
        let file = File { path, text };
        findings.extend(rule(&file).into_iter().map(|finding| format!("{}:{finding}", file.path)));
    }
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// Collects our text files. What is built, what runs, and what is hidden is not ours.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    const OURS: [&str; 5] = ["rs", "toml", "md", "py", "lua"];
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("the directory can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" || name == "var" {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| OURS.iter().any(|ours| extension == *ours)) {
            files.push(path);
        }
    }
}

#[test]
fn words_are_found_whole() {
    assert!(has_word("a Plugin.", "plugin") && !has_word("replugins", "plugin") && !has_word("unsafe_code", "unsafe"));
    assert!(has_word("x = dbg!(y)", "dbg!") && !has_word("todos!", "todo!"));
    assert!(asks_for_the_system("#[cfg(not(unix))]") && asks_for_the_system("if cfg!(target_os = \"linux\") {"));
    assert!(!asks_for_the_system("#[cfg(test)]") && !asks_for_the_system("unix(cfg(test))"));
}
