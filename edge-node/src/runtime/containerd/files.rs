//! Files and directories of the node that one instance sees: its `/etc` files, configs, secrets, binds and volumes.
//!
//! ```text
//! <run>/instances/<id>/{hostname,resolv.conf,configs/N,binds/N}   made anew at every start
//! <run>/secrets/<id>/N                                            the same, in memory only
//! <run>/hosts/<app>                                               one for all services of an app, see `hosts`
//! <state>/volumes/<app>/<volume>                                  kept until somebody purges it
//! <state>/secrets/<app>/<name>                                    put there by `edge-node secret set`
//! ```

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use shared::fault::{Fault, node};
use shared::id::Name;
use shared::manifest::{FileGrant, Mount, NetworkMode};
use shared::release::InstanceSpec;
use shared::state::InstanceId;

use super::config::Config;
use super::spec::Lent;
use super::user::User;
use super::{failed_to, grants, hosts};
use crate::runtime::RuntimeError;

/// Largest secret, in bytes.
const SECRET_MAX: u64 = 1 << 20;
/// Room for all secrets of all instances.
const SECRETS_MOUNT: &std::ffi::CStr = c"mode=0700,size=64m,nr_inodes=16k";
/// statfs(2).
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Makes everything that does not depend on the user. Refuses first what the node does not allow or have.
pub fn lend(config: &Config, id: &InstanceId, spec: &InstanceSpec) -> Result<Vec<Lent>, RuntimeError> {
    discard(config, id)?;
    let dir = instance_dir(config, id);
    for part in ["configs", "binds"] {
        make_private(&dir.join(part)).map_err(failed_to("make the files of an instance"))?;
    }
    let mut lent = etc(config, &dir, spec).map_err(failed_to("make the files of an instance"))?;
    lent.extend(configs(&dir, spec)?);
    lent.extend(secrets(config, id, spec)?);
    lent.extend(binds(config, &dir, spec)?);
    Ok(lent)
}

/// The named volumes; one that is used for the first time belongs to `user`.
pub fn volumes(config: &Config, spec: &InstanceSpec, user: &User) -> Result<Vec<Lent>, RuntimeError> {
    let mut lent = Vec::new();
    for mount in &spec.definition.volumes {
        if let Mount::Volume { source, target, read_only } = mount {
            let path = volume(config, &spec.app, source, user).map_err(failed_to("make a volume"))?;
            lent.push(Lent { source: path.display().to_string(), target: target.clone(), read_only: *read_only });
        }
    }
    Ok(lent)
}

/// Removes what [`lend`] made. Never recursive: a bind that is still mounted stays as it is, with its content.
pub fn discard(config: &Config, id: &InstanceId) -> Result<(), RuntimeError> {
    let dir = instance_dir(config, id);
    let all = || -> io::Result<()> {
        for bind in entries(&dir.join("binds"))? {
            while rustix::mount::unmount(&bind, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_ok() {}
        }
        for flat in [dir.join("binds"), dir.join("configs"), dir.clone(), config.run.join("secrets").join(id.as_str())] {
            remove_flat(&flat)?;
        }
        Ok(())
    };
    all().map_err(failed_to("remove the files of an instance"))
}

/// Instances that left files behind.
pub fn instances(config: &Config) -> Vec<InstanceId> {
    let dirs = [config.run.join("instances"), config.run.join("secrets")];
    let names = dirs.iter().flat_map(|dir| entries(dir).unwrap_or_default());
    names.filter_map(|path| InstanceId::parse(path.file_name()?.to_str()?)).collect()
}

/// Where the logs of a service are, made if needed.
pub fn log_dir(config: &Config, app: &Name, service: &Name) -> io::Result<PathBuf> {
    let dir = config.state.join("logs").join(app.as_str()).join(service.as_str());
    make_private(&dir)?;
    Ok(dir)
}

/// Where an empty directory of an instance is, for a moment's mount.
pub fn scratch(config: &Config, id: &InstanceId) -> PathBuf {
    instance_dir(config, id).join("configs")
}

fn instance_dir(config: &Config, id: &InstanceId) -> PathBuf {
    config.run.join("instances").join(id.as_str())
}

fn etc(config: &Config, dir: &Path, spec: &InstanceSpec) -> io::Result<Vec<Lent>> {
    let root = (0, 0, 0o644);
    write_new(&dir.join("hostname"), format!("{}\n", spec.service).as_bytes(), root)?;
    write_new(&dir.join("resolv.conf"), resolv_conf(spec.definition.network_mode).as_bytes(), root)?;
    let hosts = hosts::ensure(&config.run, &spec.app)?;
    let sources = [("/etc/hostname", dir.join("hostname")), ("/etc/resolv.conf", dir.join("resolv.conf")), ("/etc/hosts", hosts)];
    Ok(sources.map(|(target, source)| lent(&source, target, true)).into())
}

/// Brings the resolvers of running instances up to date: a network may come, or change, long after they were started.
pub fn renew_resolvers(config: &Config, instances: &[(InstanceId, NetworkMode)]) {
    let (host, own) = (resolv_conf(NetworkMode::Host), resolv_conf(NetworkMode::Bridge));
    for (id, mode) in instances {
        let text = if *mode == NetworkMode::Host { &host } else { &own };
        let path = instance_dir(config, id).join("resolv.conf");
        if path.exists()
            && let Err(error) = hosts::change(&path, text)
        {
            tracing::debug!(instance = %id, %error, "its resolvers stay as they were");
        }
    }
}

/// The node's resolvers. A resolver on the node's loopback cannot be reached from a container's own network; where
/// systemd-resolved runs, the ones behind it are used.
fn resolv_conf(mode: NetworkMode) -> String {
    let read = |path: &str| {
        let mut text = String::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(64 << 10).read_to_string(&mut text));
        read.map(|_| text).unwrap_or_default()
    };
    let own = read("/etc/resolv.conf");
    if mode == NetworkMode::Host {
        return own;
    }
    let reachable = without_loopback(&own);
    let named = |text: &str| text.lines().any(|line| line.trim_start().starts_with("nameserver"));
    if named(&reachable) { reachable } else { without_loopback(&read("/run/systemd/resolve/resolv.conf")) }
}

