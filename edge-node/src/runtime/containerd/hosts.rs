//! Names between the services of an app: one hosts file per app, mounted into all its containers.
//!
//! It is changed in place and never renamed, because a mounted file stays the one it was; so a name appears inside
//! running containers at once, and no name server is needed.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use shared::id::Name;

const HEAD: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";

/// The app's hosts file, made if needed.
pub fn ensure(run: &Path, app: &Name) -> io::Result<PathBuf> {
    let path = path(run, app);
    if !path.exists() {
        write(run, app, &BTreeMap::new())?;
    }
    Ok(path)
}

/// Writes the addresses of the app's services; does nothing when they are the same.
pub fn write(run: &Path, app: &Name, services: &BTreeMap<Name, IpAddr>) -> io::Result<()> {
    std::fs::create_dir_all(run.join("hosts"))?;
    change(&path(run, app), &render(services))
}

/// Makes `text` the content of a file that is mounted somewhere; does nothing when it is.
pub fn change(path: &Path, text: &str) -> io::Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o644).custom_flags(NOFOLLOW).open(path)?;
    // The new text first, in one write, then the end: a reader never sees an empty file.
    file.write_all_at(text.as_bytes(), 0)?;
    file.set_len(text.len() as u64)
}

/// Removes the file of an app that has no instances.
pub fn remove(run: &Path, app: &Name) {
    drop(std::fs::remove_file(path(run, app)));
}

const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

fn path(run: &Path, app: &Name) -> PathBuf {
    run.join("hosts").join(app.as_str())
}

fn render(services: &BTreeMap<Name, IpAddr>) -> String {
    services.iter().fold(HEAD.to_owned(), |text, (service, address)| format!("{text}{address} {service}\n"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_file_changes_in_place() {
        let dir = tempfile::tempdir().expect("directory");
        let name = |text| Name::new(text).expect("name");
        let path = ensure(dir.path(), &name("shop")).expect("made");
        let inode = std::fs::metadata(&path).expect("there").ino();
        let mut services = BTreeMap::from([(name("web"), "10.0.0.2".parse().expect("ip"))]);
        services.insert(name("db"), "10.0.0.3".parse().expect("ip"));
        write(dir.path(), &name("shop"), &services).expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("text"), format!("{HEAD}10.0.0.3 db\n10.0.0.2 web\n"));
        services.remove(&name("db"));
        write(dir.path(), &name("shop"), &services).expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("text"), format!("{HEAD}10.0.0.2 web\n"));
        assert_eq!(std::fs::metadata(&path).expect("there").ino(), inode);
    }
}
