//! Reading an image's own files, before anything of it runs: its layers are mounted read-only for a moment, and no
//! path, however hostile, leaves them (`openat2` with `RESOLVE_IN_ROOT`).

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use containerd_client::types::Mount;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use super::user::{self, BadUser, User};

/// Largest `/etc/passwd` or `/etc/group` that is read; the rest is ignored.
const TABLE_MAX: u64 = 1 << 20;

/// Resolves `name` in the image whose snapshot containerd mounts with `mounts`. `at` is a directory of ours.
pub fn resolve_user(mounts: &[Mount], at: &Path, name: &str) -> io::Result<Result<User, BadUser>> {
    let root = open(mounts, at)?;
    let (passwd, group) = (table(&root, "etc/passwd")?, table(&root, "etc/group")?);
    Ok(user::resolve(name, &passwd, &group))
}

/// The root directory of the layers. A mount that was needed is detached at once: it lives as long as the descriptor.
fn open(mounts: &[Mount], at: &Path) -> io::Result<OwnedFd> {
    let mount = mounts.first().ok_or_else(|| io::Error::other("containerd gave no mount for the snapshot"))?;
    let lower = mount.options.iter().find_map(|option| option.strip_prefix("lowerdir="));
    match (mount.r#type.as_str(), lower) {
        ("bind", _) => open_directory(Path::new(&mount.source)),
        ("overlay", Some(lower)) if !lower.contains(':') => open_directory(Path::new(lower)),
        ("overlay", Some(lower)) => overlay(lower, at),
        (other, _) => Err(io::Error::other(format!("a snapshot of type {other:?} cannot be read"))),
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Mounts only the lower layers: the upper one belongs to the container. The kernel takes one page of options, so the
/// layers' common directory is named by a descriptor: 127 layers fit.
fn overlay(lower: &str, at: &Path) -> io::Result<OwnedFd> {
    let layers: Vec<&str> = lower.split(':').collect();
    let common = common_directory(&layers);
    let parent = open_directory(Path::new(common))?;
    let short = |layer: &&str| format!("/proc/self/fd/{}/{}", parent.as_raw_fd(), layer.strip_prefix(common).unwrap_or(layer));
    let options = format!("lowerdir={}", layers.iter().map(short).collect::<Vec<_>>().join(":"));
    let options = std::ffi::CString::new(options)?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("overlay", at, "overlay", flags, options.as_c_str())?;
    let root = open_directory(at);
    rustix::mount::unmount(at, UnmountFlags::DETACH)?;
    root
}

/// The longest directory, with its `/` at the end, that all paths begin with.
fn common_directory<'a>(paths: &[&'a str]) -> &'a str {
    let first = paths.first().copied().unwrap_or_default();
    let shared = |end: &usize| first.get(..*end).is_some_and(|part| paths.iter().all(|path| path.starts_with(part)));
    let ends = first.rmatch_indices('/').map(|(at, _)| at + 1);
    ends.into_iter().find(shared).and_then(|end| first.get(..end)).unwrap_or("/")
}

/// The text of a regular file; empty when there is none. A FIFO or device by that name is never opened for reading.
fn table(root: &OwnedFd, path: &str) -> io::Result<String> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let seen = match rustix::fs::openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), inside) {
        Ok(seen) => seen,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => return Ok(String::new()),
        Err(error) => return Err(error.into()),
    };
    if !rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&seen)?.st_mode).is_file() {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    reopen(&seen)?.take(TABLE_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The same file, readable.
fn reopen(seen: &impl AsFd) -> io::Result<std::fs::File> {
    std::fs::File::open(format!("/proc/self/fd/{}", seen.as_fd().as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn layers_share_their_directory() {
        for (paths, common) in [
            (vec!["/s/12/fs", "/s/1/fs", "/s/123/fs"], "/s/"),
            (vec!["/s/12/fs", "/s/12/fs"], "/s/12/"),
            (vec!["/a/fs", "/b/fs"], "/"),
        ] {
            assert_eq!(common_directory(&paths), common);
        }
    }

    #[test]
    fn hostile_links_stay_inside() {
        let dir = tempfile::tempdir().expect("directory");
        let root = open_directory(dir.path()).expect("root");
        std::fs::create_dir(dir.path().join("etc")).expect("etc");
        assert_eq!(table(&root, "etc/passwd").expect("absent"), "");
        symlink("/etc/hostname", dir.path().join("etc/passwd")).expect("link");
        assert_eq!(table(&root, "etc/passwd").expect("the node's file is not the image's"), "");
        std::fs::write(dir.path().join("etc/hostname"), "inside").expect("file");
        assert_eq!(table(&root, "etc/passwd").expect("resolved inside"), "inside");
        symlink("/proc/self/environ", dir.path().join("etc/group")).expect("link");
        assert_eq!(table(&root, "etc/group").expect("no proc inside"), "");
        symlink("loop", dir.path().join("etc/loop")).expect("link");
        assert_eq!(table(&root, "etc/loop").expect("loop"), "");
    }
}
