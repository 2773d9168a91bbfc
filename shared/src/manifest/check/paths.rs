//! Paths: absolute and in their shortest form, below `/dev` for devices, each target used once.

use std::collections::BTreeMap;

use super::super::bounds::{GRANTS_MAX, PATH_MAX, SIZE_MAX};
use super::super::problem::shown;
use super::super::{Device, FileGrant, Mount, Service};
use super::Findings;
use crate::fault::{Fault, manifest as m};

pub(super) fn paths(f: &mut Findings, path: &str, service: &Service) {
    if let Some(dir) = &service.working_dir {
        absolute(f, &format!("{path}.working_dir"), dir);
    }
    f.at_most(&format!("{path}.volumes"), service.volumes.len(), GRANTS_MAX);
    f.at_most(&format!("{path}.devices"), service.devices.len(), GRANTS_MAX);
    let mut targets = BTreeMap::new();
    for (n, one) in service.volumes.iter().enumerate() {
        let path = format!("{path}.volumes[{n}]");
        mount(f, &path, one);
        once(f, &mut targets, path, one.target());
    }
    for (kind, grants) in [("configs", &service.configs), ("secrets", &service.secrets)] {
        for (n, one) in grants.iter().enumerate() {
            let path = format!("{path}.{kind}[{n}]");
            grant(f, &path, one);
            once(f, &mut targets, path, &one.target);
        }
    }
    for (n, one) in service.devices.iter().enumerate() {
        let path = format!("{path}.devices[{n}]");
        device(f, &path, one);
        once(f, &mut targets, path, &one.target);
    }
}

/// Two things cannot stand at the same place.
fn once<'t>(f: &mut Findings, targets: &mut BTreeMap<&'t str, String>, path: String, target: &'t str) {
    if let Some(other) = targets.get(target) {
        f.add(&path, Fault::new(&m::TARGET_TWICE).with("target", shown(target)).with("other", other));
    } else {
        targets.insert(target, path);
    }
}

fn mount(f: &mut Findings, path: &str, mount: &Mount) {
    container_path(f, path, mount.target());
    match mount {
        Mount::Volume { .. } => {}
        Mount::Bind { source, .. } => absolute(f, path, source),
        Mount::Tmpfs { size, .. } => {
            if size.is_some_and(|size| size.0 == 0 || size.0 > SIZE_MAX) {
                f.add(path, Fault::new(&m::BAD_TMPFS_SIZE));
            }
        }
    }
}

fn grant(f: &mut Findings, path: &str, grant: &FileGrant) {
    container_path(f, path, &grant.target);
    if grant.mode > 0o777 {
        f.add(path, Fault::new(&m::BAD_MODE).with("value", format_args!("{:04o}", grant.mode)));
    }
}

fn device(f: &mut Findings, path: &str, device: &Device) {
    for end in [&device.source, &device.target] {
        absolute(f, path, end);
        if end.strip_prefix("/dev/").is_none_or(str::is_empty) {
            f.add(path, Fault::new(&m::DEVICE_NOT_BELOW_DEV).with("value", shown(end)));
            return;
        }
    }
    let permissions = device.permissions.as_str();
    let known = permissions.chars().all(|c| "rwm".contains(c));
    let each_once = permissions.chars().enumerate().all(|(n, c)| permissions.find(c) == Some(n));
    if permissions.is_empty() || !known || !each_once {
        f.add(path, Fault::new(&m::BAD_DEVICE_PERMISSIONS).with("value", shown(permissions)));
    }
}

/// A place inside the container where something can be put: not the root, not the kernel's own file systems.
fn container_path(f: &mut Findings, path: &str, target: &str) {
    absolute(f, path, target);
    let kernels = ["/proc", "/sys"].iter().any(|root| target == *root || target.starts_with(&format!("{root}/")));
    if kernels || target == "/" || target == "/dev" {
        f.add(path, Fault::new(&m::TARGET_RESERVED).with("target", shown(target)));
    }
}

/// Absolute, no `.`, `..`, empty part or slash at the end, no control character.
fn absolute(f: &mut Findings, path: &str, text: &str) {
    let parts_fit = || text.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    let fits = text == "/" || text.starts_with('/') && parts_fit();
    if !fits || text.len() > PATH_MAX || text.chars().any(char::is_control) {
        f.add(path, Fault::new(&m::BAD_PATH).with("value", shown(text)).with("max", PATH_MAX));
    }
}
