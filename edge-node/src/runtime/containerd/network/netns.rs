//! Named network namespaces: a namespace lives as long as its file is mounted, without a process in it.

use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::UnmountFlags;
use tokio::sync::oneshot;

/// statfs(2), `include/uapi/linux/magic.h`.
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// Makes a namespace and mounts it at `path`. A thread of its own enters it and ends.
pub async fn create(path: PathBuf) -> io::Result<()> {
    let (done, result) = oneshot::channel();
    let make = move || {
        let made = prepare(&path).and_then(|()| {
            crate::sys::unshare_network()?;
            Ok(rustix::mount::mount_bind("/proc/thread-self/ns/net", &path)?)
        });
        drop(done.send(made));
    };
    std::thread::Builder::new().name("netns".into()).spawn(make)?;
    result.await.map_err(io::Error::other)?
}

/// Whether a namespace is mounted at `path`.
pub fn alive(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type as u64 == NSFS_MAGIC)
}

/// Unmounts and removes; done before is fine.
pub fn delete(path: &Path) -> io::Result<()> {
    let _ = rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Every namespace in a directory.
pub fn all(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn prepare(path: &Path) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    delete(path)?;
    std::fs::File::create_new(path).map(drop)
}
