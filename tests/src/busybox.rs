//! A small real image for the runtime lane: Debian's static busybox in one layer, users in another.

use edge_node::images::memory::Memory;
use serde_json::{Value, json};
use shared::id::Digest;
use shared::oci::{Platform, media};
use shared::recipe::Recipe;
use shared::release::{Blob, Compression, Image, Layer};

const BUSYBOX: &str = "/bin/busybox";
/// uid 1234, groups 2345 and 44.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1234:2345::/home/app:/bin/sh\n";
const GROUP: &str = "root:x:0:\napp:x:2345:\nvideo:x:44:app\n";

/// The image as a release would name it, and its blobs. `config` is merged into the image's process defaults.
///
/// # Panics
/// When busybox is not there.
pub fn image(config: &Value) -> (Image, Memory) {
    let program = std::fs::read(BUSYBOX).expect("busybox is installed (apt-get install busybox-static)");
    let mut process = json!({"Env": ["PATH=/bin"], "Cmd": ["sleep", "1000000"]});
    let further = config.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
    process.as_object_mut().expect("an object").extend(further);
    let (mut memory, platform) = (Memory::default(), platform());
    let tars = [programs(&program), users()];
    let mut layer = |bytes: &Vec<u8>| {
        let tar = memory.insert_layer(bytes).expect("a pack");
        Layer { blob: tar, compression: Compression::None, tar, recipe: Recipe::of(bytes).id() }
    };
    let layers: Vec<Layer> = tars.iter().map(&mut layer).collect();
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.tar.digest).collect();
    let config = json!({
        "os": platform.os, "architecture": platform.architecture, "config": process,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = memory.insert(config.to_string().into_bytes());
    let descriptor = |kind: &str, blob: Blob| json!({"mediaType": kind, "digest": blob.digest, "size": blob.size});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::MANIFEST,
        "config": descriptor(media::CONFIG, config),
        "layers": layers.iter().map(|layer| descriptor(media::LAYER, layer.blob)).collect::<Vec<_>>(),
    });
    let manifest = memory.insert(manifest.to_string().into_bytes());
    (Image { platform, manifest, config, layers }, memory)
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
