//! Tables of layers, kind and hostile. They change owners and make devices, so they need root, as the daemon does.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use shared::fault::{Faulty, Lang};
use shared::id::Digest;
use shared::release::Blob;

use super::*;

// ---------------------------------------------------------------- making tars

/// A header with good sums and the given fields; `change` spoils them.
fn header(kind: u8, path: &str, link: &str, size: u64, change: impl Fn(&mut tar::Header)) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().linkflag = [kind];
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    header.set_size(size);
    header.set_device_major(0).unwrap();
    header.set_device_minor(0).unwrap();
    change(&mut header);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn entry(kind: u8, path: &str, link: &str, data: &[u8]) -> Vec<u8> {
    with(kind, path, link, data, |_| {})
}

fn with(kind: u8, path: &str, link: &str, data: &[u8], change: impl Fn(&mut tar::Header)) -> Vec<u8> {
    let mut bytes = header(kind, path, link, data.len() as u64, change);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(path: &str, data: &str) -> Vec<u8> {
    entry(b'0', path, "", data.as_bytes())
}

fn dir(path: &str) -> Vec<u8> {
    with(b'5', path, "", b"", |header| header.set_mode(0o750))
}

fn symlink(path: &str, to: &str) -> Vec<u8> {
    entry(b'2', path, to, b"")
}

fn hard(path: &str, to: &str) -> Vec<u8> {
    entry(b'1', path, to, b"")
}

/// PAX records for the next entry.
fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = 3 + key.len() + value.len();
        let length = (1..9).map(|digits| rest + digits).find(|n| n.to_string().len() + rest == *n).unwrap();
        body.extend(format!("{length} {key}=").bytes());
        body.extend(*value);
        body.push(b'\n');
    }
    entry(b'x', "pax", "", &body)
}

fn tarball(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = parts.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

// ---------------------------------------------------------------- unpacking them

/// A directory to unpack into, and things beside it that must stay as they are.
struct Desk {
    dir: tempfile::TempDir,
    target: Target,
}

fn desk() -> Desk {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("upper")).unwrap();
    fs::create_dir_all(dir.path().join("outside/dir")).unwrap();
    fs::write(dir.path().join("outside/file"), "untouched").unwrap();
    let target = Target { upper: dir.path().join("upper"), below: vec![] };
    Desk { dir, target }
}

impl Desk {
    /// The same with a layer below that has `etc` (1777, owner 7) and `etc/old`.
    fn on_another(mut self) -> Self {
        let below = self.dir.path().join("below");
        fs::create_dir_all(below.join("etc/deep")).unwrap();
        fs::write(below.join("etc/old"), "old").unwrap();
        std::os::unix::fs::chown(below.join("etc"), Some(7), Some(8)).unwrap();
        fs::set_permissions(below.join("etc"), fs::Permissions::from_mode(0o1777)).unwrap();
        self.target.below = vec![below];
        self
    }

    fn unpack(&self, parts: &[Vec<u8>]) -> Result<(), ExtractError> {
        let bytes = tarball(parts);
        self.unpack_as(&bytes, blob(&bytes))
    }

    fn unpack_as(&self, bytes: &[u8], signed: Blob) -> Result<(), ExtractError> {
        let before = self.outside();
        let ended = extract(signed, Cursor::new(bytes.to_vec()), &self.target, &Stop::default());
        assert_eq!(self.outside(), before, "nothing outside changes");
        ended
    }

    /// Every inode beside the target, with what could have changed of it.
    fn outside(&self) -> BTreeMap<String, (u64, u32, u64, i64, u64)> {
        let mut found = BTreeMap::new();
        for part in ["outside", "below", "."] {
            list(&self.dir.path().join(part), part != ".", &mut found);
        }
        found
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.target.upper.join(path)).unwrap()
    }

    fn meta(&self, path: &str) -> fs::Metadata {
        fs::symlink_metadata(self.target.upper.join(path)).unwrap()
    }

    fn attribute(&self, path: &str, name: &str) -> Option<Vec<u8>> {
        let mut value = [0; 256];
        let n = rustix::fs::lgetxattr(self.target.upper.join(path), name, &mut value[..]).ok()?;
        Some(value[..n].to_vec())
    }

    fn names(&self) -> Vec<String> {
        let mut found = BTreeMap::new();
        list(&self.target.upper, true, &mut found);
        let root = format!("{}/", self.target.upper.display());
        found.into_keys().filter_map(|path| path.strip_prefix(&root).map(str::to_owned)).collect()
    }
}

