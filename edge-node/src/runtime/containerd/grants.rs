//! What a service asks of the node itself: directories, devices and its network. Directories and devices are resolved by
//! the kernel without leaving the place the site allows, and checked by what they *are*, not by what they are called.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use shared::fault::{Fault, node};
use shared::id::Name;
use shared::manifest::{Device, NetworkMode};

use super::config::Config;
use super::spec::DeviceNode;

/// Opens a bind source. Symbolic links may not leave the allowed directory it is in, and whatever it is must not be,
/// hold or lie in the node's own directories or containerd's.
pub fn bind(source: &str, config: &Config) -> Result<OwnedFd, Fault> {
    let outside = || {
        let roots: Vec<String> = config.bind_roots.iter().map(|root| root.display().to_string()).collect();
        Fault::new(&node::BIND_OUTSIDE).with("source", cut(source)).with("allowed", roots.join(", "))
    };
    let missing =
        |error: &dyn std::fmt::Display| Fault::new(&node::BIND_MISSING).with("source", cut(source)).with("cause", error);
    let (root, rest) = below(source, &config.bind_roots).ok_or_else(outside)?;
    let found = open_beneath(&root, &rest).map_err(|error| match error {
        rustix::io::Errno::XDEV | rustix::io::Errno::LOOP => outside(),
        error => missing(&error),
    })?;
    if is_protected(&found, config).map_err(|error| missing(&error))? {
        return Err(Fault::new(&node::BIND_PROTECTED).with("source", cut(source)));
    }
    Ok(found)
}

/// Resolves a device below `/dev` and checks where it really leads.
pub fn device(device: &Device, allowed: &[String]) -> Result<DeviceNode, Fault> {
    let refused = || Fault::new(&node::DEVICE_REFUSED).with("device", cut(&device.source)).with("allowed", allowed.join(", "));
    let missing = |error: &dyn std::fmt::Display| {
        Fault::new(&node::DEVICE_MISSING).with("device", cut(&device.source)).with("cause", error)
    };
    let (root, rest) = below(&device.source, &["/dev".into()]).ok_or_else(refused)?;
    let found = open_beneath(&root, &rest).map_err(|error| match error {
        rustix::io::Errno::XDEV | rustix::io::Errno::LOOP => refused(),
        error => missing(&error),
    })?;
    let (path, stat) = identity(&found).map_err(|error| missing(&error))?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => "c",
        FileType::BlockDevice => "b",
        FileType::RegularFile
        | FileType::Directory
        | FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::Unknown => return Err(refused()),
    };
    let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    let path = path.display().to_string();
    // Character devices 1:1, 1:2 and 1:4 are the node's memory, whatever they are called.
    let memory = kind == "c" && major == 1 && [1, 2, 4].contains(&minor);
    let permitted = !device.permissions.is_empty() && device.permissions.chars().all(|c| "rwm".contains(c));
    if memory || !permitted || !allowed.iter().any(|prefix| path.starts_with(prefix.as_str())) {
        return Err(refused());
    }
    let owner = (stat.st_uid, stat.st_gid, stat.st_mode & 0o777);
    Ok(DeviceNode { path: device.target.clone(), kind, major, minor, owner, access: device.permissions.clone() })
}

/// Refuses the node's own network where the site does not allow it.
pub fn network(service: &Name, mode: NetworkMode, config: &Config) -> Result<(), Fault> {
    match mode {
        NetworkMode::Host if !config.host_network => Err(Fault::new(&node::HOST_NETWORK_REFUSED).with("service", service)),
        NetworkMode::Host | NetworkMode::Bridge | NetworkMode::None => Ok(()),
    }
}

/// The allowed root that `path` lies below, and the rest of it.
fn below(path: &str, roots: &[PathBuf]) -> Option<(PathBuf, PathBuf)> {
    let path = Path::new(path);
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain || path.as_os_str().as_encoded_bytes().contains(&0) {
        return None;
    }
    roots.iter().find_map(|root| {
        let rest = path.strip_prefix(root).ok()?;
        let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
        Some((root.clone(), rest.to_owned()))
    })
}

fn open_beneath(root: &Path, rest: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, flags | OFlags::DIRECTORY, Mode::empty())?;
    rustix::fs::openat2(&root, rest, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
}

/// Where an open file really is, and what it is.
fn identity(file: &OwnedFd) -> io::Result<(PathBuf, Stat)> {
    Ok((std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?, rustix::fs::fstat(file)?))
}

