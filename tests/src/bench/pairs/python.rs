//! Layers of Python packages, from wherever this machine's pip gets them.

use std::path::Path;

use super::catalog::{Build, State};
use super::tool::{at, run, tool};
use crate::demo::Failure;

/// The wheels of a small vision service beside onnxruntime, all named, so that nothing is resolved anew.
const WHEELS: [&str; 31] = [
    "annotated-doc==0.0.7",
    "annotated-types==0.8.0",
    "anyio==4.16.0",
    "certifi==2026.10.18",
    "charset-normalizer==3.5.2",
    "click==8.5.1",
    "coloredlogs==15.0.1",
    "fastapi==0.111.1",
    "flatbuffers==25.12.19",
    "h11==0.16.0",
    "humanfriendly==10.0",
    "idna==3.20",
    "Jinja2==3.1.6",
    "MarkupSafe==3.0.4",
    "mpmath==1.3.0",
    "numpy==1.26.4",
    "opencv-python-headless==4.10.0.84",
    "packaging==26.3",
    "paho-mqtt==2.1.0",
    "pillow==10.4.0",
    "protobuf==7.36.2",
    "pydantic==2.8.2",
    "pydantic_core==2.20.1",
    "python-dotenv==1.2.4",
    "PyYAML==6.0.2",
    "requests==2.32.3",
    "starlette==0.37.2",
    "sympy==1.14.0",
    "typing_extensions==4.16.0",
    "urllib3==2.8.0",
    "uvicorn==0.30.6",
];

/// A program that is all Python.
const SOURCES: &str = "celery==5.4.0";
/// What changes in it: a file, what stands there, and what stands there then.
const CHANGES: [(&str, &str, &str); 2] = [
    (
        "celery/utils/time.py",
        "STDOFFSET = timedelta(seconds=-_time.timezone)",
        "STDOFFSET = timedelta(seconds=round(-_time.timezone))",
    ),
    ("celery/app/task.py", "import sys\n", TAGGED),
];
const TAGGED: &str = "import sys


def tagged(name, site, attempt=0):
    \"\"\"Name of a task as its site reports it, with the attempt where there were several.\"\"\"
    parts = [part.strip().lower() for part in (site, name) if part]
    if not parts:
        raise ValueError('neither a name nor a site')
    text = '/'.join(parts)
    return f'{text}#{attempt}' if attempt else text


";

/// `pip install` into `site-packages`, compiled; every install has new times.
pub(super) fn wheels(onnxruntime: &str, tree: &Path) -> Result<String, Failure> {
    let onnxruntime = format!("onnxruntime=={onnxruntime}");
    let target = tree.join("usr/local/lib/python3.11/site-packages");
    install(&target, &["--compile", &onnxruntime], &WHEELS)?;
    Ok(format!("{onnxruntime} and {} other wheels", WHEELS.len()))
}

/// Sources as an image's `COPY . /app` has them.
pub(super) fn sources(state: State, build: Build, tree: &Path) -> Result<String, Failure> {
    let app = tree.join("app");
    install(&app, &["--no-compile"], &[SOURCES])?;
    settle(&app, build.time())?;
    if state == State::Old {
        return Ok(SOURCES.into());
    }
    for (file, from, to) in CHANGES {
        let path = app.join(file);
        let text = at(&path, std::fs::read_to_string(&path))?;
        if !text.contains(from) {
            return Err(format!("{SOURCES}: {file} has no {from:?} to change"));
        }
        at(&path, std::fs::write(&path, text.replacen(from, to, 1)))?;
        settle(&path, build.time() + 3600)?;
    }
    Ok(format!("{SOURCES}, changed: {}", CHANGES.map(|(file, ..)| file).join(", ")))
}

fn install(target: &Path, options: &[&str], packages: &[&str]) -> Result<(), Failure> {
    let mut command = tool("python3");
    command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--root-user-action=ignore"]);
    run(command.arg("--target").arg(target).args(options).args(packages)).map(drop)
}

/// Gives everything at and below `path` one time.
fn settle(path: &Path, time: u64) -> Result<(), Failure> {
    if path.is_dir() {
        for entry in at(path, std::fs::read_dir(path))? {
            settle(&at(path, entry)?.path(), time)?;
        }
    }
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(time);
    at(path, std::fs::File::open(path).and_then(|file| file.set_modified(time)))
}
