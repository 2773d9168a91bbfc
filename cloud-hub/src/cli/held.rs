//! Whether what the hub says about an image follows from its bytes. Before somebody signs a release, the digests in it
//! must be those of the image, and not only the hub's word for them.
//!
//! Manifest and config are fetched and hashed here; the manifest names every layer, the config every diff_id. The layers
//! themselves stay at the hub: a node checks their bytes against these digests. Sizes and recipes of their tars are the
//! hub's word: a wrong one keeps nodes from having the layer, and gets them no other bytes.

use std::collections::BTreeMap;
use std::io::{self, Read};

use shared::id::Digest;
use shared::oci::DOCUMENT_MAX;
use shared::release::{Blob, Image};

use super::client::{Client, ClientError, Target};
use crate::images::{Content, ImageError, Known, Limits, examine, quiet};

/// Manifest and config, and the layers' sizes.
struct Held<'a> {
    documents: BTreeMap<Digest, Vec<u8>>,
    image: &'a Image,
}

impl Content for Held<'_> {
    fn open(&self, digest: &Digest) -> Result<Option<(u64, Box<dyn Read + Send + '_>)>, ImageError> {
        if let Some(bytes) = self.documents.get(digest) {
            return Ok(Some((bytes.len() as u64, Box::new(bytes.as_slice()))));
        }
        let layer = self.image.layers.iter().find(|layer| layer.blob.digest == *digest);
        Ok(layer.map(|layer| (layer.blob.size, Box::new(io::empty()) as Box<dyn Read + Send>)))
    }
}

/// Fetches what is needed to check `image`, and checks it. The outer error is the hub's, the inner one the image's.
pub(super) async fn check(client: &Client, image: &Image) -> Result<Result<(), String>, ClientError> {
    let mut documents = BTreeMap::new();
    for blob in [image.manifest, image.config] {
        documents.insert(blob.digest, document(client, blob).await?);
    }
    Ok(check_documents(image, documents))
}

async fn document(client: &Client, blob: Blob) -> Result<Vec<u8>, ClientError> {
    let max = usize::try_from(blob.size.min(DOCUMENT_MAX)).unwrap_or(usize::MAX);
    client.bytes(Target::new(&["blobs", &blob.digest.to_string()]), max).await
}

/// Whether `image` is what its documents say.
fn check_documents(image: &Image, documents: BTreeMap<Digest, Vec<u8>>) -> Result<(), String> {
    let mut known: Known = image.layers.iter().map(|layer| (layer.blob.digest, *layer)).collect();
    let held = Held { documents, image };
    let found = examine(&held, image.manifest.digest, &mut known, &Limits::default(), &quiet);
    match found {
        Ok(found) if found == *image => Ok(()),
        Ok(_) => Err("its manifest and config say otherwise than the hub".into()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use shared::release::Compression;

    use super::*;
    use crate::images::samples;

    #[test]
    fn only_what_the_documents_say_is_taken() {
        let sample = samples::image(
            "linux/amd64",
            &[(Compression::Gzip, samples::tar(&[("a", b"1")])), (Compression::None, samples::tar(&[("b", b"2")]))],
        );
        let image = sample.expected();
        let documents =
            || BTreeMap::from([(image.manifest.digest, sample.manifest()), (image.config.digest, sample.config.clone())]);
        assert_eq!(check_documents(&image, documents()), Ok(()));

        let changed = |change: &dyn Fn(&mut Image)| {
            let mut other = image.clone();
            change(&mut other);
            check_documents(&other, documents())
        };
        let other = Digest::of(b"other");
        assert!(changed(&|image| image.manifest.size += 1).is_err(), "size of the manifest");
        assert!(changed(&|image| image.config.digest = other).is_err(), "config");
        assert!(changed(&|image| image.platform.architecture = "arm64".into()).is_err(), "platform");
        assert!(changed(&|image| image.layers[0].blob.digest = other).is_err(), "a layer");
        assert!(changed(&|image| image.layers[0].tar.digest = other).is_err(), "a diff_id");
        assert!(changed(&|image| image.layers[1].compression = Compression::Zstd).is_err(), "a compression");
        assert!(changed(&|image| image.layers.reverse()).is_err(), "the order");
        assert!(changed(&|image| image.layers.truncate(1)).is_err(), "a layer less");

        let mut lied = documents();
        lied.insert(image.config.digest, b"{}".to_vec());
        assert!(check_documents(&image, lied).is_err(), "other bytes");
    }
}