fn list(path: &Path, deep: bool, found: &mut BTreeMap<String, (u64, u32, u64, i64, u64)>) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.map(Result::unwrap) {
        let meta = entry.path().symlink_metadata().unwrap();
        let size = if meta.is_dir() { 0 } else { meta.size() };
        let ours = matches!(entry.file_name().to_str(), Some("upper"));
        if deep || !ours {
            found.insert(entry.path().display().to_string(), (meta.ino(), meta.mode(), size, meta.mtime(), meta.nlink()));
        }
        if deep && meta.is_dir() {
            list(&entry.path(), true, found);
        }
    }
}

fn blob(bytes: &[u8]) -> Blob {
    Blob { digest: Digest::of(bytes), size: bytes.len() as u64 }
}

// ---------------------------------------------------------------- what layers mean

#[test]
fn files_keep_content_owner_mode_time_and_attributes() {
    let desk = desk();
    let capability = b"\x01\0\0\x02\x0a\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0"; // with a newline in it
    desk.unpack(&[
        dir("bin/"),
        pax(&[("SCHILY.xattr.security.capability", capability), ("SCHILY.xattr.user.note", b"a=b\n")]),
        with(b'0', "bin/ping", "", b"ping", |h| {
            h.set_uid(12);
            h.set_gid(34);
            h.set_mode(0o6755);
        }),
        pax(&[("mtime", b"1600000000.123456789"), ("uid", b"2147483647"), ("path", "bin/ünï \n名".as_bytes())]),
        file("x", "odd"),
        hard("bin/pong", "/bin/ping"),
        symlink("sh", "/bin/ping"),
        entry(b'6', "fifo", "", b""),
        with(b'3', "null", "", b"", |h| {
            h.set_device_major(1).unwrap();
            h.set_device_minor(3).unwrap();
        }),
        file("empty", ""),
        file("new/parents/here", "x"),
    ])
    .unwrap();
    let ping = desk.meta("bin/ping");
    assert_eq!((ping.uid(), ping.gid(), ping.mode() & 0o7777, ping.mtime()), (12, 34, 0o6755, 1_700_000_000));
    assert_eq!(desk.attribute("bin/ping", "security.capability").as_deref(), Some(&capability[..]));
    assert_eq!(desk.attribute("bin/ping", "user.note").as_deref(), Some(&b"a=b\n"[..]));
    assert_eq!((desk.meta("bin/pong").ino(), ping.nlink()), (ping.ino(), 2));
    let odd = desk.meta("bin/ünï \n名");
    assert_eq!((odd.mtime(), odd.mtime_nsec(), odd.uid()), (1_600_000_000, 123_456_789, i32::MAX as u32));
    assert_eq!(fs::read_link(desk.target.upper.join("sh")).unwrap(), Path::new("/bin/ping"));
    assert!(desk.meta("fifo").file_type().is_fifo());
    assert_eq!(desk.meta("null").rdev(), rustix::fs::makedev(1, 3));
    let bin = desk.meta("bin");
    assert_eq!((bin.mode() & 0o7777, bin.mtime()), (0o750, 1_700_000_000), "the directory's time outlives its files");
    assert_eq!(desk.meta("new/parents").mode() & 0o7777, 0o755);
    assert_eq!(desk.meta("empty").len(), 0);
}

#[test]
fn long_names_come_from_pax_or_gnu() {
    let desk = desk();
    let deep = format!("{}/{}", "d".repeat(200), "f".repeat(250));
    let (a, b) = (format!("{deep}a"), format!("{deep}b"));
    desk.unpack(&[
        pax(&[("path", a.as_bytes())]),
        file("short", "a"),
        entry(b'L', "././@LongLink", "", format!("{b}\0").as_bytes()),
        file("short", "b"),
        entry(b'K', "././@LongLink", "", format!("{a}\0").as_bytes()),
        hard("c", "short"),
    ])
    .unwrap();
    assert_eq!((desk.text(&a), desk.text(&b), desk.text("c")), ("a".into(), "b".into(), "a".into()));
}

