//! `hubctl publish`: from a manifest to a signed release; `hubctl unpublish`, which takes one back.
//!
//! ```text
//! manifest ─ read ─▶ App ─▶ images: archive ─ verify here, upload what is missing ─┐
//!                                   reference ─ hub fetches ─ check its documents ─┴─▶ Release ─ sign ─▶ hub
//! ```
//!
//! The key never leaves this machine, and nothing is signed that was not checked here. Everything before the last step may
//! be repeated: what the hub has is not sent again.

mod images;

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::Method;
use serde_json::Value;
use shared::fault::{Fault, cli, hub};
use shared::id::Name;
use shared::manifest::bounds::CONFIG_MAX;
use shared::manifest::{App, Manifest, Naming, Outside, TEXT_MAX, read};
use shared::release::{Image, RELEASE_MAX, Release};
use shared::sign::{Envelope, Purpose, SecretKey};

use super::super::args::{Format, Publish, Unpublish};
use super::super::client::{Client, Target};
use super::super::error::CliError;
use super::super::files::{self, Privacy};
use super::super::keys;
use super::super::kinds::{Kind, name, pair, text_at};
use super::super::session::Session;
use super::super::show::{Shape, document};
use super::super::sources::{self, Source};
use crate::api::types::{List, Publisher};

pub(super) async fn run(session: &mut Session, args: &Publish) -> Result<(), CliError> {
    let app = manifest(session, args)?;
    let exists = |path: &Path| path.exists();
    let sources = sources::sources(&app, &args.image, &exists)?;
    let platforms = args.platform.iter().map(|text| sources::platform(text)).collect::<Result<Vec<_>, _>>()?;
    let wish = images::Wish { platforms, user: args.registry_user.clone() };
    if args.dry_run {
        return dry_run(session, args.output.format, &app, &sources, &wish).await;
    }
    // What would fail at the end fails before anything is sent.
    let key = keys::load(&keys::path(&session.env, args.key.as_deref())?)?;
    let client = session.client()?;
    check_known(&client, &key).await?;
    let mut by_source: BTreeMap<&Source, Vec<Image>> = BTreeMap::new();
    for source in sources.values() {
        if !by_source.contains_key(source) {
            by_source.insert(source, Box::pin(images::bring(session, &client, source, &wish)).await?);
        }
    }
    let images_of = |(service, source): (&Name, &Source)| (service.clone(), by_source.get(source).cloned().unwrap_or_default());
    let release = Release { manifest: app, images: sources.iter().map(images_of).collect() };
    let bytes = release.to_bytes();
    if bytes.len() > RELEASE_MAX {
        let fault = Fault::new(&cli::RELEASE_TOO_LARGE).with("size", bytes.len()).with("max", RELEASE_MAX);
        return Err(CliError::Unfit(fault));
    }
    let envelope = Envelope::sign(Purpose::Release, bytes, &[&key]);
    post(session, &client, &envelope, args.output.format).await
}

pub(super) async fn unpublish(session: &mut Session, args: &Unpublish) -> Result<(), CliError> {
    session.client()?.delete(Kind::Releases.single(&args.release)?).await?;
    Ok(session.out.say(&Fault::new(&cli::UNPUBLISHED).with("release", &args.release))?)
}

/// Whether the hub knows the key, before images travel for nothing. It checks the signature itself at the end.
async fn check_known(client: &Client, key: &SecretKey) -> Result<(), CliError> {
    let known: List<Publisher> = client.get(Kind::Publishers.list()).await?;
    if known.items.iter().any(|publisher| publisher.spec.key == key.public()) {
        return Ok(());
    }
    Err(CliError::Unfit(Fault::new(&hub::PUBLISHER_UNKNOWN).with("keys", key.public().id().short())))
}

/// Sends the signed release, and says what the hub made of it.
async fn post(session: &mut Session, client: &Client, envelope: &Envelope, format: Format) -> Result<(), CliError> {
    let (object, is_new): (Value, bool) = client.upload(Method::POST, Target::new(&["releases"]), envelope.to_bytes()).await?;
    match format {
        Format::Table | Format::Wide => {
            let text = if is_new { &cli::PUBLISHED } else { &cli::PUBLISHED_BEFORE };
            let fault = Fault::new(text).with("release", text_at(&object, "/metadata/name"));
            Ok(session.out.say(&fault.with("id", envelope.payload_digest()))?)
        }
        Format::Json | Format::Yaml | Format::Name => Shape::new(session, Kind::Releases, format, true).one(session, &object),
    }
}

/// Reads the manifest; its notices are remarks.
fn manifest(session: &mut Session, args: &Publish) -> Result<App, CliError> {
    let pairs = args.set.iter().map(|text| pair(text, "VAR=VALUE").map(|(key, value)| (key.to_owned(), value.to_owned())));
    let variables = pairs.collect::<Result<BTreeMap<_, _>, _>>()?;
    let naming = Naming { name: args.name.as_deref().map(name).transpose()?, version: args.release_version.clone() };
    let path = &args.file;
    let from_stdin = path == Path::new("-");
    let max = TEXT_MAX as u64;
    let text = if from_stdin {
        files::text(std::io::stdin().lock(), Path::new("<stdin>"), max)?
    } else {
        files::read(path, max, Privacy::Open)?
    };
    let dir = path.parent().unwrap_or(Path::new("")).to_owned();
    let files = |below: &str| {
        // Relative to the manifest, as in Compose.
        files::read(&dir.join(below), CONFIG_MAX as u64, Privacy::Open)
            .map_err(|error| shared::fault::Faulty::fault(&error).params.remove("cause").unwrap_or_else(|| error.to_string()))
    };
    let shown = if from_stdin { "<stdin>".to_owned() } else { path.display().to_string() };
    let Manifest { app, notices } = read(&shown, &text, &Outside { naming, variables, files: &files })?;
    for notice in notices {
        let text = notice.fault.text(session.lang());
        session.out.remark(Fault::new(&cli::NOTICE).with("text", text).text(session.lang()));
    }
    Ok(app)
}

/// Everything that needs no hub: archives are verified, the normal form is shown.
async fn dry_run(
    session: &mut Session,
    format: Format,
    app: &App,
    sources: &BTreeMap<Name, Source>,
    wish: &images::Wish,
) -> Result<(), CliError> {
    let archives: std::collections::BTreeSet<&Source> =
        sources.values().filter(|source| matches!(source, Source::Archive { .. })).collect();
    for source in archives {
        Box::pin(images::verify(session, source, wish)).await?;
    }
    match format {
        Format::Json => document(session, format, &serde_json::to_value(app).unwrap_or_default())?,
        Format::Name => session.out.line(format_args!("release/{}@{}", app.metadata.name, app.metadata.version))?,
        Format::Table | Format::Wide | Format::Yaml => session.out.write(&app.to_yaml())?,
    }
    let release = format!("{}@{}", app.metadata.name, app.metadata.version);
    let fault = Fault::new(&cli::WOULD_PUBLISH).with("release", release);
    session.out.remark(fault.text(session.lang()));
    Ok(())
}
