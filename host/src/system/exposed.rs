//! What others than the host's user could change, and what an operator does about it.

use std::io;
use std::path::{Path, PathBuf};

use super::exposed;

/// A file or a directory that others could change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// Where it is.
    pub path: PathBuf,
    /// Who they are.
    pub to: Others,
}

/// Who could change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Its group, or everybody, by this mode.
    Mode(u32),
    /// This user, whose it is.
    Owner(u32),
}

/// Whether nobody but root and the user of this process can change what is at these paths, or put something else there.
///
/// What is not there yet, is judged by the directories above it.
///
/// # Errors
/// Somebody can. The text says who, where, and by which command that ends; it goes on from what the paths are.
pub fn only_ours<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<(), String> {
    let mut found: Vec<Exposed> = Vec::new();
    for path in paths {
        let exposed =
            exposed(path).map_err(|error: io::Error| format!("{} cannot be read: {error}", path.display()))?;
        found.extend(exposed.into_iter().filter(|one| !found.contains(one)).collect::<Vec<_>>());
    }
    text(&found).map_or(Ok(()), Err)
}

/// What there is to say of it, and to do.
fn text(found: &[Exposed]) -> Option<String> {
    let is = |one: &Exposed| match one.to {
        Others::Mode(mode) => format!("{} has mode {mode:04o}", one.path.display()),
        Others::Owner(owner) => format!("{} is owned by user {owner}", one.path.display()),
    };
    let command = |command: &str, of: fn(&Others) -> bool| {
        let paths: Vec<String> = found.iter().filter(|one| of(&one.to)).map(|one| quoted(&one.path)).collect();
        (!paths.is_empty()).then(|| format!("`{command} {}`", paths.join(" ")))
    };
    let modes = command("chmod go-w", |to| matches!(to, Others::Mode(_)));
    let owners = command("chown -h root", |to| matches!(to, Others::Owner(_)));
    let ways: Vec<String> = modes.into_iter().chain(owners).collect();
    let mut ways = ways.join(" and ");
    // All of it is one user's: then that may be who is meant to run it.
    if let [Exposed { to: Others::Owner(owner), .. }, rest @ ..] = found
        && rest.iter().all(|one| one.to == Others::Owner(*owner))
    {
        ways.push_str(&format!(", or run it as user {owner}"));
    }
    let found: Vec<String> = found.iter().map(is).collect();
    (!found.is_empty()).then(|| format!("others can change what runs: {}; {ways}", found.join(", ")))
}

/// As a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_command_mends_all_of_a_kind() {
        let exposed = |path: &str, to| Exposed { path: path.into(), to };
        assert_eq!(text(&[]), None);
        let found = [
            exposed("/srv/a", Others::Mode(0o40_777 & 0o7777)),
            exposed("/srv", Others::Owner(1000)),
            exposed("/srv/it's", Others::Mode(0o664)),
        ];
        assert_eq!(
            text(&found).unwrap(),
            "others can change what runs: /srv/a has mode 0777, /srv is owned by user 1000, /srv/it's has mode 0664; \
             `chmod go-w /srv/a '/srv/it'\\''s'` and `chown -h root /srv`"
        );
        let says =
            "others can change what runs: /srv is owned by user 1000; `chown -h root /srv`, or run it as user 1000";
        assert_eq!(text(&found[1..2]).unwrap(), says);
    }
}