#[test]
fn later_entries_replace_earlier_ones() {
    for (parts, path, text) in [
        (vec![file("a", "1"), file("a", "2")], "a", "2"),
        (vec![dir("a"), file("a/x", "1"), file("a", "2")], "a", "2"),
        (vec![file("a", "1"), dir("a"), file("a/x", "2")], "a/x", "2"),
        (vec![file("b", "old"), symlink("a", "b"), file("a", "2")], "b", "old"),
        (vec![file("b", "old"), hard("a", "b"), file("a", "2")], "b", "old"),
        (vec![dir("d"), symlink("l", "d"), file("l/x", "2")], "d/x", "2"),
        (vec![symlink("l", "/d/e"), file("l/x", "2")], "d/e/x", "2"),
        (vec![symlink("d", "../../e"), file("d/x", "2")], "e/x", "2"),
        (vec![dir("d"), file("d/x", "1"), dir("d")], "d/x", "1"),
    ] {
        let desk = desk();
        desk.unpack(&parts).unwrap();
        assert_eq!(desk.text(path), text, "{:?}", desk.names());
    }
}

#[test]
fn whiteouts_become_what_overlayfs_reads() {
    let desk = desk().on_another();
    desk.unpack(&[
        file("etc/.wh.old", ""),
        file("opaque/.wh..wh..opq", ""),
        file(".wh.both", ""),
        dir("both"),
        file("both/x", "new"),
        dir("other"),
        file(".wh.other", ""),
        file("stays", "here"),
        file(".wh.stays", ""),
        file(".wh..wh.plnk/1", ""),
        file(".wh.hole", ""),
        file("hole/x", "1"),
    ])
    .unwrap();
    let old = desk.meta("etc/old");
    assert!(old.file_type().is_char_device() && old.rdev() == 0);
    for opaque in ["opaque", "both", "other", "hole"] {
        assert_eq!(desk.attribute(opaque, "trusted.overlay.opaque").as_deref(), Some(&b"y"[..]), "{opaque}");
    }
    assert_eq!((desk.text("both/x"), desk.text("stays")), ("new".into(), "here".into()));
    let etc = desk.meta("etc");
    assert_eq!((etc.uid(), etc.gid(), etc.mode() & 0o7777), (7, 8, 0o1777), "as the directory it covers");

    let lowest = self::desk();
    lowest.unpack(&[file(".wh.a", ""), file("d/.wh..wh..opq", ""), file("b", "")]).unwrap();
    assert_eq!(lowest.names(), ["b"], "the lowest layer has nothing to hide");
}

// ---------------------------------------------------------------- what is refused

fn refused(parts: &[Vec<u8>]) -> String {
    let error = desk().unpack(parts).unwrap_err();
    let text = error.fault().text(Lang::En);
    assert!(!text.contains('{'), "{text}");
    error.fault().code
}

#[test]
fn nothing_leaves_the_directory() {
    let outside = |name: &str| format!("../outside/{name}");
    for (parts, code) in [
        (vec![file("../outside/new", "x")], "image-entry-escapes"),
        (vec![file("a/../../outside/file", "x")], "image-entry-escapes"),
        (vec![hard("a", "../outside/file")], "image-entry-escapes"),
        (vec![hard("a", "/outside/file")], "image-entry-link"),
        (vec![symlink("l", &outside("file")), hard("a", "l/x")], "image-entry-link"),
        (vec![pax(&[("path", b"a\0b")]), file("a", "")], "image-entry-escapes"),
        (vec![pax(&[("linkpath", b"a\0b")]), symlink("a", "b")], "image-entry-escapes"),
        (vec![symlink("l", "l"), file("l/x", "")], "image-entry-too-deep"),
        (vec![symlink("a", "b"), symlink("b", "a"), file("a/x", "")], "image-entry-too-deep"),
        (vec![file("f", ""), file("f/x", "")], "image-entry-not-directory"),
        (vec![file("f", ""), symlink("l", "f"), file("l/x", "")], "image-entry-not-directory"),
        (vec![symlink("a", "")], "image-entry-link"),
        (vec![hard("a", "a")], "image-entry-link"),
        (vec![dir("d"), hard("a", "d")], "image-entry-link"),
        (vec![hard("a", "/")], "image-entry-link"),
    ] {
        assert_eq!(refused(&parts), code);
    }
    // These are unpacked, inside.
    let (up, abs) = ("../".repeat(25) + "outside", "/outside");
    for target in [up.as_str(), abs, "../outside", "/../outside/dir/.."] {
        let desk = desk();
        desk.unpack(&[symlink("l", target), file("l/file", "in"), file("/abs", "in"), symlink("f", "l/file"), file("f", "in")])
            .unwrap();
        assert_eq!(desk.text("abs"), "in");
        let inside = desk.names().into_iter().filter(|name| name.ends_with("/file")).count();
        assert_eq!(inside, 1, "{target}: {:?}", desk.names());
    }
}

