//! A small real image for the runtime lane: Debian's static busybox in one layer, users in another.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use shared::id::Digest;
use shared::oci::{Platform, media};
use shared::release::{Blob, Compression, Image, Layer};

use crate::containerd::Private;

const BUSYBOX: &str = "/bin/busybox";
/// uid 1234, groups 2345 and 44.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1234:2345::/home/app:/bin/sh\n";
const GROUP: &str = "root:x:0:\napp:x:2345:\nvideo:x:44:app\n";

/// Makes the image, imports it into `private`, and returns it as a release would name it. `config` is merged into the
/// image's process defaults.
///
/// # Panics
/// When busybox is not there or the import fails.
pub fn import(private: &Private, dir: &Path, config: &Value) -> Image {
    let program = std::fs::read(BUSYBOX).expect("busybox is installed (apt-get install busybox-static)");
    let layers = [programs(&program), users()];
    let mut process = json!({"Env": ["PATH=/bin"], "Cmd": ["sleep", "1000000"]});
    let further = config.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
    process.as_object_mut().expect("an object").extend(further);
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let platform = platform();
    let config = json!({
        "os": platform.os, "architecture": platform.architecture, "config": process,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = config.to_string().into_bytes();
    let descriptor = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::MANIFEST,
        "config": descriptor(media::CONFIG, &config),
        "layers": layers.iter().map(|layer| descriptor(media::LAYER, layer)).collect::<Vec<_>>(),
    });
    let manifest = manifest.to_string().into_bytes();
    let mut top = descriptor(media::MANIFEST, &manifest);
    top["annotations"] = json!({"io.containerd.image.name": "example.com/busybox:1"});
    let index = json!({"schemaVersion": 2, "manifests": [top]}).to_string().into_bytes();
    let archive = dir.join("image.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&archive).expect("archive"));
    file(&mut tar, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
    file(&mut tar, "index.json", 0o644, &index);
    for blob in [&config, &manifest, &layers[0], &layers[1]] {
        file(&mut tar, &format!("blobs/sha256/{}", Digest::of(blob).hex()), 0o644, blob);
    }
    tar.into_inner().expect("archive");
    load(private, &archive);
    let blob = |bytes: &[u8]| Blob { digest: Digest::of(bytes), size: bytes.len() as u64 };
    let layer = |bytes: &Vec<u8>| Layer { blob: blob(bytes), compression: Compression::None, tar: blob(bytes) };
    Image { platform, manifest: blob(&manifest), config: blob(&config), layers: layers.iter().map(layer).collect() }
}

/// This machine.
pub fn platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Platform { os: "linux".into(), architecture: architecture.into(), variant: String::new() }
}

fn load(private: &Private, archive: &Path) {
    let output = Command::new("ctr")
        .arg("--address")
        .arg(private.socket())
        .args(["--namespace", private.namespace(), "images", "import"])
        .arg(archive)
        .output()
        .expect("ctr is installed with containerd");
    assert!(output.status.success(), "ctr images import: {}", String::from_utf8_lossy(&output.stderr));
}

fn programs(program: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    file(&mut tar, "bin/busybox", 0o755, program);
    for name in [
        "sh", "sleep", "cat", "id", "echo", "wget", "httpd", "nc", "mount", "unshare", "mknod", "touch", "ls", "seq", "true",
        "false", "dd", "head", "tail", "grep", "hostname", "ping", "yes", "printf", "rm", "mkdir", "df",
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox").expect("link");
    }
    tar.into_inner().expect("layer")
}

fn users() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    file(&mut tar, "etc/passwd", 0o644, PASSWD.as_bytes());
    file(&mut tar, "etc/group", 0o644, GROUP.as_bytes());
    tar.into_inner().expect("layer")
}

fn file(tar: &mut tar::Builder<impl std::io::Write>, path: &str, mode: u32, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content).expect("append");
}
