use super::*;
use crate::images::quiet;
use crate::images::samples::{self, Files as SampleFiles, Sample};

fn sample(platform: &str, text: &str) -> Sample {
    let base = samples::tar(&[("bin/app", &[7; 3000])]);
    let top = samples::tar(&[("etc/text", text.as_bytes())]);
    samples::image(platform, &[(Compression::Gzip, base), (Compression::Zstd, top)])
}

fn plain(text: &str) -> Sample {
    samples::image("linux/amd64", &[(Compression::None, samples::tar(&[("etc/text", text.as_bytes())]))])
}

/// Writes `bytes` as an archive and reads it.
fn read_bytes(bytes: &[u8], wanted: &Wanted) -> Result<ArchiveImage, ImageError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive");
    std::fs::write(&path, bytes).unwrap();
    read(&path, wanted, dir.path(), &Limits { archive: 1 << 20, ..Limits::default() }, &quiet)
}

fn read_files(files: &SampleFiles, wanted: &Wanted) -> Result<ArchiveImage, ImageError> {
    read_bytes(&samples::archive(files), wanted)
}

fn wanted(platforms: &[&str]) -> Wanted {
    Wanted { name: None, platforms: platforms.iter().map(|text| samples::platform(text)).collect() }
}

fn whole(image: &ArchiveImage) -> Vec<(Blob, Vec<u8>)> {
    let bytes = |blob: &Blob| {
        let mut bytes = Vec::new();
        image.open(&blob.digest, 0).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    image.blobs().iter().map(|blob| (*blob, bytes(blob))).collect()
}

#[test]
fn directory_tar_and_gzip_give_the_same_verified_images() {
    let (amd64, arm64) = (sample("linux/amd64", "x"), sample("linux/arm64", "y"));
    let files = samples::layout(&[&amd64, &arm64]);
    let dir = tempfile::tempdir().unwrap();
    samples::write(&files, dir.path());
    let tar = samples::archive(&files);
    let from_dir = read(dir.path(), &Wanted::default(), dir.path(), &Limits::default(), &quiet).unwrap();
    assert_eq!(from_dir.images, [amd64.expected(), arm64.expected()]);
    for bytes in [&tar, &samples::gzip(&tar), &samples::zstd(&tar, 3)] {
        let image = read_bytes(bytes, &Wanted::default()).unwrap();
        assert_eq!(image.images, from_dir.images);
        for (blob, bytes) in whole(&image) {
            assert_eq!(Digest::of(&bytes), blob.digest);
            let mut rest = Vec::new();
            image.open(&blob.digest, 5).unwrap().read_to_end(&mut rest).unwrap();
            assert_eq!(rest, &bytes[5..]);
        }
        assert_eq!(image.blobs().len(), 7, "the base layer counts once");
    }
}

#[test]
fn docker_archives_old_and_new_have_an_image_id_that_never_changes() {
    let image = plain("x");
    let old = read_files(&samples::docker_save(&[(&image, "app:1")], false), &Wanted::default()).unwrap();
    let linked = read_files(&samples::docker_save(&[(&image, "app:1")], true), &Wanted::default()).unwrap();
    assert_eq!(old.images, linked.images);
    assert_eq!(old.images[0].config, image.expected().config);
    assert_eq!(old.images[0].layers, image.expected().layers);
    for (blob, bytes) in whole(&linked) {
        assert_eq!(Digest::of(&bytes), blob.digest);
    }

    let mut both = samples::layout(&[&image]);
    both.extend(samples::docker_save(&[(&image, "app:1")], false));
    assert_eq!(read_files(&both, &Wanted::default()).unwrap().images, [image.expected()], "Docker 25: the layout counts");
}

#[test]
fn platforms_and_names_choose() {
    let images = [sample("linux/amd64", "x"), sample("linux/arm64", "y"), sample("windows/amd64", "z")];
    let layout = samples::layout(&[&images[0], &images[1], &images[2]]);
    let digests = |wanted: &Wanted| -> Result<Vec<Digest>, String> {
        let image = read_files(&layout, wanted).map_err(|error| format!("{error:?}"))?;
        Ok(image.images.iter().map(Image::id).collect())
    };
    let [amd64, arm64, _] = images.each_ref().map(|image| image.expected().id());
    assert_eq!(digests(&Wanted::default()), Ok(vec![amd64, arm64]), "nodes are Linux machines");
    assert_eq!(digests(&wanted(&["linux/arm64"])), Ok(vec![arm64]));
    let error = digests(&wanted(&["linux/amd64", "linux/riscv64"])).unwrap_err();
    assert!(error.contains("NoPlatform") && error.contains("riscv64") && error.contains("arm64"), "{error}");

    let saved = samples::docker_save(&[(&plain("x"), "app:1"), (&plain("y"), "app:2")], false);
    let named = |name: &str| read_files(&saved, &Wanted { name: Some(name.into()), platforms: vec![] });
    assert_ne!(named("app:1").unwrap().images, named("app:2").unwrap().images);
    assert!(matches!(named("app:3"), Err(ImageError::NoName { .. })));
    let error = read_files(&saved, &Wanted::default()).unwrap_err();
    assert!(matches!(&error, ImageError::Ambiguous { names } if names == "app:1, app:2"), "{error:?}");
}

/// Changes one thing of a good layout and says which error it must give.
#[test]
fn hostile_layouts_are_refused_by_name() {
    let image = sample("linux/amd64", "x");
    let expected = image.expected();
    let blob = |digest: Digest| format!("blobs/sha256/{}", digest.hex());
    let (layer, config, manifest) =
        (blob(expected.layers[0].blob.digest), blob(expected.config.digest), blob(expected.manifest.digest));
    type Change<'a> = Box<dyn Fn(&mut SampleFiles) + 'a>;
    let remove = |name: &str| -> Change<'_> {
        let name = name.to_owned();
        Box::new(move |files| drop(files.remove(&name)))
    };
    let set = |name: &str, bytes: &[u8]| -> Change<'_> {
        let (name, bytes) = (name.to_owned(), bytes.to_vec());
        Box::new(move |files| drop(files.insert(name.clone(), bytes.clone())))
    };
    let flip = |name: &str| -> Change<'_> {
        let name = name.to_owned();
        Box::new(move |files| files.get_mut(&name).unwrap()[10] ^= 1)
    };
    let descriptor = |size: u64| format!(r#"{{"mediaType":"m","digest":"{}","size":{size}}}"#, expected.manifest.digest);
    let index = |manifests: &str| format!(r#"{{"schemaVersion":2,"manifests":[{manifests}]}}"#).into_bytes();
    let nowhere = r#"{"mediaType":"m","digest":"sha256:../../../etc/passwd","size":1}"#;
    for (change, error) in [
        (remove(&layer), "Missing"),
        (remove(&config), "Missing"),
        (remove(&manifest), "Missing"),
        (remove("index.json"), "NotAnArchive"),
        (remove("oci-layout"), "Document"),
        (set("oci-layout", br#"{"imageLayoutVersion":"2.0.0"}"#), "Document"),
        (set(&layer, b"short"), "WrongSize"),
        (flip(&layer), "WrongDigest"),
        (flip(&config), "WrongDigest"),
        (flip(&manifest), "WrongDigest"),
        (set("index.json", &index("")), "NoPlatform"),
        (set("index.json", &index(&descriptor(1))), "WrongSize"),
        (set("index.json", &index(nowhere)), "Document"),
        (set("index.json", &vec![b' '; 5 << 20]), "TooLarge"),
        (set("index.json", &"[".repeat(100_000).into_bytes()), "Document"),
    ] {
        let mut files = samples::layout(&[&image]);
        change(&mut files);
        let result = format!("{:?}", read_files(&files, &Wanted::default()).map(|image| image.images));
        assert!(result.starts_with(&format!("Err({error}")), "{error}: {result}");
    }
}

#[test]
fn manifest_and_config_must_belong_together() {
    let tar = samples::tar(&[("a", b"1")]);
    let other = samples::tar(&[("a", b"2")]);
    let swap = |image: &mut Sample| image.config = samples::config("linux/amd64", &[Digest::of(&other)]);
    let more = |image: &mut Sample| image.config = samples::config("linux/amd64", &[Digest::of(&tar), Digest::of(&tar)]);
    for (change, expected) in [(&swap as &dyn Fn(&mut Sample), "WrongDiffId"), (&more, "LayerCount")] {
        let mut image = samples::image("linux/amd64", &[(Compression::Gzip, tar.clone())]);
        change(&mut image);
        let result = format!("{:?}", read_files(&samples::layout(&[&image]), &Wanted::default()).map(|i| i.images));
        assert!(result.starts_with(&format!("Err({expected}")), "{expected}: {result}");
    }
}

#[test]
fn hostile_tars_are_refused_by_name_and_lead_nowhere() {
    let image = plain("x");
    let files = samples::layout(&[&image]);
    let good = samples::archive(&files);
    let twice = [good.strip_suffix(&[0; 1024]).unwrap(), &samples::tar(&[("./index.json", b"{}")])].concat();
    let layer = format!("blobs/sha256/{}", image.expected().layers[0].blob.digest.hex());
    let mut without = files.clone();
    without.remove(&layer);
    let body = samples::archive(&without);
    let link = |target: &str| [body.strip_suffix(&[0; 1024]).unwrap(), &samples::symlink(&layer, target)].concat();
    let saved = |manifest: &str| samples::tar(&[("manifest.json", manifest.as_bytes())]);
    for (bytes, expected) in [
        (twice, "Duplicate"),
        (link("/etc/passwd"), "Link"),
        (link("../../../../etc/passwd"), "Link"),
        (link("../../index.json"), "Link"),
        (good[..good.len() / 2].to_vec(), "BadArchive"),
        (samples::gzip(&good)[..200].to_vec(), "NotAnArchive"),
        (samples::gzip(&vec![0; 2 << 20]), "TooLarge"),
        (b"PK\x03\x04 a zip file".to_vec(), "BadArchive"),
        (vec![b'x'; 2000], "BadArchive"),
        (vec![], "NotAnArchive"),
        (saved(r#"[{"Config":"/etc/passwd","Layers":[]}]"#), "Document"),
        (saved(r#"[{"Config":"../../etc/passwd","Layers":[]}]"#), "Document"),
        (saved("[]"), "NoPlatform"),
        (saved("{}"), "Document"),
    ] {
        let result = format!("{:?}", read_bytes(&bytes, &Wanted::default()).map(|image| image.images));
        assert!(result.starts_with(&format!("Err({expected}")), "{expected}: {result}");
    }
}

#[test]
fn a_layout_directory_with_links_out_is_refused() {
    let image = plain("x");
    let dir = tempfile::tempdir().unwrap();
    samples::write(&samples::layout(&[&image]), dir.path());
    let layer = dir.path().join(format!("blobs/sha256/{}", image.expected().layers[0].blob.digest.hex()));
    std::fs::rename(&layer, dir.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &layer).unwrap();
    let error = read(dir.path(), &Wanted::default(), dir.path(), &Limits::default(), &quiet).unwrap_err();
    assert!(matches!(error, ImageError::Link { .. }), "{error:?}");
}

/// Every cut of an archive ends with an error or the whole image, and never a panic.
#[test]
fn every_truncation_is_an_error() {
    let good = samples::archive(&samples::docker_save(&[(&plain("x"), "a:1")], false));
    for length in (0..good.len() - 1024).step_by(97) {
        assert!(read_bytes(&good[..length], &Wanted::default()).is_err(), "{length}");
    }
}