#[test]
fn odd_entries_are_refused_by_name() {
    let many = |h: &mut tar::Header| h.set_uid(1 << 20);
    for (parts, code) in [
        (vec![entry(b'4', "sda", "", b"")], "image-entry-block-device"),
        (vec![entry(b'S', "sparse", "", b"")], "image-entry-sparse"),
        (vec![pax(&[("GNU.sparse.major", b"1")]), file("a", "")], "image-entry-sparse"),
        (vec![entry(b'V', "volume", "", b"")], "image-entry-unknown"),
        (vec![pax(&[("SCHILY.xattr.trusted.overlay.redirect", b"/etc")]), dir("a")], "image-entry-trusted"),
        (vec![pax(&[("uid", b"2147483648")]), with(b'0', "a", "", b"", many)], "image-entry-owner"),
        (vec![pax(&[("gid", b"4294967295")]), file("a", "")], "image-entry-owner"),
        (vec![file(".wh.", "")], "image-entry-whiteout"),
        (vec![file(&"d/".repeat(49), ""), pax(&[("path", "d/".repeat(129).as_bytes())]), dir("d")], "image-entry-too-deep"),
        (vec![pax(&[("path", "d".repeat(256).as_bytes())]), dir("d")], "image-entry-too-long"),
        (vec![pax(&[("path", "d/".repeat(2050).as_bytes())]), dir("d")], "image-entry-too-long"),
        (vec![pax(&[("size", b"-1")]), file("a", "")], "image-tar-malformed"),
        (vec![pax(&[("uid", b"")]), file("a", "")], "image-tar-malformed"),
        (vec![entry(b'x', "pax", "", b"99 path=a\n"), file("a", "")], "image-tar-malformed"),
        (vec![header(b'x', "pax", "", (1 << 20) + 1, |_| {})], "image-tar-malformed"),
        (vec![header(b'0', "a", "", 1 << 30, |_| {})], "image-tar-malformed"),
        (vec![header(b'0', "a", "", 0, |h| h.as_old_mut().size = [0xff; 12])], "ok"),
        (vec![header(b'0', "a", "", 0, |h| h.as_old_mut().size = *b"99999999999\0")], "image-tar-malformed"),
        (vec![vec![0; 512], file("a", "")], "image-tar-malformed"),
        (vec![file("a", "")[..500].to_vec()], "image-tar-malformed"),
    ] {
        if code == "ok" {
            desk().unpack(&parts).unwrap(); // a negative size reads as 0
        } else {
            assert_eq!(refused(&parts), code);
        }
    }
    let mut spoilt = file("a", "");
    spoilt[0] = b'b';
    assert_eq!(refused(&[spoilt]), "image-tar-malformed");
}

#[test]
fn a_pax_size_counts_for_every_reader() {
    let desk = desk();
    let inner = file("smuggled", "x");
    let mut outer = header(b'0', "a", "", 0, |_| {});
    outer.extend(&inner);
    let size = inner.len().to_string();
    desk.unpack(&[pax(&[("size", size.as_bytes())]), outer, file("b", "")]).unwrap();
    assert_eq!(desk.names(), ["a", "b"]);
}

#[test]
fn only_the_signed_tar_is_unpacked() {
    let bytes = tarball(&[file("a", "a")]);
    let longer = [bytes.clone(), vec![0; 512]].concat();
    let other = tarball(&[file("a", "b")]);
    for (tar, code) in
        [(&other[..], "image-layer-differs"), (&bytes[..1024], "image-layer-differs"), (&longer[..], "image-layer-longer")]
    {
        let desk = desk();
        let error = desk.unpack_as(tar, blob(&bytes)).unwrap_err();
        assert_eq!(error.fault().code, code);
        let checked = check(blob(&bytes), Cursor::new(tar.to_vec()), &Stop::default());
        assert_eq!(checked.unwrap_err().fault().code, code);
    }
    let trailing = desk();
    trailing.unpack_as(&longer, blob(&longer)).unwrap();
}

