//! Headers of a tar, read one after the other: ustar, GNU long names, PAX. The rules follow Go's `archive/tar`, which
//! every container tool uses, so that no other reader sees another tree in the same bytes.

use tar::{EntryType, Header};

use super::signed::Signed;
use super::{Rule, Why, pax};

const BLOCK: usize = 512;
/// Most bytes of PAX records or of a long name (Go's limit is the same).
const EXTENSION_MAX: u64 = 1 << 20;
/// Largest user or group number: above it Linux tools disagree about signs.
const OWNER_MAX: u64 = i32::MAX as u64;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    CharDevice { major: u32, minor: u32 },
    Fifo,
}

/// One entry, checked for everything that can be known without a file system.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// As the tar wrote it.
    pub(super) path: Vec<u8>,
    /// Target of a link, else empty.
    pub(super) link: Vec<u8>,
    /// Permissions with setuid, setgid and sticky.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub(super) mtime: (u64, u32),
    /// Extended attributes to set, by name.
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What PAX records say about the next entry.
#[derive(Debug, Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(u64, u32)>,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
    sparse: bool,
    trusted: bool,
}

/// A tar being read.
pub(super) struct Tarball {
    source: Signed,
    /// Bytes left of the entry's data.
    data: u64,
    /// Bytes between the data and the next header.
    padding: u64,
}

impl Tarball {
    pub(super) const fn new(source: Signed) -> Self {
        Self { source, data: 0, padding: 0 }
    }

    /// The next entry; `None` at the end mark or at the end of the bytes.
    #[expect(clippy::wildcard_enum_match_arm, reason = "entry types are an open set; kind_of() names those that images have")]
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Why> {
        let mut extension = Extension::default();
        let (mut long_path, mut long_link) = (None, None);
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = number(&header.as_old().size).ok_or_else(|| self.malformed("a size that is no number"))?;
            match header.entry_type() {
                EntryType::XHeader => extension = self.pax(size)?, // the last one counts, as in Go
                EntryType::XGlobalHeader => drop(self.extension(size)?), // containerd reads past them as well
                EntryType::GNULongName => long_path = Some(until_nul(self.extension(size)?)),
                EntryType::GNULongLink => long_link = Some(until_nul(self.extension(size)?)),
                kind => {
                    extension.path = long_path.or(extension.path);
                    extension.link = long_link.or(extension.link);
                    return self.entry(&header, kind, size, extension).map(Some);
                }
            }
        }
    }

    /// Reads some of the entry's data; 0 at their end.
    pub(super) fn data(&mut self, buffer: &mut [u8]) -> Result<usize, Why> {
        let wanted = usize::try_from(self.data).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let n = self.source.read(buffer.get_mut(..wanted).unwrap_or_default())?;
        if n == 0 {
            return Err(self.malformed("an end within an entry"));
        }
        self.data -= n as u64;
        Ok(n)
    }

    /// Checks the whole.
    pub(super) fn finish(self) -> Result<(), Why> {
        self.source.finish()
    }

    fn malformed(&self, why: &'static str) -> Why {
        Why::Malformed { at: self.source.seen(), why }
    }

    /// Goes to the next header.
    fn skip(&mut self) -> Result<(), Why> {
        self.data = self.data.saturating_add(self.padding);
        self.padding = 0;
        let mut buffer = [0; 8 * BLOCK];
        while self.data(&mut buffer)? > 0 {}
        Ok(())
    }

    fn header(&mut self) -> Result<Option<Header>, Why> {
        let Some(header) = self.block()? else { return Ok(None) };
        if header.as_bytes().iter().any(|byte| *byte != 0) {
            let sound = number(&header.as_old().cksum).is_some_and(|sum| sums(header.as_bytes()).contains(&sum));
            return if sound { Ok(Some(header)) } else { Err(self.malformed("a header whose checksum is wrong")) };
        }
        match self.block()? {
            Some(second) if second.as_bytes().iter().any(|byte| *byte != 0) => {
                Err(self.malformed("a header after half an end mark"))
            }
            Some(_) | None => Ok(None),
        }
    }

    fn block(&mut self) -> Result<Option<Header>, Why> {
        let mut header = Header::new_old();
        match self.source.fill(header.as_mut_bytes())? {
            0 => Ok(None),
            BLOCK => Ok(Some(header)),
            _ => Err(self.malformed("an end within a header")),
        }
    }

    /// The data of an entry that describes the next one.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, Why> {
        if size > EXTENSION_MAX {
            return Err(self.malformed("PAX records or a name of more than 1 MiB"));
        }
        self.begin(size);
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += self.data(rest)?;
        }
        Ok(bytes)
    }

    const fn begin(&mut self, size: u64) {
        self.data = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn pax(&mut self, size: u64) -> Result<Extension, Why> {
        let bytes = self.extension(size)?;
        let mut extension = Extension::default();
        let records = pax::records(&bytes).map_err(|why| self.malformed(why))?;
        for (key, value) in records {
            extension.take(key, value).map_err(|why| self.malformed(why))?;
        }
        Ok(extension)
    }

    fn entry(&mut self, header: &Header, kind: EntryType, size: u64, extension: Extension) -> Result<Entry, Why> {
        let path = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let refuse = |rule: Rule| Err(rule.refuses(&path));
        if extension.sparse {
            return refuse(Rule::Sparse);
        }
        if extension.trusted {
            return refuse(Rule::Trusted);
        }
        let kind = match kind_of(header, kind, &path) {
            Ok(kind) => kind,
            Err(rule) => return refuse(rule),
        };
        let fields = header.as_old();
        let field = |bytes: &[u8]| number(bytes).ok_or_else(|| self.malformed("a field that is no number"));
        let owner = |said: Option<u64>, bytes: &[u8]| -> Result<u32, Why> {
            let id = said.map_or_else(|| field(bytes), Ok)?;
            u32::try_from(id).ok().filter(|id| u64::from(*id) <= OWNER_MAX).ok_or_else(|| Rule::Owner.refuses(&path))
        };
        let (uid, gid) = (owner(extension.uid, &fields.uid)?, owner(extension.gid, &fields.gid)?);
        let mtime = extension.mtime.map_or_else(|| field(&fields.mtime).map(|seconds| (seconds, 0)), Ok)?;
        let mode = u32::try_from(field(&fields.mode)? & 0o7777).unwrap_or_default();
        let link = match kind {
            Kind::Symlink | Kind::HardLink => {
                extension.link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned())
            }
            Kind::File | Kind::Directory | Kind::CharDevice { .. } | Kind::Fifo => Vec::new(),
        };
        if link.contains(&0) {
            return Err(Rule::Escapes.refuses(&path));
        }
        if link.is_empty() && matches!(kind, Kind::Symlink | Kind::HardLink) {
            return Err(Rule::Link.refuses(&path));
        }
        // Only files have data; Go ignores the size of everything else.
        self.begin(if kind == Kind::File { extension.size.unwrap_or(size) } else { 0 });
        Ok(Entry { kind, path, link, mode, uid, gid, mtime, attributes: extension.attributes })
    }
}