/// Whether `found` is one of the node's own places, lies in one, or holds one. The last is compared by device and
/// inode too, so that a bind mount of `/` under another name does not pass.
fn is_protected(found: &OwnedFd, config: &Config) -> io::Result<bool> {
    let (path, stat) = identity(found)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let special = !kind.is_dir() && !kind.is_file();
    let own = [&config.socket, &config.state, &config.run];
    let real: Vec<PathBuf> = own.iter().flat_map(|path| [Some((*path).clone()), path.canonicalize().ok()]).flatten().collect();
    let inside = real.iter().any(|own| path.starts_with(own));
    let same = |place: &Path| rustix::fs::stat(place).is_ok_and(|s| (s.st_dev, s.st_ino) == (stat.st_dev, stat.st_ino));
    let holds = real.iter().flat_map(|own| own.ancestors()).any(same);
    let kernel = ["/proc", "/sys", "/dev"].iter().any(|place| path.starts_with(place));
    Ok(special || inside || holds || kernel)
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn code(result: Result<OwnedFd, Fault>) -> String {
        result.map_or_else(|fault| fault.code, |_| "ok".into())
    }

    #[test]
    fn binds_stay_where_the_site_allows() {
        let dir = tempfile::tempdir().expect("directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        for name in ["ok/deep", "state/volumes", "run", "box"] {
            std::fs::create_dir_all(dir.path().join(name)).expect("directory");
        }
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("box/c.sock")).expect("socket");
        for (link, to) in
            [("etc", "/etc"), ("self", "/proc/self"), ("inner", "ok/deep"), ("boxlink", &at("box")), ("loop", "loop")]
        {
            symlink(to, dir.path().join(link)).expect("link");
        }
        let config = Config {
            bind_roots: vec![dir.path().into()],
            socket: at("box/c.sock").into(),
            state: at("state").into(),
            run: at("run").into(),
            ..Config::default()
        };
        for (source, expected) in [
            (at("ok"), "ok"),
            (at("inner"), "ok"),
            (at("none"), node::BIND_MISSING.code),
            (at("loop"), node::BIND_OUTSIDE.code),
            (at("etc"), node::BIND_OUTSIDE.code),
            (at("etc/passwd"), node::BIND_OUTSIDE.code),
            (at("self/root"), node::BIND_OUTSIDE.code),
            (at("ok/../../x"), node::BIND_OUTSIDE.code),
            ("/".into(), node::BIND_OUTSIDE.code),
            ("/etc".into(), node::BIND_OUTSIDE.code),
            ("ok".into(), node::BIND_OUTSIDE.code),
            (at("o\0k"), node::BIND_OUTSIDE.code),
            (at("box/c.sock"), node::BIND_PROTECTED.code),
            (at("box"), node::BIND_PROTECTED.code),
            (at("boxlink"), node::BIND_OUTSIDE.code),
            (at("state/volumes"), node::BIND_PROTECTED.code),
            (at("run"), node::BIND_PROTECTED.code),
            (at(""), node::BIND_PROTECTED.code),
        ] {
            assert_eq!(code(bind(&source, &config)), expected, "{source:?}");
        }
    }

    #[test]
    fn the_nodes_own_network_is_for_apps_where_the_site_says_so() {
        let web = Name::new("web").expect("name");
        for (mode, host_network, expected) in [
            (NetworkMode::Host, false, Err(node::HOST_NETWORK_REFUSED.code.to_owned())),
            (NetworkMode::Host, true, Ok(())),
            (NetworkMode::Bridge, false, Ok(())),
            (NetworkMode::None, false, Ok(())),
        ] {
            let config = Config { host_network, ..Config::default() };
            assert_eq!(network(&web, mode, &config).map_err(|fault| fault.code), expected, "{mode:?} {host_network}");
        }
        assert!(!Config::default().host_network);
    }

    #[test]
    fn devices_are_judged_by_what_they_are() {
        let ask = |source: &str, permissions: &str, allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
            let asked = Device { source: source.into(), target: "/dev/x".into(), permissions: permissions.into() };
            device(&asked, &allowed).map(|node| (node.kind, node.major, node.minor)).map_err(|fault| fault.code)
        };
        let refused = Err(node::DEVICE_REFUSED.code.to_owned());
        assert_eq!(ask("/dev/zero", "rw", &["/dev/zero"]), Ok(("c", 1, 5)));
        assert_eq!(ask("/dev/zero", "rw", &["/dev/tty"]), refused);
        assert!(ask("/dev/mem", "r", &["/dev/zero"]).is_err());
        assert_eq!(ask("/dev/shm", "r", &["/dev/"]), refused);
        assert_eq!(ask("/dev/../etc/passwd", "r", &["/dev/"]), refused);
        assert!(ask("/dev/fd/0", "r", &["/dev/"]).is_err());
        assert_eq!(ask("/etc/passwd", "r", &["/"]), refused);
        assert_eq!(ask("/dev/zero", "rx", &["/dev/zero"]), refused);
        assert_eq!(ask("/dev/zero", "", &["/dev/zero"]), refused);
        assert_eq!(ask("/dev/ttyUSB77", "rw", &["/dev/ttyUSB"]), Err(node::DEVICE_MISSING.code.into()));
    }
}
