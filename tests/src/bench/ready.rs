//! A large image, from its first byte until containers can be made of it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use edge_node::images::ChunkSource;
use edge_node::images::memory::Memory;
use shared::release;

use super::desk::{Desk, signed};
use super::{Figure, Plan};
use crate::containerd::Private;
use crate::demo::Failure;
use crate::image::{Image, ImageBuilder, Layer, oci_archive};
use crate::world::random::Random;

/// Layers of the image.
const LAYERS: usize = 4;

/// The node's own path and `ctr image import`, in turns, each on a containerd that knows nothing; and of the node's path the
/// part that the import does, too: from what it has of the image on disk to files, and the record.
pub(super) async fn measure(plan: &Plan, dir: &Path) -> Result<Vec<Figure>, Failure> {
    let failed = |error: std::io::Error| error.to_string();
    std::fs::create_dir_all(dir).map_err(failed)?;
    let archive = dir.join("image.tar");
    let (image, source, travels) = {
        let made = large(plan.image_size, 0).map_err(failed)?;
        std::fs::write(&archive, oci_archive(&[&made]).map_err(failed)?).map_err(failed)?;
        let (image, source) = signed(&made)?;
        (image, source, made.size())
    };
    for layer in &image.layers {
        // Made now, as the hub has it made before a node pulls it.
        source.patch(layer.tar.digest, &[]).await.map_err(|error| error.to_string())?;
    }
    let (mut ours, mut unpacks, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.images {
        floor.push(import(&dir.join(format!("ctr-{round}")), &archive).await?);
        let (fetched, unpacked) = receive(&dir.join(format!("node-{round}")), &image, &source).await?;
        ours.push(fetched + unpacked);
        unpacks.push(unpacked);
    }
    let about = format!(
        "{:.0} MB unpacked, {:.0} MB as gzip, against ctr image import; {} turns",
        plan.image_size as f64 / 1e6,
        travels as f64 / 1e6,
        plan.images
    );
    let ready = format!("bench: patches from memory instead of the link; fetch, pack and unpack, synced; {about}");
    let unpack = format!("bench: packs on disk to files and record, checked and synced; {about}");
    Ok(vec![
        Figure::against("image_ready", &mut ours, &mut floor.clone(), 1.2, ready),
        Figure::against("unpack", &mut unpacks, &mut floor, 0.6, unpack),
    ])
}

/// The times of fetching and of unpacking.
async fn receive(dir: &Path, image: &release::Image, source: &Memory) -> Result<(Duration, Duration), Failure> {
    let desk = Desk::new(dir, image.clone()).await?;
    rustix::fs::sync();
    let begin = Instant::now();
    desk.fetch(source).await?;
    let fetched = begin.elapsed();
    desk.unpack().await?;
    let unpacked = begin.elapsed() - fetched;
    drop(desk);
    std::fs::remove_dir_all(dir).map_err(|error| error.to_string())?;
    Ok((fetched, unpacked))
}

async fn import(dir: &Path, archive: &Path) -> Result<Duration, Failure> {
    let private = Private::start(dir).await;
    rustix::fs::sync();
    let mut ctr = Command::new("ctr");
    ctr.arg("--address").arg(private.socket()).args(["-n", private.namespace(), "image", "import"]).arg(archive);
    let begin = Instant::now();
    let done = ctr.output().map_err(|error| format!("ctr: {error}"))?;
    let took = begin.elapsed();
    if !done.status.success() {
        return Err(format!("ctr image import: {}", String::from_utf8_lossy(&done.stderr)));
    }
    drop(private);
    std::fs::remove_dir_all(dir).map_err(|error| error.to_string())?;
    Ok(took)
}

/// An image of about `size` bytes that is as a real one is: thousands of files of all sizes, texts and programs. One file in
/// `noise` is nothing that could be compressed; with 0 there is none.
pub(super) fn large(size: usize, noise: u64) -> std::io::Result<Image> {
    let mut chance = Random::new(2);
    let mut image = ImageBuilder::new("large:1").entrypoint(&["/bin/none"]);
    for number in 0..LAYERS {
        image = image.layer(layer(number, size / LAYERS, noise, &mut chance));
    }
    image.build()
}

fn layer(number: usize, size: usize, noise: u64, chance: &mut Random) -> Layer {
    let words = words(chance);
    let (mut layer, mut done, mut count) = (Layer::new(), 0, 0);
    while done < size {
        if count % 50 == 0 {
            layer = layer.dir(&format!("/usr/lib/{number}/{}", count / 50), 0o755);
        }
        // 1 KB to 256 KB, small ones more often.
        let length = usize::try_from(chance.between(1 << 10, 2 << 10) << chance.below(8)).unwrap_or(1 << 10);
        let is_noise = noise > 0 && count % noise == 0;
        let bytes = if is_noise { random(length, chance) } else { content(length, &words, chance) };
        layer = layer.file(&format!("/usr/lib/{number}/{}/file-{count}", count / 50), bytes, 0o644);
        (done, count) = (done + length, count + 1);
    }
    layer
}

/// Words that repeat as words of a language or instructions of a program do.
fn words(chance: &mut Random) -> Vec<Vec<u8>> {
    let word =
        |chance: &mut Random| (0..chance.between(3, 12)).map(|_| u8::try_from(chance.between(33, 126)).unwrap_or(b' ')).collect();
    (0..600).map(|_| word(chance)).collect()
}

fn random(length: usize, chance: &mut Random) -> Vec<u8> {
    std::iter::repeat_with(|| chance.word().to_le_bytes()).flatten().take(length).collect()
}

fn content(length: usize, words: &[Vec<u8>], chance: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 16);
    while bytes.len() < length {
        // The smaller of two numbers: some words are more frequent than others.
        let index = chance.below(words.len() as u64).min(chance.below(words.len() as u64));
        let word = usize::try_from(index).ok().and_then(|index| words.get(index));
        bytes.extend(word.into_iter().flatten());
        bytes.push(b' ');
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_compressed_as_real_images_are() {
        let image = large(4_000_000, 0).expect("an image");
        let tar: usize = image.layers.iter().map(|layer| layer.tar.bytes.len()).sum();
        let ratio = tar as f64 / image.size() as f64;
        assert!((3.3..4.1).contains(&ratio), "{ratio}");
    }
}
