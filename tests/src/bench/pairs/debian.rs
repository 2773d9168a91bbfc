//! Layers from Debian packages, from wherever this machine's apt gets them.

use std::path::{Path, PathBuf};

use super::catalog::State;
use super::tool::{at, run, tool};
use crate::demo::Failure;

/// The release all layers are of.
const SUITE: &str = "bookworm";

/// What a base image holds beyond the smallest Debian.
const BASE: &str = "ca-certificates,curl,openssl,sqlite3,libglib2.0-0,libexpat1,perl,tzdata";

/// Its Python.
const PYTHON: [&str; 4] = ["python3.11", "python3.11-minimal", "libpython3.11-stdlib", "libpython3.11-minimal"];

/// Packages of Go programs. Which of them is there in two revisions changes with time.
const GO: [&str; 12] = [
    "containerd",
    "podman",
    "docker.io",
    "runc",
    "caddy",
    "rclone",
    "restic",
    "prometheus",
    "syncthing",
    "etcd-server",
    "buildah",
    "skopeo",
];

/// A whole small system; in the old state without what came after the point release.
pub(super) fn base(state: State, tree: &Path) -> Result<String, Failure> {
    let sources = sources(state)?;
    let list = tree.with_extension("list");
    at(&list, std::fs::write(&list, sources.join("\n") + "\n"))?;
    let mut command = tool("mmdebstrap");
    command.args(["--quiet", "--variant=minbase", "--mode=root", "--skip=output/dev"]).arg(format!("--include={BASE}"));
    for line in settings(&run(tool("apt-config").args(["dump", "Acquire"]))?) {
        command.arg(format!("--aptopt={line}"));
    }
    run(command.arg(SUITE).args([tree, &list]))?;
    let list = run(tool("dpkg-query").arg(format!("--admindir={}", tree.join("var/lib/dpkg").display())).arg("--show"))?;
    let packages = list.lines().count();
    let openssl = list.lines().find_map(|line| line.strip_prefix("openssl\t")).unwrap_or("?");
    Ok(format!("{SUITE}, {packages} packages from {} sources, openssl {openssl}", sources.len()))
}

/// Lines of a `sources.list` with this machine's own mirrors.
fn sources(state: State) -> Result<Vec<String>, Failure> {
    let targets = ["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"];
    let lines = lines(state, &run(tool("apt-get").args(targets))?);
    let wanted = match state {
        State::Old => 1,
        State::New => 2,
    };
    if lines.len() < wanted {
        return Err(format!("apt of this machine knows {} sources of {SUITE}, and {wanted} are needed", lines.len()));
    }
    Ok(lines)
}

/// `targets`: one `uri release component` in each line.
fn lines(state: State, targets: &str) -> Vec<String> {
    let (updates, security) = (format!("{SUITE}-updates"), format!("{SUITE}-security"));
    let wanted = |release: &str| release == SUITE || (state == State::New && (release == updates || release == security));
    let mut lines: Vec<String> = Vec::new();
    for target in targets.lines() {
        if let [uri, release, "main"] = target.split(' ').collect::<Vec<_>>().as_slice() {
            let line = format!("deb {uri} {release} main");
            if wanted(release) && !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

/// How this machine's apt reaches its sources: proxies, certificates, whether old lists are good enough.
fn settings(dump: &str) -> impl Iterator<Item = &str> {
    let how = ["Acquire::http", "Acquire::https", "Acquire::Check-"];
    dump.lines().filter(move |line| how.iter().any(|name| line.starts_with(name)) && !line.ends_with("\"\";"))
}

/// A Python interpreter with its library.
pub(super) fn python(work: &Path, tree: &Path) -> Result<String, Failure> {
    let names: Vec<String> = PYTHON.iter().map(|name| (*name).to_owned()).collect();
    unpack(work, tree, &names)?;
    Ok(PYTHON.join(", "))
}

/// The older or the newer revision of the first package that has two.
pub(super) fn package(state: State, work: &Path, tree: &Path) -> Result<String, Failure> {
    for name in GO {
        if let Some((older, newer)) = revisions(&run(tool("apt-cache").args(["madison", name]))?) {
            let version = if state == State::Old { older } else { newer };
            let package = format!("{name}={version}");
            unpack(work, tree, std::slice::from_ref(&package))?;
            return Ok(package);
        }
    }
    Err(format!("apt of this machine has two revisions of none of {}", GO.join(", ")))
}

/// The two newest, older first, out of lines such as `containerd | 1.6.20-1 | …`, newest first.
fn revisions(madison: &str) -> Option<(String, String)> {
    let mut versions: Vec<&str> = madison.lines().filter_map(|line| line.split(" | ").nth(1)).map(str::trim).collect();
    versions.dedup();
    match versions.as_slice() {
        [newer, older, ..] => Some(((*older).to_owned(), (*newer).to_owned())),
        _ => None,
    }
}

/// Fetches packages, `name` or `name=version`, and unpacks them one over the other, without their scripts.
fn unpack(work: &Path, tree: &Path, packages: &[String]) -> Result<(), Failure> {
    at(work, std::fs::create_dir_all(work))?;
    // `apt-get download` leaves files alone that it fetched already.
    run(tool("apt-get").current_dir(work).args(["download", "--quiet=2"]).args(packages))?;
    let mut files = at(work, std::fs::read_dir(work).and_then(Iterator::collect::<std::io::Result<Vec<_>>>))?;
    files.sort_unstable_by_key(std::fs::DirEntry::file_name);
    let files: Vec<PathBuf> =
        files.into_iter().map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "deb")).collect();
    for file in files {
        run(tool("dpkg-deb").arg("--extract").args([&file, tree]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_base_knows_only_the_point_release() {
        let targets = "http://a/ bookworm main\nhttp://a/ bookworm-updates main\nhttp://b/ bookworm-security main\n\
                       http://a/ bookworm main\nhttp://a/ bookworm contrib\nhttp://c/ nodistro main\n";
        assert_eq!(lines(State::Old, targets), ["deb http://a/ bookworm main"]);
        let new = ["deb http://a/ bookworm main", "deb http://a/ bookworm-updates main", "deb http://b/ bookworm-security main"];
        assert_eq!(lines(State::New, targets), new);
    }

    #[test]
    fn settings_of_the_way_are_handed_on() {
        let dump = "Acquire \"\";\nAcquire::http::Proxy \"http://p:1/\";\nAcquire::https \"\";\nAcquire::Check-Date \"false\";\n\
                    Acquire::Languages \"none\";\n";
        let expected = ["Acquire::http::Proxy \"http://p:1/\";", "Acquire::Check-Date \"false\";"];
        assert_eq!(settings(dump).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn two_revisions_are_found_where_there_are_two() {
        let line = |version: &str| format!("containerd | {version} | http://a bookworm/main amd64 Packages\n");
        assert_eq!(revisions(&[line("1-2"), line("1-2"), line("1-1")].concat()), Some(("1-1".into(), "1-2".into())));
        assert_eq!(revisions(&[line("1-2"), line("1-2")].concat()), None);
    }
}