fn without_loopback(text: &str) -> String {
    let local = |line: &&str| {
        let mut words = line.split_ascii_whitespace();
        let server = (words.next() == Some("nameserver")).then(|| words.next()).flatten();
        server.and_then(|text| text.parse::<std::net::IpAddr>().ok()).is_some_and(|address| address.is_loopback())
    };
    text.lines().filter(|line| !local(line)).map(|line| format!("{line}\n")).collect()
}

fn configs(dir: &Path, spec: &InstanceSpec) -> Result<Vec<Lent>, RuntimeError> {
    let grants = spec.definition.configs.iter().enumerate();
    grants
        .map(|(n, grant)| {
            let content = spec.configs.get(&grant.source).map(String::as_bytes).unwrap_or_default();
            give(&dir.join("configs").join(n.to_string()), content, grant)
        })
        .collect()
}

fn secrets(config: &Config, id: &InstanceId, spec: &InstanceSpec) -> Result<Vec<Lent>, RuntimeError> {
    if spec.definition.secrets.is_empty() {
        return Ok(Vec::new());
    }
    let memory = config.run.join("secrets");
    let dir = memory.join(id.as_str());
    in_memory(&memory).and_then(|()| make_private(&dir)).map_err(failed_to("make a place for secrets"))?;
    let grants = spec.definition.secrets.iter().enumerate();
    grants.map(|(n, grant)| give(&dir.join(n.to_string()), &secret(config, &spec.app, &grant.source)?, grant)).collect()
}

/// The content of a secret of this node. It appears in no error and no log.
fn secret(config: &Config, app: &Name, name: &Name) -> Result<Vec<u8>, RuntimeError> {
    let missing = || RuntimeError::Refused(Fault::new(&node::SECRET_MISSING).with("name", name).with("app", app));
    let path = config.state.join("secrets").join(app.as_str()).join(name.as_str());
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => return Err(missing()),
        Err(error) => return Err(failed_to("read a secret")(error)),
    };
    let mut content = Vec::new();
    file.take(SECRET_MAX).read_to_end(&mut content).map_err(failed_to("read a secret"))?;
    Ok(content)
}

fn give(path: &Path, content: &[u8], grant: &FileGrant) -> Result<Lent, RuntimeError> {
    write_new(path, content, (grant.uid, grant.gid, grant.mode & 0o777)).map_err(failed_to("write a config or secret"))?;
    Ok(lent(path, &grant.target, true))
}

