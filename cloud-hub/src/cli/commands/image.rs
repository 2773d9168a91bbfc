//! `hubctl image`: what a rollout would send.

use reqwest::Method;
use shared::fault::{Fault, cli};
use shared::people::{bytes, percent};

use super::super::args::{Format, ImageCommand, Output};
use super::super::client::{ClientError, Target};
use super::super::error::CliError;
use super::super::kinds::release;
use super::super::rows::names;
use super::super::session::Session;
use super::super::show::document;
use super::super::table::{Column, Sheet, col, wide};
use super::super::words::word_of;
use super::progress::{LAYER_IDLE, Said, follow};
use crate::api::types::{Change, DiffLine, LayerDiff, PlatformDiff, ReleaseDiff};

static COLUMNS: [Column; 8] = [
    col("PLATFORM", "平台"),
    col("SERVICES", "服务"),
    col("LAYER", "层"),
    col("CHANGE", "变化"),
    col("TRANSFER", "传输"),
    col("REGISTRY", "仓库拉取"),
    wide("SIZE", "大小"),
    wide("FROM", "来自"),
];

pub(super) async fn run(session: &mut Session, command: &ImageCommand) -> Result<(), CliError> {
    match command {
        ImageCommand::Diff { old, new, output } => diff(session, old, new, *output).await,
    }
}

async fn diff(session: &mut Session, old: &str, new: &str, output: Output) -> Result<(), CliError> {
    release(old)?;
    release(new)?;
    let diff = compared(session, old, new).await?;
    match output.format {
        Format::Json | Format::Yaml => {
            let value = serde_json::to_value(&diff)
                .map_err(|error| ClientError::BadAnswer { server: "hub".into(), cause: error.to_string() })?;
            document(session, output.format, &value)
        }
        Format::Name => {
            let changed = diff.platforms.iter().flat_map(|platform| &platform.layers);
            for layer in changed.filter(|layer| layer.change != Change::Unchanged) {
                session.out.line(layer.layer)?;
            }
            Ok(())
        }
        Format::Table | Format::Wide => table(session, &diff, output.format == Format::Wide),
    }
}

/// Has the hub compare, which may have to make patches first.
async fn compared(session: &mut Session, old: &str, new: &str) -> Result<ReleaseDiff, CliError> {
    let client = session.client()?;
    let target = Target::new(&["releases", new, "diff"]).with("from", old);
    let objects = client.stream(Method::GET, target, None, Some(LAYER_IDLE)).await?.objects();
    let diff = follow(session, objects, |session, progress, line| match line {
        DiffLine::Progress { done, total } => {
            let text = Fault::new(&cli::COMPARING).with("done", done).with("total", total);
            progress.state(session, &text.text(session.lang()));
            Said::More
        }
        DiffLine::Done { diff } => Said::Done(diff),
        DiffLine::Failed { problem } => Said::Failed(problem),
    });
    diff.await?.ok_or_else(|| client.bad_answer("it ended early").into())
}

fn table(session: &mut Session, diff: &ReleaseDiff, is_wide: bool) -> Result<(), CliError> {
    let lang = session.lang();
    let row = |platform: &PlatformDiff, layer: &LayerDiff| {
        vec![
            platform.platform.clone(),
            names(&layer.services),
            layer.layer.short(),
            word_of(lang, layer.change),
            bytes(layer.transfer),
            bytes(if layer.change == Change::Unchanged { 0 } else { layer.registry }),
            bytes(layer.size),
            names(layer.from.iter().map(shared::id::Digest::short)),
        ]
    };
    let rows = diff.platforms.iter().flat_map(|platform| platform.layers.iter().map(move |layer| row(platform, layer)));
    let rows: Vec<_> = rows.collect();
    session.out.write(&Sheet::new(&COLUMNS, lang, is_wide, true).lines(&rows))?;
    for platform in &diff.platforms {
        session.out.say(&total(platform))?;
    }
    Ok(())
}

fn total(platform: &PlatformDiff) -> Fault {
    let PlatformDiff { transfer, registry, image, .. } = *platform;
    let text = if registry == 0 { &cli::NOTHING_TRAVELS } else { &cli::TRAVELS };
    Fault::new(text)
        .with("platform", &platform.platform)
        .with("bytes", bytes(transfer))
        .with("of_registry", percent(transfer, registry))
        .with("registry", bytes(registry))
        .with("of_image", percent(transfer, image))
        .with("image", bytes(image))
}
