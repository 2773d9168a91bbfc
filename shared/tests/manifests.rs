//! Every manifest of the repository is read, checked, and the same after a round through its normal form.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panic")]

use std::path::{Path, PathBuf};

use shared::manifest::{App, Naming, Outside, read};

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

fn outside() -> Outside<'static> {
    Outside { naming: Naming { version: Some("1.0.0".into()), ..Naming::default() }, ..Outside::default() }
}

fn app(path: &Path) -> App {
    let text = std::fs::read_to_string(path).expect("text");
    match read(&path.display().to_string(), &text, &outside()) {
        Ok(manifest) => manifest.app,
        Err(refused) => panic!("{refused}"),
    }
}

#[test]
fn all_are_read_and_stay_the_same() {
    let mut count = 0;
    for directory in ["sample", "examples"] {
        for entry in std::fs::read_dir(manifests().join(directory)).expect("directory") {
            let path = entry.expect("entry").path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let app = app(&path);
            app.check().expect("a read app is fine");
            let again = read("normal form", &app.to_yaml(), &Outside::default()).expect("own YAML").app;
            assert_eq!(again, app, "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 5, "only {count} manifests found");
}

#[test]
fn the_sample_is_the_same_app_in_both_forms() {
    let from_app = app(&manifests().join("sample/app.yaml"));
    let from_compose = app(&manifests().join("sample/compose.yaml"));
    assert_eq!(from_app.spec.services, from_compose.spec.services);
    assert_eq!(from_app.spec.volumes, from_compose.spec.volumes);
    assert_eq!(from_app.metadata.name, from_compose.metadata.name);
}