/// Holds each allowed directory by a mount of our own, so that nobody can exchange it between check and use.
fn binds(config: &Config, dir: &Path, spec: &InstanceSpec) -> Result<Vec<Lent>, RuntimeError> {
    let mut made = Vec::new();
    for (n, mount) in spec.definition.volumes.iter().enumerate() {
        if let Mount::Bind { source, target, read_only } = mount {
            let found = grants::bind(source, config).map_err(RuntimeError::Refused)?;
            let at = dir.join("binds").join(n.to_string());
            hold(&found, &at, *read_only).map_err(failed_to("mount a directory of the node"))?;
            made.push(lent(&at, target, *read_only));
        }
    }
    Ok(made)
}

fn hold(found: &std::os::fd::OwnedFd, at: &Path, read_only: bool) -> io::Result<()> {
    let stat = rustix::fs::fstat(found)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
        make_private(at)?;
    } else {
        write_new(at, b"", (0, 0, 0o600))?;
    }
    let source = format!("/proc/self/fd/{}", found.as_raw_fd());
    if read_only {
        rustix::mount::mount_bind(source, at)?;
    } else {
        rustix::mount::mount_bind_recursive(source, at)?;
    }
    Ok(rustix::mount::mount_change(at, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

fn volume(config: &Config, app: &Name, name: &Name, user: &User) -> io::Result<PathBuf> {
    let parent = config.state.join("volumes").join(app.as_str());
    make_private(&parent)?;
    let path = parent.join(name.as_str());
    match rustix::fs::mkdir(&path, Mode::from_raw_mode(0o755)) {
        Ok(()) => rustix::fs::chown(&path, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))?,
        Err(rustix::io::Errno::EXIST) if std::fs::symlink_metadata(&path)?.is_dir() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(path)
}

/// Makes sure that `dir` is in memory: where `<run>` is on a disk, it gets a mount of its own.
fn in_memory(dir: &Path) -> io::Result<()> {
    make_private(dir)?;
    if rustix::fs::statfs(dir)?.f_type as u64 == TMPFS_MAGIC {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(rustix::mount::mount("tmpfs", dir, "tmpfs", flags, SECRETS_MOUNT)?)
}

fn lent(source: &Path, target: &str, read_only: bool) -> Lent {
    Lent { source: source.display().to_string(), target: target.into(), read_only }
}

/// Makes a directory and those above it, for root only.
fn make_private(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes a file that must not be there yet, with owner, group and permission bits.
fn write_new(path: &Path, content: &[u8], (uid, gid, mode): (u32, u32, u32)) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?)
}

/// Removes a directory with the files and empty directories in it.
fn remove_flat(dir: &Path) -> io::Result<()> {
    for entry in entries(dir)? {
        if std::fs::symlink_metadata(&entry)?.is_dir() { std::fs::remove_dir(entry)? } else { std::fs::remove_file(entry)? }
    }
    match std::fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The paths in a directory; none when it is not there.
fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(dir) {
        Ok(list) => list.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_on_the_loopback_are_left_out() {
        let text = "# made by hand\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.1\nsearch port.example\n";
        assert_eq!(without_loopback(text), "# made by hand\nnameserver 192.0.2.1\nsearch port.example\n");
    }

    #[test]
    fn a_removal_never_goes_deeper_than_what_was_made() {
        let dir = tempfile::tempdir().expect("directory");
        let flat = dir.path().join("flat");
        std::fs::create_dir_all(flat.join("bind/precious")).expect("directories");
        assert!(remove_flat(&flat).is_err(), "a bind that is still mounted is not emptied");
        assert!(flat.join("bind/precious").exists());
        std::fs::remove_dir(flat.join("bind/precious")).expect("emptied by hand");
        remove_flat(&flat).expect("now it goes");
        remove_flat(&flat).expect("twice is fine");
    }

    #[test]
    fn a_volume_belongs_to_its_first_user_and_keeps_its_content() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().expect("directory");
        let config = Config { state: dir.path().into(), ..Config::default() };
        let name = |text| Name::new(text).expect("name");
        let user = |uid| User { uid, gid: uid, groups: vec![uid], home: "/".into() };
        let own = rustix::process::getuid().as_raw();
        let path = volume(&config, &name("app"), &name("data"), &user(own)).expect("made");
        std::fs::write(path.join("file"), "kept").expect("write");
        assert_eq!(volume(&config, &name("app"), &name("data"), &user(own + 1)).expect("found"), path);
        assert_eq!(std::fs::metadata(&path).expect("there").uid(), own);
        assert_eq!(std::fs::read_to_string(path.join("file")).expect("kept"), "kept");
        std::os::unix::fs::symlink("/etc", path.with_file_name("link")).expect("link");
        assert!(volume(&config, &name("app"), &name("link"), &user(own)).is_err());
    }
}
