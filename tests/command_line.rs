//! What is made of the command line's definition: manual pages and completions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::libraries;

#[test]
fn every_command_has_a_manual_page_that_names_its_options() {
    let directory = tempfile::tempdir().unwrap();
    let man = directory.path().join("share/man1");
    let made = tandem(&["man", man.to_str().unwrap()]);
    assert!(made.status.success() && made.stdout.is_empty(), "{made:?}");

    let mut pages = BTreeSet::from(["tandem.1".to_owned()]);
    for command in commands(&[]) {
        pages.insert(format!("tandem-{command}.1"));
    }
    for command in commands(&["account"]) {
        pages.insert(format!("tandem-account-{command}.1"));
    }
    assert!(pages.len() > 15, "{pages:?}");
    let names = fs::read_dir(&man).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.collect::<BTreeSet<_>>(), pages);
    for page in &pages {
        let text = fs::read_to_string(man.join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS") && text.contains(".SH DESCRIPTION"), "{page}: {text}");
        // Those that need no gateway's configuration.
        let none = ["", "-account", "-account-hash", "-completions", "-man", "-new"].map(|of| format!("tandem{of}.1"));
        if !none.contains(page) {
            assert!(text.contains("\\-\\-config"), "{page}: {text}");
        }
        typesets(&man.join(page));
    }
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let directory = tempfile::tempdir().unwrap();
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let made = tandem(&["completions", shell]);
        assert!(made.status.success(), "{made:?}");
        let script = directory.path().join(shell);
        fs::write(&script, &made.stdout).unwrap();
        let Ok(checked) = Command::new(shell).arg(check).arg(&script).output() else {
            println!("skipped: {shell} is not installed: nobody checks its completions");
            continue;
        };
        assert!(checked.status.success() && checked.stderr.is_empty(), "{shell}: {checked:?}");
        let text = String::from_utf8(made.stdout).unwrap();
        for command in commands(&[]) {
            assert!(text.contains(&command), "{shell} does not know `tandem {command}`");
        }
    }
    assert_eq!(tandem(&["completions", "csh"]).status.code(), Some(2));
}

/// As Bash asks for them when the tabulator is pressed.
#[test]
fn bash_completes_commands_and_options() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("tandem.bash");
    fs::write(&script, tandem(&["completions", "bash"]).stdout).unwrap();
    for (words, completed) in
        [("tandem rel", "reload"), ("tandem status --led", "--ledger"), ("tandem account su", "suspend")]
    {
        let last = words.split(' ').count() - 1;
        let ask = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={last}; _tandem tandem \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{}]}}\"; echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            last - 1
        );
        let answer = Command::new("bash").args(["--norc", "-c", &ask]).output().expect("bash is there");
        assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), completed, "{words}: {answer:?}");
    }
}

/// What the program lists as its commands.
fn commands(of: &[&str]) -> Vec<String> {
    let help = tandem(&[of, &["--help"]].concat());
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What a line goes on with below is further in.
    let names = listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Without a warning of the typesetter's.
fn typesets(page: &Path) {
    let checked = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(page).output();
    match checked {
        Ok(checked) => {
            assert!(checked.status.success() && checked.stderr.is_empty(), "{}: {checked:?}", page.display())
        }
        Err(_) => println!("skipped: groff is not installed: nobody has set {}", page.display()),
    }
}

fn tandem(arguments: &[&str]) -> Output {
    Command::new(&libraries().tandem).args(arguments).output().expect("tandem can be run")
}
