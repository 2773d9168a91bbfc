//! Who a process runs as: `user[:group]` resolved in the image's own passwd and group files.

use shared::fault::{Fault, Faulty, node};

/// Largest uid or gid that is accepted: above it, runtimes differ in how they wrap (CVE-2024-40635 made 4294967296
/// root).
const ID_MAX: u32 = i32::MAX as u32;

/// A resolved user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// All groups, `gid` first.
    pub groups: Vec<u32>,
    /// The user's home, `/` when the image does not say.
    pub home: String,
}

/// Why a user is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUser {
    /// No such name.
    #[error("the image has no user or group {0:?}")]
    Unknown(String),
    /// A number out of range.
    #[error("user or group number {0:?} is out of range")]
    Range(String),
}

impl Faulty for BadUser {
    fn fault(&self) -> Fault {
        match self {
            Self::Unknown(user) => Fault::new(&node::USER_UNKNOWN).with("user", user),
            Self::Range(user) => Fault::new(&node::USER_RANGE).with("user", user),
        }
    }
}

/// One line of `/etc/passwd`.
struct Row<'a> {
    name: &'a str,
    uid: &'a str,
    gid: &'a str,
    home: &'a str,
}

/// Resolves `user` as Docker does: names or numbers, no user is root, a number without a line in `passwd` has the
/// group 0, supplementary groups only where no group is named.
pub fn resolve(user: &str, passwd: &str, group: &str) -> Result<User, BadUser> {
    let (user, named) = user.split_once(':').map_or((user, None), |(user, group)| (user, Some(group)));
    let user = if user.is_empty() { "0" } else { user };
    let row = passwd.lines().filter_map(row).find(|row| row.name == user || row.uid == user);
    let uid = match &row {
        Some(row) => number(row.uid)?,
        None => number(user)?,
    };
    let gid = match (named, &row) {
        (Some(named), _) => group_number(named, group)?,
        (None, Some(row)) => number(row.gid)?,
        (None, None) => 0,
    };
    let name = row.as_ref().map(|row| row.name).filter(|_| named.is_none());
    let further = name.map(|name| memberships(name, group)).transpose()?.unwrap_or_default();
    let groups = std::iter::once(gid).chain(further.into_iter().filter(|other| *other != gid)).collect();
    let home = row.map(|row| row.home).filter(|home| home.starts_with('/')).unwrap_or("/");
    Ok(User { uid, gid, groups, home: home.into() })
}

fn row(line: &str) -> Option<Row<'_>> {
    let mut fields = line.split(':');
    let (name, _password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(Row { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
}

/// Name, number and members of one line of `/etc/group`.
fn group_row(line: &str) -> Option<(&str, &str, &str)> {
    let mut fields = line.split(':');
    let (name, _password, gid) = (fields.next()?, fields.next()?, fields.next()?);
    Some((name, gid, fields.next().unwrap_or_default()))
}

fn group_number(named: &str, group: &str) -> Result<u32, BadUser> {
    let row = group.lines().filter_map(group_row).find(|(name, gid, _)| *name == named || *gid == named);
    number(row.map_or(named, |(_, gid, _)| gid))
}

fn memberships(user: &str, group: &str) -> Result<Vec<u32>, BadUser> {
    let rows = group.lines().filter_map(group_row);
    rows.filter(|(_, _, members)| members.split(',').any(|member| member == user)).map(|(_, gid, _)| number(gid)).collect()
}

/// Only digits are a number: `-1` is an unknown name.
fn number(text: &str) -> Result<u32, BadUser> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadUser::Unknown(text.chars().take(64).collect()));
    }
    text.parse().ok().filter(|id| *id <= ID_MAX).ok_or_else(|| BadUser::Range(text.chars().take(64).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1234:2345::/home/app:/bin/sh\nodd\nhuge:x:4294967296:0::/:\n";
    const GROUP: &str = "root:x:0:\nvideo:x:44:app,other\nstaff:x:2345:app\naudio:x:29:application\n";

    #[test]
    fn users_are_resolved_as_docker_does() {
        for (user, uid, groups, home) in [
            ("", 0, vec![0], "/root"),
            ("0", 0, vec![0], "/root"),
            ("app", 1234, vec![2345, 44], "/home/app"),
            ("1234", 1234, vec![2345, 44], "/home/app"),
            ("app:video", 1234, vec![44], "/home/app"),
            ("app:44", 1234, vec![44], "/home/app"),
            ("7", 7, vec![0], "/"),
            ("7:8", 7, vec![8], "/"),
            (":video", 0, vec![44], "/root"),
            ("2147483647", 2_147_483_647, vec![0], "/"),
        ] {
            let found = resolve(user, PASSWD, GROUP).expect(user);
            assert_eq!((found.uid, found.groups, found.home.as_str()), (uid, groups, home), "{user:?}");
        }
    }

    #[test]
    fn nothing_unknown_or_out_of_range_becomes_root() {
        for user in ["4294967296:0", "2147483648", "0:4294967296", "huge", "99999999999999999999"] {
            assert!(matches!(resolve(user, PASSWD, GROUP), Err(BadUser::Range(_))), "{user:?}");
        }
        for user in ["-1", "nobody", "app:none", "app:", "0x0", " 0", "+1", "1.0"] {
            assert!(matches!(resolve(user, PASSWD, GROUP), Err(BadUser::Unknown(_))), "{user:?}");
        }
        assert_eq!(resolve("root", "", ""), Err(BadUser::Unknown("root".into())));
    }
}