impl Extension {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let decimal = || pax::decimal(value).ok_or("a PAX number that is none");
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            return self.attribute(name, value);
        }
        match key {
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            // An empty value says: what the header says.
            b"path" => self.path = (!value.is_empty()).then(|| value.into()),
            b"linkpath" => self.link = (!value.is_empty()).then(|| value.into()),
            b"size" => self.size = Some(decimal()?),
            b"uid" => self.uid = Some(decimal()?),
            b"gid" => self.gid = Some(decimal()?),
            b"mtime" => self.mtime = Some(pax::time(value).ok_or("a PAX time that is none")?),
            _ => {}
        }
        Ok(())
    }

    /// `user.*`, file capabilities and ACLs belong to the image. Labels of the machine's own security modules
    /// (`security.selinux`, `security.ima` …) do not: they are left out, as the machine sets its own.
    fn attribute(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if name.contains(&0) || name.is_empty() {
            return Err("an attribute of no name");
        }
        let acl: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];
        if name.starts_with(b"trusted.") {
            self.trusted = true;
        } else if name.starts_with(b"user.") || name == b"security.capability" || acl.contains(&name) {
            self.attributes.push((name.into(), value.into()));
        }
        Ok(())
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "entry types are an open set; every other one is refused")]
fn kind_of(header: &Header, kind: EntryType, path: &[u8]) -> Result<Kind, Rule> {
    match kind {
        // Before POSIX a directory was a file whose name ends in a slash.
        EntryType::Regular if header.as_old().linkflag == [0] && path.ends_with(b"/") => Ok(Kind::Directory),
        EntryType::Regular => Ok(Kind::File),
        EntryType::Directory => Ok(Kind::Directory),
        EntryType::Symlink => Ok(Kind::Symlink),
        EntryType::Link => Ok(Kind::HardLink),
        EntryType::Fifo => Ok(Kind::Fifo),
        EntryType::Char => device(header).ok_or(Rule::Unknown),
        EntryType::Block => Err(Rule::BlockDevice),
        EntryType::GNUSparse => Err(Rule::Sparse),
        _ => Err(Rule::Unknown),
    }
}

fn device(header: &Header) -> Option<Kind> {
    let fields = header.as_ustar().map(|h| (&h.dev_major, &h.dev_minor));
    let (major, minor) = fields.or_else(|| header.as_gnu().map(|h| (&h.dev_major, &h.dev_minor)))?;
    let read = |field| u32::try_from(number(field)?).ok();
    Some(Kind::CharDevice { major: read(major)?, minor: read(minor)? })
}

/// A numeric field: octal, or GNU's base-256 when the first bit is set; blank is 0. A negative number reads as 0: only
/// times have one.
fn number(field: &[u8]) -> Option<u64> {
    match field.split_first() {
        Some((first, _)) if first & 0xc0 == 0xc0 => Some(0),
        Some((first, rest)) if first & 0x80 != 0 => {
            rest.iter().try_fold(u64::from(first & 0x3f), |n, byte| n.checked_mul(256)?.checked_add(u64::from(*byte)))
        }
        _ => {
            let text = field.split(|byte| *byte == 0).find(|part| !part.is_empty()).unwrap_or_default().trim_ascii();
            text.iter().try_fold(0_u64, |n, digit| match digit {
                b'0'..=b'7' => n.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
                _ => None,
            })
        }
    }
}

/// The checksum of a header as POSIX defines it, and as old tars with signed characters wrote it.
fn sums(bytes: &[u8; BLOCK]) -> [u64; 2] {
    let counted = bytes.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let unsigned = counted.clone().map(u64::from).sum();
    let signed: i64 = counted.map(|byte| i64::from(byte.cast_signed())).sum();
    [unsigned, u64::try_from(signed).unwrap_or(unsigned)]
}

/// A long name without the NUL that ends it.
fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    bytes
}