#[test]
fn more_than_was_signed_is_not_written() {
    let signed = Blob { digest: Digest::of(b""), size: 1 << 20 };
    let mut bomb = header(b'0', "bomb", "", 1 << 33, |h| h.set_size(64 << 20));
    bomb.resize(64 << 20, 0);
    let desk = desk();
    let error = desk.unpack_as(&bomb, signed).unwrap_err();
    assert_eq!(error.fault().code, "image-layer-longer");
    assert!(desk.meta("bomb").len() <= 1 << 20);
}

#[test]
fn a_pack_that_changes_on_disk_is_named() {
    struct Damaged;
    impl Read for Damaged {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("a chunk that is not what its id says"))
        }
    }
    let error = extract(blob(b""), Damaged, &desk().target, &Stop::default()).unwrap_err();
    assert_eq!(error.fault().code, "image-layer-broken");
}

#[test]
fn too_many_entries_and_a_stop_end_it() {
    let mut tree = Tree::open(&desk().target).unwrap();
    tree.pretend_made(ENTRIES_MAX);
    let bytes = tarball(&[file("a", "")]);
    let open = || Cursor::new(bytes.clone());
    let mut tarball = Tarball::new(Signed::new(blob(&bytes), open(), &Stop::default()));
    let entry = tarball.next().unwrap().unwrap();
    assert!(matches!(tree.put(&entry, &mut tarball), Err(Why::Refused { rule: Rule::TooMany, .. })));

    let stop = Stop::default();
    stop.now();
    let error = extract(blob(&bytes), open(), &desk().target, &stop).unwrap_err();
    assert!(matches!(error.why, Why::Stopped));
}

/// A file system of one MiB on a directory, until dropped.
struct Small(PathBuf);

impl Small {
    fn on(path: &Path) -> Self {
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", path, "tmpfs", flags, Some(c"size=1m")).unwrap();
        Self(path.into())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn a_full_disk_is_named() {
    let desk = desk();
    let _small = Small::on(&desk.target.upper);
    let error = desk.unpack(&[entry(b'0', "a", "", &vec![1; 2 << 20])]).unwrap_err();
    assert_eq!(error.fault().code, "image-layer-full");
    assert!(error.why.is_local());
}

/// Flipped bytes, cut ends and swapped blocks: any tar ends in a tree or in a named refusal, inside the directory.
#[test]
fn spoilt_tars_never_leave_the_directory() {
    let parts = [
        dir("d"),
        symlink("l", "../../outside"),
        file("l/x", "x"),
        pax(&[("path", b"d/long"), ("SCHILY.xattr.user.a", b"b"), ("mtime", b"1.5")]),
        file("short", "data"),
        entry(b'L', "././@LongLink", "", b"d/gnu\0"),
        file("short", "more"),
        hard("d/hard", "d/long"),
        file("d/.wh.gone", ""),
    ];
    let sound = tarball(&parts);
    let mut seed = 7_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut unpacked = 0;
    for round in 0..400 {
        let desk = desk().on_another();
        let mut bytes = sound.clone();
        match round % 3 {
            0 => (0..=random(3)).for_each(|_| reseal(&mut bytes, random(sound.len()), random(256) as u8)),
            1 => bytes.truncate(random(sound.len())),
            _ => {
                let (a, b) = (random(sound.len() / 512), random(sound.len() / 512));
                (0..512).for_each(|n| bytes.swap(a * 512 + n, b * 512 + n));
            }
        }
        let ended = desk.unpack_as(&bytes, blob(&bytes));
        unpacked += u32::from(ended.is_ok());
    }
    assert!((50..350).contains(&unpacked), "{unpacked} of 400: the test does not see both ends");
}

/// Changes one byte, and the checksum of the header it may be in, so that the change is not noticed there.
fn reseal(bytes: &mut [u8], at: usize, value: u8) {
    bytes[at] = value;
    let block = at / 512 * 512;
    let mut header = tar::Header::new_old();
    header.as_mut_bytes().copy_from_slice(&bytes[block..block + 512]);
    if header.as_old().cksum.iter().any(|byte| *byte != 0) {
        header.set_cksum();
        bytes[block..block + 512].copy_from_slice(header.as_bytes());
    }
}
